"""Value as a thin Python proxy over calls to the C library.

The portable form of the accelerated Value, and the reference for it: the two do the same. What
proxies and nodes owe each other is in lifetimes.py.
"""

from __future__ import annotations

from collections.abc import Callable, KeysView
from signal import SIGINT, default_int_handler, getsignal
from typing import Any

from .._library import POLL, ffi, lib
from .._value_methods import as_real, makes_results
from . import threads as modes
from .lifetimes import (
    Life,
    Slots,
    arena,
    children_of,
    graph,
    hold,
    living,
    lock,
    note,
    of_slots,
    proxy_died,
    proxy_of,
    release,
    show,
    take_node,
    wrap,
    wrap_as,
)
from .operators import (
    ADD,
    EXPONENT,
    LEAF,
    MULTIPLY,
    NAMES,
    NUMBER_POWER,
    POWER,
    again,
    error,
    of_form,
    partial_error,
    symbol_of,
)

_NULL = ffi.NULL
_LARGEST_INTEGER = 2**53

# ---- recording ----


def _as_leaf(node: Any) -> Any:
    data = lib.mg_node_data(node)
    if modes.recordings and modes.recording.recorder is not None:
        leaf = lib.mg_record_rule(arena, lib.MG_RULE_DETACH, data, [node], 1, _NULL)
    else:
        leaf = lib.mg_leaf(arena, data)
    release(node)
    if not leaf:
        raise MemoryError("no memory for a node")
    return leaf


def _result(self: Value, node: Any) -> Value:
    """Return the Value of a node recorded from self, which decides its class."""
    if modes.stays and modes.grad_is_off():
        node = _as_leaf(node)
    if self._stateful:
        hold(self)
    cls = type(self)
    if cls is Value:
        return wrap(node)
    if cls.__init__ is Value.__init__ and cls.__new__ is Value.__new__:
        return wrap_as(cls, node)
    return _result_by_call(cls, node)


def _result_by_call(cls: type[Value], node: Any) -> Value:
    """Return an object made by the subclass's own constructor, to show the recorded node.

    A plain Value where the constructor takes other arguments.
    """
    if not makes_results(cls):
        return wrap(node)
    try:
        data = lib.mg_node_data(node)
        if modes.recordings and modes.recording.recorder is not None:
            pointer = ffi.cast("mg_node *", node)  # the other one will be the result's
            data = modes.recording.recorder.read(proxy_of(pointer))
        result = cls(data, children_of(node), symbol_of(node))
        if isinstance(result, Value):
            data = lib.mg_node_data(result._node)
            if data != lib.mg_node_data(node):
                modes.refuse("a constructor that changes its data")
            lib.mg_node_set_data(node, data)
            tag = lib.mg_node_tag(result._node)
            lib.mg_retain(node)
            show(result, node)
            if not lib.mg_node_set_tag(node, tag):
                result.label = _labels[tag]
            result.__dict__.pop("_backward", None)
        return result
    finally:
        release(node)


def _commutative(op: int) -> Callable[[Value, Any], Any]:
    """Return the method of an operator under which a number on the left changes sides."""
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
        result: Any = Slots()  # wrap(node), without the call
        result._stateful = 0
        result._node = node
        result.__class__ = Value
        life = Life(result, proxy_died)
        life.node = node
        living[node] = life
        return result

    return apply


def _with_number(op: int, self: Value, number: float) -> Value:
    node = lib.mg_record_number(arena, op, self._node, number, _NULL)
    return _result(self, node or again(lib.mg_record_number, op, self._node, number))


_add = _commutative(ADD)
_multiply = _commutative(MULTIPLY)
_power = _commutative(POWER)  # of two Values, in their order


def _of_two(record: Any, self: Value, other: Value, *op: int) -> Value:
    args = *op, self._node, other._node
    node = record(arena, *args, _NULL) or again(record, *args)
    if other._stateful:
        hold(other)
    return _result(self, node)


def _reflected(op: int, number: float, self: Value) -> Value:
    args = op, number, self._node
    node = lib.mg_record_reflected(arena, *args, _NULL) or again(lib.mg_record_reflected, *args)
    return _result(self, node)


