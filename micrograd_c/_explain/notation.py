"""How operators and their derivatives are written for people.

The engine's table (csrc/graph/operators.h) has derivatives as C, "1.0 - mg_pow(z, 2.0)"; these are
in the notation of textbooks and of Python. A test evaluates each and compares it with the engine's.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from .._value_methods import call_text

# dz/dx and dz/dy, of the operands {x} and {y}.
_UNIT_CIRCLE = "sqrt(1 - {x}**2)"
_POWER_Y = "{x}**{y} * log({x})"
_LARGER, _SMALLER = ("1 if {{{0}}} {1} {{{2}}} else 0.5 if {{x}} == {{y}} else 0",) * 2

PARTIALS: dict[str, tuple[str, ...]] = {
    "add": ("1", "1"),
    "multiply": ("{y}", "{x}"),
    "power": ("{y} * {x}**({y} - 1)", _POWER_Y),
    "number_power": ("0", _POWER_Y),  # of the number, which nobody asks for
    "exp": ("exp({x})",),
    "log": ("1 / {x}",),
    "tanh": ("1 - tanh({x})**2",),
    "relu": ("1 if {x} > 0 else 0",),
    "sigmoid": ("sigmoid({x}) * (1 - sigmoid({x}))",),
    "sin": ("cos({x})",),
    "cos": ("-sin({x})",),
    "sqrt": ("1 / (2 * sqrt({x}))",),
    "abs": ("1 if {x} > 0 else -1 if {x} < 0 else 0",),
    "maximum": (_LARGER.format("x", ">", "y"), _LARGER.format("y", ">", "x")),
    "minimum": (_SMALLER.format("x", "<", "y"), _SMALLER.format("y", "<", "x")),
    "log1p": ("1 / (1 + {x})",),
    "expm1": ("exp({x})",),
    "tan": ("1 + tan({x})**2",),
    "asin": ("1 / " + _UNIT_CIRCLE,),
    "acos": ("-1 / " + _UNIT_CIRCLE,),
    "atan": ("1 / (1 + {x}**2)",),
    "sinh": ("cosh({x})",),
    "cosh": ("sinh({x})",),
    "asinh": ("1 / sqrt(1 + {x}**2)",),
    "acosh": ("1 / sqrt({x}**2 - 1)",),
    "atanh": ("1 / (1 - {x}**2)",),
    "erf": ("2 / sqrt(pi) * exp(-{x}**2)",),
    "erfc": ("-2 / sqrt(pi) * exp(-{x}**2)",),
    "log2": ("1 / ({x} * log(2))",),
    "log10": ("1 / ({x} * log(10))",),
    "softplus": ("sigmoid({x})",),
    "gelu": ("normal_cdf({x}) + {x} * exp(-{x}**2 / 2) / sqrt(2 * pi)",),
    "silu": ("sigmoid({x}) * (1 + {x} * (1 - sigmoid({x})))",),
    "lgamma": ("digamma({x})",),
    "digamma": ("polygamma(1, {x})",),
    "atan2": ("{y} / ({x}**2 + {y}**2)", "-{x} / ({x}**2 + {y}**2)"),
    "hypot": ("{x} / hypot({x}, {y})", "{y} / hypot({x}, {y})"),
    "polygamma": ("0", "polygamma({x} + 1, {y})"),
}


def partial_text(name: str, side: int, operands: Sequence[str], exponent: float | None) -> str:
    """Return the derivative of an operator with respect to an operand, as text."""
    names = [grouped(operand) for operand in operands]
    if name == "exponent":
        return _exponent(names[0], exponent or 0)
    return PARTIALS[name][side].format(**dict(zip("xy", names)))


def _exponent(x: str, n: float) -> str:
    if n in (0, 1):
        return f"{n:g}"
    return f"2 * {x}" if n == 2 else f"{n} * {x}**{grouped(str(n - 1))}"


def formula(name: str, count: int, exponent: float | None, op: str) -> str:
    """Return what a node computes, with {0} and {1} in place of `count` operands.

    `op` is the node's own name for its operation, used where the operator is none of the table.
    """
    places = [f"{{{i}}}" for i in range(count)]
    if name == "exponent":
        places.append(f"{exponent}")
    # Braces of a name of the user's are doubled, for they are none of a place.
    own = op.replace("{", "{{").replace("}", "}}") or "f"
    return call_text(own if name == "custom" else name, *places)


def filled(formula: str, names: Sequence[str]) -> str:
    """Return a formula with names in it; those of sums, products and powers are grouped."""
    return formula.format(*(map(grouped, names) if formula.startswith("{") else names))


def grouped(name: str) -> str:
    """Return a name, in parentheses unless it is one word or number, or calls a function."""
    return name if re.fullmatch(r"\w+(\.\d+)?", name) else f"({name})"


def rule_text(written: str, name: str, partials: Sequence[str]) -> str:
    """Return "d(a * b)/da = b": the derivative of what is written by the operand of this name.

    An operand that stands there several times has a partial derivative for each place.
    """
    whole = f" {written}" if re.fullmatch(r"\w+\(.*\)", written) else f"({written})"
    terms = [p if re.fullmatch(r"[\w.]+", p) or len(partials) == 1 else f"({p})" for p in partials]
    return f"d{whole}/d{grouped(name)} = {' + '.join(terms)}"
