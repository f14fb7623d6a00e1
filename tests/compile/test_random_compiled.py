"""Random programs, compiled, are what they are row by row."""

from __future__ import annotations

import math
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from random_programs import BINARY, Player, Program

np = pytest.importorskip("numpy")


position, small = st.integers(0, 30), st.integers(-3, 3)


def step(*parts: Any) -> st.SearchStrategy[Any]:
    """A kind of step, of which some parts are drawn."""
    drawn = (part if isinstance(part, st.SearchStrategy) else st.just(part) for part in parts)
    return st.tuples(*drawn)


class Parametrized(Player):
    """Plays on the inputs of a function, beside parameters."""

    def __init__(self, mg: Any, inputs: Any, parameters: Any) -> None:
        super().__init__(mg, inputs)
        self.parameters = parameters

    def parameter(self, i: int) -> Any:
        return self.parameters[i % len(self.parameters)]

    def play(self, program: Program) -> Any:
        """Do the steps and return the last Value."""
        for step in program:
            self.do(step)
        return self.values[-1]

    def do_method(self, name: str, i: int) -> Any:
        return self.add(getattr(self.at(i), name)())

    def do_times_parameter(self, i: int, j: int) -> Any:
        return self.add(self.at(i) * self.parameter(j))

    def do_times_exponential(self, i: int, c: int) -> Any:
        return self.add(self.at(i) * (self.parameter(0) + c).exp())

    def do_line(self, i: int, j: int) -> Any:
        return self.add(self.at(i) * self.parameter(j) ** 2 + self.parameter(i))

    def do_log_above_two(self, i: int) -> Any:
        return self.add((self.at(i) + 2.0).log())


class Branching(Parametrized):
    """Plays what is defined everywhere, branches on data and uses numbers of the row.

    Positions count from the oldest Value, so that inputs are used often.
    """

    def at(self, position: int) -> Any:
        return self.values[position % len(self.values)]

    # ---- what is defined everywhere ----

    def do_function(self, name: str, i: int) -> Any:
        a = self.at(i)
        if name in ABOVE_ZERO:
            a = a * a + (1.5 if name == "acosh" else 0.5)
        elif name in SMALL:
            a = a.tanh() * 0.9
        return self.add(getattr(a, name)())

    def do_angle(self, i: int, j: int) -> Any:
        return self.add(self.lib.atan2(self.at(i), self.at(j) * self.at(j) + 0.5))

    def do_length(self, i: int, j: int) -> Any:
        return self.add(self.lib.hypot(self.at(i), self.at(j) * self.at(j) + 0.5))

    def do_quotient(self, i: int, j: int) -> Any:
        return self.add(self.at(i) / (self.at(j) * self.at(j) + 1))

    def do_inverse(self, i: int) -> Any:
        return self.add((self.at(i) * self.at(i) + 1) ** -1)

    def do_power(self, i: int, j: int) -> Any:
        return self.add((self.at(i) * self.at(i) + 0.5) ** self.at(j).tanh())

    def do_parameter(self, i: int, j: int) -> Any:
        return self.add(self.at(i) * self.parameter(j) + self.parameter(i) ** 2)

    def do_total(self) -> Any:
        few = self.parameters[: min(2, len(self.values))]
        return self.add(self.lib.total(self.values[-4:]) + self.lib.dot(self.values[:2], few))

    def do_softmax(self, i: int, j: int) -> Any:
        logits = [self.at(i).tanh(), self.at(j).tanh(), self.at(i).cos()]
        share = self.lib.softmax(self.values[-3:])[0]
        return self.add(share + self.lib.cross_entropy(logits, j % 3))

    # ---- data of the row ----

    def do_branch(self, i: int, j: int, c: int) -> Any:
        return self.add(self.at(i) * 2 if self.at(i).data > c / 4 else self.at(j) - 1)

    def do_less(self, i: int, j: int) -> Any:
        a, b = self.at(i), self.at(j)
        return self.add(a if a < b else b * a)

    def do_sort(self, i: int, j: int) -> Any:
        values = [self.at(i), self.at(j), self.parameters[0]]
        return self.add(sorted(values, key=lambda v: v.data)[j % 3] * 2)

    def do_where(self, i: int, j: int, c: int) -> Any:
        a, b = self.at(i), self.at(j)
        condition = (a.data > c / 4) & (b < 1) | (self.parameters[0] < a)
        return self.add(self.lib.where(condition, a * b, self.lib.where(a < b, 2, b)))

    def do_take(self, i: int, j: int, c: int) -> Any:
        a, b = self.at(i), self.at(j)
        place = self.lib.where(a < b, 1, 0) + self.lib.where(a.data > c / 4, 1, 0)
        elements = [a, (b * b + 0.5).log() * self.parameter(i), self.parameter(j) ** 2, 2.0, b]
        few = [elements[(c + k) % 5] for k in range(3)]
        return self.add(self.lib.take(few, place) + self.lib.take([self.parameter(i), a], a < 0))

    def do_detach(self, i: int, j: int) -> Any:
        a, b = self.at(i), self.at(j)
        return self.add(a * b.data + a.data / (abs(b.data) + 1))

    def do_top(self, i: int, j: int, c: int) -> Any:
        a, b = self.at(i), self.at(j)
        return self.add(a - max(a.data, b.data, c))

    def do_value(self, i: int, j: int) -> Any:
        return self.add(self.lib.Value(self.at(i).data * 0.5) * self.at(j))

    def do_custom(self, i: int, j: int, c: int) -> Any:
        a, b = self.at(i), self.at(j)
        return self.add(self.lib.Value(a.data * b.data + c, (a, b), (b.data, a.data)) + b)

    def do_no_grad(self, i: int, j: int, c: int) -> Any:
        with self.lib.no_grad():
            out = (self.at(i) + c) * self.at(j)
        return self.add(out * self.at(i))

    def do_number_power(self, i: int, j: int) -> Any:
        return self.add((self.at(i) * self.at(i) + 0.5) ** self.at(j).tanh().data)


