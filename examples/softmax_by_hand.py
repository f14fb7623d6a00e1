"""Softmax and its negative log-likelihood, with operators that are added to Value from outside.

    python examples/softmax_by_hand.py

An operator is a number, the operands it was made from, and a closure that hands its gradient on.
Nothing else about the class need be known: four operators are written below as plain functions and
put on the class, the loss is computed with them, and then once more with those the class came with.
"""

from __future__ import annotations

import math

from micrograd_c import Value

LOGITS = [0.0, 3.0, -2.0, 1.0]
ANSWER = 3
STEPS = 12
RATE = 0.5


def exp(x):
    out = Value(math.exp(x.data), (x,), "exp")

    def _backward():
        x.grad += out.data * out.grad

    out._backward = _backward
    return out


def log(x):
    out = Value(math.log(x.data), (x,), "log")

    def _backward():
        x.grad += 1 / x.data * out.grad

    out._backward = _backward
    return out


def negative(x):
    out = Value(-x.data, (x,), "neg")

    def _backward():
        x.grad += -out.grad

    out._backward = _backward
    return out


def divide(x, y):
    out = Value(x.data / y.data, (x, y), "/")

    def _backward():
        x.grad += out.grad / y.data
        y.grad += -x.data / y.data**2 * out.grad

    out._backward = _backward
    return out


def softmax(logits):
    counts = [logit.exp() for logit in logits]
    total = sum(counts)
    return [count / total for count in counts]


def loss_of(logits):
    """How surprised the softmax of these logits is by the answer: -log(probability)."""
    return -softmax(logits)[ANSWER].log()


def main():
    came_with = (Value.exp, Value.log, Value.__neg__, Value.__truediv__)
    Value.exp, Value.log, Value.__neg__, Value.__truediv__ = exp, log, negative, divide

    logits = [Value(x) for x in LOGITS]
    probabilities = softmax(logits)
    loss = -probabilities[ANSWER].log()
    loss.backward()
    print("operators used:", loss._op, *(child._op for child in loss._prev))
    for i, (logit, p) in enumerate(zip(logits, probabilities)):
        # On paper: the gradient is the probability, less one at the right answer.
        paper = p.data - (i == ANSWER)
        print(f"logit {logit.data:+.1f}  probability {p.data:.12f}  grad {logit.grad:+.12f}")
        assert math.isclose(logit.grad, paper, rel_tol=1e-9), (logit.grad, paper)
    print(f"loss {loss.data}")

    # Downhill: the loss falls, the answer's logit rises above the others.
    trained = [Value(x) for x in LOGITS]
    for step in range(STEPS):
        surprise = loss_of(trained)
        for logit in trained:
            logit.grad = 0.0
        surprise.backward()
        for logit in trained:
            logit.data -= RATE * logit.grad
        print(f"step {step}  loss {surprise.data}")

    # The same loss once more, with the operators that the class came with.
    Value.exp, Value.log, Value.__neg__, Value.__truediv__ = came_with
    again = [Value(x) for x in LOGITS]
    theirs = loss_of(again)
    theirs.backward()
    print(f"loss {theirs.data} with the operators Value came with")
    for ours, other in zip([loss, *logits], [theirs, *again]):
        assert math.isclose(ours.data, other.data, rel_tol=1e-12), (ours, other)
        assert math.isclose(ours.grad, other.grad, rel_tol=1e-12), (ours, other)
    print("the gradients are the same")


if __name__ == "__main__":
    main()
