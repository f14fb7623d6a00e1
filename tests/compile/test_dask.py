"""Programs over dask arrays: lazy results, sums over chunks, errors; without a cluster."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import pytest
from compiled import normal

np = pytest.importorskip("numpy")
dask = pytest.importorskip("dask")
da = pytest.importorskip("dask.array")

ROWS, SIZES = 50, (7, 0, 20, 23)


@pytest.fixture(autouse=True)
def in_this_thread() -> Any:
    with dask.config.set(scheduler="synchronous"):
        yield


def chunked(array: Any, rows: Any = SIZES) -> Any:
    return da.from_array(array, chunks=(rows, *array.shape[1:]))


def leaves(nesting: Any) -> list[Any]:
    if isinstance(nesting, dict):
        nesting = list(nesting.values())
    if isinstance(nesting, (list, tuple)):
        return [leaf for item in nesting for leaf in leaves(item)]
    return [nesting]


def check_same(lazy: Any, expected: Any) -> None:
    """Check that lazy results have the shapes, the nesting and the bits that numpy's have."""
    assert type(lazy) is type(expected) or isinstance(lazy, da.Array)
    pairs = list(zip(leaves(lazy), leaves(expected), strict=True))
    for one, other in pairs:
        assert isinstance(one, da.Array) and one.shape == other.shape and one.dtype == np.float64
        assert one.chunks[0] == SIZES and one.numblocks[1:] == (1,) * (one.ndim - 1)
    for one, (_, other) in zip(dask.compute(*leaves(lazy)), pairs):
        assert one.shape == other.shape and one.tolist() == other.tolist()


def two_ways(w: Any) -> Any:
    def fn(x: Any, y: Any) -> Any:
        return w * x[0] * y + x[1].exp() if y > 0 else w * w * y - x[0] * x[1]

    return fn


def both(x: Any, y: Any) -> Any:
    return {"sum": x[0] + x[1] * y, "all": [x[0] * x[1], y * y]}


METHODS: list[tuple[str, dict[str, Any]]] = [
    ("__call__", {}),
    ("gradient", {}),
    ("value_and_gradient", {"threads": 2}),
    ("jacobian", {}),
    ("hessian", {"check": True}),
    ("parameter_jacobian", {}),
    ("vjp", {"seeds": normal(ROWS, seed=3)}),
    ("jvp", {"tangents": (normal(ROWS, 2, seed=4), np.array(0.5))}),
    ("hvp", {"vectors": (normal(2, seed=4), normal(ROWS, seed=5))}),
]


@pytest.mark.parametrize(("method", "options"), METHODS, ids=[name for name, _ in METHODS])
def test_results_are_lazy_and_have_the_bits_of_numpy(mg: Any, method: str, options: Any) -> None:
    x, y = normal(ROWS, 2), normal(ROWS, seed=1)
    program = mg.compile(two_ways(mg.Value(1.5)), x[0], y[0])
    found = getattr(program, method)(chunked(x), chunked(y), **options)
    assert program.specializations == 1  # nothing has been computed
    check_same(found, getattr(program, method)(x, y, **options))


@pytest.mark.parametrize("method", ["__call__", "jacobian", "parameter_jacobian"])
def test_results_are_nested_as_those_of_numpy(mg: Any, method: str) -> None:
    x, y = normal(ROWS, 2), normal(ROWS, seed=1)
    w = mg.Value(2.0)
    program = mg.compile(lambda x, y: {"w": w * y, **both(x, y)}, x[0], y[0])
    check_same(getattr(program, method)(chunked(x), y), getattr(program, method)(x, y))


