"""The optimizers do what PyTorch's definitions say, step by step."""

from __future__ import annotations

import copy
import json
import math
import pickle
import random
import re
import weakref
from array import array
from collections.abc import Callable
from typing import Any

import pytest
import torch_numbers

# ---- the published formulas, one parameter at a time ----


def sgd(
    lr: float,
    momentum: float = 0.0,
    weight_decay: float = 0.0,
    dampening: float = 0.0,
    nesterov: bool = False,
) -> Callable[..., Any]:
    def update(p: float, g: float, t: int, memory: dict[str, float]) -> float:
        g = g + weight_decay * p
        b = g if t == 1 else momentum * memory["b"] + (1 - dampening) * g
        memory["b"] = b
        return p - lr * (g + momentum * b if nesterov else b)

    return update


def adam(
    lr: float,
    betas: tuple[float, float],
    eps: float,
    weight_decay: float,
    decoupled: bool,
    amsgrad: bool = False,
) -> Callable[..., Any]:
    def update(p: float, g: float, t: int, memory: dict[str, float]) -> float:
        if decoupled:
            p = p - lr * weight_decay * p
        else:
            g = g + weight_decay * p
        m = memory["m"] = betas[0] * memory.get("m", 0.0) + (1 - betas[0]) * g
        v = memory["v"] = betas[1] * memory.get("v", 0.0) + (1 - betas[1]) * g * g
        m_hat = m / (1 - betas[0] ** t)
        largest = memory["largest"] = max(v, memory.get("largest", 0.0))
        v_hat = (largest if amsgrad else v) / (1 - betas[1] ** t)
        return p - lr * m_hat / (math.sqrt(v_hat) + eps)

    return update


def rmsprop(
    lr: float, alpha: float, eps: float, weight_decay: float, momentum: float, centered: bool
) -> Callable[..., Any]:
    def update(p: float, g: float, t: int, memory: dict[str, float]) -> float:
        g = g + weight_decay * p
        s = memory["s"] = alpha * memory.get("s", 0.0) + (1 - alpha) * g * g
        mean = memory["mean"] = alpha * memory.get("mean", 0.0) + (1 - alpha) * g
        step = g / (math.sqrt(s - mean**2 if centered else s) + eps)
        b = memory["b"] = momentum * memory.get("b", 0.0) + step
        return p - lr * b

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
    "SGD with dampening": (
        {"lr": 0.1, "momentum": 0.9, "dampening": 0.4},
        sgd(0.1, 0.9, dampening=0.4),
    ),
    "SGD, Nesterov's": (
        {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.3, "nesterov": True},
        sgd(0.1, 0.9, 0.3, nesterov=True),
    ),
    "AdamW, amsgrad": (
        {"lr": 0.05, "betas": (0.8, 0.5), "amsgrad": True},
        adam(0.05, (0.8, 0.5), 1e-8, 0.01, True, True),
    ),
    "RMSprop": ({}, rmsprop(0.01, 0.99, 1e-8, 0.0, 0.0, False)),
    "RMSprop, centered, with momentum": (
        {"lr": 0.1, "alpha": 0.8, "weight_decay": 0.1, "momentum": 0.5, "centered": True},
        rmsprop(0.1, 0.8, 1e-8, 0.1, 0.5, True),
    ),
}


def make(mg: Any, rule: str, params: Any) -> Any:
    return getattr(mg.optim, re.split("[, ]", rule)[0])(params, **RULES[rule][0])


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
def test_a_step_of_many_parameters_is_that_of_each_alone(mg: Any, rule: str) -> None:
    draw = random.Random(rule)
    params = [mg.Value(draw.uniform(-2, 2)) for _ in range(131)]
    copies = [mg.Value(p.data) for p in params]
    optimizers = [make(mg, rule, params), *(make(mg, rule, [p]) for p in copies)]
    for _ in range(3):
        for p, twin in zip(params, copies):
            p.grad = twin.grad = draw.gauss(0, 1)
        for optimizer in optimizers:
            optimizer.step()
    assert [p.data for p in params] == [p.data for p in copies]


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


