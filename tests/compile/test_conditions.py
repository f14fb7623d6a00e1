"""Arithmetic with conditions: each row's own 1 or 0, and guards where a plain number is needed."""

from __future__ import annotations

import copy
import math
import pickle
import random
import runpy
import threading
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

np = pytest.importorskip("numpy")

EXAMPLES = Path(__file__).parents[2] / "examples"

ROWS = [1.0, -1.0, 0.0, 2.0, 5.0, -0.5, 0.5]

Code = Callable[[Any, Any, Any], Any]  # of the module, an argument and a condition


def guards(program: Any) -> int:
    return sum(len(trace.guards) for trace in program._traces)


def compare(mg: Any, code: Code) -> list[Any]:
    """Check code, compiled with either of two examples, row by row; return the programs."""

    def fn(x: Any) -> Any:
        return code(mg, x, x > 0)

    values, gradients = [], []
    for number in ROWS:
        x = mg.Value(number)
        result = fn(x) + x * 0
        result.backward()
        values.append(result.data)
        gradients.append(x.grad)
    programs = []
    for example in (1.0, -1.0):
        program = mg.compile(fn, example)
        np.testing.assert_allclose(program(ROWS), values, rtol=1e-12)
        np.testing.assert_allclose(program.gradient(ROWS), gradients, rtol=1e-12)
        programs.append(program)
    return programs


# ---- without guards ----

OWN: dict[str, Code] = {
    "sum": lambda mg, x, c: c + 1 + sum([c, x > 1, x < 2]) + 2 * c - c - 0.5,
    "difference": lambda mg, x, c: (c - 3) * (3 - c) - (c - (x > 1)) * 0.25,
    "product of conditions": lambda mg, x, c: c * (x < 2) + c * c,
    "share": lambda mg, x, c: sum([c, x > 1, x < 2]) / 3,
    "power": lambda mg, x, c: 2**c + c**2 + 2.0**c + c**0.5 + 0.5**c,
    "power of a count": lambda mg, x, c: (c + 2) ** 3 + (c + (x > 1)) ** (x > -9),
    "signs": lambda mg, x, c: -c + abs(c) + (+c) + abs(c - 1) - (-(c + (x > 1))),
    "no -0": lambda mg, x, c: (
        mg.atan2(-c, -1 - x * x) + mg.atan2(c * -2, -1 - x * x) + mg.atan2(-(c * 2), -1 - x * x)
    ),
    "equal to bools": lambda mg, x, c: (
        (c == True) + 2 * (c != True) + 4 * (c == False) + 8 * (c != False)  # noqa: E712
    ),
    "equal to numpy's bools": lambda mg, x, c: (
        (c == np.bool_(1)) + 2 * (c != np.bool_(1)) + 4 * (np.bool_(0) == c) + 8 * (np.True_ != c)
    ),
    "equal to conditions": lambda mg, x, c: (c == (x < 2)) + 2 * (c != (x < 2)) + (c == c),
    "equal to numbers": lambda mg, x, c: (
        (c == 1) + 2 * (c != 1.0) + 4 * (c == 0) + 8 * (c == 7) + 16 * (c != Fraction(1, 2))
    ),
    "equal to nothing": lambda mg, x, c: (c == None) + 2 * (c != None) + 4 * (c == "1"),  # noqa: E711
    "equal to data": lambda mg, x, c: (c == x.data) + 2 * (x.data != c),
    "order": lambda mg, x, c: (
        (c < 1) + 2 * (c <= (x < 3)) + 4 * (c > 0.5) + 8 * (c <= 0) + 16 * (c + (x > 1) < 1)
    ),
    "order with data": lambda mg, x, c: (
        (c < x.data) + 2 * (x.data < c) + 4 * (c >= x.data) + 8 * (x.data <= c + 1)
    ),
    "order with Values": lambda mg, x, c: (c < x) + 2 * (x < c) + 4 * (c + 1 >= x) + 8 * (x <= c),
    "count compared": lambda mg, x, c: (c + (x > 1) == 2) + 2 * (c + (x > 1) != 1),
    "numpy's numbers": lambda mg, x, c: (
        np.float64(2) * c + (c - np.float64(1)) + np.float64(2) ** c + np.float64(3) * (c + 1)
    ),
    "data": lambda mg, x, c: x.data * c + c * x.data + (c + 1) * x.data + x.data**c - (c - x.data),
    "Value": lambda mg, x, c: c * x + x * c + (x - c) + (c - x) * (c + 1) + (c + 1) * x + (x + c),
    "Value divided": lambda mg, x, c: c / (x * x + 1) + (c + 1) / (x * x + 1),
    "Value and power": lambda mg, x, c: x**c + (c + 1) ** x + x ** (c + (x > -9)) + 2 ** (x * c),
    "into Values": lambda mg, x, c: mg.Value(c) * x + mg.Value(c + 1) * x,
    "local gradients": lambda mg, x, c: (
        mg.Value(x.data, (x,), (c + 1,)) + mg.Value(x.data, (x,), (c,))
    ),
    "assigned": lambda mg, x, c: assigned(mg, c) * x + assigned(mg, c + 1) * x,
    "maximum": lambda mg, x, c: mg.maximum(x, c) + mg.minimum(c + 1, x),
    "max of ints": lambda mg, x, c: max(c + 1, (x > 1) * 3) * x + min([c + 1, 2]),
    "max of floats": lambda mg, x, c: max(c / 2, 0.25) + min(c * 0.5, (x > 1) / 4),
    "max of conditions": lambda mg, x, c: max(c, x < -0.7) + min(c, x < 3, True) * 2,
    "max with data": lambda mg, x, c: max(x.data, c) + min(x.data, c + 1, x > 1),
    "where": lambda mg, x, c: mg.where(c + (x > 1) == 2, x * 2, c + 1),
    "take": lambda mg, x, c: mg.take([x, x * 2, x * 3], c + (x > 1)) + mg.take([c, c + 1], x > 1),
    "bulk": lambda mg, x, c: (
        mg.dot([x, x], [c, c + 1]) + mg.total([c, x, c + 1]) + mg.mean([c, x]) + mg.mse([x], [c])
    ),
    "softmax": lambda mg, x, c: mg.softmax([x, c + 1, c])[1] + mg.logsumexp([c, x]),
    "classes": lambda mg, x, c: (
        isinstance(c, bool) + 2 * isinstance(c + 1, int) + 4 * isinstance(c + 1, float)
    ),
    "classes of floats": lambda mg, x, c: (
        isinstance(c / 2, float) + 2 * isinstance(c / 2, int) + 4 * isinstance(c * 1.0, float)
    ),
}


