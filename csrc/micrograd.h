/* micrograd.h: a scalar autograd engine in an arena.
 *
 * A node is one number of a computation: its data, its gradient, and the operands it was made
 * from. Nodes live in an arena, in the order in which they were created. Operands are always
 * created before the node that uses them, so that order is a topological order, and backward is one
 * sweep down the arena, without a search and without recursion.
 *
 * Ownership: a function that makes a node returns the node with one reference, the caller's. A node
 * holds one reference to each of its operands. mg_release gives a reference back. The last
 * reference frees the node and, iteratively, all that only this node kept alive. A node that is
 * passed as an argument is borrowed, and an array that is passed stays the caller's.
 *
 * Failure: a function that makes a node returns NULL and writes the reason to *status; a failed
 * call has recorded nothing.
 *
 * NULL: no pointer argument may be NULL unless its contract says so. The status of a function that
 * records may be NULL.
 *
 * Threads: every function here that takes an arena, records, or counts references locks the arena.
 * Reading or writing the data of a node does not. A fork waits for all arenas' locks. Built with
 * MG_KEEP_GIL nothing locks: the caller, who has Python's lock, keeps other threads out.
 *
 * The region between the cdef markers is plain C without preprocessor lines: build_ffi.py hands the
 * region to cffi as it stands. */
#ifndef MICROGRAD_H
#define MICROGRAD_H

#include <stddef.h>
#include <stdint.h>

/* cdef: begin */

typedef struct mg_arena mg_arena;
typedef struct mg_node mg_node;
typedef struct mg_order mg_order;

typedef enum {
    MG_OK = 0,
    MG_NO_MEMORY,     /* the system has none left, or a count is too large */
    MG_DOMAIN,        /* outside the function's domain: log(-1) */
    MG_RANGE,         /* finite operands, a result too large for a double: exp(1000) */
    MG_ZERO_DIVISION, /* a negative power of zero */
    MG_OPAQUE,        /* a node whose backward the engine does not know */
    MG_INTERRUPTED,   /* the function given to mg_arena_set_poll has said to give up */
    MG_UNSOUND,       /* entries of no trace: an operand does not stand before its entry */
    MG_NO_ITEM        /* an index that is no place of a table */
} mg_status;

/* How an operator is written in a program. */
typedef enum {
    MG_FORM_NONE,     /* leaf, custom: no operator of the table */
    MG_FORM_INFIX,    /* two nodes, an operator sign: x + y */
    MG_FORM_EXPONENT, /* one node, one number kept in the node: x ** 3 */
    MG_FORM_METHOD,   /* one node: x.tanh() */
    MG_FORM_FUNCTION  /* two nodes: maximum(x, y) */
} mg_form;

typedef struct {
    size_t nodes;      /* living nodes in interior pages */
    size_t leaves;     /* living nodes in leaf pages */
    size_t pages;      /* pages that hold a living node or are being filled */
    size_t free_pages; /* pages kept for reuse */
    size_t bytes;      /* taken from the system, in total */
} mg_statistics;

/* --- the arena --- */

/* Return a new, empty arena, to be freed with mg_arena_free; NULL: no memory. */
mg_arena *mg_arena_new(void);
/* Free the arena with every node in it, and with every program and workspace that took its memory
 * from the arena. The arena may be NULL. */
void mg_arena_free(mg_arena *arena);
/* Write the arena's statistics to *out. */
void mg_arena_statistics(mg_arena *arena, mg_statistics *out);
/* Give pages kept for reuse back to the system. */
void mg_arena_trim(mg_arena *arena);
/* For tests: return what is wrong with the arena, a constant text, or NULL for nothing. Between two
 * calls all that docs/architecture.md says of pages, nodes and references is true. Takes time
 * proportional to the number of nodes. */
const char *mg_check(mg_arena *arena);
/* For tests: let the n-th allocation from now fail, once; 0 lets all succeed. */
void mg_arena_fail_after(mg_arena *arena, size_t n);
/* Have long work call `interrupted` every few milliseconds, and give up if that returns anything
 * but 0. With nodes in the arena this holds for the next mg_backward or mg_trace_new alone. With
 * programs it holds for every mg_program_new, mg_program_prepare and mg_packs_new from now on; one
 * that gives up leaves everything as if the call had not been made. NULL, as at first: nothing is
 * called. */
void mg_arena_set_poll(mg_arena *arena, int (*interrupted)(void));
/* Say whether mg_record_plain and mg_record_plain_number record at all; 1 at first. */
void mg_arena_set_plain(mg_arena *arena, int plain);

/* --- the operator table --- */

/* Operators are numbered from 0 to mg_operator_count() - 1; leaf and custom are among them. */
int mg_operator_count(void);
/* Return a constant text, or NULL if no operator has this number. */
const char *mg_operator_name(int op);   /* "add", "tanh", "maximum" */
const char *mg_operator_symbol(int op); /* "+", "tanh", "max" */
/* Return the operator's form, MG_FORM_NONE if no operator has this number. */
mg_form mg_operator_form(int op);
/* Return a constant text: the operator's formula, derivative and errors. */
const char *mg_operator_about(int op);
/* Return an expression of the operator's row, in C, over x, y and z: its value (0), dz/dx (1) or
 * dz/dy (2). NULL: there is no such operator. */
