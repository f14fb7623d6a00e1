"""The functions that record many nodes in one call record what the plain expressions record."""

from __future__ import annotations

import contextlib
import gc
import importlib
import math
import random
import sys
import weakref
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import Any

import mpmath
import pytest
from conftest import collect
from hypothesis import given
from hypothesis import strategies as st
from reference import DEPTH_FIRST

# ---- the plain expressions, as the docstrings give them ----


def plain_dot(ws: list[Any], xs: list[Any], bias: Any = 0) -> Any:
    return sum((w * x for w, x in zip(ws, xs)), bias)


def exponentials(logits: list[Any]) -> tuple[list[Any], list[Any], float]:
    top = max(data_of(v) for v in logits)
    pairs = [(shifted := v - top, shifted.exp()) for v in logits]
    return [shifted for shifted, _ in pairs], [e for _, e in pairs], top


def plain_softmax(logits: list[Any]) -> list[Any]:
    _, exps, _ = exponentials(logits)
    total = sum(exps)
    return [e / total for e in exps]


def plain_log_softmax(logits: list[Any]) -> list[Any]:
    shifted, exps, _ = exponentials(logits)
    offset = -sum(exps).log()
    return [v + offset for v in shifted]


def plain_logsumexp(logits: list[Any]) -> Any:
    _, exps, top = exponentials(logits)
    return sum(exps).log() + top


def plain_cross_entropy(logits: list[Any], target: int) -> Any:
    shifted, exps, _ = exponentials(logits)
    return sum(exps).log() - shifted[target]


def plain_logistic(maximum: Any, logits: list[Any], targets: list[Any]) -> Any:
    losses = []
    for z, t in zip(logits, targets):
        rest = (1 + (-abs(z)).exp()).log()
        losses.append(maximum(z, 0) + -t * z + rest)
    return sum(losses) / len(losses)


def plain_mse(predictions: list[Any], targets: list[Any]) -> Any:
    return sum((p - t) ** 2 for p, t in zip(predictions, targets)) / len(targets)


def plain_hinge(scores: list[Any], targets: list[Any]) -> Any:
    return sum((1 + -t * s).relu() for s, t in zip(scores, targets)) / len(targets)


def data_of(v: Any) -> float:
    return v if isinstance(v, (int, float)) else v.data


def shape(root: Any) -> Any:
    """The graph below a Value: operators, data and gradients to the last bit, in order."""
    seen: dict[Any, int] = {}
    rows = []

    def visit(v: Any) -> int:
        if v not in seen:
            children = [visit(child) for child in v._children]
            seen[v] = len(seen)
            rows.append((v._op, v.data.hex(), v.grad.hex(), v.label, children))
        return seen[v]

    visit(root)
    return rows


def combined(outputs: Any) -> Any:
    """One Value that depends on all outputs."""
    if not isinstance(outputs, list):
        return outputs
    return sum(output * (i + 2) for i, output in enumerate(outputs))


def same_graph(mg: Any, fast: Callable[..., Any], plain: Callable[..., Any], *lists: Any) -> None:
    """Both expressions over fresh Values give the same graph and the same gradients."""
    graphs = []
    for function in (fast, plain):
        made = [
            [mg.Value(x[0]) if isinstance(x, tuple) else x for x in part]
            if isinstance(part, list)
            else part
            for part in lists
        ]
        root = combined(function(*made))
        root.backward()
        graphs.append(shape(root))
    assert graphs[0] == graphs[1]


# A one-element tuple stands for a Value of that number.
numbers = st.one_of(st.integers(-5, 5), st.floats(-5, 5), st.just(-0.0))
values = st.floats(-5, 5).map(lambda x: (x,))
elements = st.one_of(values, values, numbers)


def rows(count: int) -> st.SearchStrategy[list[Any]]:
    """Lists of equal length, of few elements each: to draw every place takes six times as long."""

    def fill(length: int, pool: list[Any], seed: int) -> list[Any]:
        choose = random.Random(seed)
        return [choose.choices(pool, k=length) for _ in range(count)]

    pools = st.lists(elements, min_size=1, max_size=12)
    return st.builds(fill, st.integers(1, 70), pools, st.integers(0, 2**32))


@pytest.mark.long
@given(pair=rows(2), bias=st.one_of(st.none(), elements))
def test_dot_records_the_nodes_of_the_plain_sum_of_products(mg: Any, pair: Any, bias: Any) -> None:
    pair[0][0] = (1.5,)

    def fast(ws: Any, xs: Any, more: Any) -> Any:
        return mg.dot(ws, xs, *more)

    def plain(ws: Any, xs: Any, more: Any) -> Any:
        return plain_dot(ws, xs, *more)

    same_graph(mg, fast, plain, *pair, [] if bias is None else [bias])


