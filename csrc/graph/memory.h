/* memory.h: everything an arena takes from the system passes here, and long work that may be given
 * up. */
#ifndef MG_MEMORY_H
#define MG_MEMORY_H

#include "graph/node.h"

/* size bytes, all zero, aligned for any type; NULL: no memory. The block is the arena's, and is
 * freed with it at the latest. */
void *mg_allocate(mg_arena *arena, size_t size);
/* The same block with a new size, perhaps elsewhere; NULL: no memory, and the block is as it was.
 */
void *mg_reallocate(mg_arena *arena, void *memory, size_t size);
void mg_deallocate(mg_arena *arena, void *memory);

/* Have room for one more element than `count` in an array, NULL at first, of `*room` elements of
 * this size, which is moved if need be; false: no memory, or it would have more than 2^31 elements,
 * and the array is as it was. */
bool mg_grow(mg_arena *arena, void **array, size_t count, size_t *room, size_t size);
#define MG_GROW(arena, array, count, room) \
    mg_grow(arena, (void **)&(array), count, &(room), sizeof *(array))

/* ---- long work: see mg_arena_set_poll ---- */

static inline void mg_set_poll(mg_arena *arena, int (*interrupted)(void)) {
    arena->interrupted = interrupted;
    arena->gave_up = false;
}

/* To be asked at each step of long work; true: give up. */
static inline bool mg_gives_up(mg_arena *arena, size_t step) {
    if ((step & 0x7fff) == 0x7fff && arena->interrupted != NULL && arena->interrupted() != 0)
        arena->gave_up = true;
    return arena->gave_up;
}

/* Why work has failed that takes memory and may be given up. */
static inline mg_status mg_why(const mg_arena *arena) {
    return arena->gave_up ? MG_INTERRUPTED : MG_NO_MEMORY;
}

#endif
