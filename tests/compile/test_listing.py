"""What a program tells about itself: repr and disassemble."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("numpy")


def test_repr_tells_what_there_is(mg: Any) -> None:
    w = mg.Value(2.0)

    def fn(x: Any, y: Any) -> Any:
        return (x * w + y).tanh() if x.data > 0 else y

    program = mg.compile(fn, 1.0, 2.0)
    assert repr(program).endswith(
        "fn: 2 inputs, 1 parameter, 1 output, 4 instructions, 1 guard, 1 specialization)"
    )
    program([-1.0], [1.0])
    assert repr(program).endswith("2 guards, 2 specializations)")


def test_disassemble_lists_instructions(mg: Any) -> None:
    w = mg.Value(2.0)
    program = mg.compile(lambda x: (x * w + 1 + w * w).tanh(), 1.0)
    text = program.disassemble()
    assert "s0 = parameter 0" in text and "tanh(" in text and "output 0 = " in text
    assert "sum(" in program.disassemble("backward")
    assert "gradient of input 0" in program.disassemble("gradient")
    with pytest.raises(ValueError, match="mode must be one of"):
        program.disassemble("sideways")


def test_equal_operations_on_a_value_that_many_use_are_computed_once(mg: Any) -> None:
    factors = [k + 0.5 for k in range(50)]

    def fn(x: Any) -> Any:
        return mg.total([(x * k).exp() for k in factors + factors[::-1]])

    text = mg.compile(fn, 1.0).disassemble()
    assert (text.count("* "), text.count("exp(")) == (50, 50)


def test_equal_values_are_computed_once_and_dead_ones_never(mg: Any) -> None:
    def fn(x: Any) -> Any:
        (x * 7).sin()
        return x.exp() * x.exp() + mg.Value(2.0).exp()

    text = mg.compile(fn, 1.0).disassemble()
    assert text.count("exp(") == 1 and "sin" not in text and "7.38905609893065" in text
