/* expressions.h: whole expressions in one call: what the public functions of the same names say
 * (mg_dot, mg_linear, ...), the nodes without a reference for the caller, but for arrays of them.
 */
#ifndef MG_EXPRESSIONS_H
#define MG_EXPRESSIONS_H

#include "graph/node.h"

mg_node *mg_new_dot(mg_arena *arena, const mg_term *ws, const mg_term *xs, size_t count,
                    const mg_term *bias, int op, mg_status *status);
mg_status mg_new_linear(mg_arena *arena, mg_node *const *ws, size_t rows, mg_node *const *xs,
                        const double *numbers, size_t count, mg_node *const *biases, int op,
                        int tag, mg_node **out);
mg_node *mg_new_total(mg_arena *arena, const mg_term *values, size_t count, mg_status *status);
mg_node *mg_new_mean(mg_arena *arena, const mg_term *values, size_t count, mg_status *status);
mg_status mg_new_softmax(mg_arena *arena, const mg_term *logits, size_t count, mg_node **out);
mg_status mg_new_log_softmax(mg_arena *arena, const mg_term *logits, size_t count, mg_node **out);
mg_node *mg_new_logsumexp(mg_arena *arena, const mg_term *logits, size_t count, mg_status *status);
mg_node *mg_new_cross_entropy(mg_arena *arena, const mg_term *logits, size_t count, size_t target,
                              mg_status *status);
mg_node *mg_new_mse(mg_arena *arena, const mg_term *predictions, const mg_term *targets,
                    size_t count, mg_status *status);
mg_node *mg_new_hinge(mg_arena *arena, const mg_term *scores, const mg_term *targets, size_t count,
                      mg_status *status);
mg_node *mg_new_logistic(mg_arena *arena, const mg_term *logits, const mg_term *targets,
                         size_t count, mg_status *status);

#endif
