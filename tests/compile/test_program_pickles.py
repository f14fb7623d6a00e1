"""Copies and pickles of programs, damaged ones too."""

from __future__ import annotations

import contextlib
import copy
import importlib
import io
import pickle
import random
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import pytest

np = pytest.importorskip("numpy")


_weight: Any = None


@contextlib.contextmanager
def weight(value: Any) -> Iterator[Any]:
    """Have a module's Value, as a function that is pickled by reference has."""
    global _weight
    _weight = value
    try:
        yield value
    finally:
        _weight = None


def by_reference(x: Any) -> Any:
    return x * _weight if x.data > 0 else x - _weight


def test_a_pickled_program_is_a_program(mg: Any) -> None:
    with weight(mg.Value(3.0)) as w:
        program = mg.compile(by_reference, 1.0)
        before = program([1.0, -1.0]).tolist()
        other = pickle.loads(pickle.dumps(program))
        assert other([1.0, -1.0]).tolist() == before
        other.parameters[0].data = 5.0  # a copy: the pickle had the parameters in it
        assert other([1.0, -1.0]).tolist() == [5.0, -6.0] and w.data == 3.0
        assert other.disassemble() == program.disassemble()


def test_a_copied_program_records_no_others_parameters(mg: Any) -> None:
    with weight(mg.Value(3.0)):
        program = copy.deepcopy(mg.compile(by_reference, 1.0))
        with pytest.raises(RuntimeError, match="compile it here"):
            program([-1.0])


def test_a_shallow_copy_shares_parameters(mg: Any) -> None:
    with weight(mg.Value(3.0)) as w:
        program = copy.copy(mg.compile(by_reference, 1.0))
        assert program.parameters[0] is w
        assert program([1.0, -1.0]).tolist() == [3.0, -4.0]


def test_a_pickle_of_an_older_version_is_read(mg: Any) -> None:
    rebuild, (fn, _, options, *rest) = mg.compile(_added, [1.0, 2.0], (1.0, 2.0)).__reduce__()
    arguments = __import__(f"{mg.__name__}._compile.arguments", fromlist=["Array"])
    numbers = arguments.Array((), 2, 1), arguments.Array((), 3, 1)  # as there were three fields
    shapes = arguments.Array((2,), 0, 2), arguments.Members(tuple, None, numbers)
    program = rebuild(fn, shapes, options[:3], *rest)
    rows = [[1.0, 2.0], [-3.0, 4.0]], ([5.0, 6.0], [7.0, 8.0])
    assert program(*rows).tolist() == [1.0 * 5.0, -3.0 - 8.0]


def _added(xs: Any, pair: Any) -> Any:
    assert type(xs) is list and type(pair) is tuple
    return xs[0] * pair[0] if xs[0].data > 0 else xs[0] - pair[1]


# ---- programs without an example ----


def _scaled(x: Any, how: Any = None) -> Any:
    return x.sum() * _weight if how is None else x.sum() * 2


def test_a_program_without_an_example_is_pickled_with_its_shapes(mg: Any) -> None:
    with weight(mg.Value(3.0)) as w:
        program = mg.compile(_scaled, max_shapes=3)
        x, y = np.ones((2, 3)), np.ones((2, 4))
        program(x), program(y, "two")
        for other in (pickle.loads(pickle.dumps(program)), copy.deepcopy(program)):
            assert isinstance(other, mg.Program) and other.specializations == 2
            other.parameters[0].data = 5.0
            assert other(x).tolist() == [15.0, 15.0] and other(y, "two").tolist() == [8.0, 8.0]
            with pytest.raises(RuntimeError, match="compile it here"):
                other(y)  # another shape, with the function's own Value
            assert other(np.ones((2, 2)), "two").tolist() == [4.0, 4.0]
            with pytest.raises(RuntimeError, match="max_shapes is 3"):
                other(np.ones((2, 5)), "two")
        shallow = copy.copy(program)
        assert shallow.parameters == (w,) and shallow(y).tolist() == [12.0, 12.0]
        assert program.specializations == 2


def test_a_program_that_has_recorded_nothing_is_pickled(mg: Any) -> None:
    with weight(mg.Value(3.0)):
        program = pickle.loads(pickle.dumps(mg.compile(_scaled)))
        assert program.specializations == 0 and program(np.ones((2, 3))).tolist() == [9.0, 9.0]