def test_seeds_may_be_chunked_and_tangents_be_lazy(mg: Any) -> None:
    x, y = normal(ROWS, 2), normal(ROWS, seed=1)
    program = mg.compile(both, x[0], y[0])
    seeds = {"sum": normal(ROWS, seed=2), "all": [normal(ROWS, seed=3), normal(ROWS, seed=4)]}
    lazy = {"sum": chunked(seeds["sum"], 9), "all": [chunked(seeds["all"][0]), seeds["all"][1]]}
    check_same(program.vjp(chunked(x), y, seeds=lazy), program.vjp(x, y, seeds=seeds))
    along = x[::-1].copy(), 1.0
    check_same(
        program.jvp(chunked(x), y, tangents=(chunked(along[0], 5), 1.0)),
        program.jvp(x, y, tangents=along),
    )


ONE_OF_EACH = da.from_array(np.array([1.0, -1.0]), chunks=1)  # rows that take two ways


def subclass(mg: Any, factor: float = 1.0) -> Any:
    class Weight(mg.Value):  # type: ignore[misc,name-defined]
        def scaled(self) -> Any:
            return self * factor

    return Weight


@dataclass
class Market:
    spot: Any
    name: str
    rates: Any


def test_arguments_may_be_nested_static_and_have_keywords(mg: Any) -> None:
    def fn(market: Any, how: Any, *, power: Any) -> Any:
        assert how == "how" and market.name == "here"
        return market.spot * sum(market.rates) ** power

    spot, rates = normal(ROWS), normal(ROWS, 3, seed=1) ** 2
    program = mg.compile(fn, Market(1.0, "here", [1.0] * 3), "how", power=2.0)
    lazy = Market(chunked(spot), "here", rates)
    given = Market(spot, "here", rates)
    check_same(program(lazy, "how", power=2.0), program(given, "how", power=2.0))
    (market, how), power = program.gradient(lazy, "how", power=2.0)
    (expected, _), (total) = program.gradient(given, "how", power=2.0)
    assert type(market) is Market and how is None and market.name is None
    check_same([market.spot, market.rates], [expected.spot, expected.rates])
    assert power["power"].compute() == pytest.approx(total["power"], rel=1e-13)
    with pytest.raises(ValueError, match="must be 'how' as it was recorded"):
        program(lazy, "other", power=2.0)


# ---- chunks ----


def test_one_row_for_all_rows_serves_all_chunks_and_its_gradient_is_summed(mg: Any) -> None:
    x, w = normal(ROWS, 2), normal(2, seed=1)
    program = mg.compile(lambda x, w, b: x[0] * w[0].exp() + x[1] * w[1] * b, x[0], w, 1.0)
    for given in (w, w.tolist(), da.from_array(w, chunks=1)):
        check_same(program(chunked(x), given, 0.5), program(x, w, 0.5))
        d_x, d_w, d_b = program.gradient(chunked(x), given, 0.5)
        expected = program.gradient(x, w, 0.5)
        check_same(d_x, expected[0])
        assert d_w.shape == (2,) and d_b.shape == ()
        np.testing.assert_allclose(d_w.compute(), expected[1], rtol=1e-13)
        np.testing.assert_allclose(d_b.compute(), expected[2], rtol=1e-13)


def test_arguments_are_cut_into_the_chunks_of_the_first(mg: Any) -> None:
    x, y = normal(ROWS, 2), normal(ROWS, seed=1)
    program = mg.compile(both, x[0], y[0])
    expected = program(x, y)
    for other in (chunked(y, 11), y, y.tolist()):
        check_same(program(chunked(x), other), expected)
    check_same(program(da.from_array(x, chunks=(SIZES, 1)), y), expected)
    check_same(program(x, chunked(y)), expected)


def test_numbers_of_rows_that_differ_are_refused_at_once(mg: Any) -> None:
    program = mg.compile(both, np.ones(2), 1.0)
    x = chunked(normal(ROWS, 2))
    for other in (normal(ROWS - 1), da.ones(ROWS - 1)):
        with pytest.raises(
            ValueError, match=r"argument 1 has the shape .* the number of rows must"
        ):
            program(x, other)
    with pytest.raises(ValueError, match=r"seeds\['sum'\] must have the shape \(50,\), not \(\)"):
        program.vjp(x, 1.0, seeds={"sum": 1.0, "all": [1.0, 1.0]})


