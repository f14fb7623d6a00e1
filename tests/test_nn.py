"""Neuron, Layer and MLP: the lecture's classes, its random numbers, and clear errors."""

from __future__ import annotations

import io
import pickle
import random
from typing import Any

import pytest
from conftest import collect

NAMES = ["tanh", "relu", "sigmoid", "exp", "log", "sin", "cos", "sqrt", "softplus", "gelu", "silu"]
EXAMPLES = [[2.0, 3.0, -1.0], [3.0, -1.0, 0.5], [0.5, 1.0, 1.0], [1.0, 1.0, -1.0]]
TARGETS = [1.0, -1.0, -1.0, 1.0]


def drawn_by_hand(mg: Any, nin: int, nouts: list[int]) -> list[list[tuple[list[Any], Any]]]:
    """The (weights, bias) of each neuron of each layer, drawn as the lecture does."""
    layers = []
    for inputs, outputs in zip([nin, *nouts], nouts):
        layer = []
        for _ in range(outputs):
            w = [mg.Value(random.uniform(-1, 1)) for _ in range(inputs)]
            layer.append((w, mg.Value(random.uniform(-1, 1))))
        layers.append(layer)
    return layers


def forward_by_hand(layers: list[list[tuple[list[Any], Any]]], x: list[Any]) -> list[Any]:
    for layer in layers:
        x = [sum((wi * xi for wi, xi in zip(w, x)), b).tanh() for w, b in layer]
    return x


def parameters_by_hand(layers: list[list[tuple[list[Any], Any]]]) -> list[Any]:
    return [p for layer in layers for w, b in layer for p in [*w, b]]


def data(values: list[Any]) -> list[float]:
    return [value.data for value in values]


def test_a_seeded_network_has_the_parameters_drawn_by_hand_in_the_same_order(mg: Any) -> None:
    random.seed(1337)
    by_hand = drawn_by_hand(mg, 3, [4, 4, 1])
    random.seed(1337)
    model = mg.MLP(3, [4, 4, 1])
    assert data(model.parameters()) == data(parameters_by_hand(by_hand))


def test_drawing_a_network_leaves_the_generator_where_drawing_by_hand_does(mg: Any) -> None:
    random.seed(5)
    drawn_by_hand(mg, 2, [2, 1, 2])
    next_by_hand = random.random()
    random.seed(5)
    mg.MLP(2, [2, 1, 2], activation=["relu", None, "abs"])
    assert random.random() == next_by_hand


def test_outputs_are_those_of_the_sum_written_by_hand(mg: Any) -> None:
    random.seed(1337)
    by_hand = drawn_by_hand(mg, 3, [4, 4, 2])
    random.seed(1337)
    model = mg.MLP(3, [4, 4, 2])
    for x in EXAMPLES:
        assert data(model(x)) == data(forward_by_hand(by_hand, x))


def test_gradients_are_those_of_the_sum_written_by_hand(mg: Any) -> None:
    random.seed(1337)
    by_hand = drawn_by_hand(mg, 3, [4, 4, 1])
    random.seed(1337)
    model = mg.MLP(3, [4, 4, 1])
    forward_by_hand(by_hand, EXAMPLES[0])[0].backward()
    model(EXAMPLES[0]).backward()
    assert [p.grad for p in model.parameters()] == [p.grad for p in parameters_by_hand(by_hand)]


def test_the_sum_starts_with_the_bias_and_the_first_product(mg: Any) -> None:
    neuron = mg.Neuron(1)
    x = mg.Value(2.0)
    (total,) = neuron([x])._prev
    bias, product = total._prev
    assert (bias is neuron.b, list(product._prev)) == (True, [neuron.w[0], x])


def test_weights_and_bias_are_labelled(mg: Any) -> None:
    assert [p.label for p in mg.Neuron(3).parameters()] == ["w0", "w1", "w2", "b"]


@pytest.mark.parametrize("activation", ["tanh", None])
def test_the_output_is_labelled_out(mg: Any, activation: str | None) -> None:
    assert mg.Neuron(2, activation)([1.0, 2.0]).label == "out"


