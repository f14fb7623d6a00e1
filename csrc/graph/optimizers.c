/* optimizers.c: gradient descent over many parameters in one call, as PyTorch defines it
 * (torch.optim.SGD, Adam, AdamW, RMSprop; torch.nn.utils.clip_grad_norm_, clip_grad_value_). What
 * an optimizer remembers of each parameter lies in arrays of the caller's, one number for each
 * parameter, 0 at first. A decay of 0 adds nothing: 0 times an infinite parameter would be nan. */
#include "graph/optimizers.h"

#include "for_speed.h"

/* With p a parameter, g its gradient, b its buffer:
 * g = g + weight_decay p,  b = momentum b + (1 - dampening) g,  p = p - lr b;
 * Nesterov's:  p = p - lr (g + momentum b) */
void mg_update_sgd(mg_node *const *nodes, size_t count, const mg_sgd *how, double *buffer) {
    const mg_sgd with = *how; /* where no number of a node's can be: not read anew each time */
    const double taken = 1.0 - with.dampening;
    for (size_t i = 0; i < count; i++) {
        mg_node *p = nodes[i];
        double step = p->grad;
        if (with.weight_decay != 0.0) step += with.weight_decay * p->data;
        if (with.momentum != 0.0) {
            const double b = buffer[i] = with.momentum * buffer[i] + taken * step;
            step = with.nesterov ? step + with.momentum * b : b;
        }
        p->data -= with.lr * step;
    }
}

enum { BLOCK = 64 }; /* parameters at a time: their numbers lie side by side, for vectors */

/* The steps of Adam for the data p and the gradients g of at most BLOCK parameters, with
 * rate = lr / (1 - b1^t) and correction = sqrt(1 - b2^t). */
MG_INLINE void step_of_adam(size_t count, const mg_adam *how, double rate, double correction,
                            double *restrict p, double *restrict g, double *restrict m,
                            double *restrict v, double *restrict largest) {
    const double decay = how->weight_decay, shrunk = how->lr * how->weight_decay;
    const double beta1 = how->beta1, beta2 = how->beta2, eps = how->eps;
    const double *squares = v;
    if (decay != 0.0 && how->decoupled)
        for (size_t i = 0; i < count; i++) p[i] -= shrunk * p[i];
    if (decay != 0.0 && !how->decoupled)
        for (size_t i = 0; i < count; i++) g[i] += decay * p[i];
    for (size_t i = 0; i < count; i++) {
        m[i] = beta1 * m[i] + (1.0 - beta1) * g[i];
        v[i] = beta2 * v[i] + (1.0 - beta2) * g[i] * g[i];
    }
    if (how->amsgrad) {
        for (size_t i = 0; i < count; i++)
            if (!(v[i] <= largest[i])) largest[i] = v[i]; /* also where it is nan */
        squares = largest;
    }
    for (size_t i = 0; i < count; i++) p[i] -= rate * m[i] / (sqrt(squares[i]) / correction + eps);
}

typedef void adam_steps(size_t count, const mg_adam *how, double rate, double correction, double *p,
                        double *g, double *m, double *v, double *largest);

static void plain_steps(size_t count, const mg_adam *how, double rate, double correction, double *p,
                        double *g, double *m, double *v, double *largest) {
    step_of_adam(count, how, rate, correction, p, g, m, v, largest);
}

#if defined(MG_HAS_KINDS)
/* In vectors of four, not of two. Nothing is fused: results are the same to the last bit. */
__attribute__((target("avx2"))) static void avx2_steps(size_t count, const mg_adam *how,
                                                       double rate, double correction, double *p,
                                                       double *g, double *m, double *v,
                                                       double *largest) {
    step_of_adam(count, how, rate, correction, p, g, m, v, largest);
}
#endif

static adam_steps *choose_steps(void) {
#if defined(MG_HAS_KINDS)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx2")) return avx2_steps;
#endif
    return plain_steps;
}

