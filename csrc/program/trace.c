/* trace.c: what a program recorded, from nodes to an array that needs the arena no more.
 *
 * The nodes are listed as backward lists them, and become entries from the oldest to the newest, so
 * the operands of an entry stand before the entry. While the trace is made each node needs the
 * place of its entry: a recent node has the place in its grad, a captured node in a hash table. */
#include "program/trace.h"

#include "graph/backward.h"
#include "graph/look.h"
#include "graph/memory.h"
#include "graph/record.h"

/* ---- while recording ---- */

void mg_start_recording(mg_arena *arena, mg_position *start) {
    arena->recordings++;
    start->sequence = arena->sequence;
    start->place = arena->bump != NULL ? (uintptr_t)arena->bump : UINTPTR_MAX;
}

mg_node *mg_new_rule(mg_arena *arena, mg_rule rule, double data, mg_node *const *operands,
                     size_t count) {
    mg_node *node = mg_new_custom(arena, data, operands, count, NULL);
    if (node != NULL) mg_extra_of(node)->rule = rule;
    return node;
}

/* ---- the table of captured nodes ---- */

typedef struct {
    const mg_node *node;
    uint32_t place;
} capture;

typedef struct {
    mg_arena *arena;
    const mg_position *start;
    mg_trace *trace;
    capture *table;
    size_t size; /* a power of two, more than half of it free */
    size_t captured_room;
} tracer;

static capture *find(tracer *at, const mg_node *node) {
    uint64_t hash = (uint64_t)((uintptr_t)node / sizeof(mg_node)) * 0x9E3779B97F4A7C15u;
    size_t i = (size_t)(hash >> 32);
    for (i &= at->size - 1; at->table[i].node != NULL; i = (i + 1) & (at->size - 1))
        if (at->table[i].node == node) break;
    return &at->table[i];
}

static bool grow_table(tracer *at) {
    capture *old = at->table;
    size_t size = at->size;
    capture *table = mg_allocate(at->arena, 2 * size * sizeof(capture));
    if (table == NULL) return false;
    at->table = table;
    at->size = 2 * size;
    for (size_t i = 0; i < size; i++)
        if (old[i].node != NULL) *find(at, old[i].node) = old[i];
    mg_deallocate(at->arena, old);
    return true;
}

/* ---- entries ---- */

static bool append(tracer *at, mg_entry entry) {
    mg_trace *trace = at->trace;
    if (!MG_GROW(at->arena, trace->entries, trace->count, trace->capacity)) return false;
    trace->entries[trace->count++] = entry;
    return true;
}

/* Append the entry of a captured node that is met for the first time; write its place to *place. */
static bool capture_node(tracer *at, mg_node *node, uint32_t *place) {
    mg_trace *trace = at->trace;
    if (2 * (trace->captures + 1) > at->size && !grow_table(at)) return false;
    if (!MG_GROW(at->arena, trace->captured, trace->captures, at->captured_room)) return false;
    *place = (uint32_t)trace->count;
    if (!append(at, (mg_entry){.op = MG_TRACE_CAPTURED, .x = (uint32_t)trace->captures}))
        return false;
    trace->captured[trace->captures++] = node;
    *find(at, node) = (capture){node, *place};
    return true;
}

/* Write the place of a node's entry to *place; a captured node gets one if it has none yet. */
static bool place_of(tracer *at, mg_node *node, uint32_t *place) {
    if (mg_is_recent(node, at->start)) {
        *place = (uint32_t)node->grad;
        return true;
    }
    const capture *known = find(at, node);
    if (known->node == NULL) return capture_node(at, node, place);
    *place = known->place;
    return true;
}

/* Append the entries of a custom node with gradients of its own: its value without a gradient, then
 * for each operand a link, x being the entry before, y the operand and z the partial derivative.
 * With MG_RULE_LINK the value and the partial derivatives are nodes, otherwise constants. */
static bool append_links(tracer *at, const mg_node *node) {
    const mg_extra *extra = mg_extra_of(node);
    const bool given = extra->rule == MG_RULE_LINK;
    mg_entry link = {.op = MG_TRACE_LINK};
    if (given && !place_of(at, extra->operands[0], &link.x)) return false;
    if (!given) {
        link.x = (uint32_t)at->trace->count;
        if (!append(at, (mg_entry){.op = MG_TRACE_CONSTANT, .number = node->data})) return false;
    } else if (!append(at, (mg_entry){.op = MG_TRACE_DETACH, .x = link.x})) {
        return false;
    }
    link.x = (uint32_t)at->trace->count - 1;
    if (!given && extra->partials == NULL) return true;
    for (size_t i = given ? 1 : 0; i < extra->count; i += given ? 2 : 1) {
        if (!place_of(at, extra->operands[i], &link.y)) return false;
        if (given) {
            if (!place_of(at, extra->operands[i + 1], &link.z)) return false;
        } else {
            link.z = (uint32_t)at->trace->count;
            mg_entry partial = {.op = MG_TRACE_CONSTANT, .number = extra->partials[i]};
            if (!append(at, partial)) return false;
        }
        if (!append(at, link)) return false;
        link.x = (uint32_t)at->trace->count - 1;
    }
    return true;
}

/* Append the entry of a custom node whose rule is one operator of a trace. */
static bool append_rule(tracer *at, const mg_extra *extra) {
    static const uint32_t ops[] = {
        [MG_RULE_DETACH] = MG_TRACE_DETACH, [MG_RULE_DIVIDE] = MG_TRACE_DIVIDE,
        [MG_RULE_LESS] = MG_TRACE_LESS,     [MG_RULE_LESS_EQUAL] = MG_TRACE_LESS_EQUAL,
        [MG_RULE_EQUAL] = MG_TRACE_EQUAL,   [MG_RULE_SELECT] = MG_TRACE_SELECT};
    mg_entry entry = {.op = ops[extra->rule]};
    uint32_t *const places[] = {&entry.x, &entry.y, &entry.z};
    for (size_t i = 0; i < extra->count && i < 3; i++)
        if (!place_of(at, extra->operands[i], places[i])) return false;
    return append(at, entry);
}

