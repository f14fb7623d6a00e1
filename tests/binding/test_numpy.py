"""Values and numpy: its scalars are numbers, its arrays hold Values."""

from __future__ import annotations

import sys
from collections.abc import Callable
from decimal import Decimal
from types import ModuleType
from typing import Any

import pytest
from values import plain

np = pytest.importorskip("numpy", reason="numpy is optional")

SCALARS = [
    np.float64(2.5),
    np.float32(0.1),
    np.float16(0.1),
    np.longdouble(2.5),
    np.int8(-3),
    np.int64(3),
    np.uint8(200),
    np.bool_(True),
]
NOT_NUMBERS = [np.array(1.0), np.array([1.0]), np.complex128(1), np.str_("1"), np.zeros((2, 2))]

OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "+": lambda x, y: x + y,
    "-": lambda x, y: x - y,
    "*": lambda x, y: x * y,
    "/": lambda x, y: x / y,
    "**": lambda x, y: x**y,
}


@pytest.mark.parametrize("x", SCALARS, ids=repr)
def test_scalar_is_stored_as_float(mg: Any, x: Any) -> None:
    v = mg.Value(x)
    v.grad = x
    assert (type(v.data), v.data, v.grad) == (float, float(x), float(x))


@pytest.mark.parametrize("x", NOT_NUMBERS, ids=repr)
def test_array_or_complex_is_a_type_error_naming_the_type(mg: Any, x: Any) -> None:
    with pytest.raises(TypeError, match=type(x).__name__):
        mg.Value(x)


@pytest.mark.parametrize("x", SCALARS, ids=repr)
@pytest.mark.parametrize("name", OPERATORS)
def test_scalar_on_the_right_acts_as_its_float(mg: Any, name: str, x: Any) -> None:
    apply = OPERATORS[name]
    result = apply(mg.Value(0.5), x)
    assert isinstance(result, mg.Value)
    assert result.data == apply(mg.Value(0.5), float(x)).data


@pytest.mark.parametrize("x", [x for x in SCALARS if x > 0], ids=repr)
@pytest.mark.parametrize("name", OPERATORS)
def test_scalar_on_the_left_acts_as_its_float(mg: Any, name: str, x: Any) -> None:
    apply = OPERATORS[name]
    result = apply(x, mg.Value(0.5))
    assert isinstance(result, mg.Value)
    assert result.data == apply(float(x), mg.Value(0.5)).data


@pytest.mark.parametrize("x", SCALARS, ids=repr)
@pytest.mark.parametrize("name", OPERATORS)
def test_scalar_on_the_right_of_a_subclass_acts_as_its_float(mg: Any, name: str, x: Any) -> None:
    apply = OPERATORS[name]
    w = plain(mg.Value)(0.5)
    assert apply(w, x).data == apply(w, float(x)).data


@pytest.mark.parametrize("name", OPERATORS)
def test_array_on_either_side_gives_an_object_array_of_values(mg: Any, name: str) -> None:
    apply = OPERATORS[name]
    v, array = mg.Value(0.5), np.array([1.0, 2.0])
    right, left = apply(v, array), apply(array, v)
    assert [x.data for x in right] == [apply(v, 1.0).data, apply(v, 2.0).data]
    assert [x.data for x in left] == [apply(1.0, v).data, apply(2.0, v).data]


@pytest.mark.parametrize("name", ["__add__", "__sub__", "__mul__", "__truediv__", "__pow__"])
def test_operator_method_returns_not_implemented_for_an_array(lib: Any, name: str) -> None:
    assert getattr(lib.Value(1.0), name)(np.array([1.0])) is NotImplemented


def test_array_of_values_computes_a_dot_product(lib: Any) -> None:
    weights = [lib.Value(x) for x in (1.0, 2.0, 3.0)]
    total = np.array(weights) @ np.array([4.0, 5.0, 6.0])
    total.backward()
    assert (total.data, [w.grad for w in weights]) == (32.0, [4.0, 5.0, 6.0])


def test_array_holds_the_value_itself(lib: Any) -> None:
    v = lib.Value(1.0)
    array = np.array([v, v])
    assert (array.dtype, array.shape) == (object, (2,))
    assert array[0] is v


def test_rows_of_an_array_map_to_values(lib: Any) -> None:
    row = np.array([[0.5, 1.5]])[0]
    assert [v.data for v in map(lib.Value, row)] == [0.5, 1.5]