def test_damaged_parts_of_a_program_without_an_example_are_refused(mg: Any) -> None:
    program = mg.compile(_scaled)
    program(np.ones((2, 3)), "two")
    rebuild, (fn, options, parameters, states, own) = program.__reduce__()
    assert rebuild(fn, options, parameters, states, own)(np.ones((1, 3)), "two") == 6.0
    for damaged in (
        (fn, options[:2], parameters, states, own),
        (fn, (1, 2, 3), parameters, states, own),
        (fn, options, (1.0,), states, own),
        (fn, options, 1.0, states, own),
        (fn, options, parameters, [states], own),
        (fn, options, parameters, [states[0][:-1]], own),
    ):
        with pytest.raises(ValueError):
            rebuild(*damaged)


# ---- damaged pickles ----


class Row(NamedTuple):
    x: Any
    w: Any


@dataclass
class Both:
    a: Any
    name: Any


def _of_all_kinds(row: Any, how: Any, scale: Any) -> Any:
    a, b = row.x
    if (a * b).data > 0:
        return Both(row.x * row.w, [b.tanh()])
    return Both(row.x * scale.a, [a])


@pytest.mark.long
def test_damaged_pickles_of_all_kinds_crash_nothing(mg: Any) -> None:
    rows = Row(np.array([[1.0, -2.0], [-1.0, -0.5]]), [0.5, -0.5]), "how"
    scale = Both([1.0, 2.0], None)
    first = Row(np.ones(2), 1.0), "how"
    one = mg.compile(_of_all_kinds, *first, scale=Both(1.0, None), max_specializations=4)
    many = mg.compile(_of_all_kinds, max_specializations=4, max_shapes=2)
    for program in (one, many):
        program(*rows, scale=scale)
        data = pickle.dumps(program)
        found = pickle.loads(data)(*rows, scale=scale)
        assert type(found) is Both and found.name[0].shape == (2,)
        assert found.a.tolist() == [[1.0, -2.0], [0.5, 0.25]]
        for damaged in damages(data, 1000, seed=2):
            with contextlib.suppress(Exception):
                twin = pickle.load(io.BytesIO(damaged))
                for use in (twin, twin.jacobian):
                    use(*rows, scale=scale)
                twin.disassemble("backward")


@pytest.mark.parametrize(
    "damaged",
    [
        {"kind": int},
        {"kind": "list"},
        {"keys": ("x", "w")},
        {"keys": 3},
        {"items": ()},
        {"kind": dict},
        {"kind": Both},
        {"kind": Both, "keys": ("a", "b")},
        {"kind": list, "keys": ()},
    ],
)
def test_shapes_that_are_no_containers_are_refused(mg: Any, damaged: Any) -> None:
    program = mg.compile(_sum_of_row, Row(1.0, 2.0))
    rebuild, (fn, (shape,), *rest) = program.__reduce__()
    assert rebuild(fn, (shape,), *rest)(Row([1.0], [2.0])).tolist() == [3.0]
    with pytest.raises(ValueError):
        rebuild(fn, (shape._replace(**damaged),), *rest)


def test_names_that_are_no_keywords_are_refused(mg: Any) -> None:
    rebuild, (fn, shapes, options, *rest) = mg.compile(_sum_of_row, row=Row(1.0, 2.0)).__reduce__()
    assert options[3] == ("row",)
    for names in ("row", ("row", "more"), (1,), ["row"]):
        with pytest.raises(ValueError):
            rebuild(fn, shapes, (*options[:3], names), *rest)


def _sum_of_row(row: Any) -> Any:
    return row.x + row.w


def sample(mg: Any) -> Any:
    w, b = mg.Value(0.5), mg.Value(-0.25)
    program = mg.compile(_branching, {"x": [1.0, 2.0], "w": w.data}, max_specializations=4)
    program({"x": [[1.0, -2.0], [-1.0, 0.5]], "w": [0.5, -0.5]})
    del b
    return program


def _branching(row: Any) -> Any:
    a, b = row["x"]
    where = importlib.import_module("micrograd_c").where
    if (a * b).data > 0:
        return [(a * row["w"]).tanh(), where(a > b, b, b / (a * a + 1))]
    return [a - row["w"] ** 2, (b * b + 1.0).log()]


def run_damaged(data: bytes) -> None:
    """Load a program from bytes and use it, if it can be loaded."""
    try:
        program = pickle.load(io.BytesIO(data))
        rows = {"x": [[1.0, -2.0], [-1.0, 0.5], [2.0, 2.0]], "w": [0.5, -0.5, 1.0]}
        for use in (program, program.jacobian, program.disassemble):
            use(rows) if use != program.disassemble else use("backward")
    except MemoryError:
        pass
    except Exception:  # of unpickling, of another function or nesting, or ValueError
        pass


