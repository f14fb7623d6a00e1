"""The dialects of micrograd and its children: their constructors and habits, to the letter.

Where pure Python has the surface, a test runs on a pure-Python class too: `lib` has the reference,
`dialects.py` the classes with the other families' constructors.
"""

from __future__ import annotations

import gc
import re
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Any

import pytest
from conftest import BACKENDS, balanced
from dialects import Lecture, LocalGrads, Prev
from reference import DEPTH_FIRST

# ---- the constructors of the families ----

FAMILIES: dict[str, Callable[[Any, Any], Any]] = {
    "notebook, positions": lambda cls, x: cls(2.0, (x,), "op", "name"),
    "notebook, keywords": lambda cls, x: cls(data=2.0, children=(x,), op="op", label="name"),
    "lecture, positions": lambda cls, x: cls(2.0, (x,), "op", label="name"),
    "lecture, keywords": lambda cls, x: cls(2.0, _children=(x,), _op="op", label="name"),
    "EurekaLabs, keywords": lambda cls, x: cls(2.0, _prev=(x,), _op="op"),
    "EurekaLabs, a set": lambda cls, x: cls(2.0, {x}, "op"),
    "mixed keywords": lambda cls, x: cls(2.0, _op="op", children=[x], label="name"),
}
PURE = {"notebook": DEPTH_FIRST.Value, "lecture": Lecture, "EurekaLabs": Prev}


def look(v: Any) -> list[Any]:
    return [v.data, v.grad, v._op, [child.data for child in v._prev], getattr(v, "label", "")]


@pytest.mark.parametrize("family", FAMILIES)
def test_constructor_takes_the_familys_spelling(mg: Any, family: str) -> None:
    v = FAMILIES[family](mg.Value, mg.Value(3.0))
    label = "" if family.startswith("EurekaLabs") else "name"
    assert look(v) == [2.0, 0.0, "op", [3.0], label]


@pytest.mark.parametrize("family", [name for name in FAMILIES if name.split(",")[0] in PURE])
def test_constructor_makes_what_the_familys_pure_class_makes(mg: Any, family: str) -> None:
    pure = PURE[family.split(",")[0]]
    expected = look(FAMILIES[family](pure, pure(3.0)))
    assert look(FAMILIES[family](mg.Value, mg.Value(3.0))) == expected


LOCAL_GRADS: dict[str, Callable[[Any, Any], Any]] = {
    "third position, tuple": lambda cls, x: cls(2.0, (x, x), (0.5, 3.0)),
    "third position, list": lambda cls, x: cls(2.0, [x, x], [0.5, 3.0]),
    "keyword": lambda cls, x: cls(2.0, children=(x, x), local_grads=(0.5, 3.0)),
}
SPELLED: dict[str, Callable[[Any, Any], Any]] = {
    **LOCAL_GRADS,
    "third position, iterator": lambda cls, x: cls(2.0, iter([x, x]), iter([0.5, 3.0])),
    "keyword with an underscore": lambda cls, x: cls(2.0, (x, x), _local_grads=(0.5, 3.0)),
    "beside the operator's name": lambda cls, x: cls(2.0, (x, x), "op", local_grads=(0.5, 3.0)),
    "with all names": lambda cls, x: cls(
        2.0, _prev=(x, x), _op="op", label="name", _local_grads=(0.5, 3.0)
    ),
}


@pytest.mark.parametrize("spelling", SPELLED)
def test_local_gradients_are_taken_in_every_spelling(mg: Any, spelling: str) -> None:
    x = mg.Value(3.0)
    v = SPELLED[spelling](mg.Value, x)
    v.backward()
    assert (tuple(v._local_grads), v._children, x.grad) == ((0.5, 3.0), (x, x), 3.5)


@pytest.mark.parametrize("spelling", LOCAL_GRADS)
def test_local_gradients_do_what_they_do_in_the_pure_class(mg: Any, spelling: str) -> None:
    def outcome(cls: Any) -> list[Any]:
        x = cls(3.0)
        v = LOCAL_GRADS[spelling](cls, x * 2)
        v.backward()
        return [list(v._local_grads), len(v._children), x.grad]

    assert outcome(mg.Value) == outcome(LocalGrads)


def test_operators_name_beside_local_gradients_is_kept(mg: Any) -> None:
    assert mg.Value(2.0, (mg.Value(3.0),), "op", local_grads=(1.0,))._op == "op"


def test_label_stands_fourth_behind_local_gradients(mg: Any) -> None:
    assert mg.Value(2.0, (mg.Value(3.0),), (1.0,), "name").label == "name"


@pytest.mark.parametrize("number", [2, True, Fraction(1, 2)])
def test_local_gradients_are_any_real_numbers(mg: Any, number: Any) -> None:
    x = mg.Value(3.0)
    mg.Value(2.0, (x,), (number,)).backward()
    assert x.grad == float(number)


@pytest.mark.parametrize("count", [0, 1, 2, 3, 1000])
def test_number_of_children_is_free(mg: Any, count: int) -> None:
    children = [mg.Value(float(k)) for k in range(count)]
    v = mg.Value(2.0, children, [float(k) for k in range(count)])
    v.backward()
    assert v._children == tuple(children)
    assert [child.grad for child in children] == [float(k) for k in range(count)]