def test_arrays_of_another_shape_or_of_text_are_refused_at_once(mg: Any) -> None:
    program = mg.compile(lambda x: x[0], np.ones(2))
    with pytest.raises(ValueError, match=r"must have the shape \(N, 2\), not \(50, 3\)"):
        program(da.ones((50, 3)))
    with pytest.raises(TypeError, match="argument 0 must consist of real numbers, not <U1"):
        program(da.from_array(np.array([["a", "b"]])))


def test_delayed_objects_are_refused_as_other_objects_are(mg: Any) -> None:
    thing = dask.delayed(np.ones(3))
    with pytest.raises(TypeError, match="argument 0 must consist of real numbers, not 'Delayed"):
        mg.compile(lambda x: x * x, 1.0)(thing)
    with pytest.raises(TypeError, match=r"argument 0 must be a number, an array, or .*'Delayed"):
        mg.compile(lambda x: x * x)(thing)


def test_integers_are_computed_as_floats(mg: Any) -> None:
    program = mg.compile(lambda x: x / 2, 1.0)
    assert program(da.arange(5, chunks=2)).compute().tolist() == [0.0, 0.5, 1.0, 1.5, 2.0]


def test_chunks_of_unknown_sizes_give_results_of_unknown_sizes(mg: Any) -> None:
    x = normal(ROWS)
    lazy = chunked(x)
    some, expected = lazy[lazy > 0], x[x > 0]
    w = mg.Value(2.0)
    program = mg.compile(lambda x, y: w * x * y, 1.0, 1.0)
    found = program(some, some + 1)
    assert np.isnan(found.shape[0])
    assert found.compute().tolist() == program(expected, expected + 1).tolist()
    assert program.backward(some, 3.0) == pytest.approx(6 * expected.mean(), rel=1e-14)
    assert w.grad == pytest.approx(3 * expected.mean(), rel=1e-14)
    for given in ((some, expected), (some, lazy), (expected, some)):
        with pytest.raises(ValueError, match=r"unknown sizes: call compute_chunk_sizes\(\)"):
            program(*given)


def test_a_dask_array_without_rows_is_a_number(mg: Any) -> None:
    program = mg.compile(lambda x, y: x * y, 1.0, 1.0)
    assert program(da.ones(3).sum(), [1.0, 2.0]).tolist() == [3.0, 6.0]


def test_a_program_without_an_example_records_the_first_row(mg: Any) -> None:
    w = mg.Value(2.0)
    x = normal(ROWS, 2)
    program = mg.compile(lambda x: w * x.sum())
    found = program(da.from_array(x, chunks=((0, 20, 30), 2)))
    assert found.compute().tolist() == program(x).tolist() and program.parameters == (w,)
    with pytest.raises(ValueError, match="needs a row to record"):
        mg.compile(lambda x: w * x.sum())(da.ones((0, 2)))


# ---- sums ----


def test_backward_adds_the_gradient_that_numpy_gives(mg: Any) -> None:
    x, y = normal(ROWS, 2), normal(ROWS, seed=1)
    w = mg.Value(1.5)
    program = mg.compile(two_ways(w), x[0], y[0])
    weights = np.abs(normal(ROWS, seed=2))
    for options in (
        {},
        {"reduction": "sum"},
        {"weights": weights},
        {"weights": weights, "reduction": "sum", "threads": 2},
        {"seeds": weights},
        {"check": True},
    ):
        w.grad = 0.0
        expected = program.backward(x, y, **options), w.grad
        lazy = {k: chunked(v, 13) if v is weights else v for k, v in options.items()}
        for given in (options, lazy):
            w.grad = 100.0
            found = program.backward(chunked(x), chunked(y), **given)
            assert type(found) is float
            assert (found, w.grad - 100.0) == pytest.approx(expected, rel=1e-12)


