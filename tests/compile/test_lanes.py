"""Functions over lanes: within a few units in the last place of the C library's or exact ones."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import mpmath
import pytest

np = pytest.importorskip("numpy")

COUNT = 20_000


def units(found: Any, expected: Any) -> float:
    """The largest difference, in units in the last place of what is expected."""
    assert (np.isfinite(found) == np.isfinite(expected)).all()
    finite = np.isfinite(expected)
    difference = np.abs(found[finite] - expected[finite])
    return float((difference / np.spacing(np.abs(expected[finite]))).max())


ODD = [0.0, 1.0, 2.0, 3.0, 0.5, 2.5, 1e300, 5e-324, 1e-310, 2.0**51, 2.0**51 + 1, 2.0**53 - 1]
ODD = [*ODD, 2.0**53, 1e17, 1e-17, 0.999, 1 - 2**-53, 1 + 2**-52, 1024.0, 1073.0, 1075.0, math.inf]
ODD = [*ODD, *(-x for x in ODD), math.nan]


def uniform(low: float, high: float) -> Any:
    return np.random.default_rng(1).uniform(low, high, COUNT)


def check(mg: Any, name: str, exact: Callable[[float], float], x: Any, most: float) -> None:
    program = mg.compile(lambda v: getattr(v, name)(), 0.5)
    assert units(program(x), np.array([exact(v) for v in x.tolist()])) <= most


@pytest.mark.parametrize(
    ("low", "high"), [(-745, 709.7), (-1, 1), (-1e-2, 1e-2), (-1e-8, 1e-8), (-745, -700)]
)
def test_exp(mg: Any, low: float, high: float) -> None:
    check(mg, "exp", math.exp, uniform(low, high), 1.0)


@pytest.mark.parametrize(
    "x", [uniform(0.5, 2), uniform(0.999, 1.001), np.exp(uniform(-700, 700)), uniform(0, 1e-308)]
)
def test_log(mg: Any, x: Any) -> None:
    check(mg, "log", math.log, x[x > 0], 1.0)


def test_sigmoid(mg: Any) -> None:
    def sigmoid(x: float) -> float:
        return 1 / (1 + math.exp(-x)) if x >= 0 else math.exp(x) / (1 + math.exp(x))

    check(mg, "sigmoid", sigmoid, uniform(-700, 700), 2.0)


def test_tanh_of_large_numbers(mg: Any) -> None:
    check(mg, "tanh", math.tanh, uniform(1, 400), 2.0)


@pytest.mark.parametrize("scale", [1.0, 1e-2, 1e-6])
def test_tanh_of_small_numbers_is_the_engines(mg: Any, scale: float) -> None:
    """Its formula cancels there: what exp rounds shows, absolutely, and seldom."""
    x = uniform(-scale, scale)
    found = mg.compile(lambda v: v.tanh(), 0.5)(x)
    expected = np.array([mg.Value(v).tanh().data for v in x.tolist()])
    assert np.abs(found - expected).max() <= 4.5e-16
    assert (found != expected).mean() <= 0.1 * scale


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("exp", [(0.0, 1.0), (-0.0, 1.0), (710.0, math.inf), (-750.0, 0.0), (5e-324, 1.0)]),
        ("exp", [(math.inf, math.inf), (-math.inf, 0.0), (-745.1, 5e-324)]),
        ("log", [(0.0, -math.inf), (-0.0, -math.inf), (1.0, 0.0), (math.inf, math.inf)]),
        ("tanh", [(0.0, 0.0), (math.inf, 1.0), (-math.inf, -1.0), (400.0, 1.0), (-400.0, -1.0)]),
        ("sigmoid", [(0.0, 0.5), (math.inf, 1.0), (-math.inf, 0.0)]),
        ("sin", [(0.0, 0.0), (5e-324, 5e-324), (-1e-310, -1e-310), (1e-9, 1e-9)]),
        ("cos", [(0.0, 1.0), (-0.0, 1.0), (5e-324, 1.0), (-1e-9, 1.0)]),
    ],
)
def test_special_values(mg: Any, name: str, values: Any) -> None:
    program = mg.compile(lambda v: getattr(v, name)(), 0.5)
    assert program([x for x, _ in values]).tolist() == [z for _, z in values]


@pytest.mark.parametrize("name", ["exp", "log", "tanh", "sigmoid", "sin", "cos"])
def test_nan_is_nan(mg: Any, name: str) -> None:
    program = mg.compile(lambda v: getattr(v, name)(), 0.5)
    assert np.isnan(program([math.nan])).all()


def test_log_of_negative_numbers_is_nan(mg: Any) -> None:
    program = mg.compile(lambda v: v.log(), 0.5)
    assert np.isnan(program([-1.0, -math.inf, -5e-324])).all()


# ---- sine and cosine ----


@pytest.mark.parametrize("name", ["sin", "cos"])
@pytest.mark.parametrize("reach", [1e-8, 1e-2, 1.0, 4.0, 100.0, 1e5])
def test_sine_and_cosine(mg: Any, name: str, reach: float) -> None:
    check(mg, name, getattr(math, name), uniform(-reach, reach), 1.0)


@pytest.mark.parametrize("name", ["sin", "cos"])
def test_sine_and_cosine_next_to_multiples_of_a_quarter_of_a_turn(mg: Any, name: str) -> None:
    with mpmath.workdps(50):
        x = np.array([float(k * mpmath.pi / 2) for k in range(1, 63_000, 71)])
        x = np.concatenate([x, np.nextafter(x, 0), np.nextafter(-x, -math.inf)])
        exact = np.array([float(getattr(mpmath, name)(v)) for v in x.tolist()])
    assert units(mg.compile(lambda v: getattr(v, name)(), 0.5)(x), exact) <= 1.0


@pytest.mark.parametrize("name", ["sin", "cos"])
def test_sine_and_cosine_of_large_numbers_are_the_librarys(mg: Any, name: str) -> None:
    x = np.concatenate([uniform(1e5, 1e6), -np.exp(uniform(12, 700)), [1.7e308]])
    exact = [getattr(math, name)(v) for v in x.tolist()]
    assert mg.compile(lambda v: getattr(v, name)(), 0.5)(x).tolist() == exact


def test_sine_and_cosine_of_infinity_are_nan(mg: Any) -> None:
    program = mg.compile(lambda v: (v.sin(), v.cos()), 0.5)
    assert np.isnan(program([math.inf, -math.inf])).all()


def test_the_sine_of_minus_zero_is_minus_zero(mg: Any) -> None:
    assert np.signbit(mg.compile(lambda v: v.sin(), 0.5)([-0.0, 0.0])).tolist() == [True, False]


def test_derivatives_of_sine_and_cosine_are_cosine_and_sine(mg: Any) -> None:
    x = np.concatenate([uniform(-10, 10), [1e6, -1e300, 0.0, 5e-324]])
    cosine = mg.compile(lambda v: v.cos(), 0.5)
    sine = mg.compile(lambda v: v.sin(), 0.5)
    assert (sine.gradient(x) == cosine(x)).all()
    assert (cosine.gradient(x) == -sine(x)).all()


# ---- powers ----


def power(x: float, y: float) -> float:
    """The C library's pow, which math.pow calls, and which raises nothing."""
    try:
        return math.pow(x, y)
    except (OverflowError, ValueError):
        if x < 0 and y != math.floor(y):
            return math.nan
        return math.copysign(math.inf, x if math.fmod(y, 2) in (1, -1) else 1.0)