const char *mg_operator_expression(int op, int which);
/* Return the number of the operator called name, or -1. */
int mg_operator_find(const char *name);
/* Return the operator's number of operands that are nodes; 0 for leaf and custom. */
size_t mg_operator_arity(int op);
/* Return a constant text for MG_DOMAIN, MG_RANGE and MG_ZERO_DIVISION, as Python words it: "math
 * domain error"; NULL for any other status. */
const char *mg_error_text(mg_status status);

/* --- recording ---
 *
 * Each function returns the new node, with one reference for the caller, or NULL. The status is
 * MG_NO_MEMORY, or an error of the operator for the operands' data. */

/* Return a leaf; NULL: no memory. */
mg_node *mg_leaf(mg_arena *arena, double data);
/* Give a leaf new data and the gradient 0, if the leaf has no reference but the caller's, this tag
 * and no state: 1. Any other node stays as it was: 0. */
int mg_renew_leaf(mg_node *node, double data, uint32_t tag);
/* Record op applied to x and y; y is NULL for an operator of one node. */
mg_node *mg_record(mg_arena *arena, int op, mg_node *x, mg_node *y, mg_status *status);
/* Do what mg_record does, in the arena of x, in the common case: for a caller to whom each argument
 * costs time. NULL in any other case (an error, an operand whose proxy is to be kept, no memory,
 * mg_arena_set_plain): the caller then calls mg_record. */
mg_node *mg_record_plain(int op, mg_node *x, mg_node *y);
/* Do what mg_record_number does, in the same common case; NULL: the caller calls mg_record_number.
 */
mg_node *mg_record_plain_number(int op, mg_node *x, double y);
/* Record op applied to a node and a number, which becomes a leaf. */
mg_node *mg_record_number(mg_arena *arena, int op, mg_node *x, double y, mg_status *status);
/* Record op applied to a number, which becomes a leaf, and a node. */
mg_node *mg_record_reflected(mg_arena *arena, int op, double x, mg_node *y, mg_status *status);
/* Record x to a constant power; `integer` tells whether the program wrote 2 or 2.0. */
mg_node *mg_record_power(mg_arena *arena, mg_node *x, double exponent, int integer,
                         mg_status *status);
/* Record x + (y * -1). */
mg_node *mg_record_difference(mg_arena *arena, mg_node *x, mg_node *y, mg_status *status);
/* Record x * y**-1. */
mg_node *mg_record_quotient(mg_arena *arena, mg_node *x, mg_node *y, mg_status *status);
/* Record a custom node: any data, operands: count nodes. Its backward adds partials[i] * grad to
 * the gradient of operand i. partials: count numbers, or NULL: backward adds nothing. */
mg_node *mg_record_custom(mg_arena *arena, double data, mg_node *const *operands, size_t count,
                          const double *partials, mg_status *status);

/* --- recording many nodes at once ---
 *
 * Each function records the nodes that the Python expression beside it records, in the same order,
 * and returns the last node, with one reference for the caller. A term is a node or a number; where
 * all terms are numbers the result is a leaf. Every array has count terms. On failure nothing has
 * been recorded. Besides the operators' errors there are MG_RANGE, where integers alone give a
 * result of 2^53 or more, and MG_ZERO_DIVISION, where a mean is of no terms. */

typedef struct {
    mg_node *node; /* NULL: the term is a number */
    double number;
    int integer; /* the number was written as an int: -0 is 0 */
} mg_term;

/* f(sum((w * x for w, x in zip(ws, xs)), bias)). bias NULL: 0. op is the operator f, of one node,
 * or -1: no f. */
mg_node *mg_dot(mg_arena *arena, const mg_term *ws, const mg_term *xs, size_t count,
                const mg_term *bias, int op, mg_status *status);
/* Do for each of `rows` rows what mg_dot does, and give the results the tag (below MG_WIDE_TAG).
 *   ws       rows * count nodes: weight k of row i is ws[i * count + k]
 *   xs       count nodes, the same for all rows; NULL where the input is a number
 *   numbers  count numbers, read where xs has NULL; may be NULL if xs has none
 *   biases   rows nodes; NULL: 0 for each row
 *   out      rows nodes, written on MG_OK alone, each with one reference for the caller
 * MG_OPAQUE, and nothing has been recorded: the caller calls mg_dot instead, since count is 0 or
 * some node has a proxy that is to be kept. */
mg_status mg_linear(mg_arena *arena, mg_node *const *ws, size_t rows, mg_node *const *xs,
                    const double *numbers, size_t count, mg_node *const *biases, int op, int tag,
                    mg_node **out);
/* sum(values) */
mg_node *mg_total(mg_arena *arena, const mg_term *values, size_t count, mg_status *status);
/* sum(values) / count */
mg_node *mg_mean(mg_arena *arena, const mg_term *values, size_t count, mg_status *status);
/* top = max(v.data for v in logits); exps = [(v - top).exp() for v in logits]; total = sum(exps);
 * out = [e / total for e in exps]. Here, and in the three functions below, count is at least 1.
 * out: count nodes, written on MG_OK alone, each with one reference for the caller. */
mg_status mg_softmax(mg_arena *arena, const mg_term *logits, size_t count, mg_node **out);
/* shifted = [v - top for v in logits]; total as for mg_softmax;
 * out = [v - total.log() for v in shifted], count nodes as for mg_softmax. */
