"""The fuzzer: it finds nothing, and would find something."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from conftest import SLOW
from fuzz.shrink import shrink

FUZZ = Path(__file__).with_name("fuzz")


def run(mg: Any, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the fuzzer on the backend under test."""
    path = os.pathsep.join([str(Path(mg.__file__).parent.parent), *sys.path])
    return subprocess.run(
        [sys.executable, str(FUZZ), "--backend", mg.engine.BACKEND, *arguments],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.long
@pytest.mark.parametrize("seed", [1, 2])
def test_random_programs_do_what_they_do_in_pure_python(mg: Any, seed: int) -> None:
    programs = 10 if SLOW else 25
    done = run(mg, "--seconds", "250", "--programs", str(programs), "--seed", str(seed))
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith(f"{programs} programs on {mg.engine.BACKEND}")


FAULTS = {
    "a wrong derivative": "import math; Value.tanh = lambda v: Value("
    "math.tanh(v.data), (v,), local_grads=(1.0,))",
    "a lost label": "Value.label = property(lambda v: '', lambda v, text: None)",
    "a leak": "kept = []; sigmoid = Value.sigmoid\n"
    "def leaky(v):\n    kept.append(sigmoid(v))\n    return kept[-1]\nValue.sigmoid = leaky",
    "a crash": "import os; Value.sin = lambda v: os.abort()",
}


@pytest.mark.long
@pytest.mark.parametrize("fault", FAULTS)
def test_planted_fault_is_found_and_shrunk(mg: Any, fault: str) -> None:
    done = run(mg, "--seconds", "250", "--seed", "1", "--plant", FAULTS[fault])
    assert done.returncode == 1, done.stdout + done.stderr
    assert "seed 1, program" in done.stdout
    assert any(f"shrunk to {n} steps" in done.stdout for n in (1, 2, 3)), done.stdout


def test_shrinking_leaves_the_steps_that_matter() -> None:
    program = [(n,) for n in range(100)]
    assert shrink(program, lambda p: (17,) in p and (71,) in p) == [(17,), (71,)]


COLLECTING = """
import gc, sys, threading
from queue import SimpleQueue
from fuzz.compare import compare
from fuzz.libraries import ENGINE, MODEL
from fuzz.player import play_alone

def alone(lib):
    return play_alone(lib, [("leaf", 3, 1, 1.75), ("dot", [2], [0], 6), ("chain", 1, 100)])

def collect():
    while turns.get():
        gc.collect(0)

def play():
    for _ in range(100):  # the other thread's turns come while this one plays
        turns.put(True)
    return compare(alone(ENGINE), expected)

expected, turns = alone(MODEL), SimpleQueue()
gc.freeze()
gc.set_threshold(5, 10, 10)
sys.setswitchinterval(1e-6)
other = threading.Thread(target=collect)
other.start()
differences = [play() for _ in range(int(sys.argv[1]))]
turns.put(False)
other.join()
sys.exit(next((text for text in differences if text), None))
"""


@pytest.mark.long
def test_state_is_kept_while_another_thread_collects(mg: Any) -> None:
    path = os.pathsep.join([str(Path(mg.__file__).parent.parent), *sys.path])
    done = subprocess.run(
        [sys.executable, "-c", COLLECTING, "5" if SLOW else "50"],
        env={**os.environ, "PYTHONPATH": path, "MICROGRAD_C_BACKEND": mg.engine.BACKEND},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
