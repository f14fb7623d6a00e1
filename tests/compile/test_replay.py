"""Replays: interrupted, damaged, over all exponents, and at the interpreter's exit."""

from __future__ import annotations

import importlib
import io
import itertools
import math
import pickle
import random
import subprocess
import sys
from typing import Any

import pytest
from conftest import AlarmError
from hypothesis import given
from hypothesis import strategies as st

np = pytest.importorskip("numpy")


# ---- numbers near the ends of their range ----


@pytest.mark.parametrize(
    "fn, x",
    [
        (lambda x: 1e308 / x, 1.4e154),
        (lambda x: (1 / (1 + (-x).exp())).log(), -356.0),
        (lambda x: x / x, 1e155),
        (lambda x: 1e-308 / x, 1e-154),
        (lambda x: x**-1 * 1e300, -3e154),
    ],
)
def test_the_derivative_of_a_quotient_is_that_of_backward(mg: Any, fn: Any, x: float) -> None:
    leaf = mg.Value(x)
    fn(leaf).backward()
    assert mg.compile(fn, 1.0).gradient([x])[0] == pytest.approx(leaf.grad, rel=1e-14, abs=1e-169)


@pytest.mark.parametrize(
    "fn, w, rows",
    [
        (lambda x, w: x * w**2, 1e-200, [1e308] * 4),
        (lambda x, w: x * (w * 1e-200), 1.0, [1e308, 1.5e308, -1e308] * 100),
        (lambda x, w: x * (w * 1e-200).tanh(), 2.0, [1.7e308, 1.7e308]),
    ],
)
def test_rows_whose_sum_overflows_before_a_common_factor_have_their_gradient(
    mg: Any, fn: Any, w: float, rows: list[float]
) -> None:
    param = mg.Value(w)
    for x in rows:
        fn(x, param).backward()
    expected, param.grad = param.grad, 0.0
    for threads in (1, 2):
        mg.compile(lambda x: fn(x, param), 1.0).backward(rows, reduction="sum", threads=threads)
        assert param.grad == pytest.approx(expected, rel=1e-14)
        param.grad = 0.0


def test_a_sum_that_overflows_leaves_other_gradients_as_they_are(mg: Any) -> None:
    w, tiny = mg.Value(1.0), mg.Value(1.0)
    program = mg.compile(lambda x, y: x * (w * 1e-200) + y * tiny, 1.0, 1.0)
    program.backward([1e308] * 8, [5e-324] * 8, reduction="sum")
    assert tiny.grad == 4e-323
    assert w.grad == pytest.approx(8e108)


KINDS = [
    "add",
    "mul",
    "div",
    "inverse",
    "square",
    "tanh",
    "sigmoid",
    "root",
    "log",
    "param",
    "factor",
]


def positive_program(code: Any, x: list[Any], params: list[Any]) -> Any:
    """Run a random program that computes positive numbers of positive ones."""
    pool = list(x)
    for kind, i, j in code:
        a, b = pool[-1 - i % len(pool)], pool[j % len(pool)]
        if kind == "add":
            out = a + b
        elif kind == "mul":
            out = a * b
        elif kind == "div":
            out = a / b
        elif kind == "inverse":
            out = a**-1
        elif kind == "square":
            out = a**2
        elif kind in ("tanh", "sigmoid"):
            out = getattr(a, kind)()
        elif kind == "root":
            out = a**0.5
        elif kind == "log":
            out = (a + 2.0).log()
        elif kind == "param":
            out = a * params[j % len(params)]
        else:
            out = a * params[j % len(params)] ** 2 + params[i % len(params)]
        pool.append(out)
    return pool[-1]


def margins(out: Any, leaves: list[Any]) -> list[float]:
    """How far each leaf's gradient may be off: a share of the sizes of all that was added to it."""
    order: list[Any] = []

    def visit(v: Any) -> None:
        if v not in order:
            for child in v._children:
                visit(child)
            order.append(v)

    visit(out)
    sizes, lost = {id(out): 1.0}, 1e-12
    for v in reversed(order):
        size = sizes.get(id(v), 0.0)
        for child, partial in zip(v._children, v._local_grads):
            if partial:
                lost += 1e-323 / abs(partial) + 1e-323 / abs(size * partial or 1e-323)
            sizes[id(child)] = sizes.get(id(child), 0.0) + abs(partial) * size
    return [sizes.get(id(leaf), 0.0) * lost + 1e-320 for leaf in leaves]


