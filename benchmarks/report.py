"""RESULTS.md: the machine, the ratios that matter, a table for each workload, instructions."""

from __future__ import annotations

from .operators import OPERATIONS
from .results import Results, Row, find

INTRODUCTION = """\
# Results

Written by `python -m benchmarks{options}`; what each workload is and how it is timed is told at
the top of the `test_*.py` files in this folder. Every contender's numbers are compared with an
independent computation, to one part in 10^9, before it is timed.

Minimum and median are over single rounds. The minimum is what the work costs when nothing else
runs; ratios are of minimums. *gc* is the state of Python's cyclic garbage collector while the
contender was timed: off, its garbage is collected between the rounds, untimed.

![Times of all contenders, on a logarithmic scale](results.svg)
"""

INSTRUCTIONS = """\
## Instructions per operation

Counted by callgrind, the loop included; they do not depend on how busy the machine is.
"""

LEAN = "microgpt's lean class"

# What the others are compared with, where it takes part: a column's title, contender, gc, and
# whether the column says how many times faster than that a row is, or how many times its cost.
BASELINES = [
    ("times floats", "plain floats", None, False),
    ("faster than micrograd, gc off", "micrograd", "off", True),
    ("faster than the lean class, gc on", LEAN, "on", True),
    ("times C by hand", "C by hand", None, False),
    ("times a C array", "C by hand, sweep of an array", None, False),
    ("times JAX", "JAX, jit", None, False),
]

ORDER = ["operator", "two moons", "notebook", "microgpt", "compiled", "derivatives"]

OURS = "micrograd_c"
FLOATS = ("plain floats", None)
MICROGRAD = ("micrograd", "off")

MOONS, NOTEBOOK, GPT = "two moons, MLP", "notebook step", "microgpt step"
PURE = ("pure-Python reference", "off")
COMPILED, SKIPPING = f"{OURS}, compiled", "C by hand, dead rows skipped"
RELU, TANH = "compiled: two moons, relu", "compiled: two moons, tanh"
OPTION = "compiled: an Asian option, price and 20 sensitivities"
LONG = "compiled: 10,000 instructions over 100,000 rows"
JAX, NUMPY = ("JAX, jit", None), ("numpy by hand", None)
VALUES = "derivatives: value and gradient of a network, 1,000 rows"
TOGETHER = (VALUES, f"{OURS}, value_and_gradient", None)
HESSIAN = "derivatives: hessian of a network of ten inputs, 1,000 rows"
PATH = "derivatives: jacobian of 200 steps of Lotka-Volterra, 100 rows"
JACOBIAN = (PATH, f"{OURS}, jacobian", None)
BRANCHES = "derivatives: ten branches, value and gradient, 10,000 rows"
WHERE = (BRANCHES, f"{OURS}, where", None)
LETTERS = "derivatives: letters looked up in a table, 32 rows"
TAKE = (LETTERS, f"{OURS}, take", None)

