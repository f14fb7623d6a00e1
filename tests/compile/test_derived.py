"""Derivatives of programs: values with gradients, along tangents, second ones, by parameters."""

from __future__ import annotations

import copy
import math
import pickle
import random
from typing import Any

import numpy as np
import pytest


def rows(*shape: int, seed: int = 1) -> Any:
    return np.random.default_rng(seed).normal(size=shape)


class Model:
    """A function of an array of two and a number, with two parameters."""

    def __init__(self, mg: Any) -> None:
        self.w, self.b = mg.Value(1.5), mg.Value(0.5)

    def __call__(self, x: Any, y: Any) -> Any:
        return (self.w * x[0]).tanh() * x[1] ** 3 + (y * self.b).exp() * x[0]

    def compiled(self, mg: Any) -> Any:
        return mg.compile(self, [1.0, 2.0], 0.3)


# ---- one row for all rows ----


def test_a_number_serves_all_rows(mg: Any) -> None:
    program = Model(mg).compiled(mg)
    x = rows(5, 2)
    one, all_of_them = program(x, 0.3), program(x, np.full(5, 0.3))
    assert (one == all_of_them).all()
    by_x, by_y = program.gradient(x, 0.3)
    by_all = program.gradient(x, np.full(5, 0.3))
    assert (by_x == by_all[0]).all() and by_y == by_all[1].sum() and by_y.shape == ()


def test_one_row_of_an_array_serves_all_rows(mg: Any) -> None:
    program = Model(mg).compiled(mg)
    y = rows(4)
    found = program.gradient([1.0, 2.0], y)
    assert found[0].shape == (2,) and found[1].shape == (4,)
    np.testing.assert_allclose(found[0], program.gradient([[1.0, 2.0]] * 4, y)[0].sum(axis=0))


def test_results_of_one_row_have_no_axis_of_rows(mg: Any) -> None:
    program = Model(mg).compiled(mg)
    x, y = [1.0, 2.0], 0.3
    assert program(x, y).shape == () and program(x, y) == program([x], [y])[0]
    assert program.gradient(x, y)[0].shape == (2,)
    assert program.jacobian(x, y)[1].shape == ()
    assert program.hessian(x, y)[0][0].shape == (2, 2)
    assert program.backward(x, y) == program(x, y)


def test_a_function_without_arguments_has_one_row(mg: Any) -> None:
    w = mg.Value(3.0)
    program = mg.compile(lambda: w * w)
    assert program() == 9.0 and program.backward() == 9.0 and w.grad == 6.0


# ---- values and gradients together ----


@pytest.mark.parametrize("threads", [1, 3])
def test_value_and_gradient_are_what_calls_return(mg: Any, threads: int) -> None:
    program = Model(mg).compiled(mg)
    x, y = rows(700, 2), rows(700, seed=2)
    value, gradient = program.value_and_gradient(x, y, threads=threads)
    assert (value == program(x, y)).all()
    for found, expected in zip(gradient, program.gradient(x, y)):
        assert (found == expected).all()


def test_a_gradient_after_values_and_gradients_writes_no_values(mg: Any) -> None:
    program = mg.compile(lambda x: x * x, 1.0)
    value, _ = program.value_and_gradient([2.0])
    program.gradient([3.0])
    program.backward([4.0])
    assert value.tolist() == [4.0]


def several(x: Any) -> Any:
    return {"a": x[0] * x[1], "b": [x[1].sin(), x[0].exp() * x[1]]}


def test_vjp_is_the_sum_of_seeds_times_gradients(mg: Any) -> None:
    program = mg.compile(several, [1.0, 2.0])
    x = rows(6, 2)
    seeds = {"a": rows(6, seed=3), "b": [rows(6, seed=4), np.ones(6)]}
    jacobian = program.jacobian(x)
    expected = jacobian["a"] * seeds["a"][:, None]
    for gradient, seed in zip(jacobian["b"], seeds["b"]):
        expected = expected + gradient * seed[:, None]
    np.testing.assert_allclose(program.vjp(x, seeds=seeds), expected, rtol=1e-13)
    with pytest.raises(ValueError, match=r"seeds\['a'\] must have the shape \(6,\), not \(5,\)"):
        program.vjp(x, seeds={"a": np.ones(5), "b": [np.ones(6), np.ones(6)]})


