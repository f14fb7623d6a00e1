/* micrograd.h: a scalar autograd engine in an arena.
 *
 * A node is one number of a computation: its data, its gradient, and the operands it was made
 * from. Nodes live in an arena, in the order in which they were created; since operands are always
 * created before the node that uses them, that order is a topological order, and backward is one
 * sweep down the arena, without a search and without recursion.
 *
 * Ownership: a creator returns a node with one reference, the caller's; a node holds one reference
 * to each of its operands. mg_release gives a reference back; the last one frees the node and,
 * iteratively, all that only it kept alive.
 *
 * Failure: a creator returns NULL and says why in *status; a failed call has recorded nothing.
 *
 * Threads: every function here that takes an arena, records, or counts references locks the arena.
 * Reading or writing the data of a node does not. A fork waits for all arenas' locks. Built with
 * MG_KEEP_GIL nothing locks: the caller, who has Python's lock, keeps other threads out.
 *
 * The region between the cdef markers is plain C without preprocessor lines: build_ffi.py hands it
 * to cffi as it stands. */
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
    MG_NO_MEMORY,     /* the system has none left */
    MG_DOMAIN,        /* outside the function's domain: log(-1) */
    MG_RANGE,         /* finite operands, a result too large for a double: exp(1000) */
    MG_ZERO_DIVISION, /* a negative power of zero */
    MG_OPAQUE,        /* a node whose backward the engine does not know */
    MG_INTERRUPTED,   /* what mg_arena_set_poll was given has said so */
    MG_UNSOUND        /* entries that no trace has: operands that do not stand before */
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
    size_t bytes;      /* taken from the system, all told */
} mg_statistics;

/* --- the arena --- */

/* A new, empty arena, or NULL when there is no memory. */
mg_arena *mg_arena_new(void);
/* Free the arena with every node in it. */
void mg_arena_free(mg_arena *arena);
void mg_arena_statistics(mg_arena *arena, mg_statistics *out);
/* Give pages kept for reuse back to the system. */
void mg_arena_trim(mg_arena *arena);
/* For tests: what is wrong with the arena, or NULL. Between two calls all that docs/architecture.md
 * says of pages, nodes and references is true. As much work as there are nodes. */
const char *mg_check(mg_arena *arena);
/* For tests: let the n-th allocation from now fail, once; 0 lets all succeed. */
void mg_arena_fail_after(mg_arena *arena, size_t n);
/* Have long work ask, every few milliseconds, whether to give up: the next mg_backward or
 * mg_trace_new; of an arena for programs all that is made and prepared, which then is as if it had
 * not been begun. NULL, as at first: nobody is asked. */
void mg_arena_set_poll(mg_arena *arena, int (*interrupted)(void));
/* Whether mg_record_plain records at all; 1 at first. */
void mg_arena_set_plain(mg_arena *arena, int plain);

/* --- the operator table --- */

/* Operators are numbered from 0 to mg_operator_count() - 1; leaf and custom are among them. */
int mg_operator_count(void);
const char *mg_operator_name(int op);   /* "add", "tanh", "maximum" */
const char *mg_operator_symbol(int op); /* "+", "tanh", "max" */
mg_form mg_operator_form(int op);
const char *mg_operator_about(int op); /* its formula, derivative and errors */
/* The number of the operator called name, or -1. */
int mg_operator_find(const char *name);
/* The number of operands of an operator of the table. */
size_t mg_operator_arity(int op);

/* --- recording --- */

mg_node *mg_leaf(mg_arena *arena, double data);
/* Make a leaf as good as new that has no reference but the caller's, no tag and no state: 1. On
 * any other node: 0, and it is as it was. */
int mg_renew_leaf(mg_node *node, double data);
/* Where status is a parameter it may be NULL.
 *
 * op applied to nodes; y is NULL for an operator of one node. */
mg_node *mg_record(mg_arena *arena, int op, mg_node *x, mg_node *y, mg_status *status);
/* The common case of it, in the arena of x, for a caller to whom each argument counts: NULL where
 * anything is out of the ordinary (an error, an operand whose proxy is to be kept, no memory, see
 * also mg_arena_set_plain), and then mg_record is to be asked. */