def powers(x: Any, y: Any) -> Any:
    return np.array([power(a, b) for a, b in zip(x.tolist(), y.tolist())])


def spread(seed: int, low: float, high: float) -> Any:
    return np.random.default_rng(seed).uniform(low, high, COUNT)


PAIRS = {
    "results over all exponents": (np.exp(spread(1, -1, 1)), spread(2, -700, 700)),
    "near 1": (spread(3, 0.999, 1.001), spread(4, -7e5, 7e5)),
    "at the edges of an octave": (
        np.repeat([math.sqrt(2 / 3), math.sqrt(1.5)], COUNT // 2) * spread(5, 0.99, 1.01),
        spread(6, -3400, 3400),
    ),
    "operands over all exponents": (np.exp(spread(7, -700, 700)), spread(8, -1, 1)),
    "integers": (np.sign(spread(9, -1, 1)) * np.exp(spread(10, -20, 20)), spread(11, -35, 35) // 1),
    "tiny exponents": (np.exp(spread(12, -700, 700)), np.exp(spread(13, -700, -30))),
    "subnormal": (np.exp(spread(14, -1, -0.9)), spread(15, 700, 760)),
}


@pytest.mark.parametrize("pairs", PAIRS.values(), ids=PAIRS)
def test_powers(mg: Any, pairs: Any) -> None:
    x, y = pairs
    assert units(mg.compile(lambda a, b: a**b, 0.5, 0.5)(x, y), powers(x, y)) <= 1.0


@pytest.mark.parametrize("name", ["results over all exponents", "near 1", "integers"])
def test_powers_are_within_two_thirds_of_a_unit_of_the_exact_ones(mg: Any, name: str) -> None:
    x, y = (row[:1000] for row in PAIRS[name])
    with mpmath.workdps(60):
        exact = [mpmath.mpf(a) ** mpmath.mpf(b) for a, b in zip(x.tolist(), y.tolist())]
        found = mg.compile(lambda a, b: a**b, 0.5, 0.5)(x, y).tolist()
        assert all(abs(z - e) <= 0.68 * math.ulp(float(e)) for z, e in zip(found, exact))


NUMBERS = [3, 4, 5, -2, -3, 0.5, -0.5, 1.5, 2.7, -1.2, 1 / 3, 100.5, 0]


@pytest.mark.parametrize("n", NUMBERS)
def test_powers_with_a_number(mg: Any, n: float) -> None:
    x = np.exp(uniform(-2, 2)) * (np.sign(uniform(-1, 1)) if n == int(n) else 1.0)
    assert units(mg.compile(lambda v: v**n, 0.5)(x), powers(x, np.full(COUNT, n))) <= 1.0


@pytest.mark.parametrize("n", [0.5, -0.5, 3])
def test_short_ways_to_powers_hold_for_numbers_of_any_size(mg: Any, n: float) -> None:
    x = np.concatenate([np.exp(uniform(-745, 709)), np.exp(uniform(-745, -700))])
    found, exact = mg.compile(lambda v: v**n, 0.5)(x), powers(x, np.full(2 * COUNT, n))
    finite = np.isfinite(exact)
    assert (found[~finite] == exact[~finite]).all()
    assert units(found[finite], exact[finite]) <= 1.0


@pytest.mark.parametrize("n", [2.5, 0.3, 1e-3, 40.0, math.e])
def test_powers_of_a_number(mg: Any, n: float) -> None:
    y = uniform(-100, 100)
    assert units(mg.compile(lambda v: n**v, 0.5)(y), powers(np.full(COUNT, n), y)) <= 1.0


def same(found: Any, exact: Any) -> bool:
    """Whether numbers are the same, their signs, too, of zeros as well; nan is nan."""
    nans = np.isnan(exact)
    equal = (found == exact) & (np.signbit(found) == np.signbit(exact))
    return bool(np.where(nans, np.isnan(found), equal).all())


def test_powers_of_and_with_special_numbers_are_the_librarys(mg: Any) -> None:
    x, y = (np.array(row) for row in zip(*itertools.product(ODD, ODD)))
    exact, found = powers(x, y), mg.compile(lambda a, b: a**b, 0.5, 0.5)(x, y)
    special = ~np.isfinite(exact) | (exact == 0) | (np.abs(exact) == 1)
    assert same(found[special], exact[special])
    assert units(found[~special], exact[~special]) <= 1.0


@pytest.mark.parametrize("n", [3.0, 0.5, -0.5, 2.5, -3.0, 7.0, 2.0**53, math.inf, -math.inf])
def test_powers_with_a_number_of_special_numbers_are_the_librarys(mg: Any, n: float) -> None:
    x = np.array([0.0, -0.0, math.inf, -math.inf, math.nan, -1.0, 1.0, 1e300, -1e300])
    assert same(mg.compile(lambda v: v**n, 0.5)(x), powers(x, np.full(len(x), n)))


@pytest.mark.parametrize("n", NUMBERS)
def test_derivatives_of_powers_with_a_number(mg: Any, n: float) -> None:
    x = np.exp(uniform(-2, 2)) * (np.sign(uniform(-1, 1)) if n == int(n) else 1.0)
    exact = n * powers(x, np.full(COUNT, n - 1.0))
    assert units(mg.compile(lambda v: v**n, 0.5).gradient(x), exact) <= 2.0


@pytest.mark.parametrize("n", [0.5, -0.5, 3, 2.5, -2])
@pytest.mark.parametrize("x", [1e-300, 1e-200, 1e-100, 1e100, 1e154, 1e206, 1e300, 5e-324])
def test_derivatives_of_powers_overflow_where_the_power_does(mg: Any, n: float, x: float) -> None:
    found = float(mg.compile(lambda v: v**n, 0.5).gradient([x])[0])
    assert found == pytest.approx(n * power(x, n - 1.0), rel=1e-15, abs=5e-324)


@pytest.mark.parametrize("n", [0.5, -0.5, 3, 2.5, -2, 0])
def test_derivatives_of_powers_at_special_numbers(mg: Any, n: float) -> None:
    x = np.array([0.0, -0.0, math.inf, -math.inf, math.nan, -1.0])
    exact = n * powers(x, np.full(len(x), n - 1.0)) if n else np.zeros(len(x))
    assert same(mg.compile(lambda v: v**n, 0.5).gradient(x), exact)


def test_derivatives_of_powers_of_two_rows(mg: Any) -> None:
    x, y = np.exp(spread(1, -2, 2)), spread(2, -5, 5)
    dx, dy = mg.compile(lambda a, b: a**b, 0.5, 0.5).gradient(x, y)
    assert units(dx, y * powers(x, y - 1.0)) <= 2.0
    assert units(dy, powers(x, y) * np.array([math.log(a) for a in x.tolist()])) <= 3.0


def test_derivatives_of_powers_of_two_rows_at_special_numbers(mg: Any) -> None:
    rows = [(0.0, 2.0), (0.0, 1.0), (0.0, 0.0), (-2.0, 3.0), (-2.0, 0.0), (2.0, 0.0), (-0.0, 2.5)]
    program = mg.compile(lambda a, b: a**b, 0.5, 0.5)
    dx, dy = program.gradient([x for x, _ in rows], [y for _, y in rows])
    assert dx.tolist() == [0.0, 1.0, 0.0, 12.0, 0.0, 0.0, 0.0]
    assert same(dy, np.array([0.0, 0.0, 0.0, math.nan, math.nan, math.log(2.0), 0.0]))


def test_derivatives_of_powers_of_a_number(mg: Any) -> None:
    y = uniform(-100, 100)
    for n in (2.5, 0.3, 0.0):
        found = mg.compile(lambda v, n=n: n**v, 0.5).gradient(np.abs(y))
        exact = powers(np.full(COUNT, n), np.abs(y)) * (math.log(n) if n else 0.0)
        assert units(found, exact) <= 3.0


# ---- the further functions ----


def logistic(x: Any) -> Any:
    return 1 / (1 + mpmath.exp(-x))


def normal(x: Any) -> Any:
    return mpmath.erfc(-x / mpmath.sqrt(2)) / 2


def bell(x: Any) -> Any:
    return 2 / mpmath.sqrt(mpmath.pi) * mpmath.exp(-x * x)


def gelu_dx(x: Any) -> Any:
    return normal(x) + x * mpmath.npdf(x)


def silu_dx(x: Any) -> Any:
    return logistic(x) * (1 + x * logistic(-x))


#: For each function: its value, its derivative, and where they are looked at.
FURTHER: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any], list[tuple[float, float]]]] = {
    "softplus": (lambda x: mpmath.log1p(mpmath.exp(x)), logistic, [(-1, 1), (-50, 50), (-740, 0)]),
    "log1p": (mpmath.log1p, lambda x: 1 / (1 + x), [(-1e-3, 1e-3), (-0.999, 2), (1, 1e6)]),
    "expm1": (mpmath.expm1, mpmath.exp, [(-1e-3, 1e-3), (-1, 1), (-40, 40), (-700, 709)]),
    "gelu": (lambda x: x * normal(x), gelu_dx, [(-1, 1), (-7, 7), (-37.4, -6)]),
    "silu": (lambda x: x * logistic(x), silu_dx, [(-1, 1), (-40, 40), (-700, -40), (-745, -700)]),
    "erf": (mpmath.erf, bell, [(-1e-3, 1e-3), (-1, 1), (-6, 6)]),
    "erfc": (mpmath.erfc, lambda x: -bell(x), [(-1, 1), (-6, 6), (5, 26.4)]),
    "atan": (mpmath.atan, lambda x: 1 / (1 + x * x), [(-1e-3, 1e-3), (-3, 3), (-1e5, 1e5)]),
    "tan": (mpmath.tan, lambda x: mpmath.sec(x) ** 2, [(-1e-3, 1e-3), (-1.57, 1.57), (-1e5, 1e5)]),
    "log2": (lambda x: mpmath.log(x, 2), lambda x: 1 / (x * mpmath.ln2), [(0.5, 2), (1, 1e9)]),
    "log10": (mpmath.log10, lambda x: 1 / (x * mpmath.ln10), [(0.5, 2), (1, 1e9)]),
    "sinh": (mpmath.sinh, mpmath.cosh, [(-1e-3, 1e-3), (-1, 1), (-40, 40), (700, 710.4)]),
    "cosh": (mpmath.cosh, mpmath.sinh, [(-1e-3, 1e-3), (-1, 1), (-40, 40), (700, 710.4)]),
    "asin": (mpmath.asin, lambda x: 1 / mpmath.sqrt(1 - x * x), [(-1e-3, 1e-3), (-1, 1)]),
    "acos": (mpmath.acos, lambda x: -1 / mpmath.sqrt(1 - x * x), [(-1e-3, 1e-3), (-1, 1)]),
    "asinh": (mpmath.asinh, lambda x: 1 / mpmath.hypot(1, x), [(-1e-3, 1e-3), (-2, 2), (1, 1e6)]),
    "acosh": (mpmath.acosh, lambda x: 1 / mpmath.sqrt(x * x - 1), [(1, 1.001), (1, 3), (1, 1e6)]),
    "atanh": (mpmath.atanh, lambda x: 1 / (1 - x * x), [(-1e-3, 1e-3), (-1, 1)]),
}