def test_vjp_also_gives_the_gradients_of_parameters(mg: Any) -> None:
    model = Model(mg)
    program = model.compiled(mg)
    x, y = rows(6, 2), rows(6, seed=2)
    seeds = rows(6, seed=5)
    gradient, of_parameters = program.vjp(x, y, seeds=seeds, parameters=True)
    assert (gradient[0] == program.vjp(x, y, seeds=seeds)[0]).all()
    assert model.w.grad == 0.0
    program.backward(x, y, seeds=seeds)
    assert of_parameters.tolist() == [p.grad for p in program.parameters]


def test_gradients_of_inputs_are_right_where_those_of_parameters_overflow(mg: Any) -> None:
    w = mg.Value(1.0)
    program = mg.compile(lambda x: w * x * 1e308, 1.0)
    gradient, (of_w,) = program.vjp([1.0, 1.0, 1.0], seeds=[1.0, 1.0, -2.0], parameters=True)
    assert gradient.tolist() == [1e308, 1e308, -2e308] or gradient.tolist()[:2] == [1e308, 1e308]
    assert of_w == 0.0 or not math.isnan(of_w)


# ---- along tangents ----


def test_jvp_is_the_jacobian_times_the_tangents(mg: Any) -> None:
    program = mg.compile(several, [1.0, 2.0])
    x, tangents = rows(6, 2), rows(6, 2, seed=7)
    value, along = program.jvp(x, tangents=tangents)
    jacobian, called = program.jacobian(x), program(x)
    assert (value["a"] == called["a"]).all() and (value["b"][1] == called["b"][1]).all()
    np.testing.assert_allclose(along["a"], (jacobian["a"] * tangents).sum(axis=1), rtol=1e-13)
    expected = (jacobian["b"][1] * tangents).sum(axis=1)
    np.testing.assert_allclose(along["b"][1], expected, rtol=1e-13)


def test_tangents_of_several_arguments_are_a_tuple(mg: Any) -> None:
    program = Model(mg).compiled(mg)
    x, y = rows(3, 2), rows(3, seed=2)
    gradient = program.gradient(x, y)
    _, along = program.jvp(x, y, tangents=(np.ones((3, 2)), 2.0))
    np.testing.assert_allclose(along, gradient[0].sum(axis=1) + 2 * gradient[1], rtol=1e-13)
    with pytest.raises(TypeError, match="a tuple, with one for each argument"):
        program.jvp(x, y, tangents=np.ones((3, 2)))
    with pytest.raises(ValueError, match="tangents have 4 rows, the arguments 3"):
        program.jvp(x, y, tangents=(np.ones((4, 2)), 1.0))


def test_jacobians_forward_and_in_reverse_agree(mg: Any) -> None:
    def steps(p: Any) -> Any:
        x, found = p[0], []
        for _ in range(10):
            x = x + (p[1] * x).sin() * 0.1
            found.append(x)
        return found

    program = mg.compile(steps, [1.0, 2.0])
    forward, reverse = program._traces[0].passes()
    assert forward < reverse
    x = rows(5, 2)
    np.testing.assert_allclose(program.jacobian(x), program.jacobian(x, check=True), rtol=1e-13)


def test_jacobians_of_rows_that_branch(mg: Any) -> None:
    program = mg.compile(lambda x: [x * x, x * 3, x.exp()] if x > 0 else [x, -x, x.sin()], 1.0)
    found = program.jacobian([1.0, -1.0])
    np.testing.assert_allclose(found, [[2.0, 1.0], [3.0, -1.0], [math.e, math.cos(1.0)]])


# ---- second derivatives ----


