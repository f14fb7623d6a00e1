"""The functions that record many nodes in one call record what the plain expressions record."""

from __future__ import annotations

import gc
import random
import sys
import weakref
from collections.abc import Callable
from typing import Any

import pytest
from conftest import collect
from hypothesis import given
from hypothesis import strategies as st
from plain import (
    combined,
    plain_cross_entropy,
    plain_dot,
    plain_hinge,
    plain_log_softmax,
    plain_logistic,
    plain_logsumexp,
    plain_mse,
    plain_softmax,
    shape,
)


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


@pytest.mark.long
@given(pair=rows(1))
def test_total_records_the_nodes_of_sum(mg: Any, pair: Any) -> None:
    pair[0][0] = (1.0,)
    same_graph(mg, mg.total, sum, *pair)


def test_total_of_a_generator_is_that_of_its_list(mg: Any) -> None:
    own = type("Own", (mg.Value,), {})
    for cls in (mg.Value, own, float):
        assert mg.total(cls(x) for x in (1.0, 2.0, 3.0)).data == 6.0


@pytest.mark.long
@given(pair=rows(1))
def test_mean_records_the_nodes_of_the_sum_divided(mg: Any, pair: Any) -> None:
    pair[0][0] = (1.0,)
    same_graph(mg, mg.mean, lambda xs: sum(xs) / len(xs), *pair)


@pytest.mark.long
@given(logits=st.lists(values, min_size=1, max_size=70))
def test_softmax_records_the_nodes_of_the_plain_expression(mg: Any, logits: Any) -> None:
    same_graph(mg, mg.softmax, plain_softmax, logits)


@pytest.mark.long
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


@pytest.mark.long
@given(logits=st.lists(values, min_size=1, max_size=70))
def test_log_softmax_records_the_nodes_of_the_plain_expression(mg: Any, logits: Any) -> None:
    same_graph(mg, mg.log_softmax, plain_log_softmax, logits)


@pytest.mark.long
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


def leaves(root: Any) -> list[Any]:
    if not root._children:
        return [root]
    return [leaf for child in root._prev for leaf in leaves(child)]


@pytest.mark.parametrize("name", CALLS)
def test_state_of_an_operand_lives_as_long_as_the_graph(mg: Any, name: str) -> None:
    v = mg.Value(0.5)
    v.note = "kept"
    result = CALLS[name](mg, v)
    del v
    found = [node for node in leaves(result) if getattr(node, "note", "") == "kept"]
    assert found


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
