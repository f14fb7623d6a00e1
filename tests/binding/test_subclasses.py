"""Subclasses: the class of results, constructors, operators and state of their own."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import pytest
from conftest import balanced, collect
from reference import DEPTH_FIRST
from values import OPERATIONS, own, plain


def test_instance_of_a_subclass_comes_back_from_the_graph(mg: Any) -> None:
    class Weight(mg.Value):  # type: ignore[misc]
        pass

    v = mg.Value(3.0) * Weight(2.0)
    gc.collect()
    assert type(list(v._prev)[1]) is Weight


def test_gradient_reaches_an_instance_of_a_subclass(lib: Any) -> None:
    class Weight(lib.Value):  # type: ignore[misc]
        pass

    w = Weight(2.0)
    (lib.Value(3.0) * w).backward()
    assert w.grad == 3.0


def test_looking_up_a_power_may_construct_the_exponent_again(mg: Any) -> None:
    class Descriptor:
        def __get__(self, instance: Any, owner: Any) -> Any:
            exponent.__init__(7.0)
            return mg.Value.__pow__

    class Own(mg.Value):  # type: ignore[misc,name-defined]
        __pow__ = Descriptor()

    exponent = Own(2.0)
    assert (2.0**exponent).data == 128.0


# ---- the results' class ----


def slotted(base: Any) -> Any:
    return type("Weight", (base,), {"__slots__": ("moment",)})


MAKERS = [plain, slotted, own]
each_class = pytest.mark.parametrize("make", MAKERS, ids=lambda f: f.__name__)


def classes_of(lib: Any, make: Callable[[Any], Any], name: str) -> list[str]:
    """The classes of a result and of the operands that are no constants."""
    cls = make(lib.Value)
    out = OPERATIONS[name](lib, cls(1.5), lib.Value(2.5))
    return [type(out).__name__, *(type(v).__name__ for v in out._children if v._children)]


@each_class
@pytest.mark.parametrize("name", OPERATIONS)
def test_result_is_of_the_class_that_pure_python_gives_it(
    mg: Any, make: Callable[[Any], Any], name: str
) -> None:
    assert classes_of(mg, make, name) == classes_of(DEPTH_FIRST, make, name)


@each_class
@pytest.mark.parametrize("name", OPERATIONS)
def test_operation_on_a_subclass_computes_the_same_numbers(
    mg: Any, make: Callable[[Any], Any], name: str
) -> None:
    def outcome(cls: Any) -> list[str]:
        w, x = cls(1.5), mg.Value(2.5)
        out = OPERATIONS[name](mg, w, x)
        out.backward()
        return [out.data.hex(), w.grad.hex(), x.grad.hex(), out._op]

    assert outcome(make(mg.Value)) == outcome(mg.Value)


@each_class
def test_operations_on_a_subclass_leave_no_node_behind(mg: Any, make: Callable[[Any], Any]) -> None:
    with balanced(mg):
        cls = make(mg.Value)
        for operation in OPERATIONS.values():
            operation(mg, cls(1.5), mg.Value(2.5)).backward()


@each_class
def test_class_of_what_nobody_holds_is_kept_by_the_graph(
    lib: Any, make: Callable[[Any], Any]
) -> None:
    cls = make(lib.Value)
    root = lib.Value(1.0) + cls(2.0) * 3.0
    collect()
    assert type(root._children[1]) is cls
    assert type(root._children[1]._children[0]) is cls


def test_base_class_stays_what_it_is_beside_a_subclass(lib: Any) -> None:
    plain(lib.Value)(1.0) * 2.0
    assert type(lib.Value(1.0) * 2.0) is lib.Value


def test_subclass_of_a_subclass_decides_its_results(lib: Any) -> None:
    cls = slotted(own(plain(lib.Value)))
    assert type(cls(1.0) * 2.0 + 1.0) is cls


# ---- constructors ----


def test_own_constructor_is_called_with_data_children_and_operator(lib: Any) -> None:
    calls: list[Any] = []

    class Weight(lib.Value):  # type: ignore[misc,name-defined]
        def __init__(self, *args: Any) -> None:
            calls.append(args)
            super().__init__(*args)

    w, x = Weight(2.0), lib.Value(3.0)
    calls.clear()
    w * x
    assert [(data, tuple(children), op) for data, children, op in calls] == [(6.0, (w, x), "*")]


def test_class_without_a_constructor_of_its_own_is_not_called(mg: Any) -> None:
    class Meta(type(mg.Value)):  # type: ignore[misc]
        calls = 0

        def __call__(cls, *args: Any, **names: Any) -> Any:
            Meta.calls += 1
            return super().__call__(*args, **names)

    class Weight(mg.Value, metaclass=Meta):  # type: ignore[misc,name-defined]
        pass

    w = Weight(2.0)
    w * 3.0 + w
    assert Meta.calls == 1


def test_number_that_a_constructor_changes_is_the_results(lib: Any) -> None:
    class Rounded(lib.Value):  # type: ignore[misc,name-defined]
        def __init__(self, data: Any, children: Any = (), op: str = "") -> None:
            super().__init__(round(data, 1), children, op)

    assert (Rounded(0.25) * Rounded(0.5)).data == 0.1


def test_closure_that_a_constructor_assigns_gives_way_to_the_operators_rule(lib: Any) -> None:
    class Weight(lib.Value):  # type: ignore[misc,name-defined]
        def __init__(self, data: Any, children: Any = (), op: str = "") -> None:
            super().__init__(data, children, op)
            self._backward = lambda: None

    w = Weight(2.0)
    (w * 3.0 + w).backward()
    assert w.grad == 4.0


def test_exception_of_a_constructor_leaves_the_operator_and_no_node(mg: Any) -> None:
    class Picky(mg.Value):  # type: ignore[misc,name-defined]
        def __init__(self, data: Any, children: Any = (), op: str = "") -> None:
            if op:
                raise KeyError(op)
            super().__init__(data)

    w = Picky(2.0)
    with balanced(mg):
        for operation in (lambda: w * 3.0, lambda: w.tanh(), lambda: -w, lambda: w**2):
            with pytest.raises(KeyError):
                operation()


@pytest.mark.parametrize("exponent", [2, 2.0, Fraction(1, 2), True])
def test_object_that_a_class_makes_in_its_instances_place_is_the_result(
    mg: Any, exponent: Any
) -> None:
    class Odd(mg.Value):  # type: ignore[misc,name-defined]
        def __new__(cls, *args: Any) -> Any:
            return "odd" if len(args) == 3 else super().__new__(cls)

        def __init__(self, *args: Any) -> None:
            super().__init__(*args)

    assert Odd(2.0) ** exponent == "odd"


def test_value_that_a_class_gives_out_again_is_the_result(mg: Any) -> None:
    class Single(mg.Value):  # type: ignore[misc,name-defined]
        kept: Any = None

        def __new__(cls, *args: Any) -> Any:
            if cls.kept is None:
                cls.kept = super().__new__(cls)
            return cls.kept

    with balanced(mg):
        v = Single(2.0)
        assert v * 3.0 is v
        assert (v.data, v._children[0].data) == (6.0, 2.0)
        Single.kept = None
        del v


# ---- operators of their own ----


def overriding(base: Any, log: list[str]) -> Any:
    """A subclass that notes which of its operators are called."""

    def noted(name: str) -> Any:
        def method(self: Any, *args: Any) -> Any:
            log.append(name)
            return getattr(base, name)(self, *args)

        return method

    names = ("__add__", "__mul__", "__pow__", "__neg__", "__sub__", "__truediv__", "__abs__")
    return type("Weight", (base,), {name: noted(name) for name in names})


def calls_of(lib: Any, name: str) -> list[str]:
    log: list[str] = []
    cls = overriding(lib.Value, log)
    OPERATIONS[name](lib, cls(1.5), lib.Value(2.5))
    return log


# Pure Python's derived operators call the ones they are made of.
@pytest.mark.parametrize("name", OPERATIONS)
def test_overridden_operators_are_called_as_in_pure_python(mg: Any, name: str) -> None:
    assert calls_of(mg, name) == calls_of(DEPTH_FIRST, name)


@pytest.mark.parametrize("operator", ["add", "mul", "sub", "truediv", "pow"])
def test_reflected_operator_of_a_subclass_on_the_right_comes_first(lib: Any, operator: str) -> None:
    body = {f"__r{operator}__": lambda self, other: ("mine", other)}
    cls = type("Weight", (lib.Value,), body)
    x, w = lib.Value(2.0), cls(3.0)
    operation = {
        "add": lambda: x + w,
        "mul": lambda: x * w,
        "sub": lambda: x - w,
        "truediv": lambda: x / w,
        "pow": lambda: x**w,
    }[operator]
    assert operation() == ("mine", x)


def test_operator_of_a_subclass_may_return_anything(lib: Any) -> None:
    cls = type("Weight", (lib.Value,), {"__add__": lambda self, other: "sum"})
    assert cls(1.0) + 2.0 == "sum"


def test_operator_of_a_subclass_may_say_it_does_not_know(lib: Any) -> None:
    cls = type("Weight", (lib.Value,), {"__add__": lambda self, other: NotImplemented})
    with pytest.raises(TypeError):
        cls(1.0) + "x"


def test_matrix_product_added_to_a_subclass_works(lib: Any) -> None:
    cls = type("Weight", (lib.Value,), {"__matmul__": lambda self, other: self * other})
    assert (cls(2.0) @ lib.Value(3.0)).data == 6.0


def test_property_of_a_subclass_is_seen_through_the_graph(lib: Any) -> None:
    cls = type("Weight", (lib.Value,), {"double": property(lambda self: 2 * self.data)})
    assert (lib.Value(1.0) * cls(3.0))._children[1].double == 6.0


# ---- state ----


def test_slot_of_a_subclass_holds_its_state(lib: Any) -> None:
    w = slotted(lib.Value)(2.0)
    w.moment = [1.0]
    root = lib.Value(1.0) * w
    del w
    collect()
    assert root._children[1].moment == [1.0]


def test_slot_of_a_result_is_empty(lib: Any) -> None:
    w = slotted(lib.Value)(2.0)
    w.moment = 1.0
    with pytest.raises(AttributeError):
        (w * 2.0).moment  # noqa: B018


def test_attribute_of_a_subclass_instance_is_its_own(lib: Any) -> None:
    w = plain(lib.Value)(2.0)
    w.moment = 1.0
    assert not hasattr(w * 2.0, "moment")


def test_subclass_instances_are_weakly_referenced(mg: Any) -> None:
    w = plain(mg.Value)(2.0)
    reference = weakref.ref(w)
    assert reference() is w
    del w
    collect()
    assert reference() is None


# ---- classes that a node's tag tells ----


def test_class_is_kept_by_the_graph_also_where_the_instance_had_a_label(mg: Any) -> None:
    cls = plain(mg.Value)
    root = mg.Value(1.0) * cls(2.0)
    root._children[1].label = "w"
    collect()
    assert (type(root._children[1]), root._children[1].label) == (cls, "w")


def test_label_that_an_instance_loses_is_empty(lib: Any) -> None:
    w = plain(lib.Value)(2.0)
    for label in ("w", ""):
        w.label = label
    assert (w.label, (w * 2.0).label) == ("", "")


@each_class
def test_class_is_kept_by_the_graph_of_any_number_of_classes(
    mg: Any, make: Callable[[Any], Any]
) -> None:
    classes = [make(mg.Value) for _ in range(100)]
    roots = [mg.Value(1.0) * (cls(2.0) * 3.0) for cls in classes]
    collect()
    assert [type(root._children[1]) for root in roots] == classes


def test_class_that_an_instance_is_given_later_is_kept_by_the_graph(mg: Any) -> None:
    one, other = plain(mg.Value), plain(mg.Value)
    w, v = one(2.0), one(3.0)
    w.__class__, v.__class__ = other, mg.Value
    root = w * v
    del w, v
    collect()
    assert [type(child) for child in root._children] == [other, mg.Value]


def test_constructor_that_a_class_is_given_later_makes_the_results(lib: Any) -> None:
    cls = plain(lib.Value)
    w = cls(2.0)
    w * w

    def init(self: Any, data: Any, children: Any = (), op: str = "") -> None:
        lib.Value.__init__(self, data + 100.0, children, op)

    cls.__init__ = init
    assert ((w * w).data, cls(1.0).data) == (104.0, 101.0)


def test_number_of_an_instance_is_that_of_its_last_construction(lib: Any) -> None:
    w = plain(lib.Value)(2.0)
    out = w * 3.0
    w.__init__(5.0, label="w")
    assert (w.data, w.label, (w * 1.0).data, out.data) == (5.0, "w", 5.0, 6.0)
    w.__init__(7.0)
    assert (w.data, w.label, type(w * 1.0)) == (7.0, "", type(w))


@pytest.mark.parametrize(
    "construct",
    [
        lambda init, data, children, op: init(data),
        lambda init, data, children, op: init(data, children),
        lambda init, data, children, op: init(data, children, op + "'"),
        lambda init, data, children, op: [init(0.0), init(data, children, op)],
        lambda init, data, children, op: [init(data, children, op), init(data, children, op)],
        lambda init, data, children, op: [init(data, children, op), init(data)],
    ],
)
def test_result_has_the_operators_operands_and_rule_whatever_a_constructor_makes(
    mg: Any, construct: Callable[..., Any]
) -> None:
    class Weight(mg.Value):  # type: ignore[misc,name-defined]
        def __init__(self, data: Any, children: Any = (), op: str = "") -> None:
            construct(super().__init__, data, children, op)

    with balanced(mg):
        w, x = Weight(2.0), mg.Value(3.0)
        out = w * x + 1.0
        out.backward()
        assert (out.data, type(out._children[0]), w.grad, x.grad) == (7.0, Weight, 3.0, 2.0)
        assert out._children[0]._children == (w, x)
        del w, x, out


def test_value_that_a_constructor_makes_of_its_operands_is_another(mg: Any) -> None:
    class Weight(mg.Value):  # type: ignore[misc,name-defined]
        def __init__(self, data: Any, children: Any = (), op: str = "", inner: Any = None) -> None:
            self.inner = Weight(-data, children, op, self) if inner is None else inner
            super().__init__(data, children, op)

    out = Weight(2.0) * 3.0
    assert (out.data, out.inner.data, out.inner.inner is out) == (6.0, -6.0, True)


@each_class
def test_class_that_refers_to_an_instance_dies_with_it(
    lib: Any, make: Callable[[Any], Any]
) -> None:
    cls = make(lib.Value)
    cls.instance = cls(2.0)
    reference = weakref.ref(cls)
    del cls
    collect()
    assert reference() is None
