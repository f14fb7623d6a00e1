"""Programs on a cluster of dask: two workers, each a process, which the tests kill at will."""

from __future__ import annotations

import importlib
import os
import pickle
import random
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from compiled import normal

np = pytest.importorskip("numpy")
dask = pytest.importorskip("dask")
da = pytest.importorskip("dask.array")
distributed = pytest.importorskip("distributed")

# Older versions of dask warn where a test computes in this process to compare.
pytestmark = pytest.mark.filterwarnings("ignore:Running on a single-machine scheduler")

ROWS, SIZE = 200, 10


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    options = {"n_workers": 2, "threads_per_worker": 1, "processes": True}
    quiet = {"distributed.scheduler.allowed-failures": 10}
    with (
        dask.config.set(quiet),
        distributed.LocalCluster(**options, dashboard_address=":0", silence_logs=50) as made,
    ):
        yield made


@pytest.fixture
def client(cluster: Any) -> Iterator[Any]:
    with distributed.Client(cluster, set_as_default=True) as made:
        made.wait_for_workers(2)
        yield made


_weight: Any = None


def weighted(x: Any, y: Any) -> Any:
    """A function whose parameter is found in its module: on a worker that has another one."""
    if x[0] * y > 0:
        return _weight * x[1] * y.exp()
    return _weight * _weight * x[0] if x[1] > 0.5 else x[1] - _weight * y


@pytest.fixture
def weight(mg: Any) -> Iterator[Any]:
    """Have a parameter in this module, and return what returns it."""
    global _weight
    _weight = mg.Value(1.5)
    try:
        yield lambda: _weight
    finally:
        _weight = None


def rows() -> tuple[Any, Any]:
    return normal(ROWS, 2), normal(ROWS, seed=1)


def chunked(x: Any, y: Any) -> tuple[Any, Any]:
    return da.from_array(x, chunks=(SIZE, 2)), da.from_array(y, chunks=SIZE)


def in_this_process(program: Any, weight: Any, *lazy: Any) -> tuple[float, float]:
    """The sum over chunks and its gradient, one chunk after the other."""
    before = weight.grad
    weight.grad = 0.0
    with dask.config.set(scheduler="synchronous"):
        total = program.backward(*lazy)
    found = total, weight.grad
    weight.grad = before
    return found


@pytest.mark.long
def test_workers_record_branches_and_sums_have_the_bits_of_one_process(
    mg: Any, client: Any, weight: Any
) -> None:
    w = weight()
    x, y = rows()
    program = mg.compile(weighted, x[0], y[0])
    lazy = chunked(x, y)
    values, gradient = dask.compute(program(*lazy), program.gradient(*lazy))
    assert program.specializations == 1  # the branches have been recorded on the workers
    total = program.backward(*lazy)
    assert (total, w.grad) == in_this_process(program, w, *lazy)
    assert values.tolist() == program(x, y).tolist()
    assert gradient[0].tolist() == program.gradient(x, y)[0].tolist()
    assert total == pytest.approx(values.mean(), rel=1e-12)


