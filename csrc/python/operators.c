/* operators.c: Python's operators on Values. The operator table says what an operator computes.
 * This file says how Python asks for an operator, and which nodes the notebook's class records. */
#include "python/operators.h"

#include "graph/pages.h"
#include "graph/record.h"
#include "python/backward.h"
#include "python/blocks.h"
#include "python/compare.h"
#include "python/construct.h"
#include "python/errors.h"

/* ---- results ---- */

/* Return the proxy of a new node with the operands x and y, which may be one node; in no_grad, the
 * proxy of a leaf. Operands with state are held for the node. NULL: MemoryError, or what
 * detect_anomaly raises. node may be NULL, which means no memory. */
MG_COLD static PyObject *finish_slow(mg_node *node, mg_node *x, mg_node *y) {
    if (node == NULL) return PyErr_NoMemory();
    value_hold(x);
    value_hold(y);
    if (mg_module.blocks != 0 && (node = value_pass_blocks(node)) == NULL) return NULL;
    return value_wrap(node);
}

/* finish_slow, with a short way where neither operand has state and a proxy is on the free list. */
MG_INLINE PyObject *finish(mg_node *node, mg_node *x, mg_node *y) {
    bool plain = node != NULL && mg_module.blocks == 0 && mg_module.free_list != NULL &&
                 ((x->flags | y->flags) & MG_KEEP) == 0;
    return MG_LIKELY(plain) ? value_wrap(node) : finish_slow(node, x, y);
}

/* Whether the object is of the tagged class used last, which still has no constructor. */
MG_INLINE bool is_tagged(PyObject *object) {
    const PyTypeObject *type = Py_TYPE(object);
    return type == mg_module.tagged && type->tp_init == value_init && type->tp_new == value_new;
}

/* finish for a result of self's class, a subclass. */
static MG_NEVER_INLINE PyObject *finish_subclass(PyObject *self, mg_node *node, mg_node *x,
                                                 mg_node *y) {
    bool plain = is_tagged(self) && node != NULL && mg_module.blocks == 0 &&
                 mg_module.free_list != NULL && ((x->flags | y->flags) & MG_KEEP) == 0;
    if (MG_LIKELY(plain)) return value_wrap_tagged(node, mg_module.tagged, mg_module.tagged_tag);
    if (node == NULL) return PyErr_NoMemory();
    value_hold(x);
    value_hold(y);
    if (mg_module.blocks != 0 && (node = value_pass_blocks(node)) == NULL) return NULL;
    return value_wrap_as(Py_TYPE(self), node);
}

/* finish where an operand may be of a subclass: self's class is the result's class. */
static inline PyObject *finish_as(PyObject *self, mg_node *node, mg_node *x, mg_node *y) {
    return value_is_exact(self) ? finish(node, x, y) : finish_subclass(self, node, x, y);
}

/* ---- an operand on either side ---- */

typedef enum { IS_ERROR, IS_OTHER, IS_NUMBER, IS_VALUE } operand_kind;

/* Say what kind of operand an object is, and write a number's value to *number. A plain number is
 * recognized by its type alone; the bases of other types are looked at. */
MG_INLINE operand_kind kind_of(PyObject *object, double *number) {
    bool is_plain_number = PyFloat_CheckExact(object) || PyLong_CheckExact(object);
    if (!is_plain_number && value_check(object)) return IS_VALUE;
    int found = value_number(object, number);
    return found < 0 ? IS_ERROR : found == 0 ? IS_OTHER : IS_NUMBER;
}

/* The operands of one call, left and right. Of an operator, at least one is a Value; of a
 * function of two, both may be numbers. */
typedef struct {
    operand_kind left;
    operand_kind right;
    mg_node *x;     /* left's node, borrowed; NULL: left is a number */
    mg_node *y;     /* right's */
    double a;       /* left's number, where left is one */
    double b;       /* right's */
    PyObject *self; /* the Value whose class is the result's class */
} operands;

