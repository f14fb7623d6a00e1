/* per_call.h: what is computed once a call, of captured nodes alone. */
#ifndef MG_PER_CALL_H
#define MG_PER_CALL_H

#include "program/program.h"

/* Give constants, scalars and their adjoints places, and list the steps; false: no memory, or given
 * up. */
bool mg_place_scalars(mg_arena *memory, mg_program *program);
/* Compute the scalars of a call. */
void mg_evaluate_scalars(const mg_program *program, mg_call *call);
/* Push the adjoints of scalars, adjoint_count numbers of which the first are sums over rows, down
 * to the captured nodes: into call->captured_grads. */
void mg_push_scalars(const mg_program *program, mg_call *call, double *adjoints);

#endif