mg_node *mg_record_plain(int op, mg_node *x, mg_node *y);
/* The same of mg_record_number. */
mg_node *mg_record_plain_number(int op, mg_node *x, double y);
/* op applied to a node and a number, which becomes a leaf. */
mg_node *mg_record_number(mg_arena *arena, int op, mg_node *x, double y, mg_status *status);
/* op applied to a number, which becomes a leaf, and a node. */
mg_node *mg_record_reflected(mg_arena *arena, int op, double x, mg_node *y, mg_status *status);
/* x to a constant power; integer tells whether the program wrote 2 or 2.0. */
mg_node *mg_record_power(mg_arena *arena, mg_node *x, double exponent, int integer,
                         mg_status *status);
/* x * -1 */
mg_node *mg_record_negative(mg_arena *arena, mg_node *x, mg_status *status);
/* x + (y * -1) */
mg_node *mg_record_difference(mg_arena *arena, mg_node *x, mg_node *y, mg_status *status);
/* x * y**-1 */
mg_node *mg_record_quotient(mg_arena *arena, mg_node *x, mg_node *y, mg_status *status);
/* A node of the caller's own making with any number of operands. Its backward adds
 * partials[i] * grad to operand i, or nothing if partials is NULL. */
mg_node *mg_record_custom(mg_arena *arena, double data, mg_node *const *operands, size_t count,
                          const double *partials, mg_status *status);

/* --- recording many nodes at once ---
 *
 * Each of these records the nodes that the Python expression beside it records, in the same order.
 * An element is a node or a number; where all are numbers the result is a leaf. With NULL for the
 * result nothing was recorded. */

typedef struct {
    mg_node *node; /* or NULL, for */
    double number;
    int integer; /* the number was written as an int: -0 is 0 */
} mg_term;

/* f(sum((w * x for w, x in zip(ws, xs)), bias)); bias NULL: 0; op, of one node: f, or -1: none. */
mg_node *mg_dot(mg_arena *arena, const mg_term *ws, const mg_term *xs, size_t count,
                const mg_term *bias, int op, mg_status *status);
/* out[i] = f(mg_dot of row i), a reference and the tag each, only on MG_OK. Row i has its bias, or
 * 0 if biases is NULL, and count weights, which stand behind those of row i - 1 in ws; all of them
 * are nodes. An x is a node, or where that is NULL its number; numbers may be NULL if there is
 * none. MG_OPAQUE if mg_dot is to be asked: for no terms at all, and where a proxy is to be kept.
 */
mg_status mg_linear(mg_arena *arena, mg_node *const *ws, size_t rows, mg_node *const *xs,
                    const double *numbers, size_t count, mg_node *const *biases, int op, int tag,
                    mg_node **out);
/* sum(values) */
mg_node *mg_total(mg_arena *arena, const mg_term *values, size_t count, mg_status *status);
/* sum(values) / count */
mg_node *mg_mean(mg_arena *arena, const mg_term *values, size_t count, mg_status *status);
/* top = max(v.data for v in logits); exps = [(v - top).exp() for v in logits]; total = sum(exps);
 * out = [e / total for e in exps], a reference each; only on MG_OK. */
mg_status mg_softmax(mg_arena *arena, const mg_term *logits, size_t count, mg_node **out);
/* shifted = [v - top for v in logits], total as above; out = [v - total.log() for v in shifted] */
mg_status mg_log_softmax(mg_arena *arena, const mg_term *logits, size_t count, mg_node **out);
/* total.log() + top */
mg_node *mg_logsumexp(mg_arena *arena, const mg_term *logits, size_t count, mg_status *status);
/* total.log() - shifted[target] */
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

/* A node as it once was: an operator of the table over these operands, with this value, not
 * computed anew. For op leaf count is 0, for op custom partials are as above, otherwise count is
 * the operator's. */
mg_node *mg_restore(mg_arena *arena, int op, double data, mg_node *const *operands, size_t count,
                    double exponent, int integer, const double *partials, mg_status *status);

/* --- updating parameters --- */

typedef struct {
    double lr;
    double momentum;
    double weight_decay;
} mg_sgd;

typedef struct {
    double step; /* 1, 2, ... */
    double lr;
    double beta1;
    double beta2;
    double eps;
    double weight_decay;
    int decoupled; /* AdamW: the decay is not part of the gradient */
} mg_adam;

/* The arrays have count elements, zero before the first step. */
void mg_sgd_step(mg_arena *arena, mg_node *const *nodes, size_t count, const mg_sgd *how,
                 double *buffer);
void mg_adam_step(mg_arena *arena, mg_node *const *nodes, size_t count, const mg_adam *how,
                  double *m, double *v);
void mg_zero_grads(mg_arena *arena, mg_node *const *nodes, size_t count);

/* --- references --- */

