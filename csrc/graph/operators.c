/* operators.c: the operator table as data. */
#include "graph/operators.h"

#include <string.h>

typedef struct {
    const char *name;
    const char *symbol;
    mg_form form;
    const char *about;
    const char *expressions[3]; /* the value, dz/dx, dz/dy */
} operator_row;

static const operator_row rows[MG_OP_COUNT] = {{"leaf", "", MG_FORM_NONE, "", {0}},
                                               {"custom", "", MG_FORM_NONE, "", {0}},
#define X(name, symbol, form, finite, value, error, dzdx, from_x, dzdy, from_y, wrong, about) \
    {#name, symbol, form, about, {#value, #dzdx, #dzdy}},
                                               MG_OPERATORS(X)
#undef X
};

static bool is_operator(int op) {
    return op >= 0 && op < MG_OP_COUNT;
}

int mg_operator_count(void) {
    return MG_OP_COUNT;
}

const char *mg_operator_name(int op) {
    return is_operator(op) ? rows[op].name : NULL;
}

const char *mg_operator_symbol(int op) {
    return is_operator(op) ? rows[op].symbol : NULL;
}

const char *mg_operator_about(int op) {
    return is_operator(op) ? rows[op].about : NULL;
}

const char *mg_operator_expression(int op, int which) {
    return is_operator(op) && which >= 0 && which < 3 ? rows[op].expressions[which] : NULL;
}

mg_form mg_operator_form(int op) {
    return is_operator(op) ? rows[op].form : MG_FORM_NONE;
}

size_t mg_operator_arity(int op) {
    return is_operator(op) && op != MG_OP_custom ? mg_arities[op] : 0;
}

const char *mg_error_text(mg_status status) {
    return status == MG_DOMAIN          ? "math domain error"
           : status == MG_RANGE         ? "math range error"
           : status == MG_ZERO_DIVISION ? "division by zero"
                                        : NULL;
}

int mg_operator_find(const char *name) {
    for (int op = 0; op < MG_OP_COUNT; op++)
        if (strcmp(rows[op].name, name) == 0) return op;
    return -1;
}

/* ---- the operators that are called ---- */

mg_status mg_evaluate_called(int op, double x, double y, double *result) {
    double z;
    switch (op) {
#define X(name, symbol, form, finite, value, error, ...) \
    case MG_OP_##name:                                   \
        z = (value);                                     \
        *result = z;                                     \
        return (error);
        MG_CALLED_OPERATORS(X)
#undef X
        default:
            *result = x;
            return MG_OK;
    }
}

mg_status mg_differentiate_called(int op, double x, double y, double z, double *dx, double *dy) {
    switch (op) {
#define X(name, ...)                        \
    case MG_OP_##name:                      \
        *dx = mg_dx(MG_OP_##name, x, y, z); \
        *dy = mg_dy(MG_OP_##name, x, y, z); \
        return mg_check_partials(MG_OP_##name, x, y, z, *dx, *dy);
        MG_CALLED_OPERATORS(X)
#undef X
        default:
            *dx = *dy = 0.0;
            return MG_OK;
    }
}
