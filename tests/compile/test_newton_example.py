"""The example of Newton's method."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("numpy")

EXAMPLES = Path(__file__).parents[2] / "examples"


def test_newton_reaches_the_minimum_of_rosenbrocks_function(
    mg: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["newton.py"])
    with pytest.raises(SystemExit) as stop:
        runpy.run_path(str(EXAMPLES / "newton.py"), run_name="__main__")
    lines = capsys.readouterr().out.splitlines()
    assert stop.value.code == 0
    assert len(lines) < 60 and float(lines[-1].split()[-1]) < 1e-10
