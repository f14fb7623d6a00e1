/* emit.c: instructions appended to a schedule, among them sums. */
#include "program/scheduler.h"

void mg_emit(mg_scheduler *at, mg_instruction instruction) {
    mg_schedule *out = at->out;
    if (!MG_GROW_OR_FAIL(at, out->code, out->count, out->code_room)) return;
    out->code[out->count++] = instruction;
}

mg_instruction mg_blank(mg_code code) {
    return (mg_instruction){.code = (uint8_t)code,
                            .out = MG_NOTHING,
                            .x = MG_NOTHING,
                            .y = MG_NOTHING,
                            .z = MG_NOTHING,
                            .g = MG_NOTHING,
                            .mask = MG_NOTHING};
}

void mg_push_product(mg_scheduler *at, uint32_t a, uint32_t b) {
    if (MG_GROW_OR_FAIL(at, at->stack, at->stack_count, at->stack_room))
        at->stack[at->stack_count++] = (mg_product){a, b};
}

/* ---- sums ---- */

static mg_run_kind kind_of(mg_product term) {
    if (term.b == MG_NOTHING) return mg_is_scalar(term.a) ? MG_RUN_SCALAR : MG_RUN_ROW;
    return mg_is_scalar(term.a) ? MG_RUN_SCALAR_ROW : MG_RUN_ROW_ROW;
}

static void emit_runs(mg_scheduler *at, uint32_t out) {
    mg_schedule *to = at->out;
    mg_instruction sum = mg_blank(MG_CODE_SUM);
    sum.out = out;
    sum.first = (uint32_t)to->run_count;
    for (size_t i = 0; i < at->stack_count; i++) {
        mg_run_kind kind = kind_of(at->stack[i]);
        if (sum.count == 0 || to->runs[to->run_count - 1].kind != kind) {
            if (!MG_GROW_OR_FAIL(at, to->runs, to->run_count, to->run_room)) return;
            to->runs[to->run_count++] = (mg_run){kind, (uint32_t)to->term_count, 0};
            sum.count++;
        }
        if (!MG_GROW_OR_FAIL(at, to->terms, to->term_count, to->term_room)) return;
        to->terms[to->term_count++] = at->stack[i];
        to->runs[to->run_count - 1].count++;
    }
    mg_emit(at, sum);
}

void mg_emit_sum(mg_scheduler *at, uint32_t out) {
    mg_instruction simple = mg_blank(MG_CODE_SUM);
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
    /* A scalar stands on the left where there is one. */
    if (simple.code == MG_CODE_ADD && mg_is_scalar(simple.y)) {
        simple.x = terms[1].a;
        simple.y = terms[0].a;
    }
    if (simple.code != MG_CODE_SUM)
        mg_emit(at, simple);
    else
        emit_runs(at, out);
    at->stack_count = 0;
}

uint32_t mg_value_of(const mg_scheduler *at, uint32_t i) {
    const uint32_t value = at->program->fates[i].value;
    const mg_fate *fate = &at->program->fates[value];
    if (fate->level != MG_LEVEL_ROW) return fate->scalar | MG_SCALAR;
    const mg_entry *entry = &at->program->entries[value];
    return entry->op == MG_TRACE_INPUT ? at->loaded[entry->x] : value;
}
