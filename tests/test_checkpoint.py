"""The checkpoint loop of docs/training.md, killed again and again: whole files, the same bits."""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import micrograd_c as mg

ROOT = Path(__file__).parent.parent
STEPS = 100

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL"),
]


def loop(extension: str) -> str:
    """The loop as the page has it, but that it saves in every step, in a file of this kind."""
    [program] = re.findall(
        r"```python\n(import os\n.*?)```", (ROOT / "docs/training.md").read_text(), re.DOTALL
    )
    old = 'FILE, EVERY, STEPS = "checkpoint.safetensors", 20, 200'
    assert old in program
    return program.replace(old, f'FILE, EVERY, STEPS = "checkpoint{extension}", 1, {STEPS}')


def start(program: str, folder: Path) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}
    return subprocess.Popen([sys.executable, "-c", program], cwd=folder, env=environment)


def step_of(file: Path) -> int:
    """The step of a checkpoint, which must be a whole one; 0 before there is one."""
    step: int = mg.load(file)["step"] if file.exists() else 0
    return step


@pytest.fixture(scope="module", params=[".json", ".safetensors"])
def extension(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture(scope="module")
def undisturbed(extension: str, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The last checkpoint of a loop that nobody kills."""
    folder = tmp_path_factory.mktemp("undisturbed")
    assert start(loop(extension), folder).wait() == 0
    assert os.listdir(folder) == [f"checkpoint{extension}"]
    state = mg.load(folder / f"checkpoint{extension}")
    assert state["step"] == STEPS
    return state


def test_a_loop_killed_at_random_moments_ends_with_the_same_bits(
    extension: str, undisturbed: Any, tmp_path: Path
) -> None:
    file, draw = tmp_path / f"checkpoint{extension}", random.Random(1)
    kills = 0
    while kills < 6:
        before = step_of(file)
        with start(loop(extension), tmp_path) as process:
            while process.poll() is None and step_of(file) == before:
                pass  # it has not begun
            time.sleep(draw.uniform(0.0, 0.005))
            process.kill()
        kills += process.returncode == -signal.SIGKILL
        if step_of(file) == STEPS:
            file.unlink()  # once more from the beginning
    assert start(loop(extension), tmp_path).wait() == 0
    assert mg.load(file) == undisturbed


DIES = """
import os, signal

def dies(name, left, after):
    call = getattr(os, name)
    def counted(*arguments):
        nonlocal left
        left -= 1
        if left == 0 and not after:
            os.kill(os.getpid(), signal.SIGKILL)
        call(*arguments)
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
    setattr(os, name, counted)

"""


def test_a_loop_killed_at_each_stage_of_a_save_ends_with_the_same_bits(
    extension: str, undisturbed: Any, tmp_path: Path
) -> None:
    file = tmp_path / f"checkpoint{extension}"
    saved = 0
    # In each save there is the file's fsync, replace, the folder's fsync.
    for name, left, after, more in [
        ("fsync", 9, False, 4),
        ("fsync", 9, True, 4),
        ("replace", 5, False, 4),
        ("replace", 5, True, 5),
        ("fsync", 10, False, 5),
    ]:
        program = f"{DIES}dies({name!r}, {left}, {after})\n{loop(extension)}"
        assert start(program, tmp_path).wait() == -signal.SIGKILL
        saved += more
        assert step_of(file) == saved
    assert start(loop(extension), tmp_path).wait() == 0
    assert mg.load(file) == undisturbed
