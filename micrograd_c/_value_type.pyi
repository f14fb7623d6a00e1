from collections.abc import Callable, Iterable, KeysView, Sequence
from typing import Any, Self, SupportsFloat, TypeVar, final, type_check_only

from typing_extensions import disjoint_base

from ._value_methods import ValueMethods

_T = TypeVar("_T")

_Number = float | SupportsFloat

@disjoint_base
class Value(ValueMethods):
    """A float that remembers what it was computed from.

    `Value(2.0)` is a leaf. Operators, methods and functions make further Values and record their
    operands; `backward()` of a result adds its derivative by each of these to that one's `grad`.

    >>> a, b = Value(2.0, label='a'), Value(-3.0, label='b')
    >>> c = a * b + b**2
    >>> c.backward()
    >>> c.data, a.grad, b.grad
    (3.0, -3.0, -4.0)

    Operators are ``+ - * / **`` and ``abs``, with Values and real numbers on both sides, and
    comparisons, which compare the data; ``==`` is identity. Values may have further attributes, and
    the class further methods; it may be subclassed.

    Attributes:
        data: the number, a float; may be assigned.
        grad: the derivative accumulated so far, a float, 0.0 at first; may be assigned.
        label: a name of your own, which `draw_dot` shows.
        _prev: the Values it was computed from.
        _op: the operator that made it, a string.

    An operator made by hand is ``Value(data, children, op)`` with a `_backward` closure that adds
    to its children's gradients, or ``Value(data, children, local_grads=...)`` with its partial
    derivatives. The arguments may also be spelled `_children`, `_prev`, `_op` and `_local_grads`.

    Raises TypeError if data is no real number, OverflowError if it is too large for a float.
    """

    data: float
    """The node's value, a float."""
    grad: float
    """The derivative accumulated so far, a float."""
    label: Any
    """A name of your own for this node."""
    _op: Any
    """The operator that made this node; '' for a leaf."""
    _backward: Callable[[], Any]
    """Push this node's gradient into its operands; may be a closure of your own."""
    def __init__(
        self,
        data: _Number,
        children: Iterable[Value] = (),
        op: str | Sequence[_Number] = "",
        label: Any = "",
        *,
        _children: Iterable[Value] = (),
        _prev: Iterable[Value] = (),
        _op: str | Sequence[_Number] = "",
        local_grads: Sequence[_Number] = (),
        _local_grads: Sequence[_Number] = (),
    ) -> None: ...
    @type_check_only
    def __getattr__(self, name: str, /) -> Any: ...  # attributes of a program's own
    def __setattr__(self, name: str, value: Any, /) -> None: ...
    @property
    def _children(self) -> tuple[Value, ...]:
        """The operands in order, repeats included."""
    @property
    def _prev(self) -> KeysView[Value]:
        """The distinct operands, an ordered set."""
    @property
    def _local_grads(self) -> tuple[Any, ...]:
        """The partial derivatives with respect to _children."""
    def __setstate__(self, state: Any) -> None: ...
    def backward(self) -> None:
        """Add the derivatives of this node to the gradients of all nodes it was made of.

        Its own gradient is set to 1 first. The nodes follow in reverse topological order.
        """
    def __add__(self, other: Value | _Number, /) -> Self: ...
    def __radd__(self, other: _Number, /) -> Self: ...
    def __sub__(self, other: Value | _Number, /) -> Self: ...
    def __rsub__(self, other: _Number, /) -> Self: ...
    def __mul__(self, other: Value | _Number, /) -> Self: ...
    def __rmul__(self, other: _Number, /) -> Self: ...
    def __truediv__(self, other: Value | _Number, /) -> Self: ...
    def __rtruediv__(self, other: _Number, /) -> Self: ...
    def __pow__(self, other: Value | _Number, mod: None = None, /) -> Self: ...
    def __rpow__(self, other: _Number, mod: None = None, /) -> Self: ...
    def __neg__(self) -> Self: ...
    def __pos__(self) -> Self: ...
    def __abs__(self) -> Self: ...
    def __bool__(self) -> bool: ...
    def __lt__(self, other: Value | _Number, /) -> bool: ...
    def __le__(self, other: Value | _Number, /) -> bool: ...
    def __gt__(self, other: Value | _Number, /) -> bool: ...
    def __ge__(self, other: Value | _Number, /) -> bool: ...
    def exp(self) -> Self:
        """Return e**x. Its derivative is e**x.

        Raises OverflowError if x is above 709.78.
        """
    def log(self) -> Self:
        """Return the natural logarithm of x. Its derivative is 1/x.

        Raises ValueError if x is 0 or below.
        """
    def tanh(self) -> Self:
        """Return (e**2x - 1) / (e**2x + 1). Its derivative is 1 - tanh(x)**2."""
    def relu(self) -> Self:
        """Return max(x, 0). Its derivative is 1 where x is above 0, and 0 at 0."""
    def sigmoid(self) -> Self:
        """Return 1 / (1 + e**-x), s. Its derivative is s * (1 - s)."""
    def sin(self) -> Self:
        """Return the sine of x radians. Its derivative is cos(x).

        Raises ValueError if x is infinite.
        """
    def cos(self) -> Self:
        """Return the cosine of x radians. Its derivative is -sin(x).

        Raises ValueError if x is infinite.
        """
    def sqrt(self) -> Self:
        """Return the square root of x. Its derivative is 1 / (2 * sqrt(x)).

        Raises ValueError if x is below 0; backward() raises ZeroDivisionError if x is 0.
        """
    def abs(self) -> Self:
        """Return |x|. Its derivative is the sign of x, and 0 at 0."""
    def log1p(self) -> Self:
        """Return log(1 + x), accurate for small x, too. Its derivative is 1 / (1 + x).

        Raises ValueError if x is -1 or below.
        """
    def expm1(self) -> Self:
        """Return e**x - 1, accurate for small x, too. Its derivative is e**x.

        Raises OverflowError if x is above 709.78.
        """
    def tan(self) -> Self:
        """Return the tangent of x radians. Its derivative is 1 + tan(x)**2.

        Raises ValueError if x is infinite.
        """
    def asin(self) -> Self:
        """Return the angle from -pi/2 to pi/2 whose sine is x. Its derivative is
        1 / sqrt(1 - x**2).

        Raises ValueError if x is below -1 or above 1; backward() raises
        ZeroDivisionError if x is -1 or 1.
        """
    def acos(self) -> Self:
        """Return the angle from 0 to pi whose cosine is x. Its derivative is
        -1 / sqrt(1 - x**2).

        Raises ValueError if x is below -1 or above 1; backward() raises
        ZeroDivisionError if x is -1 or 1.
        """
    def atan(self) -> Self:
        """Return the angle from -pi/2 to pi/2 whose tangent is x. Its derivative is
        1 / (1 + x**2).
        """
    def sinh(self) -> Self:
        """Return (e**x - e**-x) / 2. Its derivative is cosh(x).

        Raises OverflowError if |x| is above 710.47.
        """
    def cosh(self) -> Self:
        """Return (e**x + e**-x) / 2. Its derivative is sinh(x).

        Raises OverflowError if |x| is above 710.47.
        """
    def asinh(self) -> Self:
        """Return the number whose sinh is x. Its derivative is 1 / sqrt(1 + x**2)."""
    def acosh(self) -> Self:
        """Return the number, 0 or above, whose cosh is x. Its derivative is
        1 / sqrt(x**2 - 1).

        Raises ValueError if x is below 1; backward() raises ZeroDivisionError if x is 1.
        """
    def atanh(self) -> Self:
        """Return the number whose tanh is x. Its derivative is 1 / (1 - x**2).

        Raises ValueError if x is -1 or below, or 1 or above.
        """
    def erf(self) -> Self:
        """Return the error function of x. Its derivative is 2 / sqrt(pi) * e**-x**2."""
    def erfc(self) -> Self:
        """Return 1 - erf(x), accurate for large x, too. Its derivative is
        -2 / sqrt(pi) * e**-x**2.
        """
    def log2(self) -> Self:
        """Return the logarithm of x to base 2. Its derivative is 1 / (x * log(2)).

        Raises ValueError if x is 0 or below.
        """
    def log10(self) -> Self:
        """Return the logarithm of x to base 10. Its derivative is 1 / (x * log(10)).

        Raises ValueError if x is 0 or below.
        """
    def softplus(self) -> Self:
        """Return log(1 + e**x), for large x, too. Its derivative is sigmoid(x)."""
    def gelu(self) -> Self:
        """Return x * P(x), where P(x) = erfc(-x / sqrt(2)) / 2 is the normal distribution.
        Its derivative is P(x) + x * e**(-x**2 / 2) / sqrt(2 * pi).
        """
    def silu(self) -> Self:
        """Return x * sigmoid(x). Its derivative is s + x * s * (1 - s), s = sigmoid(x)."""
    def lgamma(self) -> Self:
        """Return the natural logarithm of |gamma(x)|. Its derivative is digamma(x).

        Raises ValueError if x is an integer, 0 or below; OverflowError if x is above 2.55e305.
        """
    def digamma(self) -> Self:
        """Return the derivative of lgamma(x). Its derivative is polygamma(1, x).

        Raises ValueError if x is an integer, 0 or below, or -inf; OverflowError if |x| is
        below 5.6e-309.
        """
    def arcsin(self) -> Self:
        """Return self.asin()."""
    def arccos(self) -> Self:
        """Return self.acos()."""
    def arctan(self) -> Self:
        """Return self.atan()."""
    def arcsinh(self) -> Self:
        """Return self.asinh()."""
    def arccosh(self) -> Self:
        """Return self.acosh()."""
    def arctanh(self) -> Self:
        """Return self.atanh()."""
    def arctan2(self, other: Value | _Number) -> Value:
        """Return atan2(self, other)."""
    def hypot(self, other: Value | _Number) -> Value:
        """Return hypot(self, other)."""
    def conjugate(self) -> Self:
        """Return the Value itself, a real number: np.var and np.std ask for it."""

