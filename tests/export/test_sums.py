"""Sums in exported C whose loops change places: the same bits."""

from __future__ import annotations

import random
import re
from typing import Any

import pytest

np = pytest.importorskip("numpy")

from micrograd_c._export.rolling import Loop, Node, Statement, Tables, roll  # noqa: E402
from micrograd_c._export.sums import join_sums, turn_sums  # noqa: E402


def computed(nodes: list[Node]) -> Any:
    """Return the arrays after these statements, which are run as Python."""
    draw = random.Random(1)
    arrays = {name: [draw.gauss(0, 1) for _ in range(400)] for name in ("v", "d", "parameters")}
    lines: list[str] = []

    def write(node: Node, places: tuple[int, ...]) -> None:
        if isinstance(node, Statement):
            element = (f"{a}[{i}]" for a, i in zip(node.arrays, places))
            lines.append(node.template.format(*element).rstrip(";"))
            return
        for time in range(node.count):
            now = tuple(place + time * step for place, step in zip(places, node.steps))
            taken = 0
            for child in node.body:
                write(child, now[taken : taken + len(child.places)])
                taken += len(child.places)

    for node in nodes:
        write(node, node.places)
    exec("\n".join(lines), arrays)
    return arrays["v"], arrays["d"]


def sums(rows: int, columns: int, *, by_row: bool, rest: Any = None, start: Any = None) -> Any:
    """Return the loop of d[i] = the sum of parameters[..] * v[j], and what follows each."""
    nodes = []
    for i in range(rows):
        nodes.append(start(i) if start else Statement("sum = -0.0;", (), ()))
        for j in range(columns):
            place = i * columns + j if by_row else j * rows + i
            nodes.append(Statement("sum += {0} * {1};", ("parameters", "v"), (place, j)))
        nodes.append(Statement("{0} = sum;", ("d",), (i,)))
        if rest:
            nodes.append(rest(i))
    (loop,) = roll(np, list(nodes), Tables())
    return loop


def templates(nodes: list[Node]) -> list[str]:
    """Return what is in the innermost loops."""
    found: list[str] = []
    for node in nodes:
        found += [node.template] if isinstance(node, Statement) else templates(list(node.body))
    return found


def test_sums_down_columns_are_added_up_side_by_side() -> None:
    loop = sums(5, 7, by_row=False)
    first, others = turn_sums([loop], Tables())
    assert templates([first, others]) == ["{0} = {1} * {2};", "{0} += {1} * {2};"]
    assert isinstance(others, Loop) and others.count == 6
    assert isinstance(others.body[0], Loop) and others.body[0].count == 5
    assert others.body[0].steps == (1, 1, 0)
    assert computed([first, others]) == computed([loop])


def test_sums_along_rows_stay() -> None:
    loop = sums(5, 7, by_row=True)
    assert turn_sums([loop], Tables()) == [loop]


def test_what_follows_a_sum_is_a_loop_of_its_own() -> None:
    loop = sums(5, 7, by_row=False, rest=lambda i: Statement("{0} = {1};", ("v", "d"), (50 + i, i)))
    turned = turn_sums([loop], Tables())
    assert templates(turned)[-1] == "{0} = {1};" and len(turned) == 3
    assert computed(turned) == computed([loop])


def test_sums_begin_with_what_they_began_with() -> None:
    start = lambda i: Statement("sum = {0};", ("parameters",), (90 + i,))  # noqa: E731
    loop = sums(5, 7, by_row=False, start=start)
    turned = turn_sums([loop], Tables())
    assert templates(turned) == ["{0} = {1};", "{0} += {1} * {2};"]
    assert computed(turned) == computed([loop])


@pytest.mark.parametrize("place", [6, 3])
def test_a_loop_stays_where_later_sums_read_what_it_changes(place: int) -> None:
    rest = lambda i: Statement("{0} = {1};", ("v", "d"), (place - i, i))  # noqa: E731
    loop = sums(4, 7, by_row=False, rest=rest)
    assert turn_sums([loop], Tables()) == [loop]


@pytest.mark.parametrize("seed", range(40))
def test_random_sums_keep_their_bits(seed: int) -> None:
    draw = random.Random(seed)
    rows, columns = draw.randint(3, 7), draw.randint(3, 7)
    down, across = (draw.choice([-1, 1]) for _ in range(2))
    array, place = draw.choice(["v", "d"]), draw.randint(30, 60)
    nodes = []
    for i in range(rows):
        nodes.append(Statement("sum = -0.0;", (), ()))
        for j in range(columns):
            places = 100 + j * 9 * across + down * i, place + j
            nodes.append(Statement("sum += {0} * {1};", ("parameters", array), places))
        nodes.append(Statement("{0} = sum;", ("d",), (40 + down * i,)))
        nodes.append(Statement("{0} = {1} * {1};", (array, "d"), (45 + i, 40 + down * i)))
    loops = join_sums(roll(np, list(nodes), Tables()))
    assert computed(turn_sums(loops, Tables())) == computed(list(nodes))


def test_a_layer_of_a_gradient_is_turned(mg: Any, tmp_path: Any) -> None:
    random.seed(1)
    program = mg.compile(mg.MLP(2, [8, 8, 1]), [0.1, 0.2])
    program.export_c(tmp_path / "model.c")
    text = (tmp_path / "model.c").read_text()
    assert re.search(r"d\[\d+ \+ j\] \+= parameters\[", text)
