"""jit: where the function itself is run, and the errors of it."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
from compiled import counted

np = pytest.importorskip("numpy")


def test_within_no_grad_results_are_leaves(mg: Any) -> None:
    x = mg.Value(2.0)
    for f in (mg.jit(lambda v: v * v), mg.jit(lambda v: [v * v, v])):
        f(x)
        with mg.no_grad():
            out = f(x)
        for value in out if isinstance(out, list) else [out]:
            assert value._children == ()


def test_inside_a_program_the_function_itself_is_recorded(mg: Any) -> None:
    f = mg.jit(lambda x: x * x)
    f(2.0)
    program = mg.compile(lambda x: f(x) + 1.0, 3.0)
    assert program([2.0, 4.0]).tolist() == [5.0, 17.0]
    outer = mg.jit(lambda x: f(x) * 2)
    assert [outer(x).data for x in (2.0, 3.0)] == [8.0, 18.0]


def test_a_function_that_calls_itself_is_recorded_as_a_whole(mg: Any) -> None:
    @mg.jit
    def power(x: Any, n: int) -> Any:
        return x if n == 1 else x * power(x, n - 1)

    x = mg.Value(2.0)
    for _ in range(2):
        assert power(x, 4).data == 16.0
    out = power(x, 4)
    out.backward()
    assert x.grad == 32.0


def test_errors_come_as_they_come_eagerly(mg: Any) -> None:
    f = mg.jit(lambda x: x.log())
    for _ in range(2):
        with pytest.raises(ValueError, match=r"math domain error: log\(-1.0\)"):
            f(mg.Value(-1.0))
        assert f(mg.Value(1.0)).data == 0.0
    g = mg.jit(lambda x: 1 / (1 + (-x).exp()))  # the overflow vanishes in 1 / inf
    assert g(mg.Value(0.0)).data == 0.5
    with pytest.raises(OverflowError):
        g(mg.Value(-1000.0))


def test_where_the_function_itself_is_run_numbers_are_values_too(mg: Any) -> None:
    w = mg.Value(2.0)
    g = mg.jit(lambda x: x.exp() * w)
    g(1.0)
    with pytest.raises(OverflowError):
        g(1000.0)
    f = mg.jit(lambda x: sum(x.exp() * i for i in range(20) if x > i))
    for k in range(10):
        assert f(k + 0.5).data == pytest.approx(np.exp(k + 0.5) * sum(range(k + 1)))
    dw = mg.grad(g(1.0), w, create_graph=True)
    assert dw.data == pytest.approx(np.e)
    assert mg.compile(lambda x: g(1.0) * x, 1.0)([2.0])[0] == pytest.approx(4 * np.e)


def test_where_the_function_itself_is_run_numbers_compare_as_numbers(mg: Any) -> None:
    f = mg.jit(fallback=True)(
        lambda x, i: (float(x.data), x == 2.0, bool(x), x != 2, mg.Value(x), [5, 6][i], i % 2, x)
    )
    with pytest.warns(RuntimeWarning, match="runs eagerly"):
        f(1.0, 1)
    number, equal, true, differs, made, item, odd, same = f(0.0, 1)
    assert (number, equal, true, differs, item, odd) == (0.0, False, False, True, 6, 1)
    assert made.data == same.data == 0.0
    assert f(2.0, 0)[1] is True
    assert type(mg.jit(lambda x: x)(float("inf"))) is mg.Value


def test_within_detect_anomaly_the_function_itself_is_run(mg: Any) -> None:
    f, runs = counted(mg, lambda x: x * x)
    f(mg.Value(2.0))
    with mg.detect_anomaly():
        assert f(mg.Value(3.0)).data == 9.0
        with pytest.raises(FloatingPointError, match=r"x=1e\+200 \* x=1e\+200"):
            f(mg.Value(1e200, label="x"))
    assert len(runs) == 3


def test_an_argument_that_equals_everything_is_an_object(mg: Any) -> None:
    class Same:
        def __eq__(self, other: object) -> bool:
            return True

        __hash__ = None  # type: ignore[assignment]

    thing = Same()
    f = mg.jit(lambda thing, x: x * 2)
    assert [f(thing, x).data for x in (1.0, 2.0)] == [2.0, 4.0]


def test_a_function_may_have_no_numbers_at_all(mg: Any) -> None:
    one, echo = mg.jit(lambda: 1.0), mg.jit(lambda s: s)
    for _ in range(2):
        assert one() == 1.0 and echo("a") == "a"


def test_an_error_of_a_derivative_comes_in_backward(mg: Any) -> None:
    for fn in (lambda x: x.sqrt(), lambda x: [x.sqrt(), x]):
        f = mg.jit(fn)
        f(mg.Value(1.0))
        out = f(mg.Value(0.0))
        out = out[0] if isinstance(out, list) else out
        with pytest.raises(ZeroDivisionError):
            out.backward()


def test_an_exception_of_the_functions_own_passes(mg: Any) -> None:
    @mg.jit
    def f(x: Any) -> Any:
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        f(1.0)


def test_infinite_results_are_those_of_the_function(mg: Any) -> None:
    f = mg.jit(lambda x: x * 2)
    f(1.0)
    assert f(mg.Value(float("inf"))).data == float("inf")
    assert f(mg.Value(1e308)).data == float("inf")


def test_what_cannot_be_recorded_raises_as_in_compile(mg: Any) -> None:
    f = mg.jit(lambda x: x * float(x.data))
    with pytest.raises(TypeError, match="while a program is being recorded") as caught:
        f(mg.Value(2.0))
    assert "; fallback=True runs" in str(caught.value)
    assert "allow_constants" not in str(caught.value)


def test_with_fallback_it_runs_eagerly_after_one_warning_that_names_the_line(mg: Any) -> None:
    f = mg.jit(fallback=True)(lambda x: x * float(x.data))
    with pytest.warns(RuntimeWarning, match=r"test_jit_eager\.py:\d+"):
        assert f(mg.Value(2.0)).data == 4.0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert f(mg.Value(3.0)).data == 9.0


def test_bad_input_gets_a_clear_error(mg: Any) -> None:
    with pytest.raises(TypeError, match="jit decorates a function, not 'int'"):
        mg.jit(3)
    with pytest.raises(ValueError, match="max_specializations must be at least 1"):
        mg.jit(max_specializations=0)

    def generator(x: Any) -> Any:
        yield x

    with pytest.raises(TypeError, match="generator"):
        mg.jit(generator)
    f = mg.jit(lambda x: x)
    with pytest.raises(TypeError, match="not 'set': pass a list"):
        f({1.0})
    with pytest.raises(TypeError, match="the result of a jitted function must be a Value"):
        mg.jit(lambda x: object())(1.0)


def test_with_fallback_an_exception_of_the_functions_own_passes_without_a_warning(mg: Any) -> None:
    @mg.jit(fallback=True)
    def f(x: Any) -> Any:
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        f(1.0)


def test_value_of_a_number_is_a_leaf_of_its_own(mg: Any) -> None:
    f = mg.jit(lambda x: mg.Value(x) * 2)
    assert [f(x).data for x in (1.0, 3.0)] == [2.0, 6.0] and f(2.0)._children == ()
    with pytest.raises(TypeError, match="must be a real number, not 'Value'"):
        f(mg.Value(1.0))


def test_a_list_that_contains_itself_is_refused(mg: Any) -> None:
    nested: list[Any] = []
    nested.append(nested)
    with pytest.raises(RecursionError):
        mg.jit(lambda x: 1.0)(nested)