mg_status mg_log_softmax(mg_arena *arena, const mg_term *logits, size_t count, mg_node **out);
/* total.log() + top */
mg_node *mg_logsumexp(mg_arena *arena, const mg_term *logits, size_t count, mg_status *status);
/* total.log() - shifted[target]; target < count */
mg_node *mg_cross_entropy(mg_arena *arena, const mg_term *logits, size_t count, size_t target,
                          mg_status *status);
/* sum((p - t)**2 for p, t in zip(predictions, targets)) / count */
mg_node *mg_mse(mg_arena *arena, const mg_term *predictions, const mg_term *targets, size_t count,
                mg_status *status);
/* sum((1 + -t * s).relu() for s, t in zip(scores, targets)) / count */
mg_node *mg_hinge(mg_arena *arena, const mg_term *scores, const mg_term *targets, size_t count,
                  mg_status *status);

/* sum(max(z, 0) + -t * z + (1 + (-|z|).exp()).log() for z, t in zip(logits, targets)) / count */
mg_node *mg_logistic(mg_arena *arena, const mg_term *logits, const mg_term *targets, size_t count,
                     mg_status *status);

/* Record a node again as it once was: the operator op of the table over these operands, with this
 * data, which is not computed anew. operands: count nodes, as many as the operator has; none for
 * leaf, any number for custom. exponent and integer matter for the operator exponent alone.
 * partials matter for custom alone: count numbers, or NULL, as for mg_record_custom. Fails with
 * MG_NO_MEMORY alone. */
mg_node *mg_restore(mg_arena *arena, int op, double data, mg_node *const *operands, size_t count,
                    double exponent, int integer, const double *partials, mg_status *status);

/* --- updating parameters --- */

typedef struct {
    double lr;
    double momentum;
    double weight_decay;
    double dampening; /* 0 in the first step with a momentum */
    int nesterov;
} mg_sgd;

typedef struct {
    double step; /* 1, 2, ... */
    double lr;
    double beta1;
    double beta2;
    double eps;
    double weight_decay;
    int decoupled; /* AdamW: the decay is not part of the gradient */
    int amsgrad;
} mg_adam;

typedef struct {
    double lr;
    double alpha;
    double eps;
    double weight_decay;
    double momentum;
    int centered;
} mg_rmsprop;

/* Take one step of an optimizer, updating the data of count nodes from their gradients. The arrays
 * are the optimizer's memory of the parameters: count numbers each, the caller's, all 0 before the
 * first step. One that the options leave unused may be NULL: buffer where the momentum is 0,
 * largest without amsgrad, mean where centered is 0. */
void mg_sgd_step(mg_arena *arena, mg_node *const *nodes, size_t count, const mg_sgd *how,
                 double *buffer);
void mg_adam_step(mg_arena *arena, mg_node *const *nodes, size_t count, const mg_adam *how,
                  double *m, double *v, double *largest);
void mg_rmsprop_step(mg_arena *arena, mg_node *const *nodes, size_t count, const mg_rmsprop *how,
                     double *square, double *mean, double *buffer);
/* Return the norm of the gradients of count nodes, each counted once: of norm_type p > 0, the sum
 * of |gradient|^p to the power of 1/p; of INFINITY, the largest |gradient|. Multiply each gradient
 * by max_norm / (norm + 1e-6) where that is below 1, or nan. */
double mg_clip_norm(mg_arena *arena, mg_node *const *nodes, size_t count, double max_norm,
                    double norm_type);
/* Bring the gradients of count nodes into [-bound, bound]; nan stays. */
void mg_clip_value(mg_arena *arena, mg_node *const *nodes, size_t count, double bound);
/* Set the gradients of count nodes to 0. */
void mg_zero_grads(mg_arena *arena, mg_node *const *nodes, size_t count);

/* --- references --- */

/* Take a further reference to the node. */
void mg_retain(mg_node *node);
/* Return the number of references as of now: parents and others. */
size_t mg_node_references(const mg_node *node);
/* Give back one of the caller's references. 1: there are orphans (see below) to be fetched. */
int mg_release(mg_node *node);

/* --- nodes --- */

double mg_node_data(const mg_node *node);
double mg_node_grad(const mg_node *node);
void mg_node_set_data(mg_node *node, double data);
void mg_node_set_grad(mg_node *node, double grad);
/* The tag is a number for the binding's own use, such as which label the node has; 0 at first. Tags
 * of MG_WIDE_TAG or more are for leaves alone: for another node mg_node_set_tag returns 0 and
 * changes nothing. */
enum { MG_WIDE_TAG = 255 };
int mg_node_tag(const mg_node *node);
int mg_node_set_tag(mg_node *node, int tag);
/* Return the number of the node's operator. */
int mg_node_operator(const mg_node *node);
/* Return the number of operands; an operand that is there twice counts twice. */
size_t mg_node_arity(const mg_node *node);
/* Return operand i, borrowed; NULL: there are no more than i operands. */
mg_node *mg_node_operand(const mg_node *node, size_t i);
/* Return the exponent of a node of the operator exponent; 0 for others. */
double mg_node_exponent(const mg_node *node);
/* 1 if the exponent was written as an integer. */
int mg_node_exponent_is_integer(const mg_node *node);
/* Return the mg_rule of a custom node; MG_RULE_NONE for others. */
int mg_node_rule(const mg_node *node);
/* 0 for a custom node without given partial derivatives, 1 for any other node. */
int mg_node_has_partials(const mg_node *node);
/* Write the partial derivative of the node with respect to operand i, at the current data, to
 * *partial; i is less than the arity. Any status but MG_OK is the operator's error: there is no
 * such derivative. */
