"""The expressions whose cost is measured, each in a loop compiled for one contender alone."""

from __future__ import annotations

import math
from typing import Any

LOOP = """
def loop(a, b, c, count):
    d = None
    for _ in range(count):
        d = {}
    return d
"""

START = (0.75, -1.25, 2.0)

# The expression, and how it reads for floats.
OPERATIONS = {
    "a * b + c": "a * b + c",
    "a * 2.0 + 1.0": "a * 2.0 + 1.0",
    "a - b": "a - b",
    "a / b": "a / b",
    "a**2": "a**2",
    "a.tanh()": "tanh(a)",
    "a.exp()": "exp(a)",
    "a.relu()": "0.0 if a < 0.0 else a",
}


def loop(expression: str) -> Any:
    """Compile a loop over the expression."""
    names: dict[str, Any] = {"tanh": math.tanh, "exp": math.exp}
    exec(LOOP.format(expression), names)
    return names["loop"]
