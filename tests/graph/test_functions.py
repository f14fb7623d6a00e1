"""Functions of one and two numbers: Python's own numbers and errors, and exact derivatives."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator
from typing import Any

import mpmath
import pytest
from mpmath import mp

Function = Callable[..., Any]

OF_MATH = ["log1p", "expm1", "tan", "asin", "acos", "atan", "sinh", "cosh", "asinh", "acosh"]
OF_MATH += ["atanh", "erf", "erfc", "log2", "log10", "lgamma"]
OF_MATH += ["exp", "log", "sin", "cos", "sqrt"]
OF_TWO = ["atan2", "hypot"]  # of math
SPECIAL = [0.0, 1.0, 2.0, 0.5, 1.0 - 2**-53, 1.0 + 2**-52, 3.0, 700.0, 710.0, 711.0, 1e154, 1e308]
SPECIAL += [5e-324, 2.2250738585072014e-308, 1e-20, 1e306, 1.7e308, math.inf]
SPECIAL = [math.nan, *SPECIAL, *(-x for x in SPECIAL)]


def outcome(function: Function, *operands: float) -> Any:
    """Return the bits of a function's number, or the type of its error."""
    try:
        return float(function(*operands)).hex()
    except (ArithmeticError, ValueError) as error:
        return type(error)


def value_of(mg: Any, name: str) -> Function:
    """Return a function of Values as one of numbers."""
    if name in OF_TWO or name == "polygamma":
        return lambda x, y: getattr(mg, name)(mg.Value(x), mg.Value(y)).data
    return lambda x: getattr(mg.Value(x), name)().data


def numbers(seed: int, count: int) -> Iterator[float]:
    """Random numbers of all sizes, most of them between -3 and 3."""
    choose = random.Random(seed)
    for _ in range(count):
        kind = choose.randrange(4)
        size = math.exp(choose.uniform(-700, 700)) if kind == 0 else choose.uniform(0, 3)
        yield choose.choice((-1, 1)) * (size if kind < 3 else choose.uniform(0, 40))


# ---- values ----


@pytest.mark.long
@pytest.mark.parametrize("name", OF_MATH)
def test_function_has_the_bits_and_the_errors_of_math(mg: Any, name: str) -> None:
    ours, theirs = value_of(mg, name), getattr(math, name)
    for x in [*SPECIAL, *numbers(1, 2000)]:
        assert outcome(ours, x) == outcome(theirs, x), x


@pytest.mark.parametrize("name", OF_TWO)
def test_function_of_two_has_the_bits_and_the_errors_of_math(mg: Any, name: str) -> None:
    ours, theirs = value_of(mg, name), getattr(math, name)
    for x in SPECIAL:
        for y in SPECIAL:
            assert outcome(ours, x, y) == outcome(theirs, x, y), (x, y)
    for x, y in zip(numbers(1, 3000), numbers(2, 3000)):
        assert outcome(ours, x, y) == outcome(theirs, x, y), (x, y)
    for x, y in zip(numbers(3, 3000), numbers(4, 3000)):
        y = max(min(y, 9.0), -9.0) * x
        assert outcome(ours, x, y) == outcome(theirs, x, y), (x, y)


inf, nan = math.inf, math.nan
OWN = {  # what they are at the ends
    "softplus": [
        (0.0, math.log(2.0)),
        (-0.0, math.log(2.0)),
        (inf, inf),
        (-inf, 0.0),
        (1e308, 1e308),
    ],
    "gelu": [(0.0, 0.0), (-0.0, -0.0), (inf, inf), (-inf, -0.0), (1e308, 1e308), (-1e308, -0.0)],
    "silu": [(0.0, 0.0), (-0.0, -0.0), (inf, inf), (-inf, -0.0), (1e308, 1e308), (-1e308, -0.0)],
    "digamma": [(inf, inf), (1.0, -0.5772156649015329), (1e308, math.log(1e308))],
}
for _name in OWN:
    OWN[_name].append((nan, nan))


@pytest.mark.parametrize("name", OWN)
def test_function_has_its_limits_at_the_ends(mg: Any, name: str) -> None:
    found = {x: outcome(value_of(mg, name), x) for x, _ in OWN[name]}
    assert found == {x: z.hex() for x, z in OWN[name]}