@pytest.mark.parametrize("count", [0, 1, 3])
def test_wrong_number_of_local_gradients_is_a_value_error(mg: Any, count: int) -> None:
    if count == 0:
        children, partials = (), (1.0,)
    else:
        children, partials = (mg.Value(1.0), mg.Value(2.0)), (1.0,) * count
    with pytest.raises(ValueError, match=f"{len(partials)} local gradients for {len(children)} ch"):
        mg.Value(2.0, children, partials)


REJECTED: dict[str, Callable[[Any, Any], Any]] = {
    "unknown keyword": lambda cls, x: cls(2.0, colour="red"),
    "unknown keyword like a known one": lambda cls, x: cls(2.0, __children=(x,)),
    "children in two spellings": lambda cls, x: cls(2.0, children=(x,), _children=(x,)),
    "empty children in two spellings": lambda cls, x: cls(2.0, children=(), _prev=()),
    "children by position and keyword": lambda cls, x: cls(2.0, (x,), _prev=(x,)),
    "no children by position, and keyword": lambda cls, x: cls(2.0, (), _children=(x,)),
    "operator in two spellings": lambda cls, x: cls(2.0, (x,), op="a", _op="a"),
    "operator by position and keyword": lambda cls, x: cls(2.0, (x,), "", _op="a"),
    "local gradients in two spellings": lambda cls, x: cls(
        2.0, (x,), local_grads=(1.0,), _local_grads=(1.0,)
    ),
    "local gradients by position and keyword": lambda cls, x: cls(
        2.0, (x,), (1.0,), local_grads=(1.0,)
    ),
    "label by position and keyword": lambda cls, x: cls(2.0, (x,), "a", "b", label="b"),
    "data by position and keyword": lambda cls, x: cls(2.0, data=2.0),
    "too many positions": lambda cls, x: cls(2.0, (x,), "a", "b", "c"),
    "no data": lambda cls, x: cls(children=(x,)),
    "nothing": lambda cls, x: cls(),
    "children that are no iterable": lambda cls, x: cls(2.0, 5),
    "children that are a Value": lambda cls, x: cls(2.0, x),
    "children that are a string": lambda cls, x: cls(2.0, "ab"),
    "children that are None": lambda cls, x: cls(2.0, None),
    "a child that is a number": lambda cls, x: cls(2.0, (x, 3.0)),
    "third argument a number": lambda cls, x: cls(2.0, (x,), 5),
    "third argument None": lambda cls, x: cls(2.0, (x,), None),
    "a local gradient that is a string": lambda cls, x: cls(2.0, (x,), ("1",)),
    "a local gradient that is a Value": lambda cls, x: cls(2.0, (x,), (x,)),
    "data that is a string": lambda cls, x: cls("2"),
    "data that is a Value": lambda cls, x: cls(x),
}


@pytest.mark.parametrize("how", REJECTED)
def test_wrong_arguments_are_a_type_error(mg: Any, how: str) -> None:
    with balanced(mg), pytest.raises(TypeError):
        REJECTED[how](mg.Value, mg.Value(3.0))


@pytest.mark.parametrize("how", REJECTED)
def test_wrong_arguments_leave_a_value_constructed_again_as_it_was(mg: Any, how: str) -> None:
    x = mg.Value(3.0)
    v = x * 2.0
    v.label = "v"

    def again(*args: Any, **names: Any) -> None:
        v.__init__(*args, **names)

    with pytest.raises(TypeError):
        REJECTED[how](again, x)
    assert (v.data, v.label, v._op, v._children[0]) == (6.0, "v", "*", x)


def test_error_of_an_unknown_keyword_names_it(lib: Any) -> None:
    with pytest.raises(TypeError, match="colour"):
        lib.Value(2.0, colour="red")


# ---- the families' habits ----


def test_zero_put_into_gradients_is_theirs(lib: Any) -> None:
    v = lib.Value(2.0)
    v.backward()
    v.grad = 0
    assert v.grad == 0.0


def test_values_are_made_by_map(lib: Any) -> None:
    assert [v.data for v in map(lib.Value, [1.0, 2.0])] == [1.0, 2.0]


def test_moments_are_kept_on_values(lib: Any) -> None:
    p = lib.Value(2.0)
    p.m, p.v = 0.0, 0.0
    (p * 3.0).backward()
    p.m = 0.9 * p.m + 0.1 * p.grad
    assert p.m == pytest.approx(0.3, rel=1e-15)


def test_largest_of_a_row_is_found_by_the_data(lib: Any) -> None:
    assert max(v.data for v in map(lib.Value, [1.0, 3.0, 2.0])) == 3.0


def test_attribute_set_while_walking_the_graph_is_found_on_the_next_walk(lib: Any) -> None:
    root = (lib.Value(1.0) * 2.0 + 3.0).tanh()

    def walk(v: Any) -> Iterator[Any]:
        yield v
        for child in v._prev:
            yield from walk(child)

    for v in walk(root):
        v._vis_color = "red"
    assert {v._vis_color for v in walk(root)} == {"red"}


# ---- the two backends ----


@pytest.mark.skipif(len(BACKENDS) < 2, reason="one backend is built here")
@pytest.mark.parametrize("how", REJECTED)
def test_both_backends_reject_arguments_in_the_same_words(how: str) -> None:
    from conftest import _loaded

    def words(backend: str) -> str:
        cls = _loaded[backend]["micrograd_c"].Value  # type: ignore[attr-defined]
        try:
            REJECTED[how](cls, cls(3.0))
        except TypeError as error:
            return re.sub(r"^(Value\.)?__init__\(\)", "Value()", str(error))
        return "accepted"

    gc.collect()
    assert words("native").split()[0] == words("cffi").split()[0]
