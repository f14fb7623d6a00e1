"""The price of an Asian option and its sensitivities, by Monte Carlo, compiled.

A call option pays max(mean price - strike, 0) at the end of a year of twelve months. Each month has
a volatility of its own, the interest rate follows a line, and dividends are paid twice: twenty
inputs in all. `payoff` is what one path is worth, one scalar after the other. Recorded once, it is
replayed over all paths, and one sweep back gives the derivatives of the price with respect to all
inputs. With the mean geometric there is a closed form to compare with, where the inputs are flat;
for any inputs there are finite differences on the same paths.

    python examples/option.py --paths 100000
"""

from __future__ import annotations

import argparse
import math
import time
from typing import Any

import numpy as np

from micrograd_c import Value, compile

MONTHS = 12
NAMES = ["spot", "strike", "rate", "slope", "dividend", "growth", "weight", "fee"]
FLAT = [100.0, 100.0, 0.05, 0.0, 0.0, 0.0, 0.0, 0.0]
MARKET = [100.0, 98.0, 0.04, 0.01, 0.5, 0.1, 0.3, 0.2]


def payoff(inputs: list[Any], shocks: list[Any]) -> Any:
    """Return the discounted payoff of one path; shocks are its normal random numbers, one a month.

    The mean is geometric, but for the share `weight` of the arithmetic one. Twice a year a dividend
    is paid, and more of it when the price has risen: a branch, which has recordings of its own.
    """
    spot, strike, rate, slope, dividend, growth, weight, fee, *sigmas = inputs
    dt = 1.0 / MONTHS
    log_price = spot.log()
    discount = 0.0
    total, log_total = 0.0, 0.0
    for month, (sigma, shock) in enumerate(zip(sigmas, shocks)):
        forward = rate + slope * (month * dt)
        log_price = log_price + (forward - sigma**2 * 0.5) * dt + sigma * shock * math.sqrt(dt)
        if month % 6 == 5:
            price = log_price.exp()
            paid = dividend + growth * (price - spot) if price > spot else dividend
            log_price = (price - paid).log()
        discount = discount + forward * dt
        total = total + log_price.exp()
        log_total = log_total + log_price
    geometric, arithmetic = (log_total / MONTHS).exp(), total / MONTHS
    mean = geometric + weight * (arithmetic - geometric)
    return (mean - strike - fee).relu() * (-discount).exp()


def normal_distribution(x: float) -> float:
    """Return the probability that a standard normal number is below x."""
    return 0.5 * math.erfc(-x / math.sqrt(2))


def closed_form(inputs: list[float]) -> float:
    """Return the price of the geometric option with a flat rate and without dividends.

    The log of the mean is normal: Kemna and Vorst, Journal of Banking and Finance 14 (1990).
    """
    spot, strike, rate = inputs[:3]
    sigmas, dt = inputs[len(NAMES) :], 1.0 / MONTHS
    shares = [(MONTHS - month) / MONTHS for month in range(MONTHS)]
    mean = math.log(spot) + sum((rate - s * s / 2) * dt * w for s, w in zip(sigmas, shares))
    deviation = math.sqrt(sum(s * s * dt * w * w for s, w in zip(sigmas, shares)))
    d = (mean - math.log(strike)) / deviation
    forward = math.exp(mean + deviation**2 / 2) * normal_distribution(d + deviation)
    return math.exp(-rate) * (forward - strike * normal_distribution(d))


def differences(price: Any, inputs: list[float], which: list[int]) -> list[float]:
    """Return the central differences of a price with respect to some inputs."""
    found = []
    for i in which:
        h = 1e-4 * max(1.0, abs(inputs[i]))
        above, below = (
            price([x + step * (k == i) for k, x in enumerate(inputs)]) for step in (h, -h)
        )
        found.append((above - below) / (2 * h))
    return found


def price_and_sensitivities(
    program: Any, inputs: list[Any], numbers: list[float], shocks: Any, threads: int
) -> tuple[float, list[float]]:
    """Return the mean over paths and its derivatives at these numbers."""
    for value, number in zip(inputs, numbers):
        value.data, value.grad = number, 0.0
    price = program.backward(shocks, threads=threads)
    return price, [value.grad for value in inputs]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--paths", type=int, default=100_000)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()

    sigmas = [0.2 + 0.01 * month for month in range(MONTHS)]
    names = NAMES + [f"sigma{month}" for month in range(MONTHS)]
    inputs = [Value(number, label=name) for number, name in zip(MARKET + sigmas, names)]
    half = np.random.default_rng(1).normal(size=((options.paths + 1) // 2, MONTHS))
    shocks = np.concatenate([half, -half])  # antithetic

    program = compile(lambda path: payoff(inputs, path), [0.0] * MONTHS)

    def evaluate(numbers: list[float]) -> tuple[float, list[float]]:
        return price_and_sensitivities(program, inputs, numbers, shocks, options.threads)

    def price_only(numbers: list[float]) -> float:
        return evaluate(numbers)[0]

    price, exact = evaluate(FLAT + sigmas)
    formula = closed_form(FLAT + sigmas)
    which = [0, 1, 2, *range(len(NAMES), len(names))]
    print(f"flat inputs: price {price:.4f}, closed form {formula:.4f}")
    for i, expected in zip(which, differences(closed_form, FLAT + sigmas, which)):
        print(f"  {names[i]:8} {exact[i]:10.4f}   closed form {expected:10.4f}")

    market = MARKET + sigmas
    evaluate(market)  # every branch has been recorded now
    start = time.perf_counter()
    price, exact = evaluate(market)
    seconds = time.perf_counter() - start
    print(f"market inputs: price {price:.4f}, {program!r}")
    for i, expected in enumerate(differences(price_only, market, list(range(len(names))))):
        print(f"  {names[i]:8} {exact[i]:10.4f}   differences {expected:10.4f}")
    print(f"price and {len(inputs)} sensitivities over {len(shocks)} paths: {seconds * 1e3:.1f} ms")


if __name__ == "__main__":
    main()