@pytest.mark.parametrize("name", ["SGD", "Adam", "AdamW", "RMSprop"])
def test_without_decay_an_infinite_parameter_stays_infinite(mg: Any, name: str) -> None:
    p = mg.Value(math.inf)
    optimizer = getattr(mg.optim, name)([p], lr=0.1, weight_decay=0.0)
    for _ in range(2):
        p.grad = 1.0
        optimizer.step()
    assert p.data == math.inf


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
        (lambda mg: mg.optim.SGD([mg.Value(1.0)], nesterov=True), ValueError),
        (
            lambda mg: mg.optim.SGD([mg.Value(1.0)], momentum=0.9, dampening=0.1, nesterov=True),
            ValueError,
        ),
        (lambda mg: mg.optim.SGD([mg.Value(1.0)], nesterov="no"), TypeError),
        (lambda mg: mg.optim.Adam([mg.Value(1.0)], amsgrad=1), TypeError),
        (lambda mg: mg.optim.RMSprop([mg.Value(1.0)], centered=None), TypeError),
        (lambda mg: mg.optim.RMSprop([mg.Value(1.0)], alpha=-0.1), ValueError),
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


@pytest.mark.parametrize("name", ["buffer", "m", "v", "largest"])
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


# ---- PyTorch's numbers ----


def train(optimizer: Any, params: Any) -> list[float]:
    """Take the steps of torch_numbers.py."""
    for _ in range(torch_numbers.STEPS):
        for p, g in zip(params, torch_numbers.gradients([p.data for p in params])):
            p.grad = g
        optimizer.step()
    return [p.data for p in params]


def near(expected: Any) -> Any:
    """The same but for last bits: torch fuses some products and sums."""
    return pytest.approx(expected, rel=1e-15, abs=1e-15)


@pytest.mark.parametrize("case", torch_numbers.OPTIMIZERS)
def test_steps_are_those_of_torch(mg: Any, case: str) -> None:
    kind, settings = torch_numbers.OPTIMIZERS[case]
    params = [mg.Value(x) for x in torch_numbers.START]
    numbers = train(getattr(mg.optim, kind)(params, **settings), params)
    assert numbers == near(torch_numbers.NUMBERS["optimizers"][case])


@pytest.mark.parametrize("kind", torch_numbers.GROUPS)
def test_steps_of_two_groups_are_those_of_torch(mg: Any, kind: str) -> None:
    case, own = torch_numbers.GROUPS[kind]
    params = [mg.Value(x) for x in torch_numbers.START]
    groups = [{"params": params[:2], **own}, {"params": params[2:]}]
    optimizer = getattr(mg.optim, kind)(groups, **torch_numbers.OPTIMIZERS[case][1])
    assert train(optimizer, params) == near(torch_numbers.NUMBERS["groups"][kind])


def test_clipped_gradients_are_those_of_torch(mg: Any) -> None:
    found = []
    for norm_type in torch_numbers.NORMS:
        for limit in torch_numbers.LIMITS:
            params = with_grads(mg, torch_numbers.gradients(torch_numbers.START))
            norm = mg.optim.clip_grad_norm(params, limit, norm_type)
            found.append([norm, [p.grad for p in params]])
    expected = torch_numbers.NUMBERS["clipped"]
    assert [norm for norm, _ in found] == near([norm for norm, _ in expected])
    for (_, grads), (_, others) in zip(found, expected):
        assert grads == near(others)


@pytest.mark.parametrize("rule", RULES)
def test_backends_take_the_same_steps_to_the_last_bit(packages: list[Any], rule: str) -> None:
    found = []
    for package in packages:
        params = [package.Value(x) for x in torch_numbers.START]
        found.append(train(make(package, rule, params), params))
    assert found == found[:1] * len(found)


# ---- groups ----


def test_a_group_has_the_settings_it_gives_and_the_constructor_s_else(mg: Any) -> None:
    a, b = mg.Value(1.0), mg.Value(1.0)
    optimizer = mg.optim.SGD([{"params": [a], "lr": 0.5}, {"params": [b]}], lr=0.1, momentum=0.9)
    assert [group["params"] for group in optimizer.param_groups] == [(a,), (b,)]
    assert [group["lr"] for group in optimizer.param_groups] == [0.5, 0.1]
    assert optimizer.momentum == 0.9
    assert optimizer.params == (a, b)


def test_a_setting_is_assigned_to_all_groups_or_to_one(mg: Any) -> None:
    a, b = mg.Value(1.0), mg.Value(1.0)
    optimizer = mg.optim.SGD([{"params": [a]}, {"params": [b]}])
    optimizer.lr = 0.5
    optimizer.param_groups[1]["lr"] = 0.25
    a.grad = b.grad = 1.0
    optimizer.step()
    assert (a.data, b.data) == (0.5, 0.75)