def units_of_exact(found: Any, exact: list[Any], absolute: float = 0.0) -> float:
    """The largest difference, in units in the last place, of those above `absolute`."""
    pairs = [(z, e) for z, e in zip(found.tolist(), exact) if abs(z - e) > absolute]
    return float(max((abs(z - e) / math.ulp(float(e)) for z, e in pairs), default=0.0))


@pytest.mark.long
@pytest.mark.parametrize("name", FURTHER)
def test_further_functions_are_within_four_units_of_the_exact_ones(mg: Any, name: str) -> None:
    value, slope, ranges = FURTHER[name]
    program = mg.compile(lambda v: getattr(v, name)(), 1.5 if name == "acosh" else 0.5)
    x = np.concatenate([uniform(*ends)[:500] for ends in ranges])
    with mpmath.workdps(50):
        points = [mpmath.mpf(v) for v in x.tolist()]
        assert units_of_exact(program(x), [value(v) for v in points]) <= 4.0
        cancelling = 5e-16 if name in ("gelu", "silu") else 0.0
        assert units_of_exact(program.gradient(x), [slope(v) for v in points], cancelling) <= 4.0


@pytest.mark.long
@pytest.mark.parametrize("name", ["atan2", "hypot"])
@pytest.mark.parametrize("reach", [0.5, 5, 300])
def test_functions_of_two_are_within_four_units_of_the_exact_ones(
    mg: Any, name: str, reach: float
) -> None:
    size = np.exp(spread(1, -reach, reach)), np.exp(spread(2, -reach, reach))
    x, y = (np.sign(spread(3 + i, -1, 1)) * size[i] for i in range(2))
    x, y = x[:700], y[:700]
    program = mg.compile(lambda a, b: getattr(mg, name)(a, b), 0.5, 0.5)
    with mpmath.workdps(50):
        found = [program(x, y), *program.gradient(x, y)]
        pairs = [(mpmath.mpf(a), mpmath.mpf(b)) for a, b in zip(x.tolist(), y.tolist())]
        if name == "atan2":
            exact = [
                (mpmath.atan2(a, b), b / (a * a + b * b), -a / (a * a + b * b)) for a, b in pairs
            ]
        else:
            exact = [(h, a / h, b / h) for a, b in pairs for h in [mpmath.hypot(a, b)]]
        for rows, column in zip(found, zip(*exact)):
            assert units_of_exact(rows, list(column), 5e-324) <= 4.0


