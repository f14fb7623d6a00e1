/* packs.c: a program for one row at a time, whose lanes are results instead of rows.
 *
 * The code that schedule.c makes, in which each result has a register of its own, is divided into
 * packs: instructions that do the same with other operands, and of which none depends on another.
 * A pack is one instruction, and its results lie side by side. An operand of a pack is a place
 * where its lanes lie side by side, or one number for all lanes, or else is gathered into such a
 * place first. Numbers that have been gathered once in this order are not gathered again.
 *
 * Sums make a pack where one factor of each product is the same in all of them: so a matrix by a
 * vector is a sum of columns times numbers, and the products with its transpose and the outer
 * products of reverse are that, too. Other instructions make a pack where their operands come from
 * the same packs. Each result has its own additions in its own order, as in every replay.
 *
 * What depends on captured nodes alone is computed by the expressions of the operator table, as
 * other replays compute it once a call; what depends on the row by the loops over lanes. */
#include "program/packs.h"

#include <stdlib.h>
#include <string.h>

#include "program/block.h"
#include "program/schedule.h"
#include "program/scheduler.h"

enum { LEAST = 3 }; /* so many instructions make a pack; fewer are faster one by one */

/* An instruction of the code. Its operands are references, in pairs: the terms of a sum, or x and
 * y, z and g, the mask and nothing, or the index of a take and nothing, and its elements. */
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
    mg_scheduler emit;  /* appends to the schedule of `to` */
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
    uint32_t
        *gathers; /* gather_room, a power of two: 1 + the place in the code of a gather, or 0 */
    size_t gather_count;
    size_t gather_room;
    size_t lanes; /* of the instruction that was emitted last, unless it is one of MG_CODE_ONES */
    size_t ones;  /* where the MG_CODE_ONES begins that ends the code; 0: there is none */
    uint32_t makers;
    uint32_t list[MG_MOST_LANES]; /* the places of an operand, lane by lane */
    bool failed;
} mg_packer;

/* ---- items ---- */

static uint64_t mg_mix(uint64_t hash, uint64_t number) {
    hash = (hash ^ number) * 0x9e3779b97f4a7c15u;
    return hash ^ hash >> 29;
}

/* The results beyond those of registers are the constants'. */
static mg_result mg_result_of(const mg_packer *p, uint32_t reference) {
    if (mg_is_scalar(reference))
        return (mg_result){.place = (uint32_t)p->constants + (reference & ~MG_SCALAR)};
    return p->results[reference];
}

static void add_operand(mg_packer *p, uint32_t reference) {
    if (MG_GROW_OR_FAIL(p, p->operands, p->operand_count, p->operand_room))
        p->operands[p->operand_count++] = reference;
}

static void add_pair(mg_packer *p, uint32_t a, uint32_t b) {
    add_operand(p, a);
    add_operand(p, b);
}

static void list_operands(mg_packer *p, const mg_instruction *in) {
    switch ((mg_code)in->code) {
        case MG_CODE_ADD:
            add_pair(p, in->x, MG_NOTHING);
            add_pair(p, in->y, MG_NOTHING);
            return;
        case MG_CODE_MULTIPLY:
            add_pair(p, in->x, in->y);
            return;
        case MG_CODE_FUSED:
            add_pair(p, in->x, MG_NOTHING);
            add_pair(p, in->y, in->z);
            return;
        case MG_CODE_SUM:
            for (uint32_t r = 0; r < in->count; r++) {
                const mg_run *run = &p->from->runs[in->first + r];
                for (uint32_t k = 0; k < run->count; k++)
                    add_pair(p, p->from->terms[run->first + k].a, p->from->terms[run->first + k].b);
            }
            return;
        case MG_CODE_TAKE:
            add_pair(p, in->x, MG_NOTHING);
            for (uint32_t k = 0; k < in->count; k++)
                add_pair(p, p->from->terms[in->first + k].a, MG_NOTHING);
            return;
        default:
            add_pair(p, in->x, in->y);
            add_pair(p, in->z, in->g);
            add_pair(p, in->mask, MG_NOTHING);
    }
}

