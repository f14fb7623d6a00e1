"""Value is an open class: methods, operators and attributes are added to it, or to subclasses."""

from __future__ import annotations

import gc
import math
import weakref
from collections.abc import Callable
from typing import Any

import pytest
from values import first


def test_method_can_be_added_to_the_class(lib: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        lib.Value, "sinh", lambda self: (self.exp() - (-self).exp()) / 2, raising=False
    )
    v = lib.Value(1.0)
    assert v.sinh().data == pytest.approx(math.sinh(1.0), rel=1e-15)


@pytest.mark.parametrize(
    ("name", "use"),
    [
        ("__rmul__", lambda v: 2.0 * v),
        ("__mul__", lambda v: v * 2.0),
        ("__radd__", lambda v: 2.0 + v),
        ("__add__", lambda v: v + 2.0),
        ("__rsub__", lambda v: 2.0 - v),
        ("__pow__", lambda v: v**2.0),
        ("__rpow__", lambda v: 2.0**v),
        ("__truediv__", lambda v: v / 2.0),
    ],
)
def test_operator_can_be_replaced_on_the_class(
    lib: Any, monkeypatch: pytest.MonkeyPatch, name: str, use: Callable[[Any], Any]
) -> None:
    monkeypatch.setattr(lib.Value, name, lambda self, other: (name, other))
    assert use(lib.Value(3.0)) == (name, 2.0)


def test_replaced_operator_leaves_the_others_alone(
    lib: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lib.Value, "__rmul__", lambda self, other: self * other * 10)
    v = lib.Value(3.0)
    assert [(2.0 * v).data, (v * 2.0).data, (v * v).data, (2.0 + v).data] == [60.0, 6.0, 9.0, 5.0]


def test_operator_works_again_after_the_original_is_put_back(lib: Any) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lib.Value, "__mul__", lambda self, other: "replaced")
        patch.setattr(lib.Value, "__rmul__", lambda self, other: "replaced")
    v = lib.Value(3.0)
    assert [(v * 2.0).data, (2.0 * v).data, (v * v).data] == [6.0, 6.0, 9.0]


def test_repr_can_be_replaced_on_the_class(lib: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lib.Value, "__repr__", lambda self: f"<{self.data}>")
    assert repr(lib.Value(3.0)) == "<3.0>"


# ---- attributes, references, subclasses ----


def test_subclass_has_methods_and_a_constructor_of_its_own(lib: Any) -> None:
    class Weight(lib.Value):  # type: ignore[misc]
        def __init__(self, x: float, size: int) -> None:
            super().__init__(x, label="w")
            self.size = size

        def scaled(self) -> float:
            return float(self.data * self.size)

    w = Weight(2.0, size=3)
    assert (w.scaled(), w.label, isinstance(w, lib.Value)) == (6.0, "w", True)


@pytest.mark.parametrize(
    "apply",
    [
        lambda v: v * 2.0,
        lambda v: 2.0 * v,
        lambda v: v - 1.0,
        lambda v: 1.0 - v,
        lambda v: v / v,
        lambda v: v**2,
        lambda v: 2.0**v,
        lambda v: -v,
        lambda v: abs(v),
        lambda v: v.tanh(),
    ],
    ids=["v*2", "2*v", "v-1", "1-v", "v/v", "v**2", "2**v", "-v", "abs", "tanh"],
)
def test_result_from_a_subclass_is_of_the_subclass(lib: Any, apply: Callable[[Any], Any]) -> None:
    class Weight(lib.Value):  # type: ignore[misc]
        pass

    assert type(apply(Weight(2.0))) is Weight


def test_result_is_of_the_left_operands_class(lib: Any) -> None:
    class Weight(lib.Value):  # type: ignore[misc]
        pass

    v, w = lib.Value(1.0), Weight(2.0)
    assert [type(v + w), type(w + v)] == [lib.Value, Weight]


def test_result_from_a_subclass_is_made_by_its_own_constructor(lib: Any) -> None:
    class Weight(lib.Value):  # type: ignore[misc]
        def __init__(self, data: float, children: Any = (), op: str = "") -> None:
            super().__init__(data, children, op)
            self.origin = (data, op, len(self._children))

    w = Weight(2.0)
    result: Any = w * 3.0
    result.backward()
    assert (result.origin, w.grad) == ((6.0, "*", 2), 3.0)


def test_operator_overridden_in_a_subclass_is_called(lib: Any) -> None:
    class Loud(lib.Value):  # type: ignore[misc]
        def __add__(self, other: Any) -> Any:
            return "mine"

        def __rmul__(self, other: Any) -> Any:
            return "reflected"

    loud = Loud(1.0)
    assert [loud + 1.0, loud + loud, 2.0 * loud] == ["mine", "mine", "reflected"]
    assert lib.Value(2.0) * loud == "reflected"


def test_attributes_are_free(lib: Any) -> None:
    v = lib.Value(1.0)
    v.momentum = 0.5
    v.momentum += 0.25
    assert v.momentum == 0.75
    del v.momentum
    assert not hasattr(v, "momentum")


def test_missing_attribute_is_an_attribute_error(lib: Any) -> None:
    v = lib.Value(1.0)
    with pytest.raises(AttributeError, match="nothing"):
        _ = v.nothing


def test_weak_reference_dies_with_the_value(lib: Any) -> None:
    v = lib.Value(1.0)
    reference = weakref.ref(v)
    assert reference() is v
    del v
    gc.collect()
    assert reference() is None


def test_values_are_weak_keys(lib: Any) -> None:
    v = lib.Value(1.0)
    table: Any = weakref.WeakKeyDictionary({v: "moment"})
    assert table[v] == "moment"
    del v
    gc.collect()
    assert len(table) == 0


def test_reference_to_the_value_survives_the_use_in_a_graph(mg: Any) -> None:
    v = mg.Value(1.0)
    reference = weakref.ref(v)
    result = v.tanh()
    assert reference() is first(result)