def damages(data: bytes, count: int, seed: int) -> Any:
    draw = random.Random(seed)
    for _ in range(count):
        if draw.random() < 0.1:
            yield data[: draw.randrange(len(data))]
        else:
            bit = draw.randrange(8 * len(data))
            damaged = bytearray(data)
            damaged[bit // 8] ^= 1 << bit % 8
            yield bytes(damaged)


@pytest.mark.long
def test_a_damaged_pickle_of_a_program_crashes_nothing(mg: Any) -> None:
    data = pickle.dumps(sample(mg))
    assert pickle.loads(data)({"x": [[1.0, 2.0]], "w": [1.0]})[1].tolist() == [1.0]
    for damaged in damages(data, 1500, seed=1):
        run_damaged(damaged)


def test_entries_that_no_trace_has_are_refused(mg: Any) -> None:
    program = mg.compile(lambda x: x * 2 + 1, 1.0)
    rebuild, state = program.__reduce__()
    fn, shapes, options, result, parameters, [(entries, outputs, guards, captured)], own = state

    def rebuilt(**changes: Any) -> Any:
        given = {"entries": entries, "outputs": outputs, "guards": guards, "inputs": 1, **changes}
        trace = given["entries"], given["outputs"], given["guards"], captured
        return rebuild(
            fn, shapes, (given["inputs"], *options[1:]), result, parameters, [trace], own
        )

    assert rebuilt()([3.0]).tolist() == [7.0]
    for changes in (
        {"entries": entries[:-1]},
        {"entries": entries[24:]},
        {"entries": entries[:-8] + b"\xff\xff\xff\x7f" + entries[-4:]},
        {"outputs": (1000,)},
        {"outputs": ()},
        {"guards": ((7, 0, 0, True),)},
        {"guards": ((0, 0, 99, True),)},
        {"inputs": 0},
        {"inputs": 5},
        {"inputs": "one"},
        {"entries": "text"},
    ):
        with pytest.raises(ValueError):
            rebuilt(**changes)


def entries_of_all_kinds(draw: random.Random, operators: int) -> bytes:
    """Entries of a trace with two inputs and two parameters, each after its operands."""
    entries = [(0.0, 256, 0, 0, 0), (0.0, 256, 1, 0, 0), (0.0, 257, 0, 0, 0), (0.0, 257, 1, 0, 0)]
    kinds = [*range(2, operators), *range(258, 266), 264, 265, 265, 265]
    for _ in range(draw.randrange(1, 40)):
        places = [draw.randrange(len(entries)) for _ in range(3)]
        number = draw.choice([0.0, 1.0, 2.0, -1.0, 0.5])
        entries.append((number, draw.choice(kinds), *places))
    return b"".join(struct.pack("=dIIII", *entry) for entry in entries)


def test_entries_of_any_kind_in_any_order_crash_nothing(mg: Any) -> None:
    count = importlib.import_module("micrograd_c._library").lib.mg_operator_count()
    program = mg.compile(lambda x, y: [x * y, x], 1.0, 1.0)
    rebuild, state = program.__reduce__()
    fn, shapes, options, result, _, _, own = state
    parameters = mg.Value(0.0), mg.Value(2.0)
    rows = [[-1.0, 0.0, 1.0, 2.0, 1000.0], [1.0, 0.0, -1.0, 2.0, 0.5]]
    for seed in range(150):
        draw = random.Random(seed)
        entries = entries_of_all_kinds(draw, count)
        outputs = len(entries) // 24 - 1, draw.randrange(len(entries) // 24)
        guards = ((draw.randrange(3), draw.randrange(8) % 5, 0, bool(seed % 2)),) * (seed % 3)
        trace = entries, outputs, guards, parameters
        made = rebuild(fn, shapes, options, result, parameters, [trace], own)
        for use, seeds in (
            (made, {}),
            (made.jacobian, {}),
            (made.backward, {"seeds": [[1.0] * 5] * 2}),
        ):
            with contextlib.suppress(RuntimeError, ValueError):  # rows that the guards turn away
                use(*rows, **seeds)
        with contextlib.suppress(RuntimeError, ValueError, ArithmeticError):
            made.jacobian(*rows, check=True)
        assert made.disassemble("backward") and made.disassemble("gradient")
