/* api.c: the public functions of micrograd.h that are about nodes. Each locks the arena and calls
 * the function that does the work. No node's operands are looked at without the lock, since another
 * thread may unpack the node meanwhile. */
#include "graph/backward.h"
#include "graph/check.h"
#include "graph/expressions.h"
#include "graph/keep.h"
#include "graph/look.h"
#include "graph/memory.h"
#include "graph/optimizers.h"
#include "graph/pages.h"
#include "graph/record.h"
#include "graph/release.h"
#include "program/trace.h"

/* The body of a function: do some work, or return its result, with the arena locked. */
#define LOCKED(arena, work)           \
    mg_arena *const locked = (arena); \
    mg_lock_take(&locked->lock);      \
    work;                             \
    mg_lock_give(&locked->lock)
#define RETURN_LOCKED(type, arena, work) \
    LOCKED(arena, type result = (work)); \
    return result

static inline mg_arena *arena_of(const mg_node *node) {
    return mg_page_of(node)->arena;
}

/* ---- the arena ---- */

void mg_arena_statistics(mg_arena *arena, mg_statistics *out) {
    LOCKED(arena, mg_get_statistics(arena, out));
}

const char *mg_check(mg_arena *arena) {
    RETURN_LOCKED(const char *, arena, mg_find_fault(arena));
}

void mg_arena_trim(mg_arena *arena) {
    LOCKED(arena, mg_trim(arena));
}

void mg_arena_fail_after(mg_arena *arena, size_t n) {
    LOCKED(arena, arena->fail_after = n);
}

void mg_arena_set_plain(mg_arena *arena, int plain) {
    LOCKED(arena, arena->plain = plain != 0);
}

void mg_arena_set_poll(mg_arena *arena, int (*interrupted)(void)) {
    LOCKED(arena, mg_set_poll(arena, interrupted));
}

/* ---- recording ----
 *
 * Each function locks the arena, evaluates, records, and hands over. */

/* Unlock the arena, and return the new node with one reference for the caller. If there is none,
 * say why in *why, unless that is NULL: `status`, or MG_NO_MEMORY if that is MG_OK. */
static mg_node *hand_over(mg_arena *arena, mg_node *node, mg_status status, mg_status *why) {
    if (node != NULL) node->refs++;
    mg_lock_give(&arena->lock);
    if (why != NULL) *why = node != NULL || status != MG_OK ? status : MG_NO_MEMORY;
    return node;
}

static inline double data_of(const mg_node *node) {
    return node != NULL ? node->data : 0.0;
}

static inline mg_node *new_operation(mg_arena *arena, int op, double z, mg_node *x, mg_node *y) {
    return y != NULL ? mg_new_binary(arena, op, z, x, y) : mg_new_unary(arena, op, z, x);
}

mg_node *mg_leaf(mg_arena *arena, double data) {
    mg_lock_take(&arena->lock);
    return hand_over(arena, mg_new_leaf(arena, data), MG_OK, NULL);
}

int mg_renew_leaf(mg_node *node, double data, uint32_t tag) {
    mg_arena *arena = arena_of(node);
    mg_lock_take(&arena->lock);
    bool renewed =
        node->op == MG_OP_leaf && node->refs == 1 && node->flags == 0 && node->tag == tag;
    if (renewed) {
        node->data = data;
        node->grad = 0.0;
    }
    mg_lock_give(&arena->lock);
    return renewed;
}

mg_node *mg_record(mg_arena *arena, int op, mg_node *x, mg_node *y, mg_status *status) {
    double z;
    mg_lock_take(&arena->lock);
    mg_status wrong = mg_evaluate(op, x->data, data_of(y), &z);
    mg_node *node = wrong == MG_OK ? new_operation(arena, op, z, x, y) : NULL;
    return hand_over(arena, node, wrong, status);
}

mg_node *mg_record_plain(int op, mg_node *x, mg_node *y) {
    double z;
    mg_node *node = NULL;
    mg_arena *arena = arena_of(x);
    mg_lock_take(&arena->lock);
    int flags = y != NULL ? x->flags | y->flags : x->flags;
    if (arena->plain && (flags & MG_KEEP) == 0 && mg_evaluate(op, x->data, data_of(y), &z) == MG_OK)
        node = new_operation(arena, op, z, x, y);
    return hand_over(arena, node, MG_OK, NULL);
}

mg_node *mg_record_plain_number(int op, mg_node *x, double y) {
    double z;
    mg_node *node = NULL;
    mg_arena *arena = arena_of(x);
    mg_lock_take(&arena->lock);
    if (arena->plain && (x->flags & MG_KEEP) == 0 && mg_evaluate(op, x->data, y, &z) == MG_OK)
        node = mg_new_with_number(arena, op, z, x, y);
    return hand_over(arena, node, MG_OK, NULL);
}

