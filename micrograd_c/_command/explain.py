"""The command `python -m micrograd_c explain`: two pages that walk through a computation."""

from __future__ import annotations

import argparse
import random
import webbrowser
from collections.abc import Sequence
from pathlib import Path

from .._explain.explaining import explain
from .._explain.words import WORDS
from ..engine import Value
from ..nn import MLP
from . import demo
from .writing import save

PROG = "python -m micrograd_c explain"

DESCRIPTION = """\
Write two pages that walk through a computation, forward and backward, and open them:
neuron.html for the lecture's neuron, training_step.html for one step of its MLP(3, [4, 4, 1]) on
four examples. A page is one file that needs no network."""

EPILOG = """\
examples:
  python -m micrograd_c explain
  python -m micrograd_c explain --lang fr --output pages --no-open

exit status: 0 if all went well, 1 if something failed, 2 for bad arguments."""


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Return the options. If they are not right, print a message and exit with status 2."""
    parser = argparse.ArgumentParser(
        prog=PROG,
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    folder = "folder of the pages, made if need be (default: this one)"
    parser.add_argument("--output", type=Path, default=Path(), metavar="DIR", help=folder)
    parser.add_argument("--lang", choices=sorted(WORDS), default="en", help="default: en")
    parser.add_argument("--no-open", action="store_true", help="write the pages, open no browser")
    return parser.parse_args(arguments)


def training_step() -> Value:
    """Return the loss of the lecture's network on its four examples."""
    random.seed(7)
    model, problem = MLP(3, [4, 4, 1]), demo.four_examples()
    loss: Value = problem.loss(problem.scores(model), problem.targets, [])
    loss.label = "loss"
    return loss


def main(arguments: Sequence[str]) -> None:
    """Run the command. Raises OSError if a page cannot be written."""
    options = parse(arguments)
    roots = {"neuron": demo.lecture_neuron(), "training_step": training_step()}
    options.output.mkdir(parents=True, exist_ok=True)
    opened = True
    for name, root in roots.items():
        path = options.output / f"{name}.html"
        save(path, explain(root, lang=options.lang).html.encode())
        if not options.no_open:
            opened = webbrowser.open(path.resolve().as_uri()) and opened
    if not opened:
        print("No browser was found: open the pages in one")
