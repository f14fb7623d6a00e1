/* expressions.h: whole expressions in one call. Each function does what the public function of the
 * same name does (mg_dot, mg_linear, ...), except that a node that is returned has no reference;
 * nodes written to an array have one. status may not be NULL. */
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
