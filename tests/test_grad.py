"""Derivatives as results: grad, jacobian, hessian, hvp."""

from __future__ import annotations

import dataclasses
import math
from typing import Any, NamedTuple

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from random_programs import BINARY, FUNCTIONS, Player
from values import halved

POINTS = [0.3, 0.7, 1.0, 1.6, 2.5]


# ---- what grad returns ----


def test_derivatives_are_nested_as_the_inputs(mg: Any) -> None:
    a, b, c = map(mg.Value, (1.0, 2.0, 3.0))
    found = mg.grad(a * b * c, {"x": [a, (b,)], "y": c})
    assert found["x"][0].data == 6.0 and found["x"][1][0].data == 3.0 and found["y"].data == 2.0
    assert isinstance(found["x"][1], tuple)
    assert mg.grad(a * b, a).data == 2.0


def test_namedtuples_dataclasses_and_arrays_keep_their_type(mg: Any) -> None:
    class Pair(NamedTuple):
        x: Any
        y: Any

    @dataclasses.dataclass
    class Point:
        x: Any
        y: Any

    a, b = mg.Value(2.0), mg.Value(3.0)
    assert mg.grad(a * b, Pair(a, b)).y.data == 2.0
    assert mg.grad(a * b, Point(a, b)).x.data == 3.0
    found = mg.grad(a * b, np.array([[a], [b]]))
    assert found.shape == (2, 1) and found[0, 0].data == 3.0


def test_no_gradient_changes(mg: Any) -> None:
    a, b = mg.Value(2.0), mg.Value(3.0)
    c = a * b + halved(mg, a)
    c.backward()
    before = a.grad, b.grad, c.grad
    for create_graph in (False, True):
        mg.grad(c, [a, b], create_graph=create_graph)
        mg.hessian(lambda p: p[0] * p[0] * b, [a])
        assert (a.grad, b.grad, c.grad) == before


def test_derivatives_without_a_graph_are_leaves(mg: Any) -> None:
    a = mg.Value(2.0)
    assert len(mg.grad(a * a, a)._prev) == 0
    assert len(mg.grad(a * a, a, create_graph=True)._prev) != 0


@pytest.mark.parametrize("create_graph", [False, True])
def test_derivatives_by_what_the_output_does_not_depend_on_are_zero(
    mg: Any, create_graph: bool
) -> None:
    a, b = mg.Value(2.0), mg.Value(3.0)
    b.grad = 5.0
    assert [d.data for d in mg.grad(a * a, [b, a], create_graph)] == [0.0, 4.0]
    assert mg.grad(a, a, create_graph).data == 1.0
    assert mg.grad(a, [], create_graph) == []


@pytest.mark.parametrize("create_graph", [False, True])
def test_inputs_may_be_results(mg: Any, create_graph: bool) -> None:
    a = mg.Value(0.5)
    b = a * a
    c = b * a
    assert [d.data for d in mg.grad(c * b, [a, b, c], create_graph)] == [
        5 * 0.5**4,
        0.5**3 + 0.5 * 0.5**2,
        0.25,
    ]


def test_a_derivative_is_a_node_of_its_own(mg: Any) -> None:
    x, y = mg.Value(2.0), mg.Value(3.0)
    dx = mg.grad(x * y, x, create_graph=True)
    assert dx is not y and dx.data == y.data
    assert mg.grad(dx, y).data == 1.0


def test_a_derivative_can_be_drawn_and_trained_on(mg: Any) -> None:
    x, w = mg.Value(0.5), mg.Value(2.0)
    slope = mg.grad((w * x).tanh(), x, create_graph=True)
    assert "label" in mg.draw_dot(slope).source
    slope.backward()
    t = math.tanh(1.0)
    assert w.grad == pytest.approx((1 - t * t) - 2.0 * 2 * t * (1 - t * t) * 0.5)


@pytest.mark.long
def test_a_derivative_takes_no_recursion(mg: Any) -> None:
    x = mg.Value(1.0)
    y = x
    for _ in range(20_000):
        y = y * 1.0001 + 0.0
    d = mg.grad(y, x, create_graph=True)
    assert d.data == pytest.approx(1.0001**20_000)
    assert mg.grad(d, x).data == 0.0


