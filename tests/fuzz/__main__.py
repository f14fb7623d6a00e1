"""The fuzzer's command: it plays in processes of their own, and shrinks what it finds."""

from __future__ import annotations

import argparse
import faulthandler
import gc
import multiprocessing
import os
import queue
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent

if __name__ == "__main__":  # the backend is chosen before the package is imported
    for _place, _word in enumerate(sys.argv):
        if _word == "--backend":
            os.environ["MICROGRAD_C_BACKEND"] = sys.argv[_place + 1]
    sys.path[0] = str(HERE.parent)
    sys.path.append(str(HERE.parent.parent))

from random_programs import Program  # noqa: E402

import fuzz  # noqa: E402
from fuzz.compare import difference  # noqa: E402
from fuzz.programs import program_of  # noqa: E402
from fuzz.shrink import shrink  # noqa: E402
from micrograd_c import engine  # noqa: E402

ENDLESS = 60.0  # seconds of a processor that one program does not take
SILENCE = 600.0  # seconds by the clock without a program finished: it waits for ever

_planted: list[str] = []  # passed on to every process


def _command(*arguments: str) -> list[str]:
    return [sys.executable, str(HERE), "--backend", engine.BACKEND, *_planted, *arguments]


def _replay_fails(program: Program) -> bool:
    """Whether a program, played in a child of this process, makes it fail in whatever way."""
    child = multiprocessing.get_context("fork").Process(target=_replay, args=(program,))
    child.start()
    child.join(ENDLESS)
    child.kill()  # it hangs, or has ended
    child.join()
    return child.exitcode != 0


def _replay(program: Program) -> None:
    faulthandler.disable()  # what a child dies of is told in the end
    sys.stderr = open(os.devnull, "w")  # noqa: SIM115
    sys.exit(difference(program) is not None)


def _work(seed: int, first: int, seconds: float, programs: int) -> int:
    """Play programs until the time is over; say which is under way."""
    end = time.monotonic() + seconds
    index = first
    while time.monotonic() < end and index < programs:
        print("program", index, flush=True)
        signal.setitimer(signal.ITIMER_PROF, ENDLESS)
        found = difference(program_of(seed, index))
        if found is not None:
            print("found", found, flush=True)
            return 1
        index += 1
    print("done", index - first, flush=True)
    return 0


def _read(stream: Any, lines: queue.Queue[str | None]) -> None:
    for line in stream:
        lines.put(line)
    lines.put(None)


def _watch(seed: int, seconds: float, programs: int) -> tuple[int, str | None, int]:
    """Run a process that plays; return the last program, what is wrong with it, and how many."""
    command = _command("--work", "--seed", str(seed), "--seconds", str(seconds))
    with subprocess.Popen(
        [*command, "--programs", str(programs)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        lines: queue.Queue[str | None] = queue.Queue()
        threading.Thread(target=_read, args=(process.stdout, lines), daemon=True).start()
        index, text = -1, ""
        while True:
            try:
                line = lines.get(timeout=SILENCE)
            except queue.Empty:
                process.send_signal(signal.SIGABRT)  # faulthandler says where
                trace = "".join(iter(lines.get, None))
                return index, f"it hangs\n{trace}", index
            if line is None:
                break
            if line.startswith("program "):
                index, text = int(line.split()[1]), ""
            else:
                text += line
    if process.returncode == 0:
        return index, None, index + 1
    return index, text or f"the process died with status {process.returncode}", index


def main() -> int:
    parser = argparse.ArgumentParser(description=fuzz.__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--programs", type=int, default=sys.maxsize, help="at most so many")
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--backend", choices=["native", "cffi"], default=engine.BACKEND)
    parser.add_argument("--replay", metavar="PROGRAM", help="a program as printed; - reads it")
    parser.add_argument("--plant", default="", help="statements that break Value")
    parser.add_argument("--work", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    faulthandler.enable()
    faulthandler.register(signal.SIGPROF, chain=True)  # which ends the process then
    gc.freeze()  # what has been imported; a program is settled by many collections
    exec(options.plant, {"Value": engine.Value})
    _planted[:] = ["--plant", options.plant] if options.plant else []
    seed = random.randrange(10**9) if options.seed is None else options.seed
    if options.replay is not None:
        text = sys.stdin.read() if options.replay == "-" else options.replay
        found = difference(_program(text))
        print(found or "no difference")
        return int(found is not None)
    if options.work:
        return _work(seed, 0, options.seconds, options.programs)
    index, found, count = _watch(seed, options.seconds, options.programs)
    if found is None:
        print(f"{count} programs on {engine.BACKEND}, seed {seed}: no difference")
        return 0
    print(f"seed {seed}, program {index} on {engine.BACKEND}: {found.strip()}", flush=True)
    program = program_of(seed, index)
    if not _replay_fails(program):
        print("not by itself: it takes the programs before it; program:", program)
        return 1
    program = shrink(program, _replay_fails)
    print(f"shrunk to {len(program)} steps:\n{program!r}")
    done = subprocess.run(
        _command("--replay", "-"), input=repr(program), text=True, capture_output=True
    )
    print(done.stdout.strip() or f"status {done.returncode}\n{done.stderr.strip()}")
    return 1


def _program(text: str) -> Program:
    """Read a program as Python prints it; inf and nan are names there."""
    names = {"inf": float("inf"), "nan": float("nan")}
    return eval(text, {"__builtins__": {}}, names)


if __name__ == "__main__":
    sys.exit(main())
