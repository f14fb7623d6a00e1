/* schedule.c: the instructions of a program for one mode.
 *
 * Forward, sums are gathered: an addition takes over the products and sums that nobody else uses,
 * so that b + w0 * x0 + w1 * x1 + ... is one instruction, whose lanes stay in registers while
 * scalars are broadcast. The order of additions stays.
 *
 * In reverse, each entry adds a term to the gradient of each of its operands. The terms of a value
 * are listed until all of its uses have been met; then they are one sum. Where that is the gradient
 * of another value as it stands, it is that gradient.
 *
 * Every result has a register of its own here: a row's value the one with its entry's number, a
 * gradient one beyond them. slots.c lets them share slots. */
#include <string.h>

#include "program/sums.h"

typedef struct {
    uint32_t a; /* as in mg_product; references of registers */
    uint32_t b;
    uint32_t next; /* of the same target, towards the first */
} contribution;

typedef struct {
    mg_arena *memory;
    mg_program *program;
    mg_schedule *out;
    mg_mode mode;
    bool failed; /* no memory */
    uint32_t registers;
    bool *absorbed;   /* by entry: part of a sum further down */
    uint32_t *terms;  /* room for a list of entries */
    bool *wanted;     /* by entry: has a gradient that is asked for */
    uint32_t *last;   /* by entry: its latest contribution, or MG_NOTHING */
    uint32_t *loaded; /* by input: its register */
    contribution *contributions;
    size_t contribution_count;
    size_t contribution_room;
    mg_product *pending; /* terms of the reduction under way, all with the gradient pending_g */
    size_t pending_count;
    size_t pending_room;
    uint32_t pending_g;
    mg_product *stack; /* terms of the sum under way */
    size_t stack_count;
    size_t stack_room;
} scheduler;

/* ---- growing arrays ---- */

/* As MG_GROW, noting a failure. */
#define GROW(at, array, count, room) \
    (!(at)->failed && ((at)->failed = !MG_GROW((at)->memory, array, count, room)) == false)

static void emit(scheduler *at, mg_instruction instruction) {
    mg_schedule *out = at->out;
    if (!GROW(at, out->code, out->count, out->code_room)) return;
    out->code[out->count++] = instruction;
}

static mg_instruction blank(mg_code code) {
    return (mg_instruction){.code = (uint8_t)code,
                            .out = MG_NOTHING,
                            .x = MG_NOTHING,
                            .y = MG_NOTHING,
                            .z = MG_NOTHING,
                            .g = MG_NOTHING};
}

static void push_product(scheduler *at, uint32_t a, uint32_t b) {
    if (GROW(at, at->stack, at->stack_count, at->stack_room))
        at->stack[at->stack_count++] = (mg_product){a, b};
}

/* ---- sums ---- */

static mg_run_kind kind_of(mg_product term) {
    if (term.b == MG_NOTHING) return mg_is_scalar(term.a) ? MG_RUN_SCALAR : MG_RUN_ROW;
    return mg_is_scalar(term.a) ? MG_RUN_SCALAR_ROW : MG_RUN_ROW_ROW;
}

static void emit_runs(scheduler *at, uint32_t out) {
    mg_schedule *to = at->out;
    mg_instruction sum = blank(MG_CODE_SUM);
    sum.out = out;
    sum.first = (uint32_t)to->run_count;
    for (size_t i = 0; i < at->stack_count; i++) {
        mg_run_kind kind = kind_of(at->stack[i]);
        if (sum.count == 0 || to->runs[to->run_count - 1].kind != kind) {
            if (!GROW(at, to->runs, to->run_count, to->run_room)) return;
            to->runs[to->run_count++] = (mg_run){kind, (uint32_t)to->term_count, 0};
            sum.count++;
        }
        if (!GROW(at, to->terms, to->term_count, to->term_room)) return;
        to->terms[to->term_count++] = at->stack[i];
        to->runs[to->run_count - 1].count++;
    }
    emit(at, sum);
}

