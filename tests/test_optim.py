"""The optimizers do what PyTorch's definitions say, step by step."""

from __future__ import annotations

import json
import math
import random
from array import array
from collections.abc import Callable
from typing import Any

import pytest

# ---- the published formulas, one parameter at a time ----


def sgd(lr: float, momentum: float = 0.0, weight_decay: float = 0.0) -> Callable[..., Any]:
    def update(p: float, g: float, t: int, memory: dict[str, float]) -> float:
        g = g + weight_decay * p
        b = g if t == 1 else momentum * memory["b"] + g
        memory["b"] = b
        return p - lr * b

    return update


def adam(
    lr: float,
    betas: tuple[float, float],
    eps: float,
    weight_decay: float,
    decoupled: bool,
) -> Callable[..., Any]:
    def update(p: float, g: float, t: int, memory: dict[str, float]) -> float:
        if decoupled:
            p = p - lr * weight_decay * p
        else:
            g = g + weight_decay * p
        m = memory["m"] = betas[0] * memory.get("m", 0.0) + (1 - betas[0]) * g
        v = memory["v"] = betas[1] * memory.get("v", 0.0) + (1 - betas[1]) * g * g
        m_hat = m / (1 - betas[0] ** t)
        v_hat = v / (1 - betas[1] ** t)
        return p - lr * m_hat / (math.sqrt(v_hat) + eps)

    return update


RULES = {
    "SGD": ({"lr": 0.1}, sgd(0.1)),
    "SGD with momentum": ({"lr": 0.1, "momentum": 0.9}, sgd(0.1, 0.9)),
    "SGD with decay": (
        {"lr": 0.1, "momentum": 0.5, "weight_decay": 0.3},
        sgd(0.1, 0.5, 0.3),
    ),
    "Adam": ({}, adam(0.001, (0.9, 0.999), 1e-8, 0.0, False)),
    "Adam with decay": (
        {"lr": 0.05, "betas": (0.8, 0.95), "eps": 1e-6, "weight_decay": 0.1},
        adam(0.05, (0.8, 0.95), 1e-6, 0.1, False),
    ),
    "AdamW": ({"lr": 0.05}, adam(0.05, (0.9, 0.999), 1e-8, 0.01, True)),
    "AdamW with decay": (
        {"lr": 0.05, "betas": (0.8, 0.95), "weight_decay": 0.2},
        adam(0.05, (0.8, 0.95), 1e-8, 0.2, True),
    ),
}


def make(mg: Any, rule: str, params: Any) -> Any:
    return getattr(mg.optim, rule.split()[0])(params, **RULES[rule][0])


@pytest.mark.parametrize("rule", RULES)
def test_a_hundred_steps_follow_the_published_formula(mg: Any, rule: str) -> None:
    draw = random.Random(rule)
    numbers = [draw.uniform(-2, 2) for _ in range(5)]
    params = [mg.Value(x) for x in numbers]
    memories: list[dict[str, float]] = [{} for _ in params]
    optimizer = make(mg, rule, params)
    for t in range(1, 101):
        grads = [draw.gauss(0, 1) for _ in params]
        for p, g in zip(params, grads):
            p.grad = g
        optimizer.step()
        numbers = [
            RULES[rule][1](x, g, t, memory) for x, g, memory in zip(numbers, grads, memories)
        ]
        assert [p.data for p in params] == pytest.approx(numbers, rel=1e-12, abs=1e-12)


@pytest.mark.parametrize("rule", RULES)
def test_a_loaded_state_goes_on_as_the_saved_one(mg: Any, rule: str) -> None:
    def steps(optimizer: Any, params: Any, draw: random.Random) -> list[float]:
        for _ in range(5):
            for p in params:
                p.grad = draw.gauss(0, 1)
            optimizer.step()
        return [p.data for p in params]

    params = [mg.Value(float(i)) for i in range(3)]
    optimizer = make(mg, rule, params)
    steps(optimizer, params, random.Random(1))
    copies = [mg.Value(p.data) for p in params]
    other = make(mg, rule, copies)
    other.load_state_dict(optimizer.state_dict())
    assert steps(optimizer, params, random.Random(2)) == steps(other, copies, random.Random(2))


@pytest.mark.parametrize("rule", RULES)
def test_an_assigned_learning_rate_is_the_next_step_s(mg: Any, rule: str) -> None:
    p = mg.Value(1.0)
    optimizer = make(mg, rule, [p])
    optimizer.lr = 0.0
    p.grad = 1.0
    optimizer.step()
    assert p.data == 1.0


def test_zero_grad_clears_every_gradient(mg: Any) -> None:
    params = [mg.Value(1.0), mg.Value(2.0)]
    for p in params:
        p.grad = 3.0
    mg.optim.SGD(params).zero_grad()
    assert [p.grad for p in params] == [0.0, 0.0]


