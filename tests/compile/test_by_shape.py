"""Programs without an example: recorded at the first call, and anew for each nesting and shape."""

from __future__ import annotations

import inspect
import re
import threading
from typing import Any, NamedTuple

import pytest
from compiled import normal

np = pytest.importorskip("numpy")


METHODS = [
    *("__call__", "backward", "gradient", "value_and_gradient", "jacobian", "hessian", "vjp"),
    *("jvp", "hvp", "parameter_jacobian", "objective"),
]


class Point(NamedTuple):
    x: Any
    y: Any


def test_the_first_call_records(mg: Any) -> None:
    w = mg.Value(2.0)
    calls = []

    def fn(x: Any) -> Any:
        calls.append(1)
        return w * x

    program = mg.compile(fn)
    assert not calls and isinstance(program, mg.Program)
    assert program([1.0, 2.0]).tolist() == [2.0, 4.0]
    assert program([5.0]).tolist() == [10.0] and len(calls) == 1


def test_before_the_first_call_there_is_nothing_to_show(mg: Any) -> None:
    program = mg.compile(doubled)
    assert program.parameters == () and program.specializations == 0
    assert repr(program) == "Program(doubled: nothing has been recorded yet)"
    with pytest.raises(RuntimeError, match="nothing has been recorded yet"):
        program.disassemble()


def doubled(x: Any) -> Any:
    return x * 2


def test_the_first_axis_of_an_array_is_that_of_the_rows(mg: Any) -> None:
    shapes = []

    def fn(x: Any, y: Any) -> Any:
        shapes.append((x.shape, type(y)))
        return x.sum() * y

    program = mg.compile(fn)
    x, y = normal(6, 3), normal(6)
    np.testing.assert_allclose(program(x, y), x.sum(1) * y, rtol=1e-14)
    assert shapes == [((3,), mg.Value)]
    x = normal(6, 2, 3)
    np.testing.assert_allclose(program(x, y), x.sum((1, 2)) * y, rtol=1e-14)
    assert shapes[1] == ((2, 3), mg.Value)


def test_a_nested_list_is_an_array_of_rows(mg: Any) -> None:
    program = mg.compile(lambda x: x[0] - x[1])
    rows = [[1.0, 2.0], [5.0, 3.0], [0, 1]]
    assert program(rows).tolist() == [-1.0, 2.0, -1.0]
    assert program(np.array(rows)).tolist() == [-1.0, 2.0, -1.0]
    assert program.specializations == 1
    with pytest.raises(ValueError, match="argument 0 is no regular array"):
        program([[1.0, 2.0], [3.0]])


def test_a_number_is_one_for_all_rows(mg: Any) -> None:
    program = mg.compile(lambda x, a, b: x * a if b else x)
    x = normal(5)
    np.testing.assert_allclose(program(x, 3.0, True), x * 3, rtol=1e-14)
    np.testing.assert_allclose(program(x, np.float32(2), False), x, rtol=1e-14)
    assert program.gradient(x, 3.0, True)[1] == pytest.approx(x.sum())
    assert program(2.0, 3.0, True).shape == ()


def test_containers_are_of_arrays_with_rows(mg: Any) -> None:
    program = mg.compile(lambda d, p: d["a"][1] * d["b"][0] + p.x * p.y)
    a, b, x = normal(4, 2), normal(4), normal(4)
    found = program({"a": a, "b": (b, 1.0)}, Point(x, 3.0))
    np.testing.assert_allclose(found, a[:, 1] * b + x * 3, rtol=1e-14)
    d, p = program.gradient({"a": a, "b": (b, 1.0)}, Point(x, 3.0))
    assert isinstance(p, Point) and d["a"].shape == (4, 2) and type(d["b"]) is tuple
    assert p.y == pytest.approx(x.sum())


def test_each_length_of_a_sentence_is_recorded(mg: Any) -> None:
    w = mg.Value(0.5)

    def fn(xs: Any) -> Any:
        state = mg.Value(0.0)
        for x in xs:
            state = (state * w + x).tanh()
        return state

    program = mg.compile(fn)
    for length in (3, 5, 3, 1):
        x = normal(4, length, seed=length)
        expected = np.zeros(4)
        for i in range(length):
            expected = np.tanh(expected * 0.5 + x[:, i])
        np.testing.assert_allclose(program(x), expected, rtol=1e-12)
    assert program.specializations == 3
    assert repr(program).endswith("fn: 3 shapes, 1 parameter, 3 specializations)")
    text = program.disassemble("backward")
    assert [line for line in text.splitlines() if line.startswith("shape")] == [
        "shape 0:",
        "shape 1:",
        "shape 2:",
    ]


def test_parameters_are_those_of_all_shapes(mg: Any) -> None:
    ws = [mg.Value(float(i)) for i in range(1, 4)]
    program = mg.compile(lambda xs: sum(w * x for w, x in zip(ws[-len(xs) :], xs)))
    assert program.backward([[2.0]]) == 6.0
    assert program.parameters == (ws[2],)
    assert program.backward([[1.0, 1.0, 1.0], [1.0, 3.0, 1.0]], reduction="sum") == 16.0
    assert set(map(id, program.parameters)) == set(map(id, ws)) and program.parameters[0] is ws[2]
    assert [w.grad for w in ws] == [2.0, 4.0, 4.0]
    row = program.parameter_jacobian([[7.0]])
    assert row.tolist() == [[7.0, 0.0, 0.0]]  # in the order of `parameters`
    _, along = program.vjp([[7.0]], seeds=[2.0], parameters=True)
    assert along.tolist() == [14.0, 0.0, 0.0]


