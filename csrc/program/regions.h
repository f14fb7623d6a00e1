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
 * passes none, such as in a condition, does not count. */
#ifndef MG_REGIONS_H
#define MG_REGIONS_H

#include "program/program.h"

#define MG_ALL_ROWS 0u

/* Find the region of each entry that gradients reach. false: no memory, or given up. */
bool mg_find_regions(mg_arena *memory, mg_program *program);
/* Return the region of the operand y of a select that gradients reach, or with side 1 of the
 * operand z, as far as the select passes gradients to it. MG_NOTHING: no memory. */
uint32_t mg_region_of_side(mg_program *program, uint32_t select, unsigned side);

#endif
