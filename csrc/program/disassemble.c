/* disassemble.c: a program as text, one instruction a line. */
#include <stdarg.h>
#include <stdio.h>

#include "compiler.h"
#include "program/program.h"

typedef struct {
    const mg_program *program;
    const mg_schedule *schedule;
    char *text;
    size_t size;
    size_t length; /* of the whole listing, whether there is room or not */
} writer;

MG_FORMAT(2, 3) static void write_text(writer *to, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    const size_t room = to->length < to->size ? to->size - to->length : 0;
    int written = vsnprintf(room != 0 ? to->text + to->length : NULL, room, format, arguments);
    va_end(arguments);
    if (written > 0) to->length += (size_t)written;
}

/* Write a slot as r0, r1, ...; a scalar as s0, s1, ..., or as its number if it is a constant. */
static void write_reference(writer *to, uint32_t reference) {
    if ((reference & MG_SCALAR) == 0) {
        write_text(to, "r%lu", (unsigned long)reference);
        return;
    }
    const uint32_t place = reference & ~MG_SCALAR;
    if (to->program->is_constant[place])
        write_text(to, "%.17g", to->program->constants[place]);
    else
        write_text(to, "s%lu", (unsigned long)place);
}

static void write_product(writer *to, mg_product term) {
    write_reference(to, term.a);
    if (term.b == MG_NOTHING) return;
    write_text(to, "*");
    write_reference(to, term.b);
}

static void write_sum(writer *to, const mg_instruction *in) {
    for (uint32_t r = 0; r < in->count; r++) {
        const mg_run *run = &to->schedule->runs[in->first + r];
        for (uint32_t k = 0; k < run->count; k++) {
            if (r + k != 0) write_text(to, " + ");
            write_product(to, to->schedule->terms[run->first + k]);
        }
    }
}

static void write_call(writer *to, const char *name, uint32_t x, uint32_t y) {
    write_text(to, "%s(", name);
    write_reference(to, x);
    if (y != MG_NOTHING) {
        write_text(to, ", ");
        write_reference(to, y);
    }
    write_text(to, ")");
}

/* Write a choice between y and z, which may be left out. */
static void write_select(writer *to, const mg_instruction *in) {
    write_text(to, "where(");
    write_reference(to, in->x);
    if (in->y == MG_NOTHING) {
        write_text(to, ", 0");
    } else {
        write_text(to, ", ");
        write_reference(to, in->y);
    }
    if (in->z == MG_NOTHING) {
        write_text(to, ", %.17g", in->number);
    } else {
        write_text(to, ", ");
        write_reference(to, in->z);
    }
    write_text(to, ")");
}

/* Write a list of `count` things, or its ends alone. */
static void write_list(writer *to, uint32_t first, uint32_t count,
                       void (*write)(writer *, uint32_t)) {
    enum { MOST = 8 };
    for (uint32_t k = 0; k < count; k++) {
        if (k != 0) write_text(to, ", ");
        if (count > MOST && k == 2) {
            write_text(to, "..., ");
            k = count - 1;
        }
        write(to, first + k);
    }
}

static void write_element(writer *to, uint32_t term) {
    write_reference(to, to->schedule->terms[term].a);
}

static void write_adjoint(writer *to, uint32_t term) {
    const uint32_t adjoint = to->schedule->terms[term].a;
    if (adjoint == MG_NOTHING)
        write_text(to, "none");
    else
        write_text(to, "d%lu", (unsigned long)adjoint);
}

static void write_scalar_element(writer *to, uint32_t term) {
    write_reference(to, to->program->scalar_terms[term].a | MG_SCALAR);
}

static void write_take(writer *to, const mg_instruction *in) {
    write_text(to, "take([");
    write_list(to, in->first, in->count, write_element);
    write_text(to, "], ");
    write_reference(to, in->x);
    write_text(to, ")");
}

static void write_pick(writer *to, const mg_instruction *in) {
    write_text(to, "where(");
    if (in->count > 1) write_text(to, "%lu <= ", (unsigned long)in->first);
    write_reference(to, in->x);
    if (in->count > 1)
        write_text(to, " < %lu", (unsigned long)in->first + in->count);
    else
        write_text(to, " == %lu", (unsigned long)in->first);
    write_text(to, ", ");
    if (in->y == MG_NOTHING)
        write_text(to, "1");
    else
        write_reference(to, in->y);
    write_text(to, ", 0)");
}

