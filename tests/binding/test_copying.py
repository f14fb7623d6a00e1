"""copy, deepcopy and pickle: the graph's shape, sharing, numbers and state survive."""

from __future__ import annotations

import copy
import functools
import io
import pickle
import sys
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import pytest
from conftest import balanced, on_small_stack
from values import Push

PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)


def pickled(protocol: int) -> Callable[[Any], Any]:
    return lambda thing: pickle.loads(pickle.dumps(thing, protocol))


def python_pickled(thing: Any) -> Any:
    """Go through pickle's implementation in Python."""
    stream = io.BytesIO()
    pickle._Pickler(stream).dump(thing)  # type: ignore[attr-defined]
    return pickle.loads(stream.getvalue())


# Ways to copy a graph whole.
WAYS: dict[str, Callable[[Any], Any]] = {
    "deepcopy": copy.deepcopy,
    **{f"pickle {protocol}": pickled(protocol) for protocol in PROTOCOLS},
    "pickle in Python": python_pickled,
}
whole = pytest.mark.parametrize("way", WAYS.values(), ids=WAYS.keys())


def nodes_of(*roots: Any) -> list[Any]:
    """Every node below the roots, each once, in an order that depends on the shape alone."""
    found: dict[Any, None] = {}
    stack = list(roots)
    while stack:
        v = stack.pop()
        if v not in found:
            found[v] = None
            stack.extend(v._children)
    return list(found)


def picture(*roots: Any) -> list[Any]:
    """The shape of the graphs with all numbers and texts."""
    number = {v: place for place, v in enumerate(nodes_of(*roots))}
    return [
        (
            type(v).__name__,
            v._op,
            v.label,
            v.data.hex(),
            v.grad.hex(),
            [number[c] for c in v._children],
        )
        for v in number
    ]


# Classes and closures that pickle can find by their names.


class Weight:
    """Filled in by `named`: a subclass of the backend's Value."""


class Slotted:
    pass


class Own:
    pass


@pytest.fixture(autouse=True)
def named(request: pytest.FixtureRequest) -> None:
    """Make the subclasses anew for the backend under test."""
    if "mg" not in request.fixturenames:
        return
    base = request.getfixturevalue("mg").Value
    module = sys.modules[__name__]

    def own(self: Any, data: Any, children: Any = (), op: str = "") -> None:
        base.__init__(self, data, children, op)
        self.made = "by its own constructor"

    monkeypatch = request.getfixturevalue("monkeypatch")
    bodies: dict[str, dict[str, Any]] = {
        "Weight": {},
        "Slotted": {"__slots__": ("moment", "__private")},
        "Own": {"__init__": own},
    }
    for name, body in bodies.items():
        cls = type(name, (base,), {**body, "__module__": __name__})
        monkeypatch.setattr(module, name, cls)


def do_nothing() -> None:
    pass


# ---- a graph of everything ----


def everything(mg: Any) -> Any:
    """A graph with each operator, shared operands, constants, labels, attributes and gradients."""
    a, b = mg.Value(2.0, label="a"), mg.Value(-0.5, label="b")
    c = a * b + 3
    c.label = "c"
    d = (c.tanh() - a.exp() / 7.5) ** 2
    e = mg.maximum(d, 0.25) + mg.minimum(b, a) + abs(b) + a**b + 1.5**b
    f = (a.log() + a.sqrt() + b.sin() + b.cos() + c.sigmoid() + b.relu()) * (a ** Fraction(1, 3))
    g = mg.Value(7.0, (a, c, a), "given", local_grads=(1.0, 2.0, 3.0))
    g.colour = {"red": [1, 2]}
    h = mg.Value(5.0, (g, d), "bare")
    root = e * f + h - 1.0 / c
    root.label = "root"
    root.backward()
    return root


@whole
def test_whole_copy_has_the_shape_numbers_and_texts_of_the_original(mg: Any, way: Any) -> None:
    root = everything(mg)
    assert picture(way(root)) == picture(root)


