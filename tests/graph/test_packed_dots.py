"""A dot product is recorded packed; whoever looks at it, and whenever, finds its nodes."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from functools import partial
from itertools import product
from typing import Any

import pytest
from conftest import SLOW, balanced, collect, live
from hypothesis import given
from hypothesis import strategies as st
from plain import plain_dot, shape

# ---- what can happen to a graph between its recording and a look at it ----


def backward(v: dict[str, Any]) -> None:
    v["root"].backward()


def backward_of_a_part(v: dict[str, Any]) -> None:
    v["inner"].backward()


def update(v: dict[str, Any]) -> None:
    for i, leaf in enumerate(v["pool"]):
        leaf.data += 0.25 * (i + 1)


def clear(v: dict[str, Any]) -> None:
    for leaf in [*v["pool"], v["inner"], v["root"]]:
        leaf.grad = 0.0


def give_gradient(v: dict[str, Any]) -> None:
    v["inner"].grad = -0.0
    v["pool"][0].grad = 0.75


def look_at_the_last_node(v: dict[str, Any]) -> None:
    v["looks"].append([v["root"]._op, [child.data for child in v["root"]._children]])


def look_at_everything(v: dict[str, Any]) -> None:
    v["looks"].append(shape(v["root"]))


def push_by_hand(v: dict[str, Any]) -> None:
    v["inner"]._backward()


def partials(v: dict[str, Any]) -> None:
    v["looks"].append([v["inner"]._local_grads, v["root"]._local_grads])


def use(v: dict[str, Any]) -> None:
    v["root"] = (v["root"] * v["inner"]).tanh()


def keep_state(v: dict[str, Any]) -> None:
    v["pool"][0].label = "a parameter"
    v["pool"][1].note = "anything"
    v["inner"].label = "inner"


def close_over(v: dict[str, Any]) -> None:
    """A cycle through the graph, of which the collector is to see all."""
    v["pool"][0].around = v["root"]
    collect()


def deep_copy(v: dict[str, Any]) -> None:
    looks = v.pop("looks")
    v.update(copy.deepcopy(v), looks=looks)


def save_and_load(v: dict[str, Any]) -> None:
    looks = v.pop("looks")
    v.update(pickle.loads(pickle.dumps(v)), looks=looks)


def push_twice(value: Any) -> None:
    for child in value._children:
        child.grad += 2 * value.grad


def compute_backward_elsewhere(v: dict[str, Any]) -> None:
    v["inner"]._backward = partial(push_twice, v["inner"])


def forget_the_part(v: dict[str, Any]) -> None:
    v["inner"] = v["root"]


EVENTS = [
    backward,
    backward,
    backward_of_a_part,
    update,
    clear,
    give_gradient,
    look_at_the_last_node,
    look_at_everything,
    push_by_hand,
    partials,
    use,
    keep_state,
    close_over,
    deep_copy,
    save_and_load,
    compute_backward_elsewhere,
    forget_the_part,
]


def live_through(
    mg: Any,
    dot: Callable[..., Any],
    ws: list[int],
    xs: list[int | float],
    start: int | None,
    events: list[Callable[[dict[str, Any]], None]],
) -> Any:
    """Two dot products, one over the other, and what happens to them; what was seen on the way.

    Operands are given as indices into a few Values, the same ones now and then, or as numbers.
    """
    pool = [mg.Value(0.5 * i - 1.25) for i in range(5)]
    left = [pool[i] for i in ws]
    right = [pool[i] if isinstance(i, int) else i for i in xs]
    more = [] if start is None else [pool[start]]
    inner = dot(left, right, *more)
    root = dot([inner, *left], [pool[0], *([inner] * len(left))], *more)
    v = {"pool": pool, "inner": inner, "root": root, "looks": []}
    for event in events:
        event(v)
    return [v["looks"], shape(v["root"]), shape(v["inner"]), [p.grad.hex() for p in v["pool"]]]


indices = st.integers(0, 4)


@pytest.mark.long
@given(
    ws=st.lists(indices, min_size=1, max_size=6),
    xs=st.one_of(
        st.lists(indices, min_size=6, max_size=6),
        st.lists(st.floats(-3, 3), min_size=6, max_size=6),
        st.lists(st.one_of(indices, st.floats(-3, 3)), min_size=6, max_size=6),
    ),
    start=st.one_of(st.none(), indices),
    events=st.lists(st.sampled_from(EVENTS), max_size=6),
)
def test_what_happens_to_a_dot_product_happens_to_its_nodes(
    mg: Any, ws: Any, xs: Any, start: Any, events: Any
) -> None:
    with balanced(mg):
        found = live_through(mg, mg.dot, ws, xs[: len(ws)], start, events)
        expected = live_through(mg, plain_dot, ws, xs[: len(ws)], start, events)
        assert found == expected


@pytest.mark.long
@pytest.mark.parametrize("xs", [[3, 0, 2], [0.5, -0.0, 2.0], [1, 3, 0.5]], ids=str)
def test_events_in_every_order(mg: Any, xs: Any) -> None:
    orders = product(EVENTS[1:], repeat=1 if SLOW else 2)
    for events in orders:
        found = live_through(mg, mg.dot, [1, 2, 1], xs, 1, [*events, backward])
        assert found == live_through(mg, plain_dot, [1, 2, 1], xs, 1, [*events, backward]), events


# ---- as many nodes as there are ----


@pytest.mark.long
@pytest.mark.parametrize("numbers", [False, True], ids=["values", "numbers"])
def test_dot_product_of_many_pages_is_that_of_the_plain_sum(mg: Any, numbers: bool) -> None:
    def graph(dot: Any) -> Any:
        ws = [mg.Value(0.001 * i) for i in range(3000)]
        xs = [mg.Value(1 - 0.002 * i) for i in range(3000)]
        return dot(ws, [x.data for x in xs] if numbers else xs, mg.Value(0.5))

    found, expected = graph(mg.dot), graph(plain_dot)
    for root in (found, expected):
        root.backward()
    while expected._children:
        assert found.data.hex() == expected.data.hex()
        products = [found._children[1], expected._children[1]]
        assert products[0]._op == "*"
        assert [v.data.hex() for v in products[0]._children] == [
            v.data.hex() for v in products[1]._children
        ]
        assert [v.grad.hex() for v in products[0]._children] == [
            v.grad.hex() for v in products[1]._children
        ]
        found, expected = found._children[0], expected._children[0]
    assert not found._children


@pytest.mark.parametrize("looked", [False, True])
@pytest.mark.parametrize("swept", [False, True])
def test_packed_nodes_are_counted_and_freed_like_any(mg: Any, looked: bool, swept: bool) -> None:
    ws = [mg.Value(float(i)) for i in range(40)]
    with balanced(mg):
        before = live(mg)
        out = mg.dot(ws, ws[::-1], ws[0])
        scaled = mg.dot(ws, [0.5] * 40, out)
        assert live(mg)[0] - before[0] == 40 * 2 + 40 * 3
        if swept:
            scaled.backward()
        if looked:
            del out
            assert len(shape(scaled)) == 40 + 40 * 2 + 40 * 3
        assert live(mg)[0] - before[0] == 40 * 2 + 40 * 3
        out = scaled = None


@pytest.mark.parametrize("width", [55, 100, 784, 3000])
def test_dot_products_cut_at_the_ends_of_pages_are_counted_and_freed(mg: Any, width: int) -> None:
    ws = [mg.Value(float(i)) for i in range(width)]
    with balanced(mg):
        before = live(mg)
        outs = [mg.dot(ws, [0.5] * width, ws[0]) for _ in range(7)]
        assert live(mg)[0] - before[0] == 7 * 3 * width
        outs += [mg.dot(ws, ws[::-1], ws[0]) for _ in range(7)]
        assert live(mg)[0] - before[0] == 7 * 5 * width
        del outs[::2]
        assert live(mg)[0] - before[0] == (3 * 3 + 4 * 2) * width
        del outs


def test_pages_that_held_leaves_hold_packed_nodes(mg: Any) -> None:
    with balanced(mg):
        for _ in range(3):
            leaves = [mg.Value(1.0) for _ in range(3000)]
            mg.total(leaves).backward()  # which marks the leaves
            del leaves
            ws = [mg.Value(2.0) for _ in range(16)]
            outs = [mg.dot(ws, ws, ws[0]) for _ in range(400)]
            root = mg.total(outs[::2])
            del outs[::2], root  # a sweep past those that stay
            assert [len(shape(out)) for out in outs[:3]] == [48, 48, 48]
            del outs, ws


def test_an_error_below_a_dot_product_stops_there(mg: Any) -> None:
    def graph(dot: Any) -> Any:
        x = mg.Value(0.0)
        ws = [mg.Value(2.0), mg.Value(3.0), mg.Value(4.0)]
        root = dot(ws, [x.sqrt(), ws[0], x], ws[1]) * 3
        seen = []
        for _ in range(3):
            with pytest.raises(ZeroDivisionError):
                root.backward()
            seen.append([v.grad for v in (root, *ws)])
        return [seen, shape(root)]

    assert graph(mg.dot) == graph(plain_dot)


def test_cycle_through_a_packed_node_is_garbage(mg: Any) -> None:
    collect()
    with balanced(mg):
        ws = [mg.Value(2.0), mg.Value(3.0)]
        out = mg.dot(ws, ws, ws[0]) * 2
        ws[1].around = out
        del ws, out
        collect()


def test_an_operand_is_the_object_it_was(mg: Any) -> None:
    ws, xs = [mg.Value(2.0), mg.Value(3.0)], [mg.Value(4.0), mg.Value(5.0)]
    out = mg.dot(ws, xs, ws[0])
    collect()
    last = out._children[1]
    assert last._children == (ws[1], xs[1])
    assert out._children[1] is last
    assert out._children[0]._children[0] is ws[0]


def test_zeros_have_the_signs_that_sums_of_gradients_have(mg: Any) -> None:
    def graph(dot: Any, xs: Any) -> Any:
        ws = [mg.Value(0.0), mg.Value(1.0), mg.Value(-0.0)]
        inner = dot(ws, [mg.Value(x) for x in xs] if xs[0] == 1.5 else xs, ws[0])
        for v in (inner, *ws):
            v.grad = -0.0
        root = inner * mg.Value(-0.0)
        root.backward()
        return shape(root)

    for xs in ([1.5, 2.0, -1.0], [2.5, 0.0, -1.0]):
        assert graph(mg.dot, xs) == graph(plain_dot, xs)


def test_gradient_of_a_number_is_a_sum_from_zero(mg: Any) -> None:
    def graph(dot: Any) -> Any:
        root = dot([mg.Value(0.0), mg.Value(-0.0)], [2.0, 3.0], mg.Value(1.0)) * -1.0
        root.backward()
        return shape(root)

    assert graph(mg.dot) == graph(plain_dot)


# ---- what dies with it ----


class Noted:
    def __init__(self, name: str, log: list[str]) -> None:
        self.name, self.log = name, log

    def __del__(self) -> None:
        self.log.append(self.name)


@pytest.mark.parametrize("terms", [3, 100])
@pytest.mark.parametrize("deep", [False, True])
def test_what_dies_with_it_dies_in_the_order_of_the_plain_expression(
    mg: Any, terms: int, deep: bool
) -> None:
    def noted(name: str, log: list[str]) -> Any:
        value = mg.Value(1.0)
        value.note = Noted(name, log)
        return value.tanh() if deep else value

    def deaths(dot: Callable[..., Any]) -> list[str]:
        log: list[str] = []
        ws = [noted(f"w{i}", log) for i in range(terms)]
        xs = [noted(f"x{i}", log) for i in range(terms)]
        root = dot(ws, xs, noted("bias", log))
        del ws, xs
        assert log == []
        del root
        return log

    deaths(mg.dot)  # the first dot product of all is not packed: it needs a new page
    expected = deaths(plain_dot)
    assert len(expected) == 2 * terms + 1
    assert deaths(mg.dot) == expected