mg_status mg_node_partial(const mg_node *node, size_t i, double *partial);

/* --- state that a binding keeps beside a node ---
 *
 * The caller's reference to a node usually belongs to a proxy in another language. A proxy with
 * state of its own (a label, a closure) must live as long as the node has parents. So the binding
 * calls mg_node_keep once; takes a reference to the proxy whenever mg_node_hold returns 1; and
 * gives that reference back for each node that mg_arena_next_orphan returns. */

/* Say that the node's proxy has state. MG_NO_MEMORY: the node is as it was. */
mg_status mg_node_keep(mg_arena *arena, mg_node *node);
/* Hold the node, and return 1, if the node has parents, is kept, and is not yet held; else 0. The
 * caller has a reference to the node. */
int mg_node_hold(mg_arena *arena, mg_node *node);
/* Undo mg_node_keep, for a proxy that leaves its node. 1: the node was held, and the binding gives
 * its reference to the proxy back. */
int mg_node_unkeep(mg_arena *arena, mg_node *node);
/* Return, borrowed, a node that was held until it lost its last parent, and is held no more. NULL:
 * there is none left. */
mg_node *mg_arena_next_orphan(mg_arena *arena);
/* The state of a held proxy may refer back to a Value above the node (a closure over the result,
 * say). That is a cycle, and no garbage collector can see it, for a part of the cycle runs through
 * the arena. Before a collection the binding therefore turns holding into references of its own: it
 * walks, in order of creation, over the nodes that have a cyclic operand, gives each of these nodes
 * a proxy that refers to the proxies of the cyclic operands, marks the node cyclic in turn, and
 * holds the operands no more. */

/* Mark a node cyclic: its proxy, which is kept, has state that may refer back. */
void mg_node_set_cyclic(mg_arena *arena, mg_node *node);
int mg_node_is_cyclic(const mg_node *node);
/* Return the next node, in order of creation, after `node` that has a cyclic operand, with one
 * reference for the caller. NULL for `node`: start at the oldest. Returns NULL at the end. */
mg_node *mg_arena_next_above_cyclic(mg_arena *arena, mg_node *node);
/* Hold the node no more, if it was held and has exactly this number of parents: 1, and the binding
 * gives its reference to the proxy back. Otherwise 0, and the node is as it was. */
int mg_node_unhold(mg_arena *arena, mg_node *node, size_t parents);

/* Say whether the binding, not the engine, computes this node's backward: by a closure. */
void mg_node_set_closure(mg_arena *arena, mg_node *node, int closure);

/* --- backward --- */

/* Set the root's gradient to 1 and push gradients down to every node it was made from, in
 * descending order of creation. Where closures are alive in the arena nothing is pushed yet:
 * *order is then a list for mg_order_next, which the caller frees with mg_order_free. Else *order
 * is NULL.
 *   MG_NO_MEMORY    nothing has been pushed
 *   MG_INTERRUPTED  the gradients of some nodes have been pushed, or of none
 *   other errors    come from the partial derivatives of one node, *culprit, borrowed: the
 *                   gradients of the nodes above it have been pushed, those of the culprit and of
 *                   the nodes below have not */
mg_status mg_backward(mg_arena *arena, mg_node *root, mg_order **order, mg_node **culprit);
/* Push the gradients of the nodes in the order, up to the next node that has a closure: *closure,
 * borrowed, whose closure the caller calls before the next mg_order_next. *closure is NULL at the
 * end and after some hundred thousand nodes; mg_order_done tells which. The root must stay alive
 * until the end. Errors are those of mg_backward, with *culprit as there. */
mg_status mg_order_next(mg_arena *arena, mg_order *order, mg_node **closure, mg_node **culprit);
/* 1 if there is nothing left to be pushed. */
int mg_order_done(const mg_order *order);
/* Free an order, which may be NULL. */
void mg_order_free(mg_arena *arena, mg_order *order);
/* Return the order alone, to be freed with mg_order_free: the root and every node it was made from,
 * in descending order of creation. Of the leaves in leaf pages only those with a closure are
 * listed, at the end. NULL: no memory. */
mg_order *mg_order_new(mg_arena *arena, mg_node *root);
size_t mg_order_count(const mg_order *order);
/* Set the gradients aside of all nodes that mg_order_next of this order adds to, and of count
 * nodes: all are 0 then. mg_order_put_back gives the nodes their gradients back. A graph's
 * gradients can so be computed (the caller sets the root's to 1) and read without a trace.
 * MG_NO_MEMORY: the gradients are as they were. */
mg_status mg_order_set_aside(mg_arena *arena, mg_order *order, mg_node *const *nodes, size_t count);
void mg_order_put_back(mg_arena *arena, mg_order *order);
/* Return node i of the order, borrowed; i < mg_order_count(order). */
mg_node *mg_order_node(const mg_order *order, size_t i);
/* Push this node's gradient into its operands, once. After an error nothing has been pushed. */
mg_status mg_push(mg_arena *arena, mg_node *node);

/* --- tracing: what was recorded, as an array ---
 *
 * While an arena records for a trace, leaves lie in order of creation among the other nodes. A leaf
 * made during the recording is a constant of the trace. A node older than the recording's start is
 * captured, whatever it was made from. */

