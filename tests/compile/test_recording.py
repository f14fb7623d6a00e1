"""What an argument of a compiled function is, while the function is recorded: ==, truth, hash."""

from __future__ import annotations

import math
from typing import Any

import pytest

pytest.importorskip("numpy")


def matched(mg: Any, y: Any) -> Any:
    match y:
        case 1:
            return y * 2
        case 2:
            return y * 5
        case _:
            return y - 1


NUMBERS: dict[str, Any] = {
    "==": lambda mg, y: y * 2 if y == 1 else y * 3,
    "== on the right": lambda mg, y: y * 2 if y == 1.0 else y * 3,
    "!=": lambda mg, y: y * 2 if y != 0 else y * 3 + 7,
    "truth": lambda mg, y: y * 2 if y else y * 3 + 7,
    "not": lambda mg, y: y * 2 if not y else y * 3 + 7,
    "in": lambda mg, y: y * 2 if y in (1, 2) else y * 3 + 7,
    "a bool": lambda mg, y: y * 2 if y == True else y * 3,  # noqa: E712
    "match": matched,
    "no number": lambda mg, y: y * 2 if y == None or y == "1" else y * 3,  # noqa: E711
    "one too large": lambda mg, y: y * 2 if y == 10**400 else y * 3,
    "complex": lambda mg, y: y * 2 if y == 1 + 0j else y * 3,
    "complex on the left": lambda mg, y: y * 2 if y == 2 + 0j else y * 3 if y != 1j else y * 5,
    "and": lambda mg, y: y * 2 if y and y != 3 else y * 3,
}
LISTS: dict[str, Any] = {
    "count": lambda mg, xs: xs[0] * xs.count(0.0) + 1,
    "any": lambda mg, xs: xs[0] + 1 if any(xs) else xs[0] - 1,
    "all": lambda mg, xs: xs[0] + 1 if all(xs) else xs[0] - 1,
    "filter": lambda mg, xs: sum((x * 2 for x in xs if x), mg.Value(0.0)),
    "index": lambda mg, xs: xs[xs.index(2)] * 3 if 2 in xs else xs[0],
    "a list": lambda mg, xs: xs[0] * 2 if xs == [1, 2] else xs[1],
}


def row_by_row(fn: Any, floats: Any, rows: Any) -> list[float]:
    """The results of a function of floats."""
    return [float(fn(floats, row)) for row in rows]


class Floats:
    """What functions of floats take for the package."""

    Value = float


@pytest.mark.parametrize("name", NUMBERS)
def test_an_argument_compares_by_its_data(mg: Any, name: str) -> None:
    rows = [1.0, 2.0, 0.0, 1.0, 3.0, -1.0]
    for example in rows[:3]:
        program = mg.compile(lambda y: NUMBERS[name](mg, y), example)
        assert program(rows).tolist() == row_by_row(NUMBERS[name], Floats, rows)


@pytest.mark.parametrize("name", LISTS)
def test_arguments_in_a_list_compare_by_their_data(mg: Any, name: str) -> None:
    rows = [[1.0, 2.0], [0.0, 2.0], [0.0, 0.0], [2.0, 0.0], [3.0, 3.0]]
    program = mg.compile(lambda xs: LISTS[name](mg, xs), rows[0])
    assert program(rows).tolist() == row_by_row(LISTS[name], Floats, rows)


def test_an_argument_compares_with_the_data_of_what_is_computed(mg: Any) -> None:
    for fn in (
        lambda y: y * 2 if y == (y * y).data else y * 3,
        lambda y: y * 2 if (y * y).data == y else y * 3,
        lambda y: y * 3 if (y * y).data != y else y * 2,
    ):
        assert mg.compile(fn, 2.0)([1.0, 2.0, 0.0]).tolist() == [2.0, 6.0, 0.0]


def test_a_loop_over_data_ends_where_each_rows_does(mg: Any) -> None:
    def fn(n: Any) -> Any:
        total = mg.Value(0.0)
        while n.data:
            total, n = total + n, n - 1
        return total

    assert mg.compile(fn, 2.0)([0.0, 1.0, 2.0, 3.0]).tolist() == [0.0, 1.0, 3.0, 6.0]


