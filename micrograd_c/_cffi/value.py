"""Value: a Python object that shows a node of the C library.

This is how a C library gets a Python class by cffi. `lib` has the functions that csrc/micrograd.h
declares, `ffi` makes what their pointer arguments point to. A Value stores a pointer to its node
(`_node`); its attributes read and write the node, and its operators record new nodes and return
the Values that show them. So there is nothing here of what an operator computes or how backward
goes. When nodes and Values may go is in lifetimes.py.

The other form of the class, with the same interface, is written in C: csrc/python/.
"""

from __future__ import annotations

from collections.abc import Callable, KeysView
from typing import Any

from .. import _value_methods as shared
from .._construct import NOT_GIVEN, construct, result_by_call
from .._library import ffi, lib
from .._value_methods import LARGEST_INTEGER, as_real, real
from . import construct as primitives
from .arena import arena, not_null
from .backward import backward, local_grads, push
from .construct import as_leaf, look_at_node, show_instead
from .errors import again, error
from .labels import class_tags, get_label, set_label
from .lifetimes import Life, children_of, living, proxies_are, proxy_died, wrap, wrap_as
from .proxy import Proxy, copy_pointer, hold, note
from .table import ABOUT, ADD, EXPONENT, MULTIPLY, NAMES, NUMBER_POWER, POWER, of_form, symbol_of
from .threads import grad_is_off, here, is_watched, recorders, refuse, stays

_NULL = ffi.NULL

# ---- recording an operator ----
#
# The operators of the class below call these functions, which return objects of the class.


def _pass_blocks(node: Any) -> Any:
    """Return a new node, looked at in detect_anomaly, or in no_grad a leaf in its place."""
    if is_watched():
        look_at_node(node)
    return as_leaf(node) if grad_is_off() else node


def _result(self: Value, node: Any) -> Any:
    """Return the Value of a node recorded from self, of the same class if that can be."""
    if stays:
        node = _pass_blocks(node)
    if self._stateful:
        hold(self)
    cls = type(self)
    return wrap(node) if cls is Value else _result_as(cls, node)


def _result_as(cls: Any, node: Any) -> Any:
    """Return the Value of a new node, of a subclass if that can be."""
    if cls.__init__ is Value.__init__ and cls.__new__ is Value.__new__:
        return wrap_as(cls, node)
    if cls.__new__ is not Value.__new__ or type(cls).__call__ is not type.__call__ or recorders:
        return result_by_call(primitives, cls, wrap(node))
    return _construct_result(cls, node) if shared.takes_three(cls.__init__) else wrap(node)


def _construct_result(cls: Any, node: Any) -> Any:
    """Do what result_by_call does for a class without a `__new__` of its own.

    The result shows its node before its constructor is called: `Value.__init__` then has nothing to
    make, if it is called with what is awaited.
    """
    result = wrap_as(cls, node)
    children, op = result._children, symbol_of(node)
    outer, here.awaited = here.awaited, (result, node, children, op)
    try:
        cls.__init__(result, float(lib.mg_node_data(node)), children, op)
    finally:
        here.awaited = outer
    if result._node is not node:  # the constructor has made another
        lib.mg_retain(node)
        show_instead(result, copy_pointer(node))
    if result.__dict__:
        del result._backward
    return result


def _with_number(op: int, self: Value, number: float) -> Any:
    node = lib.mg_record_number(arena, op, self._node, number, _NULL)
    return _result(self, node or again(lib.mg_record_number, op, self._node, number))


def reflected(op: int, number: float, self: Value) -> Any:
    args = op, number, self._node
    node = lib.mg_record_reflected(arena, *args, _NULL) or again(lib.mg_record_reflected, *args)
    return _result(self, node)


def _of_two(record: Any, self: Value, other: Value, *op: int) -> Any:
    args = *op, self._node, other._node
    node = record(arena, *args, _NULL) or again(record, *args)
    if other._stateful:
        hold(other)
    return _result(self, node)


