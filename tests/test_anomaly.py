"""detect_anomaly: nan and inf born of finite numbers are errors, which name their line."""

from __future__ import annotations

import gc
import inspect
import math
import re
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from conftest import balanced

NAN, INF = math.nan, math.inf


def here(ahead: int = 0) -> str:
    """The line of the caller, or one behind it, as errors name it."""
    frame: Any = inspect.currentframe()
    return rf"{re.escape(__file__)}:{frame.f_back.f_lineno + ahead}\)$"


def raised(mg: Any, work: Callable[[], Any], kind: Any = FloatingPointError) -> str:
    with pytest.raises(kind) as error, mg.detect_anomaly():
        work()
    return str(error.value)


def lines(mg: Any) -> int:
    module = __import__("sys").modules[mg.detect_anomaly.__module__]
    return len(module._lines) + len(module._earlier_lines)


# ---- operations ----


def test_an_operation_names_operator_labels_operands_and_line(mg: Any) -> None:
    x, y = mg.Value(1e200, label="x"), mg.Value(2e200)
    with mg.detect_anomaly(), pytest.raises(FloatingPointError) as error:
        x * y
    assert re.match(r"inf of finite numbers: x=1e\+200 \* 2e\+200 \(" + here(-1), str(error.value))


@pytest.mark.parametrize(
    ("operation", "text"),
    [
        (lambda x: x * 1e200, r"inf of .*: 1e\+200 \* 1e\+200"),
        (lambda x: -1e200 * x, r"-inf of .*: 1e\+200 \* -1e\+200"),
        (lambda x: (x * 1e108) + (x * 1e108), r"inf of .*: 1e\+308 \+ 1e\+308"),
        (lambda x: x / 1e-200, r"inf of .*: 1e\+200 \* 1e\+200"),
        (lambda x: x / (x * 0 + 1e-200), r"inf of .*: 1e\+200 \* 1e\+200"),
        (lambda x: 1e200 / (x * 0 + 1e-200), r"inf of .*: 1e\+200 \* 1e\+200"),
        (lambda x: -(x * 1e108) - (x * 1e108), r"-inf of .*: -1e\+308 \+ -1e\+308"),
    ],
)
def test_each_operator_is_looked_at(mg: Any, operation: Any, text: str) -> None:
    assert re.match(text, raised(mg, lambda: operation(mg.Value(1e200))))


def test_an_operand_that_is_not_finite_is_no_anomaly(mg: Any) -> None:
    with mg.detect_anomaly():
        assert math.isnan((mg.Value(INF) * 0).data)
        assert math.isnan((mg.Value(NAN) + 1).data)
        assert (mg.Value(2.0) * INF).data == INF
        assert mg.Value(INF).exp().data == INF


@pytest.mark.parametrize(
    ("operation", "kind", "text"),
    [
        (lambda mg: mg.Value(1000.0).exp(), OverflowError, r"math range error: exp\(1000.0\)"),
        (lambda mg: mg.Value(-1.0).log(), ValueError, r"math domain error: log\(-1.0\)"),
        (lambda mg: 1 / mg.Value(0.0), ZeroDivisionError, r"division by zero: 0.0 \*\* -1.0"),
        (lambda mg: mg.Value(1.0) / 0.0, ZeroDivisionError, r"division by zero: 0.0 \*\* -1.0"),
    ],
)
def test_an_error_of_the_engine_keeps_its_type_and_names_the_line(
    mg: Any, operation: Any, kind: Any, text: str
) -> None:
    line = rf" \({re.escape(__file__)}:{operation.__code__.co_firstlineno}\)$"
    assert re.match(text + line, raised(mg, lambda: operation(mg), kind))


def test_fused_functions_name_the_operator(mg: Any) -> None:
    x = [mg.Value(1e200, label="x"), mg.Value(1.0)]
    model = mg.MLP(1, [1, 1], activation=None)
    for p in model.parameters():
        p.data = 1e200
    calls = [
        lambda: mg.dot(x, x),
        lambda: mg.linear([x], x)[0],
        lambda: mg.hinge(x, [1e200, 1.0]),
        lambda: mg.total([1e308 * mg.Value(1.0)] * 2),
        lambda: model([1.0]),
    ]
    for call in calls:
        where = rf" \({re.escape(__file__)}:{call.__code__.co_firstlineno}\)$"
        assert re.search(r"inf of finite numbers: .* [*+] .*" + where, raised(mg, call))


