/* schedule.h: the instructions of a program for one mode. */
#ifndef MG_SCHEDULE_H
#define MG_SCHEDULE_H

#include "program/program.h"

/* Make the instructions of a program for a mode; MG_NO_MEMORY, MG_INTERRUPTED: there are none. */
mg_status mg_make_schedule(mg_arena *memory, mg_program *program, mg_mode mode);
/* From `first` on, before `end`. */
typedef struct {
    size_t first;
    size_t end;
} mg_span;

/* Make the instructions alone, with a register for each result and without slots; `out` is empty at
 * first. `asked` are the inputs whose gradients MG_INPUTS computes. false: no memory, or given up.
 */
bool mg_make_code(mg_arena *memory, mg_program *program, mg_mode mode, mg_span asked,
                  mg_schedule *out, uint32_t *registers);
void mg_drop_schedule(mg_arena *memory, mg_schedule *schedule);

#endif
