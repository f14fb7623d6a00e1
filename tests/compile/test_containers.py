"""Namedtuples, dataclasses and keywords: of arguments, of results and of gradients."""

from __future__ import annotations

import copy
import pickle
from collections import namedtuple
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import pytest
from compiled import normal

np = pytest.importorskip("numpy")


class Point(NamedTuple):
    x: Any
    y: Any


@dataclass(frozen=True)
class Pair:
    a: Any
    b: Any


@dataclass
class Scaled:
    x: Any
    factor: Any = 2.0
    product: Any = field(init=False)

    def __post_init__(self) -> None:
        self.product = self.x * self.factor


def nested(p: Any, d: Any) -> Any:
    assert type(p) is Point and type(p.y) is Pair and type(d["k"]) is Pair
    return Point(p.x * p.y.a, Pair([p.y.b * d["k"].a[0]], {"z": d["k"].b}))


def nested_rows() -> Any:
    p = Point(normal(5), Pair(normal(5, seed=1), normal(5, seed=2)))
    return p, {"k": Pair((normal(5, seed=3),), normal(5, seed=4))}


def nested_example() -> Any:
    return Point(1.0, Pair(1.0, 1.0)), {"k": Pair((1.0,), 1.0)}


@pytest.mark.parametrize("by_example", [True, False])
def test_namedtuples_and_dataclasses_keep_their_type(mg: Any, by_example: bool) -> None:
    program = mg.compile(nested, *(nested_example() if by_example else ()))
    p, d = nested_rows()
    found = program(p, d)
    assert type(found) is Point and type(found.y) is Pair and type(found.y.a) is list
    np.testing.assert_allclose(found.x, p.x * p.y.a)
    np.testing.assert_allclose(found.y.a[0], p.y.b * d["k"].a[0])
    assert found.y.b["z"].tolist() == d["k"].b.tolist()
    jacobian = program.jacobian(p, d)
    d_p, d_d = jacobian.x
    assert type(jacobian.y) is Pair and type(d_p) is Point and type(d_p.y) is Pair
    np.testing.assert_allclose(d_p.y.a, p.x)
    assert type(d_d["k"]) is Pair and type(d_d["k"].a) is tuple and not d_d["k"].b.any()


def test_seeds_and_tangents_are_of_the_same_types(mg: Any) -> None:
    program = mg.compile(nested, *nested_example())
    p, _ = rows = nested_rows()
    seeds = Point(np.ones(5), Pair([np.zeros(5)], {"z": np.ones(5)}))
    d_p, d_d = gradient = program.vjp(*rows, seeds=seeds)
    np.testing.assert_allclose(d_p.x, p.y.a)
    assert d_d["k"].b.tolist() == [1.0] * 5
    results, along = program.jvp(*rows, tangents=gradient)
    assert type(results) is Point and type(along.y) is Pair
    np.testing.assert_allclose(along.x, p.y.a**2 + p.x**2)
    with pytest.raises(TypeError, match=r"seeds\[1\] must be of Pair, not 'tuple'"):
        program.vjp(*rows, seeds=Point(np.ones(5), ([np.zeros(5)], {"z": np.ones(5)})))


def test_a_gradient_has_the_arguments_type(mg: Any) -> None:
    program = mg.compile(lambda p: p.x * p.y, Point(1.0, 1.0))
    gradient = program.gradient(Point([1.0, 2.0], [3.0, 4.0]))
    assert type(gradient) is Point and gradient.x.tolist() == [3.0, 4.0]
    program = mg.compile(lambda p: p.a * p.b, Pair(1.0, 1.0))
    hessian = program.hessian(Pair([1.0, 2.0], 1.0))
    assert type(hessian) is Pair and type(hessian.a) is Pair and hessian.a.b.tolist() == [1.0, 1.0]


def test_a_batch_of_another_kind_is_refused(mg: Any) -> None:
    program = mg.compile(lambda p: p.x * p.y, Point(1.0, 1.0))
    assert program(([2.0], [3.0])).tolist() == [6.0]  # a plain tuple will do
    with pytest.raises(TypeError, match="argument 0 must be a Point, not 'Other'"):
        program(namedtuple("Other", "y x")([2.0], [3.0]))
    with pytest.raises(ValueError, match="argument 0 must have 2 items, not 1"):
        program(([2.0],))
    program = mg.compile(lambda p: p.a * p.b, Pair(1.0, 1.0))
    with pytest.raises(TypeError, match="argument 0 must be of Pair, not 'Point'"):
        program(Point([2.0], [3.0]))
    with pytest.raises(TypeError, match=r"example 0\.b must be a number"):
        mg.compile(lambda p: p.a, Pair(1.0, 1j))


def test_a_dataclass_is_made_by_its_constructor(mg: Any) -> None:
    program = mg.compile(lambda s: s.product, Scaled(1.0))
    rows = Scaled(np.array([1.0, 2.0]), 3.0)
    assert program(rows).tolist() == [3.0, 6.0]
    gradient = program.gradient(rows)
    assert gradient.x.tolist() == [3.0, 3.0] and gradient.factor == 3.0


