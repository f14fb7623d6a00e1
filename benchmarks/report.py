"""RESULTS.md: the machine, the ratios that matter, a table for each workload, instructions."""

from __future__ import annotations

from .operators import OPERATIONS
from .results import Ratio, Results, Row, find, ratio

INTRODUCTION = """\
# Results

Written by `python -m benchmarks{options}`; how it times is told at the top of
benchmarks/conftest.py, what each workload is at the top of the `test_*.py` files beside it. Every
contender's numbers are compared with an independent computation, to one part in 10^9, before it is
timed.

The contenders of a group take turns, round by round; slow ones take part in fewer rounds. Minimum
and median are over the rounds; the minimum is what the work costs when nothing else runs. A ratio
is the median, over the rounds in which both took part, of one time divided by the other, with the
quartiles. Python's cyclic garbage collector is on unless *gc off* is said: then garbage is
collected between the rounds, untimed.

![Times of all contenders, on a logarithmic scale](results.svg)
"""

INSTRUCTIONS = """\
## Instructions per operation

Counted by callgrind, without the loop; they do not depend on how busy the machine is.
"""

Named = tuple[str, str, str, str]

LEAN = "microgpt's lean class, gc off"
FLOATS, C, NUMPY, JAX = "plain floats", "C by hand", "numpy by hand", "JAX, jit"
MICROGRAD = "micrograd, gc off"
OURS = "micrograd_c"
COMPILED = f"{OURS}, compiled"

# What the others are compared with, where it takes part: a column's title, the contender, and
# whether the column says how many times faster than that a row is, or how many times its cost.
BASELINES = [
    ("times floats", FLOATS, False),
    ("faster than micrograd, gc off", MICROGRAD, True),
    ("faster than the lean class, gc off", LEAN, True),
    ("times C by hand", C, False),
    ("times a C array", "C by hand, sweep of an array", False),
    ("times JAX", JAX, False),
]

ORDER = ["operator", "two moons", "notebook", "microgpt", "compiled", "exported", "derivatives"]

LISTS, MOONS = "two moons, own lists", "two moons, MLP"
NOTEBOOK, GPT = "notebook step", "microgpt step"
RELU, TANH = "compiled: two moons, relu", "compiled: two moons, tanh"
OPTION = "compiled: an Asian option, price and 20 sensitivities"
LONG = "compiled: 10,000 instructions over 100,000 rows"
VALUES = "derivatives: value and gradient of a network, 1,000 rows"
HESSIAN = "derivatives: hessian of a network of ten inputs, 1,000 rows"
PATH = "derivatives: jacobian of 200 steps of Lotka-Volterra, 100 rows"
ONE_PATH = "derivatives: value and gradient of 200 RK4 steps of Lotka-Volterra, one row"
BRANCHES = "derivatives: ten branches, value and gradient, 10,000 rows"
LETTERS = "derivatives: letters looked up in a table, 32 rows"
C_MOONS = "exported: two moons, forward and gradient"
C_GPT = "exported: microgpt, forward and gradient"
EXPORTED = f"{OURS}, exported as C"
SKIPPING = f"{C}, dead rows skipped"
TOGETHER = f"{OURS}, value_and_gradient"

# What a ratio says, its group, and the contenders whose times are above and below. README shows
# those of the first list that are steady: against what itself takes the same time in every run.
RATIOS: list[Named] = [
    ("`a * b + c`, times plain floats", "operator: a * b + c", OURS, FLOATS),
    ("two moons, own lists of Values, times faster than micrograd, gc off",
     LISTS, MICROGRAD, OURS),
    ("two moons, own lists, cffi backend, times faster than micrograd, gc off",
     LISTS, MICROGRAD, f"{OURS}, cffi backend"),
    ("two moons, the package's `MLP`, `hinge` and `SGD`, times faster than micrograd, gc off",
     MOONS, MICROGRAD, f"{OURS}, its MLP, hinge and SGD"),
    ("notebook step, the package's `MLP`, `mse` and `SGD`, times faster than micrograd, gc off",
     NOTEBOOK, MICROGRAD, f"{OURS}, its MLP, mse and SGD"),
    ("microgpt step, program unchanged, times its forward pass and Adam on plain floats",
     GPT, OURS, "plain floats, no backward"),
    ("microgpt step compiled and built, one document, times C by hand",
     GPT, f"{OURS}, compiled and built", C),
    ("two moons exported as C, one row, forward and gradient, times C by hand",
     C_MOONS, EXPORTED, C),
    ("two moons compiled, times faster than numpy by hand", RELU, NUMPY, COMPILED),
    ("two moons compiled, times faster than PyTorch's modules",
     RELU, "torch, its modules", COMPILED),
    ("hessian of a network of ten inputs, times numpy by hand",
     HESSIAN, f"{OURS}, hessian", NUMPY),
    ("ten branches by `where`, times numpy by hand", BRANCHES, f"{OURS}, where", NUMPY),
]  # fmt: skip