static bool is_sum(const mg_instruction *in) {
    return in->code == MG_CODE_SUM || in->code == MG_CODE_ADD || in->code == MG_CODE_MULTIPLY ||
           in->code == MG_CODE_FUSED;
}

static bool is_push(const mg_instruction *in) {
    return in->code == MG_CODE_PUSH_X || in->code == MG_CODE_PUSH_Y;
}

/* Fill in what an item's operands tell. */
static void describe(mg_packer *p, mg_item *one, const mg_instruction *in) {
    const uint32_t *operands = p->operands + one->first;
    uint64_t bits;
    memcpy(&bits, &in->number, sizeof bits);
    for (uint32_t k = 0; k < one->count; k++) {
        if (operands[k] == MG_NOTHING) continue;
        const mg_result from = mg_result_of(p, operands[k]);
        if (from.level >= one->level) one->level = from.level + 1;
        one->result_own |= from.own;
        one->own |= from.own && !(k == 3 && is_push(in));
    }
    uint64_t shape = mg_mix(one->sum ? MG_CODE_SUM : in->code, in->op);
    shape = mg_mix(mg_mix(shape, bits), one->count);
    shape = mg_mix(mg_mix(shape, one->level), one->own);
    if (in->code == MG_CODE_PICK) shape = mg_mix(mg_mix(shape, in->first), in->count);
    if (in->code == MG_CODE_TAKE) shape = mg_mix(shape, operands[0]);
    for (uint32_t k = 1; k < one->count; k += 2) shape = mg_mix(shape, operands[k] != MG_NOTHING);
    one->shape = shape;
    const bool pairs = one->sum || (in->z == MG_NOTHING && in->code != MG_CODE_TAKE);
    for (int side = 0; side < 2; side++) {
        uint64_t shared = mg_mix(shape, 1 + (uint64_t)side);
        bool any = false;
        for (uint32_t k = 0; pairs && k < one->count; k += 2) {
            if (operands[k] == MG_NOTHING || operands[k + 1] == MG_NOTHING) continue;
            shared = mg_mix(shared, operands[k + (uint32_t)side]);
            any = true;
        }
        one->shared[side] = any ? shared : 0;
    }
}

static void add_item(mg_packer *p, uint32_t at) {
    const mg_instruction *in = &p->from->code[at];
    if (!MG_GROW_OR_FAIL(p, p->items, p->item_count, p->item_room)) return;
    mg_item *one = &p->items[p->item_count++];
    *one = (mg_item){.at = at, .first = (uint32_t)p->operand_count, .sum = is_sum(in)};
    list_operands(p, in);
    if (p->failed) return;
    one->count = (uint32_t)p->operand_count - one->first;
    describe(p, one, in);
    if (in->code == MG_CODE_TAKE && !one->result_own && !mg_is_scalar(in->x))
        p->results[in->x].shared = true;
    p->results[in->out] = (mg_result){.level = one->level, .own = one->result_own};
}

/* Note the instructions that only read and write, with registers for places; the others are items.
 */
static void mg_list_items(mg_packer *p) {
    mg_packs *to = p->to;
    for (uint32_t i = 0; i < p->from->count && !p->failed; i++) {
        const mg_instruction *in = &p->from->code[i];
        if (mg_gives_up(p->memory, 1)) return;
        switch ((mg_code)in->code) {
            case MG_CODE_LOAD:
                p->results[in->out] = (mg_result){.place = in->index, .own = in->index < p->own};
                break;
            case MG_CODE_SEED:
                p->results[in->out] = (mg_result){.place = (uint32_t)to->seeds + in->index};
                break;
            case MG_CODE_STORE:
                if (MG_GROW_OR_FAIL(p, to->outputs, to->output_count, to->output_room))
                    to->outputs[to->output_count++] = (mg_answer){in->index, in->x};
                break;
            case MG_CODE_GRADIENT:
                if (MG_GROW_OR_FAIL(p, to->gradients, to->gradient_count, to->gradient_room))
                    to->gradients[to->gradient_count++] = (mg_answer){in->index, in->x};
                break;
            case MG_CODE_GUARD:
                if (!MG_GROW_OR_FAIL(p, to->guards, to->guard_count, to->guard_room)) break;
                to->guards[to->guard_count] = p->program->guards[in->index];
                to->guards[to->guard_count].left = in->x;
                to->guards[to->guard_count++].right = in->y;
                break;
            case MG_CODE_INDEX:
                if (MG_GROW_OR_FAIL(p, to->lookups, to->lookup_count, to->lookup_room))
                    to->lookups[to->lookup_count++] = (mg_lookup){in->x, in->count, false};
                break;
            default:
                add_item(p, i);
        }
    }
}

