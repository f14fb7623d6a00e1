"""Recording switched off."""

from __future__ import annotations

from typing import Any

import pytest
from conftest import balanced
from values import OPERATIONS, plain


def test_results_within_no_grad_are_leaves(mg: Any) -> None:
    a = mg.Value(2.0)
    with mg.no_grad():
        for name, operation in OPERATIONS.items():
            out = operation(mg, a, mg.Value(2.5))
            assert name == "+w" or (out._children, out._op) == ((), "")


def test_results_within_no_grad_have_their_numbers(mg: Any) -> None:
    def numbers() -> list[float]:
        return [
            operation(mg, mg.Value(1.5), mg.Value(2.5)).data for operation in OPERATIONS.values()
        ]

    recorded = numbers()
    with mg.no_grad():
        assert numbers() == recorded


def test_no_grad_leaves_no_node_behind(mg: Any) -> None:
    a = mg.Value(2.0)
    with balanced(mg), mg.no_grad():
        for _ in range(10):
            (a * 2.0 + 1.0).tanh() / a


def test_gradients_stop_at_what_was_made_within_no_grad(mg: Any) -> None:
    a = mg.Value(2.0)
    with mg.no_grad():
        b = a * 3.0
    (b * a).backward()
    assert (a.grad, b.grad) == (6.0, 2.0)


def test_node_made_by_hand_within_no_grad_has_no_children(mg: Any) -> None:
    with mg.no_grad():
        assert mg.Value(1.0, (mg.Value(2.0),), "mine")._children == ()


def test_result_of_a_subclass_within_no_grad_is_of_the_subclass(mg: Any) -> None:
    cls = plain(mg.Value)
    with mg.no_grad():
        out = cls(2.0) * 3.0
    assert (type(out), out._children) == (cls, ())


def test_recording_goes_on_after_no_grad(mg: Any) -> None:
    with mg.no_grad():
        pass
    assert len((mg.Value(1.0) * 2.0)._children) == 2


def test_recording_goes_on_after_an_exception_within_no_grad(mg: Any) -> None:
    with pytest.raises(KeyError), mg.no_grad():
        raise KeyError
    assert len((mg.Value(1.0) * 2.0)._children) == 2


def test_no_grad_within_no_grad_ends_with_the_outer_one(mg: Any) -> None:
    with mg.no_grad():
        with mg.no_grad():
            pass
        assert (mg.Value(1.0) * 2.0)._children == ()


def test_no_grad_decorates_a_function(mg: Any) -> None:
    @mg.no_grad()
    def predict(v: Any) -> Any:
        """Return a prediction."""
        return v * 2.0

    assert predict(mg.Value(1.0))._children == ()
    assert (predict.__name__, predict.__doc__) == ("predict", "Return a prediction.")
    assert len((mg.Value(1.0) * 2.0)._children) == 2


def test_no_grad_decorates_nothing_whose_body_runs_after_the_call(mg: Any) -> None:
    def generator() -> Any:
        yield

    async def coroutine() -> None:
        pass

    async def both() -> Any:
        yield

    for function in (generator, coroutine, both):
        with pytest.raises(TypeError, match="write 'with no_grad\\(\\):' inside"):
            mg.no_grad()(function)


def test_backward_works_within_no_grad(mg: Any) -> None:
    a = mg.Value(2.0)
    root = a * 3.0
    with mg.no_grad():
        root.backward()
    assert a.grad == 3.0


def test_what_a_call_of_a_decorated_function_does_not_leave_ends_with_it(mg: Any) -> None:
    """An interrupt may come between a call's entering and its block."""
    quiet = mg.no_grad()
    quiet._recreate_cm().__enter__()
    assert len((mg.Value(1.0) * 2)._children) == 2
    assert len(quiet(lambda: mg.Value(1.0) * 2)()._children) == 0
