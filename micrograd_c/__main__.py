"""The command `python -m micrograd_c`: train two small networks, and time their training.

What only some runs need is imported where it is used, so that the first line is there at once.
"""

from __future__ import annotations

import argparse
import os
import platform
import random
import sys
from collections.abc import Callable, Iterable, Sequence
from importlib import import_module
from io import StringIO, TextIOWrapper
from pathlib import Path

from . import __version__
from ._command import demo
from ._command.writing import save
from .engine import BACKEND
from .nn import MLP

PROG = "python -m micrograd_c"
COMMANDS = ("explain", "export")

DESCRIPTION = """\
Train two small networks with micrograd_c, one scalar at a time:
the lecture's MLP(3, [4, 4, 1]) on its four examples, then MLP(2, [16, 16, 1]) on two moons.

Prints the losses, the final accuracy, the time of a training step, and the time that the very
same step takes with a Value written in pure Python."""

EPILOG = """\
examples:
  python -m micrograd_c
  python -m micrograd_c --quick --no-compare
  python -m micrograd_c --seed 42 --points 200 --save pictures
  MICROGRAD_C_BACKEND=cffi python -m micrograd_c
  python -m micrograd_c explain                pages that walk through a computation
  python -m micrograd_c export --help          a compiled program as C

exit status: 0 if all went well, 1 if something failed, 2 for bad arguments."""

QUICK = "10 steps on 20 points, where --steps and --points say nothing else"

NO_COMPARE = "do not time pure Python, which takes most of the time"

GARBAGE = (
    "  (gc, Python's garbage collector, walks pure Python's cycles;"
    " README's factors are without it)"
)

COMPILE = "train on the moons once more with a compiled program (needs numpy)"

SAVE = """\
write pictures into DIR, which is made if need be: a neuron's graph (neuron.svg, or neuron.dot if
the dot program is not there) and, where matplotlib is installed, loss.png and boundary.png"""


def at_least(least: int) -> Callable[[str], int]:
    """Return the argparse type of an integer that is at least `least`."""

    def integer(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text!r} is not an integer") from None
        if number < least:
            raise argparse.ArgumentTypeError(f"must be at least {least}, not {number}")
        return number

    return integer


def directory(text: str) -> Path:
    """Return the path of a directory: an argparse type."""
    if not text:
        raise argparse.ArgumentTypeError("the directory has no name")
    return Path(text)


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Return the options. If they are not right, print a message and exit with status 2."""
    parser = argparse.ArgumentParser(
        prog=PROG,
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    for option, least, default, meaning in (
        ("--seed", 0, 7, "seed of the weights and of the moons"),
        ("--steps", 1, 50, "training steps on the moons"),
        ("--points", 2, 100, "points on the two moons together"),
    ):
        text = f"{meaning} (default: {default})"
        parser.add_argument(option, type=at_least(least), metavar="N", help=text)
    parser.set_defaults(seed=7)
    parser.add_argument("--quick", action="store_true", help=QUICK)
    parser.add_argument("--no-compare", action="store_true", help=NO_COMPARE)
    parser.add_argument("--compile", action="store_true", help=COMPILE)
    parser.add_argument("--save", type=directory, metavar="DIR", help=SAVE)
    version = f"micrograd_c {__version__} ({BACKEND}, Python {platform.python_version()})"
    parser.add_argument("--version", action="version", version=version)
    options = parser.parse_args(arguments)
    options.steps = options.steps or (10 if options.quick else 50)
    options.points = options.points or (20 if options.quick else 100)
    return options


def with_bar(rates: list[float]) -> tuple[Iterable[float], Callable[[str], object]]:
    """Return the learning rates, and a print; on a terminal, with a bar if tqdm is installed."""
    if sys.stderr.isatty():
        try:
            from tqdm import tqdm
        except ImportError:
            return rates, print
        return tqdm(rates, unit="step", leave=False), tqdm.write
    return rates, print


def train(
    model: MLP,
    problem: demo.Problem,
    rates: list[float],
    take_step: Callable[[float], demo.Step] | None = None,
) -> list[demo.Step]:
    """Take a step with each of the learning rates; print some ten of the losses on the way.

    `take_step`, if given, takes the steps in place of problem.step.
    """
    print(f"  {model}: {len(model.parameters())} parameters, {len(problem.points)} points")
    steps = []
    every = max(1, len(rates) // 10)
    shown, write = with_bar(rates)
    with demo.collector(on=True):
        for k, rate in enumerate(shown):
            step = problem.step(model, rate) if take_step is None else take_step(rate)
            steps.append(step)
            if k % every == 0 or k == len(rates) - 1:
                write(f"  step {k:4d}   loss {step.loss:8.4f}   accuracy {step.accuracy:4.0%}")
    return steps


def train_lecture(seed: int) -> None:
    """Train the lecture's network and print its predictions."""
    random.seed(seed)
    model, problem = MLP(3, [4, 4, 1]), demo.four_examples()
    print("\nThe lecture: four examples, tanh, sum of squared errors")
    train(model, problem, [0.05] * 50)
    for score, y in zip(problem.scores(model), problem.targets):
        print(f"  target {y:+.0f}   prediction {score.data:+.3f}")


def moons(seed: int, steps: int, points: int) -> tuple[MLP, demo.Problem, list[float]]:
    """Return a network for the moons, the moons, and a learning rate for each step."""
    random.seed(seed)
    model = MLP(2, [16, 16, 1], activation=["relu", "relu", None])
    return model, demo.two_moons(points, seed), [1.0 - 0.9 * k / steps for k in range(steps)]


