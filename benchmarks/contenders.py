"""Who takes part: the package on both of its backends, and what it is compared with.

All of it lives in one process. The package is imported once for each backend, micrograd's modules
are executed afresh, with the `Value` wanted in the place of its own where that is the comparison.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import itertools
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.machinery import PathFinder
from pathlib import Path
from types import ModuleType
from typing import Any

FOLDER = Path(__file__).resolve().parent
ROOT = FOLDER.parent
PROGRAMS = FOLDER / "programs.py"
GPT = FOLDER / "gpt.py"
LEAN = FOLDER / "lean.py"
PACKAGE = "micrograd_c"
VARIABLE = "MICROGRAD_C_BACKEND"

TOLERANCE = 1e-9


@dataclass(frozen=True)
class Contender:
    """An engine, and whether Python's cyclic garbage collector is on while it is timed."""

    engine: str
    gc: bool = True

    @property
    def pure(self) -> bool:
        """Whether its operations take microseconds, not nanoseconds."""
        return self.engine in ("reference", "micrograd", "lean")

    @property
    def name(self) -> str:
        collector = f", gc {'on' if self.gc else 'off'}" if self.pure else ""
        return NAMES[self.engine] + collector

    def __str__(self) -> str:
        return self.engine + ("" if self.gc else "-gc-off")


NAMES = {
    "native": "micrograd_c",
    "cffi": "micrograd_c, cffi backend",
    "reference": "pure-Python reference",
    "micrograd": "micrograd",
    "lean": "microgpt's lean class",
}


@dataclass(frozen=True)
class Engine:
    """A class `Value`, a copy of the programs, and the package it came from, if it is ours."""

    value: Any
    programs: Any
    package: Any = None

    def package_mlp(self, sizes: list[int], activation: Any) -> Any:
        """Return the package's own MLP."""
        nin, *nouts = sizes
        return self.package.MLP(nin, nouts, activation=activation)

    def micrograd_mlp(self, sizes: list[int]) -> Any:
        """Return the MLP of micrograd's unmodified nn.py over this engine's Value."""
        nin, *nouts = sizes
        nn = own_copy("nn", location("micrograd.nn"), **{"micrograd.engine": self.value})
        return nn.MLP(nin, nouts)


# ---- loading ----


def has(module: str) -> bool:
    """Tell whether a module can be found."""
    return importlib.util.find_spec(module) is not None


def location(module: str) -> Path:
    """Return the file of a module in a package, neither of which is imported."""
    parts = module.split(".")
    places: list[str] | None = _search_path()
    for depth in range(1, len(parts) + 1):
        spec = PathFinder.find_spec(".".join(parts[:depth]), places) if places else None
        places = list(spec.submodule_search_locations or ()) if spec else None
    if spec is None or spec.origin is None:
        raise ImportError(f"{module} cannot be found")
    return Path(spec.origin)


def own_copy(name: str, file: Path, **values: Any) -> ModuleType:
    """Execute a module's file afresh; `values` are the `Value`s of the modules it imports."""
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise ImportError(f"{file} cannot be loaded")
    copy = importlib.util.module_from_spec(spec)
    stand_ins = {module: ModuleType(module) for module in values}
    for module, value in values.items():
        stand_ins[module].__dict__["Value"] = value
    with _in_place({name: copy, **stand_ins}):
        spec.loader.exec_module(copy)
    return copy


@contextlib.contextmanager
def _in_place(modules: dict[str, ModuleType]) -> Iterator[None]:
    before = {name: sys.modules.get(name) for name in modules}
    sys.modules.update(modules)
    try:
        yield
    finally:
        for name, module in before.items():
            if module is None:
                del sys.modules[name]
            else:
                sys.modules[name] = module


def _search_path() -> list[str]:
    """Return where to look for modules: in the source tree only if it was built in place."""
    if any((ROOT / PACKAGE).glob("_engine*.[sp]*")):
        return [str(ROOT), *sys.path]
    return [place for place in sys.path if Path(place or ".").resolve() != ROOT]


def _ours() -> list[str]:
    return [name for name in sys.modules if name == PACKAGE or name.startswith(PACKAGE + ".")]


@cache
def package(backend: str) -> ModuleType:
    """Import the package afresh on a backend."""
    before = {name: sys.modules.pop(name) for name in _ours()}
    path, variable = sys.path, os.environ.get(VARIABLE)
    sys.path, os.environ[VARIABLE] = _search_path(), backend
    try:
        return importlib.import_module(PACKAGE)
    finally:
        for name in _ours():
            del sys.modules[name]
        sys.modules.update(before)
        sys.path = path
        del os.environ[VARIABLE]
        if variable is not None:
            os.environ[VARIABLE] = variable


@cache
def engine(name: str) -> Engine:
    """Return the engine of that name."""
    programs = own_copy("programs", PROGRAMS)
    if name == "reference":
        file = location(f"{PACKAGE}._command.reference")
        command = ModuleType("command")  # for what it imports from its folder
        command.__path__ = [str(file.parent)]
        with _in_place({"command": command}):
            reference = own_copy("command.reference", file)
        return Engine(reference.__dict__["Value"], programs)
    if name == "lean":
        return Engine(own_copy("lean", LEAN).__dict__["Value"], programs)
    if name == "micrograd":
        value = own_copy("engine", location("micrograd.engine")).__dict__["Value"]
        value.tanh = _lecture_tanh(value)
        return Engine(value, programs)
    ours = package(name)
    return Engine(ours.__dict__["Value"], programs, ours)


def _lecture_tanh(value: Any) -> Any:
    """Return the lecture's tanh, which the published micrograd does not have."""
    from math import exp

    def tanh(self: Any) -> Any:
        x = self.data
        t = (exp(2 * x) - 1) / (exp(2 * x) + 1)
        out = value(t, (self,), "tanh")

        def _backward() -> None:
            self.grad += (1 - t**2) * out.grad

        out._backward = _backward
        return out

    return tanh


def _contenders() -> list[Contender]:
    engines = [Contender("native")] if _built("_value_type") else []
    engines.append(Contender("cffi"))
    pure = ["reference", "micrograd"] if has("micrograd") else ["reference"]
    return engines + [Contender(name, gc) for name, gc in itertools.product(pure, (False, True))]


def _built(module: str) -> bool:
    try:
        return location(f"{PACKAGE}.{module}").suffix != ".pyi"
    except ImportError:
        return False


CONTENDERS = _contenders()
OURS = [contender for contender in CONTENDERS if not contender.pure]
PURE = [contender for contender in CONTENDERS if contender.pure]


# ---- comparing ----


def check_equal(found: list[float], expected: list[float]) -> None:
    """Raise AssertionError unless the numbers agree to one part in 10^9."""
    if len(found) != len(expected):
        raise AssertionError(f"{len(found)} numbers, {len(expected)} expected")
    for i, (x, y) in enumerate(zip(found, expected)):
        if not abs(x - y) <= TOLERANCE * max(1e-3, abs(x), abs(y)):
            raise AssertionError(f"number {i} is {x!r}, {y!r} expected")
