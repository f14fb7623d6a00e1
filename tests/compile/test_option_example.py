"""The example of an option's price."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("numpy")


EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.mark.long
def test_the_options_sensitivities_are_those_of_differences_and_of_the_formula(
    mg: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["option.py", "--paths", "20000", "--threads", "2"])
    runpy.run_path(str(EXAMPLES / "option.py"), run_name="__main__")
    lines = capsys.readouterr().out.splitlines()
    rows = [line.split() for line in lines if line.startswith("  ")]
    formula = [(float(r[1]), float(r[4])) for r in rows if "form" in r]
    differences = [(float(r[1]), float(r[3])) for r in rows if "differences" in r]
    assert len(formula) == 15 and len(differences) == 20
    assert all(abs(a - b) < 0.03 * max(10.0, abs(b)) for a, b in formula)
    assert all(abs(a - b) < 2e-3 * max(1.0, abs(b)) for a, b in differences)
    assert "4 specializations" in "".join(lines)
