"""Calls of a compiled program: values, gradients, reductions and weights are those of each row."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from compiled import moons

np = pytest.importorskip("numpy")


# ---- the example of the documentation ----


def test_forward_is_the_function_row_by_row(mg: Any) -> None:
    _, loss, points, targets, program = moons(mg)
    rows = [loss([mg.Value(a) for a in x], mg.Value(y)).data for x, y in zip(points, targets)]
    assert program(points, targets).tolist() == rows


def test_backward_adds_the_gradient_of_the_mean_and_returns_it(mg: Any) -> None:
    model, loss, points, targets, program = moons(mg)
    mean = mg.mean([loss(list(x), y) for x, y in zip(points.tolist(), targets.tolist())])
    mean.backward()
    expected = [p.grad for p in model.parameters()]
    for _ in range(2):  # the second time takes the short way
        model.zero_grad()
        assert program.backward(points, targets) == pytest.approx(mean.data, rel=1e-13)
        found = [p.grad for p in model.parameters()]
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-15)
    program.backward(points, targets)
    found = [p.grad for p in model.parameters()]
    np.testing.assert_allclose(found, 2 * np.array(expected), rtol=1e-12, atol=1e-15)


def flat(nesting: Any) -> list[float]:
    parts = nesting if isinstance(nesting, tuple) else (nesting,)
    return [x for part in parts for x in (flat(part) if part is not nesting else np.ravel(part))]


def test_calls_of_all_kinds_may_take_turns(mg: Any) -> None:
    w = mg.Value(0.5)
    program = mg.compile(lambda x, y: (w * x).tanh() + x * y, 0.0, 0.0)
    generator, kept = np.random.default_rng(3), []
    for turn in range(100):
        w.data, w.grad = turn / 10, 0.0
        kind = generator.choice(
            ["__call__", "gradient", "value_and_gradient", "mean", "sum", "bad"]
        )
        x, y = args = generator.normal(size=(2, generator.choice([1, 4, 5, 40])))
        t = np.tanh(w.data * x)
        value, slopes = t + x * y, (w.data * (1 - t * t) + y, x)
        if kind in ("mean", "sum"):
            reduce = getattr(np, kind)
            expected: Any = (reduce(value), reduce(x * (1 - t * t)))
            found: Any = (program.backward(*args, reduction=kind), w.grad)
        elif kind == "bad":
            for reduction in ("max", "gradient", 1, ["sum"]):
                with pytest.raises(ValueError, match="reduction"):
                    program.backward(*args, reduction=reduction)
            with pytest.raises(TypeError, match="threads"):
                program.backward(*args, threads=1.0)
            found, expected = w.grad, 0.0
        else:
            both = {"__call__": value, "gradient": slopes, "value_and_gradient": (value, slopes)}
            found, expected = getattr(program, kind)(*args), both[kind]
        kept.append((found, flat(expected)))
    for found, numbers in kept:  # of which no later call has changed one
        assert flat(found) == pytest.approx(numbers, rel=1e-12, abs=1e-12)


def test_gradient_has_the_arguments_shapes(mg: Any) -> None:
    _, loss, points, targets, program = moons(mg)
    d_points, d_targets = program.gradient(points, targets)
    assert d_points.shape == (100, 2) and d_targets.shape == (100,)
    for k in range(5):
        x, y = [mg.Value(a) for a in points[k]], mg.Value(targets[k])
        loss(x, y).backward()
        np.testing.assert_allclose(d_points[k], [a.grad for a in x], rtol=1e-12)
        np.testing.assert_allclose(d_targets[k], y.grad, rtol=1e-12)


def test_training_follows_the_eager_path(mg: Any) -> None:
    model, _, points, targets, program = moons(mg)
    twin = copy.deepcopy(model)

    def twin_loss(x: Any, y: Any) -> Any:
        return (1 + -y * twin(x)).relu()

    optimizers = [mg.optim.SGD(m.parameters(), lr=0.05) for m in (model, twin)]
    for _ in range(5):
        for optimizer in optimizers:
            optimizer.zero_grad()
        program.backward(points, targets)
        losses = [twin_loss(x, y) for x, y in zip(points.tolist(), targets.tolist())]
        mg.mean(losses).backward()
        for optimizer in optimizers:
            optimizer.step()
    ours, theirs = ([p.data for p in m.parameters()] for m in (model, twin))
    np.testing.assert_allclose(ours, theirs, rtol=1e-12)


# ---- results and reductions ----


def test_results_nest_as_the_functions_do(mg: Any) -> None:
    program = mg.compile(lambda x: {"a": x * 2, "b": (x.data, [3, x])}, 1.0)
    found = program([1.0, 2.0])
    assert found["a"].tolist() == [2.0, 4.0]
    assert [found["b"][0].tolist(), found["b"][1][0].tolist()] == [[1.0, 2.0], [3.0, 3.0]]


def test_sum_and_weights(mg: Any) -> None:
    w = mg.Value(2.0)
    program = mg.compile(lambda x: w * x, 1.0)
    x, weights = np.array([1.0, 2.0, 3.0]), np.array([1.0, 0.0, 3.0])
    for options, expected in (
        ({"reduction": "sum"}, 6.0),
        ({"reduction": "sum", "weights": weights}, 10.0),
        ({"weights": weights}, 2.5),
        ({"seeds": weights}, 10.0),
    ):
        w.grad = 0.0
        assert program.backward(x, **options) == pytest.approx(2.0 * expected, rel=1e-15)
        assert w.grad == pytest.approx(expected, rel=1e-15)
    with pytest.raises(ValueError, match="reduction must be"):
        program.backward(x, reduction="max")
    with pytest.raises(ValueError, match="exclude each other"):
        program.backward(x, seeds=weights, weights=weights)
    with pytest.raises(ValueError, match=r"weights must have the shape \(3,\), not \(2,\)"):
        program.backward(x, weights=[1.0, 2.0])


def test_a_result_may_not_depend_on_rows(mg: Any) -> None:
    w = mg.Value(3.0)
    program = mg.compile(lambda x: w * w, 1.0)
    assert program([1.0, 2.0]).tolist() == [9.0, 9.0]
    assert program.backward([1.0, 2.0], reduction="sum") == 18.0
    assert w.grad == 12.0
    assert program.gradient([1.0, 2.0]).tolist() == [0.0, 0.0]
