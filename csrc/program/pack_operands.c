/* pack_operands.c: where the results and the operands of packs lie in the room. */
#include "program/packer.h"

void mg_emit_lanes(mg_packer *p, size_t lanes) {
    if (lanes == p->lanes) return;
    mg_instruction set = mg_blank(MG_CODE_LANES);
    set.count = (uint32_t)lanes;
    p->lanes = lanes;
    mg_emit(&p->emit, set);
}

uint32_t mg_new_places(mg_packer *p, size_t lanes) {
    size_t place = p->to->room;
    if (lanes >= MG_LANES) place = (place + MG_LANES - 1) / MG_LANES * MG_LANES;
    p->to->room = place + lanes;
    if (p->to->room >= MG_SCALAR) p->emit.failed = true;
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
        p->emit.failed = true;
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
    if (p->emit.failed) return 0;
    p->gathers[i] = (uint32_t)out->count;
    p->gather_count++;
    return gather.out;
}

uint32_t mg_pack_operand(mg_packer *p, const mg_entrant *pack, size_t lanes, uint32_t k,
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
