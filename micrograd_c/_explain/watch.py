"""Watch: what happens to a network while it learns, as a page."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from typing import Any

from .._state import entries
from .._value_methods import as_count, number
from ..engine import Value, no_grad
from ..nn import Module
from .page import Page, check_language, make_page

GRID = 28  # the network is evaluated at GRID * GRID points of the plane
MARGIN = 0.15  # of the examples' extent, around them


class Watch:
    """A recorder for a training loop: called at each step, it makes a page with a slider.

    The page shows the loss, the weights and their gradients and, where the examples have two
    numbers each, the decision boundary.

    >>> from micrograd_c import MLP, mse
    >>> X, y = [[0.0, 1.0], [1.0, 0.0]], [-1.0, 1.0]
    >>> model = MLP(2, [4, 1])
    >>> watch = Watch(model, X, y)
    >>> for _ in range(3):
    ...     loss = mse([model(x) for x in X], y)
    ...     model.zero_grad()
    ...     loss.backward()
    ...     watch(loss)
    ...     for p in model.parameters():
    ...         p.data -= 0.1 * p.grad
    >>> watch
    <Watch of 3 steps: .save('learning.html'), .html>

    Attributes:
        every: of so many calls one is recorded.
        level: the output on which the boundary lies.
    """

    def __init__(
        self,
        model: Module,
        X: Iterable[Sequence[float]] = (),  # noqa: N803  (as scikit-learn spells it)
        y: Iterable[float] = (),
        *,
        every: int = 1,
        level: float = 0.0,
        lang: str = "en",
    ) -> None:
        """Take a network and, for its boundary, n examples of two numbers and n targets, or none.

        A network with a boundary has one output, which is below `level` for one class of targets
        and above it for the other; 0.5 for a sigmoid. Each recorded step evaluates it at 784
        points and takes some kilobytes: `every` leaves steps out. `lang` is 'en' or 'fr'.

        Raises TypeError if `model` is no Module, ValueError for examples of another size, for
        numbers that are not finite and for another number of targets than of examples.
        """
        if not isinstance(model, Module):
            raise TypeError(f"Watch() takes a Module, such as an MLP, not {type(model).__name__!r}")
        self._model, self._lang = model, check_language(lang)
        self._points = [[_finite(x, "each of X") for x in point] for point in X]
        self._targets = [_finite(target, "each of y") for target in y]
        self.every: int = as_count("every", every)
        self.level: float = _finite(level, "level")
        if any(len(point) != 2 for point in self._points):
            sizes = {len(point) for point in self._points} - {2}
            raise ValueError(
                f"a boundary is drawn over two inputs, and examples have {min(sizes)}: leave X out"
            )
        if self._targets and len(self._targets) != len(self._points):
            raise ValueError(f"{len(self._targets)} targets for {len(self._points)} examples")
        self._ranges = [_ticks(coordinates) for coordinates in zip(*self._points)]
        self._calls = 0
        self._steps: list[dict[str, Any]] = []

    def __call__(self, loss: Value | float) -> None:
        """Record a step: after `backward()`, before the update. Raises TypeError for no number."""
        here = number(loss.data if isinstance(loss, Value) else loss, "the loss")
        step, self._calls = self._calls, self._calls + 1
        if step % self.every:
            return
        matrices = _matrices(self._model).values()
        self._steps.append(
            {
                "step": step,
                "loss": here if here - here == 0.0 else str(here),
                "weights": [_flat(rows, "data") for rows in matrices],
                "gradients": [_flat(rows, "grad") for rows in matrices],
                **self._seen(),
            }
        )

    @property
    def html(self) -> str:
        """The page, as text."""
        return self._page().html

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the page to a file. Raises ValueError before the first step, OSError as open()."""
        self._page().save(path)

    def _repr_html_(self) -> str:
        return self._page()._repr_html_()

    def __repr__(self) -> str:
        return f"<Watch of {len(self._steps)} steps: .save('learning.html'), .html>"

    def _page(self) -> Page:
        if not self._steps:
            raise ValueError("nothing has been recorded: call the Watch in the training loop")
        shapes = {
            name: [len(rows), max(map(len, rows))] for name, rows in _matrices(self._model).items()
        }
        data = {
            "steps": self._steps,
            "matrices": [{"name": name, "shape": shape} for name, shape in shapes.items()],
            "ranges": [[ticks[0], ticks[-1]] for ticks in self._ranges],
            "points": self._points,
            "targets": self._targets,
            "level": self.level,
            "middle": self._middle(),
        }
        return make_page("watch", data, self._lang)

    def _seen(self) -> dict[str, Any]:
        """Return the network's outputs over the plane and how many examples are on their side."""
        if not self._points:
            return {}
        xs, ys = self._ranges
        plane = [_short(self._score([x, y])) for y in ys for x in xs]
        scores = [self._score(point) for point in self._points]
        middle = self._middle()
        sides = [(s > self.level) == (t > middle) for s, t in zip(scores, self._targets)]
        return {"plane": plane, "right": sum(sides)}

    def _middle(self) -> float:
        """Return what is between the targets of two classes; `level` where there is one class."""
        least, most = min(self._targets, default=0.0), max(self._targets, default=0.0)
        return (least + most) / 2 if least < most else self.level

    def _score(self, point: list[float]) -> float:
        with no_grad():
            out: Any = self._model(point)  # type: ignore[operator]
        if not isinstance(out, Value):
            raise ValueError("a boundary is drawn for a network of one output: leave X out")
        return out.data


def _matrices(model: Module) -> dict[str, list[list[Value]]]:
    """Return the Values of a Module as matrices by name: a layer's neurons are rows of one."""
    found: dict[str, dict[str, list[Value]]] = {}
    for entry in entries(model, Module):
        numbered = re.fullmatch(r"(.*?)\.?(\d+)\.\w+", entry.name)
        if numbered and len(entry.shape) < 2:
            name, row = numbered[1] or "rows", numbered[2]
            found.setdefault(name, {}).setdefault(row, []).extend(entry.values)
        else:
            width = entry.shape[-1] if entry.shape else 1
            rows = range(0, len(entry.values), width)
            found[entry.name] = {str(i): entry.values[i : i + width] for i in rows}
    return {name: list(rows.values()) for name, rows in found.items()}


def _flat(rows: list[list[Value]], name: str) -> list[float | str | None]:
    """Return data or grad of a matrix row by row, rows as long as the longest one, with Nones."""
    width = max(map(len, rows))
    numbers = ([_short(getattr(p, name)) for p in row] for row in rows)
    return [number for row in numbers for number in [*row, *[None] * (width - len(row))]]


def _finite(given: object, name: str) -> float:
    """Return a real number as a float. Raises TypeError for none, ValueError for inf and nan."""
    found = number(given, name)
    if found - found != 0.0:
        raise ValueError(f"{name} must be finite, not {found}")
    return found


def _ticks(coordinates: Sequence[float]) -> list[float]:
    """Return GRID values from below the smallest to above the largest coordinate."""
    low, high = min(coordinates), max(coordinates)
    margin = MARGIN * (high - low) or 1.0
    low, high = low - margin, high + margin
    return [low + (high - low) * i / (GRID - 1) for i in range(GRID)]


def _short(number: float) -> float | str:
    """Return a number for JSON, to four digits; as text where it is no finite one."""
    return float(f"{number:.4g}") if number - number == 0.0 else str(number)