ABOVE_ZERO = ["log", "sqrt", "log1p", "log2", "log10", "acosh", "lgamma", "digamma"]
SMALL = ["exp", "expm1", "tan", "asin", "acos", "sinh", "cosh", "atanh"]
NAMES = ["tanh", "relu", "sigmoid", "sin", "cos", "abs", "atan", "asinh", "erf", "erfc"]
NAMES += ["softplus", "gelu", "silu", *ABOVE_ZERO, *SMALL]
branching = st.lists(
    st.one_of(
        *(step("binary", name, position, position) for name in "+-*"),
        *(step("binary", name, position, position) for name in ("maximum", "minimum")),
        *(step("right", "**", position, n) for n in (2, 3)),
        step("right", "*", position, small.map(lambda c: c / 2)),
        step("left", "-", small, position),
        *[step("function", st.sampled_from(NAMES), position)] * 2,
        step("inverse", position),
        step("total"),
        *(
            step(kind, position, position)
            for kind in (
                "angle",
                "length",
                "quotient",
                "power",
                "parameter",
                "softmax",
                "less",
                "sort",
                "detach",
            )
        ),
        *(step(kind, position, position) for kind in ("value", "number_power")),
        *(step(kind, position, position, small) for kind in ("branch", "top", "custom", "no_grad")),
        *[step("where", position, position, small)] * 2,
        *[step("take", position, position, small)] * 2,
    ),
    min_size=1,
    max_size=25,
)


@pytest.mark.long
@given(branching, st.integers(1, 4), st.integers(0, 2**16))
def test_random_programs_are_what_they_are_row_by_row(
    mg: Any, steps: Program, inputs: int, seed: int
) -> None:
    generator = np.random.default_rng(seed)
    rows = generator.choice([generator.normal(size=(20, inputs)), np.ones((20, inputs))])
    params = [mg.Value(float(p)) for p in generator.normal(size=3)]

    def fn(x: Any) -> Any:
        return Branching(mg, x, params).play(steps)

    expected, d_inputs, d_params, scales = [], [], [], []
    for row in rows:
        leaves = [mg.Value(float(x)) for x in row]
        for p in params:
            p.grad = 0.0
        out = fn(leaves)
        out.backward()
        graph = mg.trace(out)[0]
        scales.append(max(1.0, *(abs(v.data) for v in graph), *(abs(v.grad) for v in graph)))
        expected.append(out.data)
        d_inputs.append([x.grad for x in leaves])
        d_params.append([p.grad for p in params])
        del out, graph, leaves
    scale = np.array(scales)
    program = mg.compile(fn, rows[0], max_specializations=20)
    assert (np.abs(program(rows) - expected) <= 1e-12 * scale).all()
    difference = np.abs(program.gradient(rows) - np.array(d_inputs))
    assert (difference.max(axis=1) <= 1e-12 * scale * scale).all()
    for some in (rows[:1], rows[1:3]):  # replayed one by one, to the same bits
        where = slice(0, 1) if len(some) == 1 else slice(1, 3)
        np.testing.assert_array_equal(program(some), program(rows)[where])
        np.testing.assert_array_equal(program.gradient(some), program.gradient(rows)[where])
    for p in params:
        p.grad = 0.0
    program.backward(rows, reduction="sum")
    found = np.array([p.grad for p in params])
    assert (np.abs(found - np.sum(d_params, axis=0)) <= 1e-12 * (scale * scale).sum()).all()


