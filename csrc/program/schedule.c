/* schedule.c: the making of a schedule, the instructions of a program for one mode: forward, then
 * reverse, then slots for their registers. */
#include "program/schedule.h"

#include <string.h>

#include "program/scheduler.h"
#include "program/slots.h"

void mg_drop_schedule(mg_arena *memory, mg_schedule *schedule) {
    mg_deallocate(memory, schedule->code);
    mg_deallocate(memory, schedule->terms);
    mg_deallocate(memory, schedule->runs);
    *schedule = (mg_schedule){0};
}

static void make(mg_scheduler *at) {
    const size_t count = at->program->count, inputs = at->program->inputs;
    at->absorbed = mg_allocate(at->memory, count + 1);
    at->decisive = mg_allocate(at->memory, count + 1);
    at->wanted = mg_allocate(at->memory, count + 1);
    at->terms = mg_allocate(at->memory, (count + 1) * sizeof(uint32_t));
    at->last = mg_allocate(at->memory, (count + 1) * sizeof(uint32_t));
    at->loaded = mg_allocate(at->memory, (inputs + 1) * sizeof(uint32_t));
    at->failed =
        !at->absorbed || !at->decisive || !at->terms || !at->wanted || !at->last || !at->loaded;
    if (at->program->item_count != 0) {
        at->listed = mg_allocate(at->memory, (count + 1) * sizeof(uint32_t));
        at->failed |= !at->listed;
    }
    if (at->program->region_count != 0) {
        at->masks = mg_allocate(at->memory, at->program->region_count * sizeof(mg_mask));
        at->masked = mg_allocate(at->memory, (count + 1) * sizeof(mg_masked));
        at->failed |= !at->masks || !at->masked;
    }
    if (!at->failed) {
        memset(at->last, 0xff, (count + 1) * sizeof(uint32_t));
        if (at->listed != NULL) memset(at->listed, 0xff, (count + 1) * sizeof(uint32_t));
        mg_emit_forward(at);
        if (at->mode != MG_FORWARD) mg_emit_reverse(at);
        at->failed |= at->memory->gave_up;
    }
    mg_deallocate(at->memory, at->absorbed);
    mg_deallocate(at->memory, at->decisive);
    mg_deallocate(at->memory, at->terms);
    mg_deallocate(at->memory, at->wanted);
    mg_deallocate(at->memory, at->last);
    mg_deallocate(at->memory, at->loaded);
    mg_deallocate(at->memory, at->listed);
    mg_deallocate(at->memory, at->masks);
    mg_deallocate(at->memory, at->masked);
    mg_deallocate(at->memory, at->contributions);
    mg_deallocate(at->memory, at->pending);
    mg_deallocate(at->memory, at->stack);
}

bool mg_make_code(mg_arena *memory, mg_program *program, mg_mode mode, mg_span asked,
                  mg_schedule *out, uint32_t *registers) {
    mg_scheduler at = {
        .memory = memory,
        .program = program,
        .out = out,
        .mode = mode,
        .asked = asked,
        .registers = (uint32_t)program->count,
    };
    make(&at);
    *registers = at.registers;
    return !at.failed;
}

mg_status mg_make_schedule(mg_arena *memory, mg_program *program, mg_mode mode) {
    mg_schedule *out = &program->schedules[mode];
    uint32_t registers;
    if (!mg_make_code(memory, program, mode, (mg_span){0, program->inputs}, out, &registers) ||
        !mg_assign_slots(memory, program, mode, registers)) {
        mg_drop_schedule(memory, out);
        return mg_why(memory);
    }
    out->terms_each = 1 + out->term_count / (out->count + 1);
    out->ready = true;
    return MG_OK;
}
