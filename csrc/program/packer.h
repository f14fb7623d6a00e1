/* packer.h: the making of packs. Internal to packs.c and pack_*.c.
 *
 * An item is an instruction of the code that has a result. Its operands are references, as the code
 * has them: registers, and constants with the bit MG_SCALAR. When items are emitted their results
 * get places, which are the references of the packs' own schedule. */
#ifndef MG_PACKER_H
#define MG_PACKER_H

#include "program/block.h"
#include "program/packs.h"
#include "program/scheduler.h"

/* Its operands come in pairs: the terms of a sum, or x and y, z and g, the mask and nothing, or the
 * index of a take and nothing, and its elements. */
typedef struct {
    uint32_t at; /* the instruction's place in the code */
    uint32_t level;
    uint32_t first; /* of its operands */
    uint32_t count;
    bool sum;
    bool own;           /* its operands depend on inputs; a gradient is only multiplied by */
    bool result_own;    /* its result does */
    uint64_t shape;     /* of all that the instructions of a pack have in common */
    uint64_t shared[2]; /* the shape, and the first, or the second, operands of pairs */
} mg_item;

typedef struct {
    uint32_t place;
    uint32_t maker; /* the pack that makes it */
    uint32_t level;
    bool own;
    bool shared; /* it is the index of a take that does not depend on the row's own inputs */
} mg_result;

/* An item in its level: the key of its pack, and the places by which lanes are sorted. */
typedef struct {
    uint64_t key;
    uint32_t first;
    uint32_t second;
    uint32_t item;
} mg_entrant;

typedef struct {
    uint64_t key;
    uint32_t count;
} mg_tally;

typedef struct {
    mg_arena *memory;
    mg_packs *to;
    const mg_program *program;
    const mg_schedule *from;
    mg_scheduler emit;  /* appends to the schedule of `to`; has the flag of failure for all */
    size_t own;         /* number of the row's own inputs, as far as exactness is concerned */
    size_t constants;   /* the place of the first constant */
    mg_result *results; /* for each register */
    mg_item *items;
    size_t item_count;
    size_t item_room;
    uint32_t *operands;
    size_t operand_count;
    size_t operand_room;
    mg_entrant *entrants; /* room for all items */
    mg_tally *tallies;    /* tally_count, a power of two: how many items of a level have a key */
    size_t tally_count;
    uint32_t *gathers; /* gather_room, a power of two: 1 + a gather's place in the code, or 0 */
    size_t gather_count;
    size_t gather_room;
    size_t lanes; /* of the instruction that was emitted last, unless it is one of MG_CODE_ONES */
    size_t ones;  /* where the MG_CODE_ONES begins that ends the code; 0: there is none */
    uint32_t makers;
    uint32_t list[MG_MOST_LANES]; /* the places of an operand, lane by lane */
} mg_packer;

static inline uint64_t mg_mix(uint64_t hash, uint64_t number) {
    hash = (hash ^ number) * 0x9e3779b97f4a7c15u;
    return hash ^ hash >> 29;
}

/* The results beyond those of registers are the constants'. */
static inline mg_result mg_result_of(const mg_packer *p, uint32_t reference) {
    if (mg_is_scalar(reference))
        return (mg_result){.place = (uint32_t)p->constants + (reference & ~MG_SCALAR)};
    return p->results[reference];
}

/* ---- pack_items.c ---- */

/* Note the instructions that only read and write, with registers for places; the others are items.
 */
void mg_list_items(mg_packer *p);
/* Replace the registers of what is read and written by places. */
void mg_place_answers(mg_packer *p);

/* ---- pack_operands.c ---- */

/* Have the instructions that are emitted next compute so many lanes. */
void mg_emit_lanes(mg_packer *p, size_t lanes);
/* Return the first of the places for the `lanes` results of the instruction that is emitted next. A
 * loop over a multiple of MG_LANES lanes may write to places beyond these, which are those of later
 * instructions. */
uint32_t mg_new_places(mg_packer *p, size_t lanes);
/* Return the reference of the k-th operand of a pack; `scalar`: it may be one number for all. */
uint32_t mg_pack_operand(mg_packer *p, const mg_entrant *pack, size_t lanes, uint32_t k,
                         bool scalar);

/* ---- pack_emit.c ---- */

/* Emit one instruction for the items of a pack, `lanes` of them; for an item alone where lanes is
 * 1. */
void mg_emit_pack(mg_packer *p, const mg_entrant *pack, size_t lanes);

#endif