FURTHER_RATIOS: list[Named] = [
    ("`a * 2.0 + 1.0`, times plain floats", "operator: a * 2.0 + 1.0", OURS, FLOATS),
    ("two moons, the package's `MLP`, times faster than micrograd, gc off",
     MOONS, MICROGRAD, f"{OURS}, its MLP"),
    ("two moons, micrograd's `nn.py` over this `Value`, times faster than micrograd, gc off",
     MOONS, MICROGRAD, f"{OURS}, micrograd's nn.py"),
    ("two moons, micrograd's `nn.py` over this `Value`, times its forward pass on plain floats",
     MOONS, f"{OURS}, micrograd's nn.py", "plain floats, nn.py, forward alone"),
    ("notebook step, the package's `MLP`, times faster than micrograd, gc off",
     NOTEBOOK, MICROGRAD, f"{OURS}, its MLP"),
    ("notebook step compiled, times faster than micrograd, gc off",
     NOTEBOOK, MICROGRAD, COMPILED),
    ("microgpt step compiled, one document, times C by hand", GPT, f"{OURS}, compiled", C),
    ("microgpt step compiled, 32 documents, each times C by hand",
     GPT, f"{OURS}, compiled, 32 names a step, for each", C),
    ("microgpt step with `@jit` and the package's Adam, times C by hand",
     GPT, f"{OURS}, @jit and its Adam", C),
    ("two moons compiled, times C by hand that skips dead rows and units",
     RELU, COMPILED, SKIPPING),
    ("two moons with tanh compiled, times C by hand that skips dead rows",
     TANH, COMPILED, SKIPPING),
    ("microgpt exported as C, one document, forward and gradient, times C by hand",
     C_GPT, EXPORTED, C),
    ("10,000 instructions, 100,000 rows, forward and reverse: share of the widest loop",
     LONG, "C by hand, the widest loop", "forward and reverse, 1 thread"),
    ("value and gradient of a network, times numpy by hand", VALUES, TOGETHER, NUMPY),
    ("jacobian of an equation's path, times C by hand", PATH, f"{OURS}, jacobian", C),
    ("letters looked up by `take`, times numpy by hand", LETTERS, f"{OURS}, take", NUMPY),
    ("two moons, forward pass alone on plain floats, times faster than micrograd, gc off",
     MOONS, MICROGRAD, "plain floats, nn.py, forward alone"),
    ("two moons, own lists, times C by hand", LISTS, OURS, C),
    ("microgpt step, program unchanged, times faster than the lean class, gc off",
     GPT, LEAN, OURS),
    ("microgpt step, the package's functions and Adam, times faster than the lean class, gc off",
     GPT, LEAN, f"{OURS}, its functions and Adam"),
    ("an option's price and 20 sensitivities compiled, times faster than pure Python, gc off",
     OPTION, "pure-Python reference, gc off", COMPILED),
    ("an option's price and 20 sensitivities compiled, times faster than XAD's tape",
     OPTION, "xad", COMPILED),
    ("10,000 instructions over 100,000 rows: two threads, times faster than one",
     LONG, "forward and reverse, 1 thread", "forward and reverse, 2 threads"),
    ("two moons, own lists with `@jit`, times faster than without", LISTS, OURS, f"{OURS}, @jit"),
    ("two moons, the package's `MLP` with `@jit`, times faster than without",
     MOONS, f"{OURS}, its MLP", f"{OURS}, its MLP, @jit"),
    ("microgpt step with `@jit`, times faster than without", GPT, OURS, f"{OURS}, @jit"),
    ("microgpt step with `@jit` and the package's Adam, times faster than its functions and Adam",
     GPT, f"{OURS}, its functions and Adam", f"{OURS}, @jit and its Adam"),
    ("value and gradient of a network together, times faster than one after the other",
     VALUES, f"{OURS}, call and gradient", TOGETHER),
    ("value and gradient of a network, times JAX", VALUES, TOGETHER, JAX),
    ("hessian of a network of ten inputs, times JAX", HESSIAN, f"{OURS}, hessian", JAX),
    ("jacobian of an equation's path, times the forward mode by hand, compiled",
     PATH, f"{OURS}, jacobian", f"{OURS}, forward mode by hand"),
    ("jacobian of an equation's path, times JAX", PATH, f"{OURS}, jacobian", JAX),
    ("value and gradient of an equation's path, one row, times C by hand", ONE_PATH, OURS, C),
    ("value and gradient of an equation's path, one row, built, times C by hand",
     ONE_PATH, f"{OURS}, built", C),
    ("notebook step compiled, times C by hand", NOTEBOOK, COMPILED, C),
    ("notebook step compiled and built, times C by hand", NOTEBOOK, f"{COMPILED} and built", C),
    ("ten branches by `where`, times faster than by `if`",
     BRANCHES, f"{OURS}, if", f"{OURS}, where"),
    ("ten branches by `where`, times JAX", BRANCHES, f"{OURS}, where", JAX),
    ("letters looked up by `take`, times JAX", LETTERS, f"{OURS}, take", JAX),
]  # fmt: skip


