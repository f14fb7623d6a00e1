"""explain(): the page that walks through a computation."""

from __future__ import annotations

from typing import Any

from .page import Page, check_language, make_page
from .walk import walk


def explain(root: Any, lang: str = "en") -> Page:
    """Return a page that walks through the computation of `root`, forward and backward.

    The page is one HTML file that needs no network. A notebook shows it inline; `.save(path)`
    writes it, `.html` is its text. It goes node by node with buttons, arrow keys and a slider: the
    node under way and its operands, the rule, and the numbers that were put in. `lang` is 'en' or
    'fr'. Graphs of more than 40 nodes begin with neurons, layers and softmaxes closed to boxes.

    The numbers are the engine's, which runs `_backward()` node by node, those of your own, too, as
    `backward()` would after `zero_grad()`: from zero gradients, and 1 at `root`. Gradients are
    afterwards what they were before. Data are those that the nodes have now: call it before
    parameters are updated.

    Raises TypeError if `root` is no Value; ValueError if the graph has more than 2,000 nodes, and
    for another language; and what a node's `_backward` raises.

    >>> from micrograd_c import Value
    >>> a, b = Value(-2.0, label='a'), Value(3.0, label='b')
    >>> page = explain((a * b) * (a + b))
    >>> 'd(a * b)/da = b' in page.html
    True
    """
    check_language(lang)
    return make_page("walk", walk(root), lang)
