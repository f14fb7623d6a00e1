"""What cannot be recorded is refused, and the line is named."""

from __future__ import annotations

import copy
import math
import sys
from typing import Any

import pytest

np = pytest.importorskip("numpy")


def test_an_example_must_be_numbers(mg: Any) -> None:
    with pytest.raises(TypeError, match=r"example 1\[0\] must be a number"):
        mg.compile(lambda x, y: x, 1.0, ({"a"},))
    for strings in (np.array(["1", "2"]), np.array(["1", "2"], object)):
        with pytest.raises(TypeError, match="example 0 must consist of real numbers, not 'str'"):
            mg.compile(lambda x: x[0], strings)
    for wrong in (1j, range(3), iter([1.0])):
        with pytest.raises(TypeError, match=r"example 0 must be a number.*static\(\.\.\.\) has"):
            mg.compile(lambda x: x, wrong)


def test_numpy_is_needed_and_said_so(mg: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "numpy", None)
    with pytest.raises(ImportError, match=r"micrograd_c\[compile\]"):
        mg.compile(lambda x: x, 1.0)


def _log_or_zero(x: Any) -> Any:
    try:
        return x.log()
    except ValueError:
        return x * 0.0


def _exp_or_limit(x: Any) -> Any:
    try:
        return x.exp()
    except OverflowError:
        return x * 0.0 + 1e308


def _add_reciprocal(x: Any) -> Any:
    try:
        return x + 1.0 / x.data
    except ZeroDivisionError:
        return x


@pytest.mark.parametrize(
    ("fn", "example"), [(_log_or_zero, -1.0), (_exp_or_limit, 1000.0), (_add_reciprocal, 0.0)]
)
def test_error_that_the_function_catches_is_refused(mg: Any, fn: Any, example: float) -> None:
    with pytest.raises(TypeError, match="error that the function catches") as caught:
        mg.compile(fn, example)
    assert f"{__file__}:{fn.__code__.co_firstlineno + 2}" in str(caught.value)
    assert isinstance(caught.value.__cause__, (ValueError, ArithmeticError))
    expected = fn(mg.Value(example)).data
    assert mg.compile(fn, example, allow_constants=True)([example]).tolist() == [expected]


def test_refusal_that_the_function_catches_is_raised_all_the_same(mg: Any) -> None:
    def fn(x: Any) -> Any:
        try:
            return x * int(x.data)
        except TypeError:
            return x

    with pytest.raises(TypeError, match="turned into an int"):
        mg.compile(fn, 2.0)


