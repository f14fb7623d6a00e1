/* per_call.c: the scalars, which a program computes once a call from captured nodes alone: their
 * places, their values, and how their adjoints are pushed down to the captured nodes.
 *
 * A sum of products, such as a penalty on all weights, is one step, as for rows it is one
 * instruction.
 *
 * A scalar that gradients reach by way of a side of a select, or as an element of a table, alone
 * may be a number whose derivative is infinite or nan, such as a logarithm of 0. Its gradient 0 is
 * not pushed then: no row, and no select or take of scalars, has chosen it. */
#include "program/per_call.h"

#include <string.h>

#include "for_speed.h"
#include "program/regions.h"
#include "program/sums.h"

/* ---- placing ---- */

static bool is_scalar_level(const mg_program *program, size_t i) {
    return program->fates[i].needed && program->fates[i].level == MG_LEVEL_SCALAR &&
           program->entries[i].op != MG_TRACE_ITEM;
}

/* Give the adjoints of scalars places. */
static void place_adjoints(mg_program *program) {
    uint32_t next = (uint32_t)program->captured;
    for (uint32_t i = 0; i < program->count; i++) {
        const mg_entry *entry = &program->entries[i];
        if (!is_scalar_level(program, i))
            program->adjoints[i] = MG_NOTHING;
        else
            program->adjoints[i] = entry->op == MG_TRACE_CAPTURED ? entry->x : next++;
    }
    program->adjoint_count = next;
}

static mg_scalar_step step_of(const mg_program *program, uint32_t i) {
    const mg_entry *entry = &program->entries[i];
    const mg_fate *fate = &program->fates[i];
    uint32_t operands[3];
    unsigned arity = mg_entry_operands(entry, operands);
    mg_scalar_step step = {.op = entry->op,
                           .out = fate->scalar,
                           .x = entry->x,
                           .adjoint = program->adjoints[i],
                           .adjoint_x = MG_NOTHING,
                           .adjoint_y = MG_NOTHING,
                           .adjoint_z = MG_NOTHING,
                           .entry = i,
                           .shared = fate->value != i,
                           .reached = fate->reached,
                           .sometimes = fate->region != MG_ALL_ROWS,
                           .number = entry->number};
    if (arity > 0) step.x = program->fates[entry->x].scalar;
    if (arity > 1) step.y = program->fates[entry->y].scalar;
    if (arity > 2) step.z = program->fates[entry->z].scalar;
    if (entry->op < MG_OP_COUNT || entry->op == MG_TRACE_LINK) {
        step.adjoint_x = program->adjoints[entry->x];
        if (arity > 1) step.adjoint_y = program->adjoints[entry->y];
    }
    if (entry->op == MG_TRACE_SELECT) {
        step.adjoint_y = program->adjoints[entry->y];
        step.adjoint_z = program->adjoints[entry->z];
    }
    return step;
}

static void add_term(mg_program *program, const bool *absorbed, uint32_t i) {
    mg_scalar_term *term = &program->scalar_terms[program->scalar_term_count++];
    const mg_entry *entry = &program->entries[i];
    const bool product = absorbed[i];
    const uint32_t a = product ? entry->x : i;
    term->a = program->fates[a].scalar;
    term->adjoint_a = program->adjoints[a];
    term->b = product ? program->fates[entry->y].scalar : MG_NOTHING;
    term->adjoint_b = product ? program->adjoints[entry->y] : MG_NOTHING;
}

/* Make the step of entry i the sum that ends in entry i. terms is room for a list of entries. */
static void add_terms(mg_program *program, const bool *absorbed, uint32_t i, mg_scalar_step *step,
                      uint32_t *terms) {
    const size_t count = mg_list_terms(program, absorbed, i, terms);
    step->op = MG_STEP_SUM;
    step->x = (uint32_t)count;
    step->y = (uint32_t)program->scalar_term_count;
    for (size_t k = 0; k < count; k++) add_term(program, absorbed, terms[k]);
}

/* List the elements of the table of a step's take, from the last to the first. */
static void add_elements(mg_program *program, const mg_entry *entry, mg_scalar_step *step) {
    const mg_entry *item = &program->entries[entry->y];
    step->y = (uint32_t)program->scalar_term_count;
    step->z = item->z;
    program->scalar_term_count += step->z;
    mg_gives_up(program->memory, step->z);
    for (uint32_t place = step->z; place-- > 0; item = &program->entries[item->y])
        program->scalar_terms[step->y + place] =
            (mg_scalar_term){.a = program->fates[item->x].scalar,
                             .b = MG_NOTHING,
                             .adjoint_a = program->adjoints[item->x],
                             .adjoint_b = MG_NOTHING};
}