def write(
    results: Results,
    machine: dict[str, str],
    instructions: dict[str, dict[str, float]],
    options: str,
) -> str:
    """Return the page."""
    parts = [INTRODUCTION.format(options=options), _facts(machine), _in_short(results)]
    parts += [_group(results, group) for group in sorted(results, key=_place)]
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


def _in_short(results: Results) -> str:
    return "## In short\n\n" + ratios(results, RATIOS + FURTHER_RATIOS)


def for_readme(results: Results) -> str:
    """Return README's table: what is steady."""
    return ratios(results, RATIOS, only_steady=True)


def ratios(results: Results, which: list[Named], *, only_steady: bool = False) -> str:
    """Return a table of those whose contenders took part."""
    lines = []
    for text, group, *contenders in which:
        top, bottom = (find(results, group, contender) for contender in contenders)
        found = ratio(top, bottom) if top and bottom else None
        if found and (found.steady or not only_steady):
            lines.append([text, _with_quartiles(found)])
    return table(["", "ratio (quartiles)"], lines)


def _with_quartiles(found: Ratio) -> str:
    return f"{digits(found.median)} ({digits(found.low)} - {digits(found.high)})"


def _group(results: Results, group: str) -> str:
    rows = results[group]
    compared = [
        (title, base, faster)
        for title, contender, faster in BASELINES
        for base in [find(results, group, contender)]
        if base is not None
    ]
    memory = any("bytes" in row.extra for row in rows)
    header = ["", "minimum", "median", "rounds", *(title for title, _, _ in compared)]
    lines = [
        [
            row.contender,
            duration(row.minimum),
            duration(row.median),
            str(len(row.rounds)),
            *(_compared(row, base, faster) for _, base, faster in compared),
            *([_bytes(row)] if memory else []),
        ]
        for row in rows
    ]
    title = f"## {group[0].upper()}{group[1:]}, per {rows[0].unit}\n\n"
    return title + table([*header, *(["bytes a node"] if memory else [])], lines)


def _compared(row: Row, base: Row, faster: bool) -> str:
    if row is base:
        return "1"
    found = ratio(base, row) if faster else ratio(row, base)
    return _with_quartiles(found) if found else ""


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
