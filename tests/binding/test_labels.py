"""Many labels, and long ones."""

from __future__ import annotations

import copy
import pickle
import sys
from typing import Any

import pytest

MANY_LABELS = [f"one of many: {i}" for i in range(600)]


@pytest.mark.parametrize("kind", ["leaf", "result", "custom"])
def test_each_of_many_labels_is_what_was_assigned_last(mg: Any, kind: str) -> None:
    a = mg.Value(1.0)
    make = {"leaf": mg.Value, "result": a.__mul__, "custom": lambda x: mg.Value(x, (a,))}[kind]
    values = [make(1.0) for _ in MANY_LABELS]
    for labels in (MANY_LABELS, MANY_LABELS[::-1], ["", *MANY_LABELS[:-1]], [("a", "tuple")] * 600):
        for v, label in zip(values, labels):
            v.label = label
        assert [v.label for v in values] == labels
    for v in values:
        v.label = ""
    assert {v.label for v in values} == {""}


@pytest.mark.parametrize(
    "copied", [copy.copy, copy.deepcopy, lambda v: pickle.loads(pickle.dumps(v))]
)
def test_each_of_many_labels_is_copied(mg: Any, copied: Any) -> None:
    leaves = [mg.Value(1.0, label=label) for label in MANY_LABELS]
    results = [v * 2.0 for v in leaves]
    for v, label in zip(results, MANY_LABELS):
        v.label = label
    assert [v.label for v in map(copied, leaves)] == MANY_LABELS
    assert [v.label for v in map(copied, results)] == MANY_LABELS


def test_a_value_with_one_of_many_labels_may_be_constructed_again(mg: Any) -> None:
    a = mg.Value(1.0)
    values = [mg.Value(1.0, label=label) for label in MANY_LABELS]
    results = [v + 1.0 for v in values]
    for v, label in zip(values, MANY_LABELS):
        v.__init__(2.0, (a,), "", label + "!")
    assert [v.label for v in values] == [label + "!" for label in MANY_LABELS]
    assert {v._children[0].label for v in results} == {""}


def test_one_of_many_labels_may_be_given_by_a_subclass_to_its_results(mg: Any) -> None:
    labels = iter(MANY_LABELS)

    class Labelled(mg.Value):  # type: ignore[misc,name-defined]
        def __init__(self, data: float, children: Any = (), op: str = "") -> None:
            super().__init__(data, children, op, next(labels))

    v = Labelled(1.0)
    assert [(v * 2.0).label for _ in MANY_LABELS[1:]] == MANY_LABELS[1:]
    assert v.label == MANY_LABELS[0]


LONG_LABELS = {
    "megabyte": "x" * 1_000_000,
    "sentence": "the weight from the last hidden neuron to the first of the two outputs",
    "not ascii": "θ" * 65,
}


@pytest.mark.parametrize("kind", LONG_LABELS)
@pytest.mark.parametrize("result", [False, True])
def test_a_long_label_lives_as_long_as_its_values(mg: Any, kind: str, result: bool) -> None:
    label = LONG_LABELS[kind] + "!"
    unused = sys.getrefcount(label)
    v = mg.Value(2.0)
    v = v * 1.0 if result else v
    v.label = label
    above = v + 1.0
    del v
    assert above._children[0].label == label
    del above
    assert sys.getrefcount(label) == unused


@pytest.mark.parametrize("kind", LONG_LABELS)
def test_a_long_label_gives_way_to_a_short_one(mg: Any, kind: str) -> None:
    v = mg.Value(2.0, label=LONG_LABELS[kind])
    v.label = "short"
    assert v.label == "short"
    v.label = LONG_LABELS[kind]
    assert v.label == LONG_LABELS[kind]
    v.label = ""
    assert v.label == ""


@pytest.mark.parametrize(
    "copied", [copy.copy, copy.deepcopy, lambda v: pickle.loads(pickle.dumps(v))]
)
@pytest.mark.parametrize("kind", LONG_LABELS)
def test_a_long_label_is_copied(mg: Any, kind: str, copied: Any) -> None:
    v = mg.Value(2.0, label=LONG_LABELS[kind])
    assert copied(v).label == LONG_LABELS[kind]
