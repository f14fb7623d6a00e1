"""Programs of the kinds that need exact derivatives, each against what is known of it."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

optimize = pytest.importorskip("scipy.optimize")
stats = pytest.importorskip("scipy.stats")
datasets = pytest.importorskip("sklearn.datasets")


# ---- regression ----


def test_linear_regression_on_the_diabetes_data(mg: Any) -> None:
    """The parameters are those of linear algebra."""
    data = datasets.load_diabetes()
    x, y = data.data, data.target
    w, b = [mg.Value(0.0) for _ in range(10)], mg.Value(0.0)
    program = mg.compile(lambda row, t: (mg.dot(w, row, b) - t) ** 2, x[0], y[0])
    objective = program.objective(x, y)
    found = optimize.minimize(
        objective, objective.x0, jac=True, method="BFGS", options={"gtol": 1e-9}
    )
    objective.vector.set(found.x)
    exact, *_ = np.linalg.lstsq(np.column_stack([x, np.ones(len(x))]), y, rcond=None)
    np.testing.assert_allclose([p.data for p in w], exact[:10], rtol=1e-5)
    assert b.data == pytest.approx(exact[10], rel=1e-7)


def test_logistic_regression_on_the_cancer_data(mg: Any) -> None:
    """The parameters are scikit-learn's."""
    from sklearn.linear_model import LogisticRegression

    data = datasets.load_breast_cancer()
    x = (data.data[:, :6] - data.data[:, :6].mean(axis=0)) / data.data[:, :6].std(axis=0)
    y = data.target.astype(float)
    w, b = [mg.Value(0.0) for _ in range(6)], mg.Value(0.0)

    def loss(row: Any, t: Any) -> Any:
        penalty = sum(p * p for p in w) * (0.5 / len(x))
        return mg.binary_cross_entropy_with_logits([mg.dot(w, row, b)], [t]) + penalty

    objective = mg.compile(loss, x[0], y[0]).objective(x, y)
    found = optimize.minimize(objective, objective.x0, jac=True, options={"gtol": 1e-8})
    objective.vector.set(found.x)
    theirs = LogisticRegression(C=1.0, tol=1e-10, max_iter=10_000).fit(x, y)
    np.testing.assert_allclose([p.data for p in w], theirs.coef_[0], rtol=1e-4)
    assert b.data == pytest.approx(theirs.intercept_[0], rel=1e-4)


# ---- Monte Carlo ----


def test_sensitivities_of_an_option_by_monte_carlo(mg: Any) -> None:
    """On the same paths they are differences; in the mean they are Black's and Scholes's."""

    def payoff(spot: Any, sigma: Any, rate: Any, shock: Any) -> Any:
        end = spot * ((rate - sigma * sigma * 0.5) + sigma * shock).exp()
        return (end - 100.0).relu() * (-rate).exp()

    program = mg.compile(payoff, 100.0, 0.2, 0.05, 0.1)
    shocks = stats.norm.ppf((np.arange(200_000) + 0.5) / 200_000)
    delta, vega, rho, _ = (
        g / len(shocks) for g in program.gradient(100.0, 0.2, 0.05, shocks, threads=2)
    )
    d1 = (0.05 + 0.02) / 0.2
    assert delta == pytest.approx(stats.norm.cdf(d1), rel=1e-4)
    assert vega == pytest.approx(100 * stats.norm.pdf(d1), rel=1e-4)
    assert rho == pytest.approx(100 * math.exp(-0.05) * stats.norm.cdf(d1 - 0.2), rel=1e-4)


# ---- differential equations ----


def runge_kutta(rate: Any, state: Sequence[Any], steps: int, h: float) -> list[Any]:
    """Return the states at all steps."""
    states, x = [], list(state)
    for _ in range(steps):
        a = rate(x)
        b = rate([v + k * (h / 2) for v, k in zip(x, a)])
        c = rate([v + k * (h / 2) for v, k in zip(x, b)])
        d = rate([v + k * h for v, k in zip(x, c)])
        x = [
            v + (p + 2 * q + 2 * r + s) * (h / 6)
            for v, p, q, r, s in zip(x, a, b, c, d, strict=True)
        ]
        states.append(x)
    return states


