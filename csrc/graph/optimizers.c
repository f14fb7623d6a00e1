/* optimizers.c: gradient descent over many parameters in one call, as PyTorch defines it
 * (torch.optim.SGD, Adam, AdamW). What an optimizer remembers of each parameter lies in arrays of
 * the caller's, one number for each parameter, 0 at first. */
#include "graph/optimizers.h"

/* With p a parameter, g its gradient, b its buffer:
 * b = momentum b + (g + weight_decay p),  p = p - lr b */
void mg_update_sgd(mg_node *const *nodes, size_t count, const mg_sgd *how, double *buffer) {
    for (size_t i = 0; i < count; i++) {
        mg_node *p = nodes[i];
        double step = p->grad + how->weight_decay * p->data;
        if (how->momentum != 0.0) step = buffer[i] = how->momentum * buffer[i] + step;
        p->data -= how->lr * step;
    }
}

/* With p a parameter, g its gradient, t the step; first the decay:
 * g = g + weight_decay p or, decoupled, p = p - lr weight_decay p; then
 * m = b1 m + (1 - b1) g,  v = b2 v + (1 - b2) g^2,
 * p = p - lr (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + eps) */
void mg_update_adam(mg_node *const *nodes, size_t count, const mg_adam *how, double *m, double *v) {
    const double correction1 = 1.0 - pow(how->beta1, how->step);
    const double correction2 = sqrt(1.0 - pow(how->beta2, how->step));
    for (size_t i = 0; i < count; i++) {
        mg_node *p = nodes[i];
        double g = p->grad;
        if (how->decoupled)
            p->data -= how->lr * how->weight_decay * p->data;
        else
            g += how->weight_decay * p->data;
        m[i] = how->beta1 * m[i] + (1.0 - how->beta1) * g;
        v[i] = how->beta2 * v[i] + (1.0 - how->beta2) * g * g;
        p->data -= how->lr / correction1 * m[i] / (sqrt(v[i]) / correction2 + how->eps);
    }
}

void mg_clear_grads(mg_node *const *nodes, size_t count) {
    for (size_t i = 0; i < count; i++) nodes[i]->grad = 0.0;
}
