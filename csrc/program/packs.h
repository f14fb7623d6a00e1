/* packs.h: a program for one row at a time. packs.c says how it is made. */
#ifndef MG_PACKS_H
#define MG_PACKS_H

#include "program/program.h"

/* A number of the room that a replay writes to the caller's array. */
typedef struct {
    uint32_t to;
    uint32_t place;
} mg_answer;

/* A comparison of the guard with this number, or an index among count elements. */
typedef struct {
    uint32_t x; /* places */
    uint32_t y;
    uint32_t index;
    uint32_t count;
} mg_question;

struct mg_packs {
    mg_arena *memory;
    const mg_program *program;
    mg_schedule schedule; /* its references are places in the room */
    mg_answer *outputs;   /* output_count */
    size_t output_count;
    size_t output_room;
    mg_answer *gradients; /* gradient_count; the gradients of other inputs are 0 */
    size_t gradient_count;
    size_t gradient_room;
    mg_question *guards; /* guard_count */
    size_t guard_count;
    size_t guard_room;
    mg_question *indices; /* index_count */
    size_t index_count;
    size_t index_room;
    size_t seeds;     /* the place of the first seed; the first input's is 0 */
    size_t constants; /* the place of the first constant */
    size_t room;      /* number of places */
};

#endif