/* Operators of a trace beyond those of the table. */
enum {
    MG_TRACE_INPUT = 256, /* x is the input's number */
    MG_TRACE_CAPTURED,    /* x is the captured node's number */
    MG_TRACE_CONSTANT,    /* the entry's number */
    MG_TRACE_DETACH,      /* x; no gradient passes to x */
    MG_TRACE_DIVIDE,      /* x / y as floats divide; no gradient passes */
    MG_TRACE_LINK,        /* x; a gradient g passes to x as g and to y as z * g */
    MG_TRACE_LESS,        /* 1 where x < y, else 0; no gradient passes */
    MG_TRACE_LESS_EQUAL,  /* 1 where x <= y, else 0; no gradient passes */
    MG_TRACE_EQUAL,       /* 1 where x == y, else 0; no gradient passes */
    MG_TRACE_SELECT,      /* y where x is not 0, else z; the gradient passes to that one alone */
    MG_TRACE_ITEM, /* no number: x is an element of a table, z how many elements the table has
                    * up to this one, and y the item before, unless z is 1 */
    MG_TRACE_TAKE, /* element x, counted from 0, of the table whose last item is y; the
                    * gradient passes to that element alone */
    MG_TRACE_END
};

/* What a custom node computes in a trace. */
typedef enum {
    MG_RULE_NONE,   /* nothing: a custom node of the binding's own */
    MG_RULE_DETACH, /* one operand */
    MG_RULE_DIVIDE, /* two operands */
    MG_RULE_LINK,   /* its value, then operands, each with its partial derivative behind it */
    MG_RULE_LESS,   /* two operands, as MG_TRACE_LESS and so on */
    MG_RULE_LESS_EQUAL,
    MG_RULE_EQUAL,
    MG_RULE_SELECT, /* three operands */
    MG_RULE_TABLE,  /* no number: its operands are the elements of a table, at least one */
    MG_RULE_TAKE    /* an index and a table */
} mg_rule;

typedef struct {
    double number; /* a constant; the exponent of exponent */
    uint32_t op;   /* of the table or as above */
    uint32_t x;    /* operands: places of earlier entries */
    uint32_t y;
    uint32_t z;
} mg_entry;

/* A moment in an arena's order of creation. */
typedef struct {
    uint64_t sequence;
    uintptr_t place;
} mg_position;

typedef struct {
    size_t count;
    size_t capacity;
    mg_entry *entries;  /* count entries */
    size_t roots;       /* number of operands of the anchor */
    uint32_t *root;     /* the place of each of them among the entries */
    size_t captures;    /* number of captured nodes */
    mg_node **captured; /* these, borrowed */
} mg_trace;

/* Begin a recording, writing its start to *start; end a recording. In between leaves are made in
 * order of creation. Recordings may be nested. */
void mg_begin_recording(mg_arena *arena, mg_position *start);
void mg_end_recording(mg_arena *arena);
/* Record a custom node that computes what the rule says. data is its value; operands: count nodes,
 * as many as the rule has. Returns the node with one reference for the caller; NULL: no memory. */
mg_node *mg_record_rule(mg_arena *arena, mg_rule rule, double data, mg_node *const *operands,
                        size_t count, mg_status *status);
/* Return a trace, to be freed with mg_trace_free: what the anchor's operands were made from since
 * start, each entry after the entries of its operands. inputs: count leaves made since start; they
 * are the first entries. NULL: *status, which here may not be NULL, is MG_NO_MEMORY, MG_INTERRUPTED
 * or MG_OPAQUE: *culprit, borrowed, has a closure for backward, which no trace can contain. */
mg_trace *mg_trace_new(mg_arena *arena, const mg_node *anchor, const mg_position *start,
                       mg_node *const *inputs, size_t count, mg_status *status, mg_node **culprit);
/* Free a trace, which may be NULL. */
void mg_trace_free(mg_arena *arena, mg_trace *trace);
/* 1 if the node was made since start and has no reference but the caller's. */
int mg_node_is_fresh(const mg_node *node, const mg_position *start);
/* Return a number that no other node ever has, higher than those of older nodes; 0 for a leaf made
 * outside of recordings. */
uint64_t mg_node_serial(const mg_node *node);
/* Write the data of count nodes to data, count numbers. */
void mg_get_data(mg_arena *arena, mg_node *const *nodes, size_t count, double *data);
/* Set the data of count nodes to these count numbers; write their gradients to grads. */
void mg_set_data(mg_arena *arena, mg_node *const *nodes, size_t count, const double *data);
void mg_get_grads(mg_arena *arena, mg_node *const *nodes, size_t count, double *grads);
/* Add grads, count numbers, to the gradients of count nodes. */
void mg_add_grads(mg_arena *arena, mg_node *const *nodes, size_t count, const double *grads);

typedef enum { MG_LESS, MG_LESS_EQUAL, MG_EQUAL } mg_relation;

/* How a comparison of two entries must come out for the program to be right for a row. */
typedef struct {
    mg_relation relation;
    uint32_t left; /* places of entries */
    uint32_t right;
    int outcome;     /* 1: true */
    uint32_t number; /* of a program: which of the guards it was made with this is, from 1 */
} mg_guard;

