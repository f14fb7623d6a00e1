"""graphviz's Digraph, which says in one line how to install the program dot where it is missing."""

from __future__ import annotations

from typing import Any

import graphviz
from graphviz import nohtml

__all__ = ["Picture", "nohtml"]

MISSING = (
    "the program dot is not on the path. It comes with Graphviz: "
    "apt install graphviz (Debian, Ubuntu), dnf install graphviz (Fedora), "
    "brew install graphviz (macOS), winget install graphviz (Windows), "
    "conda install graphviz (Anaconda). micrograd_c.explain(root) needs no dot"
)


class Picture(graphviz.Digraph):  # type: ignore[misc]
    """A graph that a notebook shows as a picture. What it draws with is `dot`."""

    def pipe(self, *args: Any, **settings: Any) -> Any:
        """Return the picture, as graphviz's pipe(). Raises ExecutableNotFound without dot."""
        try:
            return super().pipe(*args, **settings)
        except graphviz.ExecutableNotFound as error:
            raise _said(error) from None

    def render(self, *args: Any, **settings: Any) -> Any:
        """Write the picture, as graphviz's render(). Raises ExecutableNotFound without dot."""
        try:
            return super().render(*args, **settings)
        except graphviz.ExecutableNotFound as error:
            raise _said(error) from None

    def _repr_mimebundle_(self, *args: Any, **settings: Any) -> Any:
        try:
            return super()._repr_mimebundle_(*args, **settings)
        except graphviz.ExecutableNotFound:
            return {"text/plain": MISSING}


def _said(error: graphviz.ExecutableNotFound) -> graphviz.ExecutableNotFound:
    error.args = (MISSING,)
    return error