mg_node *mg_record_number(mg_arena *arena, int op, mg_node *x, double y, mg_status *status) {
    double z;
    mg_lock_take(&arena->lock);
    mg_status wrong = mg_evaluate(op, x->data, y, &z);
    mg_node *node = wrong == MG_OK ? mg_new_with_number(arena, op, z, x, y) : NULL;
    return hand_over(arena, node, wrong, status);
}

mg_node *mg_record_reflected(mg_arena *arena, int op, double x, mg_node *y, mg_status *status) {
    double z;
    mg_lock_take(&arena->lock);
    mg_status wrong = mg_evaluate(op, x, y->data, &z);
    mg_node *node = wrong == MG_OK ? mg_new_reflected(arena, op, z, x, y) : NULL;
    return hand_over(arena, node, wrong, status);
}

mg_node *mg_record_power(mg_arena *arena, mg_node *x, double exponent, int integer,
                         mg_status *status) {
    double z;
    mg_lock_take(&arena->lock);
    mg_status wrong = mg_evaluate(MG_OP_exponent, x->data, exponent, &z);
    mg_node *node = wrong == MG_OK ? mg_new_power(arena, z, x, exponent, integer != 0) : NULL;
    return hand_over(arena, node, wrong, status);
}

mg_node *mg_record_difference(mg_arena *arena, mg_node *x, mg_node *y, mg_status *status) {
    mg_lock_take(&arena->lock);
    return hand_over(arena, mg_new_difference(arena, x, y), MG_OK, status);
}

mg_node *mg_record_quotient(mg_arena *arena, mg_node *x, mg_node *y, mg_status *status) {
    double inverse;
    mg_lock_take(&arena->lock);
    mg_status wrong = mg_evaluate(MG_OP_exponent, y->data, -1.0, &inverse);
    mg_node *node = wrong == MG_OK ? mg_new_quotient(arena, x, y, inverse) : NULL;
    return hand_over(arena, node, wrong, status);
}

mg_node *mg_record_custom(mg_arena *arena, double data, mg_node *const *operands, size_t count,
                          const double *partials, mg_status *status) {
    mg_lock_take(&arena->lock);
    return hand_over(arena, mg_new_custom(arena, data, operands, count, partials), MG_OK, status);
}

mg_node *mg_restore(mg_arena *arena, int op, double data, mg_node *const *operands, size_t count,
                    double exponent, int integer, const double *partials, mg_status *status) {
    mg_lock_take(&arena->lock);
    mg_node *node =
        mg_new_restored(arena, op, data, operands, count, exponent, integer != 0, partials);
    return hand_over(arena, node, MG_OK, status);
}

/* ---- expressions ---- */

#define RECORD_EXPRESSION(recorded)   \
    mg_status wrong;                  \
    mg_lock_take(&arena->lock);       \
    mg_node *const node = (recorded); \
    return hand_over(arena, node, wrong, status)

mg_node *mg_dot(mg_arena *arena, const mg_term *ws, const mg_term *xs, size_t count,
                const mg_term *bias, int op, mg_status *status) {
    RECORD_EXPRESSION(mg_new_dot(arena, ws, xs, count, bias, op, &wrong));
}

mg_status mg_linear(mg_arena *arena, mg_node *const *ws, size_t rows, mg_node *const *xs,
                    const double *numbers, size_t count, mg_node *const *biases, int op, int tag,
                    mg_node **out) {
    RETURN_LOCKED(mg_status, arena,
                  mg_new_linear(arena, ws, rows, xs, numbers, count, biases, op, tag, out));
}

mg_node *mg_total(mg_arena *arena, const mg_term *values, size_t count, mg_status *status) {
    RECORD_EXPRESSION(mg_new_total(arena, values, count, &wrong));
}

mg_node *mg_mean(mg_arena *arena, const mg_term *values, size_t count, mg_status *status) {
    RECORD_EXPRESSION(mg_new_mean(arena, values, count, &wrong));
}

mg_status mg_softmax(mg_arena *arena, const mg_term *logits, size_t count, mg_node **out) {
    RETURN_LOCKED(mg_status, arena, mg_new_softmax(arena, logits, count, out));
}

mg_status mg_log_softmax(mg_arena *arena, const mg_term *logits, size_t count, mg_node **out) {
    RETURN_LOCKED(mg_status, arena, mg_new_log_softmax(arena, logits, count, out));
}

mg_node *mg_logsumexp(mg_arena *arena, const mg_term *logits, size_t count, mg_status *status) {
    RECORD_EXPRESSION(mg_new_logsumexp(arena, logits, count, &wrong));
}

mg_node *mg_cross_entropy(mg_arena *arena, const mg_term *logits, size_t count, size_t target,
                          mg_status *status) {
    RECORD_EXPRESSION(mg_new_cross_entropy(arena, logits, count, target, &wrong));
}