@pytest.mark.long
@given(pair=rows(3))
def test_linear_records_a_dot_for_each_row(mg: Any, pair: Any) -> None:
    pair[0][0] = pair[1][0] = (0.5,)
    same_graph(
        mg,
        lambda a, b, xs: mg.linear([a, b], xs, [a[0], 3.0]),
        lambda a, b, xs: [plain_dot(a, xs, a[0]), plain_dot(b, xs, 3.0)],
        *pair,
    )


@given(pair=rows(1))
def test_total_records_the_nodes_of_sum(mg: Any, pair: Any) -> None:
    pair[0][0] = (1.0,)
    same_graph(mg, mg.total, sum, *pair)


def test_total_of_a_generator_is_that_of_its_list(mg: Any) -> None:
    own = type("Own", (mg.Value,), {})
    for cls in (mg.Value, own, float):
        assert mg.total(cls(x) for x in (1.0, 2.0, 3.0)).data == 6.0


@given(pair=rows(1))
def test_mean_records_the_nodes_of_the_sum_divided(mg: Any, pair: Any) -> None:
    pair[0][0] = (1.0,)
    same_graph(mg, mg.mean, lambda xs: sum(xs) / len(xs), *pair)


@given(logits=st.lists(values, min_size=1, max_size=70))
def test_softmax_records_the_nodes_of_the_plain_expression(mg: Any, logits: Any) -> None:
    same_graph(mg, mg.softmax, plain_softmax, logits)


@given(logits=st.lists(values, min_size=1, max_size=70), target=st.integers(0, 10**6))
def test_cross_entropy_records_the_nodes_of_the_plain_expression(
    mg: Any, logits: Any, target: int
) -> None:
    place = target % len(logits)
    same_graph(
        mg,
        lambda vs: mg.cross_entropy(vs, place),
        lambda vs: plain_cross_entropy(vs, place),
        logits,
    )


@given(logits=st.lists(values, min_size=1, max_size=70))
def test_log_softmax_records_the_nodes_of_the_plain_expression(mg: Any, logits: Any) -> None:
    same_graph(mg, mg.log_softmax, plain_log_softmax, logits)


@given(logits=st.lists(values, min_size=1, max_size=70))
def test_logsumexp_records_the_nodes_of_the_plain_expression(mg: Any, logits: Any) -> None:
    same_graph(mg, mg.logsumexp, plain_logsumexp, logits)


@pytest.mark.long
@given(pair=rows(2))
def test_logistic_loss_records_the_nodes_of_the_plain_expression(mg: Any, pair: Any) -> None:
    pair[0] = [x if isinstance(x, tuple) else (float(x),) for x in pair[0]]
    same_graph(
        mg,
        mg.binary_cross_entropy_with_logits,
        lambda zs, ts: plain_logistic(mg.maximum, zs, ts),
        *pair,
    )


@pytest.mark.long
@given(pair=rows(2))
def test_mse_records_the_nodes_of_the_plain_expression(mg: Any, pair: Any) -> None:
    pair[0] = [x if isinstance(x, tuple) else (float(x),) for x in pair[0]]
    same_graph(mg, mg.mse, plain_mse, *pair)


@pytest.mark.long
@given(pair=rows(2))
def test_hinge_records_the_nodes_of_the_plain_expression(mg: Any, pair: Any) -> None:
    pair[0] = [x if isinstance(x, tuple) else (float(x),) for x in pair[0]]
    same_graph(mg, mg.hinge, plain_hinge, *pair)


@pytest.mark.parametrize("activation", ["tanh", "relu", None])
def test_layer_records_what_its_neurons_record_one_by_one(mg: Any, activation: Any) -> None:
    layer = mg.Layer(3, 4, activation)
    roots = []
    for call in (layer, lambda x: [neuron(x) for neuron in layer.neurons]):
        layer.zero_grad()
        root = combined(call([1.0, mg.Value(2.0), -1]))
        root.backward()
        roots.append(shape(root))
    assert roots[0] == roots[1]


def test_layer_calls_neurons_of_another_class(mg: Any) -> None:
    class Constant(mg.Neuron):
        def __call__(self, x: Any) -> Any:
            return mg.Value(7.0)

    layer = mg.Layer(2, 2)
    layer.neurons[1] = Constant(2)
    assert layer([1.0, 2.0])[1].data == 7.0


def test_numbers_alone_make_a_leaf(mg: Any) -> None:
    result = mg.dot([1.0, 2.0], [3.0, 4.0], 5)
    assert (type(result), result.data, result._children) == (mg.Value, 16.0, ())


def test_dot_of_nothing_is_its_bias(mg: Any) -> None:
    bias = mg.Value(2.0)
    assert mg.dot([], [], bias) is bias