/* Append the entries of a node; the last one has the node's value and gradient. */
static bool append_node(tracer *at, mg_node *node) {
    const mg_links *links = mg_links_of(node);
    mg_entry entry = {.op = node->op};
    switch (node->op) {
        case MG_OP_leaf:
            entry.op = MG_TRACE_CONSTANT;
            entry.number = node->data;
            break;
        case MG_OP_custom:
            if (links->extra->rule == MG_RULE_NONE || links->extra->rule == MG_RULE_LINK)
                return append_links(at, node);
            return append_rule(at, links->extra);
        default:
            if (!place_of(at, links->left, &entry.x)) return false;
            if (mg_arity(node) == 2 && !place_of(at, links->right, &entry.y)) return false;
            if (node->op == MG_OP_exponent) entry.number = links->exponent;
    }
    return append(at, entry);
}

static mg_status append_all(tracer *at, const mg_order *order, const mg_node *anchor,
                            mg_node *const *inputs, size_t count, mg_node **culprit) {
    mg_trace *trace = at->trace;
    for (size_t i = 0; i < count; i++) {
        inputs[i]->grad = (double)trace->count;
        if (!append(at, (mg_entry){.op = MG_TRACE_INPUT, .x = (uint32_t)i})) return MG_NO_MEMORY;
    }
    for (size_t i = order->count; i-- > 0;) {
        mg_node *node = order->nodes[i];
        if (mg_gives_up(at->arena, 1)) return MG_INTERRUPTED;
        if (node == anchor || !mg_is_recent(node, at->start)) continue;
        if (node->grad > 0.0 || (count != 0 && node == inputs[0])) continue; /* an input: placed */
        if (node->flags & MG_CLOSURE) {
            *culprit = node;
            return MG_OPAQUE;
        }
        if (!append_node(at, node)) return MG_NO_MEMORY;
        node->grad = (double)(trace->count - 1);
    }
    for (size_t i = 0; i < trace->roots; i++)
        if (!place_of(at, mg_operand_of(anchor, i), &trace->root[i])) return MG_NO_MEMORY;
    return MG_OK;
}

/* Make room for places in the recent nodes, by setting their grad to 0; return the gradients of all
 * nodes in the order, to be restored. NULL: no memory. Most of them are 0, but another thread may
 * have made a graph meanwhile whose gradients are not. */
static double *clear_grads(mg_arena *arena, const mg_order *order, const mg_position *start) {
    const size_t count = order->count;
    double *grads = mg_allocate(arena, (count + 1) * sizeof(double));
    for (size_t i = 0; grads != NULL && i < count; i++) {
        mg_node *node = order->nodes[i];
        grads[i] = node->grad;
        if (mg_is_recent(node, start)) node->grad = 0.0;
    }
    return grads;
}

static void restore_grads(const mg_order *order, const mg_position *start, const double *grads,
                          mg_node *const *inputs, size_t count) {
    for (size_t i = 0; i < order->count; i++)
        if (mg_is_recent(order->nodes[i], start)) order->nodes[i]->grad = grads[i];
    for (size_t i = 0; i < count; i++) inputs[i]->grad = 0.0;
}

/* ---- a trace ---- */

void mg_drop_trace(mg_arena *arena, mg_trace *trace) {
    if (trace == NULL) return;
    mg_deallocate(arena, trace->entries);
    mg_deallocate(arena, trace->root);
    mg_deallocate(arena, trace->captured);
    mg_deallocate(arena, trace);
}

static mg_trace *new_trace(tracer *at, size_t roots) {
    mg_trace *trace = mg_allocate(at->arena, sizeof *trace);
    if (trace == NULL) return NULL;
    trace->roots = roots;
    at->size = 64;
    trace->root = mg_allocate(at->arena, (roots + 1) * sizeof(uint32_t));
    at->table = mg_allocate(at->arena, at->size * sizeof(capture));
    at->trace = trace;
    if (trace->root != NULL && at->table != NULL) return trace;
    mg_deallocate(at->arena, at->table);
    mg_drop_trace(at->arena, trace);
    return NULL;
}

mg_trace *mg_make_trace(mg_arena *arena, const mg_node *anchor, const mg_position *start,
                        mg_node *const *inputs, size_t count, mg_status *status,
                        mg_node **culprit) {
    tracer at = {.arena = arena, .start = start};
    *culprit = NULL;
    *status = MG_NO_MEMORY;
    mg_order *order = mg_list_since(arena, (mg_node *)(uintptr_t)anchor, start);
    double *grads = NULL;
    if (order != NULL && !mg_gives_up(arena, MG_POLL_AFTER))
        grads = clear_grads(arena, order, start);
    if (grads == NULL) *status = mg_why(arena);
    mg_trace *trace = grads != NULL ? new_trace(&at, mg_arity_of(anchor)) : NULL;
    if (trace != NULL) {
        *status = append_all(&at, order, anchor, inputs, count, culprit);
        mg_deallocate(arena, at.table);
        if (*status != MG_OK) {
            mg_drop_trace(arena, trace);
            trace = NULL;
        }
    }
    if (grads != NULL) restore_grads(order, start, grads, inputs, count);
    mg_deallocate(arena, grads);
    mg_drop_order(arena, order);
    return trace;
}
