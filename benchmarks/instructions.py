"""Instructions per operation, counted by callgrind: the same on a busy machine as on a quiet one.

A process under valgrind runs each piece of work twice, the second time longer, and calls getppid
before and after; callgrind writes its counts at each of these calls. The difference of the two
counts over the difference of the two lengths is what one more operation costs, loop included;
what does not depend on the length, the process's start above all, falls out.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from .contenders import ROOT
from .instructions_worker import SHORT, TIMES_LONGER, labels

VALGRIND = shutil.which("valgrind")


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
        subprocess.run(command, check=True, cwd=ROOT, capture_output=True)
        names = labels(contender)
        # Counts 2, 4, 6, ... are of the work; 1, 3, 5, ... of what is between.
        totals = [_total(Path(f"{out}.{2 * k}")) for k in range(1, 2 * len(names) + 1)]
    extra = SHORT[contender] * (TIMES_LONGER - 1)
    pairs = zip(totals[::2], totals[1::2])
    return {name: (more - less) / extra for name, (less, more) in zip(names, pairs)}


def _total(file: Path) -> int:
    """Return the number of instructions in one of callgrind's files."""
    found = re.search(r"^(?:summary|totals): (\d+)", file.read_text(), re.MULTILINE)
    if found is None:
        raise ValueError(f"callgrind wrote no total into {file}")
    return int(found.group(1))
