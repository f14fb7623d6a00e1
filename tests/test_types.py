"""What checkers, editors and help() are told of the package."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import BACKENDS

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


def run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    """Run a module of this Python, and return what it printed and its status."""
    return subprocess.run(
        [sys.executable, "-m", *map(str, command)], cwd=ROOT, capture_output=True, text=True
    )


@pytest.mark.long
@pytest.mark.skipif("native" not in BACKENDS, reason="the stub is that of the native backend")
def test_the_stub_says_what_the_accelerator_has() -> None:
    pytest.importorskip("mypy")
    done = run("mypy.stubtest", "micrograd_c._value_type")
    assert done.returncode == 0, done.stdout