@pytest.mark.parametrize("name", NAMES)
def test_an_activation_is_the_method_of_that_name(mg: Any, name: str) -> None:
    neuron = mg.Neuron(1, activation=name)
    neuron.w[0].data, neuron.b.data = 0.5, 0.25
    assert neuron([1.0]).data == getattr(mg.Value(0.75), name)().data


def test_the_activation_abs_is_the_absolute_value(mg: Any) -> None:
    neuron = mg.Neuron(1, activation="abs")
    neuron.w[0].data, neuron.b.data = -1.0, 0.25
    assert neuron([1.0]).data == 0.75


def test_the_activation_none_leaves_the_sum_as_it_is(mg: Any) -> None:
    neuron = mg.Neuron(1, activation=None)
    neuron.w[0].data, neuron.b.data = -3.0, 0.25
    out = neuron([2.0])
    assert (out.data, out._op) == (-5.75, "+")


def test_the_activation_is_tanh_unless_said_otherwise(mg: Any) -> None:
    assert [out._op for out in mg.MLP(2, [3, 2])([1.0, 2.0])] == ["tanh", "tanh"]


@pytest.mark.parametrize("kind", ["Neuron", "Layer", "MLP"])
def test_an_unknown_activation_is_a_value_error_that_names_the_choices(mg: Any, kind: str) -> None:
    arguments = {"Neuron": (2,), "Layer": (2, 2), "MLP": (2, [2])}[kind]
    with pytest.raises(ValueError, match="swish") as caught:
        getattr(mg, kind)(*arguments, activation="swish")
    assert all(repr(name) in str(caught.value) for name in [*NAMES, "abs", None])


def test_one_activation_given_to_a_network_is_that_of_every_layer(mg: Any) -> None:
    model = mg.MLP(2, [3, 2], activation="relu")
    assert [n.activation for layer in model.layers for n in layer.neurons] == ["relu"] * 5


def test_a_list_of_activations_gives_each_layer_its_own(mg: Any) -> None:
    model = mg.MLP(2, [2, 1], activation=["relu", None])
    assert [n.activation for layer in model.layers for n in layer.neurons] == ["relu"] * 2 + [None]


def test_a_list_of_activations_of_another_length_is_a_value_error_naming_both(mg: Any) -> None:
    with pytest.raises(ValueError, match="2 activations for 3 layers"):
        mg.MLP(2, [4, 4, 1], activation=["relu", None])


@pytest.mark.parametrize("count", [0, 2, 4])
@pytest.mark.parametrize("kind", ["Neuron", "Layer", "MLP"])
def test_a_wrong_number_of_inputs_is_a_value_error_naming_both(
    mg: Any, kind: str, count: int
) -> None:
    model = {
        "Neuron": mg.Neuron,
        "Layer": lambda n: mg.Layer(n, 2),
        "MLP": lambda n: mg.MLP(n, [2]),
    }
    with pytest.raises(ValueError, match=f"takes 3 inputs, got {count}"):
        model[kind](3)([1.0] * count)


@pytest.mark.parametrize("size", [0, -1])
def test_a_size_below_one_is_a_value_error_naming_it(mg: Any, size: int) -> None:
    for make in (
        lambda: mg.Neuron(size),
        lambda: mg.Layer(size, 2),
        lambda: mg.Layer(2, size),
        lambda: mg.MLP(size, [2]),
        lambda: mg.MLP(2, [2, size]),
    ):
        with pytest.raises(ValueError, match=f"at least 1, not {size}"):
            make()


@pytest.mark.parametrize("size", [2.0, "2", None])
def test_a_size_that_is_no_integer_is_a_type_error_naming_the_type(mg: Any, size: Any) -> None:
    for make in (
        lambda: mg.Neuron(size),
        lambda: mg.Layer(size, 2),
        lambda: mg.Layer(2, size),
        lambda: mg.MLP(size, [2]),
        lambda: mg.MLP(2, [2, size]),
    ):
        with pytest.raises(TypeError, match=f"must be an integer, not {type(size).__name__}"):
            make()


def test_a_network_without_layers_is_a_value_error(mg: Any) -> None:
    with pytest.raises(ValueError, match="nouts is empty"):
        mg.MLP(3, [])