@pytest.mark.parametrize("x", [0.0, -0.0, -1.0, -2.0, -1e16, -1e308, -inf])
def test_digamma_of_a_pole_is_a_domain_error(mg: Any, x: float) -> None:
    with pytest.raises(ValueError, match="math domain error: digamma"):
        mg.Value(x).digamma()


@pytest.mark.parametrize("x", [0.0, -1.0, -1e308, -inf])
def test_polygamma_of_a_pole_is_a_domain_error(mg: Any, x: float) -> None:
    for n in (0, 1, 2, 300):
        with pytest.raises(ValueError, match="math domain error: polygamma"):
            mg.polygamma(n, x)


@pytest.mark.parametrize("n", [-1, -0.5, 0.5, 1e-300, inf, -inf])
def test_polygamma_takes_a_natural_number_first(mg: Any, n: float) -> None:
    with pytest.raises(ValueError, match=r"math domain error: polygamma\("):
        mg.polygamma(n, mg.Value(2.5))


def test_polygamma_passes_nan_through(mg: Any) -> None:
    assert math.isnan(mg.polygamma(nan, 2.5).data) and math.isnan(mg.polygamma(1, nan).data)


def test_polygamma_of_zero_and_a_number_is_digamma(mg: Any) -> None:
    for x in [*between(-20, 20), inf, nan]:
        assert outcome(value_of(mg, "polygamma"), 0, x) == outcome(value_of(mg, "digamma"), x)


@pytest.mark.parametrize(
    ("n", "x"), [(1, 1e-160), (1, -1e-160), (5, 1e-60), (300, 2.0), (300, -0.5), (1e308, 5e-324)]
)
def test_polygamma_too_large_is_a_range_error(mg: Any, n: float, x: float) -> None:
    with pytest.raises(OverflowError, match="math range error: polygamma"):
        mg.polygamma(n, x)


def test_polygamma_is_zero_at_infinity_and_nan_at_nan(lib: Any) -> None:
    for n in (1, 2, 30, 1000, 1e15):
        assert lib.polygamma(n, inf).data == 0.0
        assert lib.polygamma(n, 1e308).data == (1e-308 if n == 1 else 0.0)
        assert math.isnan(lib.polygamma(n, nan).data)


@pytest.mark.parametrize("x", [5e-324, -5e-324])
def test_digamma_too_large_is_a_range_error(mg: Any, x: float) -> None:
    with pytest.raises(OverflowError, match="math range error: digamma"):
        mg.Value(x).digamma()


def units(found: float, exact: Any, least: Any = 0) -> float:
    """The difference in units in the last place of what is exact, or of `least` if that is more."""
    size = float(max(abs(exact), abs(least)))
    return float(abs(mpmath.mpf(found) - exact) / mpmath.mpf(math.ulp(size)))


def normal(x: Any) -> Any:
    return mpmath.erfc(-x / mpmath.sqrt(2)) / 2


def density(x: Any) -> Any:
    return mpmath.exp(-x * x / 2) / mpmath.sqrt(2 * mpmath.pi)


def logistic(x: Any) -> Any:
    return 1 / (1 + mpmath.exp(-x))


def between(low: float, high: float, count: int = 150) -> list[float]:
    choose = random.Random(5)
    return [choose.uniform(low, high) for _ in range(count)]


# Exact numbers, where to compare, and units that the worst of millions of points was off.
EXACT: list[tuple[str, Function, list[float], float]] = [
    ("softplus", lambda x: mpmath.log1p(mpmath.exp(x)), between(-745, 40) + between(-3, 3), 1.6),
    ("gelu", lambda x: x * normal(x), between(-1, 9), 2.0),
    ("gelu", lambda x: x * normal(x), between(-37, -1), 3.5),  # the C library's erfc is off by two
    ("silu", lambda x: x * logistic(x), between(-745, 40) + between(-3, 3), 2.0),
    ("digamma", mpmath.digamma, between(0, 12, 300) + between(12, 1e6), 2.6),
]


@pytest.mark.parametrize(("name", "exact", "points", "most"), EXACT)
def test_function_is_exact_but_for_the_last_bits(
    mg: Any, name: str, exact: Function, points: list[float], most: float
) -> None:
    with mp.workdps(50):
        for x in points:
            assert units(getattr(mg.Value(x), name)().data, exact(mpmath.mpf(x))) <= most, x


