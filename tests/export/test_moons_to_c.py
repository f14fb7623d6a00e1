"""The example that trains in Python and classifies in C, and the command that exports."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from exported import STRICT, compile_c, needs_cc

EXAMPLES = Path(__file__).parents[2] / "examples"

MODULE = """
from micrograd_c import Value, compile

w = Value(3.0, label="w")
number = 5
both = [Value(1.0), w]

def line(x):
    return x[0] * w + x[1]

def two():
    return w * 2

program = compile(line, [0.0, 0.0])
"""


@needs_cc
def test_the_c_program_says_what_python_says(tmp_path: Path) -> None:
    command = [sys.executable, str(EXAMPLES / "moons_to_c.py"), "--output", str(tmp_path)]
    subprocess.run([*command, "--steps", "120"], check=True, capture_output=True)
    program = tmp_path / "classify"
    sources = EXAMPLES / "classify_moons.c", tmp_path / "moons.c"
    compile_c(["cc", *STRICT, "-O2", f"-I{tmp_path}"], *sources, out=program)
    points = (tmp_path / "points.txt").read_text()
    done = subprocess.run([str(program)], input=points, capture_output=True, text=True)
    assert done.returncode == 0
    said = [line.split()[2] for line in points.splitlines()]
    assert done.stdout.split() == said and {"1", "-1"} == set(said)
    wrong = points.replace(" -1\n", " 1\n")
    assert subprocess.run([str(program)], input=wrong, capture_output=True, text=True).returncode


def command(folder: Path, *arguments: str) -> Any:
    (folder / "trained.py").write_text(MODULE)
    parts = [sys.executable, "-m", "micrograd_c", "export", *arguments]
    return subprocess.run(parts, cwd=folder, capture_output=True, text=True)


@pytest.mark.parametrize(
    ("arguments", "file", "function"),
    [
        (["trained:program"], "program.c", "program"),
        (["trained:line", "--example", "[0.0, 1.0]"], "line.c", "line"),
        (["trained:two", "--name", "twice", "--dtype", "float"], "two.c", "twice"),
        (["trained:program", "--output", "x.c"], "x.c", "x"),
        (["trained:program", "--parameters", "both"], "program.c", "program"),
    ],
)
def test_the_command_exports(
    tmp_path: Path, arguments: list[str], file: str, function: str
) -> None:
    done = command(tmp_path, *arguments)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"Wrote {file} and {Path(file).with_suffix('.h')}: Program(")
    assert f"int {function}(const " in (tmp_path / file).read_text()


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["trained"], 2, "'trained' is not MODULE:NAME, such as train:program"),
        (["missing:program"], 1, "ModuleNotFoundError: No module named 'missing'"),
        (["trained:nothing"], 1, "AttributeError: module 'trained' has no attribute 'nothing'"),
        (["trained:number"], 1, "trained:number is neither a Program nor a function: 5"),
        (["trained:line"], 1, "TypeError: line() missing 1 required positional argument: 'x'"),
        (["trained:line"], 1, "an argument is given by --example"),
        (["trained:line", "--example", "[0.0]"], 1, "IndexError"),
        (["trained:line", "--example", "[0.0"], 2, "'[0.0' is no JSON, such as '[0.5, 1]'"),
        (["trained:program", "--example", "1"], 1, "is a Program, which takes no --example"),
        (["trained:program", "--parameters", "number"], 1, "TypeError: 'int' object is not iter"),
        (["trained:program", "--output", "no/x.c"], 1, "cannot write no/x.c: No such file"),
        (["trained:program", "--output", "x.txt"], 1, "ValueError: the path must end in .c"),
    ],
)
def test_the_command_says_what_is_wrong(
    tmp_path: Path, arguments: list[str], status: int, message: str
) -> None:
    done = command(tmp_path, *arguments)
    assert done.returncode == status
    assert message in done.stderr and "Traceback" not in done.stderr
