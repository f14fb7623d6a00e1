"""The training step of a small GPT, in the manner of microgpt, over any class `Value`.

One layer, 16 dimensions, 4 heads; a token is a letter, a document a name. Plain Python and the
standard library alone, as programs.py, and for the same reasons. All that a program over the
package would write in another way are `linear`, `softmax`, the `sum`s and the loop of Adam.
"""

from __future__ import annotations

import random
from typing import Any

LETTERS = "abcdefghijklmnopqrstuvwxyz"
BOS = len(LETTERS)  # begins and ends a name
NAMES = ["olivia", "sophia", "amelia", "harper"]  # of one length: all steps are alike

EMBEDDING = 16
HEADS = 4
BLOCK = 16  # the longest name, and BOS
HEAD = EMBEDDING // HEADS

RATE, BETA1, BETA2, EPS = 0.01, 0.85, 0.99, 1e-8


def tokens_of(name: str) -> list[int]:
    """Return a name as numbers, between two BOS."""
    return [BOS, *map(LETTERS.index, name), BOS]


def make_weights(value: Any) -> dict[str, list[list[Any]]]:
    """Return the matrices of the model, a list of rows each."""
    generator = random.Random(42)
    vocabulary = len(LETTERS) + 1

    def matrix(nout: int, nin: int) -> list[list[Any]]:
        return [[value(generator.gauss(0, 0.08)) for _ in range(nin)] for _ in range(nout)]

    return {
        "token": matrix(vocabulary, EMBEDDING),
        "position": matrix(BLOCK, EMBEDDING),
        "logits": matrix(vocabulary, EMBEDDING),
        "query": matrix(EMBEDDING, EMBEDDING),
        "key": matrix(EMBEDDING, EMBEDDING),
        "value": matrix(EMBEDDING, EMBEDDING),
        "mix": matrix(EMBEDDING, EMBEDDING),
        "widen": matrix(4 * EMBEDDING, EMBEDDING),
        "narrow": matrix(EMBEDDING, 4 * EMBEDDING),
    }


# ---- the model ----


def linear(rows: Any, x: Any) -> Any:
    return [sum(wi * xi for wi, xi in zip(row, x)) for row in rows]


def softmax(logits: Any) -> Any:
    largest = max(logit.data for logit in logits)
    exps = [(logit - largest).exp() for logit in logits]
    total = sum(exps)
    return [e / total for e in exps]


def rmsnorm(x: Any) -> Any:
    mean_square = sum(xi * xi for xi in x) / len(x)
    scale = (mean_square + 1e-5) ** -0.5
    return [xi * scale for xi in x]


def attention(query: Any, keys: Any, values: Any) -> Any:
    """One head: an average of the values so far, by how well their keys match the query."""
    scores = [sum(q * k for q, k in zip(query, key)) / HEAD**0.5 for key in keys]
    shares = softmax(scores)
    return [sum(a * v for a, v in zip(shares, column)) for column in zip(*values)]


def gpt(weights: Any, token: int, position: int, keys: Any, values: Any) -> Any:
    """The logits of the next token; this position's key and value join those before it."""
    x = [t + p for t, p in zip(weights["token"][token], weights["position"][position])]
    x = rmsnorm(x)

    residual, x = x, rmsnorm(x)
    query = linear(weights["query"], x)
    keys.append(linear(weights["key"], x))
    values.append(linear(weights["value"], x))
    heads = []
    for start in range(0, EMBEDDING, HEAD):
        head = slice(start, start + HEAD)
        heads += attention(query[head], [k[head] for k in keys], [v[head] for v in values])
    x = [r + m for r, m in zip(residual, linear(weights["mix"], heads))]

    residual, x = x, rmsnorm(x)
    hidden = [h.relu() for h in linear(weights["widen"], x)]
    x = [r + n for r, n in zip(residual, linear(weights["narrow"], hidden))]
    return linear(weights["logits"], x)


def loss_of(weights: Any, name: str) -> Any:
    """The average surprise at each letter of a name, and at its end."""
    tokens = tokens_of(name)
    keys: list[Any] = []
    values: list[Any] = []
    losses = []
    for position, (token, target) in enumerate(zip(tokens, tokens[1:])):
        probabilities = softmax(gpt(weights, token, position, keys, values))
        losses.append(-probabilities[target].log())
    return (1 / len(losses)) * sum(losses)


# ---- training ----


class Training:
    """The weights, and what Adam remembers of each of them."""

    def __init__(self, value: Any) -> None:
        self.weights = make_weights(value)
        self.params = [p for rows in self.weights.values() for row in rows for p in row]
        self.m = [0.0] * len(self.params)
        self.v = [0.0] * len(self.params)
        self.steps = 0

    def loss(self) -> Any:
        """Record the loss of the name whose turn it is."""
        return loss_of(self.weights, NAMES[self.steps % len(NAMES)])

    def update(self) -> None:
        """Take Adam's step, and set the gradients to zero."""
        m, v, step = self.m, self.v, self.steps
        lr, beta1, beta2, eps = RATE, BETA1, BETA2, EPS
        for i, p in enumerate(self.params):
            m[i] = beta1 * m[i] + (1 - beta1) * p.grad
            v[i] = beta2 * v[i] + (1 - beta2) * p.grad**2
            m_hat = m[i] / (1 - beta1 ** (step + 1))
            v_hat = v[i] / (1 - beta2 ** (step + 1))
            p.data -= lr * m_hat / (v_hat**0.5 + eps)
            p.grad = 0

    def step(self) -> float:
        """Forward, backward, update; return the loss."""
        loss = self.loss()
        loss.backward()
        self.update()
        self.steps += 1
        return loss.data  # type: ignore[no-any-return]

    def trace(self, steps: int) -> list[float]:
        """Return the gradients at the start, the losses of some steps, and the parameters then."""
        self.loss().backward()
        gradients = [p.grad for p in self.params]
        for p in self.params:
            p.grad = 0.0
        losses = [self.step() for _ in range(steps)]
        return [float(x) for x in [*gradients, *losses, *(p.data for p in self.params)]]


class WithOptimizer(Training):
    """The same, the parameters updated by the package's Adam."""

    def __init__(self, value: Any, adam: Any) -> None:
        super().__init__(value)
        self.optimizer = adam(self.params, RATE, (BETA1, BETA2), EPS)

    def update(self) -> None:
        """Take Adam's step, and set the gradients to zero."""
        self.optimizer.step()
        self.optimizer.zero_grad()