/* Take the operands. 1: they are taken; 0: *result is to be returned, NotImplemented, or NULL with
 * an error set. */
static inline int take_operands(operands *in, PyObject *left, PyObject *right, PyObject **result) {
    in->left = kind_of(left, &in->a);
    in->right = in->left > IS_OTHER ? kind_of(right, &in->b) : IS_OTHER;
    if (in->left == IS_ERROR || in->right == IS_ERROR) {
        *result = NULL;
        return 0;
    }
    if (in->left == IS_OTHER || in->right == IS_OTHER) {
        *result = Py_NewRef(Py_NotImplemented);
        return 0;
    }
    /* Nodes are taken last: foreign code may have run before, and given Values other nodes. */
    in->x = in->left == IS_VALUE ? value_node(left) : NULL;
    in->y = in->right == IS_VALUE ? value_node(right) : NULL;
    in->self = in->left == IS_VALUE ? left : right;
    return 1;
}

/* ---- one operator, two nodes or a node and a number ----
 *
 * Each returns the result of op, or NULL with the operator's error or MemoryError set. */

static inline PyObject *record(int op, PyObject *self, mg_node *x, mg_node *y) {
    double z;
    mg_status status = mg_evaluate(op, x->data, y->data, &z);
    if (status != MG_OK) {
        value_raise_error(status, op, x->data, y->data, false);
        return NULL;
    }
    return finish_as(self, mg_new_binary(mg_module.arena, op, z, x, y), x, y);
}

static inline PyObject *record_number(int op, PyObject *self, mg_node *x, double y) {
    double z;
    mg_status status = mg_evaluate(op, x->data, y, &z);
    if (status != MG_OK) {
        value_raise_error(status, op, x->data, y, false);
        return NULL;
    }
    return finish_as(self, mg_new_with_number(mg_module.arena, op, z, x, y), x, x);
}

static PyObject *record_reflected(int op, PyObject *self, double x, mg_node *y) {
    double z;
    mg_status status = mg_evaluate(op, x, y->data, &z);
    if (status != MG_OK) {
        value_raise_error(status, op, x, y->data, false);
        return NULL;
    }
    return finish_as(self, mg_new_reflected(mg_module.arena, op, z, x, y), y, y);
}

static PyObject *add(PyObject *left, PyObject *right);
static PyObject *multiply(PyObject *left, PyObject *right);
static PyObject *power(PyObject *left, PyObject *right, PyObject *modulus);
static PyObject *negative(PyObject *self);

/* Whether the operators that micrograd composes of others are the native ones for an operand: a
 * plain number, a Value, or an object of a subclass without operators of its own. */
static bool composes_natively(PyObject *object) {
    if (PyFloat_CheckExact(object) || PyLong_CheckExact(object) || value_is_exact(object))
        return true;
    if (!value_check(object)) return false;
    const PyNumberMethods *own = Py_TYPE(object)->tp_as_number;
    return own->nb_add == add && own->nb_multiply == multiply && own->nb_power == power &&
           own->nb_negative == negative;
}

/* Return what one of the functions of micrograd_c/_value_methods.py returns that compose operators
 * where an operand is of a subclass. */
static PyObject *compose(PyObject *function, PyObject *left, PyObject *right) {
    PyObject *type = (PyObject *)mg_module.type;
    return PyObject_CallFunctionObjArgs(function, type, left, right, NULL);
}

/* + and *: a number on the left changes sides, as in the notebook's __radd__ and __rmul__. */
MG_COLD static PyObject *commutative_slow(int op, PyObject *left, PyObject *right) {
    operands in;
    PyObject *result;
    if (!value_is_exact(right) && !value_check(left) &&
        !(composes_natively(left) && composes_natively(right)))
        return compose(op == MG_OP_add ? mg_module.add : mg_module.multiply, left, right);
    if (!take_operands(&in, left, right, &result)) return result;
    if (in.left == IS_NUMBER) return record_number(op, in.self, in.y, in.a);
    if (in.right == IS_NUMBER) return record_number(op, in.self, in.x, in.b);
    return record(op, in.self, in.x, in.y);
}