def test_logarithms_of_powers_of_their_base_are_integers(mg: Any) -> None:
    two, ten = (mg.compile(lambda v, n=n: getattr(v, n)(), 0.5) for n in ("log2", "log10"))
    assert two([2.0**n for n in range(-1074, 1024)]).tolist() == list(range(-1074, 1024))
    assert ten([10.0**n for n in range(23)]).tolist() == list(range(23))


EDGES = [0.475, 0.67, 0.75, 1.25, 6.0, 27.3, 30.0, 37.7, 38.5, 39.0, 40.0, 41.0, 700.0, 709.7]
EDGES = [*EDGES, 709.9, 710.4, 710.5, 745.0, 750.0, 800.0, 801.0, 1e5, 1e6, 1e150, 1e155, 1.7e308]
EDGES = [*ODD, *EDGES, *(-x for x in EDGES)]


def once(mg: Any, program: Any, operands: list[Any]) -> list[float]:
    """Value and derivatives where operands are parameters: computed once, by the table itself."""
    value = float(program([1.0])[0])
    for w in operands:
        w.grad = 0.0
    program.backward([1.0])
    return [value, *(w.grad for w in operands)]


def nearly(found: float, expected: float, absolute: float) -> bool:
    """The same nan, the same infinity, or a number that is near."""
    close = math.isclose(found, expected, rel_tol=8 * 2.0**-53, abs_tol=absolute)
    return close or (math.isnan(found) and math.isnan(expected))


