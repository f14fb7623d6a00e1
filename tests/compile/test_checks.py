"""Errors of arithmetic: nan and inf flow; with check=True the first row's error is raised."""

from __future__ import annotations

import math
import pickle
import re
from typing import Any

import pytest
from compiled import check

np = pytest.importorskip("numpy")


def test_first_error_is_raised_also_where_a_later_row_cannot_be_recorded(mg: Any) -> None:
    program = mg.compile(lambda x: x.log() if x.data < 5 else (x - 20).sqrt(), 1.0)
    with pytest.raises(ValueError, match=r"row 0: .*log"):
        program([-1.0, 9.0], check=True)


def test_nan_as_the_exponent_of_a_negative_number_makes_nan(mg: Any) -> None:
    def of_numbers(v: Any) -> Any:
        return v[0] + v[0].data ** v[1].data

    def of_a_value(v: Any) -> Any:
        return v[0] ** v[1].data

    rows = [[-2.0, 2.0], [3.0, 0.5], [-2.0, math.nan], [-2.0, 3.0]]
    for fn in (of_numbers, of_a_value):
        found = mg.compile(fn, rows[0])(rows)
        np.testing.assert_array_equal(found, [fn([mg.Value(x) for x in row]).data for row in rows])


def test_an_error_of_the_function_names_the_row(mg: Any) -> None:
    program = mg.compile(lambda x: x if x.data > 0 else (x * 0).log(), 1.0)
    with pytest.raises(ValueError, match=r"row 2: math domain error: log\(-?0\.0\)"):
        program([1.0, 2.0, -3.0])


def test_out_of_domain_flows_as_ieee_has_it(mg: Any) -> None:
    program = mg.compile(lambda x: [x.log(), 1 / x, (x * 1000).exp(), x.sqrt()], 0.5)
    log, inverse, exp, root = program([0.0, -1.0, 1.0])
    assert log[0] == -math.inf and math.isnan(log[1]) and log[2] == 0.0
    assert inverse[0] == math.inf and exp[2] == math.inf and math.isnan(root[1])


@pytest.mark.parametrize(
    ("fn", "row", "error", "message"),
    [
        (lambda x: x.log(), -1.0, ValueError, r"row 3: math domain error: log\(-1.0\)"),
        (lambda x: 1 / x, 0.0, ZeroDivisionError, r"row 3: division by zero: 0.0 \*\* -1.0"),
        (lambda x: (x * 1000).exp(), 1.0, OverflowError, r"row 3: .*exp\(1000.0\)"),
        (lambda x: x / (x.data - 1), 1.0, ZeroDivisionError, "row 3: division by zero"),
    ],
)
def test_check_raises_what_the_function_would(
    mg: Any, fn: Any, row: float, error: Any, message: str
) -> None:
    program = mg.compile(fn, 0.5)
    rows = np.array([0.5, 0.25, 0.125, row, row])
    with pytest.raises(error, match=message):
        program(rows, check=True)
    assert program(rows[:3], check=True).shape == (3,)
    assert program(rows).shape == (5,)


def test_check_covers_derivatives_and_leaves_gradients(mg: Any) -> None:
    w = mg.Value(1.0)
    program = mg.compile(lambda x: (w * x).sqrt(), 1.0)
    assert program([0.0], check=True).tolist() == [0.0]
    with pytest.raises(ZeroDivisionError, match="row 1: division by zero: the derivative of sqrt"):
        program.backward([4.0, 0.0], check=True)
    assert w.grad == 0.0


def test_check_passes_over_rows_of_other_branches(mg: Any) -> None:
    program = mg.compile(lambda x: x.log() if x.data > 0 else x * 2, 1.0)
    assert program([1.0, -1.0], check=True).tolist() == [0.0, -2.0]
    assert program.gradient([2.0, -1.0], check=True).tolist() == [0.5, 2.0]


def test_slope_of_the_zeroth_power_is_zero_for_every_row(mg: Any) -> None:
    w, x = mg.Value(0.0), [0.0, -0.0, 2.0, -3.0]
    program = mg.compile(lambda x: x**0 + x ** (x.data * 0) + w**0, 1.0)
    for options in ({}, {"check": True}):
        assert program.gradient(x, **options).tolist() == [0.0] * 4
        assert program.backward(x, **options) == 3.0
        assert w.grad == 0.0
    assert program.jacobian(x).tolist() == [0.0] * 4


def test_a_polynomial_in_powers_has_its_slope_at_zero(mg: Any) -> None:
    program = mg.compile(lambda x: sum(c * x**i for i, c in enumerate([1.0, 2.0, 3.0])), 1.0)
    assert program.gradient([0.0, 1.0], check=True).tolist() == [2.0, 8.0]
    assert program.jacobian([0.0, -1.0]).tolist() == [2.0, -4.0]