def test_digamma_below_zero_is_exact_but_for_the_last_bits_of_its_terms(mg: Any) -> None:
    with mp.workdps(50):
        for x in between(-20, 0):
            reflected = mpmath.digamma(1 - mpmath.mpf(x))
            term = max(reflected, 1, abs(mpmath.digamma(x) - reflected))
            assert units(mg.Value(x).digamma().data, mpmath.digamma(x), term) <= 5.0, x


MOST_UNITS = [(1, 3.0), (2, 4.0), (3, 4.0), (4, 4.0), (5, 4.0), (12, 8.0), (22, 8.0)]
MOST_UNITS += [(n, 2.0 * n) for n in (23, 40, 60)]


@pytest.mark.long
@pytest.mark.parametrize(("n", "most"), MOST_UNITS)
def test_polygamma_is_exact_but_for_the_last_bits(mg: Any, n: int, most: float) -> None:
    sizes = [10.0**k for k in (-3, -2, -1, 2, 3)] + [10.0**6 if n < 40 else 10.0**4]
    with mp.workdps(50):
        for x in [*between(0.1, 3, 20), *between(3, 40, 60), *sizes]:
            assert units(mg.polygamma(n, x).data, mpmath.psi(n, mpmath.mpf(x))) <= most, x


@pytest.mark.long
@pytest.mark.parametrize(("n", "most"), MOST_UNITS)
def test_polygamma_below_zero_is_exact_but_for_the_last_bits_of_its_terms(
    mg: Any, n: int, most: float
) -> None:
    with mp.workdps(50):
        for x in [*between(-20, 0, 60), *near(-1, -7), -1000.25]:
            if x == round(x):
                continue
            term = mpmath.factorial(n) / abs(mpmath.mpf(x) - round(x)) ** (n + 1)
            least = term if n % 2 == 0 else 0
            if term < 1e300:
                exact = mpmath.psi(n, mpmath.mpf(x))
                assert units(mg.polygamma(n, x).data, exact, least) <= most, x


@pytest.mark.long
@pytest.mark.parametrize("n", [170, 171, 1000, 10**6])
def test_polygamma_of_a_large_n_is_exact_but_for_what_a_bit_of_x_makes(mg: Any, n: int) -> None:
    with mp.workdps(50):
        for share in (0.38, 0.5, 1.0, 1.5):
            x = n * (share if n < 1000 else 0.36788)
            terms = (mpmath.exp(-(n + 1) * mpmath.log1p(mpmath.mpf(k) / x)) for k in range(1000))
            size = mpmath.loggamma(n + 1) - (n + 1) * mpmath.log(x)
            exact = (-1) ** (n + 1) * mpmath.exp(size) * sum(terms)
            assert mg.polygamma(n, x).data == pytest.approx(float(exact), rel=3e-16 * n)


def test_normal_cdf_is_the_normal_distribution(mg: Any) -> None:
    with mp.workdps(50):
        for number in between(-6, 6):
            x = mg.Value(number)
            p = mg.normal_cdf(x)
            p.backward()
            assert p.data == pytest.approx(float(normal(mpmath.mpf(number))), rel=2e-14)
            assert x.grad == pytest.approx(float(density(mpmath.mpf(number))), rel=2e-14)
    assert mg.normal_cdf(0.0).data == 0.5


# ---- derivatives ----


def near(*points: float) -> list[float]:
    """Numbers close to the points, on both sides."""
    gaps = [2.0**-k for k in (52, 40, 20, 10, 4, 2)]
    return [point + sign * gap for point in points for sign in (-1, 1) for gap in gaps]


