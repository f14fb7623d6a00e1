/* pack_emit.c: packs and single items to instructions. */
#include "program/packer.h"

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
        uint32_t b = mg_pack_operand(p, pack, lanes, k + 1, true);
        const bool other = b == MG_NOTHING ? any || k + 2 < count : !mg_is_scalar(b);
        uint32_t a = mg_pack_operand(p, pack, lanes, k, other);
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
 * reads has lanes; where the table's expressions compute, all may be one number. */
static void emit_apply(mg_packer *p, const mg_entrant *pack, size_t lanes) {
    const mg_item *one = &p->items[pack->item];
    mg_instruction in = p->from->code[one->at];
    const bool table = in.code == MG_CODE_APPLY, push_x = in.code == MG_CODE_PUSH_X;
    const bool push = push_x || in.code == MG_CODE_PUSH_Y, exact = !one->own && (table || push);
    const bool any = in.code == MG_CODE_SELECT || exact;
    in.y = mg_pack_operand(p, pack, lanes, 1, true);
    in.x = mg_pack_operand(p, pack, lanes, 0, any || (in.y != MG_NOTHING && !mg_is_scalar(in.y)));
    in.z = mg_pack_operand(p, pack, lanes, 2, any);
    in.g = mg_pack_operand(p, pack, lanes, 3, false);
    in.mask = mg_pack_operand(p, pack, lanes, 4, false);
    if (exact) in.code = table ? MG_CODE_EXACT : push_x ? MG_CODE_EXACT_X : MG_CODE_EXACT_Y;
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

/* ---- either ---- */

void mg_emit_pack(mg_packer *p, const mg_entrant *pack, size_t lanes) {
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