/* With p a parameter, g its gradient, t the step; first the decay:
 * g = g + weight_decay p or, decoupled, p = p - lr weight_decay p; then
 * m = b1 m + (1 - b1) g,  v = b2 v + (1 - b2) g^2,
 * p = p - lr (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + eps);
 * amsgrad:  largest = max(largest, v), which takes the place of v in the last line */
void mg_update_adam(mg_node *const *nodes, size_t count, const mg_adam *how, double *m, double *v,
                    double *largest) {
    const double rate = how->lr / (1.0 - pow(how->beta1, how->step));
    const double correction = sqrt(1.0 - pow(how->beta2, how->step));
    double p[BLOCK], g[BLOCK];
    adam_steps *const step = choose_steps();
    for (size_t done = 0, some; done < count; done += some) {
        some = count - done < BLOCK ? count - done : BLOCK;
        for (size_t i = 0; i < some; i++) {
            p[i] = nodes[done + i]->data;
            g[i] = nodes[done + i]->grad;
        }
        step(some, how, rate, correction, p, g, m + done, v + done,
             how->amsgrad ? largest + done : NULL);
        for (size_t i = 0; i < some; i++) nodes[done + i]->data = p[i];
    }
}

/* With p a parameter, g its gradient, b its buffer; g = g + weight_decay p, then
 * square = alpha square + (1 - alpha) g^2,  s = square, or, centered:
 * mean = alpha mean + (1 - alpha) g,  s = square - mean^2; then
 * b = momentum b + g / (sqrt(s) + eps),  p = p - lr b */
void mg_update_rmsprop(mg_node *const *nodes, size_t count, const mg_rmsprop *how, double *square,
                       double *mean, double *buffer) {
    for (size_t i = 0; i < count; i++) {
        mg_node *p = nodes[i];
        double g = p->grad;
        if (how->weight_decay != 0.0) g += how->weight_decay * p->data;
        square[i] = how->alpha * square[i] + (1.0 - how->alpha) * g * g;
        double spread = square[i];
        if (how->centered) {
            mean[i] = how->alpha * mean[i] + (1.0 - how->alpha) * g;
            spread -= mean[i] * mean[i];
        }
        double step = g / (sqrt(spread) + how->eps);
        if (how->momentum != 0.0) step = buffer[i] = how->momentum * buffer[i] + step;
        p->data -= how->lr * step;
    }
}

/* A flag tells which nodes have been counted: one that is there twice is counted and scaled
 * once. */
double mg_clip_grads_by_norm(mg_node *const *nodes, size_t count, double max_norm,
                             double norm_type) {
    double norm = 0.0;
    for (size_t i = 0; i < count; i++) {
        if (nodes[i]->flags & MG_LISTED) continue;
        nodes[i]->flags |= MG_LISTED;
        const double size = fabs(nodes[i]->grad);
        if (norm_type == 2.0)
            norm += size * size;
        else if (!isinf(norm_type))
            norm += pow(size, norm_type);
        else if (size > norm || isnan(size))
            norm = size;
    }
    if (norm_type == 2.0)
        norm = sqrt(norm);
    else if (!isinf(norm_type))
        norm = pow(norm, 1.0 / norm_type);
    double factor = max_norm / (norm + 1e-6);
    if (factor > 1.0) factor = 1.0;
    for (size_t i = 0; i < count; i++) {
        if (!(nodes[i]->flags & MG_LISTED)) continue;
        nodes[i]->flags &= (uint8_t)~MG_LISTED;
        nodes[i]->grad *= factor;
    }
    return norm;
}

void mg_clip_grads(mg_node *const *nodes, size_t count, double bound) {
    for (size_t i = 0; i < count; i++) {
        mg_node *p = nodes[i];
        if (p->grad > bound) p->grad = bound;
        if (p->grad < -bound) p->grad = -bound;
    }
}

void mg_clear_grads(mg_node *const *nodes, size_t count) {
    for (size_t i = 0; i < count; i++) nodes[i]->grad = 0.0;
}
