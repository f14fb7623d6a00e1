/* bulk.c: many nodes in one call. The nodes are those that the same expression records operator by
 * operator; what is saved is the crossing from Python for each.
 *
 * A term is a node or a number. A node without references is a temporary of this file: the
 * operation that uses it takes it over, also when it fails. After a failure all further operations
 * only free what they are given, so an expression is written without a check at every step. */
#include "node.h"

typedef struct {
    mg_arena *arena;
    mg_status status; /* of the first operation that failed */
} recorder;

static const mg_term nothing = {NULL, 0.0, 0};

static inline mg_term number_term(double number) {
    return (mg_term){NULL, number, 0};
}

static inline double value_of(mg_term x) {
    return x.node != NULL ? x.node->data : x.number;
}

/* ---- failure ---- */

static void discard(recorder *to, mg_term x) {
    if (x.node != NULL && x.node->refs == 0) mg_free_node(to->arena, x.node);
}

static mg_term fail(recorder *to, mg_status status, mg_term x, mg_term y) {
    if (to->status == MG_OK) to->status = status;
    discard(to, x);
    if (y.node != x.node) discard(to, y);
    return nothing;
}

/* The term of a node just recorded from x and y. */
static inline mg_term done(recorder *to, mg_node *node, mg_term x, mg_term y) {
    if (node == NULL) return fail(to, MG_NO_MEMORY, x, y);
    return (mg_term){node, 0.0, 0};
}

/* ---- operators on terms ---- */

/* Python's own arithmetic. Integers have no -0, and beyond 2^53 are more exact than this. */
static mg_term of_numbers(recorder *to, int op, mg_term x, mg_term y) {
    double z;
    bool integer = x.integer && y.integer;
    mg_evaluate(op, x.number, y.number, &z);
    if (integer && fabs(z) >= 9007199254740992.0) return fail(to, MG_RANGE, x, y);
    return (mg_term){NULL, integer ? z + 0.0 : z, integer};
}

/* + and *: a number on the left changes sides. */
static inline mg_term commutative(recorder *to, int op, mg_term x, mg_term y) {
    double z;
    if (to->status != MG_OK) return fail(to, MG_OK, x, y);
    if (x.node != NULL && y.node != NULL) {
        mg_evaluate(op, x.node->data, y.node->data, &z);
        return done(to, mg_new_binary(to->arena, op, z, x.node, y.node), x, y);
    }
    if (x.node == NULL && y.node == NULL) {
        return of_numbers(to, op, x, y);
    }
    mg_node *node = x.node != NULL ? x.node : y.node;
    double number = x.node != NULL ? y.number : x.number;
    mg_evaluate(op, node->data, number, &z);
    return done(to, mg_new_with_number(to->arena, op, z, node, number), x, y);
}

static inline mg_term add(recorder *to, mg_term x, mg_term y) {
    return commutative(to, MG_OP_add, x, y);
}

static inline mg_term multiply(recorder *to, mg_term x, mg_term y) {
    return commutative(to, MG_OP_multiply, x, y);
}

static mg_term negative(recorder *to, mg_term x) {
    if (x.node != NULL) return multiply(to, x, number_term(-1.0));
    return (mg_term){NULL, x.integer ? 0.0 - x.number : -x.number, x.integer};
}

static mg_term unary(recorder *to, int op, mg_term x) {
    double z;
    if (to->status != MG_OK) return fail(to, MG_OK, x, nothing);
    mg_status status = mg_evaluate(op, value_of(x), 0.0, &z);
    if (status != MG_OK) return fail(to, status, x, nothing);
    if (x.node == NULL) return number_term(z);
    return done(to, mg_new_unary(to->arena, op, z, x.node), x, nothing);
}

static mg_term power(recorder *to, mg_term x, double exponent) {
    double z;
    if (to->status != MG_OK) return fail(to, MG_OK, x, nothing);
    mg_status status = mg_evaluate(MG_OP_exponent, value_of(x), exponent, &z);
    if (status != MG_OK) return fail(to, status, x, nothing);
    if (x.node == NULL) return number_term(z);
    return done(to, mg_new_power(to->arena, z, x.node, exponent, true), x, nothing);
}

/* ---- expressions ---- */

static mg_term sum(recorder *to, const mg_term *values, size_t count) {
    mg_term total = number_term(0.0);
    for (size_t i = 0; i < count; i++) total = add(to, total, values[i]);
    return total;
}

/* The mean of this sum of so many. */
static mg_term divide(recorder *to, mg_term total, size_t count) {
    return multiply(to, total, power(to, number_term((double)count), -1.0));
}

/* The result as a node; numbers alone make a leaf. */
static mg_node *conclude(recorder *to, mg_term result, mg_status *status) {
    mg_node *node = result.node;
    if (to->status == MG_OK && node == NULL) {
        node = mg_new_leaf(to->arena, result.number);
        if (node == NULL) to->status = MG_NO_MEMORY;
    }
    *status = to->status;
    return to->status == MG_OK ? node : NULL;
}

