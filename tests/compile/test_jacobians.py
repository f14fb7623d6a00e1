"""Jacobians: the gradients of each of several results, infinite ones too."""

from __future__ import annotations

import math
import random
import threading
from typing import Any

import pytest
from compiled import normal, steep

np = pytest.importorskip("numpy")


def test_several_results_need_seeds_and_have_a_jacobian(mg: Any) -> None:
    w = mg.Value(3.0)
    program = mg.compile(lambda x: [x[0] * x[1] * w, (x[0] + w).exp()], [1.0, 2.0])
    x, seeds = normal(6, 2), normal(2, 6)
    with pytest.raises(ValueError, match="2 results"):
        program.backward(x)
    with pytest.raises(ValueError, match="jacobian"):
        program.gradient(x)
    total = program.backward(x, seeds=list(seeds))
    expected = (seeds[0] * x[:, 0] * x[:, 1] + seeds[1] * np.exp(x[:, 0] + 3.0)).sum()
    assert w.grad == pytest.approx(expected, rel=1e-13)
    results = program(x)
    assert total == pytest.approx((seeds[0] * results[0] + seeds[1] * results[1]).sum(), rel=1e-13)
    first, second = program.jacobian(x)
    np.testing.assert_allclose(first, 3.0 * x[:, ::-1], rtol=1e-14)
    np.testing.assert_allclose(second[:, 0], np.exp(x[:, 0] + 3.0), rtol=1e-14)
    assert (second[:, 1] == 0.0).all()


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("checked", [False, True])
def test_a_jacobian_has_the_gradients_of_each_result(mg: Any, threads: int, checked: bool) -> None:
    random.seed(5)
    model = mg.MLP(4, [8, 8, 5])

    def fn(pair: Any, more: Any) -> Any:
        a, b, c, d, e = model([*pair, *more["more"]])
        return {"sum": a * pair[0] + b.exp(), "others": [c if c.data > 0 else c * a, d * e, d * e]}

    rows = normal(300, 2, seed=3), {"more": normal(300, 2, seed=4)}
    program = mg.compile(fn, rows[0][0], {"more": rows[1]["more"][0]})
    found = program.jacobian(*rows, threads=threads, check=checked)
    for name, i in (("sum", None), ("others", 0), ("others", 1), ("others", 2)):

        def one(pair: Any, more: Any, name: str = name, i: Any = i) -> Any:
            return fn(pair, more)[name] if i is None else fn(pair, more)[name][i]

        alone = mg.compile(one, rows[0][0], {"more": rows[1]["more"][0]}).gradient(*rows)
        together = found[name] if i is None else found[name][i]
        np.testing.assert_allclose(together[0], alone[0], rtol=1e-12, atol=1e-15)
        np.testing.assert_allclose(together[1]["more"], alone[1]["more"], rtol=1e-12, atol=1e-15)


def test_a_checked_step_after_a_checked_jacobian_has_its_own_seeds(mg: Any) -> None:
    w = mg.Value(3.0)
    program = mg.compile(lambda x: [x * w, x * x], 1.0)
    for _ in range(2):
        program.jacobian([2.0, 5.0], check=True)
        w.grad = 0.0
        assert program.backward([2.0, 5.0], seeds=[[1.0, 0.5], [0.0, 1.0]], check=True) == 38.5
        assert w.grad == 4.5


# ---- infinite derivatives ----


@pytest.mark.parametrize(
    ("other", "x"),
    [(lambda x: x.sqrt(), 0.0), (lambda x: (x * x) * (x * x), 1e200), (lambda x: x.log(), 0.0)],
)
def test_infinite_derivatives_of_one_result_do_not_reach_another(
    mg: Any, other: Any, x: float
) -> None:
    program = mg.compile(lambda x: [x * 2 if x.data < 1e100 else x + x, other(x)], 1.0)
    assert program.jacobian([4.0, x])[0].tolist() == [2.0, 2.0]


def test_each_result_is_swept_by_itself(mg: Any) -> None:
    program = mg.compile(lambda xs: [x.exp() * 2 for x in xs], [1.0] * 50)
    single = program._traces[0].of_output(3)
    assert len(single.entries) == len(program._traces[0].entries) / 50
    found = program.jacobian(np.ones(50))
    np.testing.assert_allclose(found, np.eye(50) * 2 * math.e, rtol=1e-15)


def test_programs_of_single_results_are_made_once(mg: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from micrograd_c._compile import replay as module

    made: list[Any] = []
    make = module.Trace.__init__
    monkeypatch.setattr(
        module.Trace, "__init__", lambda trace, *args: (made.append(trace), make(trace, *args))[1]
    )
    program = mg.compile(steep, [1.0, 1.0])
    expected = program.jacobian([[0.0, 2.0]])
    count = len(made)
    np.testing.assert_array_equal(program.jacobian([[0.0, 2.0]]), expected)
    assert len(made) == count


def test_not_all_programs_of_single_results_are_kept_where_they_are_large(
    mg: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from micrograd_c._compile import replay as module

    monkeypatch.setattr(module, "_KEPT", 1)  # less than one of them
    program = mg.compile(steep, [1.0, 1.0])
    expected = program.jacobian([[0.0, 2.0]])
    np.testing.assert_array_equal(program.jacobian([[0.0, 2.0]]), expected)
    assert not program._traces[0]._variants


def test_rows_that_are_not_finite_take_their_own_branch(mg: Any) -> None:
    program = mg.compile(steep, [1.0, 1.0])
    for _ in range(2):
        program.jacobian([[0.0, 2.0]])
        found = program.jacobian([[0.0, 2.0], [0.0, -2.0], [4.0, -2.0], [4.0, 2.0]])
        assert found[0].tolist() == [[2.0, 0.0], [3.0, 0.0], [3.0, 0.0], [2.0, 4.0]]
        assert found[1].tolist() == [[math.inf, 0.0], [math.inf, 0.0], [0.25, 0.0], [0.25, 0.0]]
    assert program.specializations == 2


def test_several_threads_may_ask_for_jacobians_that_are_not_finite(mg: Any) -> None:
    program = mg.compile(steep, [1.0, 1.0])
    rows = np.abs(normal(500, 2))
    rows[::7, 0] = 0.0
    expected = mg.compile(steep, [1.0, 1.0]).jacobian(rows)
    found: list[Any] = []

    def ask() -> None:
        found.extend(program.jacobian(rows) for _ in range(20))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 80
    for jacobian in found:
        np.testing.assert_array_equal(jacobian, expected)
