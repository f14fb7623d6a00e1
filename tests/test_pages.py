"""The programs of the pages and notebooks run as they stand, as do the examples of docstrings.

The course has its own tests: test_course.py.
"""

from __future__ import annotations

import contextlib
import doctest
import io
import json
import os
import re
import subprocess
import sys
import warnings
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from types import ModuleType
from typing import Any

import notebooks
import pytest

ROOT = Path(__file__).parent.parent
PAGES = ["README.md", *(f"docs/{path.name}" for path in sorted(ROOT.glob("docs/*.md")))]
NOTEBOOKS = sorted(path.relative_to(ROOT).as_posix() for path in ROOT.glob("docs/**/*.ipynb"))


def text_of(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def sections(page: str) -> list[list[str]]:
    """The programs of each section of a page, first those of the part above all sections."""
    return [
        re.findall(r"```python\n(.*?)```", section, re.DOTALL)
        for section in re.split(r"^(?=## )", text_of(page), flags=re.MULTILINE)
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


@pytest.mark.long
def test_programs_of_the_page_on_explain_run_in_order(
    mg: Any, module: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for program in chain(*sections("docs/explain.md")):
        run(program, module)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["learning.html", "walk.html"]


def test_programs_of_the_readme_run_in_order(
    mg: Any, module: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    programs = [*chain(*sections("README.md"))]
    assert len(programs) == 4
    for program in programs:
        run(program, module)


@pytest.mark.parametrize(
    "page",
    [
        "docs/operators.md",
        "docs/coming-from.md",
        pytest.param("docs/derivatives.md", marks=pytest.mark.long),
    ],
)
def test_programs_of_a_page_run_in_order(
    mg: Any, module: ModuleType, page: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        mg.Value, "swish", None, raising=False
    )  # a page adds one: undone at the end
    for program in chain(*sections(page)):
        run(program, module)


# ---- the page on errors ----


def rows(page: str) -> list[tuple[str, str]]:
    """The code and the error of each row of a page's tables."""
    return re.findall(
        r"^\| `(.+?)` \| `(\w+(?:Error|Warning): .+?)` \|", text_of(page), re.MULTILINE
    )


@pytest.mark.parametrize(("code", "error"), rows("docs/errors.md"))
def test_error_is_raised_as_the_page_says(
    mg: Any,
    module: ModuleType,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    code: str,
    error: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "damaged.json").write_text("{")
    [[imports], *_] = sections("docs/errors.md")
    run(imports, module)
    with warnings.catch_warnings(), pytest.raises((Exception, Warning)) as raised:
        warnings.simplefilter("error")
        exec(code, module.__dict__)
    said = ".*".join(re.escape(part) for part in error.split("..."))
    assert re.fullmatch(said, f"{raised.type.__name__}: {raised.value}", re.DOTALL)


# ---- notebooks ----


@pytest.mark.long
@pytest.mark.parametrize("notebook", [n for n in NOTEBOOKS if "course" not in n])
def test_notebook_runs(notebook: str) -> None:
    if "import matplotlib" in text_of(notebook):
        pytest.importorskip("matplotlib")
    command = [sys.executable, str(ROOT / "tests" / "notebooks.py"), str(ROOT / notebook)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "MPLBACKEND": "agg"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    assert "False" not in done.stdout


@pytest.mark.parametrize("notebook", NOTEBOOKS)
def test_notebook_is_stored_without_outputs(notebook: str) -> None:
    content = json.loads(text_of(notebook))
    code = [cell for cell in content["cells"] if cell["cell_type"] == "code"]
    assert [(c["outputs"], c["execution_count"]) for c in code] == [([], None)] * len(code)
    # A line of the file for each line of a cell, and letters as they are: changes can be read.
    assert text_of(notebook) == json.dumps(content, indent=1, ensure_ascii=False) + "\n"


# ---- all pages ----


def words_of(page: str) -> str:
    """The Markdown of a page or a notebook."""
    if page.endswith(".md"):
        return text_of(page)
    return "\n\n".join(notebooks.cells(ROOT / page, "markdown").values())


@pytest.mark.parametrize("page", [*PAGES, *NOTEBOOKS])
def test_links_lead_somewhere(page: str) -> None:
    folder = (ROOT / page).parent
    for target in re.findall(r"\]\((?!https?:)(.*?)\)", words_of(page)):
        name, _, place = target.partition("#")
        file = folder / name if name else ROOT / page
        assert file.exists(), target
        if place:
            headings = re.findall(r"^#+ (.*)$", file.read_text(), re.MULTILINE)
            assert place in [re.sub(r"[^\w -]", "", h).lower().replace(" ", "-") for h in headings]


def test_every_page_is_in_the_contents() -> None:
    listed = re.findall(r"^(?:.*<)?([\w/-]+)>?$", text_of("docs/index.md"), re.MULTILINE)
    pages = [Path(page).relative_to("docs").with_suffix("") for page in (*PAGES[1:], *NOTEBOOKS)]
    assert {page.as_posix() for page in pages} - {"index"} <= {*listed}


def test_every_public_name_is_in_the_reference(mg: Any) -> None:
    text = "\n".join(path.read_text() for path in ROOT.glob("docs/reference/*.rst"))
    listed = re.findall(r"^\.\. auto\w+:: micrograd_c\.([\w.]+)", text, re.MULTILINE)
    public = {*mg.__all__, "Program", "compile", "jit", "static"}
    public |= {f"optim.{name}" for name in mg.optim.__all__} - {
        "optim.clip_grad_norm",  # there as micrograd_c.clip_grad_norm
        "optim.clip_grad_value",
    }
    assert public - {*listed} == set()
    assert len(listed) == len({*listed})


@pytest.mark.long
def test_examples_of_docstrings_give_what_they_say(mg: Any) -> None:
    for name in ("compile", "jit"):
        getattr(mg, name)  # imported when they are asked for
    modules = [module for name, module in sys.modules.items() if name.startswith("micrograd_c")]
    results = [doctest.testmod(module) for module in modules]
    assert sum(result.attempted for result in results) > 90
    assert not any(result.failed for result in results)
