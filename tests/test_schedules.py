"""Schedules of learning rates: PyTorch's closed forms, written into each group of an optimizer."""

from __future__ import annotations

import copy
import json
import math
import pickle
from typing import Any

import pytest
import torch_numbers

KINDS = {
    "StepLR": {"step_size": 2, "gamma": 0.5},
    "CosineAnnealingLR": {"T_max": 7, "eta_min": 0.001},
    "LinearLR": {"start_factor": 0.25, "total_iters": 4},
    "LambdaLR": {"lr_lambda": math.exp},
}


def two_groups(mg: Any) -> Any:
    return mg.optim.SGD([{"params": [mg.Value(1.0)], "lr": lr} for lr in torch_numbers.RATES])


def rates(optimizer: Any) -> list[float]:
    return [group["lr"] for group in optimizer.param_groups]


@pytest.mark.parametrize("case", torch_numbers.SCHEDULES)
def test_rates_are_those_of_torch(mg: Any, case: str) -> None:
    kind, settings = torch_numbers.SCHEDULES[case]
    optimizer = two_groups(mg)
    schedule = getattr(mg.optim, kind)(optimizer, **settings)
    for expected in torch_numbers.NUMBERS["schedules"][case]:
        # torch multiplies from epoch to epoch, which rounds each time
        assert schedule.get_last_lr() == pytest.approx(expected, rel=2e-15, abs=1e-17)
        assert rates(optimizer) == schedule.get_last_lr()
        schedule.step()


def test_a_function_gives_the_factor_of_each_epoch(mg: Any) -> None:
    optimizer = two_groups(mg)
    schedule = mg.optim.LambdaLR(optimizer, lambda epoch: min(1.0, (epoch + 1) / 4))
    found = []
    for _ in range(5):
        found.append(optimizer.param_groups[0]["lr"])
        schedule.step()
    assert found == [0.1 * factor for factor in (0.25, 0.5, 0.75, 1.0, 1.0)]


def test_each_group_may_have_its_function(mg: Any) -> None:
    optimizer = two_groups(mg)
    mg.optim.LambdaLR(optimizer, [lambda epoch: 2.0, lambda epoch: 3.0]).step()
    assert rates(optimizer) == [0.1 * 2.0, 0.02 * 3.0]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("way", ["state", "json", "pickle", "deepcopy"])
def test_a_schedule_goes_on_where_it_was_saved(mg: Any, kind: str, way: str) -> None:
    optimizer = two_groups(mg)
    schedule = getattr(mg.optim, kind)(optimizer, **KINDS[kind])
    for _ in range(3):
        schedule.step()
    if way == "pickle":
        other = pickle.loads(pickle.dumps(schedule))
    elif way == "deepcopy":
        other = copy.deepcopy(schedule)
    else:
        state = schedule.state_dict()
        other = getattr(mg.optim, kind)(two_groups(mg), **KINDS[kind])
        other.load_state_dict(state if way == "state" else json.loads(json.dumps(state)))
    assert other.optimizer is not optimizer
    assert rates(other.optimizer) == rates(optimizer)
    for _ in range(3):
        schedule.step()
        other.step()
        assert rates(other.optimizer) == rates(optimizer) == other.get_last_lr()


def test_a_group_added_later_takes_part_from_its_own_rate(mg: Any) -> None:
    optimizer = two_groups(mg)
    schedule = mg.optim.StepLR(optimizer, 1, 0.5)
    optimizer.add_param_group({"params": [mg.Value(1.0)], "lr": 0.8})
    schedule.step()
    assert rates(optimizer) == [0.05, 0.01, 0.4]


