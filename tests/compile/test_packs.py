"""Replays of one row, whose lanes are results: matrices, outer products, lookups."""

from __future__ import annotations

import random
import sys
from typing import Any

import pytest

np = pytest.importorskip("numpy")


def matrix(mg: Any, rows: int, columns: int, seed: int) -> list[list[Any]]:
    draw = random.Random(seed)
    return [[mg.Value(draw.gauss(0, 0.3)) for _ in range(columns)] for _ in range(rows)]


def times(weights: Any, xs: Any) -> list[Any]:
    return [sum(w * x for w, x in zip(row, xs)) for row in weights]


def softmax(logits: Any) -> list[Any]:
    top = max(v.data for v in logits)
    exps = [(v - top).exp() for v in logits]
    return [e / sum(exps) for e in exps]


class Attention:
    """A letter after another, with queries, keys and values of two heads."""

    def __init__(self, mg: Any) -> None:
        self.mg = mg
        self.embedding = matrix(mg, 5, 6, 1)
        self.q, self.k, self.v, self.o = (matrix(mg, 6, 6, seed) for seed in (2, 3, 4, 5))
        self.up, self.down = matrix(mg, 20, 6, 6), matrix(mg, 6, 20, 7)
        self.head = matrix(mg, 5, 6, 8)

    def parameters(self) -> list[Any]:
        parts = (self.embedding, self.q, self.k, self.v, self.o, self.up, self.down, self.head)
        return [p for part in parts for row in part for p in row]

    def __call__(self, letters: Any) -> Any:
        keys: list[Any] = []
        values: list[Any] = []
        losses = []
        for letter, target in zip(letters, letters[1:]):
            x = self.mg.take(self.embedding, letter)
            scale = (sum(v * v for v in x) / 6 + 1e-5) ** -0.5
            y = [v * scale for v in x]
            q, k, v = times(self.q, y), times(self.k, y), times(self.v, y)
            keys.append(k)
            values.append(v)
            mixed = []
            for head in (slice(0, 3), slice(3, 6)):
                scores = [sum(a * b for a, b in zip(q[head], k[head])) * 0.6 for k in keys]
                shares = softmax(scores)
                mixed += [sum(s * v[head][j] for s, v in zip(shares, values)) for j in range(3)]
            x = [a + b for a, b in zip(x, times(self.o, mixed))]
            hidden = [h.relu() ** 2 for h in times(self.up, x)]
            x = [a + b for a, b in zip(x, times(self.down, hidden))]
            losses.append(-self.mg.take(softmax(times(self.head, x)), target).log())
        return sum(losses) / len(losses)


def gradients(parameters: list[Any], out: Any) -> list[float]:
    for p in parameters:
        p.grad = 0.0
    out.backward()
    return [p.grad for p in parameters]


LETTERS = [[0, 3, 1, 4, 2, 0], [4, 4, 1, 0, 2, 3], [1, 2, 3, 2, 1, 2]]


def test_a_jitted_transformer_has_the_numbers_of_the_eager_one(mg: Any) -> None:
    model = Attention(mg)
    jitted = mg.jit(lambda letters: model(letters))
    parameters = model.parameters()
    for step in range(6):
        letters = LETTERS[step % 3]
        out, expected = jitted(letters), model(letters)
        assert out.data == expected.data
        found = gradients(parameters, out)
        np.testing.assert_allclose(found, gradients(parameters, expected), rtol=1e-12)
        for p, slope in zip(parameters, found):
            p.data -= 0.1 * slope
    assert jitted.specializations == 1


def test_a_compiled_transformer_has_the_same_numbers_for_any_number_of_rows(mg: Any) -> None:
    model = Attention(mg)
    program = mg.compile(model, [float(c) for c in LETTERS[0]])
    rows = np.array(LETTERS * 2, float)
    together = program(rows)
    for count in (1, 2, 3):
        np.testing.assert_array_equal(program(rows[:count]), together[:count])
    parameters = model.parameters()
    for p in parameters:
        p.grad = 0.0
    loss = program.backward(rows[:1])
    found = [p.grad for p in parameters]
    np.testing.assert_allclose(loss, model(LETTERS[0]).data, rtol=1e-13)
    np.testing.assert_allclose(found, gradients(parameters, model(LETTERS[0])), rtol=1e-10)


@pytest.mark.parametrize("size", [1, 2, 3, 4, 7, 8, 9, 64, 127, 128, 129, 300])
def test_a_network_of_any_width_has_the_bits_of_the_eager_one(mg: Any, size: int) -> None:
    first, second = matrix(mg, size, 3, size), matrix(mg, 2, size, size + 1)
    parameters = [p for row in first + second for p in row]

    def loss(*xs: Any) -> Any:
        hidden = [h.tanh() for h in times(first, xs)]
        return sum(v * v for v in times(second, hidden))

    jitted = mg.jit(loss)
    for xs in ((0.5, -1.0, 2.0), (1.5, 0.25, -0.5)):
        leaves = [mg.Value(x) for x in xs]
        out, expected = jitted(*leaves), loss(*leaves)
        assert out.data == expected.data
        wanted = [*parameters, *leaves]
        assert gradients(wanted, out) == gradients(wanted, expected)