def test_backward_refuses_what_it_refuses_of_numpy(mg: Any) -> None:
    w = mg.Value(1.0)
    program = mg.compile(lambda x: w * x, 1.0)
    x = da.ones(4, chunks=2)
    for options, text in (
        ({"reduction": "max"}, "reduction must be"),
        ({"weights": np.ones(4), "seeds": np.ones(4)}, "exclude each other"),
        ({"weights": np.zeros(4)}, "weights whose sum is 0"),
        ({"weights": 1.0}, r"weights must have the shape \(4,\), not \(\)"),
        ({"threads": 0}, "threads"),
    ):
        with pytest.raises(ValueError, match=text):
            program.backward(x, **options)
    with pytest.raises(ValueError, match="the mean of no rows"):
        program.backward(da.ones(0))
    assert w.grad == 0.0
    assert program.backward(da.ones(0), reduction="sum") == 0.0


@pytest.mark.parametrize("size", [1, 2])
@pytest.mark.parametrize("weights", [(1.0, np.nan), (1.0, np.inf), (np.inf, -np.inf)])
def test_weights_that_are_not_finite_reach_only_what_rows_use(
    mg: Any, weights: Any, size: int
) -> None:
    a, known, other = mg.Value(2.0), mg.Value(3.0), mg.Value(4.0)
    program = mg.compile(lambda x: a * x if x < 5 else (known if x < 7 else other) * x, 1.0)
    program([6.0])
    assert program.parameters == (a, known)
    x = da.from_array(np.array([1.0, 2.0]), chunks=size)
    program.backward(x, weights=np.array(weights))
    assert not np.isfinite(a.grad)
    assert (known.grad, other.grad) == (0.0, 0.0) and program.parameters == (a, known)


def test_weights_of_numpy_that_are_not_finite_warn_of_nothing(mg: Any) -> None:
    w = mg.Value(2.0)
    program = mg.compile(lambda x: w * x, 1.0)
    assert np.isnan(program.backward([1.0, 2.0], weights=[np.inf, -np.inf])) and np.isnan(w.grad)


def test_a_program_without_parameters_has_a_sum(mg: Any) -> None:
    assert mg.compile(lambda x: x * x, 1.0).backward(da.arange(4, chunks=2)) == 3.5


def test_one_array_may_be_two_arguments(mg: Any) -> None:
    x = chunked(normal(ROWS))
    program = mg.compile(lambda x, y: x * y, 1.0, 1.0)
    check_same(program(x, x), program(x.compute(), x.compute()))


def nested_ways(w: Any) -> Any:
    def fn(x: Any) -> Any:
        if x[0] < 0.3:
            if x[1] < 0.4:
                return w * x[0].exp() * 0.1 if x[2] > 0 else w * w * x[2]
            return w * x[1] if x[2] > 0.2 else w * x[2].exp()
        return w * x[1].exp() * 0.1

    return fn


def test_sums_have_the_same_bits_whatever_branches_were_met_before(mg: Any) -> None:
    x = normal(2000, 3)
    found = set()
    for first in (0, 1, 2, 3, 5, 8, 40):
        w = mg.Value(1.1)
        program = mg.compile(nested_ways(w), x[first])
        if first == 8:
            program(x[::-1])  # all ways, in another order
        lazy = da.from_array(x, chunks=(1000, 3))
        total = program.backward(lazy)
        _, grads = program.vjp(lazy, seeds=np.ones(2000), parameters=True)
        found.add((total, w.grad, float(grads.compute()[0])))
    assert len(found) == 1


def test_sums_have_the_same_bits_on_threads(mg: Any) -> None:
    x = normal(3000, 3)
    found = set()
    for scheduler in ("synchronous", "threads"):
        w = mg.Value(1.1)
        program = mg.compile(nested_ways(w), x[0])
        with dask.config.set(scheduler=scheduler):
            total = program.backward(da.from_array(x, chunks=(50, 3)))
            *_, shared = mg.compile(lambda x, v: v * x[0].exp(), x[0], 1.0).gradient(
                da.from_array(x, chunks=(50, 3)), 0.5
            )
            found.add((total, w.grad, float(shared.compute())))
    assert len(found) == 1