static void place_steps(mg_program *program, const bool *absorbed, uint32_t *terms) {
    for (uint32_t i = 0; i < program->count; i++) {
        mg_fate *fate = &program->fates[i];
        const mg_entry *entry = &program->entries[i];
        if (mg_gives_up(program->memory, 1)) return;
        if (!fate->needed || entry->op == MG_TRACE_ITEM) continue;
        if (fate->level == MG_LEVEL_ROW) {
            if (fate->value == i && entry->op != MG_TRACE_INPUT) program->row_count++;
            continue;
        }
        if (fate->value != i) {
            fate->scalar = program->fates[fate->value].scalar;
        } else if (entry->op == MG_TRACE_CAPTURED) {
            fate->scalar = entry->x;
        } else {
            fate->scalar = (uint32_t)program->scalar_count++;
            program->is_constant[fate->scalar] = entry->op == MG_TRACE_CONSTANT;
            program->constants[fate->scalar] = entry->op == MG_TRACE_CONSTANT ? entry->number : 0.0;
        }
        if (fate->level != MG_LEVEL_SCALAR || entry->op == MG_TRACE_CAPTURED || absorbed[i])
            continue;
        mg_scalar_step *step = &program->steps[program->step_count++];
        *step = step_of(program, i);
        if (entry->op == MG_OP_add && fate->value == i)
            add_terms(program, absorbed, i, step, terms);
        if (entry->op == MG_TRACE_TAKE) add_elements(program, entry, step);
    }
}

bool mg_place_scalars(mg_arena *memory, mg_program *program) {
    const size_t most = program->count + 1;
    bool *absorbed = mg_allocate(memory, most * sizeof(bool));
    uint32_t *terms = mg_allocate(memory, most * sizeof(uint32_t));
    size_t scalars = program->captured, steps = 0, elements = 0;
    program->scalar_count = program->captured;
    for (size_t i = 0; i < program->count; i++) {
        const mg_fate *fate = &program->fates[i];
        if (!fate->needed || fate->level == MG_LEVEL_ROW) continue;
        if (fate->level == MG_LEVEL_SCALAR) steps++;
        if (program->entries[i].op == MG_TRACE_TAKE)
            elements += program->entries[program->entries[i].y].z;
        if (fate->value == i) scalars++;
    }
    if (absorbed != NULL) mg_find_sums(program, MG_LEVEL_SCALAR, absorbed);
    place_adjoints(program);
    program->constants = mg_allocate(memory, (scalars + 1) * sizeof(double));
    program->is_constant = mg_allocate(memory, (scalars + 1) * sizeof(bool));
    program->steps = mg_allocate(memory, (steps + 1) * sizeof(mg_scalar_step));
    program->scalar_terms =
        mg_allocate(memory, (2 * steps + elements + 1) * sizeof(mg_scalar_term));
    bool good = program->constants != NULL && program->is_constant != NULL &&
                program->steps != NULL && program->scalar_terms != NULL;
    good = good && absorbed != NULL && terms != NULL;
    if (good) place_steps(program, absorbed, terms);
    mg_deallocate(memory, absorbed);
    mg_deallocate(memory, terms);
    return good && !memory->gave_up;
}

/* ---- evaluating ---- */

/* Note the first error of a call that checks, or a wrong index; it belongs to no row. */
static void note_trap(mg_call *call, mg_status status, const mg_scalar_step *step, bool derivative,
                      double x, double y) {
    const bool told = call->check || status == MG_NO_ITEM;
    if (status == MG_OK || !told || call->trap.status != MG_OK) return;
    call->trap = (mg_trap){.row = SIZE_MAX,
                           .status = (int)status,
                           .op = mg_is_table_op(step->op) ? (int)step->op : -1,
                           .derivative = derivative,
                           .x = x,
                           .y = y};
}

static double sum_scalars(const mg_program *program, const mg_scalar_step *step,
                          const double *scalars) {
    const mg_scalar_term *term = program->scalar_terms + step->y, *const end = term + step->x;
    double sum = -0.0;
    for (; term < end; term++)
        sum += term->b == MG_NOTHING ? scalars[term->a] : scalars[term->a] * scalars[term->b];
    return sum;
}

static void push_sum(const mg_program *program, const mg_scalar_step *step, const double *scalars,
                     double *adjoints) {
    const mg_scalar_term *const terms = program->scalar_terms + step->y;
    const double g = adjoints[step->adjoint];
    for (const mg_scalar_term *term = terms + step->x; term-- > terms;) {
        if (term->adjoint_a != MG_NOTHING && term->adjoint_a == term->adjoint_b) { /* a * a */
            const double half = scalars[term->a] * g;
            adjoints[term->adjoint_a] = (adjoints[term->adjoint_a] + half) + half;
            continue;
        }
        if (term->adjoint_a != MG_NOTHING)
            adjoints[term->adjoint_a] += term->b == MG_NOTHING ? g : scalars[term->b] * g;
        if (term->adjoint_b != MG_NOTHING) adjoints[term->adjoint_b] += scalars[term->a] * g;
    }
}