RISKY = ["log", "sqrt", "exp", "tanh", "abs", "log1p", "asin", "acosh", "atanh", "digamma", "cosh"]
newest = st.integers(0, 1)
risky = st.lists(
    st.one_of(
        *[step("method", st.sampled_from(RISKY), newest)] * 2,
        *(step("binary", name, newest, position) for name in "+*/"),
        step("right", "**", newest, -1),
        step("right", "**", newest, small.map(lambda c: c / 2)),
        step("times_exponential", newest, small),
    ),
    min_size=1,
    max_size=8,
)


@pytest.mark.long
@given(
    risky,
    st.lists(st.sampled_from([0.5, 1.0, 2.0, 0.0, -1.0, 710.0, 3.0]), min_size=2, max_size=6),
)
def test_check_raises_for_the_first_row_that_raises(mg: Any, steps: Program, rows: Any) -> None:
    param = mg.Value(1.5)

    def fn(x: Any) -> Any:
        player = Parametrized(mg, [x, param * x], [param])
        player.play(steps)
        return sum(player.values[1:], player.values[0])  # nothing is dead

    try:
        program = mg.compile(fn, 1.25)
    except (ArithmeticError, ValueError):
        return
    expected: Any = None
    for k, row in enumerate(rows):
        try:
            fn(mg.Value(row)).backward()
        except (ArithmeticError, ValueError) as error:
            expected = type(error), f"row {k}:"
            break
    for run in (program.gradient, program.backward):
        param.grad = 0.0
        if expected is None:
            run(rows, check=True)
            continue
        with pytest.raises(expected[0], match=expected[1]):
            run(rows, check=True)
        assert param.grad == 0.0


positive = st.lists(  # of positive numbers, positive ones
    st.one_of(
        *(step("binary", name, st.integers(0, 5), position) for name in "+*/"),
        *(step("right", "**", st.integers(0, 5), n) for n in (-1, 2, 0.5)),
        *(step("unary", name, st.integers(0, 5)) for name in ("tanh", "sigmoid")),
        step("log_above_two", st.integers(0, 5)),
        step("times_parameter", st.integers(0, 5), position),
        step("line", st.integers(0, 5), position),
    ),
    min_size=1,
    max_size=7,
)


def margins(out: Any, leaves: list[Any]) -> list[float]:
    """How far each leaf's gradient may be off: a share of the sizes of all that was added to it."""
    order: list[Any] = []

    def visit(v: Any) -> None:
        if v not in order:
            for child in v._children:
                visit(child)
            order.append(v)

    visit(out)
    sizes, lost = {id(out): 1.0}, 1e-12
    for v in reversed(order):
        size = sizes.get(id(v), 0.0)
        for child, partial in zip(v._children, v._local_grads):
            if partial:
                lost += 1e-323 / abs(partial) + 1e-323 / abs(size * partial or 1e-323)
            sizes[id(child)] = sizes.get(id(child), 0.0) + abs(partial) * size
    return [sizes.get(id(leaf), 0.0) * lost + 1e-320 for leaf in leaves]


@pytest.mark.long
@given(positive, st.integers(0, 2**16))
def test_programs_over_all_exponents_are_what_they_are_row_by_row(
    mg: Any, steps: Program, seed: int
) -> None:
    draw = random.Random(seed)
    reach = draw.choice([20, 160, 307])
    params = [mg.Value(10 ** draw.uniform(-reach, reach)) for _ in range(2)]
    try:
        program = mg.compile(lambda x: Parametrized(mg, x, params).play(steps), [1.0, 1.0])
    except (ArithmeticError, ValueError):
        return  # of parameters that are too large
    rows, gradients, margin, d_params, m_params = [], [], [], np.zeros(2), np.zeros(2)
    for _ in range(12):
        row = [10 ** draw.uniform(-reach, reach) for _ in range(2)]
        leaves = [mg.Value(x) for x in row]
        for p in params:
            p.grad = 0.0
        try:
            out = Parametrized(mg, leaves, params).play(steps)
            out.backward()
        except (ArithmeticError, ValueError):
            continue
        found = [v.grad for v in (*leaves, *params)]
        off = margins(out, [*leaves, *params])
        if not all(map(math.isfinite, [out.data, *found, *off])):
            continue
        rows.append(row)
        gradients.append(found[:2])
        margin.append(off[:2])
        d_params += found[2:]
        m_params += off[2:]
    if not rows:
        return
    got = program.gradient(rows)
    assert (np.abs(got - gradients) <= margin).all(), (rows, got, gradients)
    for p in params:
        p.grad = 0.0
    program.backward(rows, reduction="sum")
    got = np.array([p.grad for p in params])
    if np.isfinite(d_params).all():
        assert (np.abs(got - d_params) <= m_params).all(), (rows, got, d_params)


