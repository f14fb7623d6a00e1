"""Compiled programs: training steps beside C and numpy by hand, long programs, compile time.

Every training starts from the same parameters, and its losses are compared with numpy's, or the
reference's, before it is timed; of a long program two rows are compared with the function itself.
Beside that stands a loop that multiplies and adds as often, over memory like its own.
A round of the small ones is many steps; the calls from Python are part of it.
"""

from __future__ import annotations

from typing import Any

import pytest

np = pytest.importorskip("numpy")

import micrograd_c as mg  # noqa: E402
from micrograd_c._command import reference as _reference  # noqa: E402

from . import compiled, other_engines, programs  # noqa: E402
from .conftest import Measure, needs_c  # noqa: E402

COMPILED = "micrograd_c, compiled"
WIDEST = "C by hand, the widest loop"
STEPS = 500
INSTRUCTIONS, ROWS = 10_000, 100_000
NODES = 1_000_000
PATHS = 100_000
PURE = "pure-Python reference, gc off"


def time_training(training: Any, contender: str, measure: Measure) -> None:
    expected = compiled.NumpyTraining(training.activation).run(20)
    np.testing.assert_allclose(training.run(20), expected, rtol=1e-10)
    measure(
        lambda: training.run(STEPS),
        contender=contender,
        unit="step",
        count=STEPS,
        timed="whole steps",
    )


@pytest.mark.parametrize(
    "activation",
    [
        pytest.param(a, marks=pytest.mark.benchmark(group=f"compiled: two moons, {a}"))
        for a in ("relu", "tanh")
    ],
)
class TestMoons:
    @needs_c
    def test_c(self, activation: str, measure: Measure) -> None:
        time_training(compiled.CTraining(activation), "C by hand, dead rows skipped", measure)

    def test_numpy(self, activation: str, measure: Measure) -> None:
        time_training(compiled.NumpyTraining(activation), "numpy by hand", measure)

    def test_torch(self, activation: str, measure: Measure) -> None:
        pytest.importorskip("torch")
        time_training(compiled.TorchTraining(activation), "torch, its modules", measure)

    def test_compiled(self, activation: str, measure: Measure) -> None:
        time_training(compiled.CompiledTraining(activation), COMPILED, measure)


@pytest.mark.benchmark(group="notebook step")
@pytest.mark.parametrize("built", [False, pytest.param(True, marks=needs_c)])
def test_notebook(built: bool, measure: Measure) -> None:
    training = compiled.Notebook(built=built)
    model = programs.NotebookMLP(_reference.Value, programs.NOTEBOOK_SIZES)
    reference = programs.notebook_training(model)
    np.testing.assert_allclose(training.run(20), [reference.step() for _ in range(20)], rtol=1e-10)
    measure(
        lambda: training.run(STEPS),
        contender=COMPILED + " and built" * built,
        unit="step",
        count=STEPS,
        timed="whole steps",
    )


@pytest.mark.benchmark(group="compiled: 10,000 instructions over 100,000 rows")
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("mode", ["forward", "forward and reverse"])
def test_long_program(mode: str, threads: int, measure: Measure) -> None:
    fn = compiled.random_program(INSTRUCTIONS)
    program = mg.compile(fn, *[0.3] * 10)
    columns = list(np.random.default_rng(0).normal(size=(10, ROWS)))
    run = program if mode == "forward" else program.gradient
    for row in (0, ROWS - 1):
        inputs = [mg.Value(column[row]) for column in columns]
        out = fn(*inputs)
        out.backward()
        expected = out.data if mode == "forward" else [v.grad for v in inputs]
        found = run(*(column[[row]] for column in columns))
        np.testing.assert_allclose(np.ravel(found), expected, rtol=1e-10)
    evaluated = program._traces[0].facts().instructions
    measure(
        lambda: run(*columns, threads=threads),
        contender=f"{mode}, {threads} thread{'s' * (threads > 1)}",
        unit="node evaluation",
        count=evaluated * ROWS * (1 if mode == "forward" else 2),
        timed="whole calls",
    )


@needs_c
@pytest.mark.benchmark(group="compiled: 10,000 instructions over 100,000 rows")
def test_widest_loop(measure: Measure) -> None:
    few = compiled.WidestLoop(slots=9, evaluations=11, rows=300, reach=3)
    expected = few.by_numpy(0.5)
    few.run(0.5)
    np.testing.assert_allclose(few.numbers, expected, rtol=1e-12)
    program = mg.compile(compiled.random_program(INSTRUCTIONS), *[0.3] * 10)
    loop = compiled.WidestLoop.like(program, ROWS)
    measure(
        loop.run,
        contender=WIDEST,
        unit="node evaluation",
        count=loop.evaluations,
        timed="whole calls",
    )


@pytest.mark.benchmark(group="compiled: compiling a million nodes")
def test_compile_time(measure: Measure) -> None:
    fn = compiled.long_function(NODES)
    np.testing.assert_allclose(mg.compile(fn, 1.0)([1.0]), fn(1.0), rtol=1e-10)
    measure(
        lambda: mg.compile(fn, 1.0)([1.0]),
        contender=COMPILED,
        unit="node",
        count=NODES,
        timed="recording, compiling and a first call",
    )


@pytest.mark.benchmark(group="compiled: an Asian option, price and 20 sensitivities")
@pytest.mark.parametrize("how", [COMPILED, PURE, "xad"])
def test_option(how: str, measure: Measure) -> None:
    if how == "xad":
        pytest.importorskip("xad")
    payoff, _, numbers, shocks = compiled.option_paths(PATHS if how == COMPILED else 100)
    inputs = [mg.Value(x) for x in numbers]
    program = mg.compile(lambda path: payoff(inputs, path), shocks[0])
    values = [_reference.Value(x) for x in numbers]

    def run_compiled() -> None:
        program.backward(shocks)

    def run_pure() -> None:
        for path in shocks.tolist():
            payoff(values, path).backward()

    def run_xad() -> None:
        for path in shocks.tolist():
            other_engines.xad_gradients(payoff, numbers, path)

    program.backward(shocks[:1])
    payoff(values, shocks[0].tolist()).backward()
    expected = [v.grad for v in values]
    np.testing.assert_allclose([v.grad for v in inputs], expected, rtol=1e-10)
    if how == "xad":
        found = other_engines.xad_gradients(payoff, numbers, shocks[0].tolist())
        np.testing.assert_allclose(found, expected, rtol=1e-10)
    measure(
        {COMPILED: run_compiled, PURE: run_pure, "xad": run_xad}[how],
        contender=how,
        unit="path",
        count=len(shocks),
        timed="payoffs and gradients",
        gc_on=how != PURE,
    )
