"""state_dict and load_state_dict of Modules: names, what is found, and what is refused."""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest


def make(mg: Any, **attributes: Any) -> Any:
    """A Module with these attributes, all of whose Values are found by the attributes alone."""
    module = mg.Module()
    vars(module).update(attributes)
    return module


def values(mg: Any, *numbers: float) -> list[Any]:
    return [mg.Value(x) for x in numbers]


def data(module: Any) -> list[float]:
    return [p.data for p in module.parameters()]


# ---- names ----


def test_names_of_a_network_are_its_paths_of_attributes_in_order(mg: Any) -> None:
    assert [*mg.MLP(2, [2, 1]).state_dict()] == [
        "layers.0.neurons.0.w",
        "layers.0.neurons.0.b",
        "layers.0.neurons.1.w",
        "layers.0.neurons.1.b",
        "layers.1.neurons.0.w",
        "layers.1.neurons.0.b",
    ]


def test_a_neuron_has_a_list_of_floats_and_a_float(mg: Any) -> None:
    neuron = mg.Neuron(2)
    w0, w1, b = data(neuron)
    assert neuron.state_dict() == {"w": [w0, w1], "b": b}
    assert [type(x) for x in (neuron.state_dict()["w"][0], neuron.state_dict()["b"])] == [float] * 2


def test_an_embedding_has_a_list_of_lists(mg: Any) -> None:
    embedding = mg.Embedding(2, 3)
    rows = [[value.data for value in row] for row in embedding.rows]
    assert embedding.state_dict() == {"rows": rows}


@dataclass
class Pair:
    first: Any
    second: Any


@pytest.mark.parametrize(
    ("build", "state"),
    [
        (lambda mg: mg.Value(1.0), {"x": 1.0}),
        (lambda mg: tuple(values(mg, 1.0, 2.0)), {"x": [1.0, 2.0]}),
        (lambda mg: [values(mg, 1.0), values(mg, 2.0)], {"x": [[1.0], [2.0]]}),
        (lambda mg: [values(mg, 1.0), values(mg, 2.0, 3.0)], {"x.0": [1.0], "x.1": [2.0, 3.0]}),
        (lambda mg: [mg.Value(1.0), 5, mg.Value(2.0)], {"x.0": 1.0, "x.2": 2.0}),
        (lambda mg: [mg.Value(1.0), values(mg, 2.0)], {"x.0": 1.0, "x.1": [2.0]}),
        (lambda mg: [{"a": mg.Value(1.0)}, {"a": mg.Value(2.0)}], {"x.0.a": 1.0, "x.1.a": 2.0}),
        (lambda mg: {"a": mg.Value(1.0), 7: values(mg, 2.0)}, {"x.a": 1.0, "x.7": [2.0]}),
        (lambda mg: {0: mg.Value(1.0), 1: mg.Value(2.0)}, {"x.0": 1.0, "x.1": 2.0}),
        (lambda mg: Pair(mg.Value(1.0), values(mg, 2.0)), {"x.first": 1.0, "x.second": [2.0]}),
        (lambda mg: np.array(values(mg, 1.0, 2.0)), {"x": [1.0, 2.0]}),
        (lambda mg: np.array([values(mg, 1.0, 2.0)]), {"x": [[1.0, 2.0]]}),
        (lambda mg: make(mg, y=mg.Value(1.0)), {"x.y": 1.0}),
        (lambda mg: [[make(mg, y=mg.Value(1.0))]], {"x.0.0.y": 1.0}),
        (lambda mg: [], {}),
        (lambda mg: [[], "text", None, 1.0, np.zeros(2), {1, 2}, len], {}),
    ],
)
def test_values_are_found_wherever_an_attribute_has_them(
    mg: Any, build: Callable[[Any], Any], state: dict[str, Any]
) -> None:
    assert make(mg, x=build(mg)).state_dict() == state


def test_a_value_at_two_places_has_two_names(mg: Any) -> None:
    shared = values(mg, 1.0, 2.0)
    module = make(mg, encode=shared, decode=shared, first=shared[0])
    assert module.state_dict() == {"encode": [1.0, 2.0], "decode": [1.0, 2.0], "first": 1.0}


def test_modules_that_refer_to_each_other_are_met_once(mg: Any) -> None:
    parent, child = make(mg), make(mg, w=mg.Value(1.0))
    parent.child, child.parent = child, parent
    parent.all = [parent]
    assert parent.state_dict() == {"child.w": 1.0}