/* Write those entries of a trace that outputs and guards depend on, in their order, to cut, and
 * write the new places to outputs and guards; return how many entries that are. The trace is that
 * of a program. cut and places: room for count entries and places; cut NULL: nothing is written. */
size_t mg_trace_cut(const mg_entry *entries, size_t count, uint32_t *outputs, size_t output_count,
                    mg_guard *guards, size_t guard_count, uint32_t *places, mg_entry *cut);

/* --- programs: a trace to be replayed over many rows ---
 *
 * A program takes its memory from the arena it was made with, which must outlive the program, and
 * knows no node. A program may be replayed in several threads at a time, each with a workspace of
 * its own. */

typedef struct mg_program mg_program;
typedef struct mg_workspace mg_workspace;

/* What a replay computes besides the outputs. */
typedef enum {
    MG_FORWARD,    /* nothing */
    MG_PARAMETERS, /* the gradients of captured nodes, summed over rows */
    MG_INPUTS,     /* the gradients of inputs, row by row */
    MG_ALL,        /* both, and every derivative on the way, to be checked */
    MG_MODES
} mg_mode;

/* One number for each row, stride doubles apart. */
typedef struct {
    double *data;
    ptrdiff_t stride;
} mg_column;

/* Where a row by itself would have raised an error. */
typedef struct {
    size_t row;     /* SIZE_MAX: in what is computed from captured nodes alone */
    int status;     /* a mg_status */
    int op;         /* -1: the division of MG_TRACE_DIVIDE, or a MG_TRACE_TAKE */
    int derivative; /* 1: the value exists, its derivative does not */
    double x;       /* operands; y may be an exponent, or the number of a table's elements */
    double y;
} mg_trap;

/* What a replay reads and where it writes. All arrays are the caller's. */
typedef struct {
    const mg_column *inputs; /* one for each input */
    const uint32_t *rows;    /* count numbers of rows; NULL: 0 to count - 1 */
    size_t count;
    const mg_column *outputs;   /* one for each output; data NULL: not wanted */
    const mg_column *seeds;     /* one for each output: its gradients; data NULL: seed */
    double seed;                /* for every output and row without a column of seeds */
    double scale;               /* a factor of all seeds: 1 at first, see mg_replay_end */
    const mg_column *gradients; /* one for each input; data NULL: not wanted */
    uint32_t *failed;           /* count numbers, 0 before: of the first guard that the row fails;
                                 * may be NULL if the program has no guards */
    uint32_t all_fail;          /* written: the first guard that all rows fail; 0: none */
    double *scalars;        /* mg_program_scalars numbers: the data of captured nodes, one number
                             * for each, and room */
    double *sums;           /* room for mg_program_sums numbers for each chunk, at least one */
    double *captured_grads; /* MG_PARAMETERS, MG_ALL: written, one number for each */
    double total;           /* MG_PARAMETERS, MG_ALL: the sum of seeds times outputs */
    int check;              /* 1: fill trap; otherwise with MG_NO_ITEM alone */
    int kind;               /* of processor: 0 is this one. For tests 1, 2, ... are its
                             * predecessors, as far as it has any, down to the plainest */
    mg_trap trap;           /* of the first row that would raise; status MG_OK: none */
} mg_call;

typedef struct {
    size_t inputs;
    size_t captured;
    size_t outputs;
    size_t guards;
    size_t scalars;      /* instructions evaluated once a call */
    size_t instructions; /* evaluated for each row: entries of the trace, forward */
} mg_program_facts;

/* Which chunks a thread replays, and how far it is. At the beginning the caller sets chunk and
 * last, and all other fields to 0. */
typedef struct {
    size_t chunk;  /* the chunk under way */
    size_t last;   /* the chunk to stop before */
    size_t done;   /* rows of the chunk under way that come before the block under way */
    int under_way; /* 1: the workspace has the state of the block under way */
    int failures;  /* 1: a guard failed for some row */
} mg_progress;

/* Return a program, to be freed with mg_program_free, with its own copy of what it is made of:
 *   entries  count entries, of a trace with so many inputs and captured nodes
 *   outputs  output_count places of entries
 *   guards   guard_count guards
 * NULL: *status, which here may not be NULL, is MG_NO_MEMORY, MG_INTERRUPTED, or MG_UNSOUND: an
 * entry, an output or a guard refers to what is not there, or an entry to one that comes later. */
mg_program *mg_program_new(mg_arena *memory, const mg_entry *entries, size_t count, size_t inputs,
                           size_t captured, const uint32_t *outputs, size_t output_count,
                           const mg_guard *guards, size_t guard_count, mg_status *status);
void mg_program_free(mg_program *program);
void mg_program_describe(const mg_program *program, mg_program_facts *out);
/* Make a program ready for this mode, if it is not yet; each function below that takes a mode needs
 * that. MG_NO_MEMORY, MG_INTERRUPTED: the program is not ready, and may be prepared again. */
mg_status mg_program_prepare(mg_program *program, mg_mode mode);
/* Return about how many multiplications and additions a row takes in this mode. */
size_t mg_program_work(const mg_program *program, mg_mode mode);
/* Set the flags of those inputs, and behind them of those captured nodes, to 1 that gradients of
 * the outputs are pushed to, of the others to 0. */