CALLS = {
    "dot": lambda mg, v: mg.dot([v, v], [v, 2.0], v),
    "linear": lambda mg, v: combined(mg.linear([[v, 1.0], [2.0, v]], [v, v], [v, 0.5])),
    "total": lambda mg, v: mg.total([v, v, 1]),
    "mean": lambda mg, v: mg.mean([v, v, 1]),
    "softmax": lambda mg, v: combined(mg.softmax([v, v * 2, 1.0])),
    "cross_entropy": lambda mg, v: mg.cross_entropy([v, v * 2, 1.0], 1),
    "mse": lambda mg, v: mg.mse([v, v], [1.0, v]),
    "hinge": lambda mg, v: mg.hinge([v, v], [1.0, -1]),
}


@pytest.mark.parametrize("name", ["dot", "linear", "total", "mean", "softmax", "mse", "hinge"])
def test_results_within_no_grad_are_leaves_that_hold_nothing(mg: Any, name: str) -> None:
    calls = {**CALLS, "linear": lambda mg, v: mg.linear([[v, v]] * 2, [v, 1.0])[1]}
    calls["softmax"] = lambda mg, v: mg.softmax([v, v, 1.0])[0]
    expected = calls[name](mg, mg.Value(0.5)).data
    for state in ({}, {"note": "state"}):
        v = mg.Value(0.5)
        vars(v).update(state)
        with mg.no_grad():
            result = calls[name](mg, v)
        assert not result._prev and result.data == expected
        alive = weakref.ref(v)
        del v
        collect()
        assert alive() is None


def test_rows_within_no_grad_are_not_evaluated_operator_by_operator(mg: Any) -> None:
    rows, xs = [[mg.Value(0.5) for _ in range(50)] for _ in range(2)], [1.0] * 50

    def calls() -> int:
        events: list[str] = []
        gc.collect()
        gc.disable()  # a collection calls, too
        sys.setprofile(lambda frame, event, arg: events.append(event))
        try:
            mg.linear(rows, xs)
        finally:
            sys.setprofile(None)
            gc.enable()
        return len(events)

    recording = calls()
    with mg.no_grad():
        assert calls() < recording + 50


@pytest.mark.parametrize("name", CALLS)
def test_operators_of_a_subclass_are_called(mg: Any, name: str) -> None:
    called = []

    class Loud(mg.Value):
        def __mul__(self, other: Any) -> Any:
            called.append("*")
            return super().__mul__(other)

        def __add__(self, other: Any) -> Any:
            called.append("+")
            return super().__add__(other)

    CALLS[name](mg, Loud(0.5))
    assert called


@pytest.mark.parametrize("name", CALLS)
def test_without_grad_the_result_is_a_leaf(mg: Any, name: str) -> None:
    with mg.no_grad():
        result = CALLS[name](mg, mg.Value(0.5))
    assert result._children == ()


@pytest.mark.parametrize("name", CALLS)
def test_state_of_an_operand_lives_as_long_as_the_graph(mg: Any, name: str) -> None:
    v = mg.Value(0.5)
    v.note = "kept"
    result = CALLS[name](mg, v)
    del v
    found = [node for node in leaves(result) if getattr(node, "note", "") == "kept"]
    assert found


def leaves(root: Any) -> list[Any]:
    if not root._children:
        return [root]
    return [leaf for child in root._prev for leaf in leaves(child)]


@pytest.mark.parametrize("name", CALLS)
def test_without_memory_nothing_is_recorded(mg: Any, name: str) -> None:
    collect()
    v = mg.Value(0.5)
    before = mg.engine.statistics()[:2]
    for n in range(1, 6):
        mg.engine.trim()
        mg.engine.fail_after(n)
        try:
            result = CALLS[name](mg, v)
        except MemoryError:
            result = None
        finally:
            mg.engine.fail_after(0)
        del result
        if mg.engine.statistics()[:2] != before:
            collect()
        assert mg.engine.statistics()[:2] == before


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


@pytest.mark.parametrize("target", [3, -4])
def test_a_target_that_is_not_there_is_an_index_error(mg: Any, target: int) -> None:
    with pytest.raises(IndexError):
        mg.cross_entropy([1.0, 2.0, mg.Value(3.0)], target)


def test_a_negative_target_counts_from_the_end(mg: Any) -> None:
    logits = [mg.Value(1.0), mg.Value(2.0)]
    assert mg.cross_entropy(logits, -1).data == mg.cross_entropy(logits, 1).data


@pytest.mark.parametrize("bad", ["a", None, 1j, [1.0]])
def test_an_element_that_is_no_number_is_a_type_error(mg: Any, bad: Any) -> None:
    with pytest.raises(TypeError):
        mg.dot([mg.Value(1.0)], [bad])