@pytest.mark.parametrize(("output", "inputs"), [(1.0, None), (None, 2.0), (None, [2.0])])
def test_what_is_no_value_is_named(mg: Any, output: Any, inputs: Any) -> None:
    a = mg.Value(2.0)
    with pytest.raises(TypeError, match=r"grad\(\) takes .* not 'float'"):
        mg.grad(a * a if output is None else output, a if inputs is None else inputs)


def test_errors_are_those_of_backward_and_leave_no_trace(mg: Any) -> None:
    x = mg.Value(0.0)
    y = x.sqrt()
    x.grad, y.grad = 3.0, 4.0
    for create_graph in (False, True):
        with pytest.raises(ZeroDivisionError):
            mg.grad(y, x, create_graph)
        assert (x.grad, y.grad) == (3.0, 4.0)


def test_within_no_grad_derivatives_are_leaves(mg: Any) -> None:
    x = mg.Value(2.0)
    y = x * x
    with mg.no_grad():
        assert len(mg.grad(y, x, create_graph=True)._prev) == 0


# ---- operators of a program's own ----


@pytest.mark.parametrize("create_graph", [False, True])
def test_own_operators_have_their_first_derivative(mg: Any, create_graph: bool) -> None:
    x, y = mg.Value(3.0), mg.Value(2.0)
    given = mg.Value(x.data**2, (x,), "square", local_grads=(6.0,))
    found = mg.grad(halved(mg, x) * y + given * y, [x, y], create_graph)
    assert [d.data for d in found] == [0.5 * 2 + 6 * 2, 1.5 + 9]


def test_differentiating_own_operators_again_is_refused(mg: Any) -> None:
    x, y = mg.Value(3.0), mg.Value(2.0)
    for own in (halved(mg, x), mg.Value(9.0, (x,), "square", local_grads=(6.0,))):
        dx, dy = mg.grad(own * y, [x, y], create_graph=True)
        with pytest.raises(RuntimeError, match="operator of your own"):
            mg.grad(dx, x)
        with pytest.raises(RuntimeError, match=repr(own._op)):
            dx.backward()
        assert mg.grad(dy, y).data == 0.0


def test_an_own_operator_of_one_operand_twice(mg: Any) -> None:
    x = mg.Value(3.0)
    out = mg.Value(9.0, (x, x), "square")

    def _backward() -> None:
        x.grad += 2 * x.data * out.grad

    out._backward = _backward
    assert mg.grad(out * 2, x, create_graph=True).data == 12.0


# ---- numbers ----


def _cases() -> list[tuple[str, str]]:
    return [("unary", name) for name in FUNCTIONS] + [("binary", name) for name in BINARY]


def _build(mg: Any, kind: str, name: str, x: Any, y: Any) -> Any:
    player = Player(mg, [x, y])
    return player.do_unary(name, 1) if kind == "unary" else player.do_binary(name, 1, 0)


@pytest.mark.parametrize(("kind", "name"), _cases())
def test_rules_are_the_partials_of_the_table(mg: Any, kind: str, name: str) -> None:
    for a in (*POINTS, -0.4, -1.7):
        for b in POINTS if kind == "binary" else [1.0]:
            x, y = mg.Value(a), mg.Value(b)
            try:
                z = _build(mg, kind, name, x, y)
                z.backward()
            except (ValueError, ArithmeticError):
                continue
            found = mg.grad(z, [x, y], create_graph=True)
            for derivative, v in zip(found, (x, y)):
                assert derivative.data == pytest.approx(v.grad, 4e-15, 1e-300, nan_ok=True)


@pytest.mark.parametrize(("kind", "name"), _cases())
def test_second_derivatives_are_differences_of_first_ones(mg: Any, kind: str, name: str) -> None:
    h = 1e-5
    for a, b in ((0.3, 0.7), (0.6, 0.2), (-0.45, 0.8)):

        def first(a: float, b: float) -> list[float]:
            x, y = mg.Value(a), mg.Value(b)
            return [d.data for d in mg.grad(_build(mg, kind, name, x, y), [x, y])]

        try:
            found = mg.hessian(lambda p: _build(mg, kind, name, *p), [a, b])
            above, below = first(a + h, b), first(a - h, b)
        except (ValueError, ArithmeticError):
            continue
        for k in (0, 1):
            expected = (above[k] - below[k]) / (2 * h)
            assert found[0][k] == pytest.approx(expected, rel=1e-6, abs=1e-6)
            assert found[0][1] == pytest.approx(found[1][0], rel=1e-12, abs=1e-13)


