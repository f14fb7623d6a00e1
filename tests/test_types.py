"""What checkers, editors and help() are told of the package."""

from __future__ import annotations

import ast
import inspect
import re
import subprocess
import sys
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from conftest import BACKENDS
from test_pages import sections

ROOT = Path(__file__).resolve().parents[1]
STUB = ROOT / "micrograd_c" / "_value_type.pyi"


def documented() -> Iterator[tuple[str, str]]:
    """The functions and attributes that the stub documents, each with its docstring."""
    module = ast.parse(STUB.read_text())
    [value] = [node for node in module.body if getattr(node, "name", "") == "Value"]
    assert isinstance(value, ast.ClassDef)
    yield "Value", ast.get_docstring(value) or ""
    for prefix, body in (("", module.body), ("Value.", value.body)):
        for node, after in zip(body, [*body[1:], None]):
            if isinstance(node, ast.FunctionDef) and (text := ast.get_docstring(node)):
                yield prefix + node.name, text
            if isinstance(node, ast.AnnAssign) and isinstance(after, ast.Expr):
                assert isinstance(node.target, ast.Name) and isinstance(after.value, ast.Constant)
                yield prefix + node.target.id, str(after.value.value)


def test_editors_show_the_docstrings_that_help_shows(mg: Any) -> None:
    shown = dict(documented())
    assert {"Value", "Value.data", "Value.tanh", "Value.backward", "maximum"} <= shown.keys()
    for path, text in shown.items():
        found: Any = mg
        for name in path.split("."):
            found = getattr(found, name)
        assert inspect.getdoc(found) == text, path


def test_every_method_of_value_has_a_docstring(mg: Any) -> None:
    names = [name for name in vars(mg.Value) if not name.startswith("_")]
    assert len(names) > 30
    for name in names:
        assert inspect.getdoc(getattr(mg.Value, name)), name


def test_help_of_the_package_names_all_that_it_has(mg: Any) -> None:
    named = set(re.findall(r"\w+", mg.__doc__))
    assert {*mg.__all__, *mg._LAZY} <= named


def run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    """Run a module of this Python, and return what it printed and its status."""
    return subprocess.run(
        [sys.executable, "-m", *map(str, command)], cwd=ROOT, capture_output=True, text=True
    )


def check(*options: str | Path) -> list[str]:
    """Return what `mypy --strict` says, line by line."""
    done = run("mypy", "--strict", "--no-error-summary", *options)
    assert done.returncode in (0, 1), done.stderr
    return done.stdout.splitlines()


@pytest.mark.long
@pytest.mark.skipif("native" not in BACKENDS, reason="the stub is that of the native backend")
def test_the_stub_says_what_the_accelerator_has() -> None:
    pytest.importorskip("mypy")
    config = "--mypy-config-file", str(ROOT / "pyproject.toml")
    done = run("mypy.stubtest", *config, "micrograd_c._value_type")
    assert done.returncode == 0, done.stdout


@pytest.mark.long
def test_programs_of_the_readme_are_clean(tmp_path: Path) -> None:
    pytest.importorskip("mypy")
    program = tmp_path / "readme.py"
    program.write_text("\n".join(chain(*sections("README.md"))))
    assert check(program) == []


@pytest.mark.long
def test_programs_of_the_pages_are_clean_but_for_annotations(tmp_path: Path) -> None:
    pytest.importorskip("mypy")
    pages = {name: [*chain(*sections(f"docs/{name}.md"))] for name in ("c", "explain", "training")}
    [imports], *rest = sections("docs/programs.md")
    pages |= {f"programs{i}": [imports, *programs] for i, programs in enumerate(rest)}
    for name, programs in pages.items():
        (tmp_path / f"{name}.py").write_text("\n".join(programs))
    unannotated = "--allow-untyped-defs", "--allow-incomplete-defs", "--allow-untyped-calls"
    said = check(*unannotated, "--allow-redefinition", "--ignore-missing-imports", tmp_path)
    assert said == []


HEAD = """\
import micrograd_c as mg
from typing import reveal_type

def square(x: mg.Value) -> mg.Value:
    return x * x

v, x, mlp, program = mg.Value(2.0), [1.0, 2.0], mg.MLP(2, [16, 1]), mg.compile(square, 1.0)
"""

REVEALED = {
    "v * 3": "Value",
    "3 / v": "Value",
    "v ** v": "Value",
    "-v.tanh()": "Value",
    "v < 3": "bool",
    "v.data": "float",
    "v.of_my_own": "Any",
    "mg.maximum(v, 1, 2)": "Value",
    "mlp(x)": "Value | list[Value]",
    "mlp.layers[0](x)": "Value | list[Value]",
    "mlp.layers[0].neurons[0](x)": "Value",
    "mlp.parameters()": "list[Value]",
    "mg.hinge([mlp(x)], [1.0])": "Value",
    "mg.softmax(mlp(x))": "list[Value]",
    "mg.jit(square)": "def (x: Value) -> Value",
    "mg.no_grad()(square)": "def (x: Value) -> Value",
    "program": "Program",
    "program.backward(x)": "float",
    "program.parameters": "tuple[Value, ...]",
    "program.gradient(x)": "Any",
    "mg.optim.SGD([{'params': mlp.parameters(), 'lr': 0.1}], lr=1.0)": "SGD",
}


@pytest.mark.long
def test_checkers_know_what_expressions_are(tmp_path: Path) -> None:
    pytest.importorskip("mypy")
    program = tmp_path / "program.py"
    program.write_text(HEAD + "".join(f"reveal_type({text})\n" for text in REVEALED))
    types = [re.search(r'note: Revealed type is "(.*)"', line) for line in check(program)]
    short = [re.sub(r"\b(\w+\.)+(?=\w)", "", found[1]) if found else "" for found in types]
    assert dict(zip(REVEALED, short, strict=True)) == REVEALED


WRONG = """\
mg.Value("2")
v + "2"
v.data = "2"
mlp(2.0)
mg.MLP(2, [1], activation="relo")
mg.Layer(2, "3")
mlp(x).relu()
"""

RIGHT = """\
v.of_my_own = 3
v._backward = lambda: None
mg.MLP(2, [16, 1], activation=["relu", None])
mg.Value(1, (v,), "+", label="sum").backward()
mg.Value(1.0, (v,), (2.0,))
mg.Value(1.0, _children=(v,), _op="+")
"""


@pytest.mark.long
def test_checkers_find_errors_in_each_wrong_line_alone(tmp_path: Path) -> None:
    pytest.importorskip("mypy")
    program = tmp_path / "program.py"
    program.write_text(HEAD + RIGHT + WRONG)
    said = check(program)
    lines = {int(line.split(":")[1]) for line in said if ": error: " in line}
    before = (HEAD + RIGHT).count("\n")
    assert lines == {before + 1 + i for i in range(WRONG.count("\n"))}, said
