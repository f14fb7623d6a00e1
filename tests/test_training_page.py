"""The programs of docs/training.md run as they stand."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

PAGE = Path(__file__).parent.parent / "docs" / "training.md"


def test_programs_of_the_page_run_in_order_and_learn(mg: Any) -> None:
    names: dict[str, Any] = {}
    programs = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert len(programs) == 4
    exec(programs[0], names)
    assert names["loss"].data < 0.1
    for program in programs[1:]:
        exec(program, names)
    rates = [group["lr"] for group in names["optimizer"].param_groups]
    assert rates == pytest.approx([0.0005, 0.01])