def test_hessians_are_those_of_eager_rows(mg: Any) -> None:
    model = Model(mg)
    program = model.compiled(mg)
    x, y = rows(4, 2), rows(4, seed=2)
    (xx, xy), (yx, yy) = program.hessian(x, y)
    assert xx.shape == (4, 2, 2) and xy.shape == (4, 2) and yx.shape == (4, 2) and yy.shape == (4,)
    for r in range(4):
        h = np.array(mg.hessian(lambda p: model(p[:2], p[2]), [*x[r], y[r]]))
        np.testing.assert_allclose(xx[r], h[:2, :2], rtol=1e-11, atol=1e-14)
        np.testing.assert_allclose(xy[r], h[:2, 2], rtol=1e-11, atol=1e-14)
        np.testing.assert_allclose(yx[r], h[2, :2], rtol=1e-11, atol=1e-14)
        np.testing.assert_allclose(yy[r], h[2, 2], rtol=1e-11, atol=1e-14)


def test_a_hessian_of_one_argument_is_an_array(mg: Any) -> None:
    program = mg.compile(lambda p: p[0] ** 2 * p[1] + p[2].exp(), [1.0, 2.0, 3.0])
    found = program.hessian(np.ones((7, 3)))
    assert found.shape == (7, 3, 3) and found.flags.c_contiguous
    assert found[6].tolist() == [[2.0, 2.0, 0.0], [2.0, 0.0, 0.0], [0.0, 0.0, math.e]]


def test_a_hessian_of_a_nesting_is_a_nesting_of_blocks(mg: Any) -> None:
    program = mg.compile(lambda p: p["a"] ** 2 * p["b"][0][1], {"a": 1.0, "b": ([1.0, 2.0],)})
    found = program.hessian({"a": [3.0], "b": ([[5.0, 7.0]],)})
    assert found["a"]["a"].tolist() == [14.0]
    assert found["a"]["b"][0].tolist() == [[0.0, 6.0]]
    assert found["b"][0]["a"].tolist() == [[0.0, 6.0]]
    assert found["b"][0]["b"][0].tolist() == [[[0.0, 0.0], [0.0, 0.0]]]


def test_hessians_of_the_gamma_function_are_exact(mg: Any) -> None:
    mpmath = pytest.importorskip("mpmath")
    program = mg.compile(lambda x: x.lgamma() * x, 1.0)
    x = np.array([0.01, 1.0, 1.4616321449683622, 6.5, 1e5, -2.3])
    exact = [2 * mpmath.psi(0, v) + v * mpmath.psi(1, v) for v in map(mpmath.mpf, x.tolist())]
    np.testing.assert_allclose(program.hessian(x), np.array(exact, dtype=float), rtol=4e-15)


def test_hvp_is_the_hessian_times_the_vectors(mg: Any) -> None:
    program = mg.compile(lambda p: p[0] ** 2 * p[1] + (p[1] * p[2]).exp(), [1.0, 2.0, 0.5])
    x, vectors = rows(5, 3), rows(5, 3, seed=8)
    expected = np.einsum("nij,nj->ni", program.hessian(x), vectors)
    np.testing.assert_allclose(program.hvp(x, vectors=vectors), expected, rtol=1e-12)
    for threads in (1, 3):
        one = program.hvp(x, vectors=[1.0, 0.0, 0.0], threads=threads)
        assert (one == program.hessian(x)[:, 0]).all()


def test_second_derivatives_of_rows_that_branch(mg: Any) -> None:
    program = mg.compile(lambda x: x**3 if x > 0 else x.sin(), 1.0)
    np.testing.assert_allclose(program.hessian([2.0, -1.0, 1.0]), [12.0, math.sin(1.0), 6.0])
    assert program.specializations == 2


def test_second_derivatives_read_the_parameters_at_each_call(mg: Any) -> None:
    model = Model(mg)
    program = model.compiled(mg)
    before = program.hessian([1.0, 2.0], 0.3)[1][1]
    model.b.data *= 2
    after = program.hessian([1.0, 2.0], 0.3)[1][1]
    assert before == pytest.approx(0.25 * math.exp(0.15))
    assert after == pytest.approx(math.exp(0.3))


def test_second_derivatives_do_not_run_the_function_again(mg: Any) -> None:
    source = random.Random(1)

    def noisy(x: Any) -> Any:
        return x * x * source.random()

    program = mg.compile(noisy, 1.0)
    factor = program([1.0])[0]
    assert program.hessian([5.0])[0] == 2 * factor
    assert program.jvp([1.0], tangents=[1.0])[1][0] == 2 * factor


