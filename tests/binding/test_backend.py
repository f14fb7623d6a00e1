"""Which engine is used, and how a program asks for one."""

from __future__ import annotations

import importlib
import os
import re
import subprocess
import sys
import sysconfig
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from conftest import BACKENDS, VARIABLE

SHOW = "import micrograd_c.engine; print(micrograd_c.engine.BACKEND)"
WITHOUT_NATIVE = "import sys; sys.modules['micrograd_c._value_type'] = None\n"
WITHOUT_CFFI = "import sys; sys.modules['micrograd_c._engine'] = None\n"
# here(), there(): SHOW in this interpreter, in another one of the process.
INTERPRETERS = f"""
import sys
show = {SHOW!r}
def here():
    exec(show)
    sys.stdout.flush()
def there():
    interpreters.run_string(another, f'import sys; sys.path[:] = {{sys.path!r}}; {{show}}')
try:
    import _xxsubinterpreters as interpreters
    another = interpreters.create(isolated=False)
except ImportError:
    import _interpreters as interpreters
    another = interpreters.create('legacy')
"""


def python(mg: Any, program: str, backend: str | None) -> tuple[str, str]:
    """Run a program in a fresh interpreter, and return its output and its last line of errors."""
    environment = {**os.environ}
    for name in (VARIABLE, "PYTHON_GIL"):
        environment.pop(name, None)
    if backend is not None:
        environment[VARIABLE] = backend
    environment["PYTHONPATH"] = os.pathsep.join([str(Path(mg.__file__).parent.parent), *sys.path])
    result = subprocess.run(
        [sys.executable, "-c", program],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    return result.stdout.strip(), (result.stderr.strip().splitlines() or [""])[-1]


def test_importing_the_package_imports_no_slow_module_that_it_may_not_need(mg: Any) -> None:
    slow = {
        "dataclasses",
        "decimal",
        "graphviz",
        "inspect",
        "json",
        "numpy",
        "pickle",
        "safetensors",
        "tqdm",
    }
    show = f"import sys, micrograd_c; print(*sorted({slow} & {{*sys.modules}}))"
    assert python(mg, show, mg.engine.BACKEND) == ("", "")


def test_importing_the_package_imports_none_of_its_own_modules_that_few_programs_need(
    mg: Any,
) -> None:
    rare = {
        "_boxes",
        "_explain",
        "_derive",
        "_export",
        "_formats",
        "_rules",
        "_state",
        "files",
        "_compile.arguments",
    }
    rare = {f"micrograd_c.{name}" for name in rare}
    show = f"import sys, micrograd_c; print(*sorted({rare} & {{*sys.modules}}))"
    assert python(mg, show, mg.engine.BACKEND) == ("", "")


def test_importing_the_package_compiles_no_annotations(mg: Any) -> None:
    program = "import typing; typing.ForwardRef = None; import micrograd_c"
    assert python(mg, program, mg.engine.BACKEND) == ("", "")


def test_fixture_runs_the_backend_it_names(mg: Any, request: pytest.FixtureRequest) -> None:
    assert request.node.callspec.params["mg"] == mg.engine.BACKEND


def test_backends_have_values_of_their_own(mg: Any) -> None:
    assert mg.Value.__module__ == "micrograd_c.engine"
    assert sys.modules["micrograd_c.engine"].Value is mg.Value


def test_package_and_engine_offer_the_same_value(mg: Any) -> None:
    assert (mg.Value, mg.maximum, mg.minimum) == (
        mg.engine.Value,
        mg.engine.maximum,
        mg.engine.minimum,
    )


def test_variable_forces_the_backend(mg: Any) -> None:
    assert python(mg, SHOW, mg.engine.BACKEND) == (mg.engine.BACKEND, "")


@pytest.mark.long
@pytest.mark.parametrize("backend", [None, ""], ids=["unset", "empty"])
def test_default_is_native_where_it_is_built(mg: Any, backend: str | None) -> None:
    if "native" not in BACKENDS:
        pytest.skip("the native backend is not among those run here")
    assert python(mg, SHOW, backend) == ("native", "")


def test_native_does_not_import_cffi(mg: Any) -> None:
    if "native" not in BACKENDS:
        pytest.skip("the native backend is not among those run here")
    assert python(mg, f"{WITHOUT_CFFI}import micrograd_c\n{SHOW}", "native") == ("native", "")


def test_default_is_cffi_where_native_is_not_built(mg: Any) -> None:
    assert python(mg, WITHOUT_NATIVE + SHOW, None) == ("cffi", "")


@pytest.mark.long
@pytest.mark.parametrize("order", ["here(); there(); here()", "there(); here(); there()"])
def test_native_belongs_to_the_first_interpreter_of_a_process(mg: Any, order: str) -> None:
    if "native" not in BACKENDS:
        pytest.skip("the native backend is not among those run here")
    assert python(mg, INTERPRETERS + order, None) == ("native\ncffi\nnative", "")


@pytest.mark.long
def test_cffi_is_for_every_interpreter_of_a_process(mg: Any) -> None:
    assert python(mg, INTERPRETERS + "there(); here()", "cffi") == ("cffi\ncffi", "")


@pytest.mark.long
@pytest.mark.skipif(sys.version_info < (3, 12), reason="no interpreter has a lock of its own")
def test_an_interpreter_with_a_lock_of_its_own_gets_an_import_error(mg: Any) -> None:
    lone = INTERPRETERS.replace("isolated=False", "isolated=True").replace("legacy", "isolated")
    code = f"try:\n    {SHOW}\nexcept ImportError as error:\n    print(error)"
    show = f"exec({code!r})"
    output, _ = python(mg, f"{lone}\nshow = {show!r}\nhere(); there(); here()", None)
    first, second, third = output.splitlines()
    assert first == third
    assert second.startswith("the compiled part of micrograd_c cannot be imported (module _")
    assert "does not support loading in subinterpreters" in second


@pytest.mark.skipif(
    not sysconfig.get_config_var("Py_GIL_DISABLED"), reason="this Python is not free-threaded"
)
def test_native_gives_a_free_threaded_python_its_lock_back(mg: Any) -> None:
    if "native" not in BACKENDS:
        pytest.skip("the native backend is not among those run here")
    show = f"import sys\n{SHOW}\nprint(sys._is_gil_enabled())"
    assert python(mg, show, "native")[0] == "native\nTrue"


@pytest.mark.long
def test_package_imported_anew_in_an_interpreter_has_the_backend_it_had(mg: Any) -> None:
    again = (
        f"{SHOW}\nfor name in [*sys.modules]:\n    if 'micrograd_c' in name: del sys.modules[name]"
    )
    shown = mg.engine.BACKEND
    assert python(mg, f"import sys\n{again}\n{SHOW}", shown) == (f"{shown}\n{shown}", "")


@pytest.mark.long
def test_an_optimizer_goes_on_after_the_package_is_imported_anew(mg: Any) -> None:
    code = """
import sys, micrograd_c as first
p = first.Value(1.0)
optimizer = first.optim.SGD([p], lr=0.5)
optimizer.zero_grad()
for name in [*sys.modules]:
    if 'micrograd_c' in name: del sys.modules[name]
import micrograd_c as second
(p * 1.0).backward()
optimizer.step()
print(p.data)
"""
    assert python(mg, code, mg.engine.BACKEND) == ("0.5", "")


def test_forcing_native_where_it_is_not_built_is_a_clear_import_error(mg: Any) -> None:
    output, error = python(mg, WITHOUT_NATIVE + SHOW, "native")
    assert output == ""
    assert error.startswith("ImportError: MICROGRAD_C_BACKEND asks for the native backend")


def test_forcing_cffi_where_it_is_not_built_is_a_clear_import_error(mg: Any) -> None:
    output, error = python(mg, WITHOUT_CFFI + SHOW, "cffi")
    assert output == ""
    assert error.startswith("ImportError:")
    assert "micrograd_c" in error


def test_unknown_backend_is_an_import_error_that_names_the_known_ones(mg: Any) -> None:
    output, error = python(mg, SHOW, "gpu")
    assert output == ""
    assert error.startswith("ImportError:")
    assert all(name in error for name in (VARIABLE, "'native'", "'cffi'", "'gpu'"))


def test_name_of_a_backend_is_case_sensitive(mg: Any) -> None:
    assert python(mg, SHOW, "Native")[1].startswith("ImportError:")


def test_types_of_the_library_are_made_when_it_is_loaded(mg: Any) -> None:
    library = importlib.import_module("micrograd_c._library")
    made = {*library._STRUCTS, *library._OTHERS}
    made |= {f"{name}{suffix}" for name in library._STRUCTS for suffix in (" *", "[]")}
    sources = Path(mg.__file__).parent.rglob("*.py")
    used = {
        name for file in sources for name in re.findall(r'\bffi\.\w+\("(.+?)"', file.read_text())
    }
    assert used - made == set()
    assert len(used) > 15


def test_a_build_of_other_sources_is_stale(
    mg: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    stamp = importlib.import_module(f"{mg.__name__}._stamp")
    (tmp_path / "csrc" / "graph").mkdir(parents=True)
    for file in ("build_ffi.py", "setup.py", "csrc/graph/node.h"):
        (tmp_path / file).write_text("one")
    built = ModuleType("built")
    built.__dict__["STAMP"] = stamp.stamp_of(tmp_path)
    monkeypatch.setitem(sys.modules, f"{mg.__name__}._built", built)
    monkeypatch.setattr(stamp, "ROOT", tmp_path)
    assert not stamp.is_stale()
    (tmp_path / "csrc" / "graph" / "node.h").write_text("another")
    assert stamp.is_stale()
    monkeypatch.setattr(stamp, "ROOT", tmp_path / "nowhere")  # as where it is installed
    assert not stamp.is_stale()
