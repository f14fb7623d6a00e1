"""Exceptions between any two steps, forks, and foreign code at the worst moments."""

from __future__ import annotations

import builtins
import gc
import os
import pickle
import random
import signal
import sys
import threading
import time
from typing import Any

import pytest
from conftest import AlarmError, balanced, collect, live


class Interrupting:
    """Raise AlarmError at the n-th event of a trace: a call, a line or an instruction."""

    def __init__(self, n: int) -> None:
        self.left = n

    def __call__(self, frame: Any, event: str, argument: Any) -> Any:
        frame.f_trace_opcodes = True
        self.left -= 1
        if self.left == 0:
            sys.settrace(None)
            raise AlarmError
        return self


def at_every_step(work: Any, stride: int = 1) -> int:
    """Run work with an exception at one step, then at a later one, ... until none comes."""
    n = 0
    while True:
        n += stride
        before = sys.gettrace()
        sys.settrace(Interrupting(n))
        try:
            work()
        except AlarmError:
            continue
        else:
            return n
        finally:
            sys.settrace(before)


@pytest.fixture
def native(mg: Any) -> Any:
    """The native backend: on the other one recording itself is Python, which anything can split."""
    if mg.engine.BACKEND != "native":
        pytest.skip("an interrupt may come in the middle of the cffi backend's own steps")
    return mg


def records(mg: Any) -> bool:
    return len((mg.Value(1.0) * 2)._children) == 2


# ---- no_grad ----


def test_a_thread_records_whatever_ended_its_no_grad(native: Any) -> None:
    model, x = native.MLP(2, [2, 1]), [1.0, 2.0]

    def work() -> None:
        assert records(native)
        with native.no_grad():
            model(x)

    assert at_every_step(work) > 10
    assert records(native)


def test_interrupts_at_any_moment_leave_recording_on(native: Any, alarm: Any) -> None:
    w = native.Value(1.0)
    for k in range(300):
        try:
            alarm(1e-6 * (1 + k % 97))
            for _ in range(10_000):
                with native.no_grad(), native.no_grad():
                    w * 2
        except AlarmError:
            pass
        alarm(0)
        assert records(native)


def test_an_inner_no_grad_ends_alone(mg: Any) -> None:
    with mg.no_grad():
        inner = mg.no_grad()
        inner.__enter__()
        assert not records(mg)
        del inner  # without having been left
        assert not records(mg)
    assert records(mg)


def test_to_leave_no_grad_twice_ends_nothing_else(mg: Any) -> None:
    outer, inner = mg.no_grad(), mg.no_grad()
    with outer:
        with inner:
            pass
        inner.__exit__(None, None, None)
        assert not records(mg)
    assert records(mg)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_recording_that_is_interrupted_has_ended(native: Any) -> None:
    pytest.importorskip("numpy")
    w = native.Value(2.0)
    native.compile(lambda x: w * x, 1.0)  # imports what it needs
    assert at_every_step(lambda: native.compile(lambda x: w * x, 1.0), stride=19) > 100
    assert type(w.data) is float
    assert native.compile(lambda x: w * x, 1.0)([3.0]).tolist() == [6.0]


# ---- forks and other threads' finalizers ----


class Slow:
    """Wait in __del__, as an attribute of a Value that dies with its graph."""

    def __init__(self, inside: threading.Event, go_on: threading.Event) -> None:
        self.inside, self.go_on = inside, go_on

    def __del__(self) -> None:
        self.inside.set()
        self.go_on.wait(30)


def held_graph(mg: Any, attribute: Any) -> Any:
    """A result whose operand, which nobody else holds, has an attribute."""
    operand = mg.Value(1.0)
    operand.attribute = attribute
    return operand * 2.0


def test_a_long_finalizer_does_not_stop_the_releases_of_other_threads(mg: Any) -> None:
    inside, go_on = threading.Event(), threading.Event()
    graphs = [held_graph(mg, Slow(inside, go_on))]
    thread = threading.Thread(target=graphs.clear)
    thread.start()
    inside.wait(30)
    before = live(mg)
    for _ in range(10):
        held_graph(mg, object())
    collect()
    assert sum(live(mg)) <= sum(before)
    go_on.set()
    thread.join()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_a_child_forked_while_another_thread_lets_go_frees_its_graphs(mg: Any) -> None:
    inside, go_on = threading.Event(), threading.Event()
    graphs = [held_graph(mg, Slow(inside, go_on))]
    thread = threading.Thread(target=graphs.clear)
    thread.start()
    inside.wait(30)
    child = os.fork()
    if child == 0:
        before = live(mg)
        for _ in range(10):
            held_graph(mg, object())
        gc.collect()
        os._exit(0 if live(mg) == before else 1)
    go_on.set()
    thread.join()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


