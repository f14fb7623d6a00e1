/* per_call.h: what is computed once a call, of captured nodes alone. */
#ifndef MG_PER_CALL_H
#define MG_PER_CALL_H

#include "program/program.h"

/* Give constants, scalars and their adjoints places, and list the steps; false: no memory, or given
 * up. */
bool mg_place_scalars(mg_arena *memory, mg_program *program);
/* Compute the scalars of a call. */
void mg_evaluate_scalars(const mg_program *program, mg_call *call);
/* Push the adjoints of scalars, which are in call->sums, down to those of captured nodes, and write
 * these to call->captured_grads; in a replay with smaller seeds, to those that were not finite.
 * Return whether some are not, and the rows are to be replayed so. */
bool mg_push_scalars(const mg_program *program, mg_call *call);

#endif