/* The sum of the terms on the stack, which is empty afterwards. */
static void emit_sum(scheduler *at, uint32_t out) {
    mg_instruction simple = blank(MG_CODE_SUM);
    const mg_product *terms = at->stack;
    simple.out = out;
    if (at->stack_count == 1 && terms[0].b != MG_NOTHING) {
        simple.code = MG_CODE_MULTIPLY;
        simple.x = terms[0].a;
        simple.y = terms[0].b;
    } else if (at->stack_count == 2 && terms[0].b == MG_NOTHING && terms[1].b == MG_NOTHING) {
        simple.code = MG_CODE_ADD;
        simple.x = terms[0].a;
        simple.y = terms[1].a;
    } else if (at->stack_count == 2 && terms[0].b == MG_NOTHING && terms[1].b != MG_NOTHING) {
        simple.code = MG_CODE_FUSED;
        simple.x = terms[0].a;
        simple.y = terms[1].a;
        simple.z = terms[1].b;
    }
    /* a scalar stands on the left where there is one */
    if (simple.code == MG_CODE_ADD && mg_is_scalar(simple.y)) {
        simple.x = terms[1].a;
        simple.y = terms[0].a;
    }
    if (simple.code != MG_CODE_SUM)
        emit(at, simple);
    else
        emit_runs(at, out);
    at->stack_count = 0;
}

/* ---- forward ---- */

/* The reference of the value that an entry has. */
static uint32_t value_of(const scheduler *at, uint32_t i) {
    const uint32_t value = at->program->fates[i].value;
    const mg_fate *fate = &at->program->fates[value];
    if (fate->level != MG_LEVEL_ROW) return fate->scalar | MG_SCALAR;
    const mg_entry *entry = &at->program->entries[value];
    return entry->op == MG_TRACE_INPUT ? at->loaded[entry->x] : value;
}

static mg_product product_of(const scheduler *at, const mg_entry *entry) {
    uint32_t a = value_of(at, entry->x), b = value_of(at, entry->y);
    return mg_is_scalar(b) ? (mg_product){b, a} : (mg_product){a, b};
}

static bool computes_row(const scheduler *at, uint32_t i) {
    const mg_fate *fate = &at->program->fates[i];
    return fate->needed && fate->level == MG_LEVEL_ROW && fate->value == i &&
           at->program->entries[i].op != MG_TRACE_INPUT;
}

static void push_operand(scheduler *at, uint32_t i) {
    if (at->absorbed[i]) {
        mg_product product = product_of(at, &at->program->entries[i]);
        push_product(at, product.a, product.b);
    } else {
        push_product(at, value_of(at, i), MG_NOTHING);
    }
}

static void push_terms(scheduler *at, uint32_t i) {
    const size_t count = mg_list_terms(at->program, at->absorbed, i, at->terms);
    for (size_t k = 0; k < count; k++) push_operand(at, at->terms[k]);
}

static void emit_entry(scheduler *at, uint32_t i) {
    const mg_entry *entry = &at->program->entries[i];
    mg_instruction apply = blank(MG_CODE_APPLY);
    switch (entry->op) {
        case MG_OP_add:
            push_terms(at, i);
            emit_sum(at, i);
            return;
        case MG_OP_multiply: {
            mg_product product = product_of(at, entry);
            push_product(at, product.a, product.b);
            emit_sum(at, i);
            return;
        }
        case MG_TRACE_LINK:
            push_product(at, value_of(at, entry->x), MG_NOTHING);
            emit_sum(at, i);
            return;
        case MG_TRACE_DIVIDE:
            apply.code = MG_CODE_DIVIDE;
            apply.y = value_of(at, entry->y);
            break;
        default:
            apply.op = (uint8_t)entry->op;
            apply.number = entry->number;
            if (mg_arities[entry->op] == 2) apply.y = value_of(at, entry->y);
    }
    apply.out = i;
    apply.x = value_of(at, entry->x);
    emit(at, apply);
}