def test_fused_functions_record_the_same_within(mg: Any) -> None:
    x = [mg.Value(0.5), mg.Value(-1.5)]
    functions = [
        lambda: mg.dot(x, x, 1.0),
        lambda: mg.total(x),
        lambda: mg.mean(x),
        lambda: mg.softmax(x)[0],
        lambda: mg.log_softmax(x)[1],
        lambda: mg.cross_entropy(x, 1),
        lambda: mg.logsumexp(x),
        lambda: mg.mse(x, [1.0, 2.0]),
    ]
    for function in functions:
        outside = function()
        with mg.detect_anomaly():
            within = function()
        pairs = zip(mg.engine.graph(outside), mg.engine.graph(within), strict=True)
        assert all((a.data, a._op) == (b.data, b._op) for a, b in pairs)


def test_results_of_subclasses_are_looked_at(mg: Any) -> None:
    class Bare(mg.Value):
        pass

    class Built(mg.Value):
        def __init__(self, data: Any, children: Any = (), op: str = "") -> None:
            super().__init__(data, children, op)

    for cls in (Bare, Built):
        with mg.detect_anomaly():
            assert type(cls(2.0) * 3) is cls
        text = raised(mg, lambda cls=cls: cls(1e200) * 1e200)
        assert re.match(r"inf of finite numbers: 1e\+200 \* 1e\+200", text)


def test_a_value_made_of_children_is_looked_at(mg: Any) -> None:
    x = mg.Value(2.0, label="x")
    text = raised(mg, lambda: mg.Value(INF, (x,), "big", "y"))
    assert re.match(r"inf of finite numbers: y = big\(x=2.0\) \(" + here(-1), text)


def test_within_no_grad_operations_are_looked_at(mg: Any) -> None:
    x = mg.Value(1e200)
    with mg.no_grad(), mg.detect_anomaly():
        assert (x * 2)._children == ()
        with pytest.raises(FloatingPointError, match="inf of finite numbers"):
            x * x


def test_an_error_leaves_no_node_behind(mg: Any) -> None:
    x = mg.Value(1e200)
    x.note = "state"
    with balanced(mg):
        for operation in (lambda: x * x, lambda: x / 1e-200, lambda: 1e200 / (1 / x)):
            raised(mg, operation)
            with mg.no_grad():
                raised(mg, operation)
        gc.collect()


# ---- backward ----


def test_backward_names_operator_label_operands_gradient_and_line(mg: Any) -> None:
    x, n = mg.Value(-2.0, label="x"), mg.Value(2.0)
    with mg.detect_anomaly():
        y = x**n
        line = here(-1)
        y.label = "y"
        z = y * 3
        with pytest.raises(FloatingPointError) as error:
            z.backward()
    text = r"a gradient of nan of finite numbers: the backward of y = x=-2.0 \*\* 2.0, "
    assert re.match(text + r"whose gradient is 3.0 \(recorded at " + line, str(error.value))


def test_backward_says_what_was_recorded_outside(mg: Any) -> None:
    y = mg.Value(-2.0) ** mg.Value(2.0)
    assert raised(mg, y.backward).endswith("(recorded outside of detect_anomaly)")


def test_the_first_node_of_backward_is_named(mg: Any) -> None:
    x, n, m = mg.Value(-2.0), mg.Value(2.0), mg.Value(3.0)
    y = (x**n * -1) ** m
    y.label = "y"
    assert "the backward of y = -4.0 ** 3.0, " in raised(mg, y.backward)


def test_an_error_of_a_derivative_keeps_its_type_and_names_the_line(mg: Any) -> None:
    with mg.detect_anomaly():
        y = mg.Value(0.0).sqrt()
        line = here(-1)
        with pytest.raises(ZeroDivisionError) as error:
            y.backward()
    text = r"division by zero: the derivative of sqrt\(0.0\) \(recorded at "
    assert re.match(text + line, str(error.value))


def test_a_derivative_inside_of_a_quotient_names_the_line(mg: Any) -> None:
    x = mg.Value(1e-200)
    for divide in (lambda: mg.Value(1e-300) / x, lambda: 1e-300 / x):
        with mg.detect_anomaly():
            y = divide()
            with pytest.raises(OverflowError) as error:
                y.backward()
        line = rf"\(recorded at {re.escape(__file__)}:{divide.__code__.co_firstlineno}\)$"
        assert re.search(line, str(error.value))


def test_a_closure_that_writes_nan_names_its_value(mg: Any) -> None:
    x = mg.Value(2.0, label="x")

    def backward() -> None:
        x.grad += NAN

    with mg.detect_anomaly():
        out = mg.Value(4.0, (x,), "mine", "out")
        line = here(-1)
        out._backward = backward
        with pytest.raises(FloatingPointError) as error:
            (out * 2).backward()
    text = r"a gradient of nan .* of out = mine\(x=2.0\), whose gradient is 2.0 \(recorded at "
    assert re.match(text + line, str(error.value))


