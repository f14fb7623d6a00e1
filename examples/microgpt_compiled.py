"""The GPT of microgpt.py, its functions as they are, trained by replays instead of graphs.

    python examples/microgpt_compiled.py [--steps 200] [--batch 32] [--seed 7] [--compare 5]

What changes is how a token is looked up: it is a number of the call, not of the recording, so
`take` finds its embedding. The loss of a document is recorded once for each length, and then

* `@mg.jit` replays it for single documents, in the loop of a training that stays as it is;
* `mg.compile` replays it for minibatches, documents of one length at a time, in threads.

Both learn what the graph of Values learns: `--compare` runs some steps of each and prints the
largest difference between their losses.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

import micrograd_c as mg

sys.path.insert(0, str(Path(__file__).parent))
import microgpt


class Embedding:
    """A table whose rows are looked up by a number that may be another one in each call."""

    def __init__(self, rows: list[list[mg.Value]]) -> None:
        self.rows = rows

    def __getitem__(self, token: Any) -> Any:
        return mg.take(self.rows, token)


class Model:
    """Weights, and the loss of a document as a function of its tokens."""

    def __init__(self, vocabulary: int, seed: int) -> None:
        random.seed(seed)
        self.weights = microgpt.make_weights(vocabulary)
        self.parameters = [p for rows in self.weights.values() for row in rows for p in row]
        self.lookups = {**self.weights, "token": Embedding(self.weights["token"])}

    def loss(self, tokens: Any) -> Any:
        """Return the average surprise at each next token of one document."""
        keys, values = microgpt.empty_past()
        losses = []
        for position, (token, target) in enumerate(zip(tokens, tokens[1:])):
            logits = microgpt.gpt(self.lookups, token, position, keys, values)
            losses.append(mg.cross_entropy(logits, target))
        return sum(losses) / len(losses)


# ---- three ways to take a step: each returns the loss of a minibatch, gradients are added ----

Step = Callable[[list[list[int]]], float]


def by_graphs(model: Model) -> Step:
    """A graph of Values for each document."""

    def step(documents: list[list[int]]) -> float:
        loss = sum(map(model.loss, documents)) / len(documents)
        loss.backward()
        return loss.data

    return step


def by_jit(model: Model) -> Step:
    """The same loop; each document is a replay, and a node."""
    loss_of = mg.jit(model.loss)

    def step(documents: list[list[int]]) -> float:
        loss = sum(map(loss_of, documents)) / len(documents)
        loss.backward()
        return loss.data

    return step


def by_compile(model: Model, threads: int = 1) -> Step:
    """One replay for the documents of each length."""
    program = mg.compile(model.loss, max_shapes=microgpt.BLOCK_SIZE)

    def step(documents: list[list[int]]) -> float:
        lengths = defaultdict(list)
        for document in documents:
            lengths[len(document)].append(document)
        total = 0.0
        for same in lengths.values():
            weights = np.full(len(same), 1.0 / len(documents))
            rows = np.array(same, float)
            total += program.backward(rows, weights=weights, reduction="sum", threads=threads)
        return total

    return step


# ---- training ----


def batches(documents: list[list[int]], size: int) -> Iterator[list[list[int]]]:
    """Yield minibatches for ever, in the order of the documents."""
    place = 0
    while True:
        yield [documents[(place + i) % len(documents)] for i in range(size)]
        place += size


def train(model: Model, step: Step, source: Iterator[Any], steps: int) -> list[float]:
    """Adam, a minibatch a step, the learning rate falling to zero; return the losses."""
    optimizer = mg.optim.Adam(model.parameters, lr=0.01, betas=(0.85, 0.99), eps=1e-8)
    schedule = mg.optim.LinearLR(optimizer, 1.0, 0.0, steps)
    losses = []
    for batch in (next(source) for _ in range(steps)):
        optimizer.zero_grad()
        losses.append(step(batch))
        optimizer.step()
        schedule.step()
    return losses


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--batch", type=int, default=32, help="documents a step")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--compare", type=int, default=5, help="steps of each way to compare")
    parser.add_argument("--text", type=Path, default=Path(__file__).with_name("names.txt"))
    options = parser.parse_args()

    texts = [text.strip() for text in options.text.read_text(encoding="utf-8").split("\n")]
    texts = [text for text in texts if text]
    random.seed(options.seed)
    random.shuffle(texts)
    tokenizer = microgpt.Tokenizer(texts)
    most = microgpt.BLOCK_SIZE + 1
    documents = [tokenizer.encode(text)[:most] for text in texts]
    ways = {"graphs": by_graphs, "jit": by_jit, "compile": by_compile}

    losses = {}
    for name, way in ways.items():
        model = Model(tokenizer.size, options.seed)
        source = batches(documents, options.batch)
        losses[name] = train(model, way(model), source, options.compare)
    for name in ("jit", "compile"):
        pairs = zip(losses[name], losses["graphs"])
        print(f"{name}: losses differ by {max(abs(a - b) for a, b in pairs):.1e} at most")

    model = Model(tokenizer.size, options.seed)
    step = by_compile(model, options.threads)
    start = time.perf_counter()
    found = train(model, step, batches(documents, options.batch), options.steps)
    each = (time.perf_counter() - start) / options.steps / options.batch
    print(f"{options.steps} steps of {options.batch} documents: loss {found[0]:.4f}", end=" ")
    print(f"to {found[-1]:.4f}, {1e6 * each:.0f} us a document, recording included")
    for i in range(5):
        print(f"sample {i + 1}: {microgpt.sample(model.weights, tokenizer, 0.6)}")


if __name__ == "__main__":
    main()