def _inverse(number: float) -> float:
    """Return number**-1 with the errors of the engine."""
    if number == 0.0:
        raise error(lib.MG_ZERO_DIVISION, EXPONENT, number, -1.0)
    try:
        return number**-1
    except OverflowError:
        raise error(lib.MG_RANGE, EXPONENT, number, -1.0) from None


# ---- construction ----


def _real(number: Any, what: str) -> float:
    real = number if type(number) is float else as_real(number)
    if real is NotImplemented:
        raise TypeError(f"{what} must be a real number, not {type(number).__name__!r}")
    return real


def _tuple(given: Any, message: str) -> tuple[Any, ...]:
    if isinstance(given, str) or not hasattr(type(given), "__iter__"):
        raise TypeError(f"{message}, not {type(given).__name__!r}")
    return tuple(given)


class _NotGiven(tuple):  # type: ignore[type-arg]
    """The empty tuple as a parameter's default, to be told from one that was given."""


_NOT_GIVEN = _NotGiven()
_SPELLINGS = {
    "_children": "children",
    "_prev": "children",
    "_op": "op",
    "local_grads": "partials",
    "_local_grads": "partials",
}


def _rename(given: dict[str, Any], names: dict[str, Any]) -> None:
    """Add the arguments whose names are spelled in other ways."""
    for name, value in names.items():
        known = _SPELLINGS.get(name)
        if known is None:
            raise TypeError(f"Value() got an unexpected keyword argument {name!r}")
        if given[known] is not _NOT_GIVEN:
            raise TypeError(f"Value() got multiple values for argument {name!r}")
        given[known] = value


def _make_node(
    data: float, children: tuple[Any, ...], partials: tuple[Any, ...], record: bool
) -> Any:
    """Return a new node with these operands, none of them (or not to record) meaning a leaf."""
    if partials and len(partials) != len(children):
        raise ValueError(
            f"Value() got {len(partials)} local gradients for {len(children)} children"
        )
    for child in children:
        if not isinstance(child, Value):
            kind = type(child).__name__
            raise TypeError(f"each of Value()'s children must be a Value, not {kind!r}")
    numbers = [_real(partial, "each of Value()'s local gradients") for partial in partials]
    if not children or not record:
        node = lib.mg_leaf(arena, data)
    else:
        array = ffi.new("double[]", numbers) if numbers else _NULL
        operands = [child._node for child in children]
        node = lib.mg_record_custom(arena, data, operands, len(children), array, _NULL)
    if not node:
        raise MemoryError("no memory for a node")
    for child in children:
        if child._stateful:
            hold(child)
    return node


# The first short labels of a program are numbered, of results as many as any tag holds: a label is
# then no state of the proxy.
_MOST_LABELS = 65536
_LABEL_LENGTH = 64  # of those; they are kept for ever, at most 20 MiB of them
_WITHOUT_STATE = ("data", "grad", "label")
_labels: list[str] = [""]
_label_tags: dict[str, int] = {"": 0}


def _label_tag(label: Any, most: int = lib.MG_WIDE_TAG) -> int:
    """Return the number of a label, less than most, a new one if need be, or 0 if it has none."""
    if type(label) is not str or len(label) > _LABEL_LENGTH:
        return 0
    with lock:
        if label not in _label_tags and len(_labels) < most:
            _label_tags[label] = len(_labels)
            _labels.append(label)
        tag = _label_tags.get(label, 0)
    return tag if tag < most else 0