/* Replace the registers of what is read and written by places. */
static void mg_place_answers(mg_packer *p) {
    mg_packs *to = p->to;
    for (size_t i = 0; i < to->output_count; i++)
        to->outputs[i].place = mg_result_of(p, to->outputs[i].place).place;
    for (size_t i = 0; i < to->gradient_count; i++)
        to->gradients[i].place = mg_result_of(p, to->gradients[i].place).place;
    for (size_t i = 0; i < to->lookup_count; i++) {
        const mg_result index = mg_result_of(p, to->lookups[i].x);
        to->lookups[i].x = index.place;
        to->lookups[i].own = !index.shared;
    }
    for (size_t i = 0; i < to->guard_count; i++) {
        to->guards[i].left = mg_result_of(p, to->guards[i].left).place;
        to->guards[i].right = mg_result_of(p, to->guards[i].right).place;
    }
}

/* ---- operands ---- */

static void mg_emit_lanes(mg_packer *p, size_t lanes) {
    if (lanes == p->lanes) return;
    mg_instruction set = mg_blank(MG_CODE_LANES);
    set.count = (uint32_t)lanes;
    p->lanes = lanes;
    mg_emit(&p->emit, set);
}

/* Return the first of the places for the `lanes` results of the instruction that is emitted next. A
 * loop over a multiple of MG_LANES lanes may write to places beyond these, which are those of later
 * instructions. */
static uint32_t mg_new_places(mg_packer *p, size_t lanes) {
    size_t place = p->to->room;
    if (lanes >= MG_LANES) place = (place + MG_LANES - 1) / MG_LANES * MG_LANES;
    p->to->room = place + lanes;
    if (p->to->room >= MG_SCALAR) p->failed = true;
    return (uint32_t)place;
}

static bool gathers_list(const mg_packer *p, const mg_instruction *gather, size_t lanes) {
    const mg_product *terms = p->to->schedule.terms + gather->first;
    size_t l = 0;
    if (gather->count != lanes) return false;
    while (l < lanes && terms[l].a == p->list[l]) l++;
    return l == lanes;
}

static uint64_t hash_list(const uint32_t *list, size_t lanes) {
    uint64_t hash = lanes;
    for (size_t l = 0; l < lanes; l++) hash = mg_mix(hash, list[l]);
    return hash;
}

/* Return where a gather's list is in the table, or where there is room for it. */
static size_t find_gather(const mg_packer *p, size_t lanes, uint64_t hash) {
    size_t i = hash & (p->gather_room - 1);
    while (p->gathers[i] != 0 && !gathers_list(p, &p->to->schedule.code[p->gathers[i] - 1], lanes))
        i = (i + 1) & (p->gather_room - 1);
    return i;
}

static bool grow_gathers(mg_packer *p) {
    const size_t before = p->gather_room, room = before == 0 ? 64 : 2 * before;
    uint32_t *old = p->gathers, *gathers = mg_allocate(p->memory, room * sizeof(uint32_t));
    if (gathers == NULL) return false;
    for (size_t i = 0; i < before; i++) {
        if (old[i] == 0) continue;
        const mg_instruction *gather = &p->to->schedule.code[old[i] - 1];
        uint64_t hash = gather->count;
        for (uint32_t l = 0; l < gather->count; l++)
            hash = mg_mix(hash, p->to->schedule.terms[gather->first + l].a);
        size_t k = hash & (room - 1);
        while (gathers[k] != 0) k = (k + 1) & (room - 1);
        gathers[k] = old[i];
    }
    mg_deallocate(p->memory, old);
    p->gathers = gathers;
    p->gather_room = room;
    return true;
}