def commutative(op: int) -> Callable[[Value, Any], Any]:
    """Return the method of an operator under which a number on the left changes sides.

    The plain functions record what is common, without an arena and a status among their arguments,
    each of which takes time; they return NULL where anything is out of the ordinary.
    """
    record, record_number = lib.mg_record_plain, lib.mg_record_plain_number

    def apply(self: Value, other: Any) -> Any:
        if isinstance(other, Value):
            node = record(op, self._node, other._node)
            if not node:
                return _of_two(lib.mg_record, self, other, op)
        elif type(other) is float or type(other) is int:
            node = record_number(op, self._node, other)
            if not node:
                return _with_number(op, self, float(other))
        else:
            number = as_real(other)
            return number if number is NotImplemented else _with_number(op, self, number)
        if type(self) is not Value:
            return _result_as(type(self), node)
        result: Any = Proxy()  # from here on what wrap(node) does, without the call
        result._stateful = 0
        result._node = node
        result.__class__ = Value
        life = Life(result, proxy_died)
        life.node = node
        living[node] = life
        return result

    apply.__name__ = apply.__qualname__ = NAMES[op]
    return apply


_add = commutative(ADD)
_multiply = commutative(MULTIPLY)
_power = commutative(POWER)  # of two Values, in their order


def _inverse(number: float) -> float:
    """Return number**-1 with the errors of the engine."""
    try:
        return number**-1
    except ArithmeticError:
        status = lib.MG_ZERO_DIVISION if number == 0.0 else lib.MG_RANGE
        raise error(status, EXPONENT, number, -1.0) from None


def _data_of(other: Any) -> Any:
    """Return the number that a Value is compared with, or NotImplemented."""
    if isinstance(other, Value):
        return other.data
    if isinstance(other, int):  # any int can be compared with a float
        return other
    if recorders and here.recorder is not None:
        return other  # a stand-in, which compares itself with a number
    try:
        return NotImplemented if as_real(other) is NotImplemented else other
    except OverflowError:
        return other  # a number too large for a float can be compared with one


# ---- the class ----


