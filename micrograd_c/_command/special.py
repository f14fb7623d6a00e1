"""Functions of the pure-Python Value that `math` does not have, and their derivatives.

csrc/graph/special.c has the same in C, to the last bit, and says why each is computed so.
"""

from __future__ import annotations

import math

_SPLIT = 2.0**27 + 1


def _error_of_square(x: float, square: float) -> float:
    wide = x * _SPLIT
    high = wide - (wide - x)
    low = x - high
    return ((high * high - square) + 2 * high * low) + low * low


def _scale_of(larger: float) -> float:
    return 2.0**-600 if larger > 2.0**500 else 2.0**600 if larger < 2.0**-400 else 1.0


def hypot_slope(x: float, y: float) -> float:
    """Return x / sqrt(x**2 + y**2), and 0 at (0, 0)."""
    if x == 0 == y:
        return 0.0
    scale = _scale_of(max(abs(x), abs(y)))
    length = math.hypot(x * scale, y * scale)
    return x / length * scale if scale < 1 else x * scale / length


def over_squares(a: float, x: float, y: float) -> float:
    """Return a / (x**2 + y**2), where a is x or y; 0 where x or y is infinite."""
    if math.isnan(x) or math.isnan(y):
        return math.nan
    if math.isinf(x) or math.isinf(y):
        return 0.0
    scale = _scale_of(max(abs(x), abs(y)))
    p, q = x * scale, y * scale
    return a * scale / (p * p + q * q) * scale


def bell(x: float, factor: float, share: float = 1.0) -> float:
    """Return factor * e**(-share * x**2), where share is 1 or 1/2."""
    if share * x * x > 750:
        return factor * 0.0
    square = x * x
    power = factor * math.exp(-share * square)
    return power - power * (share * _error_of_square(x, square))


def _twice_normal(x: float) -> float:
    root, rest_of_root = 0.7071067811865476, -4.833646656726457e-17
    root_high = 0.7071067839860916
    root_low = root - root_high
    wide = x * _SPLIT
    high = wide - (wide - x)
    low = x - high
    t = x * root
    rest = ((high * root_high - t) + (high * root_low + low * root_high)) + (
        low * root_low + x * rest_of_root
    )
    return math.erfc(-t) + 1.1283791670955126 * math.exp(-t * t) * rest


def gelu(x: float) -> float:
    """Return x * P(x), where P(x) = erfc(-x / sqrt(2)) / 2 is the normal distribution."""
    if x < -40:
        return -0.0
    return x if x > 40 else 0.5 * x * _twice_normal(x)


def gelu_slope(x: float) -> float:
    """Return P(x) + x * p(x), where p(x) is the normal distribution's density."""
    if x < -40:
        return -0.0
    return 1.0 if x > 40 else 0.5 * _twice_normal(x) + x * bell(x, 0.3989422804014327, 0.5)


def sigmoid(x: float) -> float:
    """Return 1 / (1 + e**-x), without overflow."""
    e = math.exp(-abs(x))
    return 1 / (1 + e) if x >= 0 else e / (1 + e)


def softplus(x: float) -> float:
    """Return log(1 + e**x), without overflow."""
    return (x if x > 0 else 0.0) + math.log1p(math.exp(-abs(x)))


def _small_power(x: float, factor: float) -> float:
    return factor * math.exp(x + 47.5) * 2.349698337452817e-21


def silu(x: float) -> float:
    """Return x / (1 + e**-x), without overflow."""
    if x > -700:
        return x / (1 + math.exp(-x))
    return -0.0 if x < -800 else _small_power(x, x)


def silu_slope(x: float) -> float:
    """Return s * (1 + x * (1 - s)), where s is sigmoid(x)."""
    if x < -800:
        return -0.0
    if x > 800:
        return 1.0
    e = math.exp(-abs(x))
    s = (e if x < 0 else 1.0) / (1 + e)
    slope = 1 + x * ((1.0 if x < 0 else e) / (1 + e))
    return s * slope if x > -700 else _small_power(x, slope)


# ---- the derivatives of the gamma function's logarithm ----