def test_every_method_records_at_first_use(mg: Any) -> None:
    x, one, ws = normal(3, 2), np.ones(3), [mg.Value(2.0), mg.Value(3.0)]

    def fn(x: Any) -> Any:
        return (ws[0] * x[0] * x[1]).exp() * ws[1]

    like = mg.compile(fn, x[0])
    options = {"vjp": {"seeds": one}, "jvp": {"tangents": x}, "hvp": {"vectors": x}}
    for name in METHODS:
        if name == "objective":
            continue
        found = getattr(mg.compile(fn), name)(x, **options.get(name, {}))
        expected = getattr(like, name)(x, **options.get(name, {}))
        pairs = zip(found, expected) if isinstance(found, tuple) else [(found, expected)]
        for one_found, one_expected in pairs:
            np.testing.assert_array_equal(one_found, one_expected)
    objective, same = mg.compile(fn).objective(x), like.objective(x)
    assert objective([2.0, 4.0])[0] == same([2.0, 4.0])[0]


def test_every_method_of_a_program_goes_by_shape(mg: Any) -> None:
    names = {
        name
        for name, member in vars(mg.Program).items()
        if inspect.isfunction(member) and (name == "__call__" or name[0] != "_")
    }
    assert names == {*METHODS, "disassemble", "export_c", "build"}
    for name in names:
        assert name in vars(type(mg.compile(doubled))), name


def test_more_shapes_than_max_shapes_are_refused(mg: Any) -> None:
    program = mg.compile(lambda x: x.sum(), max_shapes=2)
    program(normal(3, 1))
    program(normal(3, 2))
    with pytest.raises(RuntimeError, match="than the 2 recorded so far, and max_shapes is 2"):
        program(normal(3, 3))
    assert program(normal(4, 2)).shape == (4,)
    with pytest.raises(ValueError, match="max_shapes"):
        mg.compile(doubled, max_shapes=0)
    with pytest.raises(TypeError, match="max_shapes must be an integer"):
        mg.compile(doubled, max_shapes="2")


def test_no_rows_tell_nothing_to_record(mg: Any) -> None:
    program = mg.compile(doubled)
    for empty in ([], np.zeros(0)):
        with pytest.raises(ValueError, match="needs a row to record"):
            program(empty)
    program([1.0])
    assert program([]).shape == (0,) and program.gradient(np.zeros(0)).shape == (0,)


def test_rows_of_another_number_are_named(mg: Any) -> None:
    program = mg.compile(lambda x, y: x * y)
    with pytest.raises(ValueError, match=r"argument 1 has the shape \(3,\), argument 0 \(2,\)"):
        program([1.0, 2.0], [1.0, 2.0, 3.0])
    assert program.specializations == 0


def test_what_is_no_row_is_refused(mg: Any) -> None:
    program = mg.compile(doubled)
    for wrong, text in (
        ({1.0}, "argument 0 must be a number, an array, or"),
        (1j, "not 'complex'"),
        ([mg.Value(1.0)], "must consist of real numbers, not 'Value'"),
        (np.array(["a"]), "must consist of real numbers"),
        ([1.0, "a"], "must consist of real numbers"),
    ):
        with pytest.raises(TypeError, match=re.escape(text)):
            program(wrong)


def test_keywords_are_part_of_the_nesting(mg: Any) -> None:
    program = mg.compile(lambda x, scale=1.0, shift=0.0: x * scale + shift)
    x = normal(4)
    np.testing.assert_allclose(program(x), x)
    np.testing.assert_allclose(program(x, scale=x), x * x)
    np.testing.assert_allclose(program(x, shift=1.0, scale=x), x * x + 1)
    np.testing.assert_allclose(program(x, scale=x, shift=2.0), x * x + 2)
    assert program.specializations == 3
    (d_x,), named = program.gradient(x, scale=x, shift=2.0, threads=2)
    np.testing.assert_allclose(d_x, x)
    assert list(named) == ["scale", "shift"] and named["shift"] == 4.0


def test_a_branch_is_recorded_within_a_shape(mg: Any) -> None:
    program = mg.compile(lambda x: x[0] * 2 if x[0].data > 0 else x[0] * 3)
    assert program([[1.0], [-1.0]]).tolist() == [2.0, -3.0]
    assert program([[1.0, 0.0]]).tolist() == [2.0] and program.specializations == 3


def test_an_error_leaves_nothing_recorded(mg: Any) -> None:
    program = mg.compile(lambda x: x.log())
    with pytest.raises(ValueError, match="log"):
        program([-1.0])
    assert program.specializations == 0
    assert program([1.0]).tolist() == [0.0]


def test_a_function_without_arguments_is_recorded_at_once(mg: Any) -> None:
    w = mg.Value(3.0)
    program = mg.compile(lambda: w * w)
    assert program.parameters == (w,) and program() == 9.0
    assert program.backward() == 9.0 and w.grad == 6.0


def test_a_function_that_calls_its_own_program_is_refused(mg: Any) -> None:
    program = mg.compile(lambda x: x[0] * program(np.ones((1, len(x) + 1)))[0])
    with pytest.raises(RuntimeError, match="calls its own program"):
        program(normal(2, 2))


def test_threads_that_meet_a_shape_record_it_once(mg: Any) -> None:
    calls: list[int] = []

    def fn(x: Any) -> Any:
        calls.append(1)
        return x.sum()

    program = mg.compile(fn)
    results: list[Any] = []
    threads = [
        threading.Thread(target=lambda: results.append(program(np.ones((3, 50))))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(calls) == 1 and all(result.tolist() == [50.0] * 3 for result in results)