def test_a_decay_has_the_derivatives_of_an_exponential(mg: Any) -> None:
    program = mg.compile(
        lambda p: [s[0] for s in runge_kutta(lambda x: [-p[0] * x[0]], [p[1]], 50, 0.02)],
        [1.0, 2.0],
    )
    jacobian = program.jacobian([0.7, 3.0])
    for k, (by_rate, by_start) in enumerate(jacobian):
        t = 0.02 * (k + 1)
        assert by_start == pytest.approx(math.exp(-0.7 * t), rel=1e-7)
        assert by_rate == pytest.approx(-t * 3.0 * math.exp(-0.7 * t), rel=1e-7)


def test_a_fit_of_predators_and_prey_finds_the_parameters_of_the_data(mg: Any) -> None:
    truth = np.array([1.1, 0.4, 0.1, 0.4])

    def rate(p: Any) -> Any:
        return lambda s: [p[0] * s[0] - p[1] * s[0] * s[1], p[2] * s[0] * s[1] - p[3] * s[1]]

    program = mg.compile(
        lambda p: [v for s in runge_kutta(rate(p), [10.0, 5.0], 40, 0.1)[4::5] for v in s], truth
    )
    data = np.array(program(truth))
    found = optimize.least_squares(
        lambda p: np.array(program(p)) - data,
        truth * 1.2,
        jac=lambda p: np.array(program.jacobian(p)),
        xtol=1e-14,
    )
    np.testing.assert_allclose(found.x, truth, rtol=1e-8)


# ---- recurrent networks ----


def test_the_gradient_of_a_gated_unit_is_its_differences(mg: Any) -> None:
    source = random.Random(3)
    p = [mg.Value(source.uniform(-1, 1)) for _ in range(12)]

    def unit(xs: Any) -> Any:
        h = 0.0
        for x in xs:
            z = (p[0] * x + p[1] * h + p[2]).sigmoid()
            r = (p[3] * x + p[4] * h + p[5]).sigmoid()
            new = (p[6] * x + p[7] * (r * h) + p[8]).tanh()
            h = (1 - z) * h + z * new
        return (h * p[9] + p[10]) ** 2 + p[11] * h

    program = mg.compile(unit, [0.1] * 8)
    x = np.random.default_rng(0).normal(size=(5, 8))
    objective = program.objective(x)
    value, gradient = objective(objective.x0)
    differences = optimize.approx_fprime(objective.x0, lambda t: objective(t)[0], 1e-7)
    np.testing.assert_allclose(gradient, differences, atol=1e-6)
    assert value == pytest.approx(program(x).mean())


# ---- filters ----


def test_the_likelihood_of_a_kalman_filter_is_that_of_a_normal_vector(mg: Any) -> None:
    """A random walk of variance q, seen with noise of variance r, from a start of variance 1."""
    y = np.random.default_rng(1).normal(size=12).cumsum()

    def minus_log_likelihood(p: Any) -> Any:
        q, r = p
        mean, variance, total = 0.0, 1.0, 0.0
        for seen in y.tolist():
            spread = variance + r
            error = seen - mean
            total = total + (spread.log() + error * error / spread + math.log(2 * math.pi)) * 0.5
            gain = variance / spread
            mean = mean + gain * error
            variance = (1 - gain) * variance + q
        return total

    def exact(q: float, r: float) -> float:
        steps = np.arange(12)
        covariance = 1.0 + q * np.minimum.outer(steps, steps) + r * np.eye(12)
        return -float(stats.multivariate_normal(np.zeros(12), covariance).logpdf(y))

    program = mg.compile(minus_log_likelihood, [0.5, 0.5])
    value, gradient = program.value_and_gradient([0.8, 0.3])
    assert value == pytest.approx(exact(0.8, 0.3), rel=1e-12)
    h = 1e-5
    expected = [
        (exact(0.8 + h, 0.3) - exact(0.8 - h, 0.3)) / (2 * h),
        (exact(0.8, 0.3 + h) - exact(0.8, 0.3 - h)) / (2 * h),
    ]
    np.testing.assert_allclose(gradient, expected, rtol=1e-7)
    hessian = program.hessian([0.8, 0.3])
    np.testing.assert_allclose(hessian, mg.hessian(minus_log_likelihood, [0.8, 0.3]), rtol=1e-10)