def assigned(mg: Any, number: Any) -> Any:
    value = mg.Value(0.0)
    value.data = number
    return value


@pytest.mark.parametrize("name", OWN)
def test_arithmetic_with_conditions_is_each_rows_own(mg: Any, name: str) -> None:
    for program in compare(mg, OWN[name]):
        assert guards(program) == 0 and program.specializations == 1


def test_no_gradient_passes_to_what_a_condition_compares(mg: Any) -> None:
    w = mg.Value(2.0)
    program = mg.compile(lambda x: (w > x) * x + (w * x > 3) * 5.0 + x, 1.0)
    assert program.gradient([1.0, 3.0]).tolist() == [2.0, 1.0]
    program.backward([1.0, 3.0])
    assert w.grad == 0.0


def test_conditions_and_counts_are_results(mg: Any) -> None:
    program = mg.compile(lambda x: [x > 0, (x > 0) + (x > 1), (x > 0) / 2], 1.0)
    assert guards(program) == 0
    assert [r.tolist() for r in program([1.0, -1.0, 2.0])] == [[1, 0, 1], [1, 0, 2], [0.5, 0, 0.5]]


# ---- guards ----

PLAIN: dict[str, Code] = {
    "index": lambda mg, x, c: [1.0, 2.0, 3.0][c + (x > 1)] * x,
    "index from the end": lambda mg, x, c: [1.0, 2.0, 3.0][-c - 1] * x,
    "range": lambda mg, x, c: sum(x * i for i in range(c + 2 * (x > 1) + 1)),
    "repetition": lambda mg, x, c: len([1] * (c + 1)) + len((c + 1) * "ab") + len([1] * c),
    "int": lambda mg, x, c: int(c * 2.5) + int(c + 1) + math.trunc(c * 2.5),
    "float": lambda mg, x, c: float(c + 1) + complex(c + 1).real,
    "text": lambda mg, x, c: float(str(c + (x > 1))) + float(f"{c / 4:.1f}") + float(repr(c + 1)),
    "text of ints": lambda mg, x, c: len(f"{c + (x > 1)}") + float(f"{c * 10:d}"),
    "percent": lambda mg, x, c: len("%d %s" % (c + 1, c * 10)),  # noqa: UP031
    "key": lambda mg, x, c: {0: 1.0, 1: 2.0, 2: 3.0}[c + (x > 1)],
    "in a set": lambda mg, x, c: 2.0 if c + (x > 1) in {1, 7} else 3.0,
    "round": lambda mg, x, c: round(c + 1.25, 1) + round(c + 1) + math.floor(c / 2) + math.ceil(c),
    "quotient": lambda mg, x, c: (c + 5) // 2 + 7 // (c + 1) + (c + 5) // (x > -9),
    "remainder": lambda mg, x, c: (c + 5) % 2 + 7 % (c + 1) + (5 + (x > -9)) % (c + 1),
    "divmod": lambda mg, x, c: sum(divmod(c + 5, 2)) + sum(divmod(7, c + 1)) + sum(divmod(c, 1)),
    "math": lambda mg, x, c: math.sqrt(c + 2) + math.exp(0.5 * c) + math.factorial(c + 2),
    "bits": lambda mg, x, c: ((c + 1) & 1) + (4 | (c + 1)) + ((c + 1) ^ 2) + ~(c + 1),
    "shifts": lambda mg, x, c: ((c + 1) << 2) + (1 << (c + 1)) + ((c + 7) >> 1) + (8 >> (c + 1)),
    "methods": lambda mg, x, c: (c + 1).bit_length() + (c + 1).real + (c / 2).is_integer(),
    "modulus": lambda mg, x, c: pow(c + 3, 2, 5) + pow(c, 2, 5),
    "numpy": lambda mg, x, c: np.exp(c + 1) + (c + 1) * np.int64(2) + np.float32(1) * (c + 1),
    "array": lambda mg, x, c: float((np.array([1.0, 2.0]) * (c + 1) + c * np.array([1.0, 2.0]))[1]),
    "array of counts": lambda mg, x, c: float(np.array([1.0, 2.0, 4.0])[np.array([c + 1])][0]),
    "mask": lambda mg, x, c: float(np.array([1.0, 2.0])[np.array([c, x < 2])].sum()),
    "copy": lambda mg, x, c: copy.deepcopy(c + 1) * 2 + pickle.loads(pickle.dumps(c / 2)),
    "Fraction": lambda mg, x, c: float(c * Fraction(1, 2)) + float(Decimal("0.5") * (c + 1)),
    "no double": lambda mg, x, c: float(c * (2**60 + 1) - 2**60),
    "truth": lambda mg, x, c: x * 2 if c + (x > 1) else x * 3,
    "comparison": lambda mg, x, c: x * 2 if c + (x > 1) == 2 else x * 3,
    "match": lambda mg, x, c: matched(x, c + (x > 1)),
    "sorted": lambda mg, x, c: x * sorted([c + (x > 1), 1, 0.5])[1],
    "max of mixed types": lambda mg, x, c: len(str(max(c + 1, 1.5))) + len(str(max(c, 0))),
    "max as text": lambda mg, x, c: len(str(max(c, x < -0.7))) + len(str(max(c * 1, (x > 1) * 1))),
    "nan": lambda mg, x, c: len(str(c * math.inf)) + math.isnan(c * math.inf),
    "target": lambda mg, x, c: mg.cross_entropy([x, 2.0, x * 2], c - 1),
    "division by 0": lambda mg, x, c: 7.0 if quotient(3, c * 1) is None else 3.0,
    "power of 0": lambda mg, x, c: 7.0 if power(c * 1, -1) is None else 3.0,
    "power, int or float": lambda mg, x, c: len(str(1 ** (c - 1))) + len(str(2 ** (c - 1))),
}