/* Return the place where the numbers of the list lie side by side, gathered if need be. */
static uint32_t gather(mg_packer *p, size_t lanes) {
    mg_schedule *out = &p->to->schedule;
    if (2 * p->gather_count >= p->gather_room && !grow_gathers(p)) {
        p->failed = true;
        return 0;
    }
    const size_t i = find_gather(p, lanes, hash_list(p->list, lanes));
    if (p->gathers[i] != 0) return out->code[p->gathers[i] - 1].out;
    mg_instruction gather = mg_blank(MG_CODE_GATHER);
    gather.out = mg_new_places(p, lanes);
    gather.first = (uint32_t)out->term_count;
    gather.count = (uint32_t)lanes;
    for (size_t l = 0; l < lanes; l++) {
        if (!MG_GROW_OR_FAIL(&p->emit, out->terms, out->term_count, out->term_room)) return 0;
        out->terms[out->term_count++] = (mg_product){p->list[l], MG_NOTHING};
    }
    mg_emit(&p->emit, gather);
    p->gathers[i] = (uint32_t)out->count;
    p->gather_count++;
    return gather.out;
}

/* Return the reference of the k-th operand of a pack; `scalar`: it may be one number for all. */
static uint32_t mg_pack_operand(mg_packer *p, const mg_entrant *pack, size_t lanes, uint32_t k,
                                bool scalar) {
    bool same = true, beside = true;
    for (size_t l = 0; l < lanes; l++) {
        const uint32_t reference = p->operands[p->items[pack[l].item].first + k];
        if (reference == MG_NOTHING) return MG_NOTHING; /* in all lanes: the shape says so */
        p->list[l] = mg_result_of(p, reference).place;
        same &= p->list[l] == p->list[0];
        beside &= p->list[l] == p->list[0] + l;
    }
    if (beside) return p->list[0];
    return same && scalar ? p->list[0] | MG_SCALAR : gather(p, lanes);
}

/* ---- packs ---- */

/* Give the results of a pack, which is emitted next, their places; return the first one. */
static uint32_t place_results(mg_packer *p, const mg_entrant *pack, size_t lanes) {
    const uint32_t out = mg_new_places(p, lanes), maker = p->makers++;
    mg_emit_lanes(p, lanes);
    for (size_t l = 0; l < lanes; l++) {
        mg_result *to = &p->results[p->from->code[p->items[pack[l].item].at].out];
        to->place = out + (uint32_t)l;
        to->maker = maker;
    }
    return out;
}

static void emit_sum(mg_packer *p, const mg_entrant *pack, size_t lanes) {
    const uint32_t count = p->items[pack->item].count;
    bool any = false; /* an operand that has lanes */
    for (uint32_t k = 0; k < count; k += 2) {
        const bool last = k + 2 == count;
        uint32_t a = mg_pack_operand(p, pack, lanes, k, !last || any);
        uint32_t b = mg_pack_operand(p, pack, lanes, k + 1, !mg_is_scalar(a));
        if (b != MG_NOTHING && mg_is_scalar(b)) {
            const uint32_t swapped = a;
            a = b;
            b = swapped;
        }
        any |= !mg_is_scalar(a) || b != MG_NOTHING;
        mg_push_product(&p->emit, a, b);
    }
    mg_emit_sum(&p->emit, place_results(p, pack, lanes));
}

/* An index, and for each element the places of its lanes. */
static void emit_choice(mg_packer *p, const mg_entrant *pack, size_t lanes) {
    const mg_item *one = &p->items[pack->item];
    mg_schedule *to = &p->to->schedule;
    mg_instruction choose = mg_blank(MG_CODE_CHOOSE);
    for (uint32_t k = 2; k < one->count; k += 2)
        mg_push_product(&p->emit, mg_pack_operand(p, pack, lanes, k, false), MG_NOTHING);
    choose.x = mg_result_of(p, p->operands[one->first]).place | MG_SCALAR;
    choose.first = (uint32_t)to->term_count;
    choose.count = one->count / 2 - 1;
    for (size_t k = 0; k < p->emit.stack_count; k++)
        if (MG_GROW_OR_FAIL(&p->emit, to->terms, to->term_count, to->term_room))
            to->terms[to->term_count++] = p->emit.stack[k];
    p->emit.stack_count = 0;
    choose.out = place_results(p, pack, lanes);
    mg_emit(&p->emit, choose);
}