def train_moons(seed: int, steps: int, points: int) -> tuple[MLP, demo.Problem, list[demo.Step]]:
    """Train on two moons and print the final accuracy; return network, moons and steps."""
    model, problem, rates = moons(seed, steps, points)
    print("\nTwo moons: max-margin loss, L2 regularisation, learning rate 1.0 falling to 0.1")
    history = train(model, problem, rates)
    print(f"  final accuracy {problem.accuracy(problem.scores(model)):.0%}")
    return model, problem, history


def train_compiled(seed: int, steps: int, points: int, recorded: list[demo.Step]) -> None:
    """Train on the same moons by a compiled program; print how much faster its steps are."""
    model, problem, rates = moons(seed, steps, points)
    compiled = demo.CompiledMoons(model, problem)
    print("\nTwo moons compiled: one point's loss, recorded once, replayed over all points")
    print(f"  {compiled.program!r}")
    history = train(model, problem, rates, compiled.step)
    print(f"  final accuracy {compiled.accuracy():.0%}")
    here, there = (demo.median(step.seconds for step in steps) for steps in (history, recorded))
    print(
        f"  a step takes {here * 1e3:.3f} ms (median), recorded anew {there / here:.0f} times that"
    )


def compare(model: MLP, problem: demo.Problem, history: list[demo.Step]) -> None:
    """Print the time of a step on two moons, here and in pure Python.

    Raises ArithmeticError if loss or gradients differ by more than 1e-9 (relative).
    """
    twin = demo.on_reference(model)
    difference = demo.largest_difference(problem, model, twin)
    if difference > 1e-9:
        raise ArithmeticError(f"the gradients are not those of pure Python, off by {difference}")
    here = demo.median(step.seconds for step in history)
    print("\nA step on the moons: forward, backward, update (median time)")
    print(f"  {'micrograd_c, ' + BACKEND:20}{here * 1e3:10.2f} ms   of {len(history)}, gc on")
    for gc in ("on", "off"):
        times = demo.step_times(problem, twin, gc_on=gc == "on")
        there = demo.median(times)
        label, ratio = f"of {len(times)}, gc {gc}", f"{there / here:.1f} times as long"
        print(f"  {'pure Python':20}{there * 1e3:10.2f} ms   {label:12}   {ratio}")
    same = f"to {difference:.0e}" if difference else "to the last bit"
    print(f"  (the same loss and gradients {same})")
    print(GARBAGE)


def save_neuron(place: Path) -> None:
    """Write the graph of the lecture's neuron, as SVG if the dot program is there and works."""
    from subprocess import CalledProcessError

    import graphviz

    from .graph import draw_dot

    place.mkdir(parents=True, exist_ok=True)
    graph = draw_dot(demo.lecture_neuron())
    try:
        name, picture = "neuron.svg", graph.pipe("svg", quiet=True)
    except (graphviz.ExecutableNotFound, CalledProcessError, OSError):
        name, picture = "neuron.dot", graph.source.encode()
    save(place / name, picture)


def save_figures(place: Path, model: MLP, problem: demo.Problem, history: list[demo.Step]) -> None:
    """Write the loss curve and the decision boundary, if matplotlib is there."""
    try:
        from ._command import figures
    except ImportError as error:
        print(f"No loss curve and no decision boundary without matplotlib ({error})")
        return
    save(place / "loss.png", figures.loss_curve(history))
    save(place / "boundary.png", figures.decision_boundary(model, problem))


def run(options: argparse.Namespace) -> None:
    """Train, compare and save, as the options say."""
    if options.compile:
        from ._compile.needed import numpy

        numpy()  # raises ImportError, before any training
    python = platform.python_version()
    print(f"micrograd_c {__version__}, backend {BACKEND}, Python {python}", flush=True)
    if options.save:  # first: a directory that cannot be written to is known at once
        save_neuron(options.save)
    train_lecture(options.seed)
    model, problem, history = train_moons(options.seed, options.steps, options.points)
    if not options.no_compare:
        compare(model, problem, history)
    if options.compile:
        train_compiled(options.seed, options.steps, options.points, history)
    if options.save:
        print()
        save_figures(options.save, model, problem, history)
    sys.stdout.flush()


def fail(message: str, status: int = 1) -> int:
    """Print an error message as argparse does; return `status`."""
    print(f"{PROG}: error: {message}", file=sys.stderr)
    return status


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command with these arguments (sys.argv's if None); return its exit status."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # the stream was closed when Python began
            setattr(sys, name, StringIO())
    if isinstance(sys.stdout, TextIOWrapper):  # a folder's name may have letters that it lacks
        sys.stdout.reconfigure(errors="backslashreplace")
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        if arguments and arguments[0] in COMMANDS:
            command = import_module(f"._command.{arguments[0]}", __package__)
            message = command.main(arguments[1:])
            sys.stdout.flush()
            return 0 if message is None else fail(message)
        run(parse(arguments))
    except KeyboardInterrupt:
        return fail("interrupted", status=130)
    except (ArithmeticError, ImportError) as error:
        return fail(str(error))
    except OSError as error:
        if error.filename is not None:
            return fail(f"cannot write {error.filename}: {error.strerror}")
        # Standard output is gone (`| head`) or full: let the interpreter's last flush succeed.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1 if isinstance(error, BrokenPipeError) else fail(f"cannot print: {error.strerror}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