@pytest.mark.parametrize("nouts", [4, 4.0, None], ids=repr)
def test_one_size_in_place_of_the_list_is_a_type_error(mg: Any, nouts: Any) -> None:
    with pytest.raises(TypeError, match="nouts must be a list of sizes"):
        mg.MLP(3, nouts)


@pytest.mark.parametrize(
    "arguments",
    [(2, [2, 0]), (2, [2, 2.0]), (2, [2, 2], ["tanh", "swish"]), (2, [2], ["a", "b"])],
)
def test_a_network_that_cannot_be_made_draws_no_random_number(mg: Any, arguments: Any) -> None:
    before = random.getstate()
    with pytest.raises((ValueError, TypeError)):
        mg.MLP(*arguments)
    assert random.getstate() == before


def test_inputs_may_be_values_and_numbers_mixed(mg: Any) -> None:
    neuron = mg.Neuron(3)
    assert neuron((mg.Value(1.0), 2, 0.5)).data == neuron([1.0, 2.0, 0.5]).data


def test_a_numpy_row_gives_what_the_list_of_its_numbers_gives(mg: Any) -> None:
    numpy = pytest.importorskip("numpy")
    model = mg.MLP(3, [4, 2])
    rows = numpy.array(EXAMPLES)
    assert [data(model(row)) for row in rows] == [data(model(row)) for row in EXAMPLES]


def test_sizes_may_be_numpy_integers(mg: Any) -> None:
    numpy = pytest.importorskip("numpy")
    assert len(mg.MLP(numpy.int64(3), numpy.array([4, 4, 1])).parameters()) == 41


def test_a_layer_of_one_neuron_returns_the_value_itself(mg: Any) -> None:
    assert isinstance(mg.Layer(2, 1)([1.0, 2.0]), mg.Value)


def test_a_layer_of_several_neurons_returns_a_list_of_values(mg: Any) -> None:
    out = mg.Layer(2, 3)([1.0, 2.0])
    assert (type(out), [type(value) for value in out]) == (list, [mg.Value] * 3)


def test_a_layer_reads_the_value_of_a_layer_of_one_neuron(mg: Any) -> None:
    model = mg.MLP(1, [1, 1, 2])
    by_hand = [2.0]
    for layer in model.layers:
        by_hand = [neuron(by_hand) for neuron in layer.neurons]
    assert data(model([2.0])) == data(by_hand)


def test_a_network_of_one_input_takes_a_value_alone(mg: Any) -> None:
    model = mg.MLP(1, [2])
    assert data(model(mg.Value(2.0))) == data(model([2.0]))


def test_a_module_has_no_parameters_of_its_own(mg: Any) -> None:
    assert mg.Module().parameters() == []


def test_the_parameters_of_a_network_are_those_of_its_neurons_in_order(mg: Any) -> None:
    model = mg.MLP(2, [2, 1])
    neurons = [neuron for layer in model.layers for neuron in layer.neurons]
    assert model.parameters() == [p for neuron in neurons for p in [*neuron.w, neuron.b]]


def test_zero_grad_sets_the_gradient_of_every_parameter_to_zero(mg: Any) -> None:
    model = mg.MLP(2, [2, 1], activation=None)
    for p in model.parameters():
        p.grad = 3.0
    model.zero_grad()
    assert [p.grad for p in model.parameters()] == [0.0] * 9