/* Of an operator on rows the first operand has lanes unless the second one has, and what reverse
 * reads has lanes. */
static void emit_apply(mg_packer *p, const mg_entrant *pack, size_t lanes) {
    const mg_item *one = &p->items[pack->item];
    mg_instruction in = p->from->code[one->at];
    const bool table = in.code == MG_CODE_APPLY, push_x = in.code == MG_CODE_PUSH_X;
    const bool push = push_x || in.code == MG_CODE_PUSH_Y, any = in.code == MG_CODE_SELECT;
    in.y = mg_pack_operand(p, pack, lanes, 1, true);
    in.x = mg_pack_operand(p, pack, lanes, 0, any || (in.y != MG_NOTHING && !mg_is_scalar(in.y)));
    in.z = mg_pack_operand(p, pack, lanes, 2, any);
    in.g = mg_pack_operand(p, pack, lanes, 3, false);
    in.mask = mg_pack_operand(p, pack, lanes, 4, false);
    if (!one->own && table) in.code = MG_CODE_EXACT;
    if (!one->own && push) in.code = push_x ? MG_CODE_EXACT_X : MG_CODE_EXACT_Y;
    in.out = place_results(p, pack, lanes);
    mg_emit(&p->emit, in);
}

/* ---- one by one ---- */

/* Return the instruction of a sum of one item. Its terms, if they are listed, are places. */
static mg_instruction sum_of_one(mg_packer *p, const mg_item *one) {
    mg_schedule *to = &p->to->schedule;
    mg_product terms[2] = {{MG_NOTHING, MG_NOTHING}, {MG_NOTHING, MG_NOTHING}};
    mg_instruction in = mg_blank(MG_CODE_SUM);
    in.first = (uint32_t)to->term_count;
    in.count = one->count / 2;
    for (uint32_t k = 0; k < in.count; k++) {
        const uint32_t *pair = p->operands + one->first + 2 * k;
        mg_product term = {mg_result_of(p, pair[0]).place, pair[1]};
        if (pair[1] != MG_NOTHING) term.b = mg_result_of(p, pair[1]).place;
        if (k < 2) terms[k] = term;
        if (MG_GROW_OR_FAIL(&p->emit, to->terms, to->term_count, to->term_room))
            to->terms[to->term_count++] = term;
    }
    in.x = terms[0].a;
    if (in.count == 1 && terms[0].b != MG_NOTHING) {
        in.code = MG_CODE_MULTIPLY;
        in.y = terms[0].b;
    } else if (in.count == 2 && terms[0].b == MG_NOTHING) {
        in.code = terms[1].b == MG_NOTHING ? MG_CODE_ADD : MG_CODE_FUSED;
        in.y = terms[1].a;
        in.z = terms[1].b;
    }
    if (in.code != MG_CODE_SUM) to->term_count = in.first;
    return in;
}

static mg_instruction apply_to_one(const mg_packer *p, const mg_item *one) {
    mg_instruction in = p->from->code[one->at];
    uint32_t *const fields[] = {&in.x, &in.y, &in.z, &in.g, &in.mask};
    for (int k = 0; k < 5; k++)
        if (*fields[k] != MG_NOTHING) *fields[k] = mg_result_of(p, *fields[k]).place;
    if (in.code == MG_CODE_APPLY) in.code = MG_CODE_EXACT;
    if (in.code == MG_CODE_PUSH_X) in.code = MG_CODE_EXACT_X;
    if (in.code == MG_CODE_PUSH_Y) in.code = MG_CODE_EXACT_Y;
    return in;
}

/* Whether an instruction is never one of a pack: lanes divide without a look at what they divide
 * by. */
static bool stands_alone(const mg_packer *p, const mg_item *one) {
    return p->from->code[one->at].code == MG_CODE_DIVIDE && !one->own;
}

/* Whether mg_run_ones knows the instruction of an item. */
static bool runs_alone(const mg_packer *p, const mg_item *one) {
    switch ((mg_code)p->from->code[one->at].code) {
        case MG_CODE_APPLY:
        case MG_CODE_PUSH_X:
        case MG_CODE_PUSH_Y:
            return !one->own;
        case MG_CODE_DIVIDE:
        case MG_CODE_LESS:
        case MG_CODE_LESS_EQUAL:
        case MG_CODE_EQUAL:
        case MG_CODE_SELECT:
            return true;
        default:
            return one->sum;
    }
}