def test_an_error_of_a_closure_stays_that_error(mg: Any) -> None:
    def backward() -> None:
        raise ValueError("mine")

    x = mg.Value(2.0)
    out = mg.Value(4.0, (x,), "mine")
    out._backward = backward
    assert raised(mg, out.backward, ValueError) == "mine"


def test_no_gradient_is_asked_of_a_number(mg: Any) -> None:
    x = mg.Value(1e200)
    with mg.detect_anomaly():
        (x * 1e-200 * 1e200).backward()
    assert x.grad == 1.0


def test_a_gradient_that_is_not_finite_already_is_no_anomaly(mg: Any) -> None:
    x, y = mg.Value(2.0), mg.Value(3.0)
    x.grad = INF
    with mg.detect_anomaly():
        (x * y).backward()
        (x * y * INF).backward()
    assert x.grad == y.grad == INF


def test_gradients_within_are_those_outside(mg: Any) -> None:
    model = mg.MLP(2, [4, 4, 1])
    loss = mg.mse([model([0.5, -1.0]), model([1.0, 2.0])], [1.0, -1.0])
    leaf = model.parameters()[0]
    leaf._backward = lambda: None
    loss.backward()
    outside = [p.grad for p in model.parameters()]
    model.zero_grad()
    with mg.detect_anomaly():
        loss = mg.mse([model([0.5, -1.0]), model([1.0, 2.0])], [1.0, -1.0])
        loss.backward()
    assert [p.grad for p in model.parameters()] == outside
    del leaf._backward


def test_packed_products_recorded_outside_are_looked_at(mg: Any) -> None:
    ws = [mg.Value(1e-200, label=f"w{i}") for i in range(4)]
    y = mg.dot(ws, [1e200, 1.0, 1.0, 1.0], mg.Value(0.0)) * 1e200
    text = raised(mg, y.backward)
    assert "w0=1e-200 * 1e+200" in text and text.endswith("outside of detect_anomaly)")


def test_grad_is_looked_at_and_leaves_no_gradient(mg: Any) -> None:
    x, n = mg.Value(-2.0), mg.Value(2.0)
    assert "a gradient of nan" in raised(mg, lambda: mg.grad(x**n, [x, n]))
    assert x.grad == n.grad == 0.0


# ---- the block ----


def test_outside_nothing_is_raised(mg: Any) -> None:
    with mg.detect_anomaly():
        pass
    x = mg.Value(1e200)
    assert (x * x).data == INF
    (mg.Value(-2.0) ** mg.Value(2.0)).backward()


def test_lines_are_forgotten_when_the_last_block_ends(mg: Any) -> None:
    with mg.detect_anomaly():
        with mg.detect_anomaly():
            mg.Value(1.0) * 2
        assert lines(mg) > 0
    assert lines(mg) == 0


def test_it_decorates(mg: Any) -> None:
    @mg.detect_anomaly()
    def square(x: Any) -> Any:
        return x * x

    assert square(mg.Value(2.0)).data == 4.0
    with pytest.raises(FloatingPointError):
        square(mg.Value(1e200))
    assert (mg.Value(1e200) * 1e200).data == INF


def test_a_generator_function_cannot_be_decorated(mg: Any) -> None:
    def generate() -> Iterator[int]:
        yield 1

    with pytest.raises(TypeError, match="detect_anomaly cannot decorate a generator"):
        mg.detect_anomaly()(generate)


def test_other_threads_are_not_looked_at(mg: Any) -> None:
    found: list[float] = []
    with mg.detect_anomaly():
        thread = threading.Thread(target=lambda: found.append((mg.Value(1e200) * 1e200).data))
        thread.start()
        thread.join()
    assert found == [INF]


def test_a_block_left_half_way_ends_with_its_object(mg: Any) -> None:
    block = mg.detect_anomaly()
    block.__enter__()
    del block
    gc.collect()
    assert (mg.Value(1e200) * 1e200).data == INF


def test_an_inner_no_grad_ends_alone(mg: Any) -> None:
    x = mg.Value(1e200)
    with mg.detect_anomaly():
        with mg.no_grad():
            pass
        assert (x * 2)._children != ()
        with pytest.raises(FloatingPointError):
            x * x


def test_what_is_recorded_for_a_program_is_not_looked_at(mg: Any) -> None:
    pytest.importorskip("numpy")

    def fn(x: Any) -> Any:
        with mg.detect_anomaly():
            return x * x

    with mg.detect_anomaly():
        assert mg.compile(fn, 1e200)([2.0]).tolist() == [4.0]
        assert mg.compile(lambda x: x * x, 1e200)([2.0]).tolist() == [4.0]
        with pytest.raises(FloatingPointError):
            mg.Value(1e200) * 1e200