def test_a_parameter_that_a_branch_of_a_chunk_uses_becomes_one_of_the_program(mg: Any) -> None:
    a, b = mg.Value(2.0), mg.Value(3.0)
    program = mg.compile(lambda x: a * x if x > 0 else b * x, 1.0)
    x = da.from_array(np.array([1.0, -1.0, -3.0]), chunks=1)
    assert program.parameters == (a,)
    with pytest.raises(RuntimeError, match="further parameters"):
        program.objective(x)([2.0])
    assert program.parameters == (a, b)
    assert program.backward(x, reduction="sum") == 2.0 - 12.0
    assert (a.grad, b.grad) == (1.0, -4.0)
    other = mg.compile(lambda x: a * x if x > 0 else b * x, 1.0)
    with pytest.raises(RuntimeError, match=r"chunk [12], .*call backward\(\) for such rows first"):
        other.parameter_jacobian(x).compute()


def test_gradients_pass_on_from_a_parameter_made_of_others(mg: Any) -> None:
    v = mg.Value(3.0)
    w = v * v
    program = mg.compile(lambda x: w * x, 1.0)
    program.backward(da.ones(4, chunks=2), reduction="sum")
    assert (w.grad, v.grad) == (4.0, 24.0)


def test_vjp_has_the_gradients_of_parameters_too(mg: Any) -> None:
    x, y = normal(ROWS, 2), normal(ROWS, seed=1)
    program = mg.compile(two_ways(mg.Value(1.5)), x[0], y[0])
    options = {"seeds": normal(ROWS, seed=2), "parameters": True}
    rows, mine = program.vjp(chunked(x), y, **options)
    expected, theirs = program.vjp(x, y, **options)
    check_same(rows, expected)
    assert mine.shape == (1,) and mine.compute() == pytest.approx(theirs, rel=1e-13)


def test_results_are_computed_with_the_parameters_of_their_call(mg: Any) -> None:
    w = mg.Value(2.0)
    program = mg.compile(lambda x: w * x if x > 0 else w - x, 1.0)
    x = da.from_array(np.array([1.0, -1.0]), chunks=1)
    before = program(x)
    w.data = 10.0
    after = program(x)
    assert [r.tolist() for r in dask.compute(before, after)] == [[2.0, 3.0], [10.0, 11.0]]


def test_an_objective_of_chunks_is_minimized_as_that_of_numpy(mg: Any) -> None:
    minimize = pytest.importorskip("scipy.optimize").minimize
    x = normal(200)
    y = 3.0 * x + 0.5
    a, b = mg.Value(0.0), mg.Value(0.0)
    program = mg.compile(lambda x, y: (a * x + b - y) ** 2, 0.0, 0.0)
    objective = program.objective(da.from_array(x, chunks=30), y)
    value, gradient = objective(np.array([1.0, 2.0]))
    expected = program.objective(x, y)(np.array([1.0, 2.0]))
    assert value == pytest.approx(expected[0]) and gradient == pytest.approx(expected[1])
    assert minimize(objective, objective.x0, jac=True).x == pytest.approx([3.0, 0.5], abs=1e-4)
    assert (a.data, b.data, a.grad) == (0.0, 0.0, 0.0)


# ---- errors ----


def test_an_error_names_the_chunk_and_its_row(mg: Any) -> None:
    w = mg.Value(1.0)
    program = mg.compile(lambda x: w * x.log(), 1.0)
    x = np.ones(30)
    x[17] = -1.0
    lazy = program(da.from_array(x, chunks=5), check=True)
    with pytest.raises(ValueError, match=r"^chunk 3, row 2 \(row 17 of all\): math domain error"):
        lazy.compute()
    with pytest.raises(ValueError, match=r"^chunk 3, row 2 \(row 17 of all\): math domain error"):
        program.backward(da.from_array(x, chunks=5), check=True)
    unknown = da.from_array(x, chunks=5)
    unknown = unknown[unknown < 2]
    with pytest.raises(ValueError, match=r"^chunk 3, row 2: math domain error"):
        program.backward(unknown, check=True)
    assert w.grad == 0.0