@pytest.mark.parametrize(
    ("use", "what"),
    [
        (lambda x: x * math.exp(x.data), "turned into a float"),
        (lambda x: x * float(x.data), "turned into a float"),
        (lambda x: x * np.exp(x.data), r"given to np.exp\(\) \(a Value has its own exp\(\)\)"),
        (lambda x: x * np.cbrt(x.data), r"given to np.cbrt\(\): it would be"),
        (lambda x: x * int(x.data), r"turned into an int \(.* use micrograd_c\.take\("),
        (lambda x: x * [1, 2, 3][x.data], r"used as an index \(.* use micrograd_c\.take\("),
        (lambda x: x * len(str(x.data)), "turned into a string"),
        (lambda x: x * len(f"{x.data:.3f}"), "turned into a string"),
        (lambda x: x * len(repr(x)), "turned into a string"),
        (lambda x: x * {x.data: 1}[x.data], "used as a key"),
        (lambda x: x * round(x.data), "rounded"),
        (lambda x: x * (x.data // 2), "operand of floordiv"),
        (lambda x: x * (x.data % 2), "operand of mod"),
    ],
)
def test_a_number_that_cannot_be_recorded_is_refused(mg: Any, use: Any, what: str) -> None:
    with pytest.raises(TypeError, match=what) as caught:
        mg.compile(use, 1.0)
    line = use.__code__.co_firstlineno
    assert f"{__file__}:{line}" in str(caught.value)


@pytest.mark.parametrize(
    "what",
    [
        *("backward", "_backward", "grad", "partials", "data", "step", "clip_grad_norm"),
        *("clip_grad_value", "copy", "call", "input"),
    ],
)
def test_what_a_program_cannot_contain_is_refused(mg: Any, what: str) -> None:
    w = mg.Value(1.0)
    optimizer = mg.optim.SGD([w], lr=0.1)
    other = mg.compile(lambda x: w * x, 1.0)

    def fn(x: Any) -> Any:
        y = x * w
        if what == "backward":
            y.backward()
        elif what == "_backward":
            y._backward = lambda: None
        elif what == "grad":
            y = y * w.grad
        elif what == "partials":
            y = y * y._local_grads[0]
        elif what == "data":
            w.data = 3.0
        elif what == "step":
            optimizer.step()
        elif what.startswith("clip"):
            getattr(mg.optim, what)([w], 1.0)
        elif what == "copy":
            y = copy.copy(y)
        elif what == "call":
            y = y * other([1.0])[0]
        else:
            x.data = 3.0
        return y

    with pytest.raises(TypeError, match="a program"):
        mg.compile(fn, 1.0)
    assert w.data == 1.0


def test_refusal_of_copied_data_names_the_call_and_the_vector(mg: Any) -> None:
    w = mg.Value(1.0)
    vector, other = mg.vector([w]), mg.compile(lambda x: w * x, 1.0)
    cases = (
        (lambda x: x * vector.get()[0], r"get\(\) of a vector"),
        (lambda x: x * other([1.0])[0], "a call of a program"),
        (lambda x: other([x])[0], "a call of a program"),
        (lambda x: other(x.data)[0], "a call of a program"),
    )
    for read, what in cases:
        with pytest.raises(TypeError, match=rf"cannot contain {what} \(.*test_refusals"):
            mg.compile(read, 1.0)


def test_recording_ends_with_an_exception(mg: Any) -> None:
    def fn(x: Any) -> Any:
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        mg.compile(fn, 1.0)
    assert mg.Value(2.0).data == 2.0 and type(mg.Value(2.0).data) is float


def test_recordings_do_not_nest(mg: Any) -> None:
    with pytest.raises(RuntimeError, match="recorded already"):
        mg.compile(lambda x: mg.compile(lambda y: y, 1.0)([1.0])[0] * x, 1.0)


def test_a_star_import_leaves_pythons_own_compile_alone(mg: Any) -> None:
    names: dict[str, Any] = {}
    exec("from micrograd_c import *", names)
    assert "compile" not in names and "Value" in names


def test_compile_refuses_what_is_no_function(mg: Any) -> None:
    with pytest.raises(TypeError, match="a function is required"):
        mg.compile(3.0)
    with pytest.raises(ValueError, match="max_specializations"):
        mg.compile(lambda x: x, 1.0, max_specializations=0)
    for wrong in (None, 1.5, "2"):
        with pytest.raises(TypeError, match="max_specializations must be an integer, not "):
            mg.compile(lambda x: x, 1.0, max_specializations=wrong)
    with pytest.raises(TypeError, match="the result must be a Value"):
        mg.compile(lambda x: "text", 1.0)


# ---- a program within its own recording ----


def test_a_function_that_calls_its_own_program_is_refused(mg: Any) -> None:
    rows = [-1.0, 1.0]  # one that is to be recorded, one that is known

    def fn(x: Any) -> Any:
        return x * 2 if x.data > 0 else x * float(program(rows[-1:])[0])

    program = mg.compile(fn, 1.0)
    while rows:
        with pytest.raises(RuntimeError, match="calls its own program"):
            program([-1.0])
        rows.pop()
    assert program([3.0]).tolist() == [6.0]


def test_a_refused_call_of_its_own_program_cannot_be_caught(mg: Any) -> None:
    def fn(x: Any) -> Any:
        if x.data > 0:
            return x * 2
        try:
            return x * float(program([1.0])[0])
        except RuntimeError:
            return x

    program = mg.compile(fn, 1.0)
    with pytest.raises(RuntimeError, match="calls its own program"):
        program([-1.0])
