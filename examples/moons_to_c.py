"""Two moons, learned in Python, told apart by a C program: classify_moons.c.

    python examples/moons_to_c.py [--steps 150] [--points 200] [--seed 1337] [--output DIR]
    cc -O2 -I DIR examples/classify_moons.c DIR/moons.c -o classify_moons -lm
    echo 0.5 -0.2 | ./classify_moons

The network is that of two_moons.py, trained by a compiled program. What is exported is its score
for one point: DIR/moons.c and DIR/moons.h, which need nothing but the C library. DIR is the
folder where you are, unless given. Test points are written to DIR/points.txt, with what Python says
of them, so that the two can be compared.
"""

from __future__ import annotations

import argparse
import random
import sys
from pathlib import Path

import numpy as np

import micrograd_c as mg

sys.path.insert(0, str(Path(__file__).parent))
import two_moons


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=150)
    parser.add_argument("--points", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1337)
    parser.add_argument("--output", type=Path, default=Path())
    options = parser.parse_args()

    random.seed(options.seed)
    points, labels = map(np.array, two_moons.make_moons(options.points))
    model = two_moons.MLP(2, [16, 16, 1])
    optimizer = mg.optim.Adam(model.parameters(), lr=0.02)

    loss = mg.compile(lambda x, y: (1 + -y * model(x)).relu(), points[0], labels[0])
    for _ in range(options.steps):
        optimizer.zero_grad()
        value = loss.backward(points, labels)
        optimizer.step()
    print(f"loss {value:.4f} after {options.steps} steps")

    score = mg.compile(lambda x: model(x), points[0])
    options.output.mkdir(parents=True, exist_ok=True)
    score.export_c(options.output / "moons.c", parameters=model.parameters())
    tests, _ = map(np.array, two_moons.make_moons(100))
    with (options.output / "points.txt").open("w") as file:
        for (x, y), found in zip(tests.tolist(), score(tests).tolist()):
            file.write(f"{x!r} {y!r} {1 if found > 0 else -1}\n")
    print(f"wrote moons.c, moons.h and points.txt to {options.output.resolve()}")


if __name__ == "__main__":
    main()