def test_a_state_for_another_number_of_parameters_is_refused_and_changes_nothing(mg: Any) -> None:
    optimizer = mg.optim.Adam([mg.Value(1.0)])
    state = mg.optim.Adam([mg.Value(1.0), mg.Value(2.0)], lr=0.5).state_dict()
    with pytest.raises(ValueError, match="2 parameters"):
        optimizer.load_state_dict(state)
    assert optimizer.lr == 0.001


@pytest.mark.parametrize(
    ("wrong", "error", "text"),
    [
        ({"lr": "x"}, TypeError, "lr must be a real number, not 'str'"),
        ({"lr": None}, TypeError, "lr must be a real number, not 'NoneType'"),
        ({"lr": -1.0}, ValueError, "lr must not be negative"),
        ({"betas": (0.9, "x")}, TypeError, "each of betas must be a real number"),
        ({"betas": (0.9,)}, ValueError, "betas must be two numbers"),
        ({"betas": 0.9}, TypeError, "betas must be two numbers, not 'float'"),
        ({"steps": -1}, ValueError, "steps must not be negative"),
        ({"steps": 1.5}, TypeError, "steps must be an integer, not 'float'"),
        ({"steps": None}, TypeError, "steps must be an integer, not 'NoneType'"),
        ({"steps": 2**53 + 1}, ValueError, r"steps must be at most 2\*\*53"),
        ({"steps": 10**400}, ValueError, r"steps must be at most 2\*\*53"),
        ({"steps": 10**5000}, ValueError, r"steps must be at most 2\*\*53"),
        ({"lr": 10**400}, OverflowError, "lr must be a number that a float can hold"),
        ({"m": ["x"]}, TypeError, "each of m must be a real number, not 'str'"),
        ({"m": [10**400]}, OverflowError, "each of m must be a number that a float can hold"),
        ({"m": None}, TypeError, "m must be a list of numbers, not 'NoneType'"),
        ({"v": 3.0}, TypeError, "v must be a list of numbers, not 'float'"),
    ],
)
def test_a_state_with_a_wrong_entry_is_refused_and_changes_nothing(
    mg: Any, wrong: dict[str, Any], error: type[Exception], text: str
) -> None:
    optimizer = mg.optim.Adam([mg.Value(1.0)], lr=0.5)
    before = optimizer.state_dict()
    with pytest.raises(error, match=text):
        optimizer.load_state_dict({**before, "eps": 1e-4, **wrong})
    assert optimizer.state_dict() == before


@pytest.mark.parametrize("state", [None, 5, [], "lr"], ids=repr)
def test_a_state_that_is_no_dict_is_a_type_error_naming_its_type(mg: Any, state: Any) -> None:
    with pytest.raises(TypeError, match=f"a state is a dict.*, not '{type(state).__name__}'"):
        mg.optim.Adam([mg.Value(1.0)]).load_state_dict(state)


def test_a_count_of_2_to_the_53_steps_is_loaded(mg: Any) -> None:
    optimizer = mg.optim.Adam([mg.Value(1.0)])
    optimizer.load_state_dict({**optimizer.state_dict(), "steps": 2**53})
    assert optimizer.steps == 2**53


def test_a_state_of_another_optimizer_is_refused_by_name(mg: Any) -> None:
    state = mg.optim.SGD([mg.Value(1.0)]).state_dict()
    with pytest.raises(KeyError, match="no state of Adam: it has no 'betas'"):
        mg.optim.Adam([mg.Value(1.0)]).load_state_dict(state)


@pytest.mark.parametrize("rule", RULES)
def test_a_state_is_the_same_after_json(mg: Any, rule: str) -> None:
    params = [mg.Value(1.0), mg.Value(2.0)]
    optimizer = make(mg, rule, params)
    params[1].grad = 0.3
    optimizer.step()
    other = make(mg, rule, params)
    other.load_state_dict(json.loads(json.dumps(optimizer.state_dict())))
    assert other.state_dict() == optimizer.state_dict()


@pytest.mark.parametrize("wrong", ["model", "value"])
def test_a_model_or_a_value_in_place_of_parameters_is_refused(mg: Any, wrong: str) -> None:
    params = {"model": mg.MLP(1, [1]), "value": mg.Value(1.0)}[wrong]
    with pytest.raises(TypeError, match=r"such as model\.parameters\(\), not '(MLP|Value)'"):
        mg.optim.SGD(params)


@pytest.mark.parametrize("rule", RULES)
def test_a_parameter_given_twice_is_stepped_once(mg: Any, rule: str) -> None:
    params = [mg.Value(1.0), mg.Value(2.0)]
    alone = [mg.Value(1.0), mg.Value(2.0)]
    for p in (*params, *alone):
        p.grad = 0.5
    make(mg, rule, [params[0], params[1], params[0]]).step()
    make(mg, rule, alone).step()
    assert [p.data for p in params] == [p.data for p in alone]