def test_an_error_of_the_function_itself_has_a_note_with_the_chunk(mg: Any) -> None:
    class OwnError(Exception):
        pass

    def fn(x: Any) -> Any:
        if 6.5 < x < 7.5:
            raise OwnError
        return x

    program = mg.compile(fn, 1.0)
    with pytest.raises(OwnError) as raised:
        program(da.arange(10, chunks=2)).compute()
    assert "in chunk 3" in raised.value.__notes__


def test_too_many_branches_name_the_row(mg: Any) -> None:
    program = mg.compile(lambda x: x if x > 1 else -x, 2.0, max_specializations=1)
    with pytest.raises(
        RuntimeError, match=r"^chunk 1, row 0 \(row 1 of all\) takes another branch"
    ):
        program(da.from_array(np.array([2.0, 0.0]), chunks=1)).compute()


def test_a_function_that_cannot_be_pickled_says_how_it_travels(mg: Any) -> None:
    import threading

    lock = threading.Lock()
    program = mg.compile(lambda x: x if lock else -x, 1.0)
    with pytest.raises(TypeError, match="cannot pickle") as raised:
        program(da.ones(3))
    assert "cloudpickle" in raised.value.__notes__[0]


def test_a_subclass_of_values_keeps_its_attributes(mg: Any) -> None:
    class Weight(mg.Value):  # type: ignore[misc,name-defined]
        pass

    w = Weight(2.0)
    w.scale = 3.0
    program = mg.compile(lambda x: w * x if x > 0 else w * x * w.scale, 1.0)
    assert program(da.from_array(np.array([1.0, -1.0]), chunks=1)).compute().tolist() == [2.0, -6.0]


def test_an_attribute_of_a_value_that_has_changed_travels_anew(mg: Any) -> None:
    w = subclass(mg)(2.0)
    w.scale = 3.0
    program = mg.compile(lambda x: w * x if x > 0 else w * x * w.scale, 1.0)
    assert program(ONE_OF_EACH).compute().tolist() == [2.0, -6.0]
    token = program._parcel.token
    w.data = 4.0
    assert program(ONE_OF_EACH).compute().tolist() == [4.0, -12.0]
    assert program._parcel.token == token
    w.scale = 5.0
    assert program(ONE_OF_EACH).compute().tolist() == [4.0, -20.0]


def test_a_class_with_another_method_makes_another_program_to_be_sent(mg: Any) -> None:
    tokens = set()
    for factor in (2.0, 3.0):
        w = subclass(mg, factor)(2.0)
        program = mg.compile(lambda x, w=w: w * x if x > 0 else w.scaled() * x, 1.0)
        assert program(ONE_OF_EACH).compute().tolist() == [2.0, -2.0 * factor]
        tokens.add(program._parcel.token)
    assert len(tokens) == 2


def test_values_in_the_attributes_of_a_value_are_parameters(mg: Any) -> None:
    for kind in (mg.Value, subclass(mg)):
        w = kind(2.0)
        w.scale, w.itself = mg.Value(3.0, label="scale"), w
        w.scale.bias = mg.Value(4.0)
        program = mg.compile(
            lambda x, w=w: w * x if x > 0 else w.itself * x * w.scale + w.scale.bias, 1.0
        )
        assert program(ONE_OF_EACH).compute().tolist() == [2.0, -2.0]
        program.backward(ONE_OF_EACH, reduction="sum")
        assert (w.grad, w.scale.grad, w.scale.bias.grad) == (-2.0, -2.0, 1.0)
        assert program.parameters == (w, w.scale, w.scale.bias)