def test_second_derivatives_of_several_results_are_refused(mg: Any) -> None:
    program = mg.compile(several, [1.0, 2.0])
    for method in (program.hessian, lambda x: program.hvp(x, vectors=[1.0, 0.0])):
        with pytest.raises(ValueError, match="3 results"):
            method([1.0, 2.0])
    with pytest.raises(ValueError, match="jacobian"):
        program.value_and_gradient([1.0, 2.0])


def test_own_operators_have_first_derivatives_alone(mg: Any) -> None:
    program = mg.compile(
        lambda x: mg.Value(x.data**2, (x,), "square", local_grads=(2 * x.data,)) * x, 1.0
    )
    assert program.jvp([3.0], tangents=[1.0])[1][0] == 27.0
    with pytest.raises(TypeError, match="operator of your own"):
        program.hessian([3.0])


def test_detached_numbers_have_no_derivatives(mg: Any) -> None:
    program = mg.compile(lambda x: x * x.data / (x.data + 1.0) + x, 1.0)
    assert program.jvp([3.0], tangents=[1.0])[1][0] == program.gradient([3.0])[0] == 1.75
    assert program.hessian([3.0])[0] == 0.0


def test_errors_name_the_row(mg: Any) -> None:
    program = mg.compile(lambda x: x.log() * x, 1.0)
    with pytest.raises(ValueError, match="row 1: "):
        program.hessian([1.0, -1.0], check=True)


def test_a_pickled_program_has_second_derivatives(mg: Any) -> None:
    program = mg.compile(cube, 1.0)
    program.hessian([2.0])
    assert pickle.loads(pickle.dumps(program)).hessian([2.0]).tolist() == [12.0]


def cube(x: Any) -> Any:
    return x**3


# ---- grad in a function that is compiled ----


def test_grad_is_a_part_of_a_program(mg: Any) -> None:
    w = mg.Value(2.0)

    def slope(x: Any) -> Any:
        return mg.grad((w * x).tanh() * x, x, create_graph=True)

    program = mg.compile(slope, 1.0)
    x = rows(4)
    expected = mg.compile(lambda x: (w * x).tanh() * x, 1.0)
    np.testing.assert_allclose(program(x), expected.gradient(x), rtol=1e-13)
    np.testing.assert_allclose(program.gradient(x), expected.hessian(x), rtol=1e-12)
    program.backward(x)
    assert w.grad != 0.0


def test_grad_without_a_graph_passes_no_gradient_on(mg: Any) -> None:
    program = mg.compile(lambda x: mg.grad(x * x, x) * x, 1.0)
    assert program([3.0])[0] == 18.0 and program.gradient([3.0])[0] == 6.0


def test_grad_of_an_own_operator_in_a_program(mg: Any) -> None:
    def own(x: Any) -> Any:
        return mg.Value(x.data**2, (x,), "square", local_grads=(2 * x.data,))

    assert mg.compile(lambda x: mg.grad(own(x), x), 1.0)([3.0])[0] == 6.0
    with pytest.raises(TypeError, match="without create_graph"):
        mg.compile(lambda x: mg.grad(own(x), x, create_graph=True), 1.0)


def test_floats_of_jacobian_and_hessian_are_each_row_s_own(mg: Any) -> None:
    w = mg.Value(2.0)

    def cube(p: Any) -> Any:
        return p[0] ** 3 * w

    programs = {
        lambda x: x * mg.jacobian(cube, [x])[0]: [6.0, 48.0, -162.0],
        lambda x: x * mg.hessian(cube, [x])[0][0]: [12.0, 48.0, 108.0],
        lambda x: x * mg.hvp(cube, [x], [1.0])[0]: [12.0, 48.0, 108.0],
    }
    for fn, expected in programs.items():
        program = mg.compile(fn, 1.0)
        assert program([1.0, 2.0, -3.0]).tolist() == expected
        slopes = program.gradient([1.0, 2.0])  # no gradient passes through the floats
        assert slopes.tolist() == [expected[0], expected[1] / 2]