@whole
def test_whole_copy_shares_no_node_with_the_original(mg: Any, way: Any) -> None:
    root = everything(mg)
    twin = way(root)
    assert not set(nodes_of(twin)) & set(nodes_of(root))


@whole
def test_whole_copy_leaves_the_original_as_it_was(mg: Any, way: Any) -> None:
    root = everything(mg)
    before = picture(root)
    way(root).backward()
    assert picture(root) == before


@whole
def test_whole_copy_is_differentiated_like_the_original(mg: Any, way: Any) -> None:
    root = everything(mg)
    twin = way(root)
    root.backward()
    twin.backward()
    assert picture(twin) == picture(root)


@whole
def test_backward_of_a_whole_copy_reaches_the_copys_leaves(mg: Any, way: Any) -> None:
    a = mg.Value(3.0)
    twin = way((a * 2.0).tanh() * a)
    leaf = twin._children[1]
    twin.backward()
    assert leaf.grad != 0.0
    assert a.grad == 0.0


@whole
def test_copies_leave_no_node_behind(mg: Any, way: Any) -> None:
    with balanced(mg):
        way(everything(mg)).backward()


@whole
def test_derivatives_of_a_copy_see_data_assigned_to_its_leaf(mg: Any, way: Any) -> None:
    twin = way(mg.Value(3.0) ** 2)
    twin._children[0].data = 5.0
    twin.backward()
    assert twin._children[0].grad == 10.0


@whole
@pytest.mark.parametrize("exponent", [2, 2.0, 0.5, -1, True, Fraction(1, 3), 2**60, 1e300])
def test_copy_names_the_exponent_as_the_original_does(mg: Any, way: Any, exponent: Any) -> None:
    v = mg.Value(1.0) ** exponent
    assert way(v)._op == v._op == f"**{exponent}"


@whole
@pytest.mark.parametrize("x", [float("inf"), -float("inf"), -0.0, 5e-324])
def test_copy_has_the_same_number_and_gradient(mg: Any, way: Any, x: float) -> None:
    v = mg.Value(x) * 1.0
    v.grad = -x
    twin = way(v)
    assert (twin.data.hex(), twin.grad.hex()) == (v.data.hex(), v.grad.hex())


@whole
def test_copy_of_data_assigned_by_hand_is_not_computed_anew(mg: Any, way: Any) -> None:
    v = mg.Value(2.0) * 3.0
    v.data = 100.0
    assert way(v).data == 100.0


# ---- sharing ----


@whole
def test_operand_used_twice_is_one_node_in_the_copy(mg: Any, way: Any) -> None:
    a = mg.Value(2.0)
    twin = way(a * a)
    assert twin._children[0] is twin._children[1]


@whole
def test_graphs_copied_together_share_what_they_shared(mg: Any, way: Any) -> None:
    a = mg.Value(2.0)
    middle = (a * 3.0).tanh()
    first, second, leaf, between = way([middle + 1.0, middle * 2.0, a, middle])
    assert first._children[0] is second._children[0] is between
    assert between._children[0]._children[0] is leaf


@whole
def test_values_shared_with_other_objects_stay_shared(mg: Any, way: Any) -> None:
    model = mg.MLP(2, [2, 1])
    adam = {p: [0.0, i] for i, p in enumerate(model.parameters())}
    loss = model([1.0, -1.0]) ** 2
    box = way({"model": model, "adam": adam, "loss": loss})
    parameters = box["model"].parameters()
    assert list(box["adam"]) == parameters
    box["loss"].backward()
    loss.backward()
    assert [p.grad for p in parameters] == [p.grad for p in model.parameters()]


@whole
def test_attribute_shared_by_two_values_is_shared_by_their_copies(mg: Any, way: Any) -> None:
    a, b = mg.Value(1.0), mg.Value(2.0)
    a.log = b.log_of_both = ["shared"]
    first, second = way([a, b])
    assert first.log is second.log_of_both