enums: dict[str, int]

def maximum(x: Value | _Number, y: Value | _Number, /, *more: Value | _Number) -> Value:
    """Return the larger of two Values or numbers, nan if one of them is nan.

    The larger one gets the gradient, at a tie each of them half of it. Of more than two it is
    taken pairwise, from the left.
    """

def minimum(x: Value | _Number, y: Value | _Number, /, *more: Value | _Number) -> Value:
    """Return the smaller of two Values or numbers, nan if one of them is nan.

    The smaller one gets the gradient, at a tie each of them half of it. Of more than two it is
    taken pairwise, from the left.
    """

def atan2(x: Value | _Number, y: Value | _Number, /) -> Value:
    """Return the angle from -pi to pi of the point with height x and width y:
    atan(x / y) if y is above 0. Its derivatives are y / (x**2 + y**2) and
    -x / (x**2 + y**2).

    backward() raises ZeroDivisionError if both are 0.
    """

def hypot(x: Value | _Number, y: Value | _Number, /) -> Value:
    """Return sqrt(x**2 + y**2), also where the squares overflow. Its derivatives are
    x / hypot(x, y) and y / hypot(x, y), and 0 if both are 0.
    """

def polygamma(n: Value | _Number, x: Value | _Number, /) -> Value:
    """Return the n-th derivative of digamma(x), for a natural number n: of 0 it is digamma(x).
    Its derivative is polygamma(n + 1, x), and 0 for n.

    Raises ValueError if n is no natural number, or x an integer, 0 or below, or -inf;
    OverflowError if x is too near to one of these integers.
    """