# ---- selections of sides that are not defined everywhere ----


class Nodes:
    """The values of a random graph: a list of steps, each of which names earlier values."""

    def __init__(self, mg: Any, steps: Program, inputs: Any, parameters: Any) -> None:
        self.mg, self.steps = mg, steps
        self.values: list[Any] = [*inputs, *parameters]

    def at(self, i: int) -> Any:
        return self.values[i % len(self.values)]

    def make(self, kind: str, i: int, j: int, k: int, c: int) -> Any:
        if kind == "where":
            return self.select(self.condition(i, j, k, c), j, k)
        if kind in ("+", "*", "/"):
            return BINARY[kind](self.mg, self.at(i), self.at(j))
        if kind == "exponential":
            return (self.at(i) * 10**c).exp()
        return getattr(self.at(i), kind)()

    def condition(self, i: int, j: int, k: int, c: int) -> Any:
        """Return a condition; the number compared with is one that no rounding leads to."""
        first, second = self.at(i).data < c + 0.3217, self.at(j + k).data >= c / 3 - 0.1234
        forms = first, first ^ True, first & second, first | (second ^ True), first ^ second
        return forms[(i + j + k) % len(forms)]

    def select(self, condition: Any, j: int, k: int) -> Any:
        return self.mg.where(condition, self.at(j), self.at(k))

    def last(self) -> Any:
        """Compute all values; return the last one, with all of the others in it."""
        for step in self.steps:
            self.values.append(self.make(*step))
        return self.values[-1]


class Branches(Nodes):
    """The same values, each computed when it is needed: by branches in place of selections."""

    def at(self, i: int) -> Any:
        i %= self.count
        if self.values[i] is None:
            self.values[i] = self.compute(i)
        return self.values[i]

    def compute(self, i: int) -> Any:
        count, self.count = self.count, i
        value = self.make(*self.steps[i - self.known])
        self.count = count
        return value

    def select(self, condition: Any, j: int, k: int) -> Any:
        return self.at(j if condition else k) * 1

    def last(self) -> Any:
        self.known = len(self.values)
        self.values += [None] * len(self.steps)
        self.count = len(self.values)
        return self.at(-1)


selecting = st.lists(
    st.tuples(
        st.sampled_from(["where", "where", "where", "+", "*", "/", "log", "sqrt", "exponential"]),
        *[st.integers(0, 30)] * 3,
        small,
    ),
    min_size=2,
    max_size=20,
)
NUMBERS = [0.0, -0.0, 0.5, 1.0, 2.0, -1.0, 5.0, 1000.0]


@pytest.mark.long
@given(selecting, st.integers(0, 2**16))
def test_what_is_not_selected_adds_nothing(mg: Any, steps: Program, seed: int) -> None:
    generator = np.random.default_rng(seed)
    params = [mg.Value(x) for x in (0.75, 1.5)]
    try:
        program = mg.compile(lambda x: Nodes(mg, steps, x, params).last(), [1.25, 0.75])
    except (ArithmeticError, ValueError):
        return  # the example is outside of a side that it does not select
    for p in params:
        p.data = float(generator.choice(NUMBERS))
    rows, expected, d_inputs, d_params, scales = [], [], [], np.zeros(2), []
    for row in generator.choice(NUMBERS, (12, 2)):
        leaves = [mg.Value(float(x)) for x in row]
        for p in params:
            p.grad = 0.0
        try:
            out = Branches(mg, steps, leaves, params).last()
            out.backward()
        except (ArithmeticError, ValueError):
            continue
        graph = mg.trace(out)[0]
        sizes = [abs(x) for v in graph for x in (v.data, v.grad)]
        if not all(map(math.isfinite, sizes)) or max(sizes) > 1e100:
            continue
        scales.append(max(1.0, *sizes))
        rows.append(row)
        expected.append(out.data)
        d_inputs.append([x.grad for x in leaves])
        d_params += [p.grad for p in params]
    if not rows:
        return
    scale = np.array(scales)
    assert program.specializations == 1
    assert (np.abs(program(rows) - expected) <= 1e-10 * scale).all()
    for options in ({}, {"threads": 2}):
        difference = np.abs(program.gradient(rows, **options) - np.array(d_inputs))
        assert (difference.max(axis=1) <= 1e-10 * scale * scale).all()
        for p in params:
            p.grad = 0.0
        program.backward(rows, reduction="sum", **options)
        found = np.array([p.grad for p in params])
        assert (np.abs(found - d_params) <= 1e-10 * (scale * scale).sum()).all()