ALL_SIZES = list(numbers(6, 150))
ABOVE_ZERO = [abs(x) for x in ALL_SIZES]
INSIDE = [x for x in [*between(-1, 1), *near(-1, 0, 1)] if -1 < x < 1]
SLOPES: list[tuple[str, Function, list[float]]] = [
    ("log1p", lambda x: 1 / (1 + x), [x for x in [*ALL_SIZES, *near(-1)] if x > -1]),
    ("expm1", mpmath.exp, between(-745, 709)),
    ("tan", lambda x: 1 + mpmath.tan(x) ** 2, [*between(-9, 9), 1e10, math.pi / 2]),
    ("asin", lambda x: 1 / mpmath.sqrt(1 - x * x), INSIDE),
    ("acos", lambda x: -1 / mpmath.sqrt(1 - x * x), INSIDE),
    ("atan", lambda x: 1 / (1 + x * x), [*ALL_SIZES, 1e150, 1e154, -1e160, 1.7e308]),
    ("sinh", mpmath.cosh, between(-710, 710)),
    ("cosh", mpmath.sinh, [*between(-710, 710), *near(0)]),
    ("asinh", lambda x: 1 / mpmath.sqrt(1 + x * x), [*ALL_SIZES, 1e154, -1e160, 1.7e308]),
    ("acosh", lambda x: 1 / mpmath.sqrt(x * x - 1), [x for x in ABOVE_ZERO + near(1) if x > 1]),
    ("atanh", lambda x: 1 / (1 - x * x), INSIDE),
    ("erf", lambda x: 2 / mpmath.sqrt(mpmath.pi) * mpmath.exp(-x * x), between(-26, 26)),
    ("erfc", lambda x: -2 / mpmath.sqrt(mpmath.pi) * mpmath.exp(-x * x), between(-26, 26)),
    ("log2", lambda x: 1 / (x * mpmath.log(2)), ABOVE_ZERO),
    ("log10", lambda x: 1 / (x * mpmath.log(10)), ABOVE_ZERO),
    ("softplus", logistic, between(-745, 40)),
    ("gelu", lambda x: normal(x) + x * density(x), between(-37, -1.1) + between(-0.5, 9)),
    ("silu", lambda x: logistic(x) * (1 + x * logistic(-x)), between(-745, -2) + between(-0.9, 40)),
    ("lgamma", mpmath.digamma, between(0, 1.4) + between(1.5, 12)),
    ("digamma", lambda x: mpmath.psi(1, x), [*between(-20, 20), *near(0)[1::2], 1e-150, 1e300]),
]


@pytest.mark.parametrize(("name", "exact", "points"), SLOPES, ids=[row[0] for row in SLOPES])
def test_derivative_is_exact_but_for_the_last_bits(
    mg: Any, name: str, exact: Function, points: list[float]
) -> None:
    with mp.workdps(50):
        for x in points:
            (slope,) = getattr(mg.Value(x), name)()._local_grads
            assert units(slope, exact(mpmath.mpf(x))) <= 6.0, x


@pytest.mark.parametrize(("name", "zero"), [("gelu", -0.7517915), ("silu", -1.2784645)])
def test_derivative_near_its_zero_is_exact_but_for_a_bit_of_its_terms(
    mg: Any, name: str, zero: float
) -> None:
    exact = {row[0]: row[1] for row in SLOPES}[name]
    with mp.workdps(50):
        for x in between(zero - 0.3, zero + 0.3):
            (slope,) = getattr(mg.Value(x), name)()._local_grads
            assert abs(slope - exact(mpmath.mpf(x))) <= 2e-16, x


@pytest.mark.parametrize("reach", [1.0, 1e-3, 1e3, 1e150, 1e-150, 1e300, 1e-300, 1e-320])
def test_derivatives_of_two_are_exact_but_for_the_last_bits(mg: Any, reach: float) -> None:
    choose = random.Random(8)
    with mp.workdps(50):
        for _ in range(100):
            x, y = (choose.uniform(-1, 1) * 10 ** choose.uniform(-9, 8) * reach for _ in range(2))
            if x == 0 == y:
                continue
            p, q = mpmath.mpf(x), mpmath.mpf(y)
            squares = p * p + q * q
            exact = [q / squares, -p / squares, p / mpmath.sqrt(squares), q / mpmath.sqrt(squares)]
            a, b = mg.Value(x), mg.Value(y)
            found = [*mg.atan2(a, b)._local_grads, *mg.hypot(a, b)._local_grads]
            for slope, wanted in zip(found, exact):
                if math.isinf(float(wanted)):
                    assert slope == float(wanted)
                else:
                    assert units(slope, wanted) <= 4.0, (x, y)


@pytest.mark.parametrize(("small", "large"), [(2e-149, 3e153), (1e-130, 1e170), (5e-324, 3e-17)])
def test_derivative_of_hypot_by_the_far_smaller_operand_is_exact(
    lib: Any, small: float, large: float
) -> None:
    x = lib.Value(small)
    lib.hypot(x, -large).backward()
    assert x.grad == pytest.approx(small / large, rel=1e-15)


def test_derivatives_of_polygamma_are_the_next_one_and_zero(lib: Any) -> None:
    for number in (0, 1, 4, 30):
        for x in (0.3, 2.5, -3.7):
            n, v = lib.Value(number), lib.Value(x)
            lib.polygamma(n, v).backward()
            assert (n.grad, v.grad) == (0.0, lib.polygamma(number + 1, x).data)


