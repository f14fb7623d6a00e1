"""Series and DataFrames of pandas are arrays of their values."""

from __future__ import annotations

from typing import Any

import pytest
from compiled import normal

np = pytest.importorskip("numpy")
pd = pytest.importorskip("pandas")


def frame(rows: int = 5) -> Any:
    return pd.DataFrame(normal(rows, 3), columns=["a", "b", "c"], index=range(10, 10 + rows))


def dotted(x: Any, y: Any) -> Any:
    assert type(x) is np.ndarray and x.shape == (3,)
    return x[0] * x[1] + x[2] * y


@pytest.mark.parametrize("by_example", [True, False])
def test_a_frame_is_a_batch_of_its_rows(mg: Any, by_example: bool) -> None:
    df = frame()
    program = mg.compile(dotted, *((df.iloc[0], df["a"].iloc[0]) if by_example else ()))
    expected = df["a"] * df["b"] + df["c"] * df["a"]
    np.testing.assert_allclose(program(df, df["a"]), expected, rtol=1e-14)
    d_x, d_y = program.gradient(df, df["a"])
    assert type(d_x) is np.ndarray and d_x.shape == (5, 3)
    np.testing.assert_array_equal(d_y, df["c"])


def test_a_series_as_an_example_is_an_array(mg: Any) -> None:
    program = mg.compile(dotted, pd.Series([1, 2, 3], index=["a", "b", "c"]), 1.0)
    assert program(frame(), 0.0).shape == (5,)
    assert program(pd.Series([2, 3, 4]), 1.0) == 10.0


def test_a_frame_as_an_example_is_one_row(mg: Any) -> None:
    program = mg.compile(lambda x: x[1, 2], frame(2))
    assert program(np.stack([frame(2)] * 4)).shape == (4,)


def test_series_stand_in_containers(mg: Any) -> None:
    df = frame()
    program = mg.compile(lambda d: d["a"] * d["b"])
    found = program({"a": df["a"], "b": df["b"]})
    np.testing.assert_allclose(found, df["a"] * df["b"], rtol=1e-14)


def test_a_frame_of_mixed_numbers_is_read_as_floats(mg: Any) -> None:
    df = pd.DataFrame({"a": [1, 2], "b": [0.5, 1.5], "c": [True, False]})
    assert mg.compile(lambda x: x.sum())(df).tolist() == [2.5, 3.5]


@pytest.mark.parametrize("column", [["x", "y"], [None, "y"]])
def test_text_in_a_frame_is_refused(mg: Any, column: Any) -> None:
    df = pd.DataFrame({"a": [1.0, 2.0], "b": column})
    with pytest.raises(TypeError, match="argument 0 must consist of real numbers"):
        mg.compile(lambda x: x.sum())(df)
    with pytest.raises(TypeError, match="example 0 must consist of real numbers"):
        mg.compile(lambda x: x.sum(), df)


def test_a_jitted_function_takes_a_series_and_a_frame_as_arrays(mg: Any) -> None:
    df = frame()
    total = mg.jit(lambda x, f: x[0] * f[1, 2] + x.sum())
    for row in (df.iloc[0], df.iloc[1]):
        assert total(row, df).data == pytest.approx(row["a"] * df["c"].iloc[1] + row.sum())
    assert total.specializations == 1