def test_derivatives_of_tanh_up_to_the_fifth(mg: Any) -> None:
    t = math.tanh(0.7)
    s = 1 - t * t
    expected = [
        s,
        -2 * t * s,
        s * (6 * t * t - 2),
        8 * t * s * (2 - 3 * t * t),
        s * (16 - 120 * t * t + 120 * t**4),
    ]
    x = mg.Value(0.7)
    y = x.tanh()
    for number in expected:
        y = mg.grad(y, x, create_graph=True)
        assert y.data == pytest.approx(number, rel=1e-12)


@pytest.mark.parametrize("x", [0.3, 1.4, 7.5, -2.6])
def test_derivatives_of_lgamma_up_to_the_fifth(mg: Any, x: float) -> None:
    v = mg.Value(x)
    y = v.lgamma()
    for n in range(5):
        y = mg.grad(y, v, create_graph=True)
        assert y.data == pytest.approx(float(mpmath.polygamma(n, mpmath.mpf(x))), rel=2e-15)


@pytest.mark.parametrize("n", [0, 1, 2, 3, 5, -1, -2, 0.5, 2.5])
def test_third_derivatives_of_powers(mg: Any, n: float) -> None:
    x = mg.Value(1.7)
    y = x**n
    for _ in range(3):
        y = mg.grad(y, x, create_graph=True)
    assert y.data == pytest.approx(n * (n - 1) * (n - 2) * 1.7 ** (n - 3), rel=1e-13)


def test_powers_at_zero(mg: Any) -> None:
    x, y = mg.Value(0.0), mg.Value(2.0)
    assert [d.data for d in mg.grad(x**y, [x, y], True)] == [0.0, 0.0]
    assert mg.grad(mg.grad(x**3, x, True), x).data == 0.0
    assert mg.grad(x**1, x, True).data == 1.0 and mg.grad(x**0, x, True).data == 0.0


@pytest.mark.long
@given(data=st.data())
def test_recorded_derivatives_are_those_of_backward(mg: Any, data: Any) -> None:
    steps = data.draw(
        st.lists(
            st.tuples(
                st.sampled_from([name for _, name in _cases()]),
                st.integers(0, 9),
                st.integers(0, 9),
            ),
            min_size=1,
            max_size=20,
        )
    )
    leaves = [mg.Value(x) for x in (0.5, 1.5, 2.0)]
    player = Player(mg, leaves)
    for name, i, j in steps:
        try:
            player.do_binary(name, i, j) if name in BINARY else player.do_unary(name, i)
        except (ValueError, OverflowError, ZeroDivisionError):
            continue
    root = player.values[-1]
    try:
        root.backward()
    except ArithmeticError:
        return
    try:
        found = mg.grad(root, leaves, create_graph=True)
    except ArithmeticError:
        return  # an intermediate form overflows where the table's does not
    for derivative, leaf in zip(found, leaves):
        if derivative.data != leaf.grad and math.isfinite(leaf.grad):
            scale = max(1.0, abs(leaf.grad), *(abs(v.grad) for v in player.values))
            assert abs(derivative.data - leaf.grad) <= 1e-9 * scale
    plain = mg.grad(root, leaves)
    assert all(
        d.data == v.grad or (math.isnan(d.data) and math.isnan(v.grad))
        for d, v in zip(plain, leaves)
    )


# ---- functions at a point; the numbers are those of JAX 0.10.2 ----


def rosenbrock(p: Any) -> Any:
    return sum(100 * (p[i + 1] - p[i] ** 2) ** 2 + (1 - p[i]) ** 2 for i in range(len(p) - 1))


def mixed(p: Any) -> Any:
    x, y, z = p
    logs = (x + z * z).log() * y.sqrt()
    return (-x * y).exp() * z.sin() + logs + x**y / (1 + z.sigmoid()) + (x.exp() + z.exp()).log()


MIXED = [
    [-0.44525631721034087, 1.2041737413360942, -0.15529170551609847],
    [1.2041737413360942, -0.3674253641353699, -0.8480065783710069],
    [-0.15529170551609855, -0.8480065783710068, 1.2036596677752478],
]
MIXED_THIRD = [  # the derivatives of these by the third number
    [-0.1399471419646791, 0.05705885059907859, -0.6293560082657879],
    [0.057058850599078614, 0.8503462956481112, 0.441057812362432],
    [-0.6293560082657879, 0.4410578123624322, 1.397072837965129],
]