mg_node *mg_mse(mg_arena *arena, const mg_term *predictions, const mg_term *targets, size_t count,
                mg_status *status) {
    RECORD_EXPRESSION(mg_new_mse(arena, predictions, targets, count, &wrong));
}

mg_node *mg_hinge(mg_arena *arena, const mg_term *scores, const mg_term *targets, size_t count,
                  mg_status *status) {
    RECORD_EXPRESSION(mg_new_hinge(arena, scores, targets, count, &wrong));
}

mg_node *mg_logistic(mg_arena *arena, const mg_term *logits, const mg_term *targets, size_t count,
                     mg_status *status) {
    RECORD_EXPRESSION(mg_new_logistic(arena, logits, targets, count, &wrong));
}

/* ---- parameters ---- */

void mg_sgd_step(mg_arena *arena, mg_node *const *nodes, size_t count, const mg_sgd *how,
                 double *buffer) {
    LOCKED(arena, mg_update_sgd(nodes, count, how, buffer));
}

void mg_adam_step(mg_arena *arena, mg_node *const *nodes, size_t count, const mg_adam *how,
                  double *m, double *v, double *largest) {
    LOCKED(arena, mg_update_adam(nodes, count, how, m, v, largest));
}

void mg_rmsprop_step(mg_arena *arena, mg_node *const *nodes, size_t count, const mg_rmsprop *how,
                     double *square, double *mean, double *buffer) {
    LOCKED(arena, mg_update_rmsprop(nodes, count, how, square, mean, buffer));
}

double mg_clip_norm(mg_arena *arena, mg_node *const *nodes, size_t count, double max_norm,
                    double norm_type) {
    RETURN_LOCKED(double, arena, mg_clip_grads_by_norm(nodes, count, max_norm, norm_type));
}

void mg_clip_value(mg_arena *arena, mg_node *const *nodes, size_t count, double bound) {
    LOCKED(arena, mg_clip_grads(nodes, count, bound));
}

void mg_zero_grads(mg_arena *arena, mg_node *const *nodes, size_t count) {
    LOCKED(arena, mg_clear_grads(nodes, count));
}

void mg_get_data(mg_arena *arena, mg_node *const *nodes, size_t count, double *data) {
    LOCKED(arena, for (size_t i = 0; i < count; i++) data[i] = nodes[i]->data);
}

void mg_set_data(mg_arena *arena, mg_node *const *nodes, size_t count, const double *data) {
    LOCKED(arena, for (size_t i = 0; i < count; i++) nodes[i]->data = data[i]);
}

void mg_get_grads(mg_arena *arena, mg_node *const *nodes, size_t count, double *grads) {
    LOCKED(arena, for (size_t i = 0; i < count; i++) grads[i] = nodes[i]->grad);
}

void mg_add_grads(mg_arena *arena, mg_node *const *nodes, size_t count, const double *grads) {
    LOCKED(arena, for (size_t i = 0; i < count; i++) nodes[i]->grad += grads[i]);
}

/* ---- references, and state beside a node ---- */

void mg_retain(mg_node *node) {
    LOCKED(arena_of(node), node->refs++);
}

int mg_release(mg_node *node) {
    mg_arena *arena = arena_of(node);
    RETURN_LOCKED(int, arena, (mg_give_back(arena, node), arena->orphans != NULL));
}

mg_status mg_node_keep(mg_arena *arena, mg_node *node) {
    RETURN_LOCKED(mg_status, arena, mg_keep(arena, node));
}

int mg_node_hold(mg_arena *arena, mg_node *node) {
    RETURN_LOCKED(int, arena, mg_hold(node));
}

int mg_node_unkeep(mg_arena *arena, mg_node *node) {
    RETURN_LOCKED(int, arena, mg_unkeep(arena, node));
}

int mg_node_unhold(mg_arena *arena, mg_node *node, size_t parents) {
    RETURN_LOCKED(int, arena, mg_unhold(node, parents));
}

void mg_node_set_cyclic(mg_arena *arena, mg_node *node) {
    LOCKED(arena, node->flags |= MG_CYCLIC);
}

mg_node *mg_arena_next_above_cyclic(mg_arena *arena, mg_node *node) {
    mg_lock_take(&arena->lock);
    return hand_over(arena, mg_next_above_cyclic(arena, node), MG_OK, NULL);
}

mg_node *mg_arena_next_orphan(mg_arena *arena) {
    RETURN_LOCKED(mg_node *, arena, mg_next_orphan(arena));
}

void mg_node_set_closure(mg_arena *arena, mg_node *node, int closure) {
    LOCKED(arena, mg_set_closure(arena, node, closure != 0));
}

/* ---- what a node was made from ---- */

int mg_node_operator(const mg_node *node) {
    RETURN_LOCKED(int, arena_of(node), mg_operator_of(node));
}