@pytest.mark.long
def test_parameters_travel_with_each_call_and_the_program_once(
    mg: Any, client: Any, weight: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    w = weight()
    x, y = rows()
    program = mg.compile(weighted, x[0], y[0])
    lazy = chunked(x, y)
    program.backward(*lazy)
    sent = []
    reduce = type(program._parcel).__reduce__
    monkeypatch.setattr(
        type(program._parcel), "__reduce__", lambda self: (sent.append(1), reduce(self))[1]
    )
    objective = program.objective(*lazy)
    for number in (1.5, 2.0, 2.5):
        w.data, w.grad = number, 0.0
        total = program.backward(*lazy)
        assert (total, w.grad) == in_this_process(program, w, *lazy)
        assert objective([number]) == (total, w.grad)
    assert sent == []


@pytest.mark.long
def test_sums_have_the_same_bits_on_a_pool_of_processes(mg: Any, weight: Any) -> None:
    w = weight()
    x, y = rows()
    program = mg.compile(weighted, x[0], y[0])
    lazy = chunked(x, y)
    with dask.config.set(scheduler="processes", num_workers=2):
        total = program.backward(*lazy)
    assert (total, w.grad) == in_this_process(program, w, *lazy)


def die_once(block: Any, marker: str) -> Any:
    """Kill the process that computes this block, the first time."""
    if not os.path.exists(marker):
        Path(marker).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return block


@pytest.mark.long
def test_workers_killed_in_the_middle_change_nothing(
    mg: Any, client: Any, weight: Any, tmp_path: Path
) -> None:
    w = weight()
    x, y = rows()
    program = mg.compile(weighted, x[0], y[0])
    lazy, other = chunked(x, y)
    expected = in_this_process(program, w, lazy, other)
    fatal = random.Random(3).sample(range(ROWS // SIZE), 2)
    blocks = [
        block.map_blocks(die_once, str(tmp_path / str(i)), dtype=float, meta=x[:0])
        if i in fatal
        else block
        for i, block in enumerate(lazy.blocks)
    ]
    total = program.backward(da.concatenate(blocks), other)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(map(str, fatal))
    assert (total, w.grad) == expected


def interrupt(block: Any, folder: str, pid: int, block_info: Any = None) -> Any:
    """Interrupt the process `pid` from the third block on, and wait until that has been noticed."""
    number = block_info[0]["chunk-location"][0]
    Path(folder, str(number)).touch()
    started = Path(folder, "interrupting")
    if len(os.listdir(folder)) > 2 and not started.exists():
        started.touch()
        os.kill(pid, signal.SIGINT)
    end = time.monotonic() + 30
    while started.exists() and not Path(folder, "noticed").exists() and time.monotonic() < end:
        time.sleep(0.01)
    return block


@pytest.mark.long
def test_ctrl_c_cancels_the_tasks(mg: Any, client: Any, weight: Any, tmp_path: Path) -> None:
    w = weight()
    x, y = rows()
    program = mg.compile(weighted, x[0], y[0])
    lazy, other = chunked(x, y)
    slow = lazy.map_blocks(interrupt, str(tmp_path), os.getpid(), dtype=float, meta=x[:0])
    with pytest.raises(KeyboardInterrupt):
        program.backward(slow, other)
    (tmp_path / "noticed").touch()
    assert w.grad == 0.0
    end = time.monotonic() + 30
    while client.run_on_scheduler(count_tasks) > 1 and time.monotonic() < end:
        time.sleep(0.01)
    assert client.run_on_scheduler(count_tasks) <= 1  # the program stays
    assert len(list(tmp_path.iterdir())) < ROWS // SIZE
    total = program.backward(lazy, other)
    assert (total, w.grad) == in_this_process(program, w, lazy, other)


def count_tasks(dask_scheduler: Any) -> int:
    return len(dask_scheduler.tasks)


@pytest.mark.long
def test_an_error_on_a_worker_names_the_chunk_and_its_row(
    mg: Any, client: Any, weight: Any
) -> None:
    w = weight()
    program = mg.compile(lambda x: (w * x).log(), 1.0)
    x = np.ones(ROWS)
    x[57] = -1.0
    lazy = da.from_array(x, chunks=SIZE)
    with pytest.raises(ValueError, match=r"^chunk 5, row 7 \(row 57 of all\): math domain error"):
        program.backward(lazy, check=True)
    assert w.grad == 0.0
    assert len(pickle.dumps(program._parcel)) < 100_000


@pytest.fixture
def benchmark_module(mg: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """benchmarks/cluster.py, over the package of the test."""
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2]))
    monkeypatch.delitem(sys.modules, "benchmarks.cluster", raising=False)
    yield importlib.import_module("benchmarks.cluster")
    sys.modules.pop("benchmarks.cluster", None)


@pytest.mark.long
def test_the_benchmark_of_chunks_and_workers_finds_figures(
    client: Any, benchmark_module: Any
) -> None:
    figures = benchmark_module.per_chunk(client, 2, 6)
    assert len(figures) == 3 and np.isfinite(figures).all()
    waited = benchmark_module.slow_rows(3, 10, 1e-4)
    assert benchmark_module.second_worker(client, client, benchmark_module.cheap(), waited, 1) > 0
    size, parameters = benchmark_module.parcel()
    assert 1000 < size < 100_000 and parameters == 33


@pytest.mark.long
def test_rows_are_streamed_from_files(client: Any, benchmark_module: Any, tmp_path: Path) -> None:
    benchmark_module.write_files(tmp_path, 25_000, 2_000)
    found = benchmark_module.stream(client, tmp_path)
    x, y, target = np.concatenate([np.load(path) for path in sorted(tmp_path.iterdir())]).T
    z = 0.5 * x - 0.5 * y
    assert (found["files"], found["rows"]) == (13, 25_000)
    assert found["value"] == pytest.approx(np.mean(np.log1p(np.exp(z)) - target * z), rel=1e-12)
    slope = 1 / (1 + np.exp(-z)) - target
    assert found["gradient"] == pytest.approx(np.mean(slope * x), rel=1e-10)