static void write_scatter(writer *to, const mg_instruction *in) {
    write_text(to, "take([");
    write_list(to, in->first, in->count, write_adjoint);
    write_text(to, "], ");
    write_reference(to, in->x);
    write_text(to, ") += sum(");
    write_reference(to, in->g);
    write_text(to, ")");
}

static void write_operator(writer *to, const mg_instruction *in) {
    if (in->op == MG_OP_exponent) {
        write_reference(to, in->x);
        write_text(to, "**%.17g", in->number);
    } else {
        write_call(to, mg_operator_name(in->op), in->x, in->y);
    }
}

/* Write a derivative with the operands it depends on; an operand that stands in for another is
 * written once. */
static void write_derivative(writer *to, const mg_instruction *in) {
    const uint32_t operands[] = {in->x, in->y, in->z};
    write_reference(to, in->g);
    write_text(to, " * d%s/d%c(", mg_operator_name(in->op), in->code == MG_CODE_PUSH_X ? 'x' : 'y');
    write_reference(to, in->x);
    for (int k = 1; k < 3; k++) {
        if (operands[k] == MG_NOTHING || operands[k] == in->x || operands[k] == operands[k - 1])
            continue;
        write_text(to, ", ");
        write_reference(to, operands[k]);
    }
    if (in->op == MG_OP_exponent) write_text(to, ", %.17g", in->number);
    write_text(to, ")");
}

static void write_reduction(writer *to, const mg_instruction *in) {
    for (uint32_t k = 0; k < in->count; k++) {
        const mg_product term = to->schedule->terms[in->first + k];
        write_text(to, "%sd%lu += sum(", k != 0 ? "; " : "", (unsigned long)term.a);
        if (term.b != MG_NOTHING) {
            write_reference(to, term.b);
            write_text(to, "*");
        }
        write_reference(to, in->g);
        write_text(to, ")");
    }
}

static void write_guard(writer *to, const mg_instruction *in) {
    static const char *const relations[] = {"<", "<=", "=="};
    const mg_guard *guard = &to->program->guards[in->index];
    write_text(to, "guard %s", guard->outcome != 0 ? "" : "not ");
    write_reference(to, in->x);
    write_text(to, " %s ", relations[guard->relation]);
    write_reference(to, in->y);
}

static void write_instruction(writer *to, const mg_instruction *in) {
    static const char *const signs[] = {
        [MG_CODE_DIVIDE] = "/", [MG_CODE_ADD] = "+",         [MG_CODE_MULTIPLY] = "*",
        [MG_CODE_LESS] = "<",   [MG_CODE_LESS_EQUAL] = "<=", [MG_CODE_EQUAL] = "=="};
    write_text(to, "    ");
    if (in->out != MG_NOTHING) write_text(to, "r%lu = ", (unsigned long)in->out);
    switch ((mg_code)in->code) {
        case MG_CODE_APPLY:
            write_operator(to, in);
            break;
        case MG_CODE_DIVIDE:
        case MG_CODE_ADD:
        case MG_CODE_MULTIPLY:
        case MG_CODE_LESS:
        case MG_CODE_LESS_EQUAL:
        case MG_CODE_EQUAL:
            write_reference(to, in->x);
            write_text(to, " %s ", signs[in->code]);
            write_reference(to, in->y);
            break;
        case MG_CODE_FUSED:
            write_reference(to, in->x);
            write_text(to, " + ");
            write_product(to, (mg_product){in->y, in->z});
            break;
        case MG_CODE_SELECT:
            write_select(to, in);
            break;
        case MG_CODE_TAKE:
            write_take(to, in);
            break;
        case MG_CODE_INDEX:
            write_text(to, "check that ");
            write_reference(to, in->x);
            write_text(to, " is one of %lu places", (unsigned long)in->count);
            break;
        case MG_CODE_PICK:
            write_pick(to, in);
            break;
        case MG_CODE_SCATTER:
            write_scatter(to, in);
            break;
        case MG_CODE_SUM:
            write_sum(to, in);
            break;
        case MG_CODE_LOAD:
            write_text(to, "input %lu", (unsigned long)in->index);
            break;
        case MG_CODE_STORE:
            write_text(to, "output %lu = ", (unsigned long)in->index);
            write_reference(to, in->x);
            break;
        case MG_CODE_GUARD:
            write_guard(to, in);
            break;
        case MG_CODE_SEED:
            write_text(to, "seed of output %lu", (unsigned long)in->index);
            break;
        case MG_CODE_PUSH_X:
        case MG_CODE_PUSH_Y:
            write_derivative(to, in);
            break;
        case MG_CODE_REDUCE:
            write_reduction(to, in);
            break;
        case MG_CODE_GRADIENT:
            write_text(to, "gradient of input %lu = ", (unsigned long)in->index);
            write_reference(to, in->x);
            break;
        case MG_CODE_KEEP:
            write_text(to, "rows for which ");
            write_reference(to, in->x);
            write_text(to, " is not 0");
            break;
        default: /* packs have no listing */
            break;
    }
    write_text(to, "\n");
}