@given(
    st.lists(
        st.tuples(st.sampled_from(KINDS), st.integers(0, 5), st.integers(0, 30)),
        min_size=1,
        max_size=7,
    ),
    st.integers(0, 2**16),
)
def test_programs_over_all_exponents_are_what_they_are_row_by_row(
    mg: Any, code: Any, seed: int
) -> None:
    draw = random.Random(seed)
    reach = draw.choice([20, 160, 307])
    params = [mg.Value(10 ** draw.uniform(-reach, reach)) for _ in range(2)]
    try:
        program = mg.compile(lambda x: positive_program(code, x, params), [1.0, 1.0])
    except (ArithmeticError, ValueError):
        return  # of parameters that are too large
    rows, gradients, margin, d_params, m_params = [], [], [], np.zeros(2), np.zeros(2)
    for _ in range(12):
        row = [10 ** draw.uniform(-reach, reach) for _ in range(2)]
        leaves = [mg.Value(x) for x in row]
        for p in params:
            p.grad = 0.0
        try:
            out = positive_program(code, leaves, params)
            out.backward()
        except (ArithmeticError, ValueError):
            continue
        found = [v.grad for v in (*leaves, *params)]
        off = margins(out, [*leaves, *params])
        if not all(map(math.isfinite, [out.data, *found, *off])):
            continue
        rows.append(row)
        gradients.append(found[:2])
        margin.append(off[:2])
        d_params += found[2:]
        m_params += off[2:]
    if not rows:
        return
    got = program.gradient(rows)
    assert (np.abs(got - gradients) <= margin).all(), (rows, got, gradients)
    for p in params:
        p.grad = 0.0
    program.backward(rows, reduction="sum")
    got = np.array([p.grad for p in params])
    if np.isfinite(d_params).all():
        assert (np.abs(got - d_params) <= m_params).all(), (rows, got, d_params)


# ---- what depends on parameters alone ----


def test_what_depends_on_parameters_alone_flows_as_ieee_has_it(mg: Any) -> None:
    w = mg.Value(1.0)
    program = mg.compile(lambda x: x * w.log(), 1.0)
    w.data = 0.0
    assert program([2.0, 0.0, -1.0]).tolist()[::2] == [-math.inf, math.inf]
    assert math.isnan(program([0.0])[0])
    w.data = -1.0
    assert math.isnan(program.backward([1.0, 2.0]))
    w.data = 2.0
    assert program([1.0])[0] == pytest.approx(math.log(2.0))


def test_an_error_of_parameters_alone_names_no_row(mg: Any) -> None:
    w = mg.Value(1.0)
    program = mg.compile(lambda x: x / w, 1.0)
    w.data = 0.0
    with pytest.raises(ZeroDivisionError, match=r"computed of parameters alone: .*0\.0 \*\* -1"):
        program([1.0, 2.0], check=True)
    with pytest.raises(ZeroDivisionError, match="parameters alone"):
        program.backward([1.0, 2.0], check=True)
    assert w.grad == 0.0


def test_a_branch_that_no_row_takes_raises_nothing_and_adds_nothing(mg: Any) -> None:
    w = mg.Value(1.0)
    program = mg.compile(lambda x: x * w.log() if x > 0 else x * w, 1.0)
    assert program([-1.0]).tolist() == [-1.0]
    w.data = 0.0
    assert program([-1.0, -2.0], check=True).tolist() == [0.0, 0.0]
    program.backward([-1.0, -2.0], reduction="sum", check=True)
    program.backward([-1.0, -2.0], reduction="sum")
    assert w.grad == -6.0


# ---- arrays that change under a program ----


def test_an_array_that_moves_in_memory_is_read_where_it_is(mg: Any) -> None:
    x = np.arange(4.0)
    program = mg.compile(lambda v: v * 2, 1.0)
    assert program(x).tolist() == [0.0, 2.0, 4.0, 6.0]
    x.resize(100_000, refcheck=False)
    x.resize(4, refcheck=False)
    x[:] = [5.0, 6.0, 7.0, 8.0]
    assert program(x).tolist() == [10.0, 12.0, 14.0, 16.0]