def test_the_parameters_of_two_models_that_share_a_layer_are_each_stepped_once(mg: Any) -> None:
    first, second = mg.MLP(2, [2, 1]), mg.MLP(2, [2, 1])
    second.layers[0] = first.layers[0]
    optimizer = mg.optim.SGD(first.parameters() + second.parameters(), lr=1.0)
    assert len(optimizer.params) == 6 + 3 + 3


def test_equal_parameters_are_not_the_same(mg: Any) -> None:
    class Equal(mg.Value):  # type: ignore[misc,name-defined]
        def __eq__(self, other: object) -> bool:
            return True

        def __hash__(self) -> int:
            return 0

    assert len(mg.optim.SGD([Equal(1.0), Equal(1.0)]).params) == 2


@pytest.mark.parametrize(
    "make_result",
    [
        lambda mg: mg.Value(0.5) * 0.1,
        lambda mg: mg.Value(1.0, (mg.Value(2.0),), "mine"),
        lambda mg: mg.MLP(1, [1])([1.0]),
    ],
    ids=["product", "custom", "output"],
)
def test_the_result_of_an_operation_is_no_parameter(mg: Any, make_result: Any) -> None:
    result = make_result(mg)
    with pytest.raises(ValueError, match="parameters must be leaves") as raised:
        mg.optim.SGD([mg.Value(1.0), result])
    assert repr(result) in str(raised.value)


def test_a_product_without_recording_is_a_parameter(mg: Any) -> None:
    with mg.no_grad():
        w = mg.Value(0.5) * 0.1
    assert mg.optim.SGD([w]).params == (w,)


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda mg: mg.optim.SGD([]), ValueError),
        (lambda mg: mg.optim.SGD([mg.Value(1.0)], lr="0.1"), TypeError),
        (lambda mg: mg.optim.Adam([mg.Value(1.0)], betas=(None, 0.9)), TypeError),
        (lambda mg: mg.optim.SGD([1.0]), TypeError),
        (lambda mg: mg.optim.SGD([mg.Value(1.0)], lr=-1.0), ValueError),
        (lambda mg: mg.optim.SGD([mg.Value(1.0)], momentum=float("nan")), ValueError),
        (lambda mg: mg.optim.Adam([mg.Value(1.0)], betas=(1.0, 0.9)), ValueError),
        (lambda mg: mg.optim.Adam([mg.Value(1.0)], eps=-1e-8), ValueError),
        (lambda mg: mg.optim.AdamW([mg.Value(1.0)], weight_decay=-0.1), ValueError),
    ],
)
def test_bad_arguments_are_refused(mg: Any, call: Any, error: Any) -> None:
    with pytest.raises(error):
        call(mg)


def test_training_with_adamw_lowers_the_loss(mg: Any) -> None:
    random.seed(0)
    model = mg.MLP(2, [4, 1])
    points = [([0.0, 1.0], 1.0), ([1.0, 0.0], -1.0)]
    optimizer = mg.optim.AdamW(model.parameters(), lr=0.05)
    losses = []
    for _ in range(30):
        loss = mg.mse([model(x) for x, _ in points], [y for _, y in points])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.data)
    assert losses[-1] < 0.2 * losses[0]


def test_betas_are_two_numbers_at_each_step(mg: Any) -> None:
    p = mg.Value(1.0)
    optimizer = mg.optim.Adam([p])
    optimizer.betas = (0.9,)
    with pytest.raises(ValueError, match="unpack"):
        optimizer.step()
    assert (p.data, optimizer.steps) == (1.0, 0)


@pytest.mark.parametrize("name", ["buffer", "m", "v"])
@pytest.mark.parametrize(
    ("numbers", "error"),
    [
        (array("f", [0.0, 0.0]), ValueError),
        (array("q", [0, 0]), ValueError),
        (array("d", [0.0]), ValueError),
        (bytearray(16), ValueError),
        (memoryview(bytearray(32)).cast("d")[::2], (ValueError, BufferError)),
        (memoryview(bytes(16)).cast("d"), BufferError),
        ([0.0, 0.0], TypeError),
    ],
)
def test_a_memory_that_is_no_array_of_as_many_doubles_is_refused(
    mg: Any, name: str, numbers: Any, error: Any
) -> None:
    params = [mg.Value(1.0), mg.Value(2.0)]
    optimizer = (mg.optim.SGD if name == "buffer" else mg.optim.Adam)(params)
    setattr(optimizer, name, numbers)
    with pytest.raises(error):
        optimizer.step()
    assert [p.data for p in params] == [1.0, 2.0]
