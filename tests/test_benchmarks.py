"""benchmarks/: turns, ratios and their quartiles, what is written where, instructions that grow."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
sys.path.append(str(ROOT))

from benchmarks import __main__ as command  # noqa: E402
from benchmarks import cluster_model, conftest, instructions, report, results  # noqa: E402

GROUP = "operator: a * b + c"


def recorded(contender: str, data: list[float], every: int = 1, count: int = 1) -> dict[str, Any]:
    """Return what pytest-benchmark writes of a contender."""
    extra = {"contender": contender, "unit": "operation", "count": count, "every": every}
    stats = {"data": data}
    return {"fullname": contender, "group": GROUP, "extra_info": extra, "stats": stats}


def load(folder: Path, *runs: list[dict[str, Any]]) -> results.Results:
    files = []
    for k, benchmarks in enumerate(runs):
        files.append(folder / f"{k}.json")
        files[-1].write_text(json.dumps({"benchmarks": benchmarks}))
    return results.load(files)


def ratio(found: results.Results, top: str, bottom: str) -> results.Ratio | None:
    rows = [results.find(found, GROUP, contender) for contender in (top, bottom)]
    assert rows[0] is not None and rows[1] is not None
    return results.ratio(rows[0], rows[1])


# ---- ratios ----


def test_a_ratio_is_the_median_of_the_pairs_with_their_quartiles(tmp_path: Path) -> None:
    # The machine is ten times slower in the last round; ratios of minima or medians are not 3.
    runs = [recorded("a", [2.0, 3.0, 4.0, 9.0, 50.0]), recorded("b", [1.0, 1.0, 1.0, 3.0, 10.0])]
    assert ratio(load(tmp_path, runs), "a", "b") == results.Ratio(3.0, 3.0, 4.0)


def test_times_of_different_lengths_are_per_unit(tmp_path: Path) -> None:
    runs = [recorded("a", [20.0, 20.0], count=10), recorded("b", [1.0, 1.0])]
    assert ratio(load(tmp_path, runs), "a", "b") == results.Ratio(2.0, 2.0, 2.0)


def test_a_slow_contender_is_paired_with_the_rounds_it_took_part_in(tmp_path: Path) -> None:
    runs = [recorded("slow", [4.0, 8.0], every=2), recorded("fast", [1.0, 100.0, 2.0, 100.0])]
    assert ratio(load(tmp_path, runs), "slow", "fast") == results.Ratio(4.0, 4.0, 4.0)


def test_rounds_of_different_runs_are_not_paired(tmp_path: Path) -> None:
    first = [recorded("a", [2.0, 2.0]), recorded("b", [1.0, 1.0])]
    second = [recorded("a", [20.0, 20.0]), recorded("b", [10.0, 10.0])]
    assert ratio(load(tmp_path, first, second), "a", "b") == results.Ratio(2.0, 2.0, 2.0)


def test_one_pair_is_no_ratio(tmp_path: Path) -> None:
    found = load(tmp_path, [recorded("a", [1.0]), recorded("b", [1.0])])
    assert ratio(found, "a", "b") is None


@pytest.mark.parametrize(
    ("low", "high", "steady"), [(0.86, 1.14, True), (0.84, 1.0, False), (1.0, 1.16, False)]
)
def test_a_ratio_is_steady_with_quartiles_within_15_percent(
    low: float, high: float, steady: bool
) -> None:
    assert results.Ratio(2 * low, 2.0, 2 * high).steady is steady


def test_readmes_table_leaves_out_what_is_not_steady(tmp_path: Path) -> None:
    names = report.OURS, report.FLOATS
    steady = [recorded(names[0], [1.5, 1.6, 1.4]), recorded(names[1], [1.0, 1.0, 1.0])]
    swinging = [recorded(names[0], [1.0, 2.0, 3.0]), recorded(names[1], [1.0, 1.0, 1.0])]
    line = "| `a * b + c`, times plain floats | 1.50 (1.45 - 1.55) |"
    assert line in report.for_readme(load(tmp_path, steady))
    assert "a * b + c" not in report.for_readme(load(tmp_path, swinging))
    assert "a * b + c" in report.ratios(load(tmp_path, swinging), report.RATIOS)


def test_readmes_ratios_are_not_against_python_with_gc_on() -> None:
    steady = ("plain floats", "C by hand", "numpy by hand", "torch, its modules", report.MICROGRAD)
    assert all(any(c.startswith(steady) for c in pair) for _, _, *pair in report.RATIOS)


# ---- turns ----


def entrant(log: list[str], name: str) -> conftest.Entrant:
    """Return a contender that writes down what happens to it."""
    clock = iter(range(10**6))  # each call takes a second
    stats = SimpleNamespace(options={"timer": lambda: next(clock)}, stats=SimpleNamespace(data=[]))
    benchmark = SimpleNamespace(stats=stats, extra_info={})
    steps = [lambda step=step: log.append(f"{name} {step}") for step in ("set", "run", "clear")]
    return conftest.Entrant(benchmark, steps[1], True, steps[0], steps[2])


def test_contenders_take_turns_in_each_round(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conftest, "TURN", 0.0)
    monkeypatch.setattr(conftest, "share", lambda turn, rounds: 1)
    log: list[str] = []
    entrants = [entrant(log, name) for name in "abc"]
    conftest.take_turns(entrants, 4)
    assert [step.split()[1] for step in log] == ["set", "run", "clear"] * 15
    ran = [step[0] for step in log[1::3]]
    assert all(sorted(ran[k : k + 3]) == ["a", "b", "c"] for k in range(0, 15, 3))
    assert [e.benchmark.stats.stats.data for e in entrants] == [[1] * 4] * 3


@pytest.mark.parametrize(("turns", "every"), [(0.5, 1), (1, 1), (2.1, 2), (5, 4), (1000, 8)])
def test_a_slow_contender_takes_part_in_fewer_rounds(turns: float, every: int) -> None:
    assert conftest.share(turns * conftest.TURN, 32) == every


@pytest.mark.long
def test_pytest_benchmark_records_the_turns(tmp_path: Path) -> None:
    file = tmp_path / "out.json"
    only = ["benchmarks", "-k", "test_operator and tanh and (None or cffi)"]
    options = [f"--benchmark-json={file}", f"--benchmark-storage={tmp_path}", "--benchmark-compare"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *only, *options],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr  # nothing to compare with is no error
    rows = results.load([file])["operator: a.tanh()"]
    assert {row.contender for row in rows} == {"plain floats", "micrograd_c, cffi backend"}
    assert results.ratio(*rows) is not None


# ---- the command ----


def test_the_page_goes_outside_the_tracked_files(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    written: list[Path] = []
    monkeypatch.setattr(command, "run", lambda effort, expression: {})
    monkeypatch.setattr(command, "write", lambda file, text: written.append(file))
    monkeypatch.setattr(command, "has", lambda module: module != "matplotlib")
    monkeypatch.setattr(sys, "argv", ["benchmarks", "-k", "nothing"])
    assert command.main() == 0
    assert written == [ROOT / "build" / "benchmarks" / "RESULTS.md"]
    monkeypatch.setattr(sys, "argv", ["benchmarks", "-k", "nothing", "--output", str(tmp_path)])
    assert command.main() == 0
    assert written[1:] == [tmp_path / "RESULTS.md"]


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    code = "import runpy; runpy.run_module('benchmarks', run_name='__main__')"
    hidden = "import sys; sys.modules['pytest_benchmark'] = sys.modules['numpy'] = None; "
    done = subprocess.run(
        [sys.executable, "-c", hidden + code], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 1
    message = 'pytest-benchmark and numpy must be installed: pip install ".[test]"\n'
    assert done.stderr == message


# ---- instructions ----

MADE_WITH = {"python": "CPython 3.11.7"}


def history(folder: Path, name: str, date: str, count: float, python: str = "3.11.7") -> None:
    record = {
        "date": date,
        "made with": {"python": f"CPython {python}"},
        "counts": {"native": {"a - b": count}},
    }
    (folder / f"{name}.json").write_text(json.dumps(record))


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty history; today's code takes 103 instructions."""
    monkeypatch.setattr(instructions, "VALGRIND", "valgrind")
    monkeypatch.setattr(instructions, "HISTORY", tmp_path)
    monkeypatch.setattr(instructions, "environment", lambda: MADE_WITH)
    monkeypatch.setattr(instructions, "count_all", lambda _: {"native": {"a - b": 103.0}})
    return tmp_path


