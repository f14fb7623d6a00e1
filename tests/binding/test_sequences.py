"""What functions of many nodes take as vectors: lists, arrays, generators of Values and numbers."""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from conftest import collect
from plain import combined, data_of, shape
from reference import DEPTH_FIRST


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda mg: mg.dot([1.0], [1.0, 2.0]), "1 weights for 2 inputs"),
        (lambda mg: mg.linear([[1.0], [1.0]], [1.0], [1.0]), "1 biases for 2 rows"),
        (lambda mg: mg.mse([1.0], [1.0, 2.0]), "1 predictions for 2 targets"),
        (lambda mg: mg.hinge([1.0], []), "1 predictions for 0 targets"),
        (lambda mg: mg.mse([], []), "no predictions"),
        (lambda mg: mg.mean([]), "no values"),
        (lambda mg: mg.softmax([]), "no logits"),
    ],
)
def test_wrong_lengths_are_named(mg: Any, call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call(mg)


@pytest.mark.parametrize("element", ["a", None, 1j, [1.0]], ids=lambda v: type(v).__name__)
@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("dot", lambda mg, v, e: mg.dot([v, v], [1.0, e])),
        ("dot", lambda mg, v, e: mg.dot([v, e], [1.0, 1.0])),
        ("dot", lambda mg, v, e: mg.dot([v], [v], e) if e is not None else mg.dot([e], [v])),
        ("linear", lambda mg, v, e: mg.linear([[v, v]], [e, 1.0])),
        ("total", lambda mg, v, e: mg.total([v, e])),
        ("mean", lambda mg, v, e: mg.mean([e, v])),
        ("softmax", lambda mg, v, e: mg.softmax([v, e])),
        ("cross_entropy", lambda mg, v, e: mg.cross_entropy([v, e], 0)),
        ("mse", lambda mg, v, e: mg.mse([v, v], [1.0, e])),
        ("hinge", lambda mg, v, e: mg.hinge([v, e], [1, -1])),
    ],
)
def test_elements_are_values_and_real_numbers(mg: Any, name: str, call: Any, element: Any) -> None:
    kind = type(element).__name__
    with pytest.raises(TypeError, match=rf"{name}\(\) takes Values and real numbers, not '{kind}'"):
        call(mg, mg.Value(1.0), element)


@pytest.mark.parametrize("alone", [1.0, None], ids=["float", "NoneType"])
@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("weights", lambda mg, v, e: mg.dot(e, [v])),
        ("inputs", lambda mg, v, e: mg.dot([v], e)),
        ("a row of weights", lambda mg, v, e: mg.linear([e], [v])),
        ("biases", lambda mg, v, e: mg.linear([[v]], [v], v)),
        ("values", lambda mg, v, e: mg.total(e)),
        ("logits", lambda mg, v, e: mg.softmax(e)),
        ("logits", lambda mg, v, e: mg.cross_entropy(e, 0)),
        ("logits", lambda mg, v, e: mg.cross_entropy(e, v)),
        ("targets", lambda mg, v, e: mg.mse([v], e)),
        ("scores", lambda mg, v, e: mg.hinge(v, [1])),
        ("inputs", lambda mg, v, e: mg.Neuron(1)(e)),
        ("inputs", lambda mg, v, e: mg.Layer(1, 1)(e)),
    ],
)
def test_what_is_no_list_is_named(mg: Any, name: str, call: Any, alone: Any) -> None:
    with pytest.raises(TypeError, match=rf"^{name} must be a list of Values"):
        call(mg, mg.Value(0.0), alone)


def test_an_array_without_axes_is_no_list(mg: Any) -> None:
    np = pytest.importorskip("numpy")
    for function in (mg.total, mg.Neuron(1), mg.Layer(1, 1), mg.MLP(1, [1])):
        with pytest.raises(TypeError, match="must be a list of Values and real numbers"):
            function(np.array(1.0))


def test_an_error_of_an_iterator_is_its_own(mg: Any) -> None:
    class Numbers:
        def __iter__(self) -> Any:
            raise TypeError("mine")

    for function in (mg.total, mg.Neuron(1), mg.Layer(1, 1)):
        with pytest.raises(TypeError, match=r"^mine$"):
            function(Numbers())