mg_node *mg_new_dot(mg_arena *arena, const mg_term *ws, const mg_term *xs, size_t count,
                    const mg_term *bias, int op, mg_status *status) {
    recorder to = {arena, MG_OK};
    mg_term total = bias != NULL ? *bias : number_term(0.0);
    for (size_t i = 0; i < count && to.status == MG_OK; i++) {
        if (total.node != NULL) i += mg_fold(arena, ws + i, xs + i, count - i, &total.node);
        if (i < count) total = add(&to, total, multiply(&to, ws[i], xs[i]));
    }
    if (op >= 0) total = unary(&to, op, total);
    return conclude(&to, total, status);
}

mg_node *mg_new_total(mg_arena *arena, const mg_term *values, size_t count, mg_status *status) {
    recorder to = {arena, MG_OK};
    return conclude(&to, sum(&to, values, count), status);
}

mg_node *mg_new_mean(mg_arena *arena, const mg_term *values, size_t count, mg_status *status) {
    recorder to = {arena, MG_OK};
    return conclude(&to, divide(&to, sum(&to, values, count), count), status);
}

mg_node *mg_new_mse(mg_arena *arena, const mg_term *predictions, const mg_term *targets,
                    size_t count, mg_status *status) {
    recorder to = {arena, MG_OK};
    mg_term total = number_term(0.0);
    for (size_t i = 0; i < count; i++) {
        mg_term error = add(&to, predictions[i], negative(&to, targets[i]));
        total = add(&to, total, power(&to, error, 2.0));
    }
    return conclude(&to, divide(&to, total, count), status);
}

mg_node *mg_new_hinge(mg_arena *arena, const mg_term *scores, const mg_term *targets, size_t count,
                      mg_status *status) {
    recorder to = {arena, MG_OK};
    mg_term total = number_term(0.0);
    for (size_t i = 0; i < count; i++) {
        mg_term margin = multiply(&to, negative(&to, targets[i]), scores[i]);
        margin = unary(&to, MG_OP_relu, add(&to, number_term(1.0), margin));
        total = add(&to, total, margin);
    }
    return conclude(&to, divide(&to, total, count), status);
}

/* ---- softmax ---- */

/* max(), as Python has it: of equals the first, and a nan only if it comes first */
static double largest(const mg_term *logits, size_t count) {
    double top = value_of(logits[0]);
    for (size_t i = 1; i < count; i++)
        if (value_of(logits[i]) > top) top = value_of(logits[i]);
    return top;
}

/* exps[i] = (logits[i] - top).exp(); their sum, with a reference that keeps it and them. */
static mg_term exponentials(recorder *to, const mg_term *logits, size_t count, mg_term *exps) {
    mg_term shift = number_term(-largest(logits, count));
    for (size_t i = 0; i < count; i++) exps[i] = unary(to, MG_OP_exp, add(to, logits[i], shift));
    mg_term total = sum(to, exps, count);
    if (total.node != NULL) total.node->refs++;
    return total;
}

static void let_go(recorder *to, mg_term total) {
    if (total.node != NULL) mg_drop(to->arena, total.node);
}

mg_status mg_new_softmax(mg_arena *arena, const mg_term *logits, size_t count, mg_node **out) {
    recorder to = {arena, MG_OK};
    if (count > SIZE_MAX / sizeof(mg_term)) return MG_NO_MEMORY;
    mg_term *terms = mg_allocate(arena, count * sizeof(mg_term));
    if (terms == NULL) return MG_NO_MEMORY;
    mg_term total = exponentials(&to, logits, count, terms);
    size_t made = 0;
    for (; to.status == MG_OK && made < count; made++) {
        mg_term share = multiply(&to, terms[made], power(&to, total, -1.0));
        out[made] = conclude(&to, share, &to.status);
        if (out[made] == NULL) break;
        out[made]->refs++;
    }
    if (to.status != MG_OK)
        while (made-- > 0) mg_drop(arena, out[made]);
    let_go(&to, total);
    mg_deallocate(arena, terms);
    return to.status;
}

mg_node *mg_new_cross_entropy(mg_arena *arena, const mg_term *logits, size_t count, size_t target,
                              mg_status *status) {
    recorder to = {arena, MG_OK};
    *status = MG_NO_MEMORY;
    if (count > SIZE_MAX / sizeof(mg_term)) return NULL;
    mg_term *exps = mg_allocate(arena, count * sizeof(mg_term));
    if (exps == NULL) return NULL;
    mg_term total = exponentials(&to, logits, count, exps);
    mg_term share = to.status == MG_OK ? exps[target] : nothing;
    mg_deallocate(arena, exps);
    share = multiply(&to, share, power(&to, total, -1.0));
    mg_node *loss = conclude(&to, negative(&to, unary(&to, MG_OP_log, share)), status);
    if (loss != NULL) loss->refs++; /* while the sum, which may be all it has, is let go of */
    let_go(&to, total);
    if (loss != NULL) loss->refs--;
    return loss;
}