def test_the_vector_of_hvp_may_be_each_row_s_own(mg: Any) -> None:
    def product(x: Any, v: Any) -> Any:
        return mg.hvp(lambda p: p[0] ** 3, [x], [v])[0]

    assert mg.compile(product, 1.0, 1.0)([1.0, 2.0], [1.0, 5.0]).tolist() == [6.0, 60.0]
    program = mg.compile(lambda x, v: product(x, 2.0 * v.data), 1.0, 1.0)
    assert program([1.0, 2.0], [1.0, 5.0]).tolist() == [12.0, 120.0]


# ---- by parameters ----


def test_a_parameter_jacobian_has_a_row_for_each_row(mg: Any) -> None:
    model = Model(mg)
    program = model.compiled(mg)
    x, y = rows(6, 2), rows(6, seed=2)
    found = program.parameter_jacobian(x, y)
    assert found.shape == (6, 2)
    for r in range(6):
        model.w.grad = model.b.grad = 0.0
        model([mg.Value(v) for v in x[r]], mg.Value(y[r])).backward()
        np.testing.assert_allclose(found[r], [p.grad for p in program.parameters], rtol=1e-13)
    assert program.parameter_jacobian(x[0], y[0]).tolist() == found[0].tolist()


def test_a_parameter_jacobian_of_several_results_and_branches(mg: Any) -> None:
    v, w = mg.Value(2.0), mg.Value(3.0)
    program = mg.compile(lambda x: [v * x, v * v] if x > 0 else [w * x, v * w], 1.0)
    first, second = program.parameter_jacobian([5.0, -7.0])
    assert program.parameters == (v, w)
    assert first.tolist() == [[5.0, 0.0], [0.0, -7.0]]
    assert second.tolist() == [[4.0, 0.0], [3.0, 2.0]]


def test_a_vector_copies_data_and_gradients(mg: Any) -> None:
    v, w = mg.Value(2.0), mg.Value(3.0)
    both = mg.vector({"v": v, "w": [w]})
    (v * w).backward()
    assert both.get().tolist() == [2.0, 3.0] and both.grad().tolist() == [3.0, 2.0]
    both.set([5.0, 7.0])
    assert (v.data, w.data) == (5.0, 7.0) and len(both) == 2
    assert mg.vector(x for x in (v, w)).values == (v, w)
    with pytest.raises(ValueError, match=r"must have the shape \(2,\), not \(3,\)"):
        both.set(np.zeros(3))
    with pytest.raises(TypeError, match="consists of Values, not 'float'"):
        mg.vector([v, 1.0])
    with pytest.raises(ValueError, match="twice"):
        mg.vector([v, w, v])


@pytest.mark.parametrize("way", [copy.deepcopy, lambda v: pickle.loads(pickle.dumps(v))])
def test_a_copy_of_a_vector_is_of_copies(mg: Any, way: Any) -> None:
    v = mg.vector([mg.Value(1.0), mg.Value(2.0)])
    twin = way(v)
    twin.set([3.0, 4.0])
    assert [value.data for value in twin.values] == [3.0, 4.0]
    assert v.get().tolist() == [1.0, 2.0]


def test_an_objective_is_a_function_of_the_parameters(mg: Any) -> None:
    model = Model(mg)
    program = model.compiled(mg)
    x, y = rows(8, 2), rows(8, seed=2)
    objective = program.objective(x, y, weights=np.arange(8.0))
    assert objective.x0.tolist() == [p.data for p in program.parameters]
    value, gradient = objective([0.7, -0.2])
    assert [p.data for p in program.parameters] == objective.x0.tolist()
    assert [p.grad for p in program.parameters] == [0.0, 0.0]
    objective.vector.set([0.7, -0.2])
    assert program.backward(x, y, weights=np.arange(8.0)) == value
    assert gradient.tolist() == objective.vector.grad().tolist()
    with pytest.raises(ValueError, match=r"theta must have the shape \(2,\)"):
        objective([1.0])


def test_an_objective_is_one_of_leaves(mg: Any) -> None:
    w = mg.Value(2.0)
    squared = w * w
    program = mg.compile(lambda x: squared * x, 1.0)
    with pytest.raises(TypeError, match="a function of leaves"):
        program.objective([1.0])


