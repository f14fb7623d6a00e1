/* packs.h: a program for one row at a time. packs.c says how it is made. */
#ifndef MG_PACKS_H
#define MG_PACKS_H

#include "program/program.h"

/* A number of the room that a replay writes to the caller's array. */
typedef struct {
    uint32_t to;
    uint32_t place;
} mg_answer;

/* An index among count elements. */
typedef struct {
    uint32_t x; /* a place */
    uint32_t count;
    bool own; /* what is looked up depends on inputs */
} mg_lookup;

/* The first places of the room are those of the inputs' numbers, then come captured nodes' numbers,
 * seeds, and constants. */
struct mg_packs {
    mg_arena *memory;
    mg_schedule schedule; /* its references are places in the room */
    mg_answer *outputs;   /* output_count */
    size_t output_count;
    size_t output_room;
    mg_answer *gradients; /* gradient_count, of inputs and of captured nodes; others are 0 */
    size_t gradient_count;
    size_t gradient_room;
    mg_guard *guards; /* guard_count, between places */
    size_t guard_count;
    size_t guard_room;
    mg_lookup *lookups; /* lookup_count */
    size_t lookup_count;
    size_t lookup_room;
    double *constants; /* constant_count */
    size_t constant_count;
    size_t inputs;
    size_t captured;
    size_t seeds; /* the place of the first seed */
    size_t room;  /* number of places */
};

#endif
