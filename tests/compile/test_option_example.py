"""The example of an option's price."""

from __future__ import annotations

import re
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


@pytest.mark.long
@pytest.mark.parametrize("bar", [True, False])
def test_the_options_standard_error_falls_as_chunks_of_paths_are_added(
    mg: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, bar: bool
) -> None:
    pytest.importorskip("dask.array")
    monkeypatch.syspath_prepend(str(EXAMPLES))
    monkeypatch.delitem(sys.modules, "option", raising=False)
    options = ["--paths", "40000", "--chunk", "1000", "--batches", "4"] + ["--quiet"] * (not bar)
    monkeypatch.setattr(sys, "argv", ["option_cluster.py", *options])
    runpy.run_path(str(EXAMPLES / "option_cluster.py"), run_name="__main__")
    monkeypatch.delitem(sys.modules, "option")
    text = capsys.readouterr().out
    assert ("100% Completed" in text) is bar
    found = re.findall(r"([\d,]+) paths: price (\S+), standard error (\S+)", text)
    counts = [int(count.replace(",", "")) for count, _, _ in found]
    prices, errors = ([float(row[i]) for row in found] for i in (1, 2))
    assert counts == [10_000, 20_000, 30_000, 40_000]
    assert errors == sorted(errors, reverse=True) and errors[-1] == pytest.approx(0.046, rel=0.1)
    assert abs(prices[-1] - 6.6530) < 4 * errors[-1]
    spot = re.search(r"spot +(\S+)", text)
    assert spot is not None and float(spot[1]) == pytest.approx(0.597, abs=0.02)
