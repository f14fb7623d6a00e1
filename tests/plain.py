"""The plain expressions that functions of many nodes stand for, as their docstrings give them."""

from __future__ import annotations

from typing import Any


def plain_dot(ws: list[Any], xs: list[Any], bias: Any = 0) -> Any:
    return sum((w * x for w, x in zip(ws, xs)), bias)


def exponentials(logits: list[Any]) -> tuple[list[Any], list[Any], float]:
    top = max(data_of(v) for v in logits)
    pairs = [(shifted := v - top, shifted.exp()) for v in logits]
    return [shifted for shifted, _ in pairs], [e for _, e in pairs], top


def plain_softmax(logits: list[Any]) -> list[Any]:
    _, exps, _ = exponentials(logits)
    total = sum(exps)
    return [e / total for e in exps]


def plain_log_softmax(logits: list[Any]) -> list[Any]:
    shifted, exps, _ = exponentials(logits)
    offset = -sum(exps).log()
    return [v + offset for v in shifted]


def plain_logsumexp(logits: list[Any]) -> Any:
    _, exps, top = exponentials(logits)
    return sum(exps).log() + top


def plain_cross_entropy(logits: list[Any], target: int) -> Any:
    shifted, exps, _ = exponentials(logits)
    return sum(exps).log() - shifted[target]


def plain_logistic(maximum: Any, logits: list[Any], targets: list[Any]) -> Any:
    losses = []
    for z, t in zip(logits, targets):
        rest = (1 + (-abs(z)).exp()).log()
        losses.append(maximum(z, 0) + -t * z + rest)
    return sum(losses) / len(losses)


def plain_mse(predictions: list[Any], targets: list[Any]) -> Any:
    return sum((p - t) ** 2 for p, t in zip(predictions, targets)) / len(targets)


def plain_hinge(scores: list[Any], targets: list[Any]) -> Any:
    return sum((1 + -t * s).relu() for s, t in zip(scores, targets)) / len(targets)


def data_of(v: Any) -> float:
    return v if isinstance(v, (int, float)) else v.data


def shape(root: Any) -> Any:
    """The graph below a Value: operators, data and gradients to the last bit, in order."""
    seen: dict[Any, int] = {}
    rows = []

    def visit(v: Any) -> int:
        if v not in seen:
            children = [visit(child) for child in v._children]
            seen[v] = len(seen)
            rows.append((v._op, v.data.hex(), v.grad.hex(), v.label, children))
        return seen[v]

    visit(root)
    return rows


def combined(outputs: Any) -> Any:
    """One Value that depends on all outputs."""
    if not isinstance(outputs, list):
        return outputs
    return sum(output * (i + 2) for i, output in enumerate(outputs))
