"""What a program takes as it is: strings, None, objects, and what static() wraps."""

from __future__ import annotations

import copy
import enum
import pickle
from dataclasses import dataclass
from typing import Any

import pytest

np = pytest.importorskip("numpy")


class Kind(enum.Enum):
    LINEAR = 1
    SQUARE = 2


@dataclass
class Settings:
    rate: Any
    name: str = "tanh"


def apply(x: Any, name: str, extra: Any = None) -> Any:
    assert type(name) is str and extra is None
    return getattr(x, name)()


def power(x: Any, n: int) -> Any:
    assert type(n) is int
    return sum(x**i for i in range(n))


def test_strings_and_none_are_passed_as_they_are(mg: Any) -> None:
    program = mg.compile(apply, 0.5, "tanh", None)
    np.testing.assert_allclose(program([1.0, 2.0], "tanh", None), np.tanh([1.0, 2.0]), rtol=1e-14)


def test_a_call_must_give_the_same(mg: Any) -> None:
    program = mg.compile(apply, 0.5, "tanh", None)
    with pytest.raises(ValueError, match="argument 1 must be 'tanh' as it was recorded, not 'exp'"):
        program([1.0], "exp", None)
    with pytest.raises(ValueError, match=r"argument 2 must be None as it was recorded, not 1\.0"):
        program([1.0], "tanh", 1.0)
    with pytest.raises(TypeError, match="takes 3 arguments, not 2"):
        program([1.0], "tanh")


def test_functions_members_of_enums_and_bytes_are_static(mg: Any) -> None:
    def fn(x: Any, kind: Any, then: Any, text: Any) -> Any:
        assert text == b"1"
        return then(x * x if kind is Kind.SQUARE else x)

    program = mg.compile(fn, 1.0, Kind.SQUARE, abs, b"1")
    assert program([-3.0], Kind.SQUARE, abs, b"1").tolist() == [9.0]
    with pytest.raises(ValueError, match=r"must be <Kind.SQUARE: 2> .* not <Kind.LINEAR: 1>"):
        program([-3.0], Kind.LINEAR, abs, b"1")


def test_static_has_a_number_taken_as_it_is(mg: Any) -> None:
    program = mg.compile(power, 2.0, mg.static(3))
    assert program([1.0, 2.0], 3).tolist() == [3.0, 7.0]
    assert program([1.0, 2.0], mg.static(3)).tolist() == [3.0, 7.0]
    with pytest.raises(ValueError, match="must be 3 as it was recorded, not 4"):
        program([1.0], mg.static(4))
    assert repr(mg.static(mg.static([1]))) == "static([1])"


def test_static_takes_lists_models_and_arrays(mg: Any) -> None:
    model, table, array = mg.MLP(2, [1]), [1.0, 2.0], np.ones(2)

    def fn(x: Any, m: Any, t: Any, a: Any) -> Any:
        assert m is model and t is table and a is array
        return m(x) * t[1]

    program = mg.compile(fn, [1.0, 2.0], model, mg.static(table), mg.static(array))
    assert len(program.parameters) == 3
    program([[1.0, 1.0]], model, [1.0, 2.0], array)  # a list that is equal
    with pytest.raises(ValueError, match="argument 3"):
        program([[1.0, 1.0]], model, table, array + 1)  # == does not tell: the array itself
    with pytest.raises(ValueError, match="argument 1"):
        program([[1.0, 1.0]], mg.MLP(2, [1]), table, array)


def test_static_things_stand_in_containers(mg: Any) -> None:
    def fn(d: Any, s: Any) -> Any:
        return getattr(d["x"], d["name"])() * getattr(s.rate, s.name)()

    program = mg.compile(fn, {"x": 1.0, "name": "exp"}, Settings(1.0))
    x = np.array([0.5, 1.5])
    found = program({"x": x, "name": "exp"}, Settings(x))
    np.testing.assert_allclose(found, np.exp(x) * np.tanh(x), rtol=1e-14)
    with pytest.raises(ValueError, match=r"argument 0\['name'\] must be 'exp'"):
        program({"x": x, "name": "log"}, Settings(x))
    with pytest.raises(ValueError, match=r"argument 1\.name must be 'tanh'"):
        program({"x": x, "name": "exp"}, Settings(x, "exp"))


def test_a_gradient_is_none_where_something_is_static(mg: Any) -> None:
    program = mg.compile(apply, 0.5, "exp")
    d_x, nothing = program.gradient([0.0, 0.0], "exp")
    assert d_x.tolist() == [1.0, 1.0] and nothing is None
    program = mg.compile(lambda s: s.rate * s.rate, Settings(1.0))
    gradient = program.gradient(Settings([1.0, 2.0]))
    assert gradient.rate.tolist() == [2.0, 4.0] and gradient.name is None
    results, along = program.jvp(Settings([1.0, 2.0]), tangents=gradient)
    assert results.tolist() == [1.0, 4.0] and along.tolist() == [4.0, 16.0]


def test_without_an_example_another_static_value_is_recorded_anew(mg: Any) -> None:
    program = mg.compile(apply)
    x = np.array([0.5, 1.0])
    for name in ("exp", "tanh", "exp"):
        np.testing.assert_allclose(program(x, name), getattr(np, name)(x), rtol=1e-14)
    assert program.specializations == 2
    program = mg.compile(power)
    assert [float(program(2.0, mg.static(n))) for n in (1, 2, 3, 2)] == [1.0, 3.0, 7.0, 3.0]
    assert program.specializations == 3
    unhashable = mg.compile(lambda x, ns: x * sum(ns))
    assert [float(unhashable(2.0, mg.static([n]))) for n in (1, 2, 1)] == [2.0, 4.0, 2.0]
    assert unhashable.specializations == 2


def test_a_program_with_something_static_is_copied_and_pickled(mg: Any) -> None:
    program = mg.compile(power, 2.0, mg.static(3))
    model = mg.MLP(1, [1])
    with_model = mg.compile(call, [1.0], model)
    for other in (copy.copy(program), copy.deepcopy(program), pickle.loads(pickle.dumps(program))):
        assert other([2.0], 3).tolist() == [7.0]
        with pytest.raises(ValueError, match="must be 3"):
            other([2.0], 2)
    other, twin = pickle.loads(pickle.dumps((with_model, model)))
    assert other.parameters == tuple(twin.parameters())
    assert other([[0.5]], twin) == with_model([[0.5]], model)


def call(x: Any, model: Any) -> Any:
    return model(x)