def has_sign(found: float, expected: float) -> bool:
    return expected != 0.0 or math.copysign(1.0, found) == math.copysign(1.0, expected)


@pytest.mark.parametrize("name", FURTHER)
def test_further_functions_of_odd_numbers_are_the_tables(mg: Any, name: str) -> None:
    start, w = 1.5 if name == "acosh" else 0.5, mg.Value(0.75 if name != "acosh" else 1.5)
    rows = mg.compile(lambda v: getattr(v, name)(), start)
    table = mg.compile(lambda v: getattr(w, name)() * v, 1.0)
    x = np.array(EDGES)
    absolute = 1e-15 if name in ("gelu", "silu") else 5e-323
    for v, *found in zip(EDGES, rows(x).tolist(), rows.gradient(x).tolist()):
        w.data = v
        expected = once(mg, table, [w])
        assert has_sign(found[0], expected[0]), v
        assert all(nearly(a, b, absolute) for a, b in zip(found, expected)), v


@pytest.mark.parametrize("name", ["atan2", "hypot"])
def test_functions_of_two_odd_numbers_are_the_tables(mg: Any, name: str) -> None:
    a, b = mg.Value(0.75), mg.Value(0.5)
    rows = mg.compile(lambda x, y: getattr(mg, name)(x, y), 0.5, 0.5)
    table = mg.compile(lambda x: getattr(mg, name)(a, b) * x, 1.0)
    pairs = list(itertools.product(ODD, ODD))
    x, y = (np.array(column) for column in zip(*pairs))
    for pair, *found in zip(pairs, rows(x, y).tolist(), *(g.tolist() for g in rows.gradient(x, y))):
        a.data, b.data = pair
        expected = once(mg, table, [a, b])
        assert has_sign(found[0], expected[0]), pair
        assert all(nearly(c, d, 5e-324) for c, d in zip(found, expected)), pair


