/* slots.h: from registers to slots. */
#ifndef MG_SLOTS_H
#define MG_SLOTS_H

#include "program/program.h"

/* Give a mode's registers slots. Registers with the numbers of entries are values, all others are
 * gradients. false: no memory, or given up. */
bool mg_assign_slots(mg_arena *memory, mg_program *program, mg_mode mode, uint32_t registers);

#endif
