"""The programs in examples/ run as they are, whatever class their one import gives them.

Each is run as a script, over the package on each backend and over a pure-Python Value of its
family, and what it prints is compared: with the depth-first order of pure Python the losses agree
to 12 digits, with the engine's own order every character is the same.
"""

from __future__ import annotations

import contextlib
import functools
import gc
import io
import random
import re
import runpy
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import pytest
from dialects import (
    CreationOrderedLecture,
    CreationOrderedLocalGrads,
    CreationOrderedPrev,
    Lecture,
    LocalGrads,
    Prev,
)
from reference import CreationOrdered, Value

EXAMPLES = Path(__file__).parent.parent / "examples"


class Example(NamedTuple):
    name: str
    short: tuple[str, ...]  # options for a run that pure Python finishes soon
    longer: tuple[str, ...]  # options for a run that learns something
    depth_first: type
    creation_ordered: type


ROWS = [
    Example("neuron_by_hand", (), (), Lecture, CreationOrderedLecture),
    Example("softmax_by_hand", (), (), Value, CreationOrdered),
    Example(
        "two_moons",
        ("--steps", "4", "--points", "20", "--map", "5"),
        ("--steps", "15", "--points", "40", "--map", "0"),
        Value,
        CreationOrdered,
    ),
    Example(
        "adamw",
        ("--steps", "11", "--points", "30"),
        ("--steps", "40", "--points", "60"),
        Prev,
        CreationOrderedPrev,
    ),
    Example(
        "microgpt",
        ("--steps", "4", "--samples", "2"),
        ("--steps", "30", "--samples", "0"),
        LocalGrads,
        CreationOrderedLocalGrads,
    ),
]
each_example = pytest.mark.parametrize("example", ROWS, ids=[example.name for example in ROWS])


@contextlib.contextmanager
def kept(cls: Any) -> Any:
    """Undo afterwards what is assigned to attributes of this class."""
    before = dict(vars(cls))
    try:
        yield
    finally:
        for name, attribute in dict(vars(cls)).items():
            if name not in before:
                delattr(cls, name)
            elif attribute is not before[name]:
                setattr(cls, name, before[name])


def run(value: Any, name: str, *options: str) -> str:
    """Run an example as a script over this class of Values; return what it prints."""
    path = str(EXAMPLES / f"{name}.py")
    package = ModuleType("micrograd_c")
    package.Value = value  # type: ignore[attr-defined]
    output = io.StringIO()
    state = random.getstate()
    with pytest.MonkeyPatch.context() as patch, kept(value), contextlib.redirect_stdout(output):
        patch.setitem(sys.modules, "micrograd_c", package)
        patch.setattr(sys, "argv", [path, *options])
        try:
            runpy.run_path(path, run_name="__main__")
        finally:
            random.setstate(state)
    return output.getvalue()


@functools.cache
def expected(value: Any, example: Example) -> str:
    """What an example prints in pure Python; collections would take most of its time."""
    gc.disable()
    try:
        return run(value, example.name, *example.short)
    finally:
        gc.enable()


LOSS = re.compile(r"\b(?:loss|validation) (\S+)")
NUMBER = re.compile(r"[-+]?\d+(?:\.\d+)?(?:e[-+]?\d+)?")


def losses(output: str) -> list[float]:
    return [float(loss) for loss in LOSS.findall(output)]


def numbers(output: str) -> list[float]:
    return [float(number) for number in NUMBER.findall(output)]


def assert_agree(output: str, other: str) -> None:
    """Check that all words are the same, losses to 12 digits, other numbers as they are rounded."""
    assert NUMBER.sub("_", output) == NUMBER.sub("_", other)
    assert losses(output) == pytest.approx(losses(other), rel=1e-12, abs=0)
    assert numbers(output) == pytest.approx(numbers(other), rel=1e-12, abs=2e-12)


