"""Newton's method on Rosenbrock's function in twenty variables, with exact second derivatives.

The function has a curved valley that plain descent follows for thousands of steps. Newton's method
solves H d = -g with the hessian H and the gradient g, and takes as much of the step d as makes the
function smaller (Nocedal and Wright, Numerical Optimization, 3.3). Where H is not positive definite
a multiple of the identity is added.

    python examples/newton.py --size 20
"""

from __future__ import annotations

import argparse
import sys
from typing import Any

import numpy as np

from micrograd_c import compile


def rosenbrock(p: list[Any]) -> Any:
    """Return the sum of 100 (p[i+1] - p[i]^2)^2 + (1 - p[i])^2; its minimum, 0, is at all ones."""
    return sum(100 * (b - a * a) ** 2 + (1 - a) ** 2 for a, b in zip(p, p[1:]))


def direction(hessian: Any, gradient: Any) -> Any:
    """Return Newton's direction, of a hessian that is made positive definite."""
    shift = max(0.0, 1e-3 - np.linalg.eigvalsh(hessian)[0])
    return -np.linalg.solve(hessian + shift * np.eye(len(gradient)), gradient)


def minimise(program: Any, p: Any, steps: int) -> Any:
    """Print each step of Newton's method, and return where it ends."""
    for step in range(steps):
        value, gradient = program.value_and_gradient(p)
        print(f"step {step:3d}  value {value:.3e}  gradient {np.abs(gradient).max():.3e}")
        if np.abs(gradient).max() < 1e-12:
            break
        d = direction(program.hessian(p), gradient)
        length = 1.0
        while program(p + length * d) > value + 1e-4 * length * (gradient @ d) and length > 1e-8:
            length /= 2
        p = p + length * d
    return p


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=20, help="number of variables")
    parser.add_argument("--steps", type=int, default=100, help="most steps")
    options = parser.parse_args()
    start = np.zeros(options.size)
    program = compile(rosenbrock, start)
    p = minimise(program, start, options.steps)
    print(f"largest distance from 1: {np.abs(p - 1).max():.1e}")
    sys.exit(0 if np.abs(p - 1).max() < 1e-8 else 1)


if __name__ == "__main__":
    main()