size_t mg_node_arity(const mg_node *node) {
    RETURN_LOCKED(size_t, arena_of(node), mg_arity_of(node));
}

mg_node *mg_node_operand(const mg_node *node, size_t i) {
    RETURN_LOCKED(mg_node *, arena_of(node), mg_operand_of(node, i));
}

double mg_node_exponent(const mg_node *node) {
    RETURN_LOCKED(double, arena_of(node), mg_exponent_of(node));
}

int mg_node_exponent_is_integer(const mg_node *node) {
    RETURN_LOCKED(int, arena_of(node), mg_exponent_is_integer(node));
}

int mg_node_rule(const mg_node *node) {
    RETURN_LOCKED(int, arena_of(node), (int)mg_rule_of(node));
}

int mg_node_has_partials(const mg_node *node) {
    RETURN_LOCKED(int, arena_of(node), mg_has_partials(node));
}

mg_status mg_node_partial(const mg_node *node, size_t i, double *partial) {
    RETURN_LOCKED(mg_status, arena_of(node), mg_partial(node, i, partial));
}

/* ---- backward ---- */

mg_status mg_backward(mg_arena *arena, mg_node *root, mg_order **order, mg_node **culprit) {
    LOCKED(arena, mg_status status = mg_sweep(arena, root, order, culprit);
           mg_set_poll(arena, NULL));
    return status;
}

mg_status mg_order_next(mg_arena *arena, mg_order *order, mg_node **closure, mg_node **culprit) {
    RETURN_LOCKED(mg_status, arena, mg_resume(order, closure, culprit));
}

mg_order *mg_order_new(mg_arena *arena, mg_node *root) {
    RETURN_LOCKED(mg_order *, arena, mg_list(arena, root));
}

mg_status mg_order_set_aside(mg_arena *arena, mg_order *order, mg_node *const *nodes,
                             size_t count) {
    LOCKED(arena, bool done = mg_set_aside(arena, order, nodes, count));
    return done ? MG_OK : MG_NO_MEMORY;
}

void mg_order_put_back(mg_arena *arena, mg_order *order) {
    LOCKED(arena, mg_put_back(order));
}

void mg_order_free(mg_arena *arena, mg_order *order) {
    LOCKED(arena, mg_drop_order(arena, order));
}

mg_status mg_push(mg_arena *arena, mg_node *node) {
    RETURN_LOCKED(mg_status, arena, mg_push_node(node));
}

/* ---- traces ---- */

void mg_begin_recording(mg_arena *arena, mg_position *start) {
    LOCKED(arena, mg_start_recording(arena, start));
}

void mg_end_recording(mg_arena *arena) {
    LOCKED(arena, arena->recordings--);
}

mg_node *mg_record_rule(mg_arena *arena, mg_rule rule, double data, mg_node *const *operands,
                        size_t count, mg_status *status) {
    mg_lock_take(&arena->lock);
    return hand_over(arena, mg_new_rule(arena, rule, data, operands, count), MG_OK, status);
}

mg_trace *mg_trace_new(mg_arena *arena, const mg_node *anchor, const mg_position *start,
                       mg_node *const *inputs, size_t count, mg_status *status, mg_node **culprit) {
    LOCKED(arena,
           mg_trace *trace = mg_make_trace(arena, anchor, start, inputs, count, status, culprit);
           mg_set_poll(arena, NULL));
    return trace;
}

void mg_trace_free(mg_arena *arena, mg_trace *trace) {
    LOCKED(arena, mg_drop_trace(arena, trace));
}

/* ---- what needs no lock ---- */

double mg_node_data(const mg_node *node) {
    return node->data;
}

double mg_node_grad(const mg_node *node) {
    return node->grad;
}

void mg_node_set_data(mg_node *node, double data) {
    node->data = data;
}

void mg_node_set_grad(mg_node *node, double grad) {
    node->grad = grad;
}

size_t mg_node_references(const mg_node *node) {
    return node->refs;
}

int mg_node_tag(const mg_node *node) {
    return (int)mg_tag_of(node);
}

int mg_node_set_tag(mg_node *node, int tag) {
    return mg_set_tag(node, (uint32_t)tag);
}

int mg_node_is_cyclic(const mg_node *node) {
    return (node->flags & MG_CYCLIC) != 0;
}

size_t mg_order_count(const mg_order *order) {
    return order->count;
}

mg_node *mg_order_node(const mg_order *order, size_t i) {
    return order->nodes[i];
}

int mg_order_done(const mg_order *order) {
    return mg_is_done(order);
}

int mg_node_is_fresh(const mg_node *node, const mg_position *start) {
    return mg_is_fresh(node, start);
}

uint64_t mg_node_serial(const mg_node *node) {
    return mg_serial(node);
}