@pytest.mark.parametrize("gap", [1e-9, 1.0, 30.0, 740.0, 800.0, 1e300])
def test_losses_are_stable_for_all_finite_logits(mg: Any, gap: float) -> None:
    logits = [mg.Value(0.0), mg.Value(gap)]
    loss = mg.cross_entropy(logits, 0)
    loss.backward()
    expected = gap + math.log1p(math.exp(-gap))
    share = 1 / (1 + math.exp(-gap))
    assert loss.data == pytest.approx(expected, rel=1e-15)
    assert [v.grad for v in logits] == pytest.approx([-share, share], abs=1e-15)
    assert mg.logsumexp(logits).data == pytest.approx(expected, rel=1e-15)
    assert mg.log_softmax(logits)[0].data == pytest.approx(-expected, rel=1e-15)
    z = mg.Value(-gap)
    loss = mg.binary_cross_entropy_with_logits([z], [1])
    loss.backward()
    assert (loss.data, z.grad) == (pytest.approx(expected, rel=1e-15), pytest.approx(-share))


finite_logits = st.one_of(
    st.floats(-50, 50), st.floats(-1000, 1000), st.sampled_from([0.0, 1e-300, 740.0, -745.0])
)


@given(logits=st.lists(finite_logits, min_size=1, max_size=6), target=st.integers(0, 5))
def test_gradients_of_losses_are_those_of_fifty_digits(
    mg: Any, logits: list[float], target: int
) -> None:
    target %= len(logits)
    with mpmath.workdps(50):
        exps = [mpmath.exp(v) for v in logits]
        shares = [e / mpmath.fsum(exps) for e in exps]

    def gradient(loss: Any) -> Any:
        leaves = [mg.Value(v) for v in logits]
        out = loss(leaves)
        out.backward()
        return out.data, [v.grad for v in leaves]

    def near(found: Any, expected: Any) -> bool:
        value, grads = found
        sums = max(1, abs(expected[0]))
        return abs(value - expected[0]) <= 1e-15 * sums and all(
            abs(g - e) <= 1e-15 for g, e in zip(grads, expected[1])
        )

    with mpmath.workdps(50):
        everything = mpmath.log(mpmath.fsum(exps))
        hit = [p - (i == target) for i, p in enumerate(shares)]
        logits_mp = [mpmath.mpf(v) for v in logits]
        assert near(gradient(mg.logsumexp), (everything, shares))
        assert near(
            gradient(lambda vs: mg.cross_entropy(vs, target)),
            (everything - logits_mp[target], hit),
        )
        assert near(
            gradient(lambda vs: mg.log_softmax(vs)[target]),
            (logits_mp[target] - everything, [-g for g in hit]),
        )


@given(z=finite_logits, t=st.sampled_from([0, 1, 0.25]))
def test_the_gradient_of_the_logistic_loss_is_that_of_fifty_digits(
    mg: Any, z: float, t: float
) -> None:
    v = mg.Value(z)
    loss = mg.binary_cross_entropy_with_logits([v], [t])
    loss.backward()
    with mpmath.workdps(50):
        slope = 1 / (1 + mpmath.exp(-mpmath.mpf(z))) - t
        if t == 1:
            slope = -1 / (1 + mpmath.exp(mpmath.mpf(z)))  # the same, without cancellation
        value = mpmath.log1p(mpmath.exp(mpmath.mpf(z))) - t * mpmath.mpf(z)
        margin = abs(slope) if t in (0, 1) else 1
        assert abs(v.grad - slope) <= 1e-15 * margin + 5e-324
        assert abs(loss.data - value) <= 1e-15 * max(1, abs(value))


def test_losses_of_a_program_are_those_of_each_row(mg: Any) -> None:
    np = pytest.importorskip("numpy")
    rows = np.array([[0.0, 800.0, 1.0], [3.0, -2.0, 0.5], [-1e3, 0.0, 1e3]])
    for loss in (
        mg.logsumexp,
        lambda x: mg.cross_entropy(x, 0),
        lambda x: mg.log_softmax(x)[1],
        lambda x: mg.binary_cross_entropy_with_logits(x, [0, 1, 1]),
    ):
        program = mg.compile(loss, rows[0])
        for row, value, gradient in zip(rows, program(rows), program.gradient(rows)):
            leaves = [mg.Value(float(x)) for x in row]
            out = loss(leaves)
            out.backward()
            assert value == pytest.approx(out.data, rel=1e-14)
            assert gradient.tolist() == pytest.approx([v.grad for v in leaves], abs=1e-15)


def test_a_target_that_is_a_value_is_told_to_be_an_int(mg: Any) -> None:
    with pytest.raises(TypeError, match="target is an int"):
        mg.cross_entropy([mg.Value(1.0), mg.Value(2.0)], mg.Value(1.0))


def test_softmax_of_large_logits_does_not_overflow(mg: Any) -> None:
    shares = mg.softmax([mg.Value(1000.0), mg.Value(1000.0)])
    assert math.fsum(share.data for share in shares) == 1.0