void mg_program_reaches(const mg_program *program, unsigned char *reached);
/* Return how many numbers the scalars of a call are. */
size_t mg_program_scalars(const mg_program *program);
/* Return how many numbers the sums of one chunk are, the total included. */
size_t mg_program_sums(const mg_program *program);
/* Write a listing of the instructions, of at most size - 1 characters and a 0 behind them, to text;
 * return the length of the full listing. text may be NULL if size is 0. */
size_t mg_program_list(const mg_program *program, mg_mode mode, char *text, size_t size);

/* Return a workspace for replays of the program in this mode, to be freed with mg_workspace_free;
 * NULL: no memory. */
mg_workspace *mg_workspace_new(const mg_program *program, mg_mode mode);
void mg_workspace_free(mg_workspace *workspace);

/* Write the columns of a matrix, count of them, to out: column i begins at data + i * step, and
 * from one row to the next it is stride doubles. */
void mg_set_columns(mg_column *out, double *data, size_t count, ptrdiff_t step, ptrdiff_t stride);
/* Return how many chunks so many rows are. A replay is mg_replay_begin, then mg_replay_some for
 * every chunk once, in any order and by any thread, then mg_replay_end. Sums over rows are added up
 * by chunks, so results do not depend on threads. */
size_t mg_replay_chunks(size_t rows);
/* Begin a replay: compute the scalars. 0: a guard between scalars has failed before any that some
 * rows may meet: all rows are marked as failed, and there is nothing to replay. Otherwise 1. */
int mg_replay_begin(const mg_program *program, mg_call *call);
/* Continue to replay the chunks of *progress, by about `work` multiplications or additions, always
 * with the same workspace; 1 if there is more to do. *trap is the first error, see `check`: its
 * status is MG_OK before the first call. */
int mg_replay_some(const mg_program *program, mg_mode mode, const mg_call *call,
                   mg_workspace *workspace, mg_progress *progress, size_t work, mg_trap *trap);
/* End a replay: add up the sums of the chunks, and write the total and the gradients of captured
 * nodes. 1: every chunk is to be replayed once more, and mg_replay_end called again. The reason:
 * where rows share a factor that depends on captured nodes alone, gradients are summed before they
 * are multiplied by that factor. So a sum may overflow although no row's gradient does. If the
 * gradient of a captured node is not finite, the function sets call->scale to less than 1, which
 * makes the seeds smaller, and the second time it writes those gradients alone that were not
 * finite. */
int mg_replay_end(const mg_program *program, mg_mode mode, mg_call *call);
/* Do a whole replay in the calling thread; 1 if a guard failed for some row. */
int mg_replay(const mg_program *program, mg_mode mode, mg_call *call, mg_workspace *workspace);
/* Sort the rows of a call by the guard that they fail first, of a program made with so many guards:
 * rows that fail none come first, and rows that fail the same one stay in their order. Write their
 * numbers to sorted, and for each group of rows the number of the guard (0: none) and where in
 * sorted the group ends; return how many groups there are. numbers, ends: room for guards + 1. */
size_t mg_sort_rows(const mg_call *call, size_t guards, uint32_t *sorted, uint32_t *numbers,
                    uint32_t *ends);
/* --- packs: a program made for one row at a time --- */

typedef struct mg_packs mg_packs;

/* Return packs, to be freed with mg_packs_free, made of a program that they do not refer to. What
 * depends on captured nodes alone is computed by the expressions of the operator table, to the bits
 * of the operators on nodes; with `exact` all is. In MG_ALL the gradients of inputs and of captured
 * nodes are computed. NULL: *status is MG_NO_MEMORY or MG_INTERRUPTED. */
mg_packs *mg_packs_new(const mg_program *program, mg_mode mode, int exact, mg_status *status);
void mg_packs_free(mg_packs *packs);
/* Whether packs suit a program: 0 where it looks up so much in long tables that these, gone through
 * for each lookup, would be most of the packs. */
int mg_packs_suit(const mg_program *program);
/* Return how many doubles a replay needs: a room, 0 before the first replay, in one thread at a
 * time. */
size_t mg_packs_room(const mg_packs *packs);
/* Replay one row of exact packs: of the numbers of inputs, then of captured nodes, compute the
 * outputs and, in MG_ALL, the gradients of the sum of seeds times outputs. seeds, gradients: NULL
 * in MG_FORWARD. 1 if a guard failed; 2 if an index is wrong or an operator raises an error;
 * otherwise 0. Unless 0, nothing is written. */
int mg_replay_packs(const mg_packs *packs, double *room, const double *numbers, const double *seeds,
                    double *outputs, double *gradients);
/* Do what mg_replay does for a call with row 0 alone, with packs made for this mode, which is not
 * MG_ALL; call->check is 0. */
int mg_replay_row(const mg_packs *packs, mg_mode mode, mg_call *call, double *room);

/* --- listings: a program's instructions, to be written in another language --- */

/* A reference, by which an instruction names a value: the number of a slot, or the number of a
 * scalar with the bit MG_SCALAR, or MG_NOTHING. */
#define MG_SCALAR 0x80000000u
#define MG_NOTHING 0xffffffffu