def test_a_module_is_saved_once_by_its_shortest_name(mg: Any) -> None:
    class Cell(mg.Module):
        def __init__(self) -> None:
            self.others: list[Any] = []
            self.v = mg.Value(1.0)

    class Grid(mg.Module):
        def __init__(self) -> None:
            self.cells = [Cell() for _ in range(12)]
            for cell in self.cells:
                cell.others = [other for other in self.cells if other is not cell]

    assert [*Grid().state_dict()] == [f"cells.{i}.v" for i in range(12)]


def test_fields_of_dataclasses_are_found_whoever_sets_them(mg: Any) -> None:
    @dataclass
    class Part:
        a: Any
        b: Any = field(init=False)
        c: Any = field(init=False)

        def __post_init__(self) -> None:
            self.b = mg.Value(2.0)

    class Whole(mg.Module):
        def __init__(self) -> None:
            self.part = Part(mg.Value(1.0))

    assert Whole().state_dict() == {"part.a": 1.0, "part.b": 2.0}


def test_what_is_nested_too_deeply_is_a_value_error(mg: Any) -> None:
    class Deep(mg.Module):
        def __init__(self) -> None:
            self.v: Any = mg.Value(1.0)
            for _ in range(5000):
                self.v = [self.v]

    with pytest.raises(ValueError, match="nested too deeply"):
        Deep().state_dict()


def test_results_of_operations_are_no_state(mg: Any) -> None:
    model = mg.MLP(2, [2, 1])
    before = model.state_dict()
    model.last = model.layers[0].outputs = [model([1.0, 2.0])]
    assert model.state_dict() == before


def test_a_value_that_is_no_parameter_is_saved(mg: Any) -> None:
    neuron = mg.Neuron(1)
    neuron.scale = mg.Value(3.0)
    assert neuron.state_dict()["scale"] == 3.0
    assert neuron.scale not in neuron.parameters()


def test_a_state_stays_as_it_is_when_the_module_learns(mg: Any) -> None:
    neuron = mg.Neuron(2)
    state = neuron.state_dict()
    before = {"w": [*state["w"]], "b": state["b"]}
    for p in neuron.parameters():
        p.data += 1.0
    assert state == before


# ---- what is refused ----


class Hidden:
    def __init__(self, value: Any) -> None:
        self.value = value


@pytest.mark.parametrize("where", ["set", "object", "result", "class"])
def test_a_parameter_that_is_not_found_is_an_error_that_shows_it(mg: Any, where: str) -> None:
    class Net(mg.Module):  # type: ignore[misc]
        def parameters(self) -> list[Any]:
            return [parameter]

    parameter = mg.Value(2.0, label="lost")
    net = Net()
    if where == "set":
        net.all = {parameter}
    elif where == "object":
        net.hidden = Hidden(parameter)
    elif where == "result":
        net.w = parameter = mg.Value(2.0) * 0.5
        net.w.label = "lost"
    else:
        Net.w = parameter
    for module in (net, make(mg, inner=[net])):
        with pytest.raises(ValueError, match=r"parameter of Net would be missing .*label=lost"):
            module.state_dict()
        with pytest.raises(ValueError, match=r"parameter of Net would be missing .*label=lost"):
            module.load_state_dict({})


def test_two_entries_of_one_name_are_an_error(mg: Any) -> None:
    module = make(mg, x={1: mg.Value(1.0), "1": mg.Value(2.0)})
    with pytest.raises(ValueError, match=r"have the name 'x\.1': rename one"):
        module.state_dict()


# ---- loading ----


def test_a_state_makes_another_network_the_same(mg: Any) -> None:
    one, other = mg.MLP(3, [4, 2]), mg.MLP(3, [4, 2])
    assert data(one) != data(other)
    keys = other.load_state_dict(one.state_dict())
    assert data(one) == data(other)
    assert (keys.missing_keys, keys.unexpected_keys) == ([], [])


def test_loading_sets_the_same_values_and_leaves_gradients(mg: Any) -> None:
    neuron = mg.Neuron(2)
    before = neuron.parameters()
    before[0].grad = 3.0
    neuron.load_state_dict({"w": [1.0, 2.0], "b": 3.0})
    assert all(p is q for p, q in zip(neuron.parameters(), before))
    assert data(neuron) == [1.0, 2.0, 3.0]
    assert before[0].grad == 3.0