@pytest.mark.filterwarnings("ignore:Setting the strides")
def test_an_array_with_other_strides_is_read_by_them(mg: Any) -> None:
    x = np.arange(4.0)
    w = mg.Value(1.0)
    program = mg.compile(lambda v: v * w, 1.0)
    for _ in range(3):
        program.backward(x, reduction="sum")
    assert w.grad == 18.0
    x.strides = (0,)
    assert program(x).tolist() == [0.0] * 4
    program.backward(x, reduction="sum")
    assert w.grad == 18.0


# ---- exceptions in the middle ----


def deep(mg: Any, w: Any) -> Any:
    """A program of 2,000 instructions: w * x, summed."""
    return mg.compile(lambda x: sum((w * x * k for k in range(1000)), mg.Value(0.0)), 1.0)


@pytest.mark.parametrize("threads", [1, 2, 4])
def test_an_exception_ends_a_replay_in_the_middle(
    mg: Any, monkeypatch: pytest.MonkeyPatch, alarm: Any, threads: int
) -> None:
    replay = importlib.import_module("micrograd_c._compile.replay")
    monkeypatch.setattr(replay, "PIECE", 1 << 16)
    w = mg.Value(1.0)
    program = deep(mg, w)
    x = np.ones(200_000)
    for seconds in (0.001, 0.003, 0.01, 0.02):
        with pytest.raises(AlarmError):
            alarm(seconds)
            for _ in itertools.count():
                program.backward(x, threads=threads)
                w.grad = 0.0
        assert w.grad in (0.0, 499500.0)  # of no row, or of all just when the call had ended
        w.grad = 0.0
        assert program.backward(x[:1000], reduction="sum", threads=threads) == 499500000.0
        assert w.grad == 499500000.0
        w.grad = 0.0


def test_threads_have_stopped_when_a_replay_is_left(
    mg: Any, monkeypatch: pytest.MonkeyPatch, alarm: Any
) -> None:
    replay = importlib.import_module("micrograd_c._compile.replay")
    monkeypatch.setattr(replay, "PIECE", 1 << 16)
    crews: list[Any] = []
    stop = replay._Crew.stop

    def stop_and_note(crew: Any) -> None:
        stop(crew)
        crews.append((crew, list(crew.busy)))

    monkeypatch.setattr(replay._Crew, "stop", stop_and_note)
    program = deep(mg, mg.Value(1.0))
    x = np.ones(400_000)
    with pytest.raises(AlarmError):
        alarm(0.005)
        for _ in itertools.count():
            program(x, threads=3)
    assert [busy for _, busy in crews] == [[]] * len(crews)


