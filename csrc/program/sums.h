/* sums.h: which entries are one sum.
 *
 * An addition takes over (absorbs) the products and the sum among its operands that nothing else
 * uses, so that b + w0 * x0 + w1 * x1 + ... is one sum. The same holds for values of rows and for
 * scalars. The order of additions stays: no bit changes. */
#ifndef MG_SUMS_H
#define MG_SUMS_H

#include "program/program.h"

/* Mark the entries of this level that additions absorb: absorbed has a flag for each entry, false
 * before. */
void mg_find_sums(const mg_program *program, uint8_t level, bool *absorbed);
/* Write to terms the entries that are the terms of the sum that ends in entry i, in order: absorbed
 * products, and other entries. Return how many they are. terms has room for as many as the program
 * has entries. */
size_t mg_list_terms(const mg_program *program, const bool *absorbed, uint32_t i, uint32_t *terms);

#endif