def test_compiled_and_jitted_functions_see_what_was_loaded(mg: Any) -> None:
    neuron = mg.Neuron(1, activation=None)
    program, jitted = mg.compile(lambda x: neuron([x]), 0.0), mg.jit(lambda x: neuron([x]))
    jitted(1.0)
    neuron.load_state_dict({"w": [2.0], "b": 0.5})
    assert program(np.array([1.0, 2.0])).tolist() == [2.5, 4.5]
    assert jitted(3.0).data == 6.5


@pytest.mark.parametrize(
    "given", [(1, 2), array("d", [1.0, 2.0]), np.array([1, 2]), np.float32([1.0, 2.0]), [True, 2]]
)
def test_a_state_may_have_any_sequence_of_numbers(mg: Any, given: Any) -> None:
    neuron = mg.Neuron(2)
    neuron.load_state_dict({"w": given, "b": np.array(3.0)})
    assert data(neuron) == [1.0, 2.0, 3.0]


def test_nan_and_inf_pass(mg: Any) -> None:
    neuron = mg.Neuron(2)
    neuron.load_state_dict({"w": [math.inf, math.nan], "b": -0.0})
    w, b = neuron.state_dict().values()
    assert w[0] == math.inf and math.isnan(w[1]) and math.copysign(1.0, b) == -1.0


STATE = {"w": [1.0, 2.0], "b": 3.0}


@pytest.mark.parametrize(
    ("state", "error", "text"),
    [
        ({}, RuntimeError, "no state of this Neuron:\n    missing: 'w', 'b'$"),
        ({"w": [1.0, 2.0]}, RuntimeError, "\n    missing: 'b'$"),
        ({**STATE, "c": 1, 5: 2}, RuntimeError, "\n    unexpected: 'c', 5$"),
        (
            {**STATE, "w": [1.0]},
            RuntimeError,
            r"\n    'w' has the shape \(1,\), not the shape \(2,\)$",
        ),
        ({**STATE, "w": 1.0}, RuntimeError, r"\n    'w' has the shape \(\), not the shape \(2,\)$"),
        (
            {**STATE, "b": [1.0]},
            RuntimeError,
            r"\n    'b' has the shape \(1,\), not the shape \(\)$",
        ),
        (
            {**STATE, "w": []},
            RuntimeError,
            r"\n    'w' has the shape \(0,\), not the shape \(2,\)$",
        ),
        (
            {**STATE, "w": [1.0, [2.0]]},
            RuntimeError,
            r"\n    'w' has lists of several lengths, not the shape \(2,\)$",
        ),
        (
            {"w": [1.0], "c": 1},
            RuntimeError,
            r"not the shape \(2,\)\n    missing: 'b'\n    unexpected: 'c'$",
        ),
        ({**STATE, "b": "3"}, TypeError, "each number of 'b' must be a real number, not 'str'"),
        ({**STATE, "b": None}, TypeError, "each number of 'b' must be .* not 'NoneType'"),
        ({**STATE, "w": [1.0, 2j]}, TypeError, "each number of 'w' must be .* not 'complex'"),
        ({**STATE, "b": 10**400}, OverflowError, "each number of 'b' must be"),
        ([STATE], TypeError, r"a state is a dict, as of state_dict\(\), not 'list'"),
    ],
)
def test_a_wrong_state_is_refused_and_changes_nothing(
    mg: Any, state: Any, error: type[Exception], text: str
) -> None:
    neuron = mg.Neuron(2)
    before = data(neuron)
    with pytest.raises(error, match=text):
        neuron.load_state_dict(state)
    assert data(neuron) == before


def test_without_strict_the_names_are_returned_and_the_rest_is_loaded(mg: Any) -> None:
    neuron = mg.Neuron(2)
    b = neuron.b.data
    keys = neuron.load_state_dict({"w": [1.0, 2.0], "c": 1.0}, strict=False)
    assert (keys.missing_keys, keys.unexpected_keys) == (["b"], ["c"])
    assert data(neuron) == [1.0, 2.0, b]


def test_without_strict_another_shape_is_still_refused(mg: Any) -> None:
    neuron = mg.Neuron(2)
    before = data(neuron)
    with pytest.raises(RuntimeError, match=r"'w' has the shape \(3,\), not the shape \(2,\)"):
        neuron.load_state_dict({"w": [1.0, 2.0, 3.0], "b": 0.0}, strict=False)
    assert data(neuron) == before