def test_nan_is_told_by_data_that_is_not_itself(mg: Any) -> None:
    program = mg.compile(lambda y: y * 2 if y.data != y.data else y * 3, 1.0)
    assert program([2.0])[0] == 6.0
    assert math.isnan(program([math.nan])[0])
    assert program.specializations == 2


def test_two_values_compare_by_identity(mg: Any) -> None:
    def fn(xs: Any) -> Any:
        product = xs[0] * xs[1]
        total = product + 1
        seen = {product, total}
        assert product in seen and xs[0] in [product, xs[0]]
        assert xs[0] != xs[1] and product != xs[0] and product == product
        return total

    assert mg.compile(fn, [1.0, 1.0])([[1.0, 1.0]]).tolist() == [2.0]


def test_what_depends_on_no_argument_behaves_as_eagerly(mg: Any) -> None:
    w = mg.Value(0.0)

    def fn(x: Any) -> Any:
        zero = w * 2
        assert w and zero and mg.Value(0.0)
        assert w != 0 and zero != 0 and mg.Value(1.0) not in (1.0, 2.0)
        return x + len({w, zero})

    assert mg.compile(fn, 1.0)([1.0]).tolist() == [3.0]


@pytest.mark.parametrize(
    "use, text",
    [
        (lambda v: v == 1, r"compared with a number by == or !="),
        (lambda v: v != 0.0, r"compared with a number"),
        (lambda v: v in (1, 2), r"compared with a number"),
        (lambda v: v == 1j, r"compared with a number"),
        (lambda v: not v, r"asked for its truth"),
        (lambda v: [1, 2] if v else [], r"asked for its truth: compare its .data"),
    ],
)
def test_what_is_computed_from_an_argument_is_neither_true_nor_equal(
    mg: Any, use: Any, text: str
) -> None:
    w = mg.Value(2.0)

    def fn(x: Any) -> Any:
        use(w * x)
        return x

    with pytest.raises(TypeError, match=rf"{text}.*test_recording\.py:\d+"):
        mg.compile(fn, 1.0)


@pytest.mark.parametrize("use", [hash, lambda v: {1: 2}.get(v), lambda v: {v}, lambda v: {v: 1}])
def test_an_argument_has_no_hash(mg: Any, use: Any) -> None:
    with pytest.raises(TypeError, match=r"no hash.*key by id\(v\).*compare its \.data"):
        mg.compile(lambda x: (use(x), x)[1], 1.0)
    v = mg.Value(1.0)
    assert use(v) == use(v)


def test_a_class_with_comparisons_of_its_own_keeps_them(mg: Any) -> None:
    class Own(mg.Value):  # type: ignore[misc,name-defined]
        def __eq__(self, other: object) -> bool:
            return True

        def __hash__(self) -> int:
            return 7

        def __bool__(self) -> bool:
            return False

    class Sized(mg.Value):  # type: ignore[misc,name-defined]
        def __len__(self) -> int:
            return int(self.data)

    own = Own(1.0)
    assert own == 3 and hash(own) == 7 and not own
    assert Sized(2.0) and not Sized(0.0)
    assert mg.compile(lambda x: x + (own == 5), 1.0)([1.0]).tolist() == [2.0]


def test_eagerly_a_value_is_true_and_equal_to_itself_alone(lib: Any) -> None:
    zero = lib.Value(0.0)
    assert zero and bool(lib.Value(math.nan))
    assert zero != 0.0 and zero != lib.Value(0.0) and zero == zero
    assert len({zero, zero, lib.Value(0.0)}) == 2


def test_a_value_is_no_index_and_no_int(mg: Any) -> None:
    for v in (mg.Value(1.0), mg.Value(1.0) * 2):
        with pytest.raises(TypeError, match=r"int\(v\.data\)"):
            [1, 2][v]
        with pytest.raises(TypeError, match=r"use int\(v\.data\)"):
            int(v)
    with pytest.raises(TypeError, match=r"test_recording\.py:\d+\): use micrograd_c\.take\("):
        mg.compile(lambda x: [1, 2][x] * x, 1.0)
