"""Exported C with other compilers and for other processors: no warning, and the same bits."""

from __future__ import annotations

import importlib.util
import random
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from exported import EXACT, STRICT, compile_c, data_of, needs_cc
from test_export_c import every_operator

ZIG = [sys.executable, "-m", "ziglang", "cc"]
needs_zig = pytest.mark.skipif(
    importlib.util.find_spec("ziglang") is None, reason="ziglang is not installed"
)

TARGETS = {"aarch64-linux-musl": "qemu-aarch64", "arm-linux-musleabihf": "qemu-arm"}
MICROCONTROLLER = ["-target", "thumb-linux-musleabihf", "-mcpu=cortex_m4"]

MAIN = """
#include <stdio.h>
#include <string.h>
#include "model.h"

int main(void) {
    double inputs[MODEL_INPUTS], seeds[MODEL_RESULTS], out[MODEL_RESULTS];
    double dx[MODEL_INPUTS], dp[MODEL_PARAMETERS];
    for (int row = 0; row < 20; row++) {
        for (int i = 0; i < MODEL_INPUTS; i++) inputs[i] = (row * 7 + i * 3) % 11 * 0.125 - 0.5;
        for (int i = 0; i < MODEL_RESULTS; i++) seeds[i] = 1.0;
        if (model_gradient(inputs, model_parameters, seeds, out, dx, dp)) return 1;
        for (int i = 0; i < MODEL_RESULTS; i++) printf("%a\\n", out[i]);
        for (int i = 0; i < MODEL_INPUTS; i++) printf("%a\\n", dx[i]);
        for (int i = 0; i < MODEL_PARAMETERS; i++) printf("%a\\n", dp[i]);
    }
    return 0;
}
"""


def all_of_it(mg: Any, folder: Path, dtype: str = "double") -> Path:
    """Export a program with every operator, a branch, a lookup and loops."""
    random.seed(1)
    model = mg.MLP(2, [8, 8, 1], activation=["tanh", "relu", None])
    table = [mg.Value(float(i)) for i in range(5)]

    def program(x: Any, y: Any, k: Any) -> Any:
        if x.data > -100:
            return [*every_operator(mg, x, y), model([x, y]), mg.take(table, k)]
        return [x]

    path = folder / "model.c"
    mg.compile(program, 0.5, 0.25, 1.0).export_c(path, dtype=dtype)
    return path


@needs_cc
@pytest.mark.parametrize("dtype", ["double", "float"])
@pytest.mark.long
def test_cc_warns_of_nothing(mg: Any, tmp_path: Path, dtype: str) -> None:
    source = all_of_it(mg, tmp_path, dtype)
    compile_c(["cc", *STRICT, "-O2", "-Wshadow", "-c"], source, out=tmp_path / "model.o")


@needs_zig
@pytest.mark.parametrize("dtype", ["double", "float"])
@pytest.mark.parametrize("target", [[], MICROCONTROLLER, *(["-target", t] for t in TARGETS)])
@pytest.mark.long
def test_clang_warns_of_nothing(mg: Any, tmp_path: Path, dtype: str, target: list[str]) -> None:
    source = all_of_it(mg, tmp_path, dtype)
    compile_c([*ZIG, *target, *STRICT, "-O2", "-c"], source, out=tmp_path / "model.o")


def printed(command: list[str]) -> list[str]:
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return done.stdout.split()


@needs_cc
@needs_zig
@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.long
def test_arithmetic_has_the_same_bits_on_every_processor(
    mg: Any, tmp_path: Path, target: str
) -> None:
    emulator = shutil.which(TARGETS[target])
    if emulator is None:
        pytest.skip(f"{TARGETS[target]} is not installed")
    random.seed(2)
    model = mg.MLP(2, [16, 16, 1], activation=["relu", "relu", None])
    program = mg.compile(lambda x, y: (1 + -y * model(x)).relu(), [0.1, 0.2], 1.0)
    program.export_c(tmp_path / "model.c")
    (tmp_path / "main.c").write_text(MAIN)
    sources = tmp_path / "model.c", tmp_path / "main.c"
    compile_c(["cc", *STRICT, *EXACT], *sources, out=tmp_path / "here")
    compile_c(
        [*ZIG, "-target", target, *STRICT, *EXACT, "-static"], *sources, out=tmp_path / "there"
    )
    here, there = printed([str(tmp_path / "here")]), printed([emulator, str(tmp_path / "there")])
    assert len(here) == 20 * (1 + 3 + len(data_of(program.parameters)))
    assert here == there


@needs_cc
def test_cpp_calls_the_functions(mg: Any, tmp_path: Path) -> None:
    if shutil.which("c++") is None:
        pytest.skip("there is no C++ compiler 'c++'")
    mg.compile(lambda x: x * 3, 1.0).export_c(tmp_path / "model.c")
    (tmp_path / "main.cpp").write_text(
        '#include "model.h"\n#include <cstdio>\n'
        'int main() { double x = 7, y; model(&x, nullptr, &y); std::printf("%g\\n", y); }\n'
    )
    compile_c(["cc", *STRICT, "-c"], tmp_path / "model.c", out=tmp_path / "model.o")
    sources = tmp_path / "main.cpp", tmp_path / "model.o"
    compile_c(["c++", "-Wall", "-Wextra", "-pedantic"], *sources, out=tmp_path / "main")
    assert printed([str(tmp_path / "main")]) == ["21"]