static void emit_one(mg_packer *p, const mg_entrant *entry) {
    const mg_item *one = &p->items[entry->item];
    mg_schedule *to = &p->to->schedule;
    mg_result *out = &p->results[p->from->code[one->at].out];
    mg_instruction in = one->sum ? sum_of_one(p, one) : apply_to_one(p, one);
    out->place = in.out = mg_new_places(p, 1);
    out->maker = p->makers++;
    if (p->ones == 0 || p->ones + to->code[p->ones - 1].count != to->count) {
        mg_emit(&p->emit, mg_blank(MG_CODE_ONES));
        p->ones = to->count;
    }
    mg_emit(&p->emit, in);
    if (!p->emit.failed) to->code[p->ones - 1].count++;
}

/* ---- packs of items ---- */

static void mg_emit_pack(mg_packer *p, const mg_entrant *pack, size_t lanes) {
    const mg_item *one = &p->items[pack->item];
    mg_gives_up(p->memory, lanes * one->count);
    if (lanes == 1 && runs_alone(p, one))
        emit_one(p, pack);
    else if (one->sum)
        emit_sum(p, pack, lanes);
    else if (p->from->code[one->at].code == MG_CODE_TAKE)
        emit_choice(p, pack, lanes);
    else
        emit_apply(p, pack, lanes);
}

/* Whether two items do the same with other operands. */
static bool are_alike(const mg_packer *p, const mg_item *a, const mg_item *b) {
    const mg_instruction *one = &p->from->code[a->at], *other = &p->from->code[b->at];
    if (a->shape != b->shape || a->sum != b->sum || a->count != b->count || a->own != b->own)
        return false;
    for (uint32_t k = 0; k < a->count; k++)
        if ((p->operands[a->first + k] == MG_NOTHING) != (p->operands[b->first + k] == MG_NOTHING))
            return false;
    if (a->sum) return true;
    return one->code == other->code && one->op == other->op &&
           memcmp(&one->number, &other->number, sizeof one->number) == 0 &&
           (one->code != MG_CODE_PICK ||
            (one->first == other->first && one->count == other->count)) &&
           (one->code != MG_CODE_TAKE || p->operands[a->first] == p->operands[b->first]);
}

/* ---- levels ---- */

static mg_tally *tally_of(mg_packer *p, uint64_t key) {
    size_t i = key & (p->tally_count - 1);
    while (p->tallies[i].count != 0 && p->tallies[i].key != key) i = (i + 1) & (p->tally_count - 1);
    return &p->tallies[i];
}

static void count_shared(mg_packer *p) {
    for (size_t i = 0; i < p->item_count; i++)
        for (int side = 0; side < 2; side++) {
            const uint64_t key = p->items[i].shared[side];
            mg_tally *found = key != 0 ? tally_of(p, key) : NULL;
            if (found != NULL) *found = (mg_tally){key, found->count + 1};
        }
}

/* The place of the first operand, or of the first one that a pack does not share. */
static mg_entrant enter(mg_packer *p, uint32_t i) {
    const mg_item *one = &p->items[i];
    const uint32_t *operands = p->operands + one->first;
    uint32_t counts[2] = {0, 0};
    for (int side = 0; side < 2; side++)
        if (one->shared[side] != 0) counts[side] = tally_of(p, one->shared[side])->count;
    const uint32_t side = counts[1] > counts[0];
    if (counts[side] >= LEAST) {
        uint32_t k = 0;
        while (operands[k + 1] == MG_NOTHING) k += 2;
        return (mg_entrant){one->shared[side], mg_result_of(p, operands[k + 1 - side]).place, 0, i};
    }
    mg_entrant next = {one->shape, MG_NOTHING, MG_NOTHING, i};
    for (uint32_t k = 0; k < one->count; k++) {
        if (operands[k] == MG_NOTHING) continue;
        const mg_result from = mg_result_of(p, operands[k]);
        next.key = mg_mix(next.key, from.maker);
        if (next.first == MG_NOTHING)
            next.first = from.place;
        else if (next.second == MG_NOTHING)
            next.second = from.place;
    }
    return next;
}