# ---- keywords ----


def test_keywords_are_arguments(mg: Any) -> None:
    program = mg.compile(lambda x, scale, shift=0.0: x * scale + shift, 1.0, shift=1.0, scale=2.0)
    x, s = normal(4), normal(4, seed=1)
    np.testing.assert_allclose(program(x, scale=s, shift=1.0), x * s + 1)
    np.testing.assert_allclose(program(x, shift=x, scale=2.0, threads=2, check=True), 3 * x)


def test_keywords_make_a_gradient_a_pair(mg: Any) -> None:
    program = mg.compile(lambda x, scale: x * scale["a"], 1.0, scale={"a": 2.0})
    x, s = normal(4), normal(4, seed=1)
    (d_x,), named = gradient = program.gradient(x, scale={"a": s})
    np.testing.assert_array_equal(d_x, s)
    np.testing.assert_array_equal(named["scale"]["a"], x)
    results, along = program.jvp(x, scale={"a": s}, tangents=gradient)
    np.testing.assert_allclose(along, s * s + x * x)
    value, same = program.value_and_gradient(x, scale={"a": s})
    np.testing.assert_array_equal(value, results)
    np.testing.assert_array_equal(same[1]["scale"]["a"], x)
    ((d_x,), d_named), of_scale = program.hessian(x, scale={"a": s})[0][0], 1.0
    assert not d_x.any() and d_named["scale"]["a"].tolist() == [of_scale] * 4
    (h_x,), _ = program.hvp(x, scale={"a": s}, vectors=((1.0,), {"scale": {"a": 0.0}}))
    assert not h_x.any()
    with pytest.raises(TypeError, match="tangents must be a pair, of a tuple and of a dict"):
        program.jvp(x, scale={"a": s}, tangents=(x, {"a": s}))


def test_a_program_may_have_keywords_alone(mg: Any) -> None:
    w = mg.Value(2.0)
    program = mg.compile(lambda *, x, y: x * y * w, x=1.0, y=2.0)
    x = np.array([1.0, 2.0])
    assert [program.backward(x=x, y=x, reduction="sum") for _ in range(3)] == [10.0] * 3
    assert w.grad == 15.0
    assert program.objective(x=x, y=x)([1.0])[0] == 2.5
    nothing, named = program.gradient(x=x, y=1.0)
    assert nothing == () and named["y"] == 6.0


def test_other_keywords_are_refused(mg: Any) -> None:
    program = mg.compile(lambda x, scale: x * scale, 1.0, scale=2.0)
    for args, keywords in (
        ((1.0,), {}),
        ((1.0, 2.0), {}),
        ((1.0,), {"scael": 1.0}),
        ((), {"scale": 1.0}),
        ((1.0,), {"scale": 1.0, "more": 2.0}),
    ):
        with pytest.raises(TypeError, match=r"takes 1 argument and the keywords \['scale'\], not"):
            program(*args, **keywords)
    with pytest.raises(TypeError, match=r"the keywords \[\], not 1 and \['scale'\]"):
        mg.compile(lambda x: x, 1.0)(1.0, scale=2.0)
    with pytest.raises(TypeError, match="argument 'scale' must consist of real numbers"):
        program([1.0], scale=["a"])


@pytest.mark.parametrize(
    "name",
    ["check", "parameters", "reduction", "seeds", "tangents", "threads", "vectors", "weights"],
)
def test_keywords_of_the_programs_own_are_refused(mg: Any, name: str) -> None:
    with pytest.raises(ValueError, match=f"'{name}' is a keyword of the program's own: have"):
        mg.compile(lambda x, **keywords: x, 1.0, **{name: 1.0})


# ---- copies ----


@pytest.mark.parametrize("by_example", [True, False])
@pytest.mark.parametrize(
    "twin_of", [copy.copy, copy.deepcopy, lambda p: pickle.loads(pickle.dumps(p))]
)
def test_programs_are_copied_and_pickled(mg: Any, twin_of: Any, by_example: bool) -> None:
    rows = nested_rows()
    program = mg.compile(nested, *(nested_example() if by_example else ()))
    program(*rows)
    twin = twin_of(program)
    found, expected = twin(*rows), program(*rows)
    assert type(twin) is type(program) and type(found.y) is Pair
    np.testing.assert_array_equal(found.y.a[0], expected.y.a[0])
    assert repr(twin) == repr(program)


def test_a_pickled_program_has_its_keywords(mg: Any) -> None:
    program = pickle.loads(pickle.dumps(mg.compile(scaled, 1.0, scale=2.0)))
    assert program([1.0, 2.0], scale=3.0).tolist() == [3.0, 6.0]


def scaled(x: Any, scale: Any) -> Any:
    return x * scale