/* Return the element that a step takes; NULL: there is none. */
static const mg_scalar_term *element_of(const mg_program *program, const mg_scalar_step *step,
                                        const double *scalars) {
    const uint32_t place = mg_place_among(scalars[step->x], step->z);
    return place < step->z ? &program->scalar_terms[step->y + place] : NULL;
}

static void take_scalar(const mg_program *program, mg_call *call, const mg_scalar_step *step) {
    const mg_scalar_term *element = element_of(program, step, call->scalars);
    call->scalars[step->out] = element != NULL ? call->scalars[element->a] : (double)NAN;
    if (element == NULL)
        note_trap(call, MG_NO_ITEM, step, false, call->scalars[step->x], (double)step->z);
}

void mg_evaluate_scalars(const mg_program *program, mg_call *call) {
    double *const scalars = call->scalars;
    const mg_scalar_step *const end = program->steps + program->step_count;
    for (const mg_scalar_step *step = program->steps; step < end; step++) {
        mg_status status = MG_OK;
        if (step->shared) continue;
        if (step->op == MG_STEP_SUM) {
            scalars[step->out] = sum_scalars(program, step, scalars);
            continue;
        }
        if (step->op == MG_TRACE_TAKE) {
            take_scalar(program, call, step);
            continue;
        }
        const double x = scalars[step->x];
        const double y = step->op == MG_OP_exponent ? step->number : scalars[step->y];
        if (step->op == MG_OP_multiply) {
            scalars[step->out] = x * y;
        } else if (step->op == MG_TRACE_LINK || step->op == MG_TRACE_DETACH) {
            scalars[step->out] = x;
        } else if (step->op == MG_TRACE_DIVIDE) {
            scalars[step->out] = x / y;
            status = y == 0.0 ? MG_ZERO_DIVISION : MG_OK;
        } else if (step->op == MG_TRACE_SELECT) {
            scalars[step->out] = x != 0.0 ? y : scalars[step->z];
        } else if (mg_is_comparison(step->op)) {
            scalars[step->out] = mg_compare(step->op - MG_TRACE_LESS, x, y);
        } else {
            status = mg_evaluate((int)step->op, x, y, &scalars[step->out]);
        }
        note_trap(call, status, step, false, x, y);
    }
}

/* Push the adjoints of scalars down to captured nodes. */
static void push_scalars(const mg_program *program, mg_call *call, double *adjoints) {
    const double *const scalars = call->scalars;
    for (const mg_scalar_step *step = program->steps + program->step_count;
         step-- > program->steps;) {
        const double g = adjoints[step->adjoint];
        double dx = 1.0, dy = 1.0;
        if (!step->reached || (step->sometimes && g == 0.0)) continue;
        if (step->op == MG_STEP_SUM) {
            push_sum(program, step, scalars, adjoints);
            continue;
        }
        if (step->op == MG_TRACE_TAKE) {
            const mg_scalar_term *element = element_of(program, step, scalars);
            if (element != NULL && element->adjoint_a != MG_NOTHING)
                adjoints[element->adjoint_a] += g;
            continue;
        }
        const double x = scalars[step->x];
        const double y = step->op == MG_OP_exponent ? step->number : scalars[step->y];
        if (step->op == MG_OP_multiply) {
            dx = y;
            dy = x;
        } else if (step->op == MG_TRACE_LINK) {
            dy = scalars[step->z];
        } else if (step->op == MG_TRACE_SELECT) {
            const uint32_t chosen = x != 0.0 ? step->adjoint_y : step->adjoint_z;
            if (chosen != MG_NOTHING) adjoints[chosen] += g;
            continue;
        } else if (step->op != MG_OP_add) { /* add: a step that shares an earlier step's value */
            mg_status status = mg_differentiate((int)step->op, x, y, scalars[step->out], &dx, &dy);
            note_trap(call, status, step, true, x, y);
        }
        if (step->adjoint_x != MG_NOTHING) adjoints[step->adjoint_x] += dx * g;
        if (step->adjoint_y != MG_NOTHING) adjoints[step->adjoint_y] += dy * g;
    }
}

bool mg_push_scalars(const mg_program *program, mg_call *call) {
    double *const grads = call->captured_grads;
    push_scalars(program, call, call->sums);
    if (call->scale == 1.0) {
        memcpy(grads, call->sums, program->captured * sizeof(double));
        return call->count > 1 && !mg_are_finite(grads, program->captured);
    }
    for (size_t i = 0; i < program->captured; i++)
        if (!isfinite(grads[i])) grads[i] = call->sums[i] / call->scale;
    return false;
}