def matched(x: Any, count: Any) -> Any:
    match count:
        case 0:
            return x
        case 1:
            return x * 5
    return x * 7


def quotient(a: Any, b: Any) -> Any:
    try:
        return a / b
    except ZeroDivisionError:
        return None


def power(a: Any, b: Any) -> Any:
    try:
        return a**b
    except ZeroDivisionError:
        return None


@pytest.mark.parametrize("name", PLAIN)
def test_counts_are_plain_numbers_by_a_guard(mg: Any, name: str) -> None:
    for program in compare(mg, PLAIN[name]):
        assert guards(program) > 0 and 2 <= program.specializations <= 3


def test_a_count_is_recorded_once_for_each_number(mg: Any) -> None:
    def fn(xs: Any) -> Any:
        return xs[sum(x > 0 for x in xs) - 1] * 2

    program = mg.compile(fn, [1.0, 1.0, 1.0])
    assert guards(program) == 1
    rows = [[1.0, 2.0, 3.0], [1.0, -2.0, 3.0], [1.0, 2.0, -3.0], [-1.0, 2.0, 3.0]]
    assert program(rows).tolist() == [6.0, -4.0, 4.0, 4.0] and program.specializations == 2


def test_a_count_that_is_used_twice_is_one_guard(mg: Any) -> None:
    def fn(x: Any) -> Any:
        count = (x > 0) + (x > 1)
        return x * int(count) + float(str(count)) + [1, 2, 3][count]

    assert guards(mg.compile(fn, 1.0)) == 1


