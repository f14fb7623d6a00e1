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
    at->wanted = mg_allocate(at->memory, count + 1);
    at->terms = mg_allocate(at->memory, (count + 1) * sizeof(uint32_t));
    at->last = mg_allocate(at->memory, (count + 1) * sizeof(uint32_t));
    at->loaded = mg_allocate(at->memory, (inputs + 1) * sizeof(uint32_t));
    at->failed = !at->absorbed || !at->terms || !at->wanted || !at->last || !at->loaded;
    if (at->program->region_count != 0) {
        at->masks = mg_allocate(at->memory, at->program->region_count * sizeof(mg_mask));
        at->masked = mg_allocate(at->memory, (count + 1) * sizeof(mg_masked));
        at->failed |= !at->masks || !at->masked;
    }
    if (!at->failed) {
        memset(at->last, 0xff, (count + 1) * sizeof(uint32_t));
        mg_emit_forward(at);
        if (at->mode != MG_FORWARD) mg_emit_reverse(at);
        at->failed |= at->memory->gave_up;
        if (!at->failed)
            at->failed = !mg_assign_slots(at->memory, at->program, at->mode, at->registers);
    }
    mg_deallocate(at->memory, at->absorbed);
    mg_deallocate(at->memory, at->terms);
    mg_deallocate(at->memory, at->wanted);
    mg_deallocate(at->memory, at->last);
    mg_deallocate(at->memory, at->loaded);
    mg_deallocate(at->memory, at->masks);
    mg_deallocate(at->memory, at->masked);
    mg_deallocate(at->memory, at->contributions);
    mg_deallocate(at->memory, at->pending);
    mg_deallocate(at->memory, at->stack);
}

mg_status mg_make_schedule(mg_arena *memory, mg_program *program, mg_mode mode) {
    mg_scheduler at = {
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