@whole
@pytest.mark.parametrize("count", [1, 2, 3])
def test_attribute_that_leads_back_up_leads_to_the_copy(mg: Any, way: Any, count: int) -> None:
    a = mg.Value(1.0)
    nodes = [a]
    for _ in range(count):
        nodes.append(nodes[-1] * 2.0)
    for v in nodes:
        v.above = nodes[-1]
    twin = way(nodes[-1])
    assert [v.above is twin for v in nodes_of(twin) if hasattr(v, "above")] == [True] * (count + 1)


@whole
def test_attribute_that_is_the_value_itself_is_the_copy_itself(mg: Any, way: Any) -> None:
    a = mg.Value(1.0)
    a.me = [a]
    twin = way(a)
    assert twin.me[0] is twin


# ---- state ----


@whole
@pytest.mark.parametrize("label", ["x", "", "ä", ("a", 1), 5, None])
def test_copy_has_the_label(mg: Any, way: Any, label: Any) -> None:
    v = mg.Value(1.0) * 2.0
    v.label = label
    assert way(v).label == label


@whole
def test_labels_of_what_nobody_holds_are_copied(mg: Any, way: Any) -> None:
    a = mg.Value(1.0, label="a")
    b = a * 2.0
    b.label = "b"
    root = b + 1.0
    del a, b
    twin = way(root)
    assert [twin._children[0].label, twin._children[0]._children[0].label] == ["b", "a"]


@whole
def test_copy_has_attributes_of_its_own(mg: Any, way: Any) -> None:
    v = mg.Value(1.0)
    v.moments = [1.0]
    twin = way(v)
    twin.moments.append(2.0)
    assert (v.moments, twin.moments) == ([1.0], [1.0, 2.0])


@whole
def test_copy_has_the_operators_name_given_by_hand(mg: Any, way: Any) -> None:
    v = mg.Value(2.0) * 3.0
    v._op = "mine"
    assert way(v)._op == "mine"


@whole
def test_copy_has_the_local_gradients_given(mg: Any, way: Any) -> None:
    twin = way(mg.Value(2.0, (mg.Value(1.0), mg.Value(1.0)), (0.5, 4)))
    twin.backward()
    assert twin._local_grads == (0.5, 4)
    assert [child.grad for child in twin._children] == [0.5, 4.0]


# ---- closures ----


@whole
def test_closure_of_a_copy_pushes_to_the_copys_operands(mg: Any, way: Any) -> None:
    a = mg.Value(3.0)
    out = mg.Value(6.0, (a,), "twice")
    out._backward = Push(out, 2.0)
    twin = way(out + 1.0)
    twin.backward()
    assert (twin._children[0]._children[0].grad, a.grad) == (2.0, 0.0)


@whole
def test_operators_own_rule_assigned_as_a_closure_belongs_to_the_copy(mg: Any, way: Any) -> None:
    a = mg.Value(3.0)
    out = a * 2.0
    out._backward = out._backward
    twin = way(out)
    twin.backward()
    assert (twin._children[0].grad, a.grad) == (2.0, 0.0)


@whole
def test_function_of_a_module_is_copied_as_a_closure(mg: Any, way: Any) -> None:
    out = mg.Value(6.0, (mg.Value(3.0),), "none")
    out._backward = do_nothing
    assert way(out)._backward is do_nothing


UNPICKLABLE: dict[str, Callable[[], Any]] = {
    "lambda": lambda: lambda: None,
    "partial of a lambda": lambda: functools.partial(lambda: None),
}


@pytest.mark.parametrize("make", UNPICKLABLE.values(), ids=UNPICKLABLE.keys())
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_closure_that_cannot_be_pickled_is_an_error_naming_label_and_operator(
    mg: Any, make: Callable[[], Any], protocol: int
) -> None:
    out = mg.Value(6.0, (mg.Value(3.0),), "twice", label="the culprit")
    out._backward = make()
    with pytest.raises(pickle.PicklingError) as caught:
        pickle.dumps(out * 2.0, protocol)
    assert "the culprit" in str(caught.value)
    assert "twice" in str(caught.value)


def test_values_can_be_pickled_after_a_failure(mg: Any) -> None:
    a = mg.Value(3.0)
    out = mg.Value(6.0, (a,), "twice")
    root = out * 2.0 + 1.0
    out._backward = lambda: None
    with pytest.raises(pickle.PicklingError):
        pickle.dumps(root)
    out._backward = do_nothing
    assert picture(pickle.loads(pickle.dumps(root))) == picture(root)


