"""The rooms of csrc/: which files may use which."""

from __future__ import annotations

import importlib
import re
import shutil
import subprocess
import sysconfig
import tempfile
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any

import pytest
import random_programs

from micrograd_c._command import reference

ROOT = Path(__file__).resolve().parents[1]
CSRC = ROOT / "csrc"
PYTHON_H = sysconfig.get_paths()["include"]
BELOW = {  # by room: the rooms whose headers it may include; . has the public header and api.c
    "graph": {".", "graph"},
    "program": {".", "graph", "program"},
    "python": {".", "graph", "program", "python"},
}
MACROS_OF_WINDOWS = (
    r"\b(far|near|small|hyper|interface|pascal|cdecl|min|max|FAR|NEAR|IN|OUT|ERROR|NO_ERROR|DELETE|"
    r"OPTIONAL|VOID|CONST|BOOL|TRUE|FALSE|IGNORE|STRICT|THIS)\b"
)
NOT_BY_ROOMS = {"program/program.h", "program/block.h", "program/kernels.inc.h"}  # by python


def includes(path: Path) -> set[str]:
    """The project's headers that a file includes, as written: from csrc/."""
    return set(re.findall(r'#include "(.+?)"', path.read_text()))


def sources(room: str) -> list[Path]:
    return sorted(path for path in (CSRC / room).iterdir() if path.suffix in (".c", ".h"))


@pytest.mark.parametrize("room", BELOW)
def test_room_includes_only_what_stands_below_it(room: str) -> None:
    for path in sources(room):
        for header in includes(path):
            assert (CSRC / header).exists(), (path, header)
            assert str(Path(header).parent) in BELOW[room], (path, header)
            assert room != "python" or header not in NOT_BY_ROOMS, (path, header)


def in_order(uses: dict[str, set[str]]) -> None:
    """Assert that nothing uses, by way of others, itself."""
    try:
        TopologicalSorter({user: used - {user} for user, used in uses.items()}).prepare()
    except CycleError as error:
        raise AssertionError(f"a circle: {' -> '.join(error.args[1])}") from None


def test_headers_include_each_other_in_one_direction() -> None:
    headers = CSRC.rglob("*.h")
    in_order({header.relative_to(CSRC).as_posix(): includes(header) for header in headers})


def test_no_identifier_is_a_macro_of_windows_headers() -> None:
    for path in CSRC.rglob("*.[ch]"):
        text = path.read_text()
        code = re.sub(r'/\*.*?\*/|"(\\.|[^"\\])*"|//.*?$', "", text, flags=re.DOTALL | re.MULTILINE)
        found = re.search(MACROS_OF_WINDOWS, code)
        assert found is None, (path.name, found)


def symbols(compiled: Path, kind: str) -> set[str]:
    """The names that a compiled file defines ('T', 'R', 'B', 'D') or needs ('U')."""
    command = ["nm", "--format=posix", str(compiled)]
    listed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return {line.split()[0] for line in listed.splitlines() if line.split()[1] in kind}


@pytest.mark.long
@pytest.mark.skipif(
    not (shutil.which("cc") and shutil.which("nm") and Path(PYTHON_H, "Python.h").exists()),
    reason="needs cc, nm and Python.h",
)
def test_files_call_each_other_in_one_direction() -> None:
    with tempfile.TemporaryDirectory() as folder:
        compiled = {}
        for path in [
            CSRC / "api.c",
            *(CSRC / "graph").glob("*.c"),
            *(CSRC / "program").glob("*.c"),
        ]:
            name = path.relative_to(CSRC).as_posix()
            compiled[name] = Path(folder, name.replace("/", "_") + ".o")
            command = ["cc", "-std=gnu11", "-O0", f"-I{CSRC}", f"-I{PYTHON_H}", "-c", str(path)]
            subprocess.run([*command, "-o", str(compiled[name])], check=True)
        where = {symbol: name for name, o in compiled.items() for symbol in symbols(o, "TRBD")}
        uses = {
            name: {where[symbol] for symbol in symbols(o, "U") if symbol in where}
            for name, o in compiled.items()
        }
    assert len(uses["api.c"]) > 5
    in_order(uses)
    for name, used in uses.items():
        if name.startswith("graph/"):
            assert all(other.startswith("graph/") for other in used), (name, used)


def test_a_circle_is_found() -> None:
    with pytest.raises(AssertionError, match="a circle: "):
        in_order({"a": {"b"}, "b": {"c"}, "c": {"a"}})


def test_every_operator_of_the_table_is_everywhere(mg: Any) -> None:
    """What docs/architecture.md lists for one that is added."""
    lib = importlib.import_module("micrograd_c._library").lib
    names = importlib.import_module("micrograd_c._cffi.table").of_form
    interface = (ROOT / "micrograd_c" / "_value_type.pyi").read_text()
    methods, functions = names(lib.MG_FORM_METHOD), names(lib.MG_FORM_FUNCTION)
    assert methods.keys() == mg.nn.ACTIVATIONS.keys() - {None}
    for name in methods:
        assert hasattr(mg.Value, name) and f"    def {name}(self)" in interface, name
        assert hasattr(reference.Value, name) or name == "abs", name
        assert name in random_programs.UNARY, name
    for name in functions:
        assert hasattr(mg, name) and f"def {name}(" in interface, name
        assert hasattr(reference, name) and name in random_programs.BINARY, name