def test_a_setting_in_which_groups_differ_is_no_attribute(mg: Any) -> None:
    groups = [{"params": [mg.Value(1.0)], "lr": lr} for lr in (0.1, 0.2)]
    optimizer = mg.optim.SGD(groups)
    with pytest.raises(AttributeError, match=r"differ in lr: read .*param_groups\[i\]\['lr'\]"):
        _ = optimizer.lr
    with pytest.raises(AttributeError, match=r"each group has its buffer"):
        _ = optimizer.buffer
    optimizer.lr = 0.3
    assert optimizer.lr == 0.3


def test_zero_grad_clears_all_groups(mg: Any) -> None:
    params = with_grads(mg, [1.0, 2.0])
    mg.optim.SGD([{"params": [p]} for p in params]).zero_grad()
    assert [p.grad for p in params] == [0.0, 0.0]


def test_an_added_group_starts_with_its_own_first_step(mg: Any) -> None:
    a, b, alone = with_grads(mg, [0.5, 0.25, 0.25])
    optimizer = mg.optim.Adam([a], lr=0.1)
    optimizer.step()
    optimizer.add_param_group({"params": [b], "lr": 0.2})
    optimizer.step()
    mg.optim.Adam([alone], lr=0.2).step()
    assert [group["steps"] for group in optimizer.param_groups] == [2, 1]
    assert b.data == alone.data


@pytest.mark.parametrize(
    ("group", "error", "text"),
    [
        (lambda mg, a: [mg.Value(1.0)], TypeError, "a group must be a dict, .* not 'list'"),
        (lambda mg, a: {"lr": 0.1}, KeyError, 'a group must have "params"'),
        (lambda mg, a: {"params": [a]}, ValueError, "a parameter is in two groups: Value"),
        (lambda mg, a: {"params": []}, ValueError, "at least one parameter, and so does each"),
        (lambda mg, a: {"params": mg.Value(1.0)}, TypeError, "an iterable of Values"),
        (lambda mg, a: {"params": [mg.Value(1.0)], "lr": "x"}, TypeError, "lr must be a real"),
        (lambda mg, a: {"params": [mg.Value(1.0)], "lr": -1}, ValueError, "lr must not be neg"),
        (
            lambda mg, a: {"params": [mg.Value(1.0)], "rate": 1.0},
            TypeError,
            "SGD has no setting 'rate': it has 'lr', 'momentum'",
        ),
    ],
)
def test_a_wrong_group_is_refused_and_changes_nothing(
    mg: Any, group: Any, error: type[Exception], text: str
) -> None:
    a = mg.Value(1.0)
    optimizer = mg.optim.SGD([a])
    with pytest.raises(error, match=text):
        optimizer.add_param_group(group(mg, a))
    assert len(optimizer.param_groups) == 1
    with pytest.raises(error, match=text):
        mg.optim.SGD([{"params": [a]}, group(mg, a)])


def test_one_group_given_without_a_list_is_a_type_error(mg: Any) -> None:
    with pytest.raises(TypeError, match=r"parameters must be an iterable of Values, .* not 'dict'"):
        mg.optim.SGD({"params": [mg.Value(1.0)]})


@pytest.mark.parametrize(
    "wrong",
    [{"lr": "x"}, {"buffer": array("d")}, {"params": (1.0,)}, {"params": ()}],
    ids=["number", "memory", "parameter", "none"],
)
def test_no_group_makes_a_step_where_one_cannot(mg: Any, wrong: dict[str, Any]) -> None:
    params = with_grads(mg, [1.0, 2.0])
    optimizer = mg.optim.SGD([{"params": [p]} for p in params], momentum=0.9)
    before = optimizer.state_dict()
    optimizer.param_groups[1].update(wrong)
    with pytest.raises((TypeError, ValueError, AttributeError)):
        optimizer.step()
    assert [p.data for p in params] == [0.0, 0.0]
    assert optimizer._state(optimizer.param_groups[0]) == before["param_groups"][0]


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("way", ["state", "json", "pickle", "deepcopy"])
def test_groups_go_on_where_they_were_saved(mg: Any, rule: str, way: str) -> None:
    def build() -> Any:
        params = [mg.Value(x) for x in torch_numbers.START]
        groups = [{"params": params[:1]}, {"params": params[1:], "lr": 0.03}]
        return make(mg, rule, groups)

    optimizer = build()
    train(optimizer, optimizer.params)
    if way == "pickle":
        other = pickle.loads(pickle.dumps(optimizer))
    elif way == "deepcopy":
        other = copy.deepcopy(optimizer)
    else:
        state = optimizer.state_dict()
        other = build()
        other.load_state_dict(state if way == "state" else json.loads(json.dumps(state)))
        for p, q in zip(optimizer.params, other.params):
            q.data = p.data
    assert not {*map(id, optimizer.params)} & {*map(id, other.params)}
    assert other.state_dict() == optimizer.state_dict()
    assert train(other, other.params) == train(optimizer, optimizer.params)