void mg_retain(mg_node *node);
/* Parents and other references, as of now. */
size_t mg_node_references(const mg_node *node);
/* 1 if there are orphans (see below) to be fetched. */
int mg_release(mg_node *node);

/* --- nodes --- */

double mg_node_data(const mg_node *node);
double mg_node_grad(const mg_node *node);
void mg_node_set_data(mg_node *node, double data);
void mg_node_set_grad(mg_node *node, double grad);
/* A number for the binding's own use, such as a label's; 0 at first. One of MG_WIDE_TAG or more is
 * for leaves alone: 0, and nothing is changed, where there is no room for it. */
enum { MG_WIDE_TAG = 255 };
int mg_node_tag(const mg_node *node);
int mg_node_set_tag(mg_node *node, int tag);
int mg_node_operator(const mg_node *node);
/* The number of operands, repeats counted. */
size_t mg_node_arity(const mg_node *node);
/* Operand i, borrowed. */
mg_node *mg_node_operand(const mg_node *node, size_t i);
double mg_node_exponent(const mg_node *node);
/* 1 if the exponent was written as an integer. */
int mg_node_exponent_is_integer(const mg_node *node);
/* 1 unless it is a custom node for which no partial derivatives were given. */
int mg_node_has_partials(const mg_node *node);
/* The partial derivative of the node with respect to operand i, at the current data. */
mg_status mg_node_partial(const mg_node *node, size_t i, double *partial);

/* --- state that a binding keeps beside a node ---
 *
 * The caller's reference to a node usually belongs to a proxy in another language. A proxy with
 * state of its own (a label, a closure) must live as long as the node has parents: the binding
 * says so once (mg_node_keep), takes a reference to the proxy whenever mg_node_hold tells it to,
 * and gives that back for each node that mg_arena_next_orphan returns. */

mg_status mg_node_keep(mg_arena *arena, mg_node *node);
/* 1 if the node has parents, is to be kept, and is not yet held: it is held from now on. */
int mg_node_hold(mg_arena *arena, mg_node *node);
/* The opposite of mg_node_keep, for a proxy that leaves its node: 1 if the node was held, and the
 * reference to the proxy is to be given back. */
int mg_node_unkeep(mg_arena *arena, mg_node *node);
/* A held node that has lost its last parent and is held no more, or NULL. */
mg_node *mg_arena_next_orphan(mg_arena *arena);
/* A held proxy whose state refers back to a Value above it (a closure over the result, say) is a
 * cycle that no garbage collector can see: part of it runs through the arena. Before a collection
 * the binding therefore turns holding into references of its own: it walks, in order of creation,
 * over the nodes that have a cyclic operand, gives each a proxy that refers to the proxies of those
 * operands, marks it cyclic in turn, and holds the operands no more. */

/* The proxy, which is to be kept, has such state. */
void mg_node_set_cyclic(mg_arena *arena, mg_node *node);
int mg_node_is_cyclic(const mg_node *node);
/* The next node after this one, or from the beginning if it is NULL, that has a cyclic operand;
 * with a reference for the caller. */
mg_node *mg_arena_next_above_cyclic(mg_arena *arena, mg_node *node);
/* 1 if the node was held and has just so many parents: it is held no more, and the reference to
 * its proxy is to be given back. */
int mg_node_unhold(mg_arena *arena, mg_node *node, size_t parents);

/* Whether the binding, not the engine, computes this node's backward. */
void mg_node_set_closure(mg_arena *arena, mg_node *node, int closure);

/* --- backward --- */

/* Set the root's gradient to 1 and push gradients down to every node it was made from, in
 * descending order of creation. Where closures are alive in the arena nothing is pushed yet:
 * *order is then a list for mg_order_next, to be freed with mg_order_free; else it is NULL.
 * MG_INTERRUPTED: the gradients of some nodes have been pushed, or of none.
 * An error other than MG_NO_MEMORY comes from the partial derivatives of one node, *culprit:
 * the gradients of the nodes above it have been pushed, it and those below have not. */
mg_status mg_backward(mg_arena *arena, mg_node *root, mg_order **order, mg_node **culprit);
/* Push the gradients of the nodes in order up to the next closure; *closure is that node, or NULL
 * at the end, and after some hundred thousand nodes, see mg_order_done. The root must stay alive
 * meanwhile. */
mg_status mg_order_next(mg_arena *arena, mg_order *order, mg_node **closure, mg_node **culprit);
/* Whether there is nothing left to be pushed. */
int mg_order_done(const mg_order *order);
void mg_order_free(mg_arena *arena, mg_order *order);
/* The order alone: the root and every node it was made from, leaves in leaf pages left out, in
 * descending order of creation. NULL: no memory. */