@pytest.mark.parametrize("x", [np.float64(0.75), np.int64(2), np.float32(0.25)], ids=repr)
def test_order_with_a_scalar_is_that_of_the_data(mg: Any, x: Any) -> None:
    v = mg.Value(0.5)
    data = 0.5
    assert [bool(v < x), bool(x < v), bool(v >= x)] == [data < x, x < data, data >= x]


# numpy's functions of objects call methods of these names.
OF_ONE = {
    **{name: name for name in ("exp", "log", "sin", "cos", "tan", "sinh", "cosh", "tanh", "sqrt")},
    **{name: name for name in ("log1p", "expm1", "log2", "log10")},
    **{"arc" + name: "a" + name for name in ("sin", "cos", "tan", "sinh", "tanh")},
    "arccosh": "acosh",
    "absolute": "abs",
}


@pytest.mark.parametrize("name", OF_ONE)
def test_function_of_numpy_takes_a_value_and_an_array_of_values(mg: Any, name: str) -> None:
    number = 0.5 if name != "arccosh" else 1.5
    apply, v = getattr(np, name), mg.Value(number)
    expected = getattr(v, OF_ONE[name])()
    found = [apply(v), *apply(np.array([v, v]))]
    assert [(type(x), x._op, x.data) for x in found] == [
        (mg.Value, expected._op, expected.data)
    ] * 3
    found[0].backward()
    slope, v.grad = v.grad, 0.0
    expected.backward()
    assert slope == v.grad


@pytest.mark.parametrize(("name", "ours"), [("arctan2", "atan2"), ("hypot", "hypot")])
def test_function_of_two_of_numpy_takes_values_and_arrays_of_values(
    mg: Any, name: str, ours: str
) -> None:
    apply, v, w = getattr(np, name), mg.Value(0.5), mg.Value(-2.0)
    expected = getattr(mg, ours)(v, w)
    found = [apply(v, w), apply(v, -2.0), *apply(np.array([v, v]), w)]
    found += list(apply(np.array([v, v]), np.array([-2.0, -2.0])))
    assert [(x._op, x.data) for x in found] == [(ours, expected.data)] * 6


def test_alias_of_numpy_calls_the_method_of_a_subclass(mg: Any) -> None:
    cls = type("Weight", (mg.Value,), {"asin": lambda self: "mine"})
    assert np.arcsin(cls(0.5)) == "mine"


def test_conjugate_is_the_value_itself(mg: Any) -> None:
    v = mg.Value(0.5)
    assert v.conjugate() is v and np.conjugate(v) is v


@pytest.mark.parametrize("name", ["mean", "var", "std"])
@pytest.mark.parametrize("options", [{}, {"axis": 0}, {"axis": 1}, {"ddof": 1}], ids=repr)
def test_statistics_of_an_array_of_values_are_values(mg: Any, name: str, options: Any) -> None:
    if name == "mean" and "ddof" in options:
        options = {}
    numbers = np.array([[0.5, -1.0, 2.25], [3.0, 0.0, 1.0]])
    values = np.vectorize(mg.Value, otypes=[object])(numbers)
    expected = np.atleast_1d(getattr(np, name)(numbers, **options))
    found = getattr(np, name)(values, **options)
    for v, number in zip(np.atleast_1d(found), expected):
        assert isinstance(v, mg.Value)
        assert v.data == pytest.approx(number, rel=1e-15)


def test_standard_deviation_has_its_gradient(mg: Any) -> None:
    numbers = np.array([0.5, -1.0, 2.25, 3.0])
    values = np.array([mg.Value(x) for x in numbers])
    np.std(values).backward()
    expected = (numbers - numbers.mean()) / (len(numbers) * numbers.std())
    assert [v.grad for v in values] == pytest.approx(expected.tolist(), rel=1e-14, abs=1e-16)


def test_another_thread_may_just_be_importing_numpy(
    mg: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    layer = mg.Layer(1, 1)
    monkeypatch.setitem(sys.modules, "numpy", ModuleType("numpy"))
    assert mg.Value(Decimal("0.5")).data == 0.5
    assert mg.where(mg.Value(1.0) < 2, 3.0, 4.0).data == 3.0
    assert [*layer.state_dict()] == ["neurons.0.w", "neurons.0.b"]