@of_slots
class Value(Slots):
    """A float that remembers what it was computed from."""

    __slots__ = ()

    def __new__(cls, *args: Any, **names: Any) -> Value:
        node = lib.mg_leaf(arena, 0.0)
        if not node:
            raise MemoryError("no memory for a node")
        return wrap(node) if cls is Value else wrap_as(cls, node)

    def __init__(
        self,
        data: Any,
        children: Any = _NOT_GIVEN,
        op: Any = _NOT_GIVEN,
        label: Any = "",
        **names: Any,
    ) -> None:
        partials: Any = _NOT_GIVEN
        if names:
            given = {"children": children, "op": op, "partials": partials}
            _rename(given, names)
            children, op, partials = given.values()
        if op is _NOT_GIVEN:
            op = ""
        elif not isinstance(op, str):
            if partials is not _NOT_GIVEN:
                raise TypeError("Value() got multiple values for argument 'local_grads'")
            op, partials = "", op
        recorded = None
        if modes.recordings and modes.recording.recorder is not None:
            recorded = modes.recording.recorder.construct(
                data,
                None if children is _NOT_GIVEN else children,
                None if partials is _NOT_GIVEN else partials,
            )
        if recorded is not None:
            partials = ()
            show(self, take_node(recorded))
        else:
            data = _real(data, "Value() data")
            bare = children is _NOT_GIVEN and partials is _NOT_GIVEN and not modes.recordings
            if not (bare and lib.mg_renew_leaf(self._node, data)):
                children = _tuple(children, "Value() children must be an iterable of Values")
                partials = _tuple(partials, "Value() local gradients must be a sequence")
                show(self, _make_node(data, children, partials, not modes.grad_is_off()))
        if self._stateful:
            for name in ("label", "_op", "_local_grads", "_backward"):
                self.__dict__.pop(name, None)
        if label != "":
            self.label = label
        if op != "":
            self._op = op
        if partials:
            self.__dict__["_local_grads"] = partials
            note(self, None)

    # ---- attributes ----

    def __setattr__(self, name: str, value: Any) -> None:
        if name not in _WITHOUT_STATE:
            note(self, value)
        object.__setattr__(self, name, value)

    @property
    def data(self) -> float:
        """The node's value."""
        if modes.recordings and modes.recording.recorder is not None:
            return modes.recording.recorder.read(self)  # type: ignore[no-any-return]
        return float(lib.mg_node_data(self._node))

    @data.setter
    def data(self, number: Any) -> None:
        if modes.recordings and modes.recording.recorder is not None:
            modes.recording.recorder.assign(self, number)
            return
        lib.mg_node_set_data(self._node, _real(number, "data"))

    @property
    def grad(self) -> float:
        """The derivative accumulated so far."""
        modes.refuse("reading .grad")
        return float(lib.mg_node_grad(self._node))

    @grad.setter
    def grad(self, number: Any) -> None:
        modes.refuse("assigning .grad")
        lib.mg_node_set_grad(self._node, _real(number, "grad"))

    @property
    def label(self) -> Any:
        """A name of your own for this node."""
        tag = lib.mg_node_tag(self._node)
        return self.__dict__.get("label", "") if self._stateful and not tag else _labels[tag]

    @label.setter
    def label(self, label: Any) -> None:
        is_leaf = lib.mg_node_operator(self._node) == LEAF
        tag = _label_tag(label, _MOST_LABELS if is_leaf else lib.MG_WIDE_TAG)
        own = not tag and label != ""
        if own:
            note(self, label)  # there may be no memory for it
        lib.mg_node_set_tag(self._node, tag)
        if own:
            self.__dict__["label"] = label
        elif self._stateful:
            self.__dict__.pop("label", None)

    @property
    def _op(self) -> Any:
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
        modes.refuse("reading ._local_grads")
        if self._stateful and "_local_grads" in self.__dict__:
            return self.__dict__["_local_grads"]  # type: ignore[no-any-return]
        partial = ffi.new("double *")
        partials = []
        node = self._node
        if not lib.mg_node_has_partials(node):
            return ()
        for i in range(lib.mg_node_arity(node)):
            status = lib.mg_node_partial(node, i, partial)
            if status:
                raise partial_error(status, node)
            partials.append(partial[0])
        return tuple(partials)

    # ---- backward ----

    @property
    def _backward(self) -> Callable[[], Any]:
        """Push this node's gradient into its operands, once; assignable."""
        if self._stateful and "_backward" in self.__dict__:
            return self.__dict__["_backward"]  # type: ignore[no-any-return]
        return self._push

    @_backward.setter
    def _backward(self, closure: Callable[[], Any]) -> None:
        modes.refuse("a _backward of a Value's own")
        if not callable(closure):
            raise TypeError(f"_backward must be callable, not {type(closure).__name__!r}")
        self.__dict__["_backward"] = closure
        lib.mg_node_set_closure(arena, self._node, 1)

    @_backward.deleter
    def _backward(self) -> None:
        lib.mg_node_set_closure(arena, self._node, 0)
        self.__dict__.pop("_backward", None)

    def _push(self) -> None:
        modes.refuse("calling _backward()")
        node = self._node
        status = lib.mg_push(arena, node)
        if status:
            raise partial_error(status, node)

    def backward(self) -> None:
        """Set this node's gradient to 1 and add to the gradient of every node it was made from."""
        modes.refuse("calling backward()")
        order = ffi.new("mg_order **")
        culprit = ffi.new("mg_node **")
        root = self._node
        # A handler of a program's own may only take note of Ctrl-C: then all is done to the end.
        raises = getsignal(SIGINT) is default_int_handler
        lib.mg_arena_set_poll(arena, POLL if raises else _NULL)
        status = lib.mg_backward(arena, root, order, culprit)
        if status == lib.MG_INTERRUPTED:
            raise KeyboardInterrupt
        if status:
            raise partial_error(status, culprit[0])
        if order[0]:
            lib.mg_retain(root)  # a closure could give self another node
            try:
                self._follow(order[0], culprit)
            finally:
                lib.mg_order_free(arena, order[0])
                release(root)

    def _follow(self, order: Any, culprit: Any) -> None:
        """Let the engine push the native nodes and call the closures in between."""
        closure = ffi.new("mg_node **")
        kept: dict[Any, Value] = {}
        while True:
            status = lib.mg_order_next(arena, order, closure, culprit)
            if status:
                raise partial_error(status, culprit[0])
            if not closure[0]:
                if lib.mg_order_done(order):
                    break
                continue  # for a signal to be handled
            node = closure[0]
            proxy = proxy_of(node)
            if "_backward" not in proxy.__dict__:  # a finalizer has kept the graph
                kept = kept or {each._node: each for each in graph(self)}
                proxy = kept.get(node, proxy)
            proxy._backward()

    # ---- operators ----

    __add__ = _add
    __mul__ = _multiply

    def __radd__(self, other: Any) -> Any:
        return _add(self, other) if type(self) is Value else self + other

    def __rmul__(self, other: Any) -> Any:
        return _multiply(self, other) if type(self) is Value else self * other

    # Results of a subclass are composed of its own operators, as in the pure-Python class.

    def __neg__(self) -> Any:
        return _multiply(self, -1.0) if type(self) is Value else self * -1

    def __pos__(self) -> Value:
        return self

    def __sub__(self, other: Any) -> Any:
        if isinstance(other, Value):
            if type(self) is not Value or type(other) is not Value:
                return self + -other
            return _of_two(lib.mg_record_difference, self, other)
        number = as_real(other)
        if number is NotImplemented:
            return NotImplemented
        if type(self) is not Value:
            return self + -other
        # as Python has it: -0.0 is not 0.0, but -0 is 0
        negated = -number if isinstance(other, float) else 0.0 - number
        return _add(self, negated)

    def __rsub__(self, other: Any) -> Any:
        number = as_real(other)
        if number is NotImplemented:
            return NotImplemented
        if type(self) is not Value:
            return -self + other
        return _add(_multiply(self, -1.0), number)

    def __truediv__(self, other: Any) -> Any:
        number = 0.0 if isinstance(other, Value) else as_real(other)
        if number is NotImplemented:
            return NotImplemented
        if type(self) is not Value or (type(other) is not Value and isinstance(other, Value)):
            return self * other**-1
        if type(other) is Value:
            return _of_two(lib.mg_record_quotient, self, other)
        return _multiply(self, _inverse(number))

    def __rtruediv__(self, other: Any) -> Any:
        number = as_real(other)
        if number is NotImplemented:
            return NotImplemented
        return Value.__pow__(self, -1) * number if type(self) is Value else self**-1 * other

    def __pow__(self, other: Any, modulus: Any = None) -> Any:
        if modulus is not None:
            return NotImplemented
        if isinstance(other, Value):
            return _power(self, other)
        number = as_real(other)
        if number is NotImplemented:
            return NotImplemented
        integer = type(other) is int and abs(other) < _LARGEST_INTEGER
        args = self._node, number, integer
        node = lib.mg_record_power(arena, *args, _NULL) or again(lib.mg_record_power, *args)
        result = _result(self, node)
        if integer or type(other) is float or not isinstance(result, Value):
            return result
        if result._op not in ("", f"**{other}"):
            result._op = f"**{other}"
        return result

    def __rpow__(self, other: Any, modulus: Any = None) -> Any:
        number = as_real(other)
        if modulus is not None or number is NotImplemented:
            return NotImplemented
        if type(self).__pow__ is not Value.__pow__:
            return type(self)(other) ** self
        return _reflected(NUMBER_POWER, number, self)

    def __abs__(self) -> Value:
        return self.abs()  # type: ignore[attr-defined,no-any-return]

    # ---- comparisons: of data; equality stays identity, but see Recorder.equals ----

    def __eq__(self, other: object) -> Any:
        if modes.recordings and modes.recording.recorder is not None:
            return modes.recording.recorder.equals(self, other)
        return NotImplemented

    def __hash__(self) -> int:
        if modes.recordings and modes.recording.recorder is not None:
            modes.recording.recorder.check_hash(self)
        return object.__hash__(self)

    def __bool__(self) -> bool:
        if modes.recordings and modes.recording.recorder is not None:
            return modes.recording.recorder.truth(self)  # type: ignore[no-any-return]
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