mg_order *mg_order_new(mg_arena *arena, mg_node *root);
size_t mg_order_count(const mg_order *order);
mg_node *mg_order_node(const mg_order *order, size_t i);
/* Push this node's gradient into its operands, once. */
mg_status mg_push(mg_arena *arena, mg_node *node);

/* --- tracing: what was recorded, as an array ---
 *
 * While an arena records for a trace, leaves lie in order of creation among the other nodes: a leaf
 * made meanwhile is a constant of the trace, a node older than its start is captured, whatever it
 * was made from. */

/* Operators of a trace beyond those of the table. */
enum {
    MG_TRACE_INPUT = 256, /* x is its number */
    MG_TRACE_CAPTURED,    /* x is its number */
    MG_TRACE_CONSTANT,    /* number */
    MG_TRACE_DETACH,      /* x, without its gradient */
    MG_TRACE_DIVIDE,      /* x / y as floats divide, without gradients */
    MG_TRACE_LINK         /* x, whose gradient y gets as well, z times */
};

/* What a custom node of two kinds computes; those of a binding's own compute nothing. */
typedef enum {
    MG_RULE_NONE,
    MG_RULE_DETACH, /* one operand */
    MG_RULE_DIVIDE, /* two operands */
    MG_RULE_LINK    /* its value, then operands, each with its partial derivative behind it */
} mg_rule;

typedef struct {
    double number; /* a constant; the exponent of exponent */
    uint32_t op;   /* of the table or as above */
    uint32_t x;    /* operands: places of earlier entries */
    uint32_t y;
    uint32_t z;
} mg_entry;

typedef struct {
    uint64_t sequence;
    uintptr_t place;
} mg_position;

typedef struct {
    size_t count;
    size_t capacity;
    mg_entry *entries;
    size_t roots; /* operands of the anchor */
    uint32_t *root;
    size_t captures; /* captured nodes, borrowed */
    mg_node **captured;
} mg_trace;

/* Between these two leaves are made in order of creation; may be nested. */
void mg_begin_recording(mg_arena *arena, mg_position *start);
void mg_end_recording(mg_arena *arena);
/* A custom node that computes what the rule says; data is its value. */
mg_node *mg_record_rule(mg_arena *arena, mg_rule rule, double data, mg_node *const *operands,
                        size_t count, mg_status *status);
/* What the anchor's operands were made from since start, operands before what uses them; inputs
 * are leaves made since. NULL: *status says why; MG_OPAQUE: *culprit has a closure for backward,
 * which no trace can contain. */
mg_trace *mg_trace_new(mg_arena *arena, const mg_node *anchor, const mg_position *start,
                       mg_node *const *inputs, size_t count, mg_status *status, mg_node **culprit);
void mg_trace_free(mg_arena *arena, mg_trace *trace);
/* Whether the node was made since start and is nobody's operand. */
int mg_node_is_fresh(const mg_node *node, const mg_position *start);
/* A number that no other node ever has, higher than those of older nodes; 0: a leaf made outside of
 * recordings. */
uint64_t mg_node_serial(const mg_node *node);
void mg_get_data(mg_arena *arena, mg_node *const *nodes, size_t count, double *data);
void mg_add_grads(mg_arena *arena, mg_node *const *nodes, size_t count, const double *grads);

/* --- programs: a trace to be replayed over many rows ---
 *
 * A program owns its memory, which it takes from the arena it was made with, and knows no node. A
 * replay may run in several threads at a time, each with a workspace of its own. */

typedef struct mg_program mg_program;
typedef struct mg_workspace mg_workspace;

typedef enum { MG_LESS, MG_LESS_EQUAL, MG_EQUAL } mg_relation;

/* What a comparison of two entries must come out as for the program to be right for a row. */
typedef struct {
    mg_relation relation;
    uint32_t left;
    uint32_t right;
    int outcome;
} mg_guard;

/* What a replay computes beside the outputs. */
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

/* Where a row would have raised. */
typedef struct {
    size_t row; /* SIZE_MAX: in what is computed of captured nodes alone */
    int status; /* a mg_status */
    int op;
    int derivative; /* it is the derivative that does not exist */
    double x;
    double y;
} mg_trap;

