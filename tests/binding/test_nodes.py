"""The class Nodes: nodes read from Values once, for functions that go over them at each step."""

from __future__ import annotations

import os
import sys
import threading
from array import array
from collections.abc import Callable
from typing import Any

import pytest
from conftest import balanced, collect


def numbers_of(mg: Any, nodes: Any, count: int) -> list[float]:
    numbers = array("d", bytes(8 * count))
    mg.engine.bulk.get_numbers(nodes, numbers)
    return numbers.tolist()


def construct(mg: Any, v: Any) -> None:
    v.__init__(7.0)


def renew(mg: Any, v: Any) -> None:
    v.__init__(7.0, (mg.Value(1.0),), "made")


MOVES: list[Callable[[Any, Any], None]] = [construct, renew]


@pytest.mark.parametrize("move", MOVES, ids=lambda move: move.__name__)
def test_a_value_that_shows_another_node_is_read_anew(mg: Any, move: Any) -> None:
    a, b = mg.Value(1.0), mg.Value(2.0)
    above = a * b  # keeps the first node
    nodes = mg.engine.bulk.Nodes((a, b))
    assert numbers_of(mg, nodes, 2) == [1.0, 2.0]
    move(mg, a)
    mg.engine.bulk.add_grads(nodes, array("d", [5.0, 6.0]))
    assert numbers_of(mg, nodes, 2) == [7.0, 2.0]
    assert (a.grad, b.grad) == (5.0, 6.0)
    assert [v.grad for v in above._children] == [0.0, 6.0]


@pytest.mark.parametrize("move", MOVES, ids=lambda move: move.__name__)
def test_a_node_that_nothing_has_any_more_is_not_used(mg: Any, move: Any) -> None:
    a = mg.Value(1.0) * 1.0
    nodes = mg.engine.bulk.Nodes((a,))
    move(mg, a)
    others = [mg.Value(3.0) * 1.0 for _ in range(2000)]  # one is in the old node's place
    mg.engine.bulk.add_grads(nodes, array("d", [5.0]))
    mg.engine.bulk.set_numbers(nodes, array("d", [8.0]))
    assert (a.data, a.grad) == (8.0, 5.0)
    assert {(v.data, v.grad) for v in others} == {(3.0, 0.0)}


def test_a_program_reads_a_captured_value_that_was_constructed_anew(mg: Any) -> None:
    pytest.importorskip("numpy")
    w = mg.Value(2.0)
    above = w * 2.0
    program = mg.compile(lambda x: w * x, 1.0)
    for _ in range(3):
        program.backward([10.0])
    w.__init__(3.0)
    for _ in range(3):
        assert program.backward([10.0]) == 30.0
    assert w.grad == 30.0
    assert above._children[0].grad == 30.0  # of the three steps before


def test_an_optimizer_updates_a_parameter_that_was_constructed_anew(mg: Any) -> None:
    w = mg.Value(2.0)
    above = w * 2.0
    optimizer = mg.optim.SGD([w], lr=1.0)
    optimizer.step()
    w.__init__(3.0)
    w.grad = 1.0
    optimizer.step()
    assert w.data == 2.0
    optimizer.zero_grad()
    assert w.grad == 0.0
    assert above._children[0].data == 2.0


def test_nodes_keep_their_values(mg: Any) -> None:
    nodes = mg.engine.bulk.Nodes(mg.Value(float(k)) for k in range(200))
    others = [mg.Value(-1.0) for _ in range(200)]
    assert numbers_of(mg, nodes, 200) == [float(k) for k in range(200)]
    assert [v.data for v in nodes.values] == [float(k) for k in range(200)]
    assert {v.data for v in others} == {-1.0}


def test_a_cycle_through_nodes_is_collected(mg: Any) -> None:
    collect()
    with balanced(mg):
        v = mg.Value(1.0)
        v.nodes = mg.engine.bulk.Nodes((v, mg.Value(2.0)))
        v.self = v.nodes.values
        del v


def test_a_finalizer_in_a_dead_cycle_may_use_nodes(mg: Any) -> None:
    class Last:
        def __del__(self) -> None:
            seen.extend(numbers_of(mg, self.nodes, 2))

    seen: list[float] = []
    collect()
    with balanced(mg):
        last, v = Last(), mg.Value(1.0)
        last.nodes = mg.engine.bulk.Nodes((v, mg.Value(2.0)))
        v.last = last
        del last, v
        collect()
    assert seen == [1.0, 2.0]


@pytest.mark.parametrize("given", [(1.0,), 5, [None]], ids=str)
def test_nodes_are_of_values_alone(mg: Any, given: Any) -> None:
    with pytest.raises(TypeError):
        mg.engine.bulk.Nodes(given)


def test_an_array_of_another_length_is_refused_and_nothing_changed(mg: Any) -> None:
    nodes = mg.engine.bulk.Nodes([mg.Value(1.0), mg.Value(2.0)])
    for wrong in (array("d", [9.0]), array("d", [9.0] * 3)):
        with pytest.raises(ValueError, match="an array of 2 doubles is required"):
            mg.engine.bulk.set_numbers(nodes, wrong)
    assert numbers_of(mg, nodes, 2) == [1.0, 2.0]


def test_threads_use_nodes_while_another_gives_the_values_others(mg: Any) -> None:
    values = [mg.Value(1.0) for _ in range(50)]
    nodes = mg.engine.bulk.Nodes(values)
    over = threading.Event()
    bad: list[Any] = []

    def read() -> None:
        while not over.is_set():
            found = set(numbers_of(mg, nodes, 50))
            mg.engine.bulk.zero_grad(nodes)
            if not found <= {1.0, 2.0, 3.0}:
                bad.append(found)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    threads = [threading.Thread(target=read) for _ in range(2)]
    try:
        for thread in threads:
            thread.start()
        for k in range(200):
            above = [v * 2.0 for v in values]
            for v in values:
                v.__init__(2.0 + k % 2)
            above = [mg.Value(9.0) * 9.0 for _ in range(100)]
        del above
    finally:
        over.set()
        for thread in threads:
            thread.join()
        sys.setswitchinterval(interval)
    assert not bad
    assert set(numbers_of(mg, nodes, 50)) == {3.0}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_the_child_of_a_fork_has_nodes_of_its_own(mg: Any) -> None:
    v = mg.Value(1.0)
    above = v * 2.0
    nodes = mg.engine.bulk.Nodes((v,))
    child = os.fork()
    if child == 0:
        v.__init__(4.0)
        mg.engine.bulk.add_grads(nodes, array("d", [1.0]))
        os._exit(0 if (numbers_of(mg, nodes, 1), v.grad) == ([4.0], 1.0) else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert (numbers_of(mg, nodes, 1), v.grad, above.data) == ([1.0], 0.0, 2.0)
