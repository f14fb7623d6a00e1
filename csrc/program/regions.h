/* regions.h: the rows in which gradients reach an entry.
 *
 * where(x > 0, x.log(), 0.0) computes the logarithm for every row. For a row that has not selected
 * it the logarithm's gradient is 0, but its derivative may be infinite, and 0 times that is nan.
 * So each entry has a region: the rows in which a gradient reaches the entry. That is all rows, or
 * those of a side of a select, or a union of such regions. In rows of its region an entry's adjoint
 * is right; in other rows it may be anything, for what an entry contributes to one of another
 * region is replaced by 0 there. Within a region nothing is replaced, so an expression of any size
 * on a side of a select costs a replacement for each of its operands alone.
 *
 * The operand of a select belongs to its side if nothing else passes a gradient to it. A use that
 * passes none, such as in a condition, does not count.
 *
 * An element of a table belongs likewise to the rows whose index takes it, if it is computed:
 * inputs and captured nodes have no derivative that could be infinite. Neighbours in a table often
 * share operands, so a union of regions of neighbours is one region of several places. */
#ifndef MG_REGIONS_H
#define MG_REGIONS_H

#include "program/program.h"

#define MG_ALL_ROWS 0u

/* Find the region of each entry that gradients reach. false: no memory, or given up. */
bool mg_find_regions(mg_arena *memory, mg_program *program);
/* Return the region of the operand y of a select that gradients reach, or with side 1 of the
 * operand z, as far as the select passes gradients to it. MG_NOTHING: no memory. */
uint32_t mg_region_of_side(mg_program *program, uint32_t select, unsigned side);
/* Whether all rows of a region are known to be rows of another one, `region`. */
bool mg_region_contains(const mg_program *program, uint32_t region, uint32_t other);
/* Return the region of an element of the table of a take, as far as the take passes gradients to
 * the element. MG_NOTHING: no memory. */
uint32_t mg_region_of_element(mg_program *program, uint32_t take, uint32_t place);

#endif