static void write_scalar_sum(writer *to, const mg_scalar_step *step) {
    for (uint32_t k = 0; k < step->x; k++) {
        const mg_scalar_term term = to->program->scalar_terms[step->y + k];
        if (k != 0) write_text(to, " + ");
        const uint32_t b = term.b == MG_NOTHING ? MG_NOTHING : term.b | MG_SCALAR;
        write_product(to, (mg_product){term.a | MG_SCALAR, b});
    }
    write_text(to, "\n");
}

static void write_scalar(writer *to, const mg_scalar_step *step) {
    const mg_program *program = to->program;
    const uint32_t place = step->entry;
    const mg_entry *entry = &program->entries[place];
    uint32_t operands[3];
    if (step->shared) return;
    write_text(to, "    s%lu = ", (unsigned long)program->fates[place].scalar);
    if (step->op == MG_STEP_SUM) {
        write_scalar_sum(to, step);
        return;
    }
    if (step->op == MG_TRACE_TAKE) {
        write_text(to, "take([");
        write_list(to, step->y, step->z, write_scalar_element);
        write_text(to, "], ");
        write_reference(to, step->x | MG_SCALAR);
        write_text(to, ")\n");
        return;
    }
    unsigned arity = mg_entry_operands(entry, operands);
    static const char *const names[] = {
        [MG_TRACE_DETACH - MG_TRACE_INPUT] = "link",
        [MG_TRACE_DIVIDE - MG_TRACE_INPUT] = "divide",
        [MG_TRACE_LINK - MG_TRACE_INPUT] = "link",
        [MG_TRACE_LESS - MG_TRACE_INPUT] = "less",
        [MG_TRACE_LESS_EQUAL - MG_TRACE_INPUT] = "less_equal",
        [MG_TRACE_EQUAL - MG_TRACE_INPUT] = "equal",
        [MG_TRACE_SELECT - MG_TRACE_INPUT] = "where",
    };
    const char *name = mg_is_table_op(entry->op) ? mg_operator_name((int)entry->op)
                                                 : names[entry->op - MG_TRACE_INPUT];
    write_text(to, "%s(", name != NULL ? name : "");
    for (unsigned k = 0; k < arity; k++) {
        if (k != 0) write_text(to, ", ");
        write_reference(to, program->fates[operands[k]].scalar | MG_SCALAR);
    }
    if (entry->op == MG_OP_exponent) write_text(to, ", %.17g", entry->number);
    write_text(to, ")\n");
}

size_t mg_program_list(const mg_program *program, mg_mode mode, char *text, size_t size) {
    writer to = {program, &program->schedules[mode], text, size, 0};
    write_text(&to, "once a call:\n");
    for (size_t i = 0; i < program->count; i++)
        if (program->entries[i].op == MG_TRACE_CAPTURED && program->fates[i].needed)
            write_text(&to, "    s%lu = parameter %lu\n", (unsigned long)program->entries[i].x,
                       (unsigned long)program->entries[i].x);
    for (size_t i = 0; i < program->step_count; i++) write_scalar(&to, &program->steps[i]);
    write_text(&to, "for each row:\n");
    for (size_t i = 0; i < to.schedule->count; i++) write_instruction(&to, &to.schedule->code[i]);
    return to.length;
}
