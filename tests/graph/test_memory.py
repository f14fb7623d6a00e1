"""Memory is used again and given back: pages, and the resident size of a process."""

from __future__ import annotations

import sys
from typing import Any

import pytest
from fresh import run

# ---- pages ----


@pytest.mark.long
def test_pages_are_used_again(mg: Any) -> None:
    def build() -> int:
        v = mg.Value(1.0)
        for _ in range(20_000):
            v = v + 1.0
        return int(mg.engine.statistics().bytes)

    mg.engine.trim()  # what earlier tests have left
    sizes = [build() for _ in range(40)]
    assert len(set(sizes[20:])) == 1


def test_trim_gives_unused_memory_back(mg: Any) -> None:
    v = mg.Value(1.0)
    for _ in range(200_000):
        v = v + 1.0
    del v
    before = mg.engine.statistics()
    mg.engine.trim()
    after = mg.engine.statistics()
    assert after.bytes < before.bytes
    assert after.free_pages < before.free_pages


@pytest.mark.long
@pytest.mark.parametrize(
    "result",
    [
        lambda lr, i: lr * 0.99**i,
        lambda lr, i: -lr,
        lambda lr, i: (lr.exp() + float(i)).tanh(),
    ],
    ids=["product", "negative", "expression"],
)
def test_a_small_result_kept_of_each_step_pins_8_kib(mg: Any, result: Any) -> None:
    lr = mg.Value(0.1)
    mg.engine.trim()
    before = mg.engine.statistics()
    kept = []
    for i in range(300):
        loss = lr * 1.0
        for _ in range(500):
            loss = loss + 1.0
        kept.append(result(lr, i))
        loss.backward()
        del loss
    mg.engine.trim()
    after = mg.engine.statistics()
    assert after.pages - before.pages <= 310  # some results lie across the end of a page
    assert after.bytes / (after.pages + after.free_pages) < 8 * 1024 + 100
    del kept


# ---- resident size ----

TRAINING = """
import gc, random, resource, sys
from micrograd_c import Value

gc.freeze()  # what was imported

how, steps = sys.argv[1], int(sys.argv[2])
choose = random.Random(1)
weights = [[Value(choose.uniform(-1, 1)) for _ in range(4)] for _ in range(3)]
parameters = [w for row in weights for w in row]

def labelled(v, i):
    v.label = f"node {i}"
    v.step = i
    return v

def halved(v):
    out = Value(0.5 * v.data, (v,), "half")
    def _backward():
        v.grad += 0.5 * out.grad
    out._backward = _backward
    return out

def step(i):
    outputs = [sum((w * x for w, x in zip(row, (0.5, -1.0, 2.0))), row[3]) for row in weights]
    if how == "labels":
        outputs = [labelled(o, i) for o in outputs]
    elif how == "closures":
        for _ in range(5):
            outputs = [halved(o) for o in outputs]
    loss = sum((o.tanh() - 0.5) ** 2 for o in outputs)
    for p in parameters:
        p.grad = 0.0
    loss.backward()
    for p in parameters:
        p.data -= 0.05 * p.grad

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

for i in range(steps // 5):
    step(i)
before = peak()
for i in range(steps):
    step(i)
print(peak() - before)
"""


@pytest.mark.long
@pytest.mark.parametrize("how", ["plain", "labels", "closures"])
def test_ten_thousand_training_steps_hold_the_resident_size_flat(mg: Any, how: str) -> None:
    pytest.importorskip("resource", reason="no resident size to read on this system")
    result = run(mg, TRAINING, how, "10000")
    assert result.stderr == ""
    # A byte lost at each of the 600,000 nodes would be 600.
    kilobytes = int(result.stdout) / (1024 if sys.platform == "darwin" else 1)
    assert kilobytes <= 512