def test_a_divisor_that_is_a_count_is_not_0_by_a_guard(mg: Any) -> None:
    program = mg.compile(lambda xs: sum(x > 1 for x in xs) / sum(x > 0 for x in xs), [1.0, 2.0])
    assert guards(program) == 1
    assert program([[1.0, 2.0], [2.0, 3.0], [0.5, 0.5]]).tolist() == [0.5, 1.0, 0.0]
    assert program.specializations == 1
    with pytest.raises(ZeroDivisionError):
        program([[-1.0, -2.0]])
    program = mg.compile(lambda x: x / (x > 0), 2.0)
    assert guards(program) == 1 and program([1.0, 3.0]).tolist() == [1.0, 3.0]
    with pytest.raises(ZeroDivisionError):
        program([-1.0])


def test_numbers_made_of_data_too_are_no_counts(mg: Any) -> None:
    with pytest.raises(TypeError, match="cannot be turned into an int"):
        mg.compile(lambda x: x * int(x.data + (x > 0)), 1.0)
    with pytest.raises(TypeError, match="unsupported operand"):
        mg.compile(lambda x: x * (x.data & 1), 1.0)
    with pytest.raises(TypeError, match="unsupported operand"):
        mg.compile(lambda x: x * ((x > 0) / 2 & 1), 1.0)


def test_conditions_are_bools_after_the_recording(mg: Any) -> None:
    kept: list[Any] = []

    def fn(x: Any) -> Any:
        kept[:] = [x > 0, x > 1]
        return x

    mg.compile(fn, 2.0)
    assert type(sum(kept)) is int and type(2 ** kept[0]) is int and type(3 - kept[1]) is int
    assert sum(kept) == 2 and kept[0] == kept[1] and str(-kept[0]) == "-1" and kept[0] < 2


def test_a_thread_without_a_recording_may_count(mg: Any) -> None:
    def fn(x: Any) -> Any:
        found: list[Any] = []
        condition = x > 0
        thread = threading.Thread(target=lambda: found.append(condition + 1))
        thread.start()
        thread.join()
        return found[0] * x

    assert mg.compile(fn, 1.0)([1.0, -1.0]).tolist() == [2.0, -1.0]


# ---- jit ----


def test_an_accuracy_in_a_jitted_function_is_no_branch(mg: Any) -> None:
    w = mg.Value(1.0)

    def evaluate(xs: Any, ys: Any) -> Any:
        scores = [w * x for x in xs]
        right = [(y > 0) == (s.data > 0) for s, y in zip(scores, ys)]
        loss = sum((1 + -y * s).relu() for s, y in zip(scores, ys))
        return loss, sum(right) / len(right), sum(right), right[0]

    jitted = mg.jit(evaluate)
    xs = [0.5, -1.0, 2.0, -0.25]
    for data in (1.0, -1.0, 0.5):
        for ys in ([1, -1, 1, 1], [-1, 1, 1, 1], [1, 1, 1, -1]):
            w.data = data
            loss, *rest = jitted(xs, ys)
            expected, *numbers = evaluate(xs, ys)
            assert loss.data == expected.data and rest == numbers
            assert list(map(type, rest)) == list(map(type, numbers)) == [float, int, bool]
    assert jitted.specializations == 1


def test_the_example_of_two_moons_is_one_recording(mg: Any) -> None:
    example = runpy.run_path(str(EXAMPLES / "two_moons.py"))
    random.seed(1337)
    rows, labels = example["make_moons"](20)
    models = [example["MLP"](2, [4, 1])]
    models.append(copy.deepcopy(models[0]))
    jitted = mg.jit(example["evaluate"])
    accuracies = set()
    for _ in range(15):
        seen = []
        for evaluate, model in zip((example["evaluate"], jitted), models):
            loss, accuracy = evaluate(model, rows, labels)
            seen.append((loss.data, accuracy))
            model.zero_grad()
            loss.backward()
            for p in model.parameters():
                p.data -= 0.5 * p.grad
        assert seen[0] == pytest.approx(seen[1], rel=1e-9)
        accuracies.add(seen[0][1])
    assert len(accuracies) > 2 and jitted.specializations == 1