# ---- sampling ----


def test_a_hamiltonian_sampler_has_the_moments_of_its_target(mg: Any) -> None:
    """A normal distribution with correlation 0.6, by 2,000 chains in step."""
    rho = 0.6

    def energy(x: Any) -> Any:
        return (x[0] * x[0] - 2 * rho * x[0] * x[1] + x[1] * x[1]) * (0.5 / (1 - rho * rho))

    program = mg.compile(energy, [0.0, 0.0])
    source = np.random.default_rng(2)
    x = source.normal(size=(2000, 2))
    kept = []
    for _ in range(60):
        start, p = x.copy(), source.normal(size=x.shape)
        before = program(x) + 0.5 * (p**2).sum(axis=1)
        p = p - 0.15 * program.gradient(x)
        for step in range(8):
            x = x + 0.3 * p
            p = p - (0.15 if step == 7 else 0.3) * program.gradient(x)
        after = program(x) + 0.5 * (p**2).sum(axis=1)
        refused = source.uniform(size=len(x)) >= np.exp(before - after)
        x[refused] = start[refused]
        kept.append(x.copy())
    sample = np.concatenate(kept[20:])
    np.testing.assert_allclose(np.cov(sample.T), [[1, rho], [rho, 1]], atol=0.02)
    np.testing.assert_allclose(sample.mean(axis=0), [0, 0], atol=0.02)


# ---- Newton's method ----


def test_newton_in_a_program_solves_rosenbrock_from_many_starts(mg: Any) -> None:
    def rosenbrock(p: Any) -> Any:
        return sum(100 * (p[i + 1] - p[i] ** 2) ** 2 + (1 - p[i]) ** 2 for i in range(19))

    program = mg.compile(rosenbrock, [1.0] * 20)
    p = 1.0 + 0.03 * np.random.default_rng(4).normal(size=(50, 20))
    for _ in range(30):
        step = np.linalg.solve(program.hessian(p), program.gradient(p)[:, :, None])[:, :, 0]
        p = p - step
    np.testing.assert_allclose(p, np.ones((50, 20)), atol=1e-9)


# ---- fixed points ----


def test_the_derivative_of_a_fixed_point_is_implicit(mg: Any) -> None:
    """x = cos(a x) has dx/da = -x sin(a x) / (1 + a sin(a x))."""

    program = mg.compile(lambda a: _iterate(mg, a), 0.7)
    for a in (0.3, 0.7, 1.0):
        value, slope = program.value_and_gradient(a)
        assert value == pytest.approx(math.cos(a * value), abs=1e-14)
        sine = math.sin(a * value)
        assert slope == pytest.approx(-value * sine / (1 + a * sine), rel=1e-10)


def _iterate(mg: Any, a: Any) -> Any:
    x = mg.Value(0.5)
    for _ in range(100):
        x = 0.5 * x + 0.5 * (a * x).cos()
    return x


# ---- a language model ----


def test_attention_is_one_program_whatever_the_order_of_the_scores(mg: Any) -> None:
    """As the microgpt family writes its softmax: with the maximum of the data."""

    def softmax(scores: Any) -> Any:
        top = max(v.data for v in scores)
        powers = [(v - top).exp() for v in scores]
        total = sum(powers)
        return [v / total for v in powers]

    def attend(q: Any, keys: Any, values: Any) -> Any:
        weights = softmax([sum(a * b for a, b in zip(q, k)) / 2.0 for k in keys])
        return [sum(w * v[i] for w, v in zip(weights, values)) for i in range(4)]

    program = mg.compile(attend, np.zeros(4), np.zeros((6, 4)), np.zeros((6, 4)))
    q, k, v = (np.random.default_rng(5).normal(size=s) for s in ((9, 4), (9, 6, 4), (9, 6, 4)))
    found = np.array(program(q, k, v)).T
    scores = np.einsum("ni,nki->nk", q, k) / 2.0
    weights = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(found, np.einsum("nk,nki->ni", weights, v), rtol=1e-12)
    assert program.specializations == 1
