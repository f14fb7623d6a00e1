"""Run all benchmarks, write RESULTS.md and results.svg, print README's table unless quick.

    python -m benchmarks [--quick] [--output DIR]

The whole suite runs several times, each in a process of its own, so that every contender is
measured at several times of the machine's day and in several layouts of memory; the rounds of all
runs are put together. The files go to build/benchmarks; with `--output benchmarks` they replace the
published ones.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from . import instructions, machine, report
from .contenders import FOLDER, OURS, ROOT, has
from .results import Results, load

RUNS = {"quick": 1, "full": 3}
NEEDED = {"pytest": "pytest", "pytest-benchmark": "pytest_benchmark", "numpy": "numpy"}


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Run all benchmarks, write RESULTS.md and results.svg, print README's table.",
    )
    parser.add_argument(
        "--quick", action="store_true", help="one short run, some 3 minutes (full: some 12)"
    )
    parser.add_argument(
        "--output",
        type=Path,
        default=ROOT / "build" / "benchmarks",
        metavar="DIR",
        help="where to write (build/benchmarks)",
    )
    parser.add_argument(
        "-k", metavar="EXPRESSION", default="", help="only these benchmarks, as pytest's -k"
    )
    options = parser.parse_args()
    missing = [name for name, module in NEEDED.items() if not has(module)]
    if missing:
        sys.exit(f'{" and ".join(missing)} must be installed: pip install ".[test]"')
    options.output.mkdir(parents=True, exist_ok=True)

    before = machine.load_average()
    results = run("quick" if options.quick else "full", options.k)
    load_average = {"Load average": f"{before} before, {machine.load_average()} after"}
    counts = {} if options.k else count_instructions(quick=options.quick)

    command = " --quick" if options.quick else ""
    page = report.write(results, {**machine.describe(), **load_average}, counts, command)
    write(options.output / "RESULTS.md", page)
    if has("matplotlib"):
        from . import chart

        if chart.draw(results, options.output / "results.svg"):
            print(f"wrote {options.output / 'results.svg'}")
    else:
        print("matplotlib is not installed: no chart")
    if not options.quick:  # one run shows one layout of memory, and few pairs of slow contenders
        print(f"\nREADME's table, only what is steady:\n\n{report.for_readme(results)}")
    return 0


def run(effort: str, expression: str) -> Results:
    """Run the suite as often as the effort asks for, and return what was recorded."""
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder) / f"{k}.json" for k in range(RUNS[effort])]
        for k, file in enumerate(files, start=1):
            print(f"run {k} of {len(files)}", flush=True)
            command = [sys.executable, "-m", "pytest", str(FOLDER), "-q", f"--effort={effort}"]
            command += ["-p", "no:cacheprovider", f"--benchmark-json={file}", "-k", expression]
            command += ["--benchmark-columns=min,median,rounds", "--benchmark-sort=min"]
            status = subprocess.run(command, cwd=ROOT).returncode
            if status:
                sys.exit(f"run {k} failed: pytest exited with status {status}")
        return load(files)


def count_instructions(*, quick: bool) -> dict[str, dict[str, float]]:
    """Return the instructions per operation for each contender; nothing without valgrind.

    The cffi backend takes thousands for each and as long to count: not if it has to be quick.
    """
    if instructions.VALGRIND is None:
        print("valgrind is not installed: no instructions are counted")
        return {}
    names = {"floats": "plain floats", **{c.engine: c.name for c in OURS}}
    if quick:
        names.pop("cffi")
    print("counting instructions", flush=True)
    counts = instructions.count_all(list(names))
    return {names[engine]: counts[engine] for engine in counts}


def write(file: Path, text: str) -> None:
    """Write it whole or not at all."""
    draft = file.with_suffix(".new")
    draft.write_text(text, encoding="utf-8")
    os.replace(draft, file)
    print(f"wrote {file}")


if __name__ == "__main__":
    sys.exit(main())
