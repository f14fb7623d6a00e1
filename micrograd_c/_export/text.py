"""Numbers, names and comments as C has them; generated C for float instead of double."""

from __future__ import annotations

import ctypes
import re

_LIBRARY = (
    *("exp", "log", "sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh", "asinh", "acosh"),
    *("atanh", "sqrt", "log1p", "expm1", "log2", "log10", "erf", "erfc", "atan2", "fabs", "floor"),
)

# Names that a function cannot have: C's keywords, macros and functions of <math.h> (with f or l at
# the end, too), functions that compilers know, and C++'s keywords.
_TAKEN = """
auto break case char const continue default do double else enum extern float for goto if inline
int long register restrict return short signed sizeof static struct switch typedef union unsigned
void volatile while bool true false main NULL NAN INFINITY HUGE_VAL OVERFLOW UNDERFLOW DOMAIN SING
PLOSS TLOSS float_t double_t size_t ptrdiff_t wchar_t max_align_t offsetof signgam exception
fpclassify isfinite isinf isnan isnormal signbit isgreater isgreaterequal isless islessequal
islessgreater isunordered acos asin atan atan2 cos sin tan acosh asinh atanh cosh sinh tanh exp
exp2 exp10 expm1 frexp ilogb ldexp log log10 log1p log2 logb modf scalb scalbn scalbln significand
cbrt fabs hypot pow pow10 sqrt erf erfc lgamma tgamma gamma ceil floor nearbyint rint lrint llrint
round lround llround trunc fmod drem remainder remquo copysign nan nextafter nexttoward fdim fmax
fmin fma sincos j0 j1 jn y0 y1 yn asm typeof linux unix class new delete this template private
public protected friend virtual operator namespace using try catch throw typename explicit export
mutable and or not xor nullptr constexpr decltype noexcept finite abs labs llabs printf puts
putchar malloc calloc realloc free memcpy memset exit abort"""


_PREFIXES = ("_", "M_", "mg_", "way_")


def is_free(name: str) -> bool:
    """Whether an exported function can have this name, as far as C and its library go."""
    taken = set(_TAKEN.split())
    if not name.isascii() or not name.isidentifier() or name.startswith(_PREFIXES):
        return False
    return name not in taken and not (name[-1] in "fl" and name[:-1] in taken)


def number(value: float) -> str:
    """Return a double as C has it, to the last bit."""
    if value != value:
        return "NAN"
    if value in (float("inf"), float("-inf")):
        return "INFINITY" if value > 0 else "-INFINITY"
    return repr(float(value))


def comment(text: str, longest: int) -> str:
    """Return a text that can stand in a comment, of at most so many characters."""
    text = "".join(c if " " <= c <= "~" else "?" for c in text).strip()
    for mark, instead in (("*/", "* /"), ("/*", "/ *"), ("??", "? ?")):
        while mark in text:
            text = text.replace(mark, instead)
    text = text if len(text) <= longest else text[: longest - 4] + " ..."
    return text[:-1] + " /" if text.endswith("*/") else text


# ---- float ----


def as_float(text: str) -> str:
    """Return generated C for float instead of double; comments stay as they are."""
    parts = re.split(r"(/\*.*?\*/)", text, flags=re.DOTALL)
    return "".join(part if part.startswith("/*") else _float_code(part) for part in parts)


def _float_code(code: str) -> str:
    code = re.sub(r"return (.*\bMG_.*);", r"return (float)(\1);", code)
    literal = r"(?<![\w.])(\d+\.\d*(?:e[+-]?\d+)?|\d+e[+-]?\d+)(?![\w.])"
    code = re.sub(literal, lambda match: _float(match[1]), code)
    code = re.sub(rf"\b({'|'.join(_LIBRARY)})\(", r"\1f(", code)
    code = re.sub(r"\b(mg_\w+)\(", r"(float)\1(", code)
    return re.sub(r"\bdouble\b", "float", code)


def _float(literal: str) -> str:
    rounded = ctypes.c_float(float(literal)).value
    if rounded == float("inf"):
        return "INFINITY"
    text = f"{rounded:.9g}"
    return text + ("f" if "." in text or "e" in text else ".0f")