def test_a_value_travels_without_what_it_was_made_from(mg: Any) -> None:
    import threading

    lock = threading.Lock()
    v = subclass(mg)(3.0)
    w = v * v
    w._backward = lambda: lock
    program = mg.compile(lambda x: w * x if x > 0 else w * w * x, 1.0)
    assert program(ONE_OF_EACH).compute().tolist() == [9.0, -81.0]


def test_a_class_here_is_left_alone_by_its_copies(mg: Any) -> None:
    w = mg.Value(2.0)

    class Model:
        def score(self, x: Any) -> Any:
            return w * x if x > 0 else w * w * x

    model, method = Model(), Model.score
    program = mg.compile(lambda x: model.score(x), 1.0)
    with dask.config.set(scheduler="threads"):
        assert program(da.arange(-9, 10, chunks=1)).compute()[0] == -36.0
    assert Model.score is method
    w.data = 3.0
    assert program([-1.0]).tolist() == [-9.0] and program.parameters == (w,)


_scores: dict[str, Any] = {}


def score(x: Any) -> Any:
    if x > 0:
        return _scores["w"] * x
    return _scores["v"] * x if x > -2 else _scores["score"](x / 2)


def test_a_jitted_function_meets_branches_on_workers(
    mg: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    w, v = mg.Value(2.0), mg.Value(3.0)
    jitted = mg.jit(score)
    monkeypatch.setitem(globals(), "score", jitted)  # as the decorator does
    monkeypatch.setitem(globals(), "_scores", {"w": w, "v": v, "score": jitted})
    program = mg.compile(lambda x: score(x) + 1, 1.0)
    x = da.from_array(np.array([1.0, -1.0, -4.0]), chunks=1)
    assert program(x).compute().tolist() == [3.0, -2.0, -2.0]
    program.backward(x, reduction="sum")
    assert (w.grad, v.grad) == (1.0, -2.0)


def test_a_jitted_function_in_a_closure_travels(mg: Any) -> None:
    w = mg.Value(2.0)
    for jitted in (
        mg.jit(lambda x: w * x if x > 0 else -x),
        mg.jit(fallback=True)(lambda x: w * x),
    ):
        program = mg.compile(lambda x, jitted=jitted: jitted(x), 1.0)
        assert program(ONE_OF_EACH).compute().tolist() == program([1.0, -1.0]).tolist()


def test_a_jitted_function_may_be_the_program(mg: Any) -> None:
    w = mg.Value(2.0)
    program = mg.compile(mg.jit(lambda x: w * x if x > 0 else w * w * x), 1.0)
    assert program(ONE_OF_EACH).compute().tolist() == [2.0, -4.0]


def test_a_program_of_numpy_imports_no_dask() -> None:
    code = (
        "import sys, micrograd_c as mg; "
        "program = mg.compile(lambda x: x * x, 1.0); program([1.0]), program.backward([1.0]); "
        "assert not {'dask', 'distributed', 'cloudpickle'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_another_thread_may_just_be_importing_dask(
    mg: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = mg.compile(lambda x: x * x, 1.0)
    monkeypatch.setitem(sys.modules, "dask.array", ModuleType("dask.array"))
    assert program([3.0]).tolist() == [9.0]
    assert program.gradient([3.0]).tolist() == [6.0]


def test_columns_of_a_dataframe_are_arrays(mg: Any) -> None:
    pytest.importorskip("pyarrow")
    pd = pytest.importorskip("pandas")
    dd = pytest.importorskip("dask.dataframe")
    frame = pd.DataFrame(normal(ROWS, 3), columns=["a", "b", "c"])
    lazy = dd.from_pandas(frame, npartitions=4)
    w = mg.Value(2.0)
    for example in ((), (np.ones(3), 1.0)):
        program = mg.compile(lambda x, y: w * x[0] * x[1] + x[2] * y, *example)
        found = program(lazy, lazy["a"])
        assert isinstance(found, da.Array) and found.numblocks == (4,)
        assert found.compute().tolist() == program(frame, frame["a"]).tolist()
        program.backward(lazy, lazy["a"])