def test_every_example_is_tested() -> None:
    compiled = {
        "option",
        "option_cluster",
        "newton",
        "microgpt_compiled",
        "moons_to_c",
    }  # for this package alone: tests in compile/ and export/
    names = {example.name for example in ROWS} | compiled
    assert {path.stem for path in EXAMPLES.glob("*.py")} == names


@pytest.mark.long
@each_example
def test_losses_are_those_of_pure_python_to_twelve_digits(mg: Any, example: Example) -> None:
    output = run(mg.Value, example.name, *example.short)
    assert len(losses(output)) >= 4
    assert_agree(output, expected(example.depth_first, example))


@pytest.mark.long
@each_example
def test_output_is_that_of_pure_python_in_the_order_of_creation(mg: Any, example: Example) -> None:
    output = run(mg.Value, example.name, *example.short)
    assert output == expected(example.creation_ordered, example)


@pytest.mark.long
def test_two_moons_runs_over_the_micrograd_package_too(mg: Any) -> None:
    micrograd = pytest.importorskip("micrograd.engine", reason="the oracle is optional")
    example = next(example for example in ROWS if example.name == "two_moons")
    output = run(mg.Value, example.name, *example.short)
    assert_agree(output, expected(micrograd.Value, example))


@pytest.mark.long
@each_example
def test_example_learns(mg: Any, example: Example) -> None:
    output = run(mg.Value, example.name, *example.longer)
    steps = [losses(line)[0] for line in output.splitlines() if line.startswith("step ")]
    n = max(1, len(steps) // 3)  # one document is harder than another
    assert sum(steps[-n:]) < 0.9 * sum(steps[:n])


def test_adamw_draws_the_graph_that_pure_python_draws(mg: Any, tmp_path: Path) -> None:
    graphs: list[str] = []
    for value in (mg.Value, Prev):
        file = tmp_path / f"{len(graphs)}.dot"
        run(value, "adamw", "--steps", "0", "--points", "6", "--draw", str(file))
        graphs.append(file.read_text(encoding="utf-8"))
    assert graphs[0] == graphs[1]
    assert graphs[0].count("fillcolor=lightgreen") == 3


def test_microgpt_operator_of_its_own_has_the_gradients_of_the_engines_operators(mg: Any) -> None:
    inverse_rms = runpy.run_path(str(EXAMPLES / "microgpt.py"))["inverse_rms"]
    numbers = [0.5, -1.25, 2.0, 0.0]
    ours, theirs = [list(map(mg.Value, numbers)) for _ in range(2)]
    scale = inverse_rms(ours)
    composed = (sum(x * x for x in theirs) / len(theirs) + 1e-5) ** -0.5
    scale.backward()
    composed.backward()
    assert scale.data == pytest.approx(composed.data, rel=1e-14)
    assert [x.grad for x in ours] == pytest.approx([x.grad for x in theirs], rel=1e-13)


def test_microgpt_makes_up_names_from_the_text_it_is_given(mg: Any, tmp_path: Path) -> None:
    text = tmp_path / "text.txt"
    text.write_text("ab\nba\n\nabab\n", encoding="utf-8")
    options = ["--text", str(text), "--steps", "2", "--samples", "3"]
    output = run(mg.Value, "microgpt", *options)
    assert output.startswith("3 documents, 3 tokens\n")
    assert re.fullmatch(r"(sample \d: [ab]{0,12}\n){3}", output[output.index("sample 1") :])


def test_microgpts_text_is_lower_case_names_one_a_line() -> None:
    lines = (EXAMPLES / "names.txt").read_text(encoding="utf-8").splitlines()
    assert lines == sorted(set(lines))
    assert all(re.fullmatch("[a-z]{2,11}", line) for line in lines)


def test_contenders_of_the_benchmarks_are_found() -> None:
    root = Path(__file__).resolve().parent.parent
    code = "from benchmarks.contenders import engine; print(engine('reference').value(2.0).data)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True
    )
    assert done.stdout == "2.0\n"