# ---- collections in the middle of a call ----


@pytest.mark.long
@pytest.mark.parametrize("kind", ["linear", "layer", "network", "dot", "softmax", "mse"])
def test_an_operand_constructed_again_in_a_collection_has_one_number(mg: Any, kind: str) -> None:
    model = mg.MLP(2, [3, 2], activation=None)
    for k, p in enumerate(model.parameters()):
        p.data = float(k + 1)
    inputs = [mg.Value(1.0), mg.Value(2.0)]
    weights = [[mg.Value(1.0), mg.Value(2.0)] for _ in range(50)]

    def run() -> Any:
        if kind == "linear":
            return mg.linear(weights, inputs)
        if kind == "layer":
            return model.layers[0](inputs)
        if kind == "network":
            return model(inputs)
        if kind == "dot":
            return [mg.dot(weights[0], inputs)]
        if kind == "softmax":
            return mg.softmax([*inputs, *weights[0]])
        return [mg.mse(inputs, weights[0])]

    def construct_again(phase: str, info: Any) -> None:
        if phase == "stop":
            for x in inputs:
                x.__init__(x.data)
            filler.extend(mg.Value(59.0) for _ in range(20))

    filler: list[Any] = []
    expected = [v.data for v in run()]
    thresholds = gc.get_threshold()
    gc.callbacks.append(construct_again)
    try:
        for threshold in range(1, 60):
            gc.set_threshold(threshold, 1, 1)
            filler.clear()
            assert [v.data for v in run()] == expected
    finally:
        gc.callbacks.remove(construct_again)
        gc.set_threshold(*thresholds)


# ---- keywords, pickles, subclasses ----


def test_a_keyword_that_is_no_string_is_a_type_error(mg: Any) -> None:
    class Own(mg.Value):  # type: ignore[misc,name-defined]
        pass

    for cls in (mg.Value, Own):
        for key in (object(), 1, None):
            with balanced(mg), pytest.raises(TypeError, match="strings"):
                cls(1.0, **{key: 2})  # type: ignore[misc]


