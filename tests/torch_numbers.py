"""PyTorch's numbers for the optimizers' and the schedules' options, in float64.

`python tests/torch_numbers.py`, where torch is installed, computes them anew and writes them to
torch_numbers.json. The tests need that file alone.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_suffix(".json")
STEPS = 20
START = [1.5, -0.75, 0.1, 2.25]


def gradients(p: Sequence[float]) -> list[float]:
    """Of a small problem that is not convex, by products and sums alone: no two ways to round."""
    total = p[0] + p[1] + p[2] + p[3]
    return [
        a * (x - b) + 0.25 * total + c * x * x
        for x, a, b, c in zip(
            p, (1.0, 3.0, 0.5, -0.25), (0.5, -1.0, 2.0, 1.0), (0.1, 0.0, 0.3, 0.2)
        )
    ]


_CENTERED = {"lr": 0.01, "alpha": 0.9, "centered": True}
OPTIMIZERS: dict[str, tuple[str, dict[str, Any]]] = {
    "SGD": ("SGD", {"lr": 0.05}),
    "SGD, momentum": ("SGD", {"lr": 0.05, "momentum": 0.9}),
    "SGD, dampening": ("SGD", {"lr": 0.05, "momentum": 0.9, "dampening": 0.3}),
    "SGD, dampening alone": ("SGD", {"lr": 0.05, "dampening": 0.3}),
    "SGD, dampening, decay": (
        "SGD",
        {"lr": 0.05, "momentum": 0.8, "dampening": 1.0, "weight_decay": 0.1},
    ),
    "SGD, nesterov": ("SGD", {"lr": 0.05, "momentum": 0.9, "nesterov": True}),
    "SGD, nesterov, decay": (
        "SGD",
        {"lr": 0.05, "momentum": 0.8, "nesterov": True, "weight_decay": 0.1},
    ),
    "Adam": ("Adam", {"lr": 0.1}),
    "Adam, decay": ("Adam", {"lr": 0.1, "weight_decay": 0.1}),
    "Adam, amsgrad": ("Adam", {"lr": 0.1, "betas": (0.8, 0.9), "amsgrad": True}),
    "Adam, amsgrad, decay": (
        "Adam",
        {"lr": 0.1, "betas": (0.8, 0.9), "eps": 1e-4, "amsgrad": True, "weight_decay": 0.1},
    ),
    "AdamW": ("AdamW", {"lr": 0.1}),
    "AdamW, amsgrad": ("AdamW", {"lr": 0.1, "betas": (0.8, 0.9), "amsgrad": True}),
    "RMSprop": ("RMSprop", {"lr": 0.02}),
    "RMSprop, decay": ("RMSprop", {"lr": 0.02, "alpha": 0.9, "eps": 1e-4, "weight_decay": 0.1}),
    "RMSprop, momentum": ("RMSprop", {"lr": 0.01, "momentum": 0.8}),
    "RMSprop, centered": ("RMSprop", _CENTERED),
    "RMSprop, centered, momentum": ("RMSprop", {**_CENTERED, "momentum": 0.8}),
    "RMSprop, centered, momentum, decay": (
        "RMSprop",
        {**_CENTERED, "momentum": 0.8, "weight_decay": 0.1},
    ),
}
GROUPS: dict[
    str, tuple[str, dict[str, Any]]
] = {  # what the first two parameters have for themselves
    "SGD": ("SGD, nesterov", {"lr": 0.2, "momentum": 0.5, "nesterov": False}),
    "Adam": ("Adam, amsgrad", {"lr": 0.2, "amsgrad": False, "weight_decay": 0.2}),
    "RMSprop": ("RMSprop, centered", {"lr": 0.05, "momentum": 0.5, "centered": False}),
}
SCHEDULES: dict[str, tuple[str, dict[str, Any]]] = {
    "StepLR": ("StepLR", {"step_size": 6, "gamma": 0.3}),
    "StepLR, defaults": ("StepLR", {"step_size": 3}),
    "CosineAnnealingLR": ("CosineAnnealingLR", {"T_max": 8}),
    "CosineAnnealingLR, eta_min": ("CosineAnnealingLR", {"T_max": 25, "eta_min": 0.01}),
    "LinearLR": ("LinearLR", {}),
    "LinearLR, down": ("LinearLR", {"start_factor": 0.9, "end_factor": 0.2, "total_iters": 12}),
}
RATES = [0.1, 0.02]  # of the two groups that a schedule is for
NORMS = [2.0, 1.0, 3.0, 0.5, float("inf")]
LIMITS = [0.5, 2.0, 100.0]


def compute() -> dict[str, Any]:
    """Return what torch makes of all of these."""
    import torch

    def train(optimizer: Any, params: Any) -> Any:
        def now() -> list[float]:
            return [x for p in params for x in p.tolist()]

        for _ in range(STEPS):
            grads = torch.tensor(gradients(now()), dtype=torch.float64)
            for p, g in zip(params, grads.split([len(p) for p in params])):
                p.grad = g.clone()
            optimizer.step()
        return now()

    def tensor(numbers: list[float]) -> Any:
        return torch.tensor(numbers, dtype=torch.float64, requires_grad=True)

    optimizers = {}
    for name, (kind, settings) in OPTIMIZERS.items():
        params = [tensor(START)]
        optimizers[name] = train(getattr(torch.optim, kind)(params, **settings), params)
    groups = {}
    for kind, (name, own) in GROUPS.items():
        params = [tensor(START[:2]), tensor(START[2:])]
        given = [{"params": params[:1], **own}, {"params": params[1:]}]
        groups[kind] = train(getattr(torch.optim, kind)(given, **OPTIMIZERS[name][1]), params)
    schedules = {}
    for name, (kind, settings) in SCHEDULES.items():
        given = [{"params": [tensor(START)], "lr": lr} for lr in RATES]
        optimizer = torch.optim.SGD(given, lr=1.0)
        schedule = getattr(torch.optim.lr_scheduler, kind)(optimizer, **settings)
        schedules[name] = [schedule.get_last_lr()]
        for _ in range(STEPS):
            optimizer.step()
            schedule.step()
            schedules[name].append(schedule.get_last_lr())
    clipped = []
    for norm_type in NORMS:
        for limit in LIMITS:
            params = [tensor([x]) for x in START]
            for p, g in zip(params, gradients(START)):
                p.grad = tensor([g]).detach()
            norm = torch.nn.utils.clip_grad_norm_(params, limit, norm_type)
            clipped.append([norm.item(), [p.grad.item() for p in params]])
    return {
        "torch": torch.__version__,
        "optimizers": optimizers,
        "groups": groups,
        "schedules": schedules,
        "clipped": clipped,
    }


NUMBERS: dict[str, Any] = json.loads(FILE.read_text()) if FILE.exists() else {}

if __name__ == "__main__":
    FILE.write_text(json.dumps(compute(), indent=1) + "\n")
