"""Instructions per operation, counted by callgrind: the same on a busy machine as on a quiet one.

    python -m benchmarks.instructions [--record NAME]

A process under valgrind runs each piece of work twice, the second time longer, and calls getppid
before and after; callgrind writes its counts at each of these calls. The difference of the two
counts over the difference of the two lengths is what one more operation costs; what does not depend
on the length, the process's start above all, falls out. So does what the empty loop costs, which
differs by 15 instructions between processes with other modules.

history/ has the counts of each release, NAME.json, and those of what came after the last one,
unreleased.json. The command counts today's, prints them beside, and fails where an operation takes
over 3 % more than in the latest file. Counts depend on the interpreter and on what compiled both:
each file says what its own were made with, and only files of the same are compared with.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path

from . import machine
from .contenders import FOLDER, OURS, ROOT
from .instructions_worker import EMPTY, SHORT, TIMES_LONGER, labels
from .operators import OPERATIONS

VALGRIND = shutil.which("valgrind")
HISTORY = FOLDER / "history"
GROWTH = 0.03

Counts = dict[str, dict[str, float]]


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.instructions",
        description="Count the instructions of each operation on both backends, compare with "
        "history/, fail where one has grown by over 3 %%.",
    )
    parser.add_argument(
        "--record", metavar="NAME", help="write history/NAME.json and compare nothing"
    )
    name = parser.parse_args(arguments).record
    if VALGRIND is None:
        sys.exit("valgrind must be installed, which counts the instructions")
    made_with, today = environment(), count_all([contender.engine for contender in OURS])
    if name is not None:
        record = {"date": f"{date.today()}", "made with": made_with, "counts": today}
        (HISTORY / f"{name}.json").write_text(json.dumps(record, indent=1) + "\n")
        return 0
    before = history(made_with)
    print(table({**before, "today": today}))
    if not before:
        print(f"nothing to compare with: no file of {HISTORY} was made with {made_with}")
        return 0
    latest = list(before)[-1]
    growth = grown(before[latest], today)
    if growth:
        print(f"more than {GROWTH:.0%} over {latest}:", *growth, sep="\n")
    return 1 if growth else 0


def history(made_with: dict[str, str]) -> dict[str, Counts]:
    """Return the recorded counts that were made with the same, by name, the latest last."""
    files = {file.stem: json.loads(file.read_text()) for file in HISTORY.glob("*.json")}
    in_order = sorted(files.items(), key=lambda item: item[1]["date"])
    return {name: each["counts"] for name, each in in_order if each["made with"] == made_with}


def grown(before: Counts, today: Counts) -> list[str]:
    """Return a line for each operation that takes more than 3 % more."""
    pairs = [
        (f"{contender}, {what}", before.get(contender, {}).get(what, math.inf), now)
        for contender, counts in today.items()
        for what, now in counts.items()
    ]
    return [
        f"{name}: {once} to {now}, {now / once - 1:+.1%}"
        for name, once, now in pairs
        if now > once * (1 + GROWTH)
    ]


def table(columns: dict[str, Counts]) -> str:
    """Return the counts of several times side by side."""
    lines = ["".join([f"{'':28}", *(f"{name:>12}" for name in columns)])]
    for contender, counts in columns["today"].items():
        for what in counts:
            each = [counts.get(contender, {}).get(what, math.nan) for counts in columns.values()]
            name = f"{contender}, {what}"
            lines.append("".join([f"{name:28}", *(f"{n:12.1f}" for n in each)]))
    return "\n".join(lines)


def environment() -> dict[str, str]:
    """Return what counts depend on beside the code: the interpreter and the compilers."""
    return {
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "python's compiler": platform.python_compiler(),
        "compiler": machine.compiler(),
        "C library": " ".join(platform.libc_ver()),
        "processor": platform.machine(),
    }


def count_all(contenders: list[str]) -> Counts:
    """Return the counts of each contender."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return dict(zip(contenders, pool.map(count, contenders)))


def count(contender: str) -> dict[str, float]:
    """Return the instructions per operation or node: 'floats', or a backend's name."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "counts"
        command = [
            VALGRIND or "valgrind",
            "--tool=callgrind",
            f"--callgrind-out-file={out}",
            "--dump-before=getppid",
            sys.executable,
            "-m",
            "benchmarks.instructions_worker",
            contender,
        ]
        hashes = {**os.environ, "PYTHONHASHSEED": "0"}
        subprocess.run(command, check=True, cwd=ROOT, capture_output=True, env=hashes)
        names = labels(contender)
        # Counts 2, 4, 6, ... are of the work; 1, 3, 5, ... of what is between.
        totals = [_total(Path(f"{out}.{2 * k}")) for k in range(1, 2 * len(names) + 1)]
    extra = SHORT[contender] * (TIMES_LONGER - 1)
    pairs = zip(totals[::2], totals[1::2])
    counts = {name: (more - less) / extra for name, (less, more) in zip(names, pairs)}
    loop = counts.pop(EMPTY)
    return {name: round(n - loop * (name in OPERATIONS), 1) for name, n in counts.items()}


def _total(file: Path) -> int:
    """Return the number of instructions in one of callgrind's files."""
    found = re.search(r"^(?:summary|totals): (\d+)", file.read_text(), re.MULTILINE)
    if found is None:
        raise ValueError(f"callgrind wrote no total into {file}")
    return int(found.group(1))


if __name__ == "__main__":
    sys.exit(main())
