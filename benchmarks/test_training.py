"""A whole training step: forward, loss, gradients to zero, backward, update.

Four workloads. Two moons, 2-16-16-1, 100 points, about 66,000 nodes: once with a user's own lists
of Values and loops over them, once with a class MLP, the package's or that of micrograd's
unmodified nn.py. The notebook's network, 3-4-4-1 on its four examples, with the package's MLP
and with the lecture's classes. A small GPT in the manner of microgpt, one layer of 16 dimensions,
on a name of six letters, about 56,000 nodes: as it is written, and with the package's functions.
In the compiled rows the letters of a name are a row of numbers, looked up by `take`; a step takes
one name, or 32 times the same; a built program's C serves the calls of one.
Beside nn.py stands the forward pass alone of the same loops on plain floats, beside the GPT that
and Adam's loop: what such a step takes without any derivative. In the rows with jit the loops are
the same, and the loss is a function with `@mg.jit`.
Every contender starts from the same parameters; three steps of its losses, and the parameters after
them, for the GPT also the gradients, are compared with the reference before it is timed.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import pytest

from . import by_hand, floats, gpt_by_hand, other_engines
from .conftest import Measure, frozen, needs_c
from .contenders import CONTENDERS, OURS, Contender, check_equal, has
from .programs import STEPS_COMPARED
from .trainings import (
    compiled_gpt,
    gpt,
    jitted_gpt,
    jitted_gpt_with_adam,
    jitted_lists,
    jitted_mlp,
    lecture_classes,
    micrograd_mlp,
    own_lists,
    package_gpt,
    package_mlp,
    package_mlp_notebook,
    package_whole,
    package_whole_notebook,
)

LISTS = "two moons, own lists"
MLP = "two moons, MLP"
NOTEBOOK = "notebook step"
GPT = "microgpt step"

WITH_NN = [contender for contender in CONTENDERS if contender.engine != "reference"]
# The published micrograd has neither exp nor log.
WITH_EXP = [contender for contender in CONTENDERS if contender.engine != "micrograd"]
WITH_EXP += [Contender("lean", gc) for gc in (False, True)]
needs_numpy = pytest.mark.skipif(not has("numpy"), reason="numpy is not installed")

STEPS_BEFORE = {"native": 100, "cffi": 10}  # so that the arena is a used one


@cache
def expected(group: str) -> Any:
    """Return what the reference computes."""
    form = {NOTEBOOK: lecture_classes, GPT: gpt}.get(group, own_lists)
    with frozen(gc_on=False):
        return form("reference").trace(STEPS_COMPARED)


def time_steps(
    training: Any,
    group: str,
    contender: Contender,
    measure: Measure,
    form: str,
    documents: int = 1,
) -> None:
    """Compare three steps, then time single ones, or 20 together where they are short.

    A step on so many documents counts as so many.
    """
    with frozen(gc_on=False):
        check_equal(training.trace(STEPS_COMPARED), expected(group))
        for _ in range(STEPS_BEFORE.get(contender.engine, 0)):
            training.step()
    count = 20 if group == NOTEBOOK else 1

    def steps() -> None:
        for _ in range(count):
            training.step()

    measure(
        steps,
        contender=f"{contender.name}{form}",
        unit="step",
        count=count * documents,
        timed="whole steps",
        gc_on=contender.gc,
    )


@pytest.mark.benchmark(group=LISTS)
@pytest.mark.parametrize("contender", CONTENDERS, ids=str)
def test_own_lists(contender: Contender, measure: Measure) -> None:
    time_steps(own_lists(contender.engine), LISTS, contender, measure, "")


@pytest.mark.benchmark(group=MLP)
@pytest.mark.parametrize("contender", OURS, ids=str)
def test_package_mlp(contender: Contender, measure: Measure) -> None:
    time_steps(package_mlp(contender.engine), MLP, contender, measure, ", its MLP")


@pytest.mark.benchmark(group=MLP)
@pytest.mark.parametrize("contender", OURS, ids=str)
def test_package_whole(contender: Contender, measure: Measure) -> None:
    form = ", its MLP, hinge and SGD"
    time_steps(package_whole(contender.engine), MLP, contender, measure, form)


@pytest.mark.skipif(not has("micrograd"), reason="micrograd is not installed")
@pytest.mark.benchmark(group=MLP)
@pytest.mark.parametrize("contender", WITH_NN, ids=str)
def test_micrograd_mlp(contender: Contender, measure: Measure) -> None:
    form = "" if contender.engine == "micrograd" else ", micrograd's nn.py"
    time_steps(micrograd_mlp(contender.engine), MLP, contender, measure, form)


@pytest.mark.benchmark(group=NOTEBOOK)
@pytest.mark.parametrize("contender", OURS, ids=str)
def test_notebook_package_mlp(contender: Contender, measure: Measure) -> None:
    training = package_mlp_notebook(contender.engine)
    time_steps(training, NOTEBOOK, contender, measure, ", its MLP")


@pytest.mark.benchmark(group=NOTEBOOK)
@pytest.mark.parametrize("contender", OURS, ids=str)
def test_notebook_package_whole(contender: Contender, measure: Measure) -> None:
    training = package_whole_notebook(contender.engine)
    time_steps(training, NOTEBOOK, contender, measure, ", its MLP, mse and SGD")


@pytest.mark.benchmark(group=NOTEBOOK)
@pytest.mark.parametrize("contender", CONTENDERS, ids=str)
def test_notebook_lecture_classes(contender: Contender, measure: Measure) -> None:
    form = ", the lecture's classes" if contender in OURS else ""
    time_steps(lecture_classes(contender.engine), NOTEBOOK, contender, measure, form)


@pytest.mark.benchmark(group=GPT)
@pytest.mark.parametrize("contender", WITH_EXP, ids=str)
def test_gpt(contender: Contender, measure: Measure) -> None:
    time_steps(gpt(contender.engine), GPT, contender, measure, "")


@pytest.mark.benchmark(group=GPT)
@pytest.mark.parametrize("contender", OURS, ids=str)
def test_package_gpt(contender: Contender, measure: Measure) -> None:
    form = ", its functions and Adam"
    time_steps(package_gpt(contender.engine), GPT, contender, measure, form)


@needs_numpy
@pytest.mark.parametrize(
    ("group", "make", "form"),
    [
        pytest.param(group, make, form, marks=pytest.mark.benchmark(group=group))
        for group, make, form in [
            (LISTS, jitted_lists, ", @jit"),
            (MLP, jitted_mlp, ", its MLP, @jit"),
            (GPT, jitted_gpt, ", @jit"),
            (GPT, jitted_gpt_with_adam, ", @jit and its Adam"),
        ]
    ],
)
def test_jit(group: str, make: Any, form: str, measure: Measure) -> None:
    time_steps(make(), group, OURS[0], measure, form)


@needs_numpy
@pytest.mark.benchmark(group=GPT)
@pytest.mark.parametrize(
    ("documents", "built", "form"),
    [
        (1, False, ", compiled"),
        (32, False, ", compiled, 32 names a step, for each"),
        pytest.param(1, True, ", compiled and built", marks=needs_c),
    ],
)
def test_compiled_gpt(documents: int, built: bool, form: str, measure: Measure) -> None:
    training = compiled_gpt(documents, built=built)
    time_steps(training, GPT, OURS[0], measure, form, documents)


@pytest.mark.benchmark(group=MLP)
@pytest.mark.skipif(not has("micrograd"), reason="micrograd is not installed")
def test_moons_on_floats(measure: Measure) -> None:
    form = ", nn.py, forward alone"
    time_floats(floats.forward_of_moons(), expected(MLP)[0], measure, form, "the forward pass")


@pytest.mark.benchmark(group=GPT)
def test_gpt_on_floats(measure: Measure) -> None:
    parameters = (len(expected(GPT)) - STEPS_COMPARED) // 2  # behind as many gradients
    timed = "the forward pass and Adam"
    time_floats(floats.step_of_gpt(), expected(GPT)[parameters], measure, ", no backward", timed)


def time_floats(
    run: Callable[[], float], loss: float, measure: Measure, form: str, timed: str
) -> None:
    """Time what all steps contain, without a Value."""
    check_equal([run()], [loss])
    measure(run, contender=f"plain floats{form}", unit="step", count=1, timed=timed)


@needs_c
@pytest.mark.parametrize(
    ("group", "make"),
    [
        pytest.param(group, make, marks=pytest.mark.benchmark(group=group))
        for group, make in [
            (LISTS, by_hand.c_moons),
            (MLP, by_hand.c_moons),
            (NOTEBOOK, by_hand.c_notebook),
        ]
    ],
)
def test_c(group: str, make: Any, measure: Measure) -> None:
    training = make()
    check_equal(training.trace(STEPS_COMPARED), expected(group))
    count = 1000 if group == NOTEBOOK else 20
    measure(
        lambda: training.run(count),
        contender="C by hand",
        unit="step",
        count=count,
        timed="whole steps",
    )


@needs_numpy
@pytest.mark.parametrize(
    ("group", "make"),
    [
        pytest.param(group, make, marks=pytest.mark.benchmark(group=group))
        for group, make in [
            (LISTS, by_hand.NumpyMoons),
            (MLP, by_hand.NumpyMoons),
            (NOTEBOOK, by_hand.NumpyNotebook),
        ]
    ],
)
def test_numpy(group: str, make: Any, measure: Measure) -> None:
    training = make()
    check_equal(training.trace(STEPS_COMPARED), expected(group))
    measure(
        training.step,
        contender="numpy by hand",
        unit="step",
        count=1,
        timed="whole steps",
    )


@pytest.mark.benchmark(group=GPT)
@pytest.mark.parametrize(
    ("name", "make"),
    [
        pytest.param("C by hand", gpt_by_hand.InC, marks=needs_c),
        pytest.param("numpy by hand", gpt_by_hand.InNumpy, marks=needs_numpy),
    ],
)
def test_gpt_by_hand(name: str, make: Any, measure: Measure) -> None:
    training = make()
    check_equal(training.trace(STEPS_COMPARED), expected(GPT))
    measure(training.step, contender=name, unit="step", count=1, timed="whole steps")


@pytest.mark.parametrize("library", sorted(other_engines.TRAININGS))
@pytest.mark.parametrize(
    "group", [pytest.param(g, marks=pytest.mark.benchmark(group=g)) for g in (LISTS, NOTEBOOK)]
)
def test_other_engine(group: str, library: str, measure: Measure) -> None:
    if not has(library):
        pytest.skip(f"{library} is not installed")
    training = other_engines.TRAININGS[library](notebook=group == NOTEBOOK)
    check_equal(training.trace(STEPS_COMPARED), expected(group))
    measure(training.step, contender=library, unit="step", count=1, timed="whole steps")


@pytest.mark.skipif(not has("xad"), reason="xad is not installed")
@pytest.mark.benchmark(group=GPT)
def test_gpt_in_xad(measure: Measure) -> None:
    training = other_engines.XadGpt()
    check_equal(training.trace(STEPS_COMPARED), expected(GPT))
    measure(training.step, contender="xad", unit="step", count=1, timed="whole steps")
