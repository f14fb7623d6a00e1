/* optimizers.h: updates of parameters, and of their gradients. See mg_sgd_step, mg_adam_step,
 * mg_rmsprop_step, mg_clip_norm, mg_clip_value, mg_zero_grads. */
#ifndef MG_OPTIMIZERS_H
#define MG_OPTIMIZERS_H

#include "graph/node.h"

void mg_update_sgd(mg_node *const *nodes, size_t count, const mg_sgd *how, double *buffer);
void mg_update_adam(mg_node *const *nodes, size_t count, const mg_adam *how, double *m, double *v,
                    double *largest);
void mg_update_rmsprop(mg_node *const *nodes, size_t count, const mg_rmsprop *how, double *square,
                       double *mean, double *buffer);
double mg_clip_grads_by_norm(mg_node *const *nodes, size_t count, double max_norm,
                             double norm_type);
void mg_clip_grads(mg_node *const *nodes, size_t count, double bound);
void mg_clear_grads(mg_node *const *nodes, size_t count);

#endif