/* ---- rows of dot products ---- */

static bool are_plain(mg_node *const *nodes, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (nodes[i] != NULL && nodes[i]->flags & MG_KEEP) return false;
    return true;
}

/* Room for the terms of all inputs and of a row's weights, the inputs filled in. */
static mg_term *take_inputs(mg_arena *arena, mg_node *const *xs, const double *numbers,
                            size_t count) {
    if (count > SIZE_MAX / 4 / sizeof(mg_term)) return NULL;
    mg_term *terms = mg_allocate(arena, 2 * count * sizeof(mg_term));
    for (size_t k = 0; terms != NULL && k < count; k++)
        terms[k] = (mg_term){xs[k], xs[k] == NULL ? numbers[k] : 0.0, 0};
    return terms;
}

static mg_status record_rows(mg_arena *arena, mg_node *const *ws, size_t rows, mg_term *inputs,
                             size_t count, mg_node *const *biases, int op, mg_node **out) {
    mg_status status = MG_OK;
    mg_term *weights = inputs + count;
    size_t made = 0;
    for (; made < rows; made++) {
        mg_term bias = {biases != NULL ? biases[made] : NULL, 0.0, 0};
        for (size_t k = 0; k < count; k++) weights[k] = (mg_term){ws[made * count + k], 0.0, 0};
        out[made] =
            mg_new_dot(arena, weights, inputs, count, biases != NULL ? &bias : NULL, op, &status);
        if (out[made] == NULL) break;
        out[made]->refs++;
    }
    if (made == rows) return MG_OK;
    while (made-- > 0) mg_drop(arena, out[made]);
    return status;
}

/* ---- the public functions ---- */

mg_status mg_linear(mg_arena *arena, mg_node *const *ws, size_t rows, mg_node *const *xs,
                    const double *numbers, size_t count, mg_node *const *biases, int op, int tag,
                    mg_node **out) {
    mg_status status = MG_OPAQUE;
    mg_lock_take(&arena->lock);
    if (count != 0 && are_plain(ws, rows * count) && are_plain(xs, count) &&
        (biases == NULL || are_plain(biases, rows))) {
        mg_term *inputs = take_inputs(arena, xs, numbers, count);
        status = MG_NO_MEMORY;
        if (inputs != NULL) status = record_rows(arena, ws, rows, inputs, count, biases, op, out);
        mg_deallocate(arena, inputs);
        for (size_t i = 0; status == MG_OK && i < rows; i++) out[i]->tag = (uint8_t)tag;
    }
    mg_lock_give(&arena->lock);
    return status;
}

mg_node *mg_dot(mg_arena *arena, const mg_term *ws, const mg_term *xs, size_t count,
                const mg_term *bias, int op, mg_status *status) {
    mg_status wrong;
    mg_lock_take(&arena->lock);
    mg_node *node = mg_new_dot(arena, ws, xs, count, bias, op, &wrong);
    return mg_hand_over(arena, node, wrong, status);
}

mg_node *mg_total(mg_arena *arena, const mg_term *values, size_t count, mg_status *status) {
    mg_status wrong;
    mg_lock_take(&arena->lock);
    mg_node *node = mg_new_total(arena, values, count, &wrong);
    return mg_hand_over(arena, node, wrong, status);
}

mg_node *mg_mean(mg_arena *arena, const mg_term *values, size_t count, mg_status *status) {
    mg_status wrong;
    mg_lock_take(&arena->lock);
    mg_node *node = mg_new_mean(arena, values, count, &wrong);
    return mg_hand_over(arena, node, wrong, status);
}

mg_status mg_softmax(mg_arena *arena, const mg_term *logits, size_t count, mg_node **out) {
    mg_lock_take(&arena->lock);
    mg_status status = mg_new_softmax(arena, logits, count, out);
    mg_lock_give(&arena->lock);
    return status;
}

mg_node *mg_cross_entropy(mg_arena *arena, const mg_term *logits, size_t count, size_t target,
                          mg_status *status) {
    mg_status wrong;
    mg_lock_take(&arena->lock);
    mg_node *node = mg_new_cross_entropy(arena, logits, count, target, &wrong);
    return mg_hand_over(arena, node, wrong, status);
}

mg_node *mg_mse(mg_arena *arena, const mg_term *predictions, const mg_term *targets, size_t count,
                mg_status *status) {
    mg_status wrong;
    mg_lock_take(&arena->lock);
    mg_node *node = mg_new_mse(arena, predictions, targets, count, &wrong);
    return mg_hand_over(arena, node, wrong, status);
}

mg_node *mg_hinge(mg_arena *arena, const mg_term *scores, const mg_term *targets, size_t count,
                  mg_status *status) {
    mg_status wrong;
    mg_lock_take(&arena->lock);
    mg_node *node = mg_new_hinge(arena, scores, targets, count, &wrong);
    return mg_hand_over(arena, node, wrong, status);
}
