"""Networks of scalar Values: Module, Neuron, Layer, MLP, as in karpathy/micrograd; Embedding.

Everything here is plain Python over `Value`. Weights and biases are drawn with
`random.uniform(-1, 1)`, neuron by neuron, the weights first and then the bias, so that
`random.seed(k)` gives the same network as the classes written by hand in the lecture. Embeddings
are drawn with `random.gauss(0, 1)`, as PyTorch draws them.

A Layer and an MLP return a list, or one Value where they have one output. A type checker does not
know which: `assert isinstance(out, Value)` tells it. Losses take both.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Mapping, Sequence
from operator import methodcaller
from typing import TYPE_CHECKING, Any, Literal, get_args

from ._value_methods import as_count
from .engine import Value, bulk
from .functional import Output, dot, listed, plain_numbers, take

if TYPE_CHECKING:
    from ._state import IncompatibleKeys

__all__ = ["MLP", "Embedding", "Layer", "Module", "Neuron"]

# fmt: off
_Function = Literal[  # the methods of Value that take nothing else
    "tanh", "relu", "sigmoid", "exp", "log", "sin", "cos", "sqrt", "log1p", "expm1", "tan",
    "asin", "acos", "atan", "sinh", "cosh", "asinh", "acosh", "atanh", "erf", "erfc",
    "log2", "log10", "softplus", "gelu", "silu", "lgamma", "digamma", "abs",
]
# fmt: on
Activation = _Function | None

ACTIVATIONS: dict[Activation, Callable[[Any], Any]] = {
    **{name: methodcaller(name) for name in get_args(_Function)},
    "abs": abs,
    None: lambda value: value,
}


OUT = "out"  # the label of a neuron's output


class Module:
    """The base class of everything that has parameters."""

    def parameters(self) -> list[Value]:
        """Return the Values to be trained, in the order they were drawn."""
        return []

    def zero_grad(self) -> None:
        """Set the gradient of every parameter to zero, before the next `backward()`."""
        for p in self.parameters():
            p.grad = 0.0

    def state_dict(self) -> dict[str, Any]:
        """Return the data of all Values of this Module by name, to be saved.

        A name is a path of attributes. Values in a list are one entry, a list of floats, and lists
        of as many Values each are a list of such lists; otherwise places in a list are in the path.

        >>> {name: len(data) for name, data in MLP(2, [1]).state_dict().items() if "w" in name}
        {'layers.0.neurons.0.w': 2}

        All Values count that are no results of operations, parameters or not, in attributes, and
        there in Modules, lists, tuples, dicts, dataclasses and arrays. A Value at two places has
        two names, a Module the shortest one. Raises ValueError if a parameter is at none, or two
        entries have one name.
        """
        from ._state import entries, numbers_of

        return numbers_of(entries(self, Module))

    def load_state_dict(self, state: Mapping[str, Any], strict: bool = True) -> IncompatibleKeys:
        """Set the data of all Values to a state's; optimizers and programs see the change.

        Returns the names that the state lacks, `missing_keys`, and those that only the state has,
        `unexpected_keys`. Raises RuntimeError, as PyTorch does, which lists them if `strict` and
        there are any, and entries of another shape; TypeError if the state is no dict or an entry
        has something else than numbers. After an error nothing has changed.
        """
        from ._state import entries, set_numbers

        return set_numbers(entries(self, Module), state, strict, type(self).__name__)

    def _repr_html_(self) -> str:
        """Return a table of the parts and their parameters, for notebooks."""
        from ._module_table import module_table

        return module_table(self, Module)


class Neuron(Module):
    """A weighted sum of the inputs and a bias, through an activation.

    >>> neuron = Neuron(2, activation='relu')
    >>> neuron
    Neuron(2, activation='relu')
    >>> [p.label for p in neuron.parameters()]
    ['w0', 'w1', 'b']
    """

    def __init__(self, nin: int, activation: Activation = "tanh") -> None:
        """Draw `nin` weights and a bias from `random.uniform(-1, 1)`.

        `activation` names a method of Value that takes nothing else: 'tanh', 'relu', 'sigmoid',
        'softplus', 'gelu', 'silu', 'exp', 'abs', ...; None leaves the sum as it is, for a linear
        neuron.
        Raises ValueError for another name or `nin` below 1, TypeError if `nin` is not an integer.
        """
        nin = as_count("nin", nin)
        check_activation(activation)
        self.w: list[Value] = [Value(random.uniform(-1, 1), label=f"w{i}") for i in range(nin)]
        self.b: Value = Value(random.uniform(-1, 1), label="b")
        self.activation = activation

    def __call__(self, x: Collection[Value | float]) -> Value:
        """Return activation(b + w0*x0 + w1*x1 + ...) for `nin` Values or numbers.

        Raises ValueError if there are more or fewer inputs than weights, TypeError for an input of
        another type, and what the activation raises (a logarithm's ValueError, say).
        """
        x = listed(x, "inputs")
        if len(x) != len(self.w):
            raise ValueError(f"{self!r} takes {len(self.w)} inputs, got {len(x)}")
        total = dot(self.w, x, self.b)
        out: Value = ACTIVATIONS[self.activation](total)
        out.label = OUT
        return out

    def parameters(self) -> list[Value]:
        """Return the weights, then the bias."""
        return [*self.w, self.b]

    def __repr__(self) -> str:
        return f"Neuron({len(self.w)}, activation={self.activation!r})"


class Layer(Module):
    """Neurons that read the same inputs.

    >>> Layer(3, 4)
    Layer(3, 4, activation='tanh')
    """

    def __init__(self, nin: int, nout: int, activation: Activation = "tanh") -> None:
        """Draw `nout` neurons of `nin` inputs. Raises as Neuron does, for both sizes."""
        self.neurons: list[Neuron] = [
            Neuron(nin, activation) for _ in range(as_count("nout", nout))
        ]

    def __call__(self, x: Collection[Value | float]) -> Output:
        """Return a list of `nout` Values for `nin` inputs; if `nout` is 1, the Value itself.

        Raises as Neuron does.
        """
        out: Any = bulk.layer(self.neurons, x)
        if out is NotImplemented:  # x is no list, such as an array, or not in one call
            x = plain_numbers(listed(x, "inputs"), repr(self), ": one example at a time")
            out = bulk.layer(self.neurons, x)
        if out is NotImplemented:
            out = [neuron(x) for neuron in self.neurons]
        return out[0] if len(out) == 1 else out  # type: ignore[no-any-return]

    def parameters(self) -> list[Value]:
        """Return the parameters of the first neuron, then of the second, and so on."""
        return [p for neuron in self.neurons for p in neuron.parameters()]

    def __repr__(self) -> str:
        first = self.neurons[0]
        return f"Layer({len(first.w)}, {len(self.neurons)}, activation={first.activation!r})"


class MLP(Module):
    """A multi-layer perceptron: each layer reads the outputs of the one before it.

    >>> model = MLP(3, [4, 4, 1])
    >>> model
    MLP(3, [4, 4, 1], activation='tanh')
    >>> len(model.parameters())
    41
    >>> MLP(2, [16, 1], activation=['relu', None])
    MLP(2, [16, 1], activation=['relu', None])
    """

    def __init__(
        self,
        nin: int,
        nouts: Sequence[int],
        activation: Activation | Sequence[Activation] = "tanh",
    ) -> None:
        """Draw a layer for each size in `nouts`, the first of `nin` inputs.

        `activation` is one name for all layers, or a list with a name for each layer.
        Raises ValueError if that list and `nouts` differ in length or `nouts` is empty, TypeError
        if `nouts` is no iterable, and as Neuron does for a bad size or name.
        """
        if not hasattr(type(nouts), "__iter__"):
            kind = type(nouts).__name__
            raise TypeError(f"nouts must be a list of sizes, one for each layer, not {kind}")
        sizes = [as_count("nin", nin), *(as_count("each of nouts", nout) for nout in nouts)]
        depth = len(sizes) - 1
        if depth == 0:
            raise ValueError("nouts is empty: an MLP has at least one layer")
        names: Any = activation if isinstance(activation, (list, tuple)) else [activation] * depth
        if len(names) != depth:
            raise ValueError(f"{len(names)} activations for {depth} layers")
        for name in names:
            check_activation(name)
        self.layers: list[Layer] = [Layer(*shape) for shape in zip(sizes, sizes[1:], names)]

    def __call__(self, x: Collection[Value | float]) -> Output:
        """Return the last layer's outputs, `nouts[-1]` Values in a list; if 1, the Value itself.

        Raises ValueError if `x` does not have `nin` elements, TypeError if an element is neither a
        Value nor a number: an MLP takes one example at a time.
        """
        out: Any = bulk.network(self.layers, x)
        if out is NotImplemented and hasattr(type(x), "__array__"):
            x = listed(x, "inputs")
            out = bulk.network(self.layers, x)
        if out is NotImplemented:  # not in one call
            out = x
            for layer in self.layers:
                out = layer([out] if isinstance(out, Value) else out)
        return out  # type: ignore[no-any-return]

    def parameters(self) -> list[Value]:
        """Return the parameters of the first layer, then of the second, and so on."""
        found: Any = bulk.parameters(self.layers)
        if found is NotImplemented:  # not in one call
            found = [p for layer in self.layers for p in layer.parameters()]
        return found  # type: ignore[no-any-return]

    def __repr__(self) -> str:
        nin = len(self.layers[0].neurons[0].w)
        nouts = [len(layer.neurons) for layer in self.layers]
        names = [layer.neurons[0].activation for layer in self.layers]
        same = len(set(names)) == 1
        return f"MLP({nin}, {nouts}, activation={names[0] if same else names!r})"


class Embedding(Module):
    """A table of rows of numbers: a row, to be learned, for each of `count` things.

    >>> embedding = Embedding(27, 16)
    >>> embedding
    Embedding(27, 16)
    >>> len(embedding(3)), len(embedding.parameters())
    (16, 432)
    >>> [p.label for p in Embedding(2, 2).parameters()]
    ['e0', 'e1', 'e0', 'e1']

    Attributes:
        rows: the table, `count` lists of `size` Values.
    """

    def __init__(self, count: int, size: int) -> None:
        """Draw `count` rows of `size` numbers from `random.gauss(0, 1)`, row by row.

        Raises ValueError for a count or size below 1, TypeError if one is not an integer.
        """
        count, size = as_count("count", count), as_count("size", size)
        self.rows: list[list[Value]] = [
            [Value(random.gauss(0.0, 1.0), label=f"e{i}") for i in range(size)]
            for _ in range(count)
        ]

    def __call__(self, index: Value | float) -> list[Value]:
        """Return the row at a place, a list of `size` Values.

        In a compiled function the place may be an argument. Raises as `take` does: IndexError for
        a place below 0 or not below `count`, ValueError for a number that is no integer.
        """
        row: list[Value] = take(self.rows, index)
        return row

    def parameters(self) -> list[Value]:
        """Return the Values of the first row, then of the second, and so on."""
        return [p for row in self.rows for p in row]

    def __repr__(self) -> str:
        return f"Embedding({len(self.rows)}, {len(self.rows[0])})"


# bulk.layer(), bulk.network() and bulk.parameters() do the work of these classes as they are
# written above. If a program puts another method in the place of one, that method is called
# instead. The attributes are named in the order in which they are set. The label of outputs is
# named here, early, so that it is one of the few labels that cost nothing.
bulk.describe_network(Layer, ("neurons",), Neuron, ("w", "b", "activation"), OUT)


def check_activation(name: Activation) -> None:
    """Raise ValueError, with the names there are, if `name` is not an activation."""
    if name not in ACTIVATIONS:
        choices = ", ".join(map(repr, ACTIVATIONS))
        raise ValueError(f"unknown activation {name!r}: choose from {choices}")