/* The short way for an object of a tagged class with another, a Value or a float. */
static MG_NEVER_INLINE PyObject *commutative_tagged(int op, PyObject *left, PyObject *right) {
    if (Py_TYPE(right) == Py_TYPE(left) || value_is_exact(right))
        return record(op, left, value_node(left), value_node(right));
    if (PyFloat_CheckExact(right))
        return record_number(op, left, value_node(left), PyFloat_AS_DOUBLE(right));
    return commutative_slow(op, left, right);
}

MG_INLINE PyObject *commutative(int op, PyObject *left, PyObject *right) {
    if (MG_LIKELY(value_is_exact(left))) {
        mg_node *x = value_node(left);
        double z;
        if (MG_LIKELY(value_is_exact(right))) {
            mg_node *y = value_node(right);
            mg_evaluate(op, x->data, y->data, &z);
            return finish(mg_new_binary(mg_module.arena, op, z, x, y), x, y);
        }
        if (PyFloat_CheckExact(right)) {
            double y = PyFloat_AS_DOUBLE(right);
            mg_evaluate(op, x->data, y, &z);
            return finish(mg_new_with_number(mg_module.arena, op, z, x, y), x, x);
        }
    }
    if (is_tagged(left)) return commutative_tagged(op, left, right);
    return commutative_slow(op, left, right);
}

static PyObject *add(PyObject *left, PyObject *right) {
    return commutative(MG_OP_add, left, right);
}

static PyObject *multiply(PyObject *left, PyObject *right) {
    return commutative(MG_OP_multiply, left, right);
}

/* ---- the operators the notebook composes of others ---- */

static PyObject *negative(PyObject *self) {
    mg_node *x = value_node(self);
    if (!value_is_exact(self)) {
        if (!composes_natively(self)) return PyObject_CallOneArg(mg_module.negative, self);
        return record_number(MG_OP_multiply, self, x, -1.0);
    }
    return finish(mg_new_negative(mg_module.arena, x), x, x);
}

static PyObject *positive(PyObject *self) {
    return Py_NewRef(self);
}

/* Return op(middle, number), where middle is a new node that only the result's node refers to. x is
 * the operand of middle. middle may be NULL, which means no memory; a failure frees middle. */
static PyObject *record_over(mg_node *middle, int op, double number, mg_node *x) {
    if (middle == NULL) return PyErr_NoMemory();
    double z;
    mg_evaluate(op, middle->data, number, &z);
    mg_node *node = mg_new_with_number(mg_module.arena, op, z, middle, number);
    if (node == NULL) value_discard(middle);
    return finish(node, x, x);
}

static bool any_subclass(PyObject *left, PyObject *right) {
    return (value_check(left) && !value_is_exact(left)) ||
           (value_check(right) && !value_is_exact(right));
}

/* Return -number as Python does: -(0.0) is -0.0, but -(0) is 0. */
static double negated(PyObject *object, double number) {
    return PyFloat_Check(object) ? -number : 0.0 - number;
}

/* Whether the left operand is a Value and the node between it and right needs no proxy to be of
 * right's class, which is Value or a tagged class. */
static bool needs_no_middle(const operands *in, PyObject *right) {
    return in->left == IS_VALUE && (value_is_exact(right) || is_tagged(right));
}

/* Return the proxy of a node over a middle one that nobody has seen, which is of right's class. The
 * node may be NULL, which means no memory. */
static PyObject *finish_over(mg_node *node, const operands *in, PyObject *right) {
    if (node != NULL && !value_is_exact(right))
        mg_links_of(node)->right->tag = mg_module.tagged_tag;
    return finish_as(in->self, node, in->x, in->y);
}

/* Return left + middle or left * middle, and give up the reference to middle, which may be NULL. */
static PyObject *apply_over(int op, PyObject *left, PyObject *middle) {
    PyObject *result = middle == NULL ? NULL : commutative_slow(op, left, middle);
    Py_XDECREF(middle);
    return result;
}

