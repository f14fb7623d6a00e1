/* sums.h: which entries are one sum.
 *
 * An addition takes over the products and the sums that nothing else uses, so that
 * b + w0 * x0 + w1 * x1 + ... is one, of values of rows as of numbers computed once a call. The
 * order of additions stays: no bit changes. */
#ifndef MG_SUMS_H
#define MG_SUMS_H

#include "program/program.h"

/* Mark the entries of this level that additions take over. */
void mg_find_sums(const mg_program *program, uint8_t level, bool *absorbed);
/* List the terms of the sum that ends in entry i, in order: products that are absorbed, and other
 * entries. Returns how many there are; there is room for as many as the program has entries. */
size_t mg_list_terms(const mg_program *program, const bool *absorbed, uint32_t i, uint32_t *terms);

#endif