def test_a_thread_that_cannot_be_started_leaves_its_share_to_others(
    mg: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise RuntimeError("can't create new thread at interpreter shutdown")

    monkeypatch.setattr(
        importlib.import_module("micrograd_c._compile.replay"), "start_new_thread", refuse
    )
    program = deep(mg, mg.Value(1.0))
    assert program(np.ones(1000), threads=2).tolist() == [499500.0] * 1000


def test_a_frame_is_not_used_again_after_an_exception(
    mg: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    replay = importlib.import_module("micrograd_c._compile.replay")
    w = mg.Value(1.0)
    program = deep(mg, w)
    x = np.ones(1000)
    program.backward(x, threads=2)
    work = replay._Crew._work

    def fail(crew: Any, k: int) -> None:
        if k == 0:
            raise AlarmError
        work(crew, k)

    monkeypatch.setattr(replay._Crew, "_work", fail)
    with pytest.raises(AlarmError):
        program.backward(x, threads=2)
    assert not any(program._traces[0].frames.values())
    monkeypatch.setattr(replay._Crew, "_work", work)
    w.grad = 0.0
    program.backward(x, reduction="sum", threads=2)
    assert w.grad == 499500000.0


def test_pieces_change_no_bit(mg: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    w = mg.Value(0.3)
    program = mg.compile(lambda x: ((w * x).tanh() - x) ** 2, 1.0)
    x = np.random.default_rng(0).normal(size=5000)
    whole = program.backward(x), w.grad, program(x).tobytes(), program.gradient(x).tobytes()
    for piece in (1, 1000, 30_000):
        monkeypatch.setattr(importlib.import_module("micrograd_c._compile.replay"), "PIECE", piece)
        w.grad = 0.0
        found = program.backward(x), w.grad, program(x).tobytes(), program.gradient(x).tobytes()
        assert found == whole


# ---- the interpreter's exit ----


@pytest.mark.parametrize(
    "code",
    [
        "program = mg.compile(lambda x: w * x, 1.0); program([1.0])",
        "mg.kept = mg.compile(lambda x: w * x, 1.0); mg.kept.backward([1.0, 2.0])",
        "import atexit; p = mg.compile(lambda x: w * x, 1.0)\n"
        "atexit.register(lambda: print(p([1.0] * 1000, threads=2).sum()))",
    ],
)
def test_a_program_that_lives_until_the_exit_makes_no_noise(mg: Any, code: str) -> None:
    lines = f"import micrograd_c as mg\nw = mg.Value(2.0)\n{code}"
    done = subprocess.run([sys.executable, "-c", lines], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout in ("", "2000.0\n")


# ---- damaged pickles ----


def sample(mg: Any) -> Any:
    w, b = mg.Value(0.5), mg.Value(-0.25)
    program = mg.compile(_branching, {"x": [1.0, 2.0], "w": w.data}, max_specializations=4)
    program({"x": [[1.0, -2.0], [-1.0, 0.5]], "w": [0.5, -0.5]})
    del b
    return program


def _branching(row: Any) -> Any:
    a, b = row["x"]
    if (a * b).data > 0:
        return [(a * row["w"]).tanh(), b / (a * a + 1)]
    return [a - row["w"] ** 2, (b * b + 1.0).log()]


def run_damaged(data: bytes) -> None:
    """Load a program from bytes and use it, if it can be loaded."""
    try:
        program = pickle.load(io.BytesIO(data))
        rows = {"x": [[1.0, -2.0], [-1.0, 0.5], [2.0, 2.0]], "w": [0.5, -0.5, 1.0]}
        for use in (program, program.jacobian, program.disassemble):
            use(rows) if use != program.disassemble else use("backward")
    except MemoryError:
        pass
    except Exception:  # of unpickling, of another function or nesting, or ValueError
        pass


def damages(data: bytes, count: int, seed: int) -> Any:
    draw = random.Random(seed)
    for _ in range(count):
        if draw.random() < 0.1:
            yield data[: draw.randrange(len(data))]
        else:
            bit = draw.randrange(8 * len(data))
            damaged = bytearray(data)
            damaged[bit // 8] ^= 1 << bit % 8
            yield bytes(damaged)


def test_a_damaged_pickle_of_a_program_crashes_nothing(mg: Any) -> None:
    data = pickle.dumps(sample(mg))
    assert pickle.loads(data)({"x": [[1.0, 2.0]], "w": [1.0]})[1].tolist() == [1.0]
    for damaged in damages(data, 1500, seed=1):
        run_damaged(damaged)


def test_entries_that_no_trace_has_are_refused(mg: Any) -> None:
    program = mg.compile(lambda x: x * 2 + 1, 1.0)
    rebuild, state = program.__reduce__()
    fn, shapes, options, result, parameters, [(entries, outputs, guards, captured)], own = state

    def rebuilt(**changes: Any) -> Any:
        given = {"entries": entries, "outputs": outputs, "guards": guards, "inputs": 1, **changes}
        trace = given["entries"], given["outputs"], given["guards"], captured
        return rebuild(
            fn, shapes, (given["inputs"], *options[1:]), result, parameters, [trace], own
        )

    assert rebuilt()([3.0]).tolist() == [7.0]
    for changes in (
        {"entries": entries[:-1]},
        {"entries": entries[24:]},
        {"entries": entries[:-8] + b"\xff\xff\xff\x7f" + entries[-4:]},
        {"outputs": (1000,)},
        {"outputs": ()},
        {"guards": ((7, 0, 0, True),)},
        {"guards": ((0, 0, 99, True),)},
        {"inputs": 0},
        {"inputs": 5},
        {"inputs": "one"},
        {"entries": "text"},
    ):
        with pytest.raises(ValueError):
            rebuilt(**changes)