# ---- rows by themselves, and kinds of processors ----

ALL: dict[str, Callable[[Any], Any]] = {
    "exp": lambda v: v.exp(),
    "log": lambda v: v.log(),
    "tanh": lambda v: v.tanh(),
    "sigmoid": lambda v: v.sigmoid(),
    "sin": lambda v: v.sin(),
    "cos": lambda v: v.cos(),
    "cube": lambda v: v**3,
    "root": lambda v: v**0.5,
    "root below": lambda v: v**-0.5,
    "fourth power": lambda v: v**4,
    "power": lambda v: v**1.7,
    "power of a number": lambda v: 1.7**v,
    "power of itself": lambda v: v**v,
    **{
        name: lambda v, name=name: getattr(v, name)()
        for name in FURTHER
        if name not in ("asin", "acos", "acosh", "atanh")
    },
    "asin": lambda v: (v * 0.02).asin(),
    "acos": lambda v: (v * 0.02).acos(),
    "acosh": lambda v: (v + 1.0).acosh(),
    "atanh": lambda v: (v * 0.02).atanh(),
    "atan2": lambda v: (v - 3.0).arctan2(v * v - 7.0),
    "hypot": lambda v: v.hypot(v * v),
}


def bits(rows: Any) -> list[int]:
    """The bits of numbers; all nans are one."""
    numbers = np.ravel(rows)
    return np.where(np.isnan(numbers), np.nan, numbers).view(np.uint64).tolist()


