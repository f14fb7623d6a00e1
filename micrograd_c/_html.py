"""A small table in HTML, for notebooks.

Cells are text, which is escaped. The table has no colours of its own: those of the page hold, light
or dark.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

LONGEST = 100  # characters of a cell


def table(caption: str, head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table of n columns with a caption; `rows` have n cells each."""
    lines = [_row("th", head), *(_row("td", row) for row in rows)]
    title = f'<caption style="text-align:left"><b>{_text(caption)}</b></caption>'
    return f"<table>{title}\n" + "\n".join(lines) + "\n</table>"


def _row(tag: str, cells: Sequence[str]) -> str:
    left = ' style="text-align:left;padding:0.2em 0.6em"'  # notebooks put cells to the right
    return f"<tr>{''.join(f'<{tag}{left}>{_text(cell)}</{tag}>' for cell in cells)}</tr>"


def _text(cell: str) -> str:
    return escape(cell if len(cell) <= LONGEST else cell[: LONGEST - 1] + "…")
