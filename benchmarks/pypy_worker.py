"""Run one workload of one pure-Python engine, one timed round for each line read.

    pypy3 pypy_worker.py WORKLOAD ENGINE WARM_UP MICROGRAD_FOLDER REFERENCE_FILE

The first line written is an object with the trace to be compared and the number of units in a
round; each further one is a round's seconds. WARM_UP seconds of rounds come before all that.
"""

from __future__ import annotations

import gc
import importlib.util
import json
import sys
from collections.abc import Callable
from importlib import import_module
from time import perf_counter
from typing import Any

import gpt  # type: ignore[import-not-found]
import lean  # type: ignore[import-not-found]
import programs  # type: ignore[import-not-found]


def value_of(engine: str, folder: str, file: str) -> Any:
    """Return the class `Value` of micrograd, of the reference or of lean.py."""
    if engine == "lean":
        return lean.Value
    if engine == "micrograd":
        sys.path.append(folder)
        return import_module("micrograd.engine").__dict__["Value"]
    spec = importlib.util.spec_from_file_location("reference", file)
    if spec is None or spec.loader is None:
        raise ImportError(file)
    module = importlib.util.module_from_spec(spec)
    sys.modules["reference"] = module
    spec.loader.exec_module(module)
    return module.__dict__["Value"]


def training(workload: str, value: Any) -> Any:
    """Return the training that a workload consists of."""
    if workload == "gpt":
        return gpt.Training(value)
    if workload == "notebook":
        return programs.notebook_training(programs.NotebookMLP(value, programs.NOTEBOOK_SIZES))
    if workload == "mlp":
        nin, *nouts = programs.MOONS_SIZES
        nn: Any = import_module("micrograd.nn")
        return programs.moons_training(value, nn.MLP(nin, nouts))
    return programs.moons_training(value, programs.Lists(value, programs.MOONS_SIZES))


def timed(work: Callable[[], object]) -> float:
    """Return the seconds it takes."""
    start = perf_counter()
    work()
    return perf_counter() - start


def main() -> None:
    workload, engine, warm_up, folder, file = sys.argv[1:]
    task = training(workload, value_of(engine, folder, file))
    trace = task.trace(programs.STEPS_COMPARED)
    count = 20 if workload == "notebook" else 1

    def round_of_steps() -> float:
        return timed(lambda: [task.step() for _ in range(count)])

    def round_of_backward() -> float:
        gc.collect()
        loss = task.loss()
        return timed(loss.backward)

    run = round_of_backward if workload == "backward" else round_of_steps
    end = perf_counter() + float(warm_up)
    while perf_counter() < end:
        run()
    print(json.dumps({"trace": trace, "count": count}), flush=True)
    for _ in sys.stdin:
        print(json.dumps(run()), flush=True)


main()