@pytest.mark.long
@pytest.mark.parametrize("name", ALL)
def test_a_row_is_the_same_among_any_others(mg: Any, name: str) -> None:
    program, x = mg.compile(ALL[name], 0.5), uniform(0.1, 50)[:128]
    values, gradients = bits(program(x)), bits(program.gradient(x))
    assert bits([program([v])[0] for v in x]) == values
    for odd in (math.nan, math.inf, -math.inf, 0.0, -0.0, -3.0, -2.5, 1e6, 1e300, -1e300, 1e-310):
        trapped = x.copy()
        trapped[77] = odd
        alone = bits(program([odd])), bits(program.gradient([odd]))
        found = bits(program(trapped)), bits(program.gradient(trapped))
        assert ([found[0][77]], [found[1][77]]) == alone
        assert found[0][:77] + found[0][78:] == values[:77] + values[78:]
        assert found[1][:77] + found[1][78:] == gradients[:77] + gradients[78:]


@pytest.mark.parametrize("name", ["sin", "cos", "power", "power of itself", "fourth power"])
def test_a_row_out_of_the_ordinary_is_the_librarys(mg: Any, name: str) -> None:
    program, x = mg.compile(ALL[name], 0.5), uniform(0.1, 50)[:128]
    exact = {
        "sin": math.sin,
        "cos": math.cos,
        "power": lambda v: power(v, 1.7),
        "power of itself": lambda v: power(v, v),
        "fourth power": lambda v: power(v, 4.0),
    }[name]
    for odd in (1e6, -1e300, 1e300, 1e-310, 0.0):
        if name in ("sin", "cos") and abs(odd) < 1e5:
            continue
        x[77] = odd
        assert same(program(x)[77:78], np.array([exact(odd)]))


@pytest.mark.long
@pytest.mark.parametrize("name", ALL)
def test_every_processor_has_the_same_bits(
    mg: Any, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    from micrograd_c._compile import replay as module

    wild = np.concatenate([np.exp(uniform(-740, 709)), -np.exp(uniform(-740, 709)), ODD])
    x, found = np.concatenate([uniform(-10, 10), uniform(-1e5, 1e5), wild]), []
    for kind in (0, 1, 2):
        monkeypatch.setattr(module, "KIND", kind)
        program = mg.compile(ALL[name], 0.5)
        found.append((bits(program(x)), bits(program.gradient(x))))
    assert found[1] == found[0] and found[2] == found[0]
