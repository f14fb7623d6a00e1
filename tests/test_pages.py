"""The programs of the pages run as they stand, and so do the examples of docstrings."""

from __future__ import annotations

import contextlib
import doctest
import io
import re
import sys
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent


def sections(page: str) -> list[list[str]]:
    """The programs of each section of a page, first those of the part above all sections."""
    text = (ROOT / page).read_text()
    return [
        re.findall(r"```python\n(.*?)```", section, re.DOTALL)
        for section in re.split(r"^(?=## )", text, flags=re.MULTILINE)
    ]


def run(program: str, module: ModuleType) -> None:
    """Run a program; assert that it prints what the comments behind its prints say."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(program, "program.py", "exec"), module.__dict__)
    said = re.findall(r"^ *print\(.*\)  +# (.*)$", program, re.MULTILINE)
    assert printed.getvalue().splitlines() == said


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """A module for programs: pickle and dataclasses look for it by its name."""
    made = ModuleType("program")
    monkeypatch.setitem(sys.modules, "program", made)
    yield made
    made.__dict__.clear()  # nothing of it outlives the test


def test_programs_of_training_run_in_order_and_learn(
    mg: Any, module: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    *programs, checkpoints = chain(*sections("docs/training.md"))
    assert len(programs) == 4
    run(programs[0], module)
    assert module.loss.data < 0.1
    for program in programs[1:]:
        run(program, module)
    rates = [group["lr"] for group in module.optimizer.param_groups]
    assert rates == pytest.approx([0.0005, 0.01])
    run(checkpoints, module)
    assert module.loss.data < 0.1
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "checkpoint.safetensors",
        "model.json",
    ]


@pytest.mark.parametrize("i", range(1, len(sections("docs/programs.md"))))
def test_programs_of_a_section_run_below_the_imports(mg: Any, module: ModuleType, i: int) -> None:
    [imports], *rest = sections("docs/programs.md")
    for program in [imports, *rest[i - 1]]:
        run(program, module)


def test_programs_of_the_page_on_c_run_in_order(
    mg: Any, module: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for program in chain(*sections("docs/c.md")):
        run(program, module)


def test_programs_of_the_page_on_explain_run_in_order(
    mg: Any, module: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for program in chain(*sections("docs/explain.md")):
        run(program, module)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["learning.html", "walk.html"]


def test_programs_of_the_readme_run_in_order(mg: Any, module: ModuleType) -> None:
    programs = [*chain(*sections("README.md"))]
    assert len(programs) == 4
    for program in programs:
        run(program, module)


@pytest.mark.parametrize("page", ["README.md", *(f"docs/{p.name}" for p in ROOT.glob("docs/*.md"))])
def test_links_lead_somewhere(page: str) -> None:
    folder = (ROOT / page).parent
    for target in re.findall(r"\]\((?!https?:)(.*?)\)", (ROOT / page).read_text()):
        name, _, place = target.partition("#")
        file = folder / name if name else ROOT / page
        assert file.exists(), target
        if place:
            headings = re.findall(r"^#+ (.*)$", file.read_text(), re.MULTILINE)
            assert place in [re.sub(r"[^\w -]", "", h).lower().replace(" ", "-") for h in headings]


@pytest.mark.long
def test_examples_of_docstrings_give_what_they_say(mg: Any) -> None:
    for name in ("compile", "jit"):
        getattr(mg, name)  # imported when they are asked for
    modules = [module for name, module in sys.modules.items() if name.startswith("micrograd_c")]
    results = [doctest.testmod(module) for module in modules]
    assert sum(result.attempted for result in results) > 90
    assert not any(result.failed for result in results)