class Note:
    """An attribute that pickles a Value by a pickling of its own."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def __reduce__(self) -> Any:
        return restored_note, (pickle.dumps(self.value),)


def restored_note(data: bytes) -> Note:
    return Note(pickle.loads(data))


def test_a_pickle_within_a_pickle_has_labels_and_attributes(mg: Any) -> None:
    a, b = mg.Value(1.0, label="a"), mg.Value(2.0, label="b")
    c = a * 3.0
    c.label, c.kept = "c", [1, 2]
    b.note = Note(c)
    d = c * b
    d.label = "d"
    e = d * d + a
    e.label, e.note = "e", Note(d)
    copied = pickle.loads(pickle.dumps(e))
    assert (copied.label, copied._children[0]._children[0].label) == ("e", "d")
    inner = copied.note.value
    assert (inner.label, [v.label for v in inner._children]) == ("d", ["c", "b"])
    assert inner._children[0].kept == [1, 2]
    for found in (inner, copied._children[0]._children[0]):
        note = found._children[1].note
        assert (note.value.label, note.value.kept) == ("c", [1, 2])
        assert note.value._children[0].label == "a"


def test_a_result_is_plain_where_the_constructor_takes_other_arguments(lib: Any) -> None:
    class Parameter(lib.Value):  # type: ignore[misc,name-defined]
        def __init__(self, data: float) -> None:
            super().__init__(data)

    if lib.Value.__module__.startswith("micrograd_c._command.reference"):
        pytest.skip("the reference makes results by self.__class__, as the notebook does")
    p = Parameter(2.0)
    for result in (p * 2, p + p, -p, p**2, p.exp(), 1 / p):
        assert type(result) is lib.Value
        assert isinstance(p, Parameter)
    (p * p).backward()
    assert p.grad == 4.0


def test_an_error_of_a_constructor_that_takes_the_arguments_is_raised(mg: Any) -> None:
    class Picky(mg.Value):  # type: ignore[misc,name-defined]
        def __init__(self, data: float, *rest: Any, label: str = "") -> None:
            if data > 3:
                raise TypeError("too large")
            super().__init__(data, *rest, label=label)

    p = Picky(2.0)
    assert type(p + 1) is Picky
    with balanced(mg), pytest.raises(TypeError, match="too large"):
        p * 2


def test_a_constructor_that_is_replaced_is_asked_anew(mg: Any) -> None:
    class Own(mg.Value):  # type: ignore[misc,name-defined]
        def __init__(self, data: float) -> None:
            super().__init__(data)

    p = Own(2.0)
    assert type(p * 2) is mg.Value
    Own.__init__ = lambda self, *args: mg.Value.__init__(self, *args)  # type: ignore[method-assign]
    assert type(p * 2) is Own


# ---- Ctrl-C in the middle of long work of C ----


@pytest.fixture
def press() -> Any:
    """Return what has another process send SIGINT to this one; handled by what it is given."""
    before = signal.getsignal(signal.SIGINT)
    children: list[int] = []

    def after(seconds: float, handler: Any) -> None:
        signal.signal(signal.SIGINT, handler)
        # Not before fork() has returned, while callbacks of other modules run, as logging's.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        child = os.fork()
        if child == 0:
            time.sleep(seconds)
            os.kill(os.getppid(), signal.SIGINT)
            os._exit(0)
        children.append(child)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})

    yield after
    for child in children:
        os.waitpid(child, 0)
    signal.signal(signal.SIGINT, before)


def scattered(mg: Any, count: int) -> Any:
    """A graph whose operands lie anywhere below, and its leaf."""
    draw = random.Random(0)
    leaf = mg.Value(1.0)
    pool = [leaf]
    for _ in range(count):
        pool.append(pool[draw.randrange(len(pool))] * 0.5 + pool[draw.randrange(len(pool))])
    return mg.total(pool[-1000:]), leaf


forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")


@pytest.mark.long
@forks
@pytest.mark.parametrize("kind", ["plain", "closure"])
def test_a_handler_that_does_not_raise_changes_no_gradient(mg: Any, press: Any, kind: str) -> None:
    root, leaf = scattered(mg, 100_000 if mg.engine.BACKEND == "native" else 20_000)
    if kind == "closure":
        other = mg.Value(1.0)
        other._backward = lambda: None
    root.backward()
    expected = leaf.grad
    seen: list[int] = []
    for k in range(12):
        leaf.grad = 0.0
        for v in mg.engine.graph(root):
            v.grad = 0.0
        press(0.0004 * k, lambda *_: seen.append(1))
        root.backward()
        assert leaf.grad == expected
    while len(seen) < 12:
        time.sleep(0.001)


@pytest.mark.long
@forks
def test_a_backward_that_is_interrupted_leaves_a_graph_that_works(mg: Any, press: Any) -> None:
    root, leaf = scattered(mg, 400_000 if mg.engine.BACKEND == "native" else 20_000)
    root.backward()
    expected = leaf.grad

    for k in range(8):
        try:
            press(0.004 * k, signal.default_int_handler)
            root.backward()
            time.sleep(10)
        except KeyboardInterrupt:
            pass
        for v in mg.engine.graph(root):
            v.grad = 0.0
        leaf.grad = 0.0
        root.backward()
        assert leaf.grad == expected


def test_a_poll_is_asked_while_programs_are_made(mg: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("numpy")
    mg.compile(lambda x: x, 1.0)
    library = sys.modules["micrograd_c._library"]
    replay = sys.modules["micrograd_c._compile.replay"]
    lib, ffi = library.lib, library.ffi

    def fn(x: Any) -> Any:
        for _ in range(20_000):
            x = (x * 0.5).tanh()
        return x

    plain = mg.compile(fn, 1.0)([1.0])
    asked: list[int] = []
    poll = ffi.callback("int(*)(void)", lambda: asked.append(1) or 1)
    lib.mg_arena_set_poll(replay._memory, poll)  # gives up at the first question, then goes on
    try:
        program = mg.compile(fn, 1.0)
        assert program.gradient([1.0]).shape == (1,)
        assert program([1.0]) == plain
    finally:
        lib.mg_arena_set_poll(replay._memory, library.POLL)
    assert len(asked) >= 1


@pytest.mark.long
def test_what_runs_at_the_beginning_of_backward_may_construct_its_root_again(
    mg: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A large backward asks, in Python, who handles Ctrl-C."""
    root = first = mg.Value(1.0)
    for _ in range(400_000):
        root = root + 1.0
    original = builtins.__import__

    def importing(name: str, *args: Any, **names: Any) -> Any:
        if name == "_signal":
            mg.Value.__init__(root, 7.0)
            mg.engine.trim()
        return original(name, *args, **names)

    with monkeypatch.context() as patch:
        patch.setattr(builtins, "__import__", importing)
        root.backward()
    assert (root.grad, first.grad) in ((1.0, 0.0), (0.0, 1.0), (1.0, 1.0))
    assert mg.engine.bulk.check() is None