/* x - y is x + (y * -1); number - y is (y * -1) + number */
static PyObject *subtract(PyObject *left, PyObject *right) {
    operands in;
    PyObject *result;
    if (MG_LIKELY(value_is_exact(left) && value_is_exact(right))) {
        mg_node *x = value_node(left), *y = value_node(right);
        return finish(mg_new_difference(mg_module.arena, x, y), x, y);
    }
    if (any_subclass(left, right) && !(composes_natively(left) && composes_natively(right)))
        return compose(mg_module.subtract, left, right);
    if (!take_operands(&in, left, right, &result)) return result;
    if (in.right == IS_NUMBER) return record_number(MG_OP_add, in.self, in.x, negated(right, in.b));
    if (needs_no_middle(&in, right))
        return finish_over(mg_new_difference(mg_module.arena, in.x, in.y), &in, right);
    if (!value_is_exact(right)) return apply_over(MG_OP_add, left, negative(right));
    return record_over(mg_new_negative(mg_module.arena, in.y), MG_OP_add, in.a, in.y);
}

/* x / y is x * y**-1; number / y is y**-1 * number */
static PyObject *divide(PyObject *left, PyObject *right) {
    operands in;
    PyObject *result;
    double inverse;
    const bool exact = value_is_exact(left) && value_is_exact(right);
    if (!exact && any_subclass(left, right) &&
        !(composes_natively(left) && composes_natively(right)))
        return compose(mg_module.divide, left, right);
    if (!take_operands(&in, left, right, &result)) return result;
    double divisor = in.right == IS_NUMBER ? in.b : in.y->data;
    mg_status status = mg_evaluate(MG_OP_exponent, divisor, -1.0, &inverse);
    if (status != MG_OK) {
        value_raise_error(status, MG_OP_exponent, divisor, -1.0, false);
        return NULL;
    }
    if (in.right == IS_NUMBER) return record_number(MG_OP_multiply, in.self, in.x, inverse);
    if (exact || needs_no_middle(&in, right)) {
        mg_node *node = mg_new_quotient(mg_module.arena, in.x, in.y, inverse);
        return exact ? finish(node, in.x, in.y) : finish_over(node, &in, right);
    }
    mg_node *power = mg_new_power(mg_module.arena, inverse, in.y, -1.0, true);
    if (!value_is_exact(right))
        return apply_over(MG_OP_multiply, left, finish_as(right, power, in.y, in.y));
    return record_over(power, MG_OP_multiply, in.a, in.y);
}

/* ---- powers ---- */

/* Whether an exponent is an int that a double is sure to hold exactly. Such an exponent is shown as
 * in '**2', not as in '**2.0'. */
static bool is_plain_integer(PyObject *exponent, double number) {
    return PyLong_CheckExact(exponent) && fabs(number) < MG_LARGEST_INTEGER;
}

/* Set the _op of a power whose exponent is neither an int nor a float: the exponent is shown as
 * Python formats it, '**1/2', '**True'. -1: an error is set. Runs foreign code. */
static int set_power_text(PyObject *self, PyObject *exponent) {
    PyObject *format = PyObject_Format(exponent, NULL);
    if (format == NULL) return -1;
    PyObject *text = PyUnicode_FromFormat("**%U", format);
    Py_DECREF(format);
    if (text == NULL) return -1;
    PyObject *shown = PyObject_GetAttr(self, mg_module.op_key);
    int same = shown == NULL ? -1 : PyObject_RichCompareBool(shown, text, Py_EQ);
    Py_XDECREF(shown);
    int result = same < 0 ? -1 : same ? 0 : value_set_own_entry(self, mg_module.op_key, text);
    Py_DECREF(text);
    return result;
}

