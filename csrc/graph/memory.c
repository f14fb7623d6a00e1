/* memory.c: the memory that an arena takes from the system. Each block is counted, and is on one
 * list, so that freeing the arena frees them all. A test can make an allocation fail. */
#include "graph/memory.h"

#include <stdlib.h>

#if defined(__linux__)
#include <sys/mman.h>
#endif

struct mg_allocation {
    mg_allocation *previous;
    mg_allocation *next;
    size_t size;   /* as asked for */
    size_t unused; /* keeps the memory behind this header aligned for any type */
};

static void link_block(mg_arena *arena, mg_allocation *block) {
    block->previous = NULL;
    block->next = arena->blocks;
    if (block->next != NULL) block->next->previous = block;
    arena->blocks = block;
    arena->bytes += block->size;
}

static void unlink_block(mg_arena *arena, mg_allocation *block) {
    if (block->next != NULL) block->next->previous = block->previous;
    if (block->previous != NULL)
        block->previous->next = block->next;
    else
        arena->blocks = block->next;
    arena->bytes -= block->size;
}

static bool fails(mg_arena *arena, size_t size) {
    if (size > SIZE_MAX - sizeof(mg_allocation)) return true;
    return arena->fail_after != 0 && --arena->fail_after == 0;
}

/* Let a large block lie in large pages, if the system has them. To get small ones, one after the
 * other, takes a third of the time in which a long program is made. */
static void want_large_pages(void *memory, size_t size) {
#if defined(MADV_HUGEPAGE)
    const uintptr_t page = (uintptr_t)1 << 21, first = ((uintptr_t)memory + page - 1) & ~(page - 1);
    const uintptr_t end = ((uintptr_t)memory + size) & ~(page - 1);
    if (size >= 2 * page) (void)madvise((void *)first, end - first, MADV_HUGEPAGE);
#else
    (void)memory;
    (void)size;
#endif
}

void *mg_allocate(mg_arena *arena, size_t size) {
    if (fails(arena, size)) return NULL;
    mg_allocation *block = calloc(1, sizeof(mg_allocation) + size);
    if (block == NULL) return NULL;
    want_large_pages(block, size);
    block->size = size;
    link_block(arena, block);
    return block + 1;
}

void *mg_reallocate(mg_arena *arena, void *memory, size_t size) {
    if (fails(arena, size)) return NULL;
    mg_allocation *old = (mg_allocation *)memory - 1;
    unlink_block(arena, old);
    mg_allocation *block = realloc(old, sizeof(mg_allocation) + size);
    if (block != NULL) block->size = size;
    link_block(arena, block != NULL ? block : old);
    return block != NULL ? block + 1 : NULL;
}

void mg_deallocate(mg_arena *arena, void *memory) {
    if (memory == NULL) return;
    mg_allocation *block = (mg_allocation *)memory - 1;
    unlink_block(arena, block);
    free(block);
}

bool mg_grow(mg_arena *arena, void **array, size_t count, size_t *room, size_t size) {
    if (count < *room) return true;
    const size_t wider = *room != 0 ? 2 * *room : 64;
    if (wider > (size_t)1 << 31 || wider > SIZE_MAX / 2 / size) return false;
    void *memory = *array == NULL ? mg_allocate(arena, wider * size)
                                  : mg_reallocate(arena, *array, wider * size);
    if (memory == NULL) return false;
    *array = memory;
    *room = wider;
    return true;
}

/* ---- arenas, and forks ---- */

#ifdef MG_LOCKS_MEET_FORKS

/* The list of all arenas. A thread that forks first takes the locks of all of them: so the child
 * process finds no arena in the middle of a change by a thread that the child does not have. */
static mg_arena *arenas;
static mg_lock arenas_lock = PTHREAD_MUTEX_INITIALIZER;

static void before_fork(void) {
    mg_lock_take(&arenas_lock);
    for (mg_arena *arena = arenas; arena != NULL; arena = arena->next) mg_lock_take(&arena->lock);
}

static void after_fork(void) {
    for (mg_arena *arena = arenas; arena != NULL; arena = arena->next) mg_lock_give(&arena->lock);
    mg_lock_give(&arenas_lock);
}

static bool enlist(mg_arena *arena) {
    static bool prepared;
    mg_lock_take(&arenas_lock);
    if (!prepared) prepared = pthread_atfork(before_fork, after_fork, after_fork) == 0;
    if (prepared) {
        arena->next = arenas;
        arenas = arena;
    }
    mg_lock_give(&arenas_lock);
    return prepared;
}

static void strike_off(mg_arena *arena) {
    mg_lock_take(&arenas_lock);
    mg_arena **link = &arenas;
    while (*link != arena) link = &(*link)->next;
    *link = arena->next;
    mg_lock_give(&arenas_lock);
}

#else

static bool enlist(mg_arena *arena) {
    (void)arena;
    return true;
}

static void strike_off(mg_arena *arena) {
    (void)arena;
}

#endif

mg_arena *mg_arena_new(void) {
    mg_arena *arena = calloc(1, sizeof *arena);
    if (arena == NULL) return NULL;
    arena->plain = true;
    mg_lock_init(&arena->lock);
    if (enlist(arena)) return arena;
    mg_lock_destroy(&arena->lock);
    free(arena);
    return NULL;
}

void mg_arena_free(mg_arena *arena) {
    if (arena == NULL) return;
    strike_off(arena);
    while (arena->blocks != NULL) mg_deallocate(arena, arena->blocks + 1);
    mg_lock_destroy(&arena->lock);
    free(arena);
}