def test_hessians(mg: Any) -> None:
    found = mg.hessian(rosenbrock, [0.5, -1.0, 1.5, 0.25])
    expected = [[702, -200, 0, 0], [-200, 802, 400, 0], [0, 400, 2802, -600], [0, 0, -600, 200]]
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(mg.hessian(mixed, [1.3, 0.7, -0.4]), MIXED, rtol=1e-12)


def test_third_derivatives(mg: Any) -> None:
    p = [mg.Value(x) for x in (1.3, 0.7, -0.4)]
    first = mg.grad(mixed(p), p, create_graph=True)
    second = [mg.grad(d, p, create_graph=True) for d in first]
    third = [[mg.grad(d, p[2]).data for d in row] for row in second]
    np.testing.assert_allclose(third, MIXED_THIRD, rtol=1e-12)


def test_hvp_is_the_hessian_times_a_vector(mg: Any) -> None:
    vector = [0.5, -2.0, 1.0]
    found = mg.hvp(mixed, [1.3, 0.7, -0.4], vector)
    np.testing.assert_allclose(found, np.array(MIXED) @ vector, rtol=1e-12)


def test_points_and_results_are_nested_alike(mg: Any) -> None:
    point = {"a": 2.0, "b": [3.0, 5.0]}

    def fn(p: Any) -> Any:
        return p["a"] ** 2 * p["b"][0] + p["b"][1] * p["a"]

    assert mg.jacobian(fn, point) == {"a": 2 * 2 * 3 + 5, "b": [4.0, 2.0]}
    assert mg.hessian(fn, point)["a"] == {"a": 6.0, "b": [4.0, 1.0]}
    assert mg.hvp(fn, point, {"a": 1.0, "b": [0.0, 0.0]}) == {"a": 6.0, "b": [4.0, 1.0]}
    several = mg.jacobian(lambda p: (p["a"] * 3, [fn(p)]), point)
    assert several == ({"a": 3.0, "b": [0.0, 0.0]}, [mg.jacobian(fn, point)])


def test_arrays_give_arrays(mg: Any) -> None:
    found = mg.hessian(rosenbrock, np.array([0.5, -1.0, 1.5]))
    assert found.shape == (3, 3) and found.dtype == float
    assert mg.jacobian(lambda p: [p[0, 1], p[1, 0] * p[0, 0]], np.ones((2, 2)))[1].tolist() == [
        [1.0, 0.0],
        [1.0, 0.0],
    ]


def test_values_of_a_point_are_passed_as_they_are(mg: Any) -> None:
    w, b = mg.Value(2.0), mg.Value(1.0)
    assert mg.hessian(lambda p: w * w * b, [w, b]) == [[2.0, 4.0], [4.0, 0.0]]


def test_the_vector_of_hvp_may_be_of_values(mg: Any) -> None:
    assert mg.hvp(lambda p: p[0] ** 2 * p[1], [3.0, 5.0], [mg.Value(1.0), 0.0]) == [10.0, 6.0]


def test_a_vector_of_another_size_is_refused(mg: Any) -> None:
    with pytest.raises(ValueError, match="a vector of 1 numbers for a point of 2"):
        mg.hvp(lambda p: p[0] * p[1], [1.0, 2.0], [1.0])


def test_a_result_that_is_no_value_is_refused(mg: Any) -> None:
    for function in (mg.hessian, mg.jacobian):
        with pytest.raises(TypeError, match="must return a Value, not 'float'"):
            function(lambda p: 1.0, [1.0])


def test_newton_solves_rosenbrock_in_twenty_variables(mg: Any) -> None:
    p = np.full(20, 1.2)
    for _ in range(50):
        step = np.linalg.solve(mg.hessian(rosenbrock, p), mg.jacobian(rosenbrock, p))
        p = p - step
        if np.abs(step).max() < 1e-13:
            break
    np.testing.assert_allclose(p, np.ones(20), atol=1e-12)


# ---- memory ----


def test_derivatives_leave_nothing_behind(mg: Any) -> None:
    from micrograd_c import engine

    x = mg.Value(0.5)
    y = (x.tanh() * x).exp()
    before = engine.statistics()
    for _ in range(3):
        mg.grad(y, x)
        mg.grad(mg.grad(y, x, create_graph=True), x)
        mg.hessian(mixed, [1.3, 0.7, -0.4])
    now = engine.statistics()
    assert (now.nodes, now.leaves) == (before.nodes, before.leaves)