@proxies_are
class Value(Proxy):
    # ../engine.py gives the class its docstring.

    __slots__ = ()

    def __new__(cls, *args: Any, **names: Any) -> Value:
        node = not_null(lib.mg_leaf(arena, 0.0), "a node")
        return wrap(node) if cls is Value else wrap_as(cls, node)  # type: ignore[no-any-return]

    def __init__(
        self,
        data: Any = NOT_GIVEN,
        children: Any = NOT_GIVEN,
        op: Any = NOT_GIVEN,
        label: Any = "",
        *more: Any,
        **names: Any,
    ) -> None:
        if more or names or recorders or data is NOT_GIVEN:
            pass
        elif (children is NOT_GIVEN or children == ()) and (op is NOT_GIVEN or op == ""):
            data = real(data, "Value() data")
            tag = 0 if type(self) is Value else class_tags.get(id(type(self)), 0)
            if lib.mg_renew_leaf(self._node, data, tag):  # the one that __new__ has made
                if label != "":
                    self.label = label
                return
        elif type(self) is not Value and here.awaited is not None and not self.__dict__:
            result, node, *given = here.awaited
            if self is result and self._node is node and given[0] is children and given[1] is op:
                lib.mg_node_set_data(node, real(data, "Value() data"))
                if label != "":
                    self.label = label
                return
        construct(primitives, self, names, data, children, op, label, *more)

    # ---- attributes ----

    def __setattr__(self, name: str, value: Any) -> None:
        if type(value) is float and type(self) is Value and not recorders:
            # what the properties below do, unless a program has replaced them
            if name == "grad" and Value.grad is _grad:
                lib.mg_node_set_grad(self._node, value)
                return
            if name == "data" and Value.data is _data:
                lib.mg_node_set_data(self._node, value)
                return
        if name not in ("data", "grad", "label"):
            note(self, value)
        object.__setattr__(self, name, value)

    @property
    def data(self) -> float:
        """The node's value, a float."""
        if recorders and here.recorder is not None:
            return here.recorder.read(self)  # type: ignore[no-any-return]
        return lib.mg_node_data(self._node)  # type: ignore[no-any-return]

    @data.setter
    def data(self, number: Any) -> None:
        if recorders and here.recorder is not None:
            here.recorder.assign(self, number)
            return
        if type(number) is not float:
            number = real(number, "data")
        lib.mg_node_set_data(self._node, number)

    @property
    def grad(self) -> float:
        """The derivative accumulated so far, a float."""
        if recorders:
            refuse("reading .grad")
        return lib.mg_node_grad(self._node)  # type: ignore[no-any-return]

    @grad.setter
    def grad(self, number: Any) -> None:
        if recorders:
            refuse("assigning .grad")
        if type(number) is not float:
            number = real(number, "grad")
        lib.mg_node_set_grad(self._node, number)

    @property
    def label(self) -> Any:
        """A name of your own for this node."""
        return get_label(self)

    @label.setter
    def label(self, label: Any) -> None:
        set_label(self, label)

    @property
    def _op(self) -> Any:
        """The operator that made this node; '' for a leaf."""
        if self._stateful and "_op" in self.__dict__:
            return self.__dict__["_op"]
        return symbol_of(self._node)

    @_op.setter
    def _op(self, op: Any) -> None:
        self.__dict__["_op"] = op

    @property
    def _children(self) -> tuple[Value, ...]:
        """The operands in order, repeats included."""
        return children_of(self._node, getattr(self, "_bound", ()))

    @property
    def _prev(self) -> KeysView[Value]:
        """The distinct operands, an ordered set."""
        return dict.fromkeys(self._children).keys()

    @property
    def _local_grads(self) -> tuple[Any, ...]:
        """The partial derivatives with respect to _children."""
        refuse("reading ._local_grads")
        if self._stateful and "_local_grads" in self.__dict__:
            return self.__dict__["_local_grads"]  # type: ignore[no-any-return]
        return local_grads(self._node)

    # ---- backward ----

    def backward(self) -> None:
        """Add the derivatives of this node to the gradients of all nodes it was made of.

        Its own gradient is set to 1 first. The nodes follow in reverse topological order.
        """
        refuse("calling backward()")
        backward(self)

    def _push(self) -> None:
        refuse("calling _backward()")
        push(self._node)

    @property
    def _backward(self) -> Callable[[], Any]:
        """Push this node's gradient into its operands; may be a closure of your own."""
        if self._stateful and "_backward" in self.__dict__:
            return self.__dict__["_backward"]  # type: ignore[no-any-return]
        return self._push

    @_backward.setter
    def _backward(self, closure: Callable[[], Any]) -> None:
        refuse("a _backward of a Value's own")
        if not callable(closure):
            raise TypeError(f"_backward must be callable, not {type(closure).__name__!r}")
        self.__dict__["_backward"] = closure
        lib.mg_node_set_closure(arena, self._node, 1)

    @_backward.deleter
    def _backward(self) -> None:
        lib.mg_node_set_closure(arena, self._node, 0)
        self.__dict__.pop("_backward", None)

    # ---- operators ----
    #
    # Those of a subclass are composed of others in ../_value_methods.py.

    __add__ = _add
    __mul__ = _multiply

    def __radd__(self, other: Any) -> Any:
        return _add(self, other) if type(self) is Value else shared.add(Value, other, self)

    def __rmul__(self, other: Any) -> Any:
        return (
            _multiply(self, other) if type(self) is Value else shared.multiply(Value, other, self)
        )

    def __neg__(self) -> Any:
        return _multiply(self, -1.0) if type(self) is Value else shared.negative(self)

    def __pos__(self) -> Value:
        return self

    def __sub__(self, other: Any) -> Any:
        if type(self) is Value is type(other):
            return _of_two(lib.mg_record_difference, self, other)
        if type(self) is not Value or isinstance(other, Value):
            return shared.subtract(Value, self, other)
        number = as_real(other)
        if number is NotImplemented:
            return NotImplemented
        # as Python has it: -0.0 is not 0.0, but -0 is 0
        return _add(self, -number if isinstance(other, float) else 0.0 - number)

    def __rsub__(self, other: Any) -> Any:
        if type(self) is not Value:
            return shared.subtract(Value, other, self)
        number = as_real(other)
        return number if number is NotImplemented else _add(_multiply(self, -1.0), number)

    def __truediv__(self, other: Any) -> Any:
        if type(self) is Value is type(other):
            return _of_two(lib.mg_record_quotient, self, other)
        if type(self) is not Value or isinstance(other, Value):
            return shared.divide(Value, self, other)
        number = as_real(other)
        return number if number is NotImplemented else _multiply(self, _inverse(number))

    def __rtruediv__(self, other: Any) -> Any:
        if type(self) is not Value:
            return shared.divide(Value, other, self)
        number = as_real(other)
        return number if number is NotImplemented else Value.__pow__(self, -1) * number

    def __pow__(self, other: Any, modulus: Any = None) -> Any:
        if modulus is not None:
            return NotImplemented
        if isinstance(other, Value):
            return _power(self, other)
        number = as_real(other)
        if number is NotImplemented:
            return NotImplemented
        integer = type(other) is int and abs(other) < LARGEST_INTEGER
        args = self._node, number, integer
        node = lib.mg_record_power(arena, *args, _NULL) or again(lib.mg_record_power, *args)
        result = _result(self, node)
        if integer or type(other) is float or not isinstance(result, Value):
            return result
        if result._op not in ("", f"**{other}"):  # the exponent in the program's own spelling
            result._op = f"**{other}"
        return result

    def __rpow__(self, other: Any, modulus: Any = None) -> Any:
        number = as_real(other)
        if modulus is not None or number is NotImplemented:
            return NotImplemented
        result = NotImplemented if type(self) is Value else shared.number_power(Value, other, self)
        return reflected(NUMBER_POWER, number, self) if result is NotImplemented else result

    def __abs__(self) -> Value:
        return self.abs()  # type: ignore[attr-defined,no-any-return]

    # ---- comparisons ----
    #
    # Of the data; equality stays identity, but see Recorder.equals.

    def __eq__(self, other: object) -> Any:
        if recorders and here.recorder is not None:
            return here.recorder.equals(self, other)
        return NotImplemented

    def __ne__(self, other: object) -> Any:
        if recorders and here.recorder is not None:
            return here.recorder.differs(self, other)
        return NotImplemented

    def __hash__(self) -> int:
        if recorders and here.recorder is not None:
            here.recorder.check_hash(self)
        return object.__hash__(self)

    def __bool__(self) -> bool:
        if recorders and here.recorder is not None:
            return here.recorder.truth(self)  # type: ignore[no-any-return]
        return not hasattr(self, "__len__") or len(self) != 0

    def __lt__(self, other: Any) -> Any:
        number = _data_of(other)
        return NotImplemented if number is NotImplemented else self.data < number

    def __le__(self, other: Any) -> Any:
        number = _data_of(other)
        return NotImplemented if number is NotImplemented else self.data <= number

    def __gt__(self, other: Any) -> Any:
        number = _data_of(other)
        return NotImplemented if number is NotImplemented else self.data > number

    def __ge__(self, other: Any) -> Any:
        number = _data_of(other)
        return NotImplemented if number is NotImplemented else self.data >= number


_data, _grad = Value.data, Value.grad

# ---- tanh, exp, ...: from the operator table ----


def _method(op: int) -> Callable[[Value], Any]:
    """Return the method that records an operator of one node: tanh, exp, ..."""
    record = lib.mg_record_plain

    def method(self: Value) -> Any:
        node = record(op, self._node, _NULL)
        if node:
            return wrap(node) if type(self) is Value else _result_as(type(self), node)
        args = op, self._node, _NULL
        return _result(self, lib.mg_record(arena, *args, _NULL) or again(lib.mg_record, *args))

    method.__name__ = NAMES[op]
    method.__qualname__ = f"Value.{NAMES[op]}"
    method.__doc__ = ABOUT[op]
    return method


for _name, _op in of_form(lib.MG_FORM_METHOD).items():
    setattr(Value, _name, _method(_op))