static void emit_loads(scheduler *at) {
    for (uint32_t i = 0; i < at->program->count; i++) {
        const mg_entry *entry = &at->program->entries[i];
        if (entry->op != MG_TRACE_INPUT || !at->program->fates[i].needed) continue;
        mg_instruction load = blank(MG_CODE_LOAD);
        load.index = entry->x;
        load.out = i;
        at->loaded[entry->x] = i;
        emit(at, load);
    }
}

static void emit_forward(scheduler *at) {
    const mg_program *program = at->program;
    emit_loads(at);
    mg_find_sums(program, MG_LEVEL_ROW, at->absorbed);
    for (uint32_t i = 0; i < program->count && !mg_gives_up(at->memory, i); i++)
        if (computes_row(at, i) && !at->absorbed[i]) emit_entry(at, i);
    for (uint32_t i = 0; i < program->guard_count; i++) {
        mg_instruction guard = blank(MG_CODE_GUARD);
        guard.index = i;
        guard.x = value_of(at, program->guards[i].left);
        guard.y = value_of(at, program->guards[i].right);
        if (!mg_is_scalar(guard.x) || !mg_is_scalar(guard.y)) emit(at, guard);
    }
    at->out->forward = at->out->count;
    for (uint32_t i = 0; i < program->output_count; i++) {
        mg_instruction store = blank(MG_CODE_STORE);
        store.index = i;
        store.x = value_of(at, program->outputs[i]);
        emit(at, store);
    }
}

/* ---- which gradients are asked for ---- */

static void find_wanted(scheduler *at) {
    const mg_program *program = at->program;
    const uint32_t source = at->mode == MG_PARAMETERS ? MG_TRACE_CAPTURED : MG_TRACE_INPUT;
    uint32_t operands[3];
    bool through;
    for (uint32_t i = 0; i < program->count; i++) {
        const mg_entry *entry = &program->entries[i];
        unsigned arity = mg_entry_operands(entry, operands, &through);
        at->wanted[i] =
            at->mode == MG_ALL ? program->fates[i].level != MG_LEVEL_CONSTANT : entry->op == source;
        if (entry->op == MG_TRACE_LINK) arity = 2;
        for (unsigned k = 0; through && k < arity; k++) at->wanted[i] |= at->wanted[operands[k]];
        at->wanted[i] &= program->fates[i].needed;
    }
    for (uint32_t i = 0; i < program->count; i++) at->wanted[i] &= program->fates[i].reached;
}

/* ---- reverse ---- */

/* How many terms, wherever one starts, have different sums; up to MG_LANES are looked for. */
static uint32_t count_different(const mg_product *terms, size_t count) {
    uint32_t least = MG_LANES;
    for (size_t i = 0; i < count; i++)
        for (uint32_t k = 1; k < least && k <= i; k++)
            if (terms[i].a == terms[i - k].a) least = k;
    return least;
}

/* Close the reduction under way. */
static void flush(scheduler *at) {
    mg_schedule *out = at->out;
    if (at->pending_count == 0) return;
    mg_instruction reduce = blank(MG_CODE_REDUCE);
    reduce.g = at->pending_g;
    reduce.first = (uint32_t)out->term_count;
    reduce.count = (uint32_t)at->pending_count;
    reduce.index = count_different(at->pending, at->pending_count);
    for (size_t i = 0; i < at->pending_count; i++) {
        if (!GROW(at, out->terms, out->term_count, out->term_room)) return;
        out->terms[out->term_count++] = at->pending[i];
    }
    at->pending_count = 0;
    emit(at, reduce);
}

