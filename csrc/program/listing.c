/* listing.c: a program's instructions for one row, for whoever writes them in another language. */
#include "program/schedule.h"

/* A listing, and what its arrays belong to. */
typedef struct {
    mg_listing shown; /* first: what callers see is the address of the whole */
    mg_program *program;
    mg_schedule code;
} listing;

static void drop(mg_arena *memory, listing *made) {
    mg_drop_schedule(memory, &made->code);
    mg_drop_program(made->program);
    mg_deallocate(memory, made);
}

static listing *make(mg_arena *memory, const mg_program *of, bool gradients) {
    uint32_t registers;
    listing *made = mg_allocate(memory, sizeof *made);
    if (made == NULL) return NULL;
    made->program = mg_with_all_inputs(memory, of);
    if (made->program == NULL ||
        !mg_make_code(memory, made->program, gradients ? MG_INPUTS : MG_FORWARD,
                      (mg_span){0, made->program->inputs}, &made->code, &registers)) {
        drop(memory, made);
        return NULL;
    }
    made->shown = (mg_listing){
        .code = made->code.code,
        .count = made->code.count,
        .forward = made->code.forward,
        .terms = made->code.terms,
        .runs = made->code.runs,
        .guards = made->program->guards,
        .constants = made->program->constants,
    };
    return made;
}

mg_listing *mg_listing_new(const mg_program *program, int gradients, mg_status *status) {
    mg_arena *memory = program->memory;
    mg_lock_take(&memory->lock);
    memory->gave_up = false;
    listing *made = make(memory, program, gradients != 0);
    *status = made != NULL ? MG_OK : mg_why(memory);
    mg_lock_give(&memory->lock);
    return made != NULL ? &made->shown : NULL;
}

void mg_listing_free(mg_listing *shown) {
    listing *made = (listing *)shown;
    mg_arena *memory = made->program->memory;
    mg_lock_take(&memory->lock);
    drop(memory, made);
    mg_lock_give(&memory->lock);
}