/* Instructions beyond the operators of the table. */
typedef enum {
    MG_CODE_APPLY,    /* out = op(x, y) */
    MG_CODE_DIVIDE,   /* out = x / y */
    MG_CODE_SUM,      /* out = the sum of terms */
    MG_CODE_LOAD,     /* out = input index */
    MG_CODE_STORE,    /* output index = x */
    MG_CODE_GUARD,    /* compare x and y by guard index; mark the lanes where it fails */
    MG_CODE_SEED,     /* out = the seeds of output index */
    MG_CODE_PUSH_X,   /* out = g dz/dx, where z = op(x, y) */
    MG_CODE_PUSH_Y,   /* out = g dz/dy, where z = op(x, y) */
    MG_CODE_REDUCE,   /* for each term: adjoint a += the sum over rows of b * g, or of g */
    MG_CODE_GRADIENT, /* gradient of input index = x */
    MG_CODE_KEEP,     /* leave out rows whose x is zero; the slots a of the terms are still used */
    MG_CODE_ADD,      /* a short sum: out = x + y */
    MG_CODE_MULTIPLY, /* a short sum: out = x * y */
    MG_CODE_FUSED,    /* a short sum: out = x + y * z */
    MG_CODE_LESS,     /* out = 1 where x < y, else 0 */
    MG_CODE_LESS_EQUAL,
    MG_CODE_EQUAL,
    MG_CODE_SELECT,  /* out = y where x is not 0, else z. MG_NOTHING: y is 0, z is number */
    MG_CODE_TAKE,    /* out = term x, a value a; nan where x is no place among the terms */
    MG_CODE_INDEX,   /* fill the trap where x is no place among count elements */
    MG_CODE_PICK,    /* out = y where x is one of the count places from `first` on, else 0.
                      * MG_NOTHING: y is 1 */
    MG_CODE_SCATTER, /* adjoint a of term x += the sum over rows of g. MG_NOTHING: none */
    /* of packs alone, see packs.c */
    MG_CODE_LANES,   /* the instructions from here on have count lanes */
    MG_CODE_ONES,    /* the next count instructions have one lane each, with places for operands */
    MG_CODE_GATHER,  /* out = the numbers at the places a of count terms */
    MG_CODE_CHOOSE,  /* out = the lanes at place a of the term that the number x names */
    MG_CODE_EXACT,   /* out = op(x, y), by the expression of the operator table */
    MG_CODE_EXACT_X, /* out = g dz/dx, by the expression of the operator table */
    MG_CODE_EXACT_Y  /* out = g dz/dy, by the expression of the operator table */
} mg_code;

/* A term of a sum: a * b, or a where b is MG_NOTHING. */
typedef struct {
    uint32_t a;
    uint32_t b;
} mg_product;

typedef struct {
    uint8_t code; /* a mg_code */
    uint8_t op;   /* of the operator table */
    uint32_t out; /* references; MG_NOTHING: none */
    uint32_t x;
    uint32_t y;
    uint32_t z;
    uint32_t g;
    uint32_t index; /* of an input, output or guard */
    uint32_t first; /* MG_CODE_SUM: the first run; MG_CODE_REDUCE, _KEEP, _TAKE, _SCATTER: the first
                     * term; MG_CODE_PICK: the first place */
    uint32_t count; /* number of runs, terms or places */
    uint32_t mask;  /* MG_CODE_PUSH_X, _Y: nothing is checked where it is 0; MG_NOTHING: nowhere */
    double number;  /* an exponent. MG_CODE_KEEP: the work ahead, in multiplications a lane */
} mg_instruction;

/* A run: terms of one kind, one after the other. A sum is a list of runs, by first and count. */
typedef enum { MG_RUN_ROW, MG_RUN_SCALAR, MG_RUN_SCALAR_ROW, MG_RUN_ROW_ROW } mg_run_kind;

typedef struct {
    mg_run_kind kind;
    uint32_t first;
    uint32_t count;
} mg_run;

/* What is computed for one row: forward, then the gradients of all inputs. The captured nodes'
 * numbers are inputs here, behind the program's own. Each result has a register of its own. */
typedef struct {
    const mg_instruction *code; /* count instructions, none of those of packs alone */
    size_t count;
    size_t forward; /* number of those that compute values */
    const mg_product *terms;
    const mg_run *runs;
    const mg_guard *guards;
    const double *constants; /* the numbers of scalars, all of which are constants */
} mg_listing;

/* Return a listing, to be freed with mg_listing_free, which does not refer to the program; without
 * `gradients` forward alone. NULL: *status is MG_NO_MEMORY or MG_INTERRUPTED. */
mg_listing *mg_listing_new(const mg_program *program, int gradients, mg_status *status);
void mg_listing_free(mg_listing *listing);

/* --- built programs: functions that were compiled from a program's C --- */

/* What Program.export_c writes, but for `room`, so many doubles, which stand for the arrays on the
 * stack. A function returns 0, or what hinders it. */
typedef struct {
    int (*values)(const double *inputs, const double *parameters, double *results, double *room);
    int (*gradients)(const double *inputs, const double *parameters, const double *seeds,
                     double *results, double *input_gradients, double *parameter_gradients,
                     double *room);
    size_t inputs;
    size_t captured;
    size_t outputs;
    size_t room;
} mg_built;

/* Return how many doubles mg_replay_built needs: a room, in one thread at a time. */
size_t mg_built_room(const mg_built *built);
/* Do what mg_replay does for a call with all rows from 0 on, in a mode that is not MG_ALL;
 * call->check is 0. 1: a row takes a way that was not recorded, or has a wrong index; the call is
 * to be replayed. */
int mg_replay_built(const mg_built *built, mg_mode mode, mg_call *call, double *room);

/* cdef: end */

#endif