def statistics() -> tuple[int, int, int, int, int]: ...
def trim() -> None: ...
def dot(ws: Any, xs: Any, bias: Any, /) -> Any: ...
def linear(weights: Any, xs: Any, biases: Any, /) -> Any: ...
def describe_network(
    layer: Any, of_layer: tuple[str], neuron: Any, of_neuron: tuple[str, str, str], label: str, /
) -> None: ...
def layer(neurons: Any, xs: Any, /) -> Any: ...
def network(layers: Any, xs: Any, /) -> Any: ...
def parameters(layers: Any, /) -> Any: ...
def total(values: Any, /) -> Any: ...
def mean(values: Any, /) -> Any: ...
def softmax(logits: Any, /) -> Any: ...
def cross_entropy(logits: Any, target: Any, /) -> Any: ...
def mse(predictions: Any, targets: Any, /) -> Any: ...
def hinge(scores: Any, targets: Any, /) -> Any: ...
def log_softmax(logits: Any, /) -> Any: ...
def logsumexp(logits: Any, /) -> Any: ...
def logistic(logits: Any, targets: Any, /) -> Any: ...
def sgd(*groups: tuple[Any, ...]) -> None: ...
def adam(*groups: tuple[Any, ...]) -> None: ...
def rmsprop(*groups: tuple[Any, ...]) -> None: ...
def clip_norm(params: tuple[Value, ...], max_norm: float, norm_type: float, /) -> float: ...
def clip_value(params: tuple[Value, ...], bound: float, /) -> None: ...
def zero_grad(params: Iterable[Value], /) -> None: ...
def after_fork() -> None: ...
def before_collection(phase: str, info: dict[str, int], /) -> None: ...