# Of two minimums: the text, the group and the contender above, the group and the contender below.
RATIOS = [
    ("`a * b + c`, times plain floats",
     ("operator: a * b + c", OURS, None), ("operator: a * b + c", *FLOATS)),
    ("`a * 2.0 + 1.0`, times plain floats",
     ("operator: a * 2.0 + 1.0", OURS, None), ("operator: a * 2.0 + 1.0", *FLOATS)),
    ("backward of 10^7 nodes, times its cost per node of 10^4",
     ("scaling: 10^7", OURS, None), ("scaling: 10^4", OURS, None)),
    ("release of the two-moons graph, times its backward",
     ("release: two moons", OURS, None), ("backward: two moons", OURS, None)),
    ("two moons, own lists, times faster than micrograd with gc off",
     ("two moons, own lists", *MICROGRAD), ("two moons, own lists", OURS, None)),
    ("the same, cffi backend",
     ("two moons, own lists", *MICROGRAD), ("two moons, own lists", f"{OURS}, cffi backend", None)),
    ("two moons, the package's MLP, times faster than micrograd with gc off",
     (MOONS, *MICROGRAD), (MOONS, f"{OURS}, its MLP", None)),
    ("the same with its hinge and SGD",
     (MOONS, *MICROGRAD), (MOONS, f"{OURS}, its MLP, hinge and SGD", None)),
    ("two moons, micrograd's nn.py over this Value, times faster than micrograd with gc off",
     (MOONS, *MICROGRAD), (MOONS, f"{OURS}, micrograd's nn.py", None)),
    ("the same, times its forward pass alone on plain floats",
     (MOONS, f"{OURS}, micrograd's nn.py", None),
     (MOONS, "plain floats, nn.py, forward alone", None)),
    ("that on plain floats, times faster than micrograd with gc off",
     (MOONS, *MICROGRAD), (MOONS, "plain floats, nn.py, forward alone", None)),
    ("notebook step, the package's MLP, times faster than the pure class with gc off",
     (NOTEBOOK, *PURE), (NOTEBOOK, f"{OURS}, its MLP", None)),
    ("the same with its mse and SGD",
     (NOTEBOOK, *PURE), (NOTEBOOK, f"{OURS}, its MLP, mse and SGD", None)),
    ("microgpt step, program unchanged, times faster than the lean class with gc on",
     (GPT, LEAN, "on"), (GPT, OURS, None)),
    ("the same with gc off", (GPT, LEAN, "off"), (GPT, OURS, None)),
    ("the same, times its forward pass and Adam alone on plain floats",
     (GPT, OURS, None), (GPT, "plain floats, no backward", None)),
    ("those on plain floats, times faster than the lean class with gc on",
     (GPT, LEAN, "on"), (GPT, "plain floats, no backward", None)),
    ("the package's functions and Adam, times faster than the lean class with gc on",
     (GPT, LEAN, "on"), (GPT, f"{OURS}, its functions and Adam", None)),
    ("two moons, own lists, times C by hand",
     ("two moons, own lists", OURS, None), ("two moons, own lists", "C by hand", None)),
    ("two moons compiled, times C by hand that skips dead rows and units",
     (RELU, COMPILED, None), (RELU, SKIPPING, None)),
    ("the same with tanh", (TANH, COMPILED, None), (TANH, SKIPPING, None)),
    ("two moons compiled, times faster than numpy by hand",
     (RELU, "numpy by hand", None), (RELU, COMPILED, None)),
    ("the same, times faster than PyTorch's modules",
     (RELU, "torch, its modules", None), (RELU, COMPILED, None)),
    ("notebook step compiled, times faster than the pure class with gc off",
     (NOTEBOOK, *PURE), ("compiled: notebook step", COMPILED, None)),
    ("an option's price and 20 sensitivities compiled, times faster than pure Python",
     (OPTION, "pure Python", None), (OPTION, COMPILED, None)),
    ("the same, times faster than XAD's tape", (OPTION, "xad", None), (OPTION, COMPILED, None)),
    ("10,000 instructions over 100,000 rows: two threads, times faster than one",
     (LONG, "forward and reverse, 1 thread", None), (LONG, "forward and reverse, 2 threads", None)),
    ("two moons, own lists with @jit, times faster than without",
     ("two moons, own lists", OURS, None), ("two moons, own lists", f"{OURS}, @jit", None)),
    ("two moons, the package's MLP with @jit, times faster than without",
     (MOONS, f"{OURS}, its MLP", None), (MOONS, f"{OURS}, its MLP, @jit", None)),
    ("microgpt step with @jit, times faster than without",
     (GPT, OURS, None), (GPT, f"{OURS}, @jit", None)),
    ("microgpt step with @jit and the package's Adam, times faster than its functions and Adam",
     (GPT, f"{OURS}, its functions and Adam", None), (GPT, f"{OURS}, @jit and its Adam", None)),
    ("value and gradient of a network together, times faster than one after the other",
     (VALUES, f"{OURS}, call and gradient", None), TOGETHER),
    ("the same, times numpy by hand", TOGETHER, (VALUES, *NUMPY)),
    ("the same, times JAX", TOGETHER, (VALUES, *JAX)),
    ("hessian of a network of ten inputs, times numpy by hand",
     (HESSIAN, f"{OURS}, hessian", None), (HESSIAN, *NUMPY)),
    ("the same, times JAX", (HESSIAN, f"{OURS}, hessian", None), (HESSIAN, *JAX)),
    ("jacobian of an equation's path, times the forward mode by hand, compiled",
     JACOBIAN, (PATH, f"{OURS}, forward mode by hand", None)),
    ("the same, times C by hand", JACOBIAN, (PATH, "C by hand", None)),
    ("the same, times JAX", JACOBIAN, (PATH, *JAX)),
    ("ten branches by where, times faster than by if",
     (BRANCHES, f"{OURS}, if", None), WHERE),
    ("the same, times numpy by hand", WHERE, (BRANCHES, *NUMPY)),
    ("the same, times JAX", WHERE, (BRANCHES, *JAX)),
    ("letters looked up by take, times numpy by hand", TAKE, (LETTERS, *NUMPY)),
    ("the same, times JAX", TAKE, (LETTERS, *JAX)),
]  # fmt: skip