/* Add the sum over rows of a * g, or of g, to a scalar's adjoint. */
static void reduce(scheduler *at, uint32_t adjoint, uint32_t a, uint32_t g) {
    if (a != MG_NOTHING && mg_is_scalar(a)) {
        uint32_t product = at->registers++;
        push_product(at, a, g);
        emit_sum(at, product);
        a = MG_NOTHING;
        g = product;
    }
    if (at->pending_count != 0 && at->pending_g != g) flush(at);
    at->pending_g = g;
    if (GROW(at, at->pending, at->pending_count, at->pending_room))
        at->pending[at->pending_count++] = (mg_product){adjoint, a};
}

/* Add a * g, or g, to the gradient of entry i. */
static void contribute(scheduler *at, uint32_t i, uint32_t a, uint32_t g) {
    if (!at->wanted[i]) return;
    if (at->program->fates[i].level != MG_LEVEL_ROW) {
        reduce(at, at->program->adjoints[i], a, g);
        return;
    }
    if (!GROW(at, at->contributions, at->contribution_count, at->contribution_room)) return;
    contribution *next = &at->contributions[at->contribution_count];
    *next = a == MG_NOTHING ? (contribution){g, MG_NOTHING, at->last[i]}
                            : (contribution){a, g, at->last[i]};
    at->last[i] = (uint32_t)at->contribution_count++;
}

/* The register of an entry's gradient, all of its uses having contributed; MG_NOTHING: none has. */
static uint32_t gather(scheduler *at, uint32_t i) {
    if (at->last[i] == MG_NOTHING) return MG_NOTHING;
    const contribution *only = &at->contributions[at->last[i]];
    if (only->next == MG_NOTHING && only->b == MG_NOTHING) return only->a;
    for (uint32_t k = at->last[i]; k != MG_NOTHING; k = at->contributions[k].next)
        push_product(at, at->contributions[k].a, at->contributions[k].b);
    for (size_t low = 0, high = at->stack_count; low + 1 < high; low++, high--) {
        mg_product term = at->stack[low];
        at->stack[low] = at->stack[high - 1];
        at->stack[high - 1] = term;
    }
    uint32_t sum = at->registers++;
    emit_sum(at, sum);
    return sum;
}

/* Let another operand stand in for one that the derivative is not computed from: it need not be
 * kept until then. */
static void let_go(mg_instruction *push) {
    const int from = mg_computed_from(push->op, push->code == MG_CODE_PUSH_X ? 0 : 1);
    const bool row_x = !mg_is_scalar(push->x), row_y = !mg_is_scalar(push->y);
    if ((from & MG_FROM_Z) == 0) {
        if ((from & MG_FROM_X) != 0 && row_x)
            push->z = push->x;
        else if ((from & MG_FROM_Y) != 0 && row_y)
            push->z = push->y;
    }
    if ((from & MG_FROM_X) == 0 && row_x) push->x = push->z;
    if ((from & MG_FROM_Y) == 0 && row_y) push->y = push->z;
}

static void push_derivative(scheduler *at, uint32_t i, int side, uint32_t g) {
    const mg_entry *entry = &at->program->entries[i];
    const uint32_t operand = side == 0 ? entry->x : entry->y;
    if (!at->wanted[operand]) return;
    mg_instruction push = blank(side == 0 ? MG_CODE_PUSH_X : MG_CODE_PUSH_Y);
    push.op = (uint8_t)entry->op;
    push.number = entry->number;
    push.out = at->registers++;
    push.x = value_of(at, entry->x);
    if (mg_arities[entry->op] == 2) push.y = value_of(at, entry->y);
    push.z = value_of(at, i);
    push.g = g;
    if (at->mode != MG_ALL) let_go(&push); /* there, errors name operands */
    emit(at, push);
    contribute(at, operand, MG_NOTHING, push.out);
}