@pytest.mark.parametrize(
    ("wrong", "error", "text"),
    [
        ({"lr": 0.1}, KeyError, "it has no 'momentum'"),
        ({"param_groups": []}, ValueError, "has 0 groups of parameters, this optimizer has 2"),
        ({"param_groups": 5}, TypeError, "param_groups must be a list, not 'int'"),
        ({"param_groups": [{}, {}]}, KeyError, "it has no 'lr'"),
        ({"param_groups": [None, None]}, TypeError, "a group's state is a dict, not 'NoneType'"),
    ],
)
def test_a_wrong_state_of_groups_is_refused_and_changes_nothing(
    mg: Any, wrong: Any, error: type[Exception], text: str
) -> None:
    optimizer = mg.optim.SGD([{"params": [mg.Value(1.0)]}, {"params": [mg.Value(1.0)]}])
    if "lr" in wrong:
        wrong = {"param_groups": [{**optimizer.state_dict()["param_groups"][0], "lr": 9.0}, wrong]}
    before = optimizer.state_dict()
    with pytest.raises(error, match=text):
        optimizer.load_state_dict(wrong)
    assert optimizer.state_dict() == before


def test_states_from_before_there_were_these_options_are_loaded(mg: Any) -> None:
    sgd, adam = mg.optim.SGD([mg.Value(1.0)]), mg.optim.Adam([mg.Value(1.0)], amsgrad=True)
    sgd.load_state_dict({"lr": 0.5, "momentum": 0.9, "weight_decay": 0.0, "buffer": [2.0]})
    adam.load_state_dict(
        {
            "lr": 0.5,
            "betas": (0.9, 0.99),
            "eps": 1e-8,
            "weight_decay": 0.0,
            "steps": 3,
            "m": [0.5],
            "v": [0.25],
        }
    )
    sgd.params[0].grad = 1.0
    sgd.step()
    assert sgd.params[0].data == 1.0 - 0.5 * (0.9 * 2.0 + 1.0)
    assert (adam.amsgrad, adam.steps, list(adam.largest)) == (False, 3, [0.0])


# ---- clipping ----


def with_grads(mg: Any, grads: list[float]) -> list[Any]:
    params = [mg.Value(0.0) for _ in grads]
    for p, g in zip(params, grads):
        p.grad = g
    return params


def test_a_norm_below_the_limit_leaves_the_gradients(mg: Any) -> None:
    params = with_grads(mg, [3.0, -4.0])
    assert mg.optim.clip_grad_norm(iter(params), float("inf")) == 5.0
    assert [p.grad for p in params] == [3.0, -4.0]


def test_a_parameter_given_twice_is_counted_and_scaled_once(mg: Any) -> None:
    params = with_grads(mg, [3.0, 4.0])
    assert mg.optim.clip_grad_norm(params * 2, 1.0) == 5.0
    assert [p.grad for p in params] == [3.0 * (1.0 / (5.0 + 1e-6)), 4.0 * (1.0 / (5.0 + 1e-6))]


@pytest.mark.parametrize(
    ("grads", "norm_type", "norm", "after"),
    [
        ([1.0, math.nan], 2.0, math.nan, [math.nan, math.nan]),
        ([1.0, math.nan], math.inf, math.nan, [math.nan, math.nan]),
        ([math.nan, 1.0], math.inf, math.nan, [math.nan, math.nan]),
        ([1.0, -math.inf], 2.0, math.inf, [0.0, math.nan]),
        ([1.0, -math.inf], math.inf, math.inf, [0.0, math.nan]),
        ([1e200, 1.0], 2.0, math.inf, [0.0, 0.0]),
    ],
)
def test_a_norm_that_is_not_finite_is_returned(
    mg: Any, grads: list[float], norm_type: float, norm: float, after: list[float]
) -> None:
    params = with_grads(mg, grads)
    found = mg.optim.clip_grad_norm(params, 1.0, norm_type)
    assert [found, *(p.grad for p in params)] == pytest.approx([norm, *after], nan_ok=True)


def test_no_parameters_have_the_norm_zero(mg: Any) -> None:
    assert mg.optim.clip_grad_norm([], 1.0) == 0.0