@disjoint_base
class GradOff:
    def __enter__(self) -> None: ...
    def __exit__(self, *error: object) -> None: ...

@disjoint_base
class Watch:
    def __enter__(self) -> None: ...
    def __exit__(self, *error: object) -> None: ...

def watch_by(
    look: Callable[[Value, float, int, int], None],
    follow: Callable[[list[Value]], None],
    locate: Callable[[Exception], Exception],
    /,
) -> None: ...
def is_anyone_watched() -> bool: ...
def graph(root: Value, /) -> list[Value]: ...
def gradients(output: Value, inputs: tuple[Value, ...], /) -> list[float]: ...
def recorded(value: Value, /) -> tuple[str, float, tuple[Value, ...], Any, tuple[float, ...]]: ...
def attributes(value: Value, /) -> dict[str, Any] | None: ...
def set_attributes(value: Value, own: dict[str, Any], /) -> None: ...
def restore(
    cls: type[Value],
    name: str,
    data: float,
    children: tuple[Value, ...],
    exponent: float | None,
    partials: tuple[Any, ...],
    /,
) -> Value: ...
def record(recorder: Any, work: Callable[[Any], _T], /) -> _T: ...
def recorder() -> Any: ...
def make(data: float, children: tuple[Value, ...], partials: tuple[float, ...], /) -> Value: ...
def renew(value: Value, made: Value, label: Any, op: str, partials: tuple[Any, ...], /) -> None: ...
def replace(result: Value, recorded: Value, /) -> None: ...
def rule(rule: int, data: float, operands: tuple[Value, ...], /) -> Value: ...
def number_of(value: Value, /) -> float: ...
def is_fresh(value: Value, position: Any, /) -> bool: ...
def serial(value: Value, /) -> int: ...
def trace(
    anchor: Value, inputs: tuple[Value, ...], position: Any, /
) -> tuple[bytes, bytes, list[Value]]: ...

@final
class Nodes:
    def __new__(cls, values: Iterable[Value], /) -> Self: ...
    @property
    def values(self) -> tuple[Value, ...]: ...

_Values = Nodes | Iterable[Value]

def get_numbers(values: _Values, array: Any, /) -> None: ...
def set_numbers(values: _Values, array: Any, /) -> None: ...
def get_grads(values: _Values, array: Any, /) -> None: ...
def add_grads(values: _Values, array: Any, /) -> None: ...
def common_type(sequence: Sequence[Any], /) -> type | None: ...
def take_numbers(captured: Nodes, leaves: Sequence[Any], array: Any, /) -> int: ...
def give_result(
    captured: Nodes,
    leaves: Sequence[Any],
    array: Any,
    reached: bytes,
    own: dict[str, Any],
    /,
) -> Value | None: ...
def check() -> str | None: ...
def fail_after(n: int, /) -> None: ...
