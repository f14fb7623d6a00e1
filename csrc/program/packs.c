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

#include "program/packer.h"
#include "program/schedule.h"

enum { LEAST = 3 }; /* so many instructions make a pack; fewer are faster one by one */

/* ---- which items make a pack ---- */

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

/* Whether an instruction is never one of a pack: lanes divide without a look at what they divide
 * by. */
static bool stands_alone(const mg_packer *p, const mg_item *one) {
    return p->from->code[one->at].code == MG_CODE_DIVIDE && !one->own;
}

static mg_tally *tally_of(mg_packer *p, uint64_t key) {
    size_t i = key & (p->tally_count - 1);
    while (p->tallies[i].count != 0 && p->tallies[i].key != key) i = (i + 1) & (p->tally_count - 1);
    return &p->tallies[i];
}

static void count_shared(mg_packer *p) {
    for (size_t i = 0; i < p->item_count && !mg_gives_up(p->memory, 1); i++)
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
        if (mg_gives_up(p->memory, p->items[items[i]].count)) return;
        p->entrants[i] = enter(p, items[i]);
        p->entrants[i].key = sort_by_kind(p, &p->items[items[i]], p->entrants[i].key);
    }
    qsort(p->entrants, count, sizeof(mg_entrant), compare);
    for (size_t i = 0, end; i < count && !p->emit.failed && !p->memory->gave_up; i = end) {
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
        for (uint32_t level = 1; level <= levels && !p->emit.failed && !p->memory->gave_up; level++)
            pack_level(p, sorted + ends[level - 1], ends[level] - ends[level - 1]);
    } else {
        p->emit.failed = true;
    }
    mg_deallocate(p->memory, ends);
    mg_deallocate(p->memory, sorted);
}

/* ---- all of it ---- */

static void pack_up(mg_packer *p, size_t registers) {
    p->results = mg_allocate(p->memory, (registers + 1) * sizeof(mg_result));
    p->emit.failed = p->results == NULL;
    mg_list_items(p);
    p->tally_count = 64;
    while (p->tally_count < 4 * p->item_count) p->tally_count *= 2;
    p->tallies = mg_allocate(p->memory, p->tally_count * sizeof(mg_tally));
    p->entrants = mg_allocate(p->memory, (p->item_count + 1) * sizeof(mg_entrant));
    p->emit.failed |= p->tallies == NULL || p->entrants == NULL;
    if (p->emit.failed || p->memory->gave_up) return;
    count_shared(p);
    pack_items(p);
    if (!p->emit.failed) mg_place_answers(p);
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
        p.emit.failed = true;
    mg_drop_schedule(memory, &code);
    mg_deallocate(memory, p.results);
    mg_deallocate(memory, p.items);
    mg_deallocate(memory, p.operands);
    mg_deallocate(memory, p.entrants);
    mg_deallocate(memory, p.tallies);
    mg_deallocate(memory, p.gathers);
    mg_deallocate(memory, p.emit.stack);
    return !p.emit.failed && !memory->gave_up;
}

static mg_packs *make_packs(mg_arena *memory, const mg_program *of, mg_mode mode, bool exact) {
    mg_packs *packs = mg_allocate(memory, sizeof *packs);
    if (packs == NULL) return NULL;
    packs->memory = memory;
    packs->inputs = of->inputs;
    packs->captured = of->captured;
    packs->seeds = of->inputs + of->captured;
    mg_program *program = packs->seeds < MG_SCALAR ? mg_with_all_inputs(memory, of) : NULL;
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

/* The gradient of an element is the sum of what each lookup in its table has picked for it. */
int mg_packs_suit(const mg_program *program) {
    size_t elements = 0;
    for (size_t i = 0; i < program->count; i++) {
        const mg_entry *entry = &program->entries[i];
        if (entry->op == MG_TRACE_TAKE) elements += program->entries[entry->y].z;
    }
    return elements / 8 <= program->count;
}

size_t mg_packs_room(const mg_packs *packs) {
    return packs->room + 2 * MG_LANES; /* for loops that go on beyond the last lane */
}
