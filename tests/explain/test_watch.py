"""Watch: what it records, and what it refuses."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

XS, Y = [[0.0, 0.0], [0.0, 1.0], [1.0, 0.0]], [-1.0, 1.0, 1.0]


def recorded(watch: Any) -> dict[str, Any]:
    """The data of a Watch's page."""
    found = re.search(r'id="data">(.*?)</script>', watch.html, re.DOTALL)
    assert found is not None
    data: dict[str, Any] = json.loads(found[1])
    return data


def step(mg: Any, model: Any, watch: Any, xs: Any = XS) -> float:
    loss = mg.mse([model(x) for x in xs], Y)
    model.zero_grad()
    loss.backward()
    watch(loss)
    return float(loss.data)


def test_a_step_has_loss_weights_and_gradients_as_they_are(mg: Any) -> None:
    model = mg.MLP(2, [3, 1])
    watch = mg.Watch(model, XS, Y)
    loss = step(mg, model, watch)
    (found,) = recorded(watch)["steps"]
    assert found["loss"] == loss
    numbers = [number for matrix in found["weights"] for number in matrix]
    assert numbers == pytest.approx([p.data for p in model.parameters()], rel=1e-3)
    numbers = [number for matrix in found["gradients"] for number in matrix]
    assert numbers == pytest.approx([p.grad for p in model.parameters()], rel=1e-3)


def test_a_layer_is_a_matrix_with_a_row_for_each_neuron(mg: Any) -> None:
    model = mg.MLP(2, [3, 1])
    watch = mg.Watch(model)
    watch(0.5)
    assert recorded(watch)["matrices"] == [
        {"name": "layers.0.neurons", "shape": [3, 3]},
        {"name": "layers.1.neurons", "shape": [1, 4]},
    ]


def test_an_embedding_is_a_matrix(mg: Any) -> None:
    watch = mg.Watch(mg.Embedding(5, 2))
    watch(0.5)
    assert [matrix["shape"] for matrix in recorded(watch)["matrices"]] == [[5, 2]]


def test_the_plane_has_the_networks_outputs_from_left_to_right_from_below(mg: Any) -> None:
    model = mg.MLP(2, [3, 1])
    watch = mg.Watch(model, XS, Y)
    step(mg, model, watch)
    data = recorded(watch)
    plane, [[x0, x1], [y0, y1]] = data["steps"][0]["plane"], data["ranges"]
    corners = [model([x, y]).data for y in (y0, y1) for x in (x0, x1)]
    assert [plane[0], plane[27], plane[-28], plane[-1]] == pytest.approx(corners, rel=1e-3)


def test_examples_on_their_side_are_counted(mg: Any) -> None:
    model = mg.MLP(2, [3, 1])
    watch = mg.Watch(model, XS, Y)
    step(mg, model, watch)
    right = sum((model(x).data > 0) == (y > 0) for x, y in zip(XS, Y))
    assert recorded(watch)["steps"][0]["right"] == right


def test_of_every_k_calls_one_is_recorded(mg: Any) -> None:
    watch = mg.Watch(mg.MLP(2, [1]), every=3)
    for i in range(7):
        watch(float(i))
    assert [s["step"] for s in recorded(watch)["steps"]] == [0, 3, 6]


def test_recording_leaves_no_nodes_and_changes_no_gradient(mg: Any) -> None:
    model = mg.MLP(2, [3, 1])
    watch = mg.Watch(model, XS, Y)
    step(mg, model, watch)
    before = mg.engine.statistics().nodes, [p.grad for p in model.parameters()]
    watch(0.0)
    assert (mg.engine.statistics().nodes, [p.grad for p in model.parameters()]) == before


def test_a_loss_that_is_no_finite_number_is_recorded_as_text(mg: Any) -> None:
    watch = mg.Watch(mg.MLP(2, [1]))
    watch(float("nan"))
    assert recorded(watch)["steps"][0]["loss"] == "nan"


def test_a_page_before_the_first_step_is_a_value_error(mg: Any) -> None:
    with pytest.raises(ValueError, match="nothing has been recorded"):
        _ = mg.Watch(mg.MLP(2, [1])).html


def test_a_model_that_is_no_module_is_a_type_error_naming_its_type(mg: Any) -> None:
    with pytest.raises(TypeError, match=r"a Module.*'function'"):
        mg.Watch(lambda x: x)


def test_a_loss_that_is_no_number_is_a_type_error(mg: Any) -> None:
    with pytest.raises(TypeError, match="the loss must be a real number"):
        mg.Watch(mg.MLP(2, [1]))("0.5")


def test_examples_of_three_numbers_are_a_value_error_that_says_so(mg: Any) -> None:
    with pytest.raises(ValueError, match="two inputs, and examples have 3"):
        mg.Watch(mg.MLP(3, [1]), [[1.0, 2.0, 3.0]])


def test_more_targets_than_examples_are_a_value_error(mg: Any) -> None:
    with pytest.raises(ValueError, match="4 targets for 3 examples"):
        mg.Watch(mg.MLP(2, [1]), XS, [*Y, 1.0])


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
@pytest.mark.parametrize("name", ["X", "y", "level"])
def test_numbers_that_are_not_finite_are_a_value_error_naming_them(
    mg: Any, name: str, number: float
) -> None:
    given: dict[str, Any] = {"X": [[0.0, 1.0]], "y": [1.0], "level": 0.5}
    given[name] = {"X": [[0.0, number]], "y": [number], "level": number}[name]
    with pytest.raises(ValueError, match=f"{name} must be finite, not {number}"):
        mg.Watch(mg.MLP(2, [1]), **given)


@pytest.mark.parametrize("target", [1.0, -1.0])
def test_examples_of_one_class_are_on_the_side_of_their_target(mg: Any, target: float) -> None:
    model = mg.MLP(2, [1])
    watch = mg.Watch(model, XS, [target] * 3)
    watch(0.0)
    right = sum((model(x).data > 0) == (target > 0) for x in XS)
    data = recorded(watch)
    assert (data["steps"][0]["right"], data["middle"]) == (right, 0.0)


def test_rows_of_several_lengths_are_filled_up(mg: Any) -> None:
    class Two(mg.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            self.neurons = [mg.Neuron(1), mg.Neuron(2)]

        def parameters(self) -> list[Any]:
            return [p for neuron in self.neurons for p in neuron.parameters()]

    watch = mg.Watch(Two())
    watch(0.0)
    data = recorded(watch)
    assert data["matrices"] == [{"name": "neurons", "shape": [2, 3]}]
    assert data["steps"][0]["gradients"] == [[0.0, 0.0, None, 0.0, 0.0, 0.0]]


def test_a_boundary_of_two_outputs_is_a_value_error(mg: Any) -> None:
    watch = mg.Watch(mg.MLP(2, [2]), XS, Y)
    with pytest.raises(ValueError, match="a network of one output"):
        watch(0.0)
    assert repr(watch).startswith("<Watch of 0 steps")


def test_a_saved_page_is_the_page(mg: Any, tmp_path: Any) -> None:
    watch = mg.Watch(mg.MLP(2, [1]))
    watch(1.0)
    watch.save(tmp_path / "page.html")
    assert (tmp_path / "page.html").read_text(encoding="utf-8") == watch.html