def write(
    results: Results,
    machine: dict[str, str],
    instructions: dict[str, dict[str, float]],
    options: str,
) -> str:
    """Return the page."""
    parts = [INTRODUCTION.format(options=options), _facts(machine), _ratios(results)]
    parts += [_group(group, results[group]) for group in sorted(results, key=_place)]
    if instructions:
        parts.append(_instructions(instructions))
    return "\n".join(parts)


def _place(group: str) -> int:
    """Return where a group stands; those of one place stay as they ran."""
    words = [*ORDER, group]
    return next(i for i, word in enumerate(words) if group.startswith(word))


def duration(seconds: float) -> str:
    """Write a duration with three digits and its unit."""
    for unit, name in [(1.0, "s"), (1e-3, "ms"), (1e-6, "µs")]:
        if seconds >= 0.9995 * unit:
            return f"{digits(seconds / unit)} {name}"
    return f"{digits(seconds * 1e9)} ns"


def digits(number: float) -> str:
    """Write a number with three significant digits."""
    if number >= 99.95:
        return f"{number:.0f}"
    return f"{number:.1f}" if number >= 9.995 else f"{number:.2f}"


def table(header: list[str], lines: list[list[str]], left: int = 1) -> str:
    """Write a table; all columns but the first few are aligned to the right."""
    rule = ["---"] * left + ["---:"] * (len(header) - left)
    return "\n".join(f"| {' | '.join(line)} |" for line in [header, rule, *lines]) + "\n"


def _facts(machine: dict[str, str]) -> str:
    return "## Machine\n\n" + table(["", ""], [[k, v] for k, v in machine.items()], left=2)


def _ratios(results: Results) -> str:
    lines = []
    for text, *places in RATIOS:
        top, bottom = (find(results.get(group, []), *row) for group, *row in places)
        if top is not None and bottom is not None:
            lines.append([text, digits(top.minimum / bottom.minimum)])
    return "## In short\n\n" + table(["", "ratio"], lines)


def _group(group: str, rows: list[Row]) -> str:
    compared = [
        (title, base, faster)
        for title, contender, gc, faster in BASELINES
        for base in [find(rows, contender, gc)]
        if base is not None
    ]
    memory = any("bytes" in row.extra for row in rows)
    header = ["", "gc", "minimum", "median", "rounds", *(title for title, _, _ in compared)]
    lines = [
        [
            row.contender,
            row.gc,
            duration(row.minimum),
            duration(row.median),
            str(len(row.seconds)),
            *(_ratio(row, base, faster) for _, base, faster in compared),
            *([_bytes(row)] if memory else []),
        ]
        for row in rows
    ]
    title = f"## {group[0].upper()}{group[1:]}, per {rows[0].unit}\n\n"
    return title + table([*header, *(["bytes a node"] if memory else [])], lines, left=2)


def _ratio(row: Row, base: Row, faster: bool) -> str:
    if row is base:
        return "1"
    return digits(base.minimum / row.minimum if faster else row.minimum / base.minimum)


def _bytes(row: Row) -> str:
    found: float | None = row.extra.get("bytes")
    return "" if found is None else digits(found)


def _instructions(instructions: dict[str, dict[str, float]]) -> str:
    contenders = list(instructions)
    names = dict.fromkeys(name for counts in instructions.values() for name in counts)
    lines = [
        [
            f"`{name}`" if name in OPERATIONS else name,
            *(digits(instructions[c][name]) if name in instructions[c] else "" for c in contenders),
        ]
        for name in names
    ]
    return INSTRUCTIONS + "\n" + table(["", *contenders], lines)