def test_elements_may_be_values_of_another_engine(mg: Any) -> None:
    one = DEPTH_FIRST.Value(0.5)
    for call in (
        lambda v: mg.dot([v], [2.0], v),
        lambda v: mg.total([v, 1.0]),
        lambda v: mg.mse([v], [2.0]),
        lambda v: mg.hinge([v], [1.0]),
    ):
        theirs = call(one)
        assert type(theirs) is DEPTH_FIRST.Value
        assert theirs.data == call(mg.Value(0.5)).data


def test_a_column_is_no_vector(mg: Any) -> None:
    np = pytest.importorskip("numpy")
    v = [mg.Value(1.0), mg.Value(2.0)]
    for function in (mg.dot, mg.mse, mg.hinge):
        with pytest.raises(TypeError, match="not 'ndarray'"):
            function(v, np.ones((2, 1)))


# What is not recorded in one call: by the expression, for the elements' class or an error.
@pytest.mark.parametrize(
    "call",
    [
        lambda mg, one: mg.dot([one], [1.0, 2.0]),
        lambda mg, one: mg.dot([one], [1.0, None]),
        lambda mg, one: mg.linear([[one]], [1.0, 2.0]),
        lambda mg, one: mg.linear([[one]], [1.0], [1.0, 2.0]),
        lambda mg, one: mg.mse([one], [1.0, None]),
        lambda mg, one: mg.mse([], [one]),
        lambda mg, one: mg.mse([one], []),
        lambda mg, one: mg.hinge([one], [1.0, 1.0]),
    ],
)
def test_wrong_lengths_are_an_error_of_any_elements(mg: Any, call: Any) -> None:
    class Own(mg.Value):  # type: ignore[misc,name-defined]
        pass

    for one in (mg.Value(1.0), Own(1.0)):
        with pytest.raises(ValueError, match=" for "):
            call(mg, one)


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (lambda mg, a, b: mg.dot(iter([a, b]), iter([10.0, 100.0])), 320.0),
        (lambda mg, a, b: mg.total(iter([a, b])), 5.0),
        (lambda mg, a, b: mg.mean(iter([a, b])), 2.5),
        (lambda mg, a, b: mg.mse(iter([a, b]), iter([0.0, 0.0])), 6.5),
        (lambda mg, a, b: mg.hinge(iter([a, b]), iter([-1, -1])), 3.5),
        (lambda mg, a, b: mg.linear(iter([iter([a, b])]), iter([1.0, 1.0]), iter([1.0]))[0], 6.0),
        (lambda mg, a, b: mg.softmax(iter([a, b, a, b]))[0] * 0.0, 0.0),
        (lambda mg, a, b: mg.cross_entropy(iter([a, b]), 0) * 0.0, 0.0),
    ],
)
def test_generators_are_read_once(mg: Any, call: Any, expected: float) -> None:
    class Own(mg.Value):  # type: ignore[misc,name-defined]
        pass

    for cls in (mg.Value, Own):
        assert call(mg, cls(2.0), cls(3.0)).data == expected


def test_errors_of_a_generators_elements_are_raised(mg: Any) -> None:
    with pytest.raises(TypeError):
        mg.dot(iter([mg.Value(1.0), None]), [1.0, 2.0])
    with pytest.raises(OverflowError):
        mg.mse(iter([mg.Value(1e200)]), [0.0])


class Unruly(Fraction):
    """A number whose conversion changes the lists that it is in."""

    change: Callable[[], None]

    def __float__(self) -> float:
        self.change()
        return 0.5


@pytest.mark.parametrize("place", ["weight", "input", "bias", "row", "layer", "network"])
def test_converting_a_number_may_change_what_it_is_in(mg: Any, place: str) -> None:
    unruly, others = Unruly(1, 2), []
    xs: list[Any] = [mg.Value(1.0), mg.Value(2.0)]
    rows: list[Any] = [[mg.Value(3.0), mg.Value(4.0)], [mg.Value(5.0), mg.Value(6.0)]]
    biases: list[Any] = [mg.Value(7.0), mg.Value(8.0)]

    def change() -> None:
        for values in (rows[0] if rows else [], xs, rows, biases):
            values.clear()
        collect()
        others.extend(mg.Value(100.0) for _ in range(20))

    unruly.change = change
    if place in ("weight", "row"):
        rows[0][0] = unruly
    elif place == "bias":
        biases[0] = unruly
    else:
        xs[1] = unruly
    found: list[Any] = []
    with contextlib.suppress(ValueError):  # what is left may be of different lengths
        if place in ("weight", "input", "bias"):
            found = [mg.dot(rows[0], xs, biases[0])]
        elif place == "row":
            found = mg.linear(rows, xs, biases)
        elif place == "layer":
            found = mg.Layer(2, 3)(xs)
        else:
            found = [mg.MLP(2, [3, 1])(xs)]
    assert len(others) >= 20
    for out in found:
        assert out.data < 50.0
        assert others[0] not in mg.trace(out)[0]


