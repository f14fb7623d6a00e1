"""Random programs, compiled, are what they are row by row."""

from __future__ import annotations

import math
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

np = pytest.importorskip("numpy")


UNARY = ["exp", "tanh", "relu", "sigmoid", "sin", "cos", "abs", "log", "sqrt"]
KINDS = [
    "add", "sub", "mul", "div", "square", "inverse", "cube", "scale", "shift", "unary", "unary",
    "maximum", "minimum", "branch", "compare", "detach", "top", "sum", "parameter", "value",
    "custom", "no grad", "number power", "power", "softmax", "sort",
]  # fmt: skip
instructions = st.lists(
    st.tuples(st.sampled_from(KINDS), st.integers(0, 30), st.integers(0, 30), st.integers(-3, 3)),
    min_size=1,
    max_size=25,
)


def interpret(mg: Any, code: Any, params: Any, inputs: Any) -> Any:
    """Run a random program on Values."""
    pool = list(inputs)
    for kind, i, j, c in code:
        a, b = pool[i % len(pool)], pool[j % len(pool)]
        if kind == "add":
            out = a + b
        elif kind == "sub":
            out = a - b
        elif kind == "mul":
            out = a * b
        elif kind == "div":
            out = a / (b * b + 1)
        elif kind == "square":
            out = a**2
        elif kind == "inverse":
            out = (a * a + 1) ** -1
        elif kind == "cube":
            out = a**3
        elif kind == "scale":
            out = a * (c / 2)
        elif kind == "shift":
            out = c - a
        elif kind == "unary":
            name = UNARY[j % len(UNARY)]
            if name in ("log", "sqrt"):
                out = getattr(a * a + 0.5, name)()
            elif name == "exp":
                out = a.tanh().exp()
            else:
                out = getattr(a, name)()
        elif kind in ("maximum", "minimum"):
            out = getattr(mg, kind)(a, b)
        elif kind == "branch":
            out = a * 2 if a.data > c / 4 else b - 1
        elif kind == "compare":
            out = a if a < b else b * a
        elif kind == "detach":
            out = a * b.data + a.data / (abs(b.data) + 1)
        elif kind == "top":
            out = a - max(a.data, b.data, c)
        elif kind == "sum":
            out = mg.total(pool[-4:]) + mg.dot(
                pool[:2], params[:2] if len(pool) > 1 else params[:1]
            )
        elif kind == "parameter":
            out = a * params[j % len(params)] + params[i % len(params)] ** 2
        elif kind == "custom":
            out = mg.Value(a.data * b.data + c, (a, b), (b.data, a.data)) + b
        elif kind == "no grad":
            with mg.no_grad():
                out = (a + c) * b
            out = out * a
        elif kind == "number power":
            out = (a * a + 0.5) ** b.tanh().data
        elif kind == "power":
            out = (a * a + 0.5) ** b.tanh()
        elif kind == "softmax":
            out = mg.softmax(pool[-3:])[0] + mg.cross_entropy([a.tanh(), b.tanh(), a.cos()], j % 3)
        elif kind == "sort":
            out = sorted([a, b, params[0]], key=lambda v: v.data)[j % 3] * 2
        else:
            out = mg.Value(a.data * 0.5) * b
        pool.append(out)
    return pool[-1]


@given(instructions, st.integers(1, 4), st.integers(0, 2**16))
def test_random_programs_are_what_they_are_row_by_row(
    mg: Any, code: Any, inputs: int, seed: int
) -> None:
    generator = np.random.default_rng(seed)
    rows = generator.choice([generator.normal(size=(20, inputs)), np.ones((20, inputs))])
    params = [mg.Value(float(p)) for p in generator.normal(size=3)]

    def fn(x: Any) -> Any:
        return interpret(mg, code, params, x)

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
    for p in params:
        p.grad = 0.0
    program.backward(rows, reduction="sum")
    found = np.array([p.grad for p in params])
    assert (np.abs(found - np.sum(d_params, axis=0)) <= 1e-12 * (scale * scale).sum()).all()


RISKY = ["log", "sqrt", "exp", "tanh", "abs"]


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["unary", "unary", "add", "mul", "div", "inverse", "power", "param"]),
            st.integers(0, 30),
            st.integers(0, 30),
            st.integers(-3, 3),
        ),
        min_size=1,
        max_size=8,
    ),
    st.lists(st.sampled_from([0.5, 1.0, 2.0, 0.0, -1.0, 710.0, 3.0]), min_size=2, max_size=6),
)
def test_check_raises_for_the_first_row_that_raises(mg: Any, code: Any, rows: Any) -> None:
    param = mg.Value(1.5)

    def fn(x: Any) -> Any:
        pool = [x, param * x]
        for kind, i, j, c in code:
            a, b = pool[-1 - i % 2], pool[j % len(pool)]
            if kind == "unary":
                out = getattr(a, RISKY[j % len(RISKY)])()
            elif kind == "add":
                out = a + b
            elif kind == "mul":
                out = a * b
            elif kind == "div":
                out = a / b
            elif kind == "inverse":
                out = a**-1
            elif kind == "power":
                out = a ** (c / 2)
            else:
                out = a * (param + c).exp()
            pool.append(out)
        total = pool[0]
        for v in pool[1:]:
            total = total + v  # nothing is dead
        return total

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


KINDS = [
    "add",
    "mul",
    "div",
    "inverse",
    "square",
    "tanh",
    "sigmoid",
    "root",
    "log",
    "param",
    "factor",
]


def positive_program(code: Any, x: list[Any], params: list[Any]) -> Any:
    """Run a random program that computes positive numbers of positive ones."""
    pool = list(x)
    for kind, i, j in code:
        a, b = pool[-1 - i % len(pool)], pool[j % len(pool)]
        if kind == "add":
            out = a + b
        elif kind == "mul":
            out = a * b
        elif kind == "div":
            out = a / b
        elif kind == "inverse":
            out = a**-1
        elif kind == "square":
            out = a**2
        elif kind in ("tanh", "sigmoid"):
            out = getattr(a, kind)()
        elif kind == "root":
            out = a**0.5
        elif kind == "log":
            out = (a + 2.0).log()
        elif kind == "param":
            out = a * params[j % len(params)]
        else:
            out = a * params[j % len(params)] ** 2 + params[i % len(params)]
        pool.append(out)
    return pool[-1]


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


@given(
    st.lists(
        st.tuples(st.sampled_from(KINDS), st.integers(0, 5), st.integers(0, 30)),
        min_size=1,
        max_size=7,
    ),
    st.integers(0, 2**16),
)
def test_programs_over_all_exponents_are_what_they_are_row_by_row(
    mg: Any, code: Any, seed: int
) -> None:
    draw = random.Random(seed)
    reach = draw.choice([20, 160, 307])
    params = [mg.Value(10 ** draw.uniform(-reach, reach)) for _ in range(2)]
    try:
        program = mg.compile(lambda x: positive_program(code, x, params), [1.0, 1.0])
    except (ArithmeticError, ValueError):
        return  # of parameters that are too large
    rows, gradients, margin, d_params, m_params = [], [], [], np.zeros(2), np.zeros(2)
    for _ in range(12):
        row = [10 ** draw.uniform(-reach, reach) for _ in range(2)]
        leaves = [mg.Value(x) for x in row]
        for p in params:
            p.grad = 0.0
        try:
            out = positive_program(code, leaves, params)
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