def test_zero_grad_of_a_module_of_ones_own_reads_its_parameters(mg: Any) -> None:
    class Scale(mg.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            self.factor = mg.Value(2.0)

        def parameters(self) -> list[Any]:
            return [self.factor]

    module = Scale()
    module.factor.grad = 1.0
    module.zero_grad()
    assert module.factor.grad == 0.0


def test_an_activation_assigned_later_is_the_one_that_is_used(mg: Any) -> None:
    neuron = mg.Neuron(1)
    neuron.activation = "relu"
    assert neuron([1.0])._op == "ReLU"


def test_a_neuron_reads_as_the_call_that_makes_it(mg: Any) -> None:
    assert repr(mg.Neuron(3)) == "Neuron(3, activation='tanh')"


def test_a_layer_reads_as_the_call_that_makes_it(mg: Any) -> None:
    assert repr(mg.Layer(3, 4, None)) == "Layer(3, 4, activation=None)"


def test_a_network_of_one_activation_reads_as_the_call_that_makes_it(mg: Any) -> None:
    assert repr(mg.MLP(3, [4, 4, 1])) == "MLP(3, [4, 4, 1], activation='tanh')"


def test_a_network_of_several_activations_reads_as_the_call_that_makes_it(mg: Any) -> None:
    model = mg.MLP(2, (16, 1), activation=("relu", None))
    assert repr(model) == "MLP(2, [16, 1], activation=['relu', None])"


def test_training_brings_the_loss_on_the_four_examples_down(mg: Any) -> None:
    random.seed(1337)
    model = mg.MLP(3, [4, 4, 1])
    losses = []
    for _ in range(20):
        loss = sum((model(x) - y) ** 2 for x, y in zip(EXAMPLES, TARGETS))
        model.zero_grad()
        loss.backward()
        for p in model.parameters():
            p.data += -0.05 * p.grad
        losses.append(loss.data)
    assert losses[-1] < 0.1 * losses[0]


def test_a_network_holds_nothing_but_its_values_that_could_not_be_pickled(mg: Any) -> None:
    values = []

    class Pickler(pickle.Pickler):
        def persistent_id(self, thing: Any) -> int | None:
            if not isinstance(thing, mg.Value):
                return None
            values.append(thing)
            return len(values) - 1

    class Unpickler(pickle.Unpickler):
        def persistent_load(self, number: int) -> Any:
            return values[number]

    model = mg.MLP(2, [3, 1], activation=["relu", None])
    file = io.BytesIO()
    Pickler(file).dump(model)
    file.seek(0)
    again = Unpickler(file).load()
    assert repr(again) == repr(model)
    assert again.parameters() == model.parameters()


def test_a_network_asks_layers_and_neurons_of_a_class_of_ones_own(mg: Any) -> None:
    class Doubled(mg.Layer):  # type: ignore[name-defined,misc]
        def __call__(self, x: Any) -> Any:
            return [2 * out for out in super().__call__(x)]

        def parameters(self) -> list[Any]:
            return [*super().parameters(), "one more"]

    class Constant(mg.Neuron):  # type: ignore[name-defined,misc]
        def __call__(self, x: Any) -> Any:
            return mg.Value(3.0)

    model = mg.MLP(2, [2, 2], activation=None)
    model.layers[0] = Doubled(2, 2, None)
    model.layers[1].neurons[0] = Constant(2, None)
    hidden = [2 * neuron([1.0, 2.0]) for neuron in model.layers[0].neurons]
    expected = model.layers[1].neurons[1](hidden).data
    assert [out.data for out in model([1.0, 2.0])] == [3.0, expected]
    assert len(model.parameters()) == 13
    assert model.parameters()[6] == "one more"


def test_the_nodes_between_layers_are_those_of_the_neurons(mg: Any) -> None:
    model = mg.MLP(2, [3, 1])
    out = model((mg.Value(1.0), 2.0))
    hidden = [v for v in mg.trace(out)[0] if v.label == "out" and v is not out]
    by_hand = [neuron([1.0, 2.0]).data for neuron in model.layers[0].neurons]
    assert sorted(v.data for v in hidden) == sorted(by_hand)
    assert all(v._op == "tanh" for v in hidden)


def test_a_network_within_no_grad_gives_a_labelled_leaf(mg: Any) -> None:
    model = mg.MLP(2, [3, 1])
    with mg.no_grad():
        out = model([1.0, 2.0])
    assert (out.data, out.label) == (model([1.0, 2.0]).data, "out")
    assert not out._prev


def test_the_labels_of_many_weights_and_of_outputs_are_no_state(mg: Any) -> None:
    model = mg.MLP(784, [2])
    labels = [*(f"w{i}" for i in range(784)), "b"]
    assert [p.label for p in model.parameters()] == 2 * labels
    for v in [*model.parameters(), *model([0.5] * 784)]:
        assert mg.engine.attributes(v) is None


def test_a_network_that_fails_half_way_leaves_no_node_behind(mg: Any) -> None:
    model = mg.MLP(2, [3, 2, 1])
    model.layers[1].neurons[1].w.pop()
    collect()
    before = mg.engine.statistics().nodes
    with pytest.raises(ValueError, match="takes 2 inputs, got 3"):
        model([1.0, 2.0])
    collect()
    assert mg.engine.statistics().nodes == before


@pytest.mark.parametrize("name", ["Neuron", "Layer"])
def test_method_put_on_a_class_later_is_called(
    mg: Any, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = mg.MLP(2, [3, 1])
    x = [0.5, -1.0]
    before, found = model(x), model.parameters()
    cls = getattr(mg, name)
    calls: list[Any] = []
    call, parameters = cls.__call__, cls.parameters
    monkeypatch.setattr(cls, "__call__", lambda self, x: calls.append(self) or call(self, x))
    monkeypatch.setattr(cls, "parameters", lambda self: calls.append(self) or parameters(self))
    assert model(x).data == before.data
    everyone = (
        model.layers if name == "Layer" else [n for layer in model.layers for n in layer.neurons]
    )
    assert calls == everyone
    assert model.parameters() == found
    assert calls == 2 * everyone


def outputs_by_hand(model: Any, x: list[Any]) -> Any:
    """Return what the neurons give, asked one by one."""
    for layer in model.layers:
        x = [neuron(x) for neuron in layer.neurons]
    return [out.data for out in x]


def test_attributes_set_anew_or_in_addition_are_read_where_they_are(mg: Any) -> None:
    model = mg.MLP(2, [3, 2])
    first, second, third = model.layers[0].neurons
    first.name = "first"
    del second.w
    second.w = [mg.Value(0.5), mg.Value(0.25)]  # the last in its dict now
    third.__dict__ = {"activation": None, "b": third.b, "w": tuple(third.w)}
    x = [0.5, -1.0]
    assert [out.data for out in model(x)] == outputs_by_hand(model, x)
    assert [out.data for out in model.layers[0](x)] == [n(x).data for n in (first, second, third)]
    assert model.parameters() == [
        p for layer in model.layers for n in layer.neurons for p in [*n.w, n.b]
    ]


def test_attributes_of_the_class_are_found(mg: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    model = mg.MLP(2, [3, 2])
    x = [0.5, -1.0]
    before = outputs_by_hand(model, x)
    assert [out.data for out in model(x)] == before
    monkeypatch.setattr(mg.Neuron, "activation", property(lambda self: "relu"), raising=False)
    assert [out.data for out in model(x)] == outputs_by_hand(model, x) != before
    monkeypatch.undo()
    assert [out.data for out in model(x)] == before
    for neuron in model.layers[0].neurons:
        del neuron.activation
    monkeypatch.setattr(mg.Neuron, "activation", "tanh", raising=False)
    assert [out.data for out in model(x)] == before


def test_a_missing_attribute_is_an_attribute_error(mg: Any) -> None:
    model = mg.MLP(2, [3, 2])
    del model.layers[1].neurons[0].b
    with pytest.raises(AttributeError, match="'Neuron' object has no attribute 'b'"):
        model([0.5, -1.0])
    with pytest.raises(AttributeError, match="'Neuron' object has no attribute 'b'"):
        model.parameters()


def test_parameters_put_on_one_neuron_are_asked_for(mg: Any) -> None:
    model = mg.MLP(2, [3, 2])
    neuron = model.layers[0].neurons[1]
    neuron.parameters = lambda: [neuron.b]
    assert len(model.parameters()) == len(mg.MLP(2, [3, 2]).parameters()) - 2


def test_a_batch_is_no_example(mg: Any) -> None:
    batch = [[0.0, 1.0], [2.0, 3.0]]
    for module in (mg.Neuron(2), mg.Layer(2, 3), mg.MLP(2, [3, 1])):
        with pytest.raises(TypeError, match="takes Values and real numbers, not 'list'"):
            module(batch)


@pytest.mark.parametrize("batch", [[[1.0, 2.0], [3.0, 4.0]], [[1.0, 2.0]], ((1.0, 2.0),) * 3])
def test_a_batch_is_told_to_come_one_example_at_a_time(mg: Any, batch: Any) -> None:
    for model in (mg.MLP(2, [3, 1]), mg.Layer(2, 3)):
        with pytest.raises(TypeError, match="one example at a time"):
            model(batch)
