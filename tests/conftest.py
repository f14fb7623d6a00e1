"""Fixtures: the package on each backend, in one process.

The tests lie in the rooms of what they test: graph/ (nodes, memory, backward), binding/ (Value as
Python sees it), compile/ (compiled programs), explain/ (pages, in a browser, too), and here a file
for each other public module and for the command. fuzz/ is a program of its own: `python tests/fuzz
--seconds 60`.

`mg` is the package `micrograd_c`, once for every backend that is built; `lib` adds the pure-Python
reference, for tests that state what pure Python does. The environment variable MICROGRAD_C_BACKEND,
where it is set, leaves just that backend.
"""

from __future__ import annotations

import contextlib
import faulthandler
import gc
import importlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from importlib.machinery import PathFinder
from pkgutil import extend_path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

PACKAGE = "micrograd_c"
VARIABLE = "MICROGRAD_C_BACKEND"
SLOW = "ASAN_OPTIONS" in os.environ  # where everything takes several times as long
LIMIT = 900 if SLOW else 300  # seconds a test may take

# `mg` is made once for all examples of a property; that is what is wanted.
settings.register_profile(
    "default",
    deadline=None,
    print_blob=True,
    derandomize=True,
    max_examples=25 if SLOW else 100,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
# pytest --hypothesis-profile=explore --hypothesis-seed=N: other examples, and more of them.
settings.register_profile(
    "explore", settings.get_profile("default"), derandomize=False, max_examples=2000
)
settings.load_profile("default")


def _built_backends() -> list[str]:
    if VARIABLE in os.environ:
        return [os.environ[VARIABLE]]
    package = PathFinder.find_spec(PACKAGE)
    if package is None or package.submodule_search_locations is None:
        raise ImportError(f"{PACKAGE} is not installed")
    path = extend_path(list(package.submodule_search_locations), PACKAGE)
    return ["native", "cffi"] if PathFinder.find_spec("_value_type", path) else ["cffi"]


def _ours() -> list[str]:
    return [name for name in sys.modules if name.startswith(PACKAGE)]


def _swap(modules: dict[str, ModuleType]) -> dict[str, ModuleType]:
    """Put these modules in the place of the package's present ones, and return those."""
    before = {name: sys.modules.pop(name) for name in _ours()}
    sys.modules.update(modules)
    return before


def _load(backend: str) -> dict[str, ModuleType]:
    """Import the package afresh on this backend, and return its modules."""
    before = _swap({})
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(VARIABLE, backend)
        try:
            importlib.import_module(PACKAGE + ".engine")
        finally:
            modules = _swap(before)
    return modules


BACKENDS = _built_backends()
_loaded = {backend: _load(backend) for backend in BACKENDS}
_swap(_loaded[BACKENDS[0]])  # what a plain import gets outside of tests

from reference import DEPTH_FIRST  # noqa: E402,RUF100  (it imports the package)


def pytest_report_header() -> str:
    return f"{PACKAGE} backends: {', '.join(BACKENDS)}"


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark as quick whatever is not marked as long."""
    for item in items:
        if item.get_closest_marker("long") is None:
            item.add_marker("quick")


def pytest_collection_finish() -> None:
    """Let the collections after tests pass over the thousands of tests themselves."""
    gc.freeze()


@pytest.fixture(scope="module", autouse=True)
def small_heap() -> None:
    """Let collections pass over what earlier modules left: imports, caches, their tests' reports.

    So the time of a test depends neither on those before it nor on what is installed.
    """
    gc.collect()
    gc.freeze()


_stderr = pytest.StashKey[int]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_stderr] = os.dup(2)  # before a test's output is captured


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Any:
    """End the run where a test hangs, and say where each thread is."""
    faulthandler.dump_traceback_later(LIMIT, exit=True, file=item.config.stash[_stderr])
    try:
        return (yield)
    finally:
        faulthandler.cancel_dump_traceback_later()


_passed = pytest.StashKey[bool]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Any:
    report = yield
    if report.when == "call":
        item.stash[_passed] = report.passed
    return report


def live(mg: Any) -> tuple[int, int]:
    """The numbers of living interior nodes and leaves."""
    statistics = mg.engine.statistics()
    return statistics.nodes, statistics.leaves


def collect() -> None:
    for _ in range(3):  # finalizers may leave work for the next collection
        gc.collect()


def check_live(mg: Any, before: tuple[int, int]) -> None:
    """Check that as many nodes are living as before, once garbage is collected."""
    if live(mg) != before:
        collect()
    assert live(mg) == before, f"living (interior nodes, leaves): {live(mg)}, before: {before}"
    assert mg.engine.bulk.check() is None


def check_no_more(mg: Any, before: tuple[int, int]) -> None:
    """Check that no more nodes are living than before; what an earlier failure held may be gone."""
    if any(now > then for now, then in zip(live(mg), before)):
        collect()
    excess = [max(0, now - then) for now, then in zip(live(mg), before)]
    assert excess == [0, 0], f"{excess} interior nodes and leaves outlive the test"
    assert mg.engine.bulk.check() is None


@contextlib.contextmanager
def balanced(mg: Any) -> Iterator[None]:
    """Check that as many nodes live after the block as before it."""
    before = live(mg)
    yield
    check_live(mg, before)


def on_small_stack(work: Callable[[], None]) -> None:
    """Call `work` in a thread whose stack a recursion of some thousands of calls would overflow."""
    errors: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as error:
            errors.append(error)

    before = threading.stack_size(2**21 if SLOW else 2**19)
    try:
        thread = threading.Thread(target=run)
        thread.start()
    finally:
        threading.stack_size(before)
    thread.join()
    if errors:
        raise errors[0]


@contextlib.contextmanager
def _package(backend: str, item: pytest.Item) -> Iterator[Any]:
    """The package on this backend, in sys.modules as long as the test runs."""
    modules = _loaded[backend]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(VARIABLE, backend)
        outside = _swap(modules)
        try:
            mg = modules[PACKAGE]
            before = live(mg)
            yield mg
            if item.stash.get(_passed, False):
                check_no_more(mg, before)
        finally:
            modules.update(_swap(outside))  # with what the test was the first to import


@pytest.fixture(params=BACKENDS)
def mg(request: pytest.FixtureRequest) -> Iterator[Any]:
    """The package on each backend; a test that passes must leave no node behind."""
    with _package(request.param, request.node) as package:
        yield package


@pytest.fixture
def packages() -> list[Any]:
    """The package on every backend, for a test that compares them."""
    return [modules[PACKAGE] for modules in _loaded.values()]


@pytest.fixture(params=[*BACKENDS, "pure"])
def lib(request: pytest.FixtureRequest) -> Iterator[Any]:
    """Whatever has Value, maximum and minimum: the package on each backend, and the reference."""
    if request.param == "pure":
        yield DEPTH_FIRST
    else:
        with _package(request.param, request.node) as package:
            yield package


class AlarmError(Exception):
    """What the fixture `alarm` raises."""


@pytest.fixture
def alarm() -> Iterator[Any]:
    """Raise AlarmError in the main thread after so many seconds; 0: not any more."""
    if not hasattr(signal, "setitimer"):
        pytest.skip("this system has no timer that interrupts")

    def ring(*_: object) -> None:
        raise AlarmError

    before = signal.signal(signal.SIGALRM, ring)
    yield lambda seconds: signal.setitimer(signal.ITIMER_REAL, seconds)
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)