static PyObject *record_power(PyObject *self, mg_node *x, PyObject *exponent, double y) {
    double z;
    mg_status status = mg_evaluate(MG_OP_exponent, x->data, y, &z);
    if (status != MG_OK) {
        value_raise_error(status, MG_OP_exponent, x->data, y, false);
        return NULL;
    }
    bool integer = is_plain_integer(exponent, y);
    mg_node *node = mg_new_power(mg_module.arena, z, x, y, integer);
    PyObject *result = finish_as(self, node, x, x);
    if (result == NULL || integer || PyFloat_CheckExact(exponent)) return result;
    if (!value_check(result) || value_node(result)->op != MG_OP_exponent) return result;
    if (set_power_text(result, exponent) == 0) return result;
    Py_DECREF(result);
    return NULL;
}

static PyObject *power(PyObject *left, PyObject *right, PyObject *modulus) {
    operands in;
    PyObject *result;
    if (modulus != Py_None) return Py_NewRef(Py_NotImplemented);
    if (!take_operands(&in, left, right, &result)) return result;
    if (in.left == IS_NUMBER) {
        if (!composes_natively(right)) {
            result = compose(mg_module.number_power, left, right);
            if (result != Py_NotImplemented) return result;
            Py_DECREF(result);
        }
        return record_reflected(MG_OP_number_power, right, in.a, value_node(right));
    }
    if (in.right == IS_NUMBER) return record_power(in.self, in.x, right, in.b);
    return record(MG_OP_power, in.self, in.x, in.y);
}

/* ---- methods of one node, functions of two: from the table ---- */

static inline PyObject *unary(int op, PyObject *self) {
    mg_node *x = value_node(self);
    double z;
    mg_status status = mg_evaluate(op, x->data, 0.0, &z);
    if (status != MG_OK) {
        value_raise_error(status, op, x->data, 0.0, false);
        return NULL;
    }
    return finish_as(self, mg_new_unary(mg_module.arena, op, z, x), x, x);
}

static MG_NEVER_INLINE PyObject *unary_called(int op, PyObject *self) {
    return unary(op, self);
}

/* Whether a function of two takes more of them, pairwise. */
#define IS_EXTREME(op) ((op) == MG_OP_maximum || (op) == MG_OP_minimum)

/* maximum, atan2, ... TypeError: not two arguments, or one is neither a Value nor a number. Of two
 * numbers, the first becomes a leaf. */
static PyObject *function_of_two(int op, PyObject *const *args, Py_ssize_t count) {
    operands in;
    PyObject *result;
    if (count != 2) {
        PyErr_Format(PyExc_TypeError, "%s() takes %s 2 arguments (%zd given)", mg_operator_name(op),
                     IS_EXTREME(op) ? "at least" : "exactly", count);
        return NULL;
    }
    if (!take_operands(&in, args[0], args[1], &result)) {
        if (result != Py_NotImplemented) return NULL;
        Py_DECREF(result);
        if (value_is_recording()) {
            result = PyObject_CallMethod(value_recorder(), "apply", "sOO", mg_operator_name(op),
                                         args[0], args[1]);
            if (result != Py_NotImplemented) return result;
            Py_DECREF(result);
        }
        PyErr_Format(PyExc_TypeError,
                     "%s() takes Values and real numbers, not '%.100s' and '%.100s'",
                     mg_operator_name(op), Py_TYPE(args[0])->tp_name, Py_TYPE(args[1])->tp_name);
        return NULL;
    }
    if (in.left == IS_VALUE && in.right == IS_VALUE) return record(op, in.self, in.x, in.y);
    if (in.left == IS_VALUE) return record_number(op, in.self, in.x, in.b);
    if (in.right == IS_VALUE) return record_reflected(op, in.self, in.a, in.y);
    mg_node *x = mg_new_leaf(mg_module.arena, in.a);
    PyObject *leaf = x == NULL ? PyErr_NoMemory() : value_wrap(x);
    if (leaf == NULL) return NULL;
    result = record_number(op, leaf, x, in.b);
    Py_DECREF(leaf);
    return result;
}