def test_gradients_are_clipped_by_value(mg: Any) -> None:
    params = with_grads(mg, [3.0, -4.0, 0.5, -math.inf, math.nan])
    mg.optim.clip_grad_value(params, 1.0)
    assert [p.grad for p in params] == pytest.approx([1.0, -1.0, 0.5, -1.0, math.nan], nan_ok=True)


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda o, ps: o.clip_grad_norm(ps, "1"), TypeError, "max_norm must be a real number"),
        (lambda o, ps: o.clip_grad_norm(ps, -1.0), ValueError, "max_norm must not be negative"),
        (lambda o, ps: o.clip_grad_norm(ps, math.nan), ValueError, "max_norm must not be neg"),
        (lambda o, ps: o.clip_grad_norm(ps, 1.0, 0), ValueError, "norm_type must be above 0"),
        (lambda o, ps: o.clip_grad_norm(ps, 1.0, None), TypeError, "norm_type must be a real"),
        (lambda o, ps: o.clip_grad_norm(ps[0], 1.0), TypeError, "an iterable of Values, .*Value"),
        (lambda o, ps: o.clip_grad_norm([*ps, 1.0], 1.0), TypeError, "required, not 'float'"),
        (lambda o, ps: o.clip_grad_value([*ps, 1.0], 1.0), TypeError, "required, not 'float'"),
        (lambda o, ps: o.clip_grad_value(ps, -0.5), ValueError, "clip_value must not be neg"),
        (lambda o, ps: o.clip_grad_value(5, 0.5), TypeError, "an iterable of Values, .*'int'"),
    ],
)
def test_wrong_clippings_are_refused_and_change_nothing(
    mg: Any, call: Any, error: type[Exception], text: str
) -> None:
    params = with_grads(mg, [3.0, 4.0])
    with pytest.raises(error, match=text):
        call(mg.optim, params)
    assert [p.grad for p in params] == [3.0, 4.0]


def test_the_gradients_of_results_are_clipped(mg: Any) -> None:
    a = mg.Value(2.0)
    b = a * 3.0
    a.grad, b.grad = 3.0, 4.0
    assert mg.optim.clip_grad_norm([a, b], 2.5) == 5.0
    assert b.grad == pytest.approx(2.0, rel=1e-6)


# ---- parameters that are replaced ----


@pytest.mark.parametrize("kind", [tuple, list])
def test_parameters_of_a_group_may_be_replaced(mg: Any, kind: Any) -> None:
    old, new = mg.Value(1.0), mg.Value(2.0)
    optimizer = mg.optim.SGD([old], lr=0.5)
    optimizer.step()
    optimizer.param_groups[0]["params"] = kind([new])
    old.grad = new.grad = 1.0
    for _ in range(2):
        optimizer.step()
    optimizer.zero_grad()
    assert (old.data, old.grad, new.data, new.grad) == (1.0, 1.0, 1.0, 0.0)


def test_groups_may_be_taken_away_and_put_in_another_order(mg: Any) -> None:
    a, b, c = mg.Value(1.0), mg.Value(1.0), mg.Value(1.0)
    groups = [{"params": [a], "lr": 1.0}, {"params": [b], "lr": 0.5}, {"params": [c]}]
    optimizer = mg.optim.SGD(groups, lr=0.0)
    for p in (a, b, c):
        p.grad = 1.0
    optimizer.step()
    optimizer.param_groups.reverse()
    optimizer.step()
    del optimizer.param_groups[2]
    optimizer.step()
    optimizer.zero_grad()
    assert [(p.data, p.grad) for p in (a, b, c)] == [(-1.0, 1.0), (-0.5, 0.0), (1.0, 0.0)]


@pytest.mark.parametrize("way", [copy.copy, copy.deepcopy, lambda o: pickle.loads(pickle.dumps(o))])
def test_a_copy_of_an_optimizer_that_has_stepped_goes_on(mg: Any, way: Any) -> None:
    p = mg.Value(1.0)
    optimizer = mg.optim.SGD([p], lr=0.5)
    p.grad = 1.0
    optimizer.step()
    other = way(optimizer)
    other.step()
    assert other.params[0].data == 0.0
    assert p.data == (0.0 if other.params[0] is p else 0.5)


def test_an_optimizer_lets_go_of_parameters_that_were_replaced(mg: Any) -> None:
    optimizer = mg.optim.SGD([mg.Value(1.0)])
    old = weakref.ref(optimizer.params[0])
    optimizer.step()
    optimizer.param_groups[0]["params"] = (mg.Value(2.0),)
    optimizer.step()
    assert old() is None
