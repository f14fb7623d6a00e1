/* pack_items.c: what is to be packed: the instructions of the code, their operands, levels and
 * shapes. */
#include <string.h>

#include "program/packer.h"

static void add_operand(mg_packer *p, uint32_t reference) {
    if (MG_GROW_OR_FAIL(&p->emit, p->operands, p->operand_count, p->operand_room))
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
    if (!MG_GROW_OR_FAIL(&p->emit, p->items, p->item_count, p->item_room)) return;
    mg_item *one = &p->items[p->item_count++];
    *one = (mg_item){.at = at, .first = (uint32_t)p->operand_count, .sum = is_sum(in)};
    list_operands(p, in);
    if (p->emit.failed) return;
    one->count = (uint32_t)p->operand_count - one->first;
    mg_gives_up(p->memory, one->count);
    describe(p, one, in);
    if (in->code == MG_CODE_TAKE && !one->result_own && !mg_is_scalar(in->x))
        p->results[in->x].shared = true;
    p->results[in->out] = (mg_result){.level = one->level, .own = one->result_own};
}

void mg_list_items(mg_packer *p) {
    mg_packs *to = p->to;
    for (uint32_t i = 0; i < p->from->count && !p->emit.failed; i++) {
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
                if (MG_GROW_OR_FAIL(&p->emit, to->outputs, to->output_count, to->output_room))
                    to->outputs[to->output_count++] = (mg_answer){in->index, in->x};
                break;
            case MG_CODE_GRADIENT:
                if (MG_GROW_OR_FAIL(&p->emit, to->gradients, to->gradient_count, to->gradient_room))
                    to->gradients[to->gradient_count++] = (mg_answer){in->index, in->x};
                break;
            case MG_CODE_GUARD:
                if (!MG_GROW_OR_FAIL(&p->emit, to->guards, to->guard_count, to->guard_room)) break;
                to->guards[to->guard_count] = p->program->guards[in->index];
                to->guards[to->guard_count].left = in->x;
                to->guards[to->guard_count++].right = in->y;
                break;
            case MG_CODE_INDEX:
                if (MG_GROW_OR_FAIL(&p->emit, to->lookups, to->lookup_count, to->lookup_room))
                    to->lookups[to->lookup_count++] = (mg_lookup){in->x, in->count, false};
                break;
            default:
                add_item(p, i);
        }
    }
}

void mg_place_answers(mg_packer *p) {
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