def test_the_newest_schedule_is_in_force_and_an_older_one_refuses_to_step(mg: Any) -> None:
    optimizer = two_groups(mg)
    warm_up = mg.optim.LinearLR(optimizer)
    for _ in range(5):
        warm_up.step()
    cosine = mg.optim.CosineAnnealingLR(optimizer, 10)
    cosine.step()
    before = rates(optimizer)
    with pytest.raises(RuntimeError, match=r"a newer schedule .*: make one LambdaLR of both"):
        warm_up.step()
    assert rates(optimizer) == before


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda o, sgd: o.StepLR([], 3), TypeError, "needs an optimizer, such as SGD, not 'list'"),
        (lambda o, sgd: o.StepLR(sgd, 0), ValueError, "step_size must be at least 1"),
        (lambda o, sgd: o.StepLR(sgd, 1.5), TypeError, "step_size must be an integer"),
        (lambda o, sgd: o.StepLR(sgd, 3, -0.1), ValueError, "gamma must not be negative"),
        (lambda o, sgd: o.CosineAnnealingLR(sgd, 0), ValueError, "T_max must be at least 1"),
        (lambda o, sgd: o.CosineAnnealingLR(sgd, 5, "x"), TypeError, "eta_min must be a real"),
        (lambda o, sgd: o.LinearLR(sgd, math.nan), ValueError, "start_factor must not be neg"),
        (lambda o, sgd: o.LinearLR(sgd, total_iters=0), ValueError, "total_iters must be at"),
        (lambda o, sgd: o.LambdaLR(sgd, 0.5), TypeError, "lr_lambda must be a function"),
        (lambda o, sgd: o.LambdaLR(sgd, [0.5, 0.5]), TypeError, "lr_lambda must be a function"),
        (lambda o, sgd: o.LambdaLR(sgd, [math.exp]), ValueError, "1 functions for 2 groups"),
        (lambda o, sgd: o.LambdaLR(sgd, lambda t: None), TypeError, "a factor of lr_lambda"),
        (lambda o, sgd: o.LambdaLR(sgd, lambda t: -1.0), ValueError, "rate must not be negative"),
        (lambda o, sgd: o.LambdaLR(sgd, lambda t: 1 / t), ZeroDivisionError, "division"),
    ],
)
def test_a_wrong_schedule_is_refused_and_changes_nothing(
    mg: Any, make: Any, error: type[Exception], text: str
) -> None:
    optimizer = two_groups(mg)
    earlier = mg.optim.StepLR(optimizer, 1)
    with pytest.raises(error, match=text):
        make(mg.optim, optimizer)
    assert rates(optimizer) == torch_numbers.RATES
    earlier.step()


@pytest.mark.parametrize(
    ("wrong", "error", "text"),
    [
        (None, TypeError, "a state is a dict, .*'NoneType'"),
        ({}, KeyError, "no state of StepLR: it has no 'step_size'"),
        ({"gamma": "x"}, TypeError, "gamma must be a real number"),
        ({"base_lrs": [0.1]}, ValueError, "base_lrs is for 1 groups, the optimizer has 2"),
        ({"base_lrs": 0.1}, TypeError, "base_lrs must be a list of numbers"),
        ({"base_lrs": [0.1, -0.1]}, ValueError, "base_lrs must not be negative"),
        ({"last_epoch": -1}, ValueError, "last_epoch must not be negative"),
        ({"last_epoch": "3"}, TypeError, "last_epoch must be an integer, not 'str'"),
        ({"gamma": 1e300, "last_epoch": 9}, OverflowError, "too large|out of range"),
    ],
)
def test_a_wrong_state_is_refused_and_changes_nothing(
    mg: Any, wrong: Any, error: type[Exception], text: str
) -> None:
    optimizer = two_groups(mg)
    schedule = mg.optim.StepLR(optimizer, 2)
    schedule.step()
    before = schedule.state_dict()
    with pytest.raises(error, match=text):
        schedule.load_state_dict({**before, **wrong} if wrong else wrong)
    assert schedule.state_dict() == before
    assert rates(optimizer) == torch_numbers.RATES


def test_a_function_that_fails_later_changes_nothing(mg: Any) -> None:
    optimizer = two_groups(mg)
    schedule = mg.optim.LambdaLR(optimizer, lambda epoch: [1.0, 0.5][epoch])
    schedule.step()
    with pytest.raises(IndexError):
        schedule.step()
    assert (schedule.last_epoch, rates(optimizer)) == (1, [0.05, 0.01])