def _data_of(other: Any) -> Any:
    if isinstance(other, Value):
        return other.data
    if isinstance(other, int):  # any int can be compared with a float
        return other
    if modes.recordings and modes.recording.recorder is not None:
        return other  # for a stand-in to compare itself with
    try:
        return NotImplemented if as_real(other) is NotImplemented else other
    except OverflowError:
        return other  # any number can be compared with a float


# ---- methods of one node, functions of two: from the operator table ----


def _method(op: int) -> Callable[[Value], Value]:
    record = lib.mg_record_plain

    def method(self: Value) -> Value:
        node = record(op, self._node, _NULL)
        if node:
            return wrap(node)
        args = op, self._node, _NULL
        node = lib.mg_record(arena, *args, _NULL) or again(lib.mg_record, *args)
        return _result(self, node)

    method.__name__ = NAMES[op]
    method.__qualname__ = f"Value.{NAMES[op]}"
    method.__doc__ = f"Record {NAMES[op]} of this Value and return the result."
    return method


def _function(op: int) -> Callable[[Any, Any], Value]:
    name = NAMES[op]
    apply = _commutative(op)

    def function(a: Any, b: Any, /) -> Value:
        x, y = (v if isinstance(v, Value) else as_real(v) for v in (a, b))
        if x is NotImplemented or y is NotImplemented:
            recorder = modes.recording.recorder if modes.recordings else None
            result = NotImplemented if recorder is None else recorder.apply(name, a, b)
            if result is not NotImplemented:
                return result  # type: ignore[no-any-return]
            kinds = f"{type(a).__name__!r} and {type(b).__name__!r}"
            raise TypeError(f"{name}() takes Values and real numbers, not {kinds}")
        if not isinstance(x, Value) and isinstance(y, Value):
            return _reflected(op, x, y)
        return apply(x if isinstance(x, Value) else Value(x), y)  # type: ignore[no-any-return]

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"Record the {name} of two Values or numbers."
    return function


for _name, _op in of_form(lib.MG_FORM_METHOD).items():
    setattr(Value, _name, _method(_op))

_functions = {name: _function(op) for name, op in of_form(lib.MG_FORM_FUNCTION).items()}
maximum = _functions["maximum"]
minimum = _functions["minimum"]