/* Apply a function of two to more of them, from the left. */
MG_COLD static PyObject *pairwise(int op, PyObject *const *args, Py_ssize_t count) {
    PyObject *result = function_of_two(op, args, 2);
    for (Py_ssize_t i = 2; result != NULL && i < count; i++) {
        PyObject *const pair[] = {result, args[i]};
        PyObject *next = function_of_two(op, pair, 2);
        Py_SETREF(result, next);
    }
    return result;
}

#define DEFINE_MG_FORM_INFIX(name)
#define DEFINE_MG_FORM_EXPONENT(name)
#define DEFINE_MG_FORM_METHOD(name)                                               \
    static PyObject *value_##name(PyObject *self, PyObject *Py_UNUSED(ignored)) { \
        if (MG_IS_CALLED(MG_OP_##name)) return unary_called(MG_OP_##name, self);  \
        return unary(MG_OP_##name, self);                                         \
    }
#define DEFINE_MG_FORM_FUNCTION(name)                                                          \
    static PyObject *function_##name(PyObject *Py_UNUSED(module), PyObject *const *args,       \
                                     Py_ssize_t count) {                                       \
        if (IS_EXTREME(MG_OP_##name) && count > 2) return pairwise(MG_OP_##name, args, count); \
        return function_of_two(MG_OP_##name, args, count);                                     \
    }
#define X(name, symbol, form, ...) DEFINE_##form(name)
MG_OPERATORS(X)
#undef X

#define METHOD_MG_FORM_INFIX(name, about)
#define METHOD_MG_FORM_EXPONENT(name, about)
#define METHOD_MG_FORM_FUNCTION(name, about)
#define METHOD_MG_FORM_METHOD(name, about) \
    {#name, value_##name, METH_NOARGS, PyDoc_STR(#name "($self, /)\n--\n\n" about)},
static PyMethodDef methods[] = {
    {"backward", value_backward, METH_NOARGS,
     PyDoc_STR(
         "backward($self, /)\n--\n\n"
         "Add the derivatives of this node to the gradients of all nodes it was made of.\n\n"
         "Its own gradient is set to 1 first. The nodes follow in reverse topological order.")},
#define X(name, symbol, form, finite, value, error, dzdx, from_x, dzdy, from_y, wrong, about) \
    METHOD_##form(name, about)
    MG_OPERATORS(X)
#undef X
        {0},
};

#define FUNCTION_MG_FORM_INFIX(name, about)
#define FUNCTION_MG_FORM_EXPONENT(name, about)
#define FUNCTION_MG_FORM_METHOD(name, about)
#define FUNCTION_MG_FORM_FUNCTION(name, about)                           \
    {#name, (PyCFunction)(void (*)(void))function_##name, METH_FASTCALL, \
     PyDoc_STR(#name PARAMETERS_##name "\n--\n\n" about)},
#define PARAMETERS_maximum "(x, y, /, *more)"
#define PARAMETERS_minimum "(x, y, /, *more)"
#define PARAMETERS_atan2 "(x, y, /)"
#define PARAMETERS_hypot "(x, y, /)"
#define PARAMETERS_polygamma "(n, x, /)"
PyMethodDef value_functions[] = {
#define X(name, symbol, form, finite, value, error, dzdx, from_x, dzdy, from_y, wrong, about) \
    FUNCTION_##form(name, about)
    MG_OPERATORS(X)
#undef X
        {0},
};

static PyObject *absolute(PyObject *self) {
    return unary(MG_OP_abs, self);
}

PyType_Slot value_operator_slots[] = {
    {Py_tp_methods, methods},
    {Py_nb_add, add},
    {Py_nb_multiply, multiply},
    {Py_nb_subtract, subtract},
    {Py_nb_true_divide, divide},
    {Py_nb_power, power},
    {Py_nb_negative, negative},
    {Py_nb_positive, positive},
    {Py_nb_absolute, absolute},
    {Py_tp_richcompare, value_compare},
    {Py_tp_hash, value_hash},
    {Py_nb_bool, value_is_true},
    {0, NULL},
};