_FAR = 9.0
_BERNOULLI = (
    *(1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66),
    *(-691 / 2730, 7 / 6, -3617 / 510, 43867 / 798, -174611 / 330),
)
_ROOT, _ROOT_REST = 1.4616321449683622, 9.549995429965697e-17
_NEAR_ROOT = (
    1.5369485700734726,
    0.2750001097684805,
    -0.04671580750390213,
    0.011356244721525717,
    -0.003198194151818933,
    0.0009726750621667662,
    -0.0003094536279560987,
    0.0001012696911262817,
    -3.375841929279591e-05,
    1.1394390799483511e-05,
    -3.87905257899968e-06,
    1.3285412897088938e-06,
    -4.5694890522615904e-07,
    1.5759832428954814e-07,
    -5.4490486589224616e-08,
    1.8952588033582996e-08,
    -6.571119682854557e-09,
    2.1847527145200857e-09,
    -7.585389260359347e-10,
    3.375962117962966e-10,
    -1.173317224167846e-10,
    3.980873786075799e-12,
    -1.3797505787273825e-12,
    1.105373391891554e-11,
    -3.844092517337133e-12,
)


def _is_pole(x: float) -> bool:
    return x <= 0 and (math.isinf(x) or x == math.floor(x))


def digamma(x: float) -> float:
    """Return the derivative of lgamma(x). Raises ValueError at its poles 0, -1, ... and at -inf."""
    if _is_pole(x):
        raise ValueError("math domain error")
    if x <= 0:
        r = x - round(x)
        rest = 0.5 - abs(r)
        if rest < 0.25:
            cotangent = math.copysign(math.pi * math.tan(math.pi * rest), r)
        else:
            cotangent = math.pi / math.tan(math.pi * r)
        return _finite(digamma(1 - x) - cotangent, x)
    if x >= _FAR:
        series = 0.0
        for n in range(len(_BERNOULLI), 0, -1):
            series = (series + _BERNOULLI[n - 1] / (2.0 * n)) / x / x
        return math.log(x) - (0.5 / x + series)
    y, steps, rest = x, 0.0, -_ROOT_REST
    if x < 0.75:
        y = x + 1
        steps = -1 / x
        rest += x - (y - 1)
    while y > 3:
        y -= 1
        steps += 1 / y
    ratio = 0.0
    for c in reversed(_NEAR_ROOT):
        ratio = ratio * (y - 1.875) + c
    return _finite(steps + ((y - _ROOT) + rest) * ratio / y, x)


def _factorial(n: float) -> tuple[float, float]:
    """Return n! / scale**(n + 1), and the scale."""
    if n <= 22:
        return float(math.factorial(int(n))), 1.0
    scale = n * 0.36787944117144233
    series = 1 / 12 - (1 / 360 - (1 / 1260 - 1 / 1680 / n / n) / n / n) / n / n
    return 2.5066282746310007 * math.sqrt(n) * math.exp(series / n) / scale, scale


def _inverse_power(x: float, n: float) -> float:
    """Return x**-n. Raises OverflowError for x = 0, too."""
    if x == 0:
        raise OverflowError("math range error")
    return float(x**-n)


def _sum_of_powers(n: float, x: float, scale: float) -> float:
    steps, result, series = 0.0, 0.0, 0.0
    while x + steps < _FAR + n and steps < 45:
        steps += 1
    y = x + steps
    if y >= _FAR + n:
        for k in range(len(_BERNOULLI), 0, -1):
            pair = (n + 2.0 * k - 2) / y * ((n + 2.0 * k - 1) / y)
            series = (series + _BERNOULLI[k - 1]) * pair / (2.0 * k * (2.0 * k - 1))
        result = _inverse_power(y / scale, n) / n * scale * (1 + (0.5 * n / y + series))
    while steps > 0:
        steps -= 1
        result += _inverse_power((x + steps) / scale, n + 1)
    return result


def polygamma(n: float, x: float) -> float:
    """Return the n-th derivative of digamma(x).

    Raises ValueError where digamma does, and for an n that is no natural number.
    """
    if math.isnan(n):
        return n
    if not n >= 0 or math.isinf(n) or n != math.floor(n) or _is_pole(x):
        raise ValueError("math domain error")
    if n == 0 or math.isnan(x):
        return digamma(x)
    factor, scale = _factorial(n)
    if x > 0:
        result = _sum_of_powers(n, x, scale)
    else:
        r = x - round(x)
        beyond = _sum_of_powers(n, 1 - r, scale) - _sum_of_powers(n, 1 - x, scale)
        result = _inverse_power(r / scale, n + 1) + _sum_of_powers(n, 1 + r, scale)
        result += beyond if n % 2 == 1 else -beyond
    return _finite(factor * result if n % 2 == 1 else -factor * result, x)


def _finite(result: float, x: float) -> float:
    """Return the result; raise OverflowError if it is infinite where x is not."""
    if math.isinf(result) and math.isfinite(x):
        raise OverflowError("math range error")
    return result