def test_power_of_a_negative_value_is_checked_as_the_functions_is(mg: Any) -> None:
    program = mg.compile(lambda x, y: x**y, 1.0, 1.0)
    x, y = program.gradient([-2.0, -2.0], [2.0, -1.0])
    assert x.tolist() == [-4.0, -0.25] and np.isnan(y).all()
    with pytest.raises(FloatingPointError, match=r"row 0: a gradient of nan .*-2.0 \*\* 2.0"):
        program.gradient([-2.0, -2.0], [2.0, -1.0], check=True)
    with pytest.raises(ValueError, match=r"row 1: math domain error: -2.0 \*\* 0.5"):
        program([2.0, -2.0], [0.5, 0.5], check=True)


@pytest.mark.parametrize(
    "fn",
    [
        lambda v: v[0] + 0.0 ** v[1],
        lambda v: v[0] + v[0].data ** v[1],
        lambda v: v[0] * v[0].data ** 0.5,
        lambda v: v[0] + v[0].data ** v[1].data,
    ],
)
def test_check_asks_for_no_slope_of_a_number(mg: Any, fn: Any) -> None:
    rows = [[0.0, 0.5], [2.0, 0.25], [0.0, 2.0]]
    program = check(mg, fn, rows)
    assert program.gradient(rows, check=True).tolist() == program.gradient(rows).tolist()


@pytest.mark.parametrize("base", [lambda v: v, lambda v: v.data], ids=["Value", "number"])
def test_a_number_as_exponent_is_each_rows_for_negative_bases_too(mg: Any, base: Any) -> None:
    rows = [[-2.0, 2.0], [3.0, 0.5], [-2.0, 3.0], [-1.0, -2.0]]
    program = check(mg, lambda v: v[1] * base(v[0]) ** v[1].data, rows)
    assert program.specializations == 1


def test_an_error_of_parameters_alone_names_no_row(mg: Any) -> None:
    w = mg.Value(1.0)
    program = mg.compile(lambda x: x / w, 1.0)
    w.data = 0.0
    with pytest.raises(ZeroDivisionError, match=r"computed of parameters alone: .*0\.0 \*\* -1"):
        program([1.0, 2.0], check=True)
    with pytest.raises(ZeroDivisionError, match="parameters alone"):
        program.backward([1.0, 2.0], check=True)
    assert w.grad == 0.0
    w.data = 1.0
    program = mg.compile(lambda x: x * (2 / w.data), 1.0)
    w.data = 0.0
    with pytest.raises(ZeroDivisionError, match=r"parameters alone: .*zero: 2\.0 / 0\.0"):
        program([1.0], check=True)


# ---- the line, and nan and inf of finite numbers ----


def line_of(fn: Any) -> str:
    """The line of a function of one line, as errors name it."""
    return rf"\({re.escape(__file__)}:{fn.__code__.co_firstlineno}\)$"


def logarithm(x: Any) -> Any:
    return x.log()


def square(x: Any) -> Any:
    return x * x


def test_check_names_the_line_of_the_operation_in_error(mg: Any) -> None:
    program = mg.compile(lambda x: x.log(), 1.0)
    where = line_of(program.fn)
    with pytest.raises(ValueError, match=r"^row 1: math domain error: log\(-1.0\) " + where):
        program([1.0, -1.0], check=True)


def test_check_names_the_line_that_recorded_the_derivative_in_error(mg: Any) -> None:
    program = mg.compile(lambda x: x.sqrt(), 1.0)
    where = line_of(program.fn)[2:]
    with pytest.raises(ZeroDivisionError, match=r"^row 1: .*sqrt\(0.0\) \(recorded at " + where):
        program.gradient([1.0, 0.0], check=True)


def test_check_names_the_line_of_arithmetic_with_data(mg: Any) -> None:
    program = mg.compile(lambda x: x / (1 / (x.data - 2)), 1.0)
    where = line_of(program.fn)
    with pytest.raises(ZeroDivisionError, match="^row 1: division by zero.* " + where):
        program([1.0, 2.0], check=True)


def test_check_names_the_line_of_an_error_of_parameters(mg: Any) -> None:
    w = mg.Value(1.0)
    program = mg.compile(lambda x: x * w.log(), 1.0)
    w.data = -1.0
    with pytest.raises(ValueError, match="parameters alone: math.* " + line_of(program.fn)):
        program([1.0, 2.0], check=True)


def test_check_names_the_line_for_a_row_that_is_recorded_anew(mg: Any) -> None:
    program = mg.compile(lambda x: x if x.data > 0 else x.log(), 1.0)
    with pytest.raises(ValueError, match=r"^row 2: math.*log\(-3.0\) " + line_of(program.fn)):
        program([1.0, 2.0, -3.0], check=True)


