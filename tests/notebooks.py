"""Notebooks as tests see them: their cells, and a run without Jupyter.

python tests/notebooks.py NOTEBOOK      runs a notebook, in the folder that it is in
"""

from __future__ import annotations

import ast
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def cells(notebook: Path, kind: str) -> dict[str, str]:
    """Return the text of each cell of a kind, 'code' or 'markdown', by the cell's id."""
    found = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    return {cell["id"]: "".join(cell["source"]) for cell in found if cell["cell_type"] == kind}


def run(notebook: Path, names: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Run cell by cell with these names; yield each cell's id, and what it shows."""
    for cell, text in cells(notebook, "code").items():
        *statements, last = ast.parse(text).body
        shown = None
        if not isinstance(last, ast.Expr):
            statements.append(last)
        exec(compile(ast.Module(statements, []), cell, "exec"), names)
        if isinstance(last, ast.Expr):
            shown = eval(compile(ast.Expression(last.value), cell, "eval"), names)
        yield cell, shown


if __name__ == "__main__":
    file = Path(sys.argv[1]).resolve()
    os.chdir(file.parent)
    for _, shown in run(file, {"__name__": "__main__"}):
        if shown is not None:
            print(repr(shown)[:200])