def test_derivative_of_polygamma_that_does_not_exist_is_an_error(lib: Any) -> None:
    for n, x, error in ((0, 1e-200, OverflowError), (0, 0.0, ValueError), (0.5, 1.0, ValueError)):
        a, b = lib.Value(0.0), lib.Value(2.0)
        out = lib.polygamma(a, b)
        a.data, b.data = n, x
        with pytest.raises(error):
            out.backward()


def test_derivatives_of_hypot_at_the_origin_are_zero(lib: Any) -> None:
    x, y = lib.Value(0.0), lib.Value(-0.0)
    lib.hypot(x, y).backward()
    assert (x.grad, y.grad) == (0.0, 0.0)


def test_derivatives_of_atan2_are_zero_at_infinity(lib: Any) -> None:
    x, y = lib.Value(inf), lib.Value(1.0)
    lib.atan2(x, y).backward()
    assert (x.grad, y.grad) == (0.0, 0.0)


@pytest.mark.parametrize(
    ("name", "x", "slope"),
    [
        *[("gelu", inf, 1.0), ("gelu", -inf, 0.0), ("silu", inf, 1.0), ("silu", -inf, 0.0)],
        *[("softplus", inf, 1.0), ("softplus", -inf, 0.0), ("erf", inf, 0.0), ("erfc", -inf, 0.0)],
        *[("atan", inf, 0.0), ("asinh", -inf, 0.0), ("acosh", inf, 0.0), ("digamma", inf, 0.0)],
        *[("lgamma", inf, inf), ("log1p", inf, 0.0), ("log2", inf, 0.0), ("expm1", -inf, 0.0)],
    ],
)
def test_derivative_has_its_limit_at_infinity(lib: Any, name: str, x: float, slope: float) -> None:
    v = lib.Value(x)
    getattr(v, name)().backward()
    assert v.grad == slope


def changed(lib: Any, name: str, start: float, x: float) -> Any:
    """Have a Value's data changed after a function was taken of it, then go backward."""
    v = lib.Value(start)
    out = getattr(v, name)()
    v.data = x
    out.backward()


@pytest.mark.parametrize(
    ("error", "calls"),
    [
        (
            ZeroDivisionError,
            [
                *(("asin", x, x) for x in (-1.0, 1.0)),
                *(("acos", x, x) for x in (-1.0, 1.0)),
                ("acosh", 1.0, 1.0),
                *(("atanh", 0.0, x) for x in (-1.0, 1.0)),
                *[("log1p", 0.0, -1.0), ("log2", 1.0, 0.0), ("log10", 1.0, 0.0)],
            ],
        ),
        (
            ValueError,
            [
                *(("asin", 0.5, x) for x in (-1.5, 1.5, inf)),
                *(("acos", 0.5, x) for x in (-1.5, 1.5, inf)),
                *(("acosh", 2.0, x) for x in (0.5, -2.0, -inf)),
                *(("lgamma", 2.0, x) for x in (0.0, -1.0, -inf)),
                *(("digamma", 2.0, x) for x in (0.0, -1.0, -inf)),
                ("lgamma", -inf, -inf),
            ],
        ),
        (
            OverflowError,
            [
                *[("expm1", 0.0, 800.0), ("sinh", 0.0, -800.0), ("cosh", 0.0, 800.0)],
                *[("lgamma", 5e-324, 5e-324), ("digamma", 1e-200, 1e-200)],
            ],
        ),
    ],
)
def test_derivative_that_does_not_exist_is_an_error(
    lib: Any, error: type[Exception], calls: list[tuple[str, float, float]]
) -> None:
    for name, start, x in calls:
        with pytest.raises(error):
            changed(lib, name, start, x)


def test_atan2_has_no_derivative_at_the_origin(lib: Any) -> None:
    out = lib.atan2(lib.Value(0.0), 0.0)
    assert out.data == 0.0
    with pytest.raises(ZeroDivisionError):
        out.backward()


def test_error_of_a_function_of_two_names_both_operands(mg: Any) -> None:
    with pytest.raises(ZeroDivisionError, match=r"derivative of atan2\(0.0, -0.0\)"):
        mg.atan2(mg.Value(0.0), -0.0).backward()