typedef struct {
    const double *captured;  /* data of captured nodes */
    const mg_column *inputs; /* one for each */
    const uint32_t *rows;    /* which rows; NULL: 0 to count - 1 */
    size_t count;
    const mg_column *outputs;   /* one for each output; data NULL: not wanted */
    const mg_column *seeds;     /* gradients of outputs; data NULL: seed */
    double seed;                /* for every output and row without a column of seeds */
    double scale;               /* of all seeds: 1, see mg_replay_end */
    const mg_column *gradients; /* one for each input; data NULL: not wanted */
    int jacobian;               /* 1: gradients of one output after the other, each with the seed 1
                                 * and columns of its own */
    unsigned char *failed;      /* by place among the rows: 1 where a guard failed */
    double *scalars;            /* room for mg_program_scalars */
    double *sums;               /* room for mg_program_sums for each chunk */
    double *captured_grads;     /* MG_PARAMETERS, MG_ALL: set */
    double total;               /* MG_PARAMETERS, MG_ALL: seeds times outputs, summed */
    int check;                  /* fill trap */
    int kind;                   /* of processor; 0: the one there is, for tests 1, 2, ...: its
                                 * predecessors, as far as it has them, down to the plainest */
    mg_trap trap;               /* of the first row that would raise; status MG_OK: none */
} mg_call;

typedef struct {
    size_t inputs;
    size_t captured;
    size_t outputs;
    size_t guards;
    size_t scalars;      /* instructions evaluated once a call */
    size_t instructions; /* evaluated for each row: entries of the trace, forward */
} mg_program_facts;

/* Where a thread is in the chunks it replays: at the beginning all but the first two are 0. */
typedef struct {
    size_t chunk;  /* under way */
    size_t last;   /* the one to stop before */
    size_t done;   /* rows of the chunk under way, up to the block under way */
    int under_way; /* 1: the workspace has the rest */
    int failures;  /* 1: a guard failed for some row */
} mg_progress;

/* The program owns a copy of all it is made of. NULL: *status says why: MG_NO_MEMORY, MG_UNSOUND,
 * MG_INTERRUPTED. */
mg_program *mg_program_new(mg_arena *memory, const mg_entry *entries, size_t count, size_t inputs,
                           size_t captured, const uint32_t *outputs, size_t output_count,
                           const mg_guard *guards, size_t guard_count, mg_status *status);
void mg_program_free(mg_program *program);
void mg_program_describe(const mg_program *program, mg_program_facts *out);
/* Make ready for replays in this mode; before the first. MG_NO_MEMORY, MG_INTERRUPTED: it is not.
 */
mg_status mg_program_prepare(mg_program *program, mg_mode mode);
/* About how many multiplications and additions a row takes; ready for this mode. */
size_t mg_program_work(const mg_program *program, mg_mode mode);
size_t mg_program_scalars(const mg_program *program);
/* Doubles for a chunk, total included. */
size_t mg_program_sums(const mg_program *program);
/* Write a listing of at most size - 1 characters, then a 0; the length it has in full. */
size_t mg_program_list(const mg_program *program, mg_mode mode, char *text, size_t size);

mg_workspace *mg_workspace_new(const mg_program *program, mg_mode mode);
void mg_workspace_free(mg_workspace *workspace);

/* The columns of a matrix, stride doubles from one row to the next. */
void mg_set_columns(mg_column *out, double *data, size_t count, ptrdiff_t stride);
/* A replay: begin, then every chunk of rows once, in any order and by any thread, then end. The
 * sums over rows are added up by chunks, so results do not depend on threads. */
size_t mg_replay_chunks(size_t rows);
/* 0: a guard that no row could meet has failed, and there is nothing to replay. */
int mg_replay_begin(const mg_program *program, mg_call *call);
/* Go on by about so many multiplications or additions, always with the same workspace; 1 if there
 * is more to do. With check the trap goes to *trap. */
int mg_replay_some(const mg_program *program, mg_mode mode, const mg_call *call,
                   mg_workspace *workspace, mg_progress *progress, size_t work, mg_trap *trap);
/* 1: every chunk is to be replayed once more, and ended. Where rows share a factor that depends on
 * captured nodes alone, gradients are summed before they are multiplied by it. A sum that is not
 * finite may come of rows that are: they are replayed with smaller seeds, for the gradients of
 * captured nodes that are not finite either. */
int mg_replay_end(const mg_program *program, mg_mode mode, mg_call *call);
/* All of it in the calling thread; 1 if a guard failed for some row, 2 if for all of them. */
int mg_replay(const mg_program *program, mg_mode mode, mg_call *call, mg_workspace *workspace);

/* cdef: end */

#endif
