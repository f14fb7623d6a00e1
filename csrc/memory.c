/* memory.c: everything an arena takes from the system passes here: it is counted, it is on one
 * list, so that freeing the arena frees all of it, and it can be made to fail for a test. */
#include <stdlib.h>

#include "node.h"

struct mg_block {
    mg_block *previous;
    mg_block *next;
    size_t size;   /* as asked for */
    size_t unused; /* keeps what follows aligned for any type */
};

static void link_block(mg_arena *arena, mg_block *block) {
    block->previous = NULL;
    block->next = arena->blocks;
    if (block->next != NULL) block->next->previous = block;
    arena->blocks = block;
    arena->bytes += block->size;
}

static void unlink_block(mg_arena *arena, mg_block *block) {
    if (block->next != NULL) block->next->previous = block->previous;
    if (block->previous != NULL)
        block->previous->next = block->next;
    else
        arena->blocks = block->next;
    arena->bytes -= block->size;
}

static bool fails(mg_arena *arena, size_t size) {
    if (size > SIZE_MAX - sizeof(mg_block)) return true;
    return arena->fail_after != 0 && --arena->fail_after == 0;
}

void *mg_allocate(mg_arena *arena, size_t size) {
    if (fails(arena, size)) return NULL;
    mg_block *block = malloc(sizeof(mg_block) + size);
    if (block == NULL) return NULL;
    block->size = size;
    link_block(arena, block);
    return block + 1;
}

void *mg_reallocate(mg_arena *arena, void *memory, size_t size) {
    if (fails(arena, size)) return NULL;
    mg_block *old = (mg_block *)memory - 1;
    unlink_block(arena, old);
    mg_block *block = realloc(old, sizeof(mg_block) + size);
    if (block != NULL) block->size = size;
    link_block(arena, block != NULL ? block : old);
    return block != NULL ? block + 1 : NULL;
}

void mg_deallocate(mg_arena *arena, void *memory) {
    if (memory == NULL) return;
    mg_block *block = (mg_block *)memory - 1;
    unlink_block(arena, block);
    free(block);
}

mg_arena *mg_arena_new(void) {
    mg_arena *arena = calloc(1, sizeof *arena);
    if (arena == NULL) return NULL;
    arena->plain = true;
    mg_lock_init(&arena->lock);
    return arena;
}

void mg_arena_free(mg_arena *arena) {
    if (arena == NULL) return;
    while (arena->blocks != NULL) mg_deallocate(arena, arena->blocks + 1);
    mg_lock_destroy(&arena->lock);
    free(arena);
}

void mg_arena_fail_after(mg_arena *arena, size_t n) {
    mg_lock_take(&arena->lock);
    arena->fail_after = n;
    mg_lock_give(&arena->lock);
}