def test_instructions_that_grow_fail(counted: Path, capsys: pytest.CaptureFixture[str]) -> None:
    history(counted, "0.1", "2026-01-01", 99.9)
    assert instructions.main([]) == 1
    assert capsys.readouterr().out.splitlines() == [
        "                                     0.1       today",
        "native, a - b                       99.9       103.0",
        "more than 3% over 0.1:",
        "native, a - b: 99.9 to 103.0, +3.1%",
    ]


def test_instructions_may_grow_by_3_percent(counted: Path) -> None:
    history(counted, "0.1", "2026-01-01", 100.0)
    assert instructions.main([]) == 0


def test_instructions_are_compared_with_the_latest_file(counted: Path) -> None:
    history(counted, "0.9", "2026-01-01", 50.0)
    history(counted, "0.10", "2026-02-01", 103.0)
    assert instructions.main([]) == 0


def test_instructions_of_another_python_are_not_compared(
    counted: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    history(counted, "0.1", "2026-01-01", 50.0, python="3.12.0")
    assert instructions.main([]) == 0
    assert "nothing to compare with" in capsys.readouterr().out


def test_recorded_instructions_are_what_the_next_are_compared_with(
    counted: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert instructions.main(["--record", "unreleased"]) == 0
    assert instructions.main([]) == 0
    monkeypatch.setattr(instructions, "count_all", lambda _: {"native": {"a - b": 107.0}})
    assert instructions.main([]) == 1


# ---- the model of a cluster ----


def test_a_cluster_with_few_long_chunks_takes_as_long_as_its_workers() -> None:
    work = cluster_model.Work(1e6, 1e-2, 8.0, 10)
    seconds = cluster_model.simulate(work, 1000, 1e-6, 10)
    assert seconds == pytest.approx(1e6 * 1e-2 / 10, rel=0.05)


def test_a_cluster_with_many_short_chunks_takes_as_long_as_its_scheduler() -> None:
    work = cluster_model.Work(1e7, 1e-9, 8.0, 10)
    few, more = (cluster_model.simulate(work, 1000, 1e-3, workers) for workers in (10, 1000))
    assert few == pytest.approx(1e7 / 1000 * 1e-3, rel=0.05)
    assert more == pytest.approx(few, rel=0.01)


@pytest.mark.long
def test_the_table_of_a_cluster_has_a_row_for_each_size_of_chunk() -> None:
    rows = [line for line in cluster_model.table(1e-1, 1e4).splitlines() if " us | " in line]
    assert len(rows) == 12 and all(row.count("|") == 9 for row in rows)