def kinds_of_numbers() -> list[Any]:
    kinds: list[Any] = [Fraction, Decimal]
    with contextlib.suppress(ImportError):
        np = importlib.import_module("numpy")
        kinds += [np.float64, np.float32, np.int64, np.uint8, np.bool_]
    return kinds


@pytest.mark.parametrize("kind", kinds_of_numbers(), ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("alone", [True, False], ids=["alone", "among Values"])
def test_numbers_of_every_kind_count_as_floats(mg: Any, kind: Any, alone: bool) -> None:
    def ends(number: Callable[[int], Any]) -> Any:
        numbers = [number(1), number(0), 1.0 if alone else mg.Value(0.25), number(1)]
        return [
            mg.dot(numbers, numbers[::-1], number(1)),
            *mg.linear([numbers, numbers[::-1]], numbers, [number(1), 0.5]),
            mg.total(numbers),
            mg.mean(numbers),
            *mg.softmax(numbers),
            mg.cross_entropy(numbers, 1),
            mg.mse(numbers, numbers[::-1]),
            mg.hinge(numbers, numbers[::-1]),
        ]

    found, expected = ends(kind), ends(float)
    assert [shape(out) for out in found] == [shape(out) for out in expected]
    assert {type(out) for out in found} == {mg.Value}


def test_a_list_is_read_as_its_class_wants_it(mg: Any) -> None:
    class Other(list):  # type: ignore[type-arg]
        def __iter__(self) -> Any:
            return iter([1.0, 2.0])

    other = Other([mg.Value(3.0), mg.Value(4.0)])
    assert mg.total(other).data == 3.0
    assert mg.dot(other, other).data == 5.0
    assert mg.linear([other], other)[0].data == 5.0
    for model in (mg.Layer(2, 2), mg.MLP(2, [2])):
        assert data_of(combined(model(other))) == data_of(combined(model([1.0, 2.0])))


@pytest.mark.parametrize("large", [2**53, 2**53 + 1, 10**400])
def test_large_integers_are_summed_as_integers(mg: Any, large: int) -> None:
    assert mg.total([large, -large, mg.Value(1.0)]).data == 1.0
    assert mg.total([large, 1 - large]).data == 1.0
    with pytest.raises(OverflowError):
        mg.total([10**400, mg.Value(1.0)])


def test_complex_numbers_are_a_type_error(mg: Any) -> None:
    for call in (mg.total, mg.mean):
        with pytest.raises(TypeError, match="complex"):
            call([1j, 2.0])


@pytest.mark.parametrize("kind", ["float64", "float32", "int64", "bool"])
def test_rows_of_an_array_are_inputs_of_a_network(mg: Any, kind: str) -> None:
    np = pytest.importorskip("numpy")
    row = np.array([0, 1], dtype=kind)
    for model in (mg.MLP(2, [3, 2]), mg.Layer(2, 3), mg.Neuron(2)):
        expected = model([0.0, 1.0])
        for inputs in (row, list(row)):
            assert shape(combined(model(inputs))) == shape(combined(expected))


def test_inputs_of_a_network_may_come_from_a_generator(mg: Any) -> None:
    for model in (mg.MLP(2, [3, 2]), mg.Layer(2, 3)):
        assert shape(combined(model(iter([0.0, 1.0])))) == shape(combined(model([0.0, 1.0])))


def test_biases_may_be_an_array_where_rows_are_recorded_one_by_one(mg: Any) -> None:
    np = pytest.importorskip("numpy")

    class Own(mg.Value):  # type: ignore[misc,name-defined]
        pass

    found = mg.linear([[Own(1.0)], [2.0]], [1.0], np.ones(2))
    assert [v.data for v in found] == [2.0, 3.0]


@pytest.mark.parametrize("bad", ["a", None, 1j, [1.0]])
def test_an_element_that_is_no_number_is_a_type_error(mg: Any, bad: Any) -> None:
    with pytest.raises(TypeError):
        mg.dot([mg.Value(1.0)], [bad])
