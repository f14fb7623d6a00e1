"""The example of a GPT trained by replays."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("numpy")

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.mark.long
def test_graphs_and_replays_have_the_same_losses_and_learn(
    mg: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    options = ["--steps", "40", "--batch", "8", "--compare", "3"]
    monkeypatch.setattr(sys, "argv", ["microgpt_compiled.py", *options])
    monkeypatch.delitem(sys.modules, "microgpt", raising=False)  # it has another backend's Value
    runpy.run_path(str(EXAMPLES / "microgpt_compiled.py"), run_name="__main__")
    jit, compiled, training, *samples = capsys.readouterr().out.splitlines()
    assert all(float(line.split()[-3]) < 1e-9 for line in (jit, compiled))
    words = training.replace(",", "").split()
    assert float(words[words.index("to") + 1]) < float(words[words.index("loss") + 1]) - 0.3
    assert len(samples) == 5
    monkeypatch.delitem(sys.modules, "microgpt")
