"""How a notebook shows a Module and a program: as tables."""

from __future__ import annotations

import math
import random
from html.parser import HTMLParser
from typing import Any

import numpy as np


class Reader(HTMLParser):
    """Reads tables: the texts of captions and cells, row by row."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.tags: set[str] = set()

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.add(tag)
        if tag in ("caption", "tr"):
            self.rows.append([])
        elif tag in ("td", "th", "b"):
            self.rows[-1].append("")

    def handle_data(self, data: str) -> None:
        if self.rows and self.rows[-1]:
            self.rows[-1][-1] += data.strip("\n")


def shown(thing: Any) -> list[list[str]]:
    """The rows of what a notebook shows, captions included."""
    reader = Reader()
    reader.feed(thing._repr_html_())
    assert reader.tags == {"table", "caption", "b", "tr", "th", "td"}
    return reader.rows


def test_module_is_a_table_of_its_parts(mg: Any) -> None:
    random.seed(1)
    model = mg.MLP(2, [3, 1])
    for i, p in enumerate(model.parameters()):
        p.data, p.grad = i / 4, -i
    assert shown(model) == [
        ["MLP(2, [3, 1], activation='tanh')"],
        ["part", "", "parameters", "data", "grad"],
        ["layers.0", "Layer(2, 3, activation='tanh')", "9", "0 to 2", "-8 to 0"],
        ["layers.1", "Layer(3, 1, activation='tanh')", "4", "2.25 to 3", "-12 to -9"],
        ["all", "", "13", "0 to 3", "-12 to 0"],
    ]


def test_neuron_is_a_table_of_its_weights_and_its_bias(mg: Any) -> None:
    neuron = mg.Neuron(2)
    for p in neuron.parameters():
        p.data = 0.5
    neuron.b.data = math.nan
    assert [row[0] for row in shown(neuron)] == [repr(neuron), "part", "w", "b", "all"]
    assert [row[3] for row in shown(neuron)[2:]] == ["0.5", "nan", "nan"]


def test_module_of_a_program_shows_what_is_a_parameter(mg: Any) -> None:
    class Model(mg.Module):  # type: ignore[name-defined,misc]
        def __init__(self) -> None:
            self.size = 3
            self.heads = {"<b>": mg.Neuron(1), "other": mg.Neuron(2)}
            self.scale, self.frozen = mg.Value(2.0), mg.Value(3.0)

        def parameters(self) -> list[Any]:
            return [p for head in self.heads.values() for p in head.parameters()] + [self.scale]

    rows = shown(Model())
    assert rows[0] == ["Model"]
    assert [row[0] for row in rows[2:]] == ["heads.<b>", "heads.other", "scale", "all"]
    assert [row[2] for row in rows[2:]] == ["2", "3", "1", "6"]


def test_module_without_parameters_is_a_table_too(mg: Any) -> None:
    assert shown(mg.Module())[2:] == [["all", "", "0", "0", "0"]]


def test_of_many_parts_the_first_are_shown(mg: Any) -> None:
    rows = shown(mg.Layer(1, 100))
    assert len(rows) == 2 + 32 + 2
    assert rows[-2][0] == "… 68 more"
    assert rows[-1][2] == "200"


def test_program_is_a_table_of_arguments_and_one_of_recordings(mg: Any) -> None:
    w = mg.Value(2.0)

    def branches(x: Any, more: Any, *rest: Any, by: Any) -> Any:
        total = w * more["a"] + sum(rest)
        return [total * x[0], total] if x[1].data > 0 else [total, w]

    example = [1.0, 2.0], {"a": 1.0, "b": [1.0]}, 3.0
    program = mg.compile(branches, *example, by=mg.static("<i>"))
    program([[1.0, 2.0], [1.0, -2.0]], {"a": 1.0, "b": [1.0]}, 3.0, by="<i>")
    rows = shown(program)
    assert rows[:8] == [
        [f"Program {branches.__qualname__}"],
        ["", "shape in each row"],
        ["x", "(2,)"],
        ["more", "{a: number, b: (1,)}"],
        ["argument 2", "number"],
        ["by", "static('<i>')"],
        ["result", "[number, number]"],
        ["parameters", "1"],
    ]
    assert [row[:2] for row in rows[10:]] == [["0", "1"], ["1", "1"]]


def test_instructions_of_a_row_are_those_of_the_listing(mg: Any) -> None:
    program = mg.compile(lambda x, y: (x * y).tanh(), 1.0, 2.0)
    assert shown(program)[-1] == ["0", "0", "2", "0"]


def test_program_without_an_example_is_tables_of_each_shape(mg: Any) -> None:
    program = mg.compile(lambda xs: xs[0] * 2)
    assert program._repr_html_() is None
    program(np.ones((4, 2)))
    program(np.ones((4, 3)))
    assert [row[1] for row in shown(program) if row[0] == "xs"] == ["(2,)", "(3,)"]