@pytest.mark.parametrize(
    "call",
    [
        lambda program, x: program(x, check=True),
        lambda program, x: program.backward(x, check=True),
        lambda program, x: program.gradient(x, check=True),
        lambda program, x: program.value_and_gradient(x, check=True),
        lambda program, x: program.jacobian(x, check=True),
        lambda program, x: program.hessian(x, check=True),
        lambda program, x: program.parameter_jacobian(x, check=True),
    ],
)
def test_check_finds_inf_of_finite_numbers(mg: Any, call: Any) -> None:
    w = mg.Value(1.0)
    program = mg.compile(lambda x: w * x * x * x, 1.0)
    where = line_of(program.fn)
    with pytest.raises(FloatingPointError, match=r"^row 2: inf of finite numbers: .* " + where):
        call(program, [1.0, 2.0, 1e200, 1e210])
    assert w.grad == 0.0


def test_check_finds_a_derivative_that_is_not_finite(mg: Any) -> None:
    program = mg.compile(lambda x: (x * 1e-200) ** 0.5 * 1e300, 1.0)
    where = line_of(program.fn)[2:]
    with pytest.raises(FloatingPointError, match=f"^row 1: a gradient of inf.*recorded at {where}"):
        program.gradient([1e200, 1e-120], check=True)


def test_check_finds_a_parameters_derivative_that_is_not_finite(mg: Any) -> None:
    w = mg.Value(1e-200, label="w")
    program = mg.compile(lambda x: w * (x.data * 1e10) * 1e170, 1.0)
    rows = np.ones(100)
    rows[57] = 1e150
    with pytest.raises(FloatingPointError, match=r"^row 57: a gradient of inf .*w=1e-200"):
        program.backward(rows, check=True)
    assert w.grad == 0.0
    assert program.backward(rows[:57], check=True) > 0.0
    assert w.grad == pytest.approx(1e180)


def test_check_passes_over_rows_of_arguments_that_are_not_finite(mg: Any) -> None:
    program = mg.compile(square, 1.0)
    found = program([math.nan, math.inf, 2.0], check=True)
    np.testing.assert_array_equal(found, [math.nan, math.inf, 4.0])
    program.gradient([math.nan, math.inf, 2.0], check=True)
    with pytest.raises(FloatingPointError, match=r"^row 1: "):
        program([math.nan, 1e200, 2.0], check=True)


def test_check_passes_over_inf_that_the_function_has_put_in(mg: Any) -> None:
    program = mg.compile(lambda x: x + math.inf, 1.0)
    assert program([1.0, 2.0], check=True).tolist() == [math.inf] * 2


def test_check_passes_over_parameters_that_are_not_finite(mg: Any) -> None:
    w = mg.Value(1.0)
    program = mg.compile(lambda x: w * x, 1.0)
    w.data = math.inf
    assert program([1.0, 2.0], check=True).tolist() == [math.inf] * 2


def test_check_finds_the_first_row_in_error_of_all_branches(mg: Any) -> None:
    program = mg.compile(lambda x: x * x if x.data > 0 else (-x).log() * x * 1e300, 1.0)
    with pytest.raises(FloatingPointError, match=r"^row 1: -inf"):
        program([1.0, -1e100, 1e200], check=True)
    with pytest.raises(FloatingPointError, match=r"^row 1: inf"):
        program([1.0, 1e200, -1e100], check=True)


def test_check_runs_the_function_for_the_row_in_error_alone(mg: Any) -> None:
    seen = []

    def fn(x: Any) -> Any:
        seen.append(mg.engine.bulk.number_of(x))
        return x.log()

    program = mg.compile(fn, 1.0)
    with pytest.raises(ValueError, match="row 1: "):
        program([1.0, -2.0, -3.0], check=True)
    assert seen == [1.0, -2.0]


def test_check_without_an_error_of_the_function_names_no_line(mg: Any) -> None:
    calls = []

    def fn(x: Any) -> Any:
        calls.append(x)
        return x.log() if len(calls) == 1 else x

    program = mg.compile(fn, 1.0)
    with pytest.raises(ValueError, match=r"^row 0: math domain error: log\(-1.0\)$"):
        program([-1.0], check=True)


def test_check_of_a_pickled_program_names_the_line(mg: Any) -> None:
    program = pickle.loads(pickle.dumps(mg.compile(logarithm, 1.0)))
    with pytest.raises(ValueError, match=r"^row 0: .*log\(0.0\) \(.*test_checks.py:\d+\)$"):
        program([0.0], check=True)


def test_check_in_several_threads_finds_the_same_row(mg: Any) -> None:
    program = mg.compile(square, 1.0)
    rows = np.ones(5000)
    rows[[3000, 4999]] = 1e200
    with pytest.raises(FloatingPointError, match=r"^row 3000: "):
        program(rows, check=True, threads=2)