def test_least_squares_by_gauss_and_newton(mg: Any) -> None:
    a, b = mg.Value(1.0), mg.Value(0.1)
    residual = mg.compile(lambda x, y: a * (b * x).exp() - y, 1.0, 1.0)
    x = np.linspace(0.0, 2.0, 20)
    y = 2.5 * np.exp(0.8 * x)
    both = mg.vector(residual.parameters)
    for _ in range(20):
        jacobian = residual.parameter_jacobian(x, y)
        step = np.linalg.lstsq(jacobian, residual(x, y), rcond=None)[0]
        both.set(both.get() - step)
    np.testing.assert_allclose([a.data, b.data], [2.5, 0.8], rtol=1e-12)


# ---- selections ----

SELECTIONS: list[tuple[Any, list[float]]] = [
    (lambda mg, x: mg.where(x > 0, x.log() * x, 0.0) + x * x, [2.0, 2.0, 3.0, 2.5]),
    (lambda mg, x: mg.where(x > 0, x.sqrt(), -x) * x, [-2.0, -2.0, 0.75, 0.75 / math.sqrt(2)]),
    (
        lambda mg, x: mg.where(x > 0, mg.where(x > 1, (x - 1).sqrt(), x**2), x**3),
        [-6.0, 0.0, 2.0, -0.25],
    ),
    (lambda mg, x: x.relu() ** 3 + abs(x) * x, [-2.0, 0.0, 8.0, 14.0]),
    (lambda mg, x: mg.maximum(x * x, x) * x, [-6.0, 2.0, 4.0, 12.0]),
]


@pytest.mark.parametrize("case", range(len(SELECTIONS)))
def test_second_derivatives_of_selections_are_each_rows_own(mg: Any, case: int) -> None:
    function, expected = SELECTIONS[case]
    program = mg.compile(lambda x: function(mg, x), 1.5)
    x = np.array([-1.0, 0.0, 1.0, 2.0])
    found = program.hessian(x)
    if case == 4:  # at the ties, 0 and 1, the slope is a mean
        np.testing.assert_allclose(found[[0, 3]], [-6.0, 12.0], rtol=1e-12)
    else:
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-300)
    _, along = program.jvp(x, tangents=1.0)
    np.testing.assert_allclose(along, program.gradient(x), rtol=1e-13)
    assert program.specializations == 1


def test_zero_along_an_infinite_slope_is_zero(mg: Any) -> None:
    program = mg.compile(lambda x: x[0].sqrt() + x[1].log() + x[1], [1.0, 1.0])
    _, along = program.jvp([[0.0, 1.0]], tangents=[[0.0, 1.0]])
    assert along.tolist() == [2.0]


def test_zero_to_the_power_of_an_input_has_second_derivatives(mg: Any) -> None:
    program = mg.compile(lambda y: mg.where(y > 0, y * y, mg.Value(0.0) ** y), 2.0)
    assert program.hessian([2.0, 3.0]).tolist() == [2.0, 2.0]
    assert program.jvp([2.0], tangents=[1.0])[1].tolist() == [4.0]
    several = mg.compile(lambda y: [0.0**y] * 3, 2.0)
    assert np.array(several.jacobian([2.0, 3.0])).tolist() == [[0.0, 0.0]] * 3


def test_an_objective_takes_the_branch_of_theta(mg: Any) -> None:
    w = mg.Value(2.0)
    program = mg.compile(lambda x: x * w if w.data > 0 else -x * w * 2, 1.0)
    objective = program.objective([1.0, 2.0])
    value, gradient = objective([-3.0])
    assert (value, gradient.tolist()) == (9.0, [-3.0])
    assert w.data == 2.0 and objective([2.0])[0] == 3.0


def test_an_objective_is_not_stale_by_the_parameters_of_other_rows(mg: Any) -> None:
    v, w = mg.Value(3.0), mg.Value(2.0)
    program = mg.compile(lambda x: x * w if x > 0 else x * v, 1.0)
    objective = program.objective([1.0, 2.0])
    program([-1.0])
    assert objective([2.0])[0] == 3.0
    with pytest.raises(TypeError, match="theta must consist of real numbers"):
        objective([1j])
