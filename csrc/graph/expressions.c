/* expressions.c: many nodes in one call. The nodes are those that the same expression records
 * operator by operator; what is saved is the crossing from Python for each operator.
 *
 * A term is a node or a number. A node without references is a temporary of this file: the
 * operation that uses the temporary takes it over, and frees it in case of failure. After a failure
 * all further operations only free the temporaries they are given, so an expression is written
 * without a check at every step. */
#include "graph/expressions.h"

#include "graph/dots.h"
#include "graph/memory.h"
#include "graph/record.h"
#include "graph/release.h"

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

/* The result as Python has it. An integer is never -0. Integers beyond 2^53 are exact in Python and
 * would not be so here: MG_RANGE. */
static mg_term of_numbers(recorder *to, int op, mg_term x, mg_term y) {
    double z;
    bool integer = x.integer && y.integer;
    mg_evaluate(op, x.number, y.number, &z);
    if (integer && fabs(z) >= MG_LARGEST_INTEGER) return fail(to, MG_RANGE, x, y);
    return (mg_term){NULL, integer ? z + 0.0 : z, integer};
}

/* x + y or x * y; where x is a number and y a node, they change sides. */
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

/* The larger of x and y, where y is a number. */
static mg_term maximum(recorder *to, mg_term x, mg_term y) {
    double z;
    if (to->status != MG_OK) return fail(to, MG_OK, x, y);
    mg_evaluate(MG_OP_maximum, value_of(x), y.number, &z);
    if (x.node == NULL) return number_term(z);
    return done(to, mg_new_with_number(to->arena, MG_OP_maximum, z, x.node, y.number), x, y);
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

/* total / count, as the expression records it: total * count**-1. */
static mg_term divide(recorder *to, mg_term total, size_t count) {
    return multiply(to, total, power(to, number_term((double)count), -1.0));
}

/* Return the result as a node: a leaf, if it is a number. NULL: something failed. */
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
    for (size_t i = 0, done = 0; i < count && to.status == MG_OK; i += done) {
        done = total.node != NULL ? mg_pack(arena, ws + i, xs + i, count - i, &total.node) : 0;
        if (done != 0) continue;
        total = add(&to, total, multiply(&to, ws[i], xs[i]));
        done = 1;
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

/* max() as Python has it: of equal numbers the first, and a nan only if it comes first. */
static double largest(const mg_term *logits, size_t count) {
    double top = value_of(logits[0]);
    for (size_t i = 1; i < count; i++)
        if (value_of(logits[i]) > top) top = value_of(logits[i]);
    return top;
}

/* What softmax and its kin have in common. For each i in turn are recorded shifted[i] = logits[i] -
 * top and exps[i] = shifted[i].exp(); then total = sum(exps). A reference to the total keeps all of
 * these alive. */
typedef struct {
    double top;
    mg_term *shifted; /* count terms */
    mg_term *exps;    /* count terms */
    mg_term total;
} exponentials;

/* Record the exponentials, to be let go of by drop_exponentials. false: no memory, and there is
 * nothing to let go of. An operator's error is noted in the recorder. */
static bool take_exponentials(recorder *to, const mg_term *logits, size_t count,
                              exponentials *out) {
    if (count > SIZE_MAX / 4 / sizeof(mg_term)) return false;
    out->top = largest(logits, count);
    out->shifted = mg_allocate(to->arena, 2 * count * sizeof(mg_term));
    if (out->shifted == NULL) return false;
    out->exps = out->shifted + count;
    for (size_t i = 0; i < count; i++) {
        out->shifted[i] = add(to, logits[i], number_term(-out->top));
        out->exps[i] = unary(to, MG_OP_exp, out->shifted[i]);
    }
    out->total = sum(to, out->exps, count);
    if (out->total.node != NULL) out->total.node->refs++;
    return true;
}

static void drop_exponentials(recorder *to, exponentials *in) {
    if (in->total.node != NULL) mg_drop(to->arena, in->total.node);
    mg_deallocate(to->arena, in->shifted);
}

/* Conclude an expression with one result, and let go of the exponentials. */
static mg_node *conclude_exponentials(recorder *to, exponentials *in, mg_term result,
                                      mg_status *status) {
    mg_node *node = conclude(to, result, status);
    if (node != NULL) node->refs++; /* dropping the total must not free the result */
    drop_exponentials(to, in);
    if (node != NULL) node->refs--;
    return node;
}

/* Record softmax, exps[i] / total; or its logarithm, shifted[i] - total.log(), where -total.log()
 * is recorded once. */
static mg_status record_shares(mg_arena *arena, const mg_term *logits, size_t count,
                               bool logarithms, mg_node **out) {
    recorder to = {arena, MG_OK};
    exponentials in;
    size_t made = 0;
    if (!take_exponentials(&to, logits, count, &in)) return MG_NO_MEMORY;
    const mg_term offset =
        logarithms ? negative(&to, unary(&to, MG_OP_log, in.total)) : number_term(0.0);
    for (; to.status == MG_OK && made < count; made++) {
        mg_term share = logarithms ? add(&to, in.shifted[made], offset)
                                   : multiply(&to, in.exps[made], power(&to, in.total, -1.0));
        out[made] = conclude(&to, share, &to.status);
        if (out[made] == NULL) break;
        out[made]->refs++;
    }
    if (to.status != MG_OK)
        while (made-- > 0) mg_drop(arena, out[made]);
    drop_exponentials(&to, &in);
    return to.status;
}

mg_status mg_new_softmax(mg_arena *arena, const mg_term *logits, size_t count, mg_node **out) {
    return record_shares(arena, logits, count, false, out);
}

mg_status mg_new_log_softmax(mg_arena *arena, const mg_term *logits, size_t count, mg_node **out) {
    return record_shares(arena, logits, count, true, out);
}

mg_node *mg_new_logsumexp(mg_arena *arena, const mg_term *logits, size_t count, mg_status *status) {
    recorder to = {arena, MG_OK};
    exponentials in;
    *status = MG_NO_MEMORY;
    if (!take_exponentials(&to, logits, count, &in)) return NULL;
    mg_term result = add(&to, unary(&to, MG_OP_log, in.total), number_term(in.top));
    return conclude_exponentials(&to, &in, result, status);
}

mg_node *mg_new_cross_entropy(mg_arena *arena, const mg_term *logits, size_t count, size_t target,
                              mg_status *status) {
    recorder to = {arena, MG_OK};
    exponentials in;
    *status = MG_NO_MEMORY;
    if (!take_exponentials(&to, logits, count, &in)) return NULL;
    const mg_term shifted = to.status == MG_OK ? in.shifted[target] : nothing;
    mg_term result = unary(&to, MG_OP_log, in.total);
    result = add(&to, result, negative(&to, shifted));
    return conclude_exponentials(&to, &in, result, status);
}

/* max(z, 0) - t z + log(1 + e^-|z|). The logarithm is recorded first: so backward adds to the
 * gradient of z first 1 and -t, which may nearly cancel, and then the small rest. */
static mg_term logistic_loss(recorder *to, mg_term z, mg_term t) {
    mg_term e = unary(to, MG_OP_exp, negative(to, unary(to, MG_OP_abs, z)));
    mg_term rest = unary(to, MG_OP_log, add(to, number_term(1.0), e));
    mg_term larger = maximum(to, z, number_term(0.0));
    mg_term loss = add(to, larger, multiply(to, negative(to, t), z));
    return add(to, loss, rest);
}

mg_node *mg_new_logistic(mg_arena *arena, const mg_term *logits, const mg_term *targets,
                         size_t count, mg_status *status) {
    recorder to = {arena, MG_OK};
    mg_term total = number_term(0.0);
    for (size_t i = 0; i < count; i++)
        total = add(&to, total, logistic_loss(&to, logits[i], targets[i]));
    return conclude(&to, divide(&to, total, count), status);
}

/* ---- rows of dot products ---- */

static bool are_plain(mg_node *const *nodes, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (nodes[i] != NULL && nodes[i]->flags & MG_KEEP) return false;
    return true;
}

/* Return room for 2 * count terms: the inputs, filled in, then the weights of a row, not yet. NULL:
 * no memory. */
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

mg_status mg_new_linear(mg_arena *arena, mg_node *const *ws, size_t rows, mg_node *const *xs,
                        const double *numbers, size_t count, mg_node *const *biases, int op,
                        int tag, mg_node **out) {
    if (count == 0 || !are_plain(ws, rows * count) || !are_plain(xs, count) ||
        (biases != NULL && !are_plain(biases, rows)))
        return MG_OPAQUE;
    mg_term *inputs = take_inputs(arena, xs, numbers, count);
    if (inputs == NULL) return MG_NO_MEMORY;
    mg_status status = record_rows(arena, ws, rows, inputs, count, biases, op, out);
    mg_deallocate(arena, inputs);
    for (size_t i = 0; status == MG_OK && i < rows; i++) out[i]->tag = (uint8_t)tag;
    return status;
}
