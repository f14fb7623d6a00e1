"""Processes: fork and spawn."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
from operator import methodcaller
from pathlib import Path
from typing import Any

import pytest
from reference import CREATION_ORDERED


def run_script(mg: Any, script: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(Path(mg.__file__).parent.parent), *sys.path])
    return subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )


FORKED = """
import os, signal, sys, threading
from micrograd_c import Value

def work():
    while not over.is_set():
        v = Value(1.0, label="leaf")
        for _ in range(20):
            v = v * 0.5 + 1.0
            v.label = "inner"
        v.backward()

def child():
    signal.alarm(20)  # a deadlock ends the child
    a, b = Value(2.0), shared * 3.0
    b.label = "b"
    (a * b).backward()
    ok = (a.grad, shared.grad, b.label, kept._children[0].label) == (15.0, 6.0, "b", "kept")
    os._exit(0 if ok else 1)

over = threading.Event()
shared = Value(5.0)
kept = Value(1.0, label="kept") * 2.0
threads = [threading.Thread(target=work) for _ in range(COUNT)]
for thread in threads:
    thread.start()
sys.setswitchinterval(1e-6)
for _ in range(15):
    pid = os.fork()
    if pid == 0:
        child()
    print(os.waitpid(pid, 0)[1])
over.set()
for thread in threads:
    thread.join()
print((shared * 2.0).data)
"""


@pytest.mark.long
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.parametrize("threads", [0, 1, 2])
def test_child_of_a_fork_goes_on_computing(mg: Any, threads: int) -> None:
    done = run_script(mg, FORKED.replace("COUNT", str(threads)))
    assert done.stdout.split() == ["0"] * 15 + ["10.0"], done.stderr


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_child_of_a_fork_may_fork_again(mg: Any) -> None:
    script = """
import os, signal
from micrograd_c import Value

def descend(depth):
    signal.alarm(20)
    v = Value(float(depth)) * 2.0
    if depth < 3:
        pid = os.fork()
        if pid == 0:
            descend(depth + 1)
        status = os.waitpid(pid, 0)[1]
    else:
        status = 0
    v.backward()
    os._exit(1 if status or v._children[0].grad != 2.0 else 0)

pid = os.fork()
if pid == 0:
    descend(0)
print(os.waitpid(pid, 0)[1])
"""
    assert run_script(mg, script).stdout == "0\n"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_what_python_calls_around_a_fork_may_record(mg: Any) -> None:
    script = """
import os, signal

signal.alarm(20)

def record():
    global kept
    kept = kept * 2.0 + 1.0

os.register_at_fork(before=record, after_in_parent=record, after_in_child=record)
from micrograd_c import Value
os.register_at_fork(before=record, after_in_parent=record, after_in_child=record)
kept = Value(0.0)

pid = os.fork()
if pid == 0:
    signal.alarm(20)
    os._exit(0 if kept.data == 15.0 else 1)
print(kept.data, os.waitpid(pid, 0)[1])
"""
    assert run_script(mg, script).stdout == "15.0 0\n"


def test_spawned_process_computes_with_a_pickled_model(mg: Any) -> None:
    model = mg.MLP(2, [3, 1])
    here = model([0.5, -1.0])
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        there = pool.apply(methodcaller("__call__", [0.5, -1.0]), (model,))
        count = pool.apply(len, (model.parameters(),))
    assert (there.data, there._op, count) == (here.data, here._op, len(model.parameters()))


def test_graph_from_a_spawned_process_is_differentiated_here(mg: Any) -> None:
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        root = pool.apply(methodcaller("tanh"), (mg.Value(0.5, label="x") * 2.0,))
    root.backward()
    leaf = root._children[0]._children[0]
    expected = CREATION_ORDERED.Value(0.5)
    (expected * 2.0).tanh().backward()
    assert (leaf.label, leaf.grad) == ("x", expected.grad)
