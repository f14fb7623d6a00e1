/* memory.h: the memory that an arena takes from the system; long work that may be given up. */
#ifndef MG_MEMORY_H
#define MG_MEMORY_H

#include "graph/node.h"

/* Return size bytes, all zero, aligned for any type; NULL: no memory. The memory belongs to the
 * arena and is freed with the arena at the latest. */
void *mg_allocate(mg_arena *arena, size_t size);
/* Give memory from mg_allocate a new size, and return where it now lies; NULL: no memory, and the
 * old memory is as it was. */
void *mg_reallocate(mg_arena *arena, void *memory, size_t size);
/* Free memory from mg_allocate, or NULL. */
void mg_deallocate(mg_arena *arena, void *memory);

/* Make room for one more element in *array, which has count elements of this size and room for
 * *room; *array is NULL and *room 0 at first. The array may move. false, and the array is as it
 * was: no memory, or there would be room for more than 2^31 elements. */
bool mg_grow(mg_arena *arena, void **array, size_t count, size_t *room, size_t size);
#define MG_GROW(arena, array, count, room) \
    mg_grow(arena, (void **)&(array), count, &(room), sizeof *(array))

/* ---- long work: see mg_arena_set_poll ---- */

static inline void mg_set_poll(mg_arena *arena, int (*interrupted)(void)) {
    arena->interrupted = interrupted;
    arena->gave_up = false;
}

enum { MG_POLL_AFTER = 1 << 15 }; /* steps: some tenths of a millisecond */

/* Whether to give up long work; to be called for each so many of its steps. */
static inline bool mg_gives_up(mg_arena *arena, size_t steps) {
    arena->unpolled += steps;
    if (arena->unpolled >= MG_POLL_AFTER) {
        arena->unpolled = 0;
        if (arena->interrupted != NULL && arena->interrupted() != 0) arena->gave_up = true;
    }
    return arena->gave_up;
}

/* The reason why work failed that takes memory and may be given up. */
static inline mg_status mg_why(const mg_arena *arena) {
    return arena->gave_up ? MG_INTERRUPTED : MG_NO_MEMORY;
}

#endif
