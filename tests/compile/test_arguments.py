"""Arguments of a compiled program: nesting, shapes, kinds of arrays, arrays changed in place."""

from __future__ import annotations

import warnings
from array import array
from fractions import Fraction
from typing import Any

import pytest
from compiled import normal

np = pytest.importorskip("numpy")


def test_arguments_nest_as_the_example_does(mg: Any) -> None:
    def fn(a: Any, b: Any, c: Any) -> Any:
        assert type(a) is list and type(a[1]) is list and type(b) is tuple and type(c) is dict
        return a[0][1] * b[0] + b[1][1] * c["w"] - c["v"][0]

    example = [[1.0, 2.0], [3.0, 4.0]], (1.0, [2.0, 3.0]), {"w": 1.0, "v": [2.0]}
    program = mg.compile(fn, *example)
    a, b = normal(7, 2, 2), (normal(7), normal(7, 2))
    c = {"v": normal(7, 1), "w": normal(7).tolist()}
    expected = a[:, 0, 1] * b[0] + b[1][:, 1] * np.array(c["w"]) - c["v"][:, 0]
    np.testing.assert_allclose(program(a, b, c), expected, rtol=1e-14)
    np.testing.assert_allclose(program(a.tolist(), b, c), expected, rtol=1e-14)
    d_a, d_b, d_c = program.gradient(a, b, c)
    assert d_a.shape == (7, 2, 2) and d_b[1].shape == (7, 2)
    np.testing.assert_allclose(d_b[0], a[:, 0, 1])
    assert (d_c["v"] == -1.0).all()


@pytest.mark.parametrize(
    "kind", [array, memoryview, list, np.float32, np.int64, "strided", "unaligned", "swapped"]
)
def test_a_batch_may_be_any_array(mg: Any, kind: Any) -> None:
    program = mg.compile(lambda x: x * 2, 1.0)
    numbers = [1.0, 2.0, 3.0]
    batch = {
        array: array("d", numbers),
        memoryview: memoryview(array("d", numbers)),
        list: [1, 2, Fraction(3)],
        np.float32: np.array(numbers, np.float32),
        np.int64: np.array(numbers, np.int64),
        "strided": np.array([1.0, 9.0, 2.0, 9.0, 3.0])[::2],
        "unaligned": np.frombuffer(b"-" + np.array(numbers).tobytes(), np.float64, offset=1),
        "swapped": np.array(numbers, np.dtype(np.float64).newbyteorder()),
    }[kind]
    assert program(batch).tolist() == [2.0, 4.0, 6.0]


def test_wrong_shapes_are_named(mg: Any) -> None:
    program = mg.compile(lambda x, y: x[0] * y, [1.0, 2.0], 1.0)
    with pytest.raises(ValueError, match=r"argument 0 must have the shape \(N, 2\), not \(4, 3\)"):
        program(np.zeros((4, 3)), np.zeros(4))
    with pytest.raises(ValueError, match=r"argument 1 has the shape \(5,\), .* \(4, 2\)"):
        program(np.zeros((4, 2)), np.zeros(5))
    with pytest.raises(ValueError, match=r"\(N,\), not \(4, 1\); one row for all .* \(\)"):
        program(np.zeros((4, 2)), np.zeros((4, 1)))
    with pytest.raises(TypeError, match="takes 2 arguments, not 1"):
        program(np.zeros((4, 2)))
    with pytest.raises(TypeError, match="must consist of real numbers"):
        program(np.zeros((4, 2)), np.zeros(4, complex))


@pytest.mark.parametrize(
    ("batch", "error", "text"),
    [
        ([[None, 1.0]], TypeError, "real numbers, not 'NoneType'"),
        ([["1", "2"]], TypeError, "real numbers, not <U1"),
        (np.array([["1", 2]], object), TypeError, "real numbers, not 'str'"),
        ([[1.0, 2.0], [3.0]], ValueError, "no regular array"),
        (np.ma.array([[1.0, 2.0]], mask=[[True, False]]), ValueError, "masked"),
        (iter([[1.0, 2.0]]), TypeError, "real numbers, not 'list_iterator'"),
        ([[1.0, 10**400]], OverflowError, "too large"),
    ],
)
def test_rows_must_be_real_numbers(mg: Any, batch: Any, error: type[Exception], text: str) -> None:
    program = mg.compile(lambda x: x[0] * x[1], [1.0, 2.0])
    with pytest.raises(error, match=text):
        program(batch)


def test_rows_of_values_are_refused(mg: Any) -> None:
    program = mg.compile(lambda x: x * x, 1.0)
    with pytest.raises(TypeError, match="real numbers, not 'Value'"):
        program([mg.Value(1.0)])


def test_an_empty_list_has_no_rows(mg: Any) -> None:
    program = mg.compile(lambda x: x[0] * x[1], [1.0, 2.0])
    assert program([]).shape == (0,) and program.gradient(()).shape == (0, 2)


def test_no_rows_give_empty_results(mg: Any) -> None:
    w = mg.Value(2.0)
    program = mg.compile(lambda x: w * x, 1.0)
    assert program(np.zeros(0)).shape == (0,)
    assert program.gradient([]).shape == (0,)
    assert program.backward([], reduction="sum") == 0.0 and w.grad == 0.0
    with pytest.raises(ValueError, match="the mean of no rows"):
        program.backward([])


def test_arrays_changed_in_place_are_read_anew(mg: Any) -> None:
    w = mg.Value(2.0)
    program = mg.compile(lambda x: w * x, 1.0)
    x = np.array([1.0, 2.0])
    assert [program.backward(x) for _ in range(3)] == [3.0] * 3
    x[:] = 5.0
    assert program.backward(x) == 10.0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of numpy 2.5
        x.shape = (2, 1)
    with pytest.raises(ValueError, match="shape"):
        program.backward(x)


def test_list_of_arrays_is_told_from_an_array_with_as_many_rows(mg: Any) -> None:
    program = mg.compile(lambda pair: pair[0][0] * 10 + pair[1][0], [np.ones(1), np.ones(1)])
    assert program([np.array([[1.0], [2.0]]), np.array([[3.0], [4.0]])]).tolist() == [13.0, 24.0]


# ---- arrays that change under a program ----


def test_an_array_that_moves_in_memory_is_read_where_it_is(mg: Any) -> None:
    x = np.arange(4.0)
    program = mg.compile(lambda v: v * 2, 1.0)
    assert program(x).tolist() == [0.0, 2.0, 4.0, 6.0]
    x.resize(100_000, refcheck=False)
    x.resize(4, refcheck=False)
    x[:] = [5.0, 6.0, 7.0, 8.0]
    assert program(x).tolist() == [10.0, 12.0, 14.0, 16.0]


@pytest.mark.filterwarnings("ignore:Setting the strides")
def test_an_array_with_other_strides_is_read_by_them(mg: Any) -> None:
    x = np.arange(4.0)
    w = mg.Value(1.0)
    program = mg.compile(lambda v: v * w, 1.0)
    for _ in range(3):
        program.backward(x, reduction="sum")
    assert w.grad == 18.0
    x.strides = (0,)
    assert program(x).tolist() == [0.0] * 4
    program.backward(x, reduction="sum")
    assert w.grad == 18.0
