"""Threads: graphs of their own, shared parameters, recording switched off in one of them."""

from __future__ import annotations

import gc
import sys
import threading
from collections.abc import Callable, Iterator
from queue import SimpleQueue
from typing import Any

import pytest
from conftest import balanced
from reference import on_reference

ROUNDS = 150


@pytest.fixture(autouse=True)
def often() -> Iterator[None]:
    """Threads take turns as often as the interpreter lets them."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


def run_together(*works: Callable[[], Any]) -> list[Any]:
    """Run each in a thread of its own, from the same moment; return results or raise."""
    start = threading.Barrier(len(works))
    results: list[Any] = [None] * len(works)
    errors: list[BaseException] = []

    def run(place: int, work: Callable[[], Any]) -> None:
        try:
            start.wait()
            results[place] = work()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=pair) for pair in enumerate(works)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return results


# ---- graphs of their own ----


def plain(lib: Any, seed: int) -> list[str]:
    """Build and differentiate; return what comes out."""
    seen = []
    for k in range(ROUNDS):
        a, b = lib.Value(seed + 0.25 * k), lib.Value(1.5)
        c = a
        for _ in range(10):
            c = (c * b + a).tanh() - 0.5 / (a + seed + 1.0)
        c.backward()
        seen += [c.data.hex(), a.grad.hex(), b.grad.hex()]
    return seen


def labelled(lib: Any, seed: int) -> list[str]:
    """Labels, attributes and a look back at what nobody holds."""
    seen = []
    for k in range(ROUNDS):
        v = lib.Value(float(seed))
        for i in range(8):
            v = v * 0.5 + 1.0
            v.label = f"{seed} {k} {i}"
            v.place = (k, i)
        while v._children:
            seen.append(f"{v.label} {getattr(v, 'place', None)} {v.data.hex()}")
            v = v._children[0]
    return seen


def closed(lib: Any, seed: int) -> list[str]:
    """Operators with closures over their results."""

    def halved(v: Any) -> Any:
        out = lib.Value(0.5 * v.data, (v,), "half")

        def _backward() -> None:
            v.grad += 0.5 * out.grad

        out._backward = _backward
        return out

    seen = []
    for k in range(ROUNDS):
        a = lib.Value(seed + 0.5 * k)
        (halved(halved(a) * a) + halved(a)).backward()
        seen.append(a.grad.hex())
    return seen


PROGRAMS = [plain, labelled, closed]


@pytest.mark.long
@pytest.mark.parametrize("program", PROGRAMS, ids=lambda f: f.__name__)
def test_threads_with_graphs_of_their_own_compute_what_one_thread_does(
    mg: Any, program: Callable[[Any, int], list[str]]
) -> None:
    expected = [on_reference(program, seed) for seed in (1, 2)]
    assert run_together(lambda: program(mg, 1), lambda: program(mg, 2)) == expected


@pytest.mark.long
@pytest.mark.parametrize("program", PROGRAMS, ids=lambda f: f.__name__)
def test_threads_leave_no_node_behind(mg: Any, program: Callable[[Any, int], list[str]]) -> None:
    with balanced(mg):
        run_together(lambda: program(mg, 1), lambda: program(mg, 2))


def test_collecting_garbage_in_one_thread_does_not_disturb_the_other(mg: Any) -> None:
    done = threading.Event()

    def work() -> list[list[str]]:
        seen = []
        while not done.is_set():
            seen.append([*labelled(mg, 1), *closed(mg, 1)])
        return seen

    def collect() -> None:
        for _ in range(2 * ROUNDS):  # so many, however long each takes
            gc.collect()
        done.set()

    with balanced(mg):
        expected = [*on_reference(labelled, 1), *on_reference(closed, 1)]
        seen = run_together(work, collect)[0]
        assert seen == [expected] * max(1, len(seen))


def test_error_in_one_thread_stays_there(mg: Any) -> None:
    def fail() -> int:
        count = 0
        for _ in range(ROUNDS):
            try:
                (mg.Value(-1.0) * 2.0).log()
            except ValueError:
                count += 1
        return count

    failures, seen = run_together(fail, lambda: plain(mg, 1))
    assert (failures, seen) == (ROUNDS, on_reference(plain, 1))


def test_recursion_limit_met_in_one_thread_does_not_hold_up_the_other(mg: Any) -> None:
    root = mg.Value(2.0) * 3.0

    def use() -> None:
        v = root * mg.Value(1.0)
        v.note = [v]
        v.backward()
        next(iter((root + 1.0)._prev)).label = "a"

    def endless(once_more: bool) -> None:
        use()
        if once_more:  # so that its depths are odd as well as even
            use_deeper()
        endless(not once_more)

    def use_deeper() -> None:
        use()

    with balanced(mg):
        for once_more in (False, True):
            with pytest.raises(RecursionError):
                endless(once_more)
        thread = threading.Thread(target=use, daemon=True)
        thread.start()
        thread.join(30)
        assert not thread.is_alive()


# ---- shared Values ----


def through_operators(mg: Any, p: Any, k: int) -> Any:
    return p * float(k) + p


def through_local_gradients(mg: Any, p: Any, k: int) -> Any:
    return mg.Value((k + 1) * p.data, (p, p), (float(k), 1.0))


def through_a_chain(mg: Any, p: Any, k: int) -> Any:
    v = p
    for _ in range(20):
        v = v + 0.0
    return v * float(k + 1)


@pytest.mark.parametrize(
    "use",
    [through_operators, through_local_gradients, through_a_chain],
    ids=lambda f: f.__name__,
)
def test_every_contribution_to_a_shared_parameter_counts(
    mg: Any, use: Callable[[Any, Any, int], Any]
) -> None:
    parameters = [mg.Value(2.0) for _ in range(3)]

    def work() -> None:
        for k in range(ROUNDS):  # integers, whose sum does not depend on the order
            loss: Any = sum(use(mg, p, k) for p in parameters)
            loss.backward()

    run_together(work, work)
    total = 2 * sum(k + 1 for k in range(ROUNDS))
    assert [p.grad for p in parameters] == [float(total)] * 3


def test_every_push_into_a_shared_parameter_counts(mg: Any) -> None:
    p = mg.Value(2.0)

    def work() -> None:
        for _ in range(ROUNDS):
            out = p * 3.0
            out.grad = 1.0
            out._backward()

    run_together(work, work)
    assert p.grad == 2 * ROUNDS * 3.0


def test_graph_under_two_roots_is_differentiated_by_two_threads(mg: Any) -> None:
    p = mg.Value(2.0)
    nodes = [p + 0.0 for _ in range(5)]
    roots: list[Any] = [sum(nodes), sum(reversed(nodes))]

    def work(root: Any) -> None:
        for _ in range(ROUNDS):
            for child in root._prev:
                child._op  # noqa: B018  (proxies come and go meanwhile)
        root.backward()

    run_together(lambda: work(roots[0]), lambda: work(roots[1]))
    # Each sweep adds the gradients that the nodes have by then: 5 by the first, 10 by the second.
    assert (p.grad, [v.grad for v in nodes]) == (15.0, [2.0] * 5)


def test_threads_that_look_at_the_same_operand_see_the_same_object(mg: Any) -> None:
    for _ in range(ROUNDS):
        v = (mg.Value(1.0) + 2.0).tanh()
        first, second = run_together(lambda v=v: v._children, lambda v=v: v._children)
        assert first[0] is second[0]


def test_label_given_in_one_thread_to_an_operand_nobody_holds_lasts(mg: Any) -> None:
    for k in range(ROUNDS // 5):
        v = (mg.Value(1.0) + 2.0).tanh()

        def give(v: Any = v, k: int = k) -> None:
            v._children[0].mine = k

        def look(v: Any = v) -> None:
            for _ in range(5):
                v._children[0].data  # noqa: B018

        with balanced(mg):
            run_together(give, look)
        assert v._children[0].mine == k


def test_values_die_in_another_thread_than_they_were_made_in(mg: Any) -> None:
    with balanced(mg):
        handed: SimpleQueue[Any] = SimpleQueue()

        def make() -> None:
            for k in range(ROUNDS):
                v = mg.Value(float(k), label="leaf") * 2.0
                v.label = str(k)
                handed.put(v.tanh())
                del v
            handed.put(None)

        def drop() -> None:
            while handed.get() is not None:
                pass

        run_together(make, drop)


def test_value_kept_by_a_finalizer_may_be_constructed_anew_in_another_thread(mg: Any) -> None:
    b = mg.Value(2.0)
    kept: SimpleQueue[Any] = SimpleQueue()

    class Kept(mg.Value):  # type: ignore[misc,name-defined]
        def __del__(self) -> None:
            kept.put(self)

    def construct() -> None:
        while (v := kept.get()) is not None:
            v.__init__(1.0, (b,))

    def collect_garbage() -> None:
        try:
            for _ in range(ROUNDS):
                for _ in range(20):
                    v = Kept(1.0)
                    v.me = v
                del v
                gc.collect(0)
            gc.collect()
        finally:
            kept.put(None)
            kept.put(None)

    with balanced(mg):
        run_together(construct, construct, collect_garbage)


def test_every_leaf_made_in_threads_is_a_node_of_its_own(mg: Any) -> None:
    def make(start: int) -> list[Any]:
        return [mg.Value(float(start + k)) for k in range(20 * ROUNDS)]

    first, second = run_together(lambda: make(0), lambda: make(10**6))
    assert [v.data for v in first] == list(range(20 * ROUNDS))
    assert [v.data for v in second] == [10**6 + k for k in range(20 * ROUNDS)]


@pytest.mark.long
def test_value_that_one_thread_constructs_again_keeps_its_operands_for_another(mg: Any) -> None:
    a, b = mg.Value(2.0), mg.Value(3.0)
    shared = mg.Value(6.0, (a * 1.0, b * 1.0))
    done = threading.Event()

    def construct() -> None:
        while not done.is_set():
            shared.__init__(6.0, (a * 1.0, b * 1.0))

    def look() -> set[tuple[Any, ...]]:
        try:
            return {
                tuple(operand.data for operand in operands)
                for _ in range(20 * ROUNDS)
                for operands in (shared._children, (mg.total([shared, 0.0]) + shared)._children)
            }
        finally:
            done.set()

    assert run_together(construct, look)[1] == {(2.0, 3.0), (6.0, 6.0)}


def test_value_that_its_finalizer_kept_may_be_dropped_by_another_thread(mg: Any) -> None:
    kept: SimpleQueue[Any] = SimpleQueue()

    class Keeping(mg.Value):  # type: ignore[misc,name-defined]
        def __del__(self) -> None:
            kept.put(self)

    def collect_cycles() -> None:
        try:
            for _ in range(2 * ROUNDS):
                for _ in range(20):
                    value = Keeping(1.0)
                    value.itself = value
                    del value
                gc.collect(0)
            gc.collect()
        finally:
            kept.put(None)

    def drop() -> None:
        while (value := kept.get()) is not None:
            value.__dict__.clear()

    run_together(collect_cycles, drop)


def test_long_finalizer_in_one_thread_does_not_hold_up_what_another_lets_go_of(mg: Any) -> None:
    begun, died = threading.Event(), threading.Event()

    def result_of(state: Any) -> Any:
        operand = mg.Value(2.0) * 3.0
        operand.state = [state]
        return operand.tanh()  # whose death is the operand's

    class Waiting:
        def __del__(self) -> None:
            begun.set()
            assert died.wait(60.0)

    class Quick:
        def __del__(self) -> None:
            died.set()

    def let_go_slowly() -> None:
        result_of(Waiting())

    def let_go() -> None:
        assert begun.wait(60.0)
        result_of(Quick())

    with balanced(mg):
        run_together(let_go_slowly, let_go)


# ---- recording switched off ----


def test_no_grad_in_one_thread_lets_the_other_record(mg: Any) -> None:
    inside, looked = threading.Event(), threading.Event()

    def off() -> tuple[int, int]:
        with mg.no_grad():
            inside.set()
            looked.wait()
            return len((mg.Value(1.0) * 2.0)._prev), len(mg.Value(1.0, (mg.Value(2.0),))._prev)

    def on() -> tuple[int, int]:
        inside.wait()
        try:
            return len((mg.Value(1.0) * 2.0)._prev), len(mg.Value(1.0, (mg.Value(2.0),))._prev)
        finally:
            looked.set()

    assert run_together(off, on) == [(0, 0), (2, 1)]


def test_thread_begins_recording_whatever_its_maker_does(mg: Any) -> None:
    with mg.no_grad():
        assert run_together(lambda: len((mg.Value(1.0) * 2.0)._prev)) == [2]


def test_no_grad_in_many_threads_leaves_recording_on(mg: Any) -> None:
    def work() -> None:
        for _ in range(ROUNDS):
            with mg.no_grad():
                mg.Value(1.0) * 2.0

    run_together(work, work, work)
    assert len((mg.Value(1.0) * 2.0)._prev) == 2


def records(mg: Any) -> bool:
    return len((mg.Value(1.0) * 2.0)._prev) == 2


def suspended_within(no_grad: Any) -> Iterator[None]:
    with no_grad:
        yield


def test_no_grad_that_another_thread_leaves_ends_where_it_was_entered(mg: Any) -> None:
    generator = suspended_within(mg.no_grad())
    next(generator)
    assert not records(mg)
    run_together(generator.close)
    assert records(mg)


def test_leaving_no_grad_of_a_thread_that_has_ended_does_not_end_ones_own(mg: Any) -> None:
    generator = suspended_within(mg.no_grad())
    run_together(lambda: next(generator))
    with mg.no_grad():
        generator.close()
        assert not records(mg)
    assert records(mg)


def test_no_grad_shared_by_threads_ends_for_each_when_it_leaves(mg: Any) -> None:
    shared = mg.no_grad()
    entered = threading.Barrier(2)
    left = threading.Event()

    def first() -> bool:
        with shared:
            entered.wait()
        left.set()
        return records(mg)

    def second() -> bool:
        with shared:
            entered.wait()
            left.wait()
            return records(mg)

    assert run_together(first, second) == [True, False]


def test_thread_records_although_another_ended_within_no_grad(mg: Any) -> None:
    generator = suspended_within(mg.no_grad())
    run_together(lambda: next(generator))
    assert [run_together(lambda: records(mg)) for _ in range(20)] == [[True]] * 20
    generator.close()