def test_deepcopy_of_a_function_closure_is_the_function(mg: Any) -> None:
    out = mg.Value(6.0, (mg.Value(3.0),), "twice")
    out._backward = lambda: None
    assert copy.deepcopy(out)._backward is out._backward


# ---- subclasses ----


@whole
@pytest.mark.parametrize("name", ["Weight", "Slotted", "Own"])
def test_copy_is_of_the_subclass(mg: Any, way: Any, name: str) -> None:
    cls: Any = globals()[name]
    twin = way(cls(2.0) * 3.0)
    assert (type(twin), type(twin._children[0])) == (cls, cls)


@whole
def test_slots_of_a_subclass_are_copied(mg: Any, way: Any) -> None:
    w: Any = Slotted(2.0)  # type: ignore[call-arg]
    w.moment = [1.0]
    w._Slotted__private = 5
    twin = way(w)
    assert (twin.moment, twin._Slotted__private) == ([1.0], 5)


@whole
def test_slot_that_is_not_set_stays_so(mg: Any, way: Any) -> None:
    with pytest.raises(AttributeError):
        way(Slotted(2.0)).moment  # type: ignore[call-arg]  # noqa: B018


@whole
def test_copy_is_made_without_a_call_of_the_constructor(
    mg: Any, way: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    w: Any = Own(2.0)  # type: ignore[call-arg]
    w.made = "long ago"
    monkeypatch.setattr(Own, "__init__", lambda self: None)
    assert way(w).made == "long ago"


def test_state_methods_of_a_subclass_are_used(mg: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def set_state(self: Any, state: Any) -> None:
        self.came = state

    monkeypatch.setattr(Weight, "__getstate__", lambda self: {"went": self.data}, raising=False)
    monkeypatch.setattr(Weight, "__setstate__", set_state, raising=False)
    assert pickle.loads(pickle.dumps(Weight(2.0))).came == {"went": 2.0}  # type: ignore[call-arg]


def test_reduce_of_a_subclass_is_used(mg: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Weight, "__reduce__", lambda self: (Weight, (self.data + 1.0,)))
    assert pickle.loads(pickle.dumps(Weight(2.0))).data == 3.0  # type: ignore[call-arg]


# ---- one node: copy.copy ----


def test_shallow_copy_has_the_same_operands_and_numbers(mg: Any) -> None:
    v = mg.Value(2.0) * mg.Value(3.0)
    v.grad = 5.0
    twin = copy.copy(v)
    assert twin is not v
    assert (twin._children, twin.data, twin.grad, twin._op) == (v._children, 6.0, 5.0, "*")


def test_shallow_copy_has_numbers_of_its_own(mg: Any) -> None:
    v = mg.Value(2.0)
    copy.copy(v).data = 7.0
    assert v.data == 2.0


def test_shallow_copy_shares_label_and_attributes(mg: Any) -> None:
    v = mg.Value(2.0, label="v")
    v.log = []
    twin = copy.copy(v)
    assert (twin.label, twin.log is v.log) == ("v", True)


def test_attribute_set_on_a_shallow_copy_stays_there(mg: Any) -> None:
    v = mg.Value(2.0)
    v.first = 1
    copy.copy(v).second = 2
    assert not hasattr(v, "second")


def test_backward_of_a_shallow_copy_reaches_the_shared_operands(mg: Any) -> None:
    a = mg.Value(2.0)
    copy.copy(a * 3.0).backward()
    assert a.grad == 3.0


# ---- recording switched off ----


@whole
def test_whole_copy_within_no_grad_keeps_the_graph(mg: Any, way: Any) -> None:
    root = everything(mg)
    with mg.no_grad():
        twin = way(root)
    assert picture(twin) == picture(root)


# ---- a pickler of one's own ----


def test_pickler_that_is_still_alive_does_not_disturb_another(mg: Any) -> None:
    v = mg.Value(0.0)
    for _ in range(5000):
        v = v + 1.0
    pickler = pickle.Pickler(io.BytesIO())
    pickler.dump(v)
    below = v._children[0]
    assert pickle.loads(pickle.dumps(below)).data == 4999.0
    del pickler


def test_values_dumped_one_after_the_other_by_one_pickler_stay_shared(mg: Any) -> None:
    a = mg.Value(2.0)
    b = (a * 3.0).tanh()
    stream = io.BytesIO()
    pickler = pickle.Pickler(stream)
    pickler.dump(b)
    pickler.dump(b + a)
    stream.seek(0)
    unpickler = pickle.Unpickler(stream)
    first, second = unpickler.load(), unpickler.load()
    assert second._children[0] is first
    assert second._children[1] is first._children[0]._children[0]


def test_pickle_of_one_backend_is_read_by_the_other(mg: Any) -> None:
    """No backend's own names stand in a pickle."""
    text = pickle.dumps(everything(mg))
    assert b"_value_type" not in text
    assert b"_cffi" not in text


# ---- depth ----


def chain(mg: Any, length: int) -> Any:
    v = mg.Value(0.5, label="first")
    for _ in range(length):
        v = v + 1.0
    v.label = "last"
    return v


DEEP: dict[str, Callable[[Any], Any]] = {
    "deepcopy": copy.deepcopy,
    "pickle": pickled(pickle.HIGHEST_PROTOCOL),
}


@pytest.mark.long
@pytest.mark.parametrize("way", DEEP.values(), ids=DEEP.keys())
def test_graph_of_100_000_nodes_is_copied_without_recursion(mg: Any, way: Any) -> None:
    length = 50_000  # of two nodes each
    limit = sys.getrecursionlimit()

    def work() -> None:
        root = chain(mg, length)
        twin = way(root)
        twin.backward()
        v, count = twin, 0
        while v._children:
            v, count = v._children[0], count + 1
        assert (count, v.label, v.grad, twin.label) == (length, "first", 1.0, "last")
        assert root._children[1].grad == 0.0

    with balanced(mg):
        on_small_stack(work)
    assert sys.getrecursionlimit() == limit


@pytest.mark.long
@pytest.mark.parametrize("way", DEEP.values(), ids=DEEP.keys())
def test_deep_graph_of_labelled_custom_nodes_is_copied(mg: Any, way: Any) -> None:
    v = mg.Value(0.5)
    for k in range(5000):
        v = mg.Value(float(k), (v,), "next", local_grads=(1.0,))
        v.label = str(k)
        v.place = k
    twin = way(v)
    twin.backward()
    for k in reversed(range(5000)):
        assert (twin.label, twin.place, twin.grad) == (str(k), k, 1.0)
        twin = twin._children[0]


@pytest.mark.long
@pytest.mark.parametrize("way", DEEP.values(), ids=DEEP.keys())
def test_attribute_that_leads_far_up_is_copied_without_recursion(mg: Any, way: Any) -> None:
    a = mg.Value(0.5)
    v = a
    for _ in range(3000):
        v = v + 1.0
    a.above = v
    twin = way(v * 2.0)
    leaf = twin._children[0]
    while leaf._children:
        leaf = leaf._children[0]
    assert leaf.above is twin._children[0]


@pytest.mark.parametrize("way", DEEP.values(), ids=DEEP.keys())
@pytest.mark.parametrize("first", ["root", "leaf", "between"])
def test_attribute_that_leads_to_the_root_is_copied(mg: Any, way: Any, first: str) -> None:
    a = mg.Value(0.5)
    between = (a * 2.0).tanh()
    root = between * a + 1.0
    a.above, between.above, root.below = root, root, [a, between]
    everyone = {"root": root, "leaf": a, "between": between}
    twins = way([everyone.pop(first), *everyone.values()])
    twin = next(v for v in twins if hasattr(v, "below"))
    leaf, middle = twin.below
    assert leaf.above is middle.above is twin
    assert leaf in twins
    assert middle in twins
    assert twin._children[0]._children == (middle, leaf)