/* Have the processor meet the same kinds of instructions one after the other. */
static uint64_t sort_by_kind(const mg_packer *p, const mg_item *one, uint64_t key) {
    const uint64_t kind =
        one->sum ? 32 + (one->count < 62 ? one->count / 2 : 31) : p->from->code[one->at].code;
    return kind << 58 | key >> 6;
}

static int compare(const void *left, const void *right) {
    const mg_entrant *a = left, *b = right;
    if (a->key != b->key) return a->key < b->key ? -1 : 1;
    if (a->first != b->first) return a->first < b->first ? -1 : 1;
    if (a->second != b->second) return a->second < b->second ? -1 : 1;
    return a->item < b->item ? -1 : a->item > b->item;
}

/* Make packs of items, which are of one level. */
static void pack_level(mg_packer *p, const uint32_t *items, size_t count) {
    for (size_t i = 0; i < count; i++) {
        p->entrants[i] = enter(p, items[i]);
        p->entrants[i].key = sort_by_kind(p, &p->items[items[i]], p->entrants[i].key);
    }
    qsort(p->entrants, count, sizeof(mg_entrant), compare);
    for (size_t i = 0, end; i < count && !p->failed && !p->memory->gave_up; i = end) {
        const mg_entrant *first = &p->entrants[i];
        for (end = i + 1; end < count && end - i < MG_MOST_LANES; end++)
            if (p->entrants[end].key != first->key ||
                !are_alike(p, &p->items[first->item], &p->items[p->entrants[end].item]))
                break;
        if (end - i >= LEAST && !stands_alone(p, &p->items[first->item]))
            mg_emit_pack(p, first, end - i);
        else
            for (size_t k = i; k < end; k++) mg_emit_pack(p, &p->entrants[k], 1);
    }
}

/* Make packs level by level. An item's level is higher than that of any it depends on. */
static void pack_items(mg_packer *p) {
    uint32_t levels = 0;
    for (size_t i = 0; i < p->item_count; i++)
        if (p->items[i].level > levels) levels = p->items[i].level;
    uint32_t *ends = mg_allocate(p->memory, ((size_t)levels + 2) * sizeof(uint32_t));
    uint32_t *sorted = mg_allocate(p->memory, (p->item_count + 1) * sizeof(uint32_t));
    if (ends != NULL && sorted != NULL) {
        for (size_t i = 0; i < p->item_count; i++) ends[p->items[i].level + 1]++;
        for (uint32_t level = 1; level <= levels; level++) ends[level + 1] += ends[level];
        for (uint32_t i = 0; i < p->item_count; i++) sorted[ends[p->items[i].level]++] = i;
        for (uint32_t level = 1; level <= levels && !p->failed && !p->memory->gave_up; level++)
            pack_level(p, sorted + ends[level - 1], ends[level] - ends[level - 1]);
    } else {
        p->failed = true;
    }
    mg_deallocate(p->memory, ends);
    mg_deallocate(p->memory, sorted);
}

/* ---- all of it ---- */

static void pack_up(mg_packer *p, size_t registers) {
    p->results = mg_allocate(p->memory, (registers + 1) * sizeof(mg_result));
    p->failed = p->results == NULL;
    mg_list_items(p);
    p->tally_count = 64;
    while (p->tally_count < 4 * p->item_count) p->tally_count *= 2;
    p->tallies = mg_allocate(p->memory, p->tally_count * sizeof(mg_tally));
    p->entrants = mg_allocate(p->memory, (p->item_count + 1) * sizeof(mg_entrant));
    p->failed |= p->tallies == NULL || p->entrants == NULL;
    if (p->failed || p->memory->gave_up) return;
    count_shared(p);
    pack_items(p);
    p->failed |= p->emit.failed;
    if (!p->failed) mg_place_answers(p);
}