static void emit_reverse(scheduler *at, uint32_t i) {
    const mg_entry *entry = &at->program->entries[i];
    const uint32_t g = gather(at, i);
    if (g == MG_NOTHING) return;
    switch (entry->op) {
        case MG_TRACE_INPUT: {
            mg_instruction gradient = blank(MG_CODE_GRADIENT);
            gradient.index = entry->x;
            gradient.x = g;
            emit(at, gradient);
            return;
        }
        case MG_OP_add:
            contribute(at, entry->x, MG_NOTHING, g);
            contribute(at, entry->y, MG_NOTHING, g);
            return;
        case MG_OP_multiply:
            contribute(at, entry->x, value_of(at, entry->y), g);
            contribute(at, entry->y, value_of(at, entry->x), g);
            return;
        case MG_TRACE_LINK:
            contribute(at, entry->x, MG_NOTHING, g);
            contribute(at, entry->y, value_of(at, entry->z), g);
            return;
        default:
            if (!mg_is_table_op(entry->op)) return;
            push_derivative(at, i, 0, g);
            if (mg_arities[entry->op] == 2) push_derivative(at, i, 1, g);
    }
}

static void emit_backward(scheduler *at) {
    const mg_program *program = at->program;
    find_wanted(at);
    for (uint32_t i = (uint32_t)program->output_count; i-- > 0;) {
        if (!at->wanted[program->outputs[i]]) continue;
        mg_instruction seed = blank(MG_CODE_SEED);
        seed.index = i;
        seed.out = at->registers++;
        emit(at, seed);
        contribute(at, program->outputs[i], MG_NOTHING, seed.out);
    }
    for (uint32_t i = (uint32_t)program->count; i-- > 0 && !mg_gives_up(at->memory, i);)
        if (at->wanted[i] && program->fates[i].level == MG_LEVEL_ROW) emit_reverse(at, i);
    flush(at);
}

/* ---- a schedule ---- */

void mg_drop_schedule(mg_arena *memory, mg_schedule *schedule) {
    mg_deallocate(memory, schedule->code);
    mg_deallocate(memory, schedule->terms);
    mg_deallocate(memory, schedule->runs);
    *schedule = (mg_schedule){0};
}

static void make(scheduler *at) {
    const size_t count = at->program->count, inputs = at->program->inputs;
    at->absorbed = mg_allocate(at->memory, count + 1);
    at->wanted = mg_allocate(at->memory, count + 1);
    at->terms = mg_allocate(at->memory, (count + 1) * sizeof(uint32_t));
    at->last = mg_allocate(at->memory, (count + 1) * sizeof(uint32_t));
    at->loaded = mg_allocate(at->memory, (inputs + 1) * sizeof(uint32_t));
    at->failed = !at->absorbed || !at->terms || !at->wanted || !at->last || !at->loaded;
    if (!at->failed) {
        memset(at->last, 0xff, (count + 1) * sizeof(uint32_t));
        emit_forward(at);
        if (at->mode != MG_FORWARD) emit_backward(at);
        at->failed |= at->memory->gave_up;
        if (!at->failed)
            at->failed = !mg_assign_slots(at->memory, at->program, at->mode, at->registers);
    }
    mg_deallocate(at->memory, at->absorbed);
    mg_deallocate(at->memory, at->terms);
    mg_deallocate(at->memory, at->wanted);
    mg_deallocate(at->memory, at->last);
    mg_deallocate(at->memory, at->loaded);
    mg_deallocate(at->memory, at->contributions);
    mg_deallocate(at->memory, at->pending);
    mg_deallocate(at->memory, at->stack);
}

mg_status mg_make_schedule(mg_arena *memory, mg_program *program, mg_mode mode) {
    scheduler at = {
        .memory = memory,
        .program = program,
        .out = &program->schedules[mode],
        .mode = mode,
        .registers = (uint32_t)program->count,
    };
    make(&at);
    if (at.failed) {
        mg_drop_schedule(memory, at.out);
        return mg_why(memory);
    }
    at.out->terms_each = 1 + at.out->term_count / (at.out->count + 1);
    at.out->ready = true;
    return MG_OK;
}
