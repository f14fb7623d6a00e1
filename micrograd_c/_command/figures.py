"""The pictures of training on two moons, drawn with matplotlib (which `[plot]` installs)."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter

from ..nn import MLP
from .demo import Problem, Step

BLUE, RED, GREY = "#2f6fb0", "#d1495b", "#555555"
SHADES = ["#9cc0e0", "#d3e3f1", "#f6d9dd", "#e9a6af"]  # of scores < -1, < 0, < 1 and above
GRID = 40  # the network is evaluated at GRID * GRID points


def new_figure(title: str, size: tuple[float, float]) -> tuple[Figure, Axes]:
    """Return a figure, `size` inches wide and high, and its axes."""
    figure = Figure(figsize=size, dpi=150, layout="constrained")
    axes = figure.subplots()
    axes.set_title(title, loc="left", fontsize=11)
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def png(figure: Figure) -> bytes:
    """Return the figure as a PNG file's bytes."""
    file = BytesIO()
    figure.savefig(file, format="png")
    return file.getvalue()


def loss_curve(history: list[Step]) -> bytes:
    """Draw the loss of each step, on a logarithmic scale, as PNG."""
    figure, axes = new_figure("Two moons: loss", (6, 3.6))
    axes.semilogy([step.loss for step in history], color=BLUE, linewidth=1.8)
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("step")
    axes.set_ylabel("loss")
    axes.grid(alpha=0.25, which="both", linewidth=0.6)
    return png(figure)


def decision_boundary(model: MLP, problem: Problem) -> bytes:
    """Draw the points, of two coordinates, over the network's score in the plane, as PNG."""
    title = "Two moons: decision boundary (dark: beyond the margin)"
    figure, axes = new_figure(title, (6, 4))
    xs, ys = (ticks([point[i] for point in problem.points]) for i in (0, 1))
    score: Callable[..., Any] = model  # one Value: the network has one output
    scores = [[score((x, y)).data for x in xs] for y in ys]
    axes.contourf(xs, ys, scores, levels=[-1, 0, 1], colors=SHADES, extend="both")
    axes.contour(xs, ys, scores, levels=[0], colors=GREY, linewidths=1.4)
    for target, colour in ((-1, BLUE), (1, RED)):
        mine = [p for p, y in zip(problem.points, problem.targets) if y == target]
        axes.scatter(
            [x for x, _ in mine],
            [y for _, y in mine],
            s=26,
            color=colour,
            edgecolors="white",
            linewidths=0.7,
            label=f"target {target:+d}",
        )
    axes.set_aspect("equal")
    axes.legend(loc="upper right", fontsize=9, framealpha=0.9)
    return png(figure)


def ticks(coordinates: list[float], margin: float = 0.4) -> list[float]:
    """Return GRID values from below the smallest to above the largest coordinate."""
    low, high = min(coordinates) - margin, max(coordinates) + margin
    return [low + (high - low) * i / (GRID - 1) for i in range(GRID)]