def test_what_depends_on_parameters_alone_has_the_bits_of_values(mg: Any) -> None:
    ws = [mg.Value(0.1 * i + 0.05) for i in range(10)]

    def fn(x: Any) -> Any:
        return sum((w.exp() + w.sin() ** 3 + w.log()) * x for w in ws)

    program, expected = mg.compile(fn, 1.0), fn(mg.Value(1.0))
    assert program([1.0])[0] == expected.data
    for w in ws:
        w.grad = 0.0
    program.backward([1.0])
    found = [w.grad for w in ws]
    assert found == gradients(ws, expected)


@pytest.mark.parametrize("count", [1, 2])
def test_few_rows_take_branches_and_meet_wrong_indices_as_many_do(mg: Any, count: int) -> None:
    table = [mg.Value(float(i)) for i in range(4)]

    def fn(x: Any, i: Any) -> Any:
        return mg.take(table, i) * (x.exp() if x > 0 else x)

    program = mg.compile(fn, 1.0, 0.0)
    xs, places = [-2.0, 3.0][:count], [1.0, 2.0][:count]
    expected = [fn(mg.Value(x), int(i)).data for x, i in zip(xs, places)]
    np.testing.assert_allclose(program(xs, places), expected, rtol=1e-15)
    with pytest.raises(IndexError, match=rf"^row {count - 1}: index 9 "):
        program(xs, [*places[:-1], 9.0])
    with pytest.raises(ValueError, match=r"^row 0: index 0.5 is no integer"):
        program.backward(xs, [0.5, *places[1:]])
    assert all(v.grad == 0.0 for v in table)


def test_an_error_in_a_side_that_is_not_taken_has_no_gradient(mg: Any) -> None:
    w = mg.Value(2.0)
    program = mg.compile(lambda x: mg.where(x > 0, (x * w).log(), x * w), 1.0)
    for x, slope in ((4.0, 0.25), (-3.0, 2.0), (0.0, 2.0)):
        w.grad = 0.0
        assert program.gradient([x]).tolist() == [slope]
        program.backward([x])
        assert w.grad == (0.5 if x > 0 else x)


def test_a_division_by_zero_among_many_is_raised_as_eagerly(mg: Any) -> None:
    @mg.jit
    def loss(xs: Any) -> Any:
        return sum(1.0 / x for x in xs)

    assert loss([1.0, 2.0, 4.0, 8.0]).data == 1.875
    with pytest.raises(ZeroDivisionError):
        loss([1.0, 2.0, 0.0, 8.0])


@pytest.mark.long
def test_any_allocation_for_packs_may_fail(mg: Any) -> None:
    replay = sys.modules["micrograd_c._compile.replay"]
    first, second = matrix(mg, 60, 3, 1), matrix(mg, 2, 60, 2)
    parameters = [p for row in first + second for p in row]

    def loss(*xs: Any) -> Any:
        hidden = [(h.tanh() / 2.0).exp() for h in times(first, xs)]
        return sum(v * v for v in times(second, hidden))

    def work() -> tuple[Any, ...]:
        program = mg.compile(loss, 0.5, -1.0, 2.0)
        found = program([0.5], [-1.0], [2.0]), program.gradient([0.5], [-1.0], [2.0])
        return (*found[0], *found[1][0], *gradients(parameters, mg.jit(loss)(0.5, -1.0, 2.0)))

    expected = work()
    for n in range(1, 1000):
        replay.fail_after(n)
        try:
            found = work()
        except MemoryError:
            continue
        finally:
            replay.fail_after(0)
        assert found == expected
        break
    else:
        pytest.fail("still failing")


@pytest.mark.long
def test_the_making_of_packs_can_be_given_up_anywhere(mg: Any) -> None:
    replay, library = (sys.modules["micrograd_c._" + m] for m in ("compile.replay", "library"))
    lib, ffi = library.lib, library.ffi

    def fn(x: Any) -> Any:
        return sum((x * (0.001 * i)).tanh() * x for i in range(4000))

    program = mg.compile(fn, 1.0)
    expected = program([0.5])
    asked: list[int] = []
    status = ffi.new("mg_status *")
    for last in range(1, 1000):
        asked.clear()
        poll = ffi.callback("int(*)(void)", lambda last=last: asked.append(1) or len(asked) == last)
        lib.mg_arena_set_poll(replay._memory, poll)
        try:
            made = lib.mg_packs_new(program._traces[0].program, lib.MG_INPUTS, 0, status)
        finally:
            lib.mg_arena_set_poll(replay._memory, library.POLL)
        if made:
            lib.mg_packs_free(made)
            break
        assert status[0] == lib.MG_INTERRUPTED
    assert last > 3
    assert program([0.5]) == expected
