"""Loops found among statements: the same statements in the same order."""

from __future__ import annotations

import random
from typing import Any

import pytest

np = pytest.importorskip("numpy")

from micrograd_c._export.layout import arrange  # noqa: E402
from micrograd_c._export.rolling import Loop, Node, Statement, Tables, roll  # noqa: E402


def unrolled(nodes: Any, tables: Tables) -> list[tuple[str, tuple[str, ...], tuple[int, ...]]]:
    """Return what loops do, one statement after the other, with the places of tables looked up."""
    out: list[tuple[str, tuple[str, ...], tuple[int, ...]]] = []

    def run(node: Node, places: tuple[int, ...]) -> None:
        if isinstance(node, Statement):
            direct = [
                (a[1:], tables.numbers[i]) if a.startswith("@") else (a, i)
                for a, i in zip(node.arrays, places)
            ]
            out.append((node.template, tuple(a for a, _ in direct), tuple(i for _, i in direct)))
            return
        for time in range(node.count):
            now = tuple(place + time * step for place, step in zip(places, node.steps))
            taken = 0
            for child in node.body:
                run(child, now[taken : taken + len(child.places)])
                taken += len(child.places)

    for node in nodes:
        run(node, node.places)
    return out


def plain(nodes: list[Statement]) -> Any:
    return [(node.template, node.arrays, node.places) for node in nodes]


def write(template: str, *places: int) -> Statement:
    return Statement(template, ("v",) * len(places), places)


def test_a_matrix_by_a_vector_is_two_loops() -> None:
    nodes: list[Statement] = []
    for i in range(5):
        nodes.append(write("sum = 0;"))
        nodes += [write("sum += {0} * {1};", 100 + 7 * i + j, 50 + j) for j in range(7)]
        nodes.append(write("{0} = sum;", i))
    (loop,) = roll(np, list(nodes), Tables())
    assert isinstance(loop, Loop) and loop.count == 5
    assert [type(node) for node in loop.body] == [Statement, Loop, Statement]
    assert unrolled([loop], Tables()) == plain(nodes)


def test_a_loop_begins_with_the_sums_that_it_computes() -> None:
    nodes = [write("sum = 1;"), write("{0} = sum;", 90)]
    for i in range(5):
        nodes.append(write("sum = 0;"))
        nodes += [write("sum += {0} * {1};", 100 + 7 * i + j, 50 + j) for j in range(7)]
        nodes.append(write("{0} = sum;", 91 + i))
    *before, loop = roll(np, list(nodes), Tables())
    assert before == nodes[:2]
    assert isinstance(loop, Loop) and loop.count == 5
    assert unrolled([*before, loop], Tables()) == plain(nodes)


def test_two_repetitions_of_little_are_no_loop() -> None:
    nodes = [write("{0} = 1;", 0), write("{0} = 1;", 1)]
    assert roll(np, list(nodes), Tables()) == nodes


def test_places_that_do_not_grow_evenly_are_in_a_table() -> None:
    nodes = [write("{0} = -{1};", i, i * i) for i in range(9)]
    tables = Tables()
    (loop,) = roll(np, list(nodes), tables)
    assert tables.numbers == [i * i for i in range(9)]
    assert unrolled([loop], tables) == plain(nodes)


@pytest.mark.parametrize("seed", range(40))
def test_random_repetitions_stay_the_same_statements(seed: int) -> None:
    draw = random.Random(seed)

    def block(depth: int) -> list[Statement]:
        if depth == 0 or draw.random() < 0.3:
            return [write(draw.choice("abc"), *(draw.randrange(40) for _ in range(2)))]
        body = [s for _ in range(draw.randint(1, 3)) for s in block(depth - 1)]
        steps = [tuple(draw.randint(-2, 5) for _ in s.places) for s in body]
        noise = draw.random() < 0.2
        return [
            Statement(
                s.template,
                s.arrays,
                tuple(
                    p + k * step + (draw.randrange(3) if noise else 0)
                    for p, step in zip(s.places, own)
                ),
            )
            for k in range(draw.randint(1, 6))
            for s, own in zip(body, steps)
        ]

    nodes = [statement for _ in range(4) for statement in block(3)]
    tables = Tables()
    loops = roll(np, list(nodes), tables)
    assert unrolled(loops, tables) == plain(nodes)
    assert len(loops) <= len(nodes)


def test_a_loop_with_two_statements_has_the_numbers_of_each_side_by_side() -> None:
    nodes = []
    for i in range(8):
        nodes.append(write("{0} = {1} + 1;", 2 * i, 99))
        nodes.append(write("{0} = -{1};", 2 * i + 1, 2 * i))
    nodes = [
        Statement(n.template, ("v", "inputs" if i % 2 == 0 else "v"), n.places)
        for i, n in enumerate(nodes)
    ]
    loops, _ = arrange(np, nodes)
    (loop,) = loops
    assert isinstance(loop, Loop)
    assert loop.steps[0] == 1 and loop.places[0] == 0 and loop.places[2] == 8