static void drop_packs(mg_packs *packs) {
    mg_arena *memory = packs->memory;
    mg_drop_schedule(memory, &packs->schedule);
    mg_deallocate(memory, packs->outputs);
    mg_deallocate(memory, packs->gradients);
    mg_deallocate(memory, packs->guards);
    mg_deallocate(memory, packs->lookups);
    mg_deallocate(memory, packs->constants);
    mg_deallocate(memory, packs);
}

/* Return the program with captured nodes as further inputs; NULL: no memory, or given up. */
static mg_program *with_all_inputs(mg_arena *memory, const mg_program *of) {
    mg_entry *entries = mg_allocate(memory, (of->count + 1) * sizeof *entries);
    if (entries == NULL) return NULL;
    for (size_t i = 0; i < of->count; i++) {
        entries[i] = of->entries[i];
        if (entries[i].op != MG_TRACE_CAPTURED) continue;
        entries[i].op = MG_TRACE_INPUT;
        entries[i].x += (uint32_t)of->inputs;
    }
    mg_program *program =
        mg_make_program(memory, entries, of->count, of->inputs + of->captured, 0, of->outputs,
                        of->output_count, of->guards, of->guard_count);
    mg_deallocate(memory, entries);
    return program;
}

/* Fill packs with the code of a program that has no captured nodes. false: no memory, or given up.
 */
static bool fill_packs(mg_packs *packs, mg_program *program, mg_mode mode, bool exact) {
    mg_arena *memory = packs->memory;
    const mg_span inputs = {0, packs->inputs}, captured = {packs->inputs, program->inputs};
    mg_schedule code = {0};
    uint32_t registers = 0;
    mg_packer p = {
        .memory = memory,
        .to = packs,
        .program = program,
        .from = &code,
        .emit = {.memory = memory, .program = program, .out = &packs->schedule},
        .own = exact ? 0 : packs->inputs,
        .constants = packs->seeds + program->output_count,
        .makers = 1,
    };
    packs->constant_count = program->scalar_count;
    packs->room = p.constants + packs->constant_count;
    packs->constants = mg_allocate(memory, (packs->constant_count + 1) * sizeof(double));
    if (packs->constants == NULL) return false;
    memcpy(packs->constants, program->constants, packs->constant_count * sizeof(double));
    if (mg_make_code(memory, program, mode == MG_PARAMETERS ? MG_INPUTS : mode,
                     mode == MG_PARAMETERS ? captured : inputs, &code, &registers))
        pack_up(&p, registers);
    else
        p.failed = true;
    mg_drop_schedule(memory, &code);
    mg_deallocate(memory, p.results);
    mg_deallocate(memory, p.items);
    mg_deallocate(memory, p.operands);
    mg_deallocate(memory, p.entrants);
    mg_deallocate(memory, p.tallies);
    mg_deallocate(memory, p.gathers);
    mg_deallocate(memory, p.emit.stack);
    return !p.failed && !memory->gave_up;
}

static mg_packs *make_packs(mg_arena *memory, const mg_program *of, mg_mode mode, bool exact) {
    mg_packs *packs = mg_allocate(memory, sizeof *packs);
    if (packs == NULL) return NULL;
    packs->memory = memory;
    packs->inputs = of->inputs;
    packs->captured = of->captured;
    packs->seeds = of->inputs + of->captured;
    mg_program *program = with_all_inputs(memory, of);
    const bool good = program != NULL && fill_packs(packs, program, mode, exact);
    mg_drop_program(program);
    if (good) return packs;
    drop_packs(packs);
    return NULL;
}

mg_packs *mg_packs_new(const mg_program *program, mg_mode mode, int exact, mg_status *status) {
    mg_arena *memory = program->memory;
    mg_lock_take(&memory->lock);
    memory->gave_up = false;
    mg_packs *packs = make_packs(memory, program, mode, exact != 0);
    *status = packs != NULL ? MG_OK : mg_why(memory);
    mg_lock_give(&memory->lock);
    return packs;
}

void mg_packs_free(mg_packs *packs) {
    mg_arena *memory = packs->memory;
    mg_lock_take(&memory->lock);
    drop_packs(packs);
    mg_lock_give(&memory->lock);
}

size_t mg_packs_room(const mg_packs *packs) {
    return packs->room + 2 * MG_LANES; /* for loops that go on beyond the last lane */
}
