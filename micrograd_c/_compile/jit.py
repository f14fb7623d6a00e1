"""Jitted functions: a function of Values that is recorded once, and whose calls are replays.

`Jit` is what the decorator returns. It has a `Plan` for each way in which its arguments are nested
(nesting.py), and a plan has a `Way` for each way through the function, as its branches go. A way
has the trace, and seats in which it is replayed.

A call with one Value as its result is one replay, which computes the value and its derivatives, and
one node that has them: backward is the engine's own. Of several results the derivatives are
computed when backward comes: see `Hub`.
"""

from __future__ import annotations

import copy
import functools
import math
import types
import warnings
import weakref
from collections.abc import Callable, Container, Sequence
from inspect import isasyncgenfunction, iscoroutinefunction, isgeneratorfunction
from numbers import Integral
from typing import Any, TypeVar, overload

from .._derive import pull
from .._library import ffi, lib
from .._value_methods import PACKAGE_FOLDER, as_count, user_line
from ..engine import Value, bulk, graph, restore
from . import nesting
from .arguments import real_number
from .conditions import Condition
from .extremes import record_extremes
from .needed import numpy
from .parcels import BY_VALUE
from .recording import Recorder
from .replay import ALL, FORWARD, NULL, Trace
from .stand_ins import Number
from .tracing import make_trace

__all__ = ["Jit", "jit"]

_MOST_ENTRIES = 1 << 22  # of all traces of a jitted function; some 100 bytes each
_MOST_SEEN = 1 << 16  # values of static numbers that a jitted function remembers
_AT_ONCE = 4  # ways that are recorded as soon as they are taken
_ARITHMETIC = (ValueError, OverflowError, ZeroDivisionError)


class _Signal:
    """What a plan returns in place of a result."""


_EAGERLY = _Signal()  # for these numbers the function itself is to be run
_ANEW = _Signal()  # no way that was recorded is right for these numbers


class _Site:
    """What is run: a function, and how the arguments are nested."""

    def __init__(self, fn: Callable[..., Any], name: str, shape: Any, objects: list[Any]) -> None:
        self.fn, self.name, self.shape = fn, name, shape
        self.objects = [_refer(thing) for thing in objects]
        kinds = [*nesting.leaf_kinds(("items", tuple, (*shape[0], *shape[2])))]
        self.kinds: tuple[Any, ...] = tuple(kinds)

    def run(self, leaves: Sequence[Any]) -> Any:
        """Return what the function returns for arguments with these leaves."""
        objects = [refer() for refer in self.objects]
        if any(thing is None for thing in objects):
            raise RuntimeError(f"an argument that {self.name}() was called with is gone")
        rest, things = iter(leaves), iter(objects)
        positional, names, named = self.shape
        args = [nesting.rebuild(shape, rest, things) for shape in positional]
        keywords = [nesting.rebuild(shape, rest, things) for shape in named]
        return self.fn(*args, **dict(zip(names, keywords)))

    def run_itself(
        self,
        leaves: Sequence[Any],
        static: Container[int],
        args: Any = None,
        kwargs: Any = None,
    ) -> Any:
        """Return what the function itself returns; numbers become Values, as in a recording.

        `static` has the places of ints that stay ints. In a recording of another function all ints
        do: the function may be called with what it needs as an int. Without other numbers it gets
        the very arguments, if these are there.
        """
        recording = bulk.recorder() is not None
        numbers = {
            i
            for i, kind in enumerate(self.kinds)
            if kind is None
            and i not in static
            and not (recording and isinstance(leaves[i], Integral))
        }
        if args is not None and not numbers:
            return self.fn(*args, **kwargs)
        result = self.run(
            [nesting.Given(leaf) if i in numbers else leaf for i, leaf in enumerate(leaves)]
        )
        return result.plain() if type(result) is nesting.Given else result


def _refer(thing: Any) -> Callable[[], Any]:
    """Return a weak reference; a strong one to what cannot be referred to so."""
    try:
        return weakref.ref(thing)
    except TypeError:
        return lambda: thing


# ---- a way through the function ----


class _Seat:
    """What a replay needs. One call at a time uses it."""

    def __init__(self, way: Way) -> None:
        self._trace = trace = way.trace
        outputs, count = len(trace.outputs), len(way.reached)
        self._numbers = ffi.new("double[]", count + 1)
        self._results = ffi.new("double[]", count + 1)
        self._seeds = ffi.new("double[]", [float(i < way.values) for i in range(outputs)])
        self.outs = self._results if way.alone else ffi.new("double[]", outputs + 1)
        self.first = ffi.buffer(self.outs, 8)
        self.numbers = ffi.buffer(self._numbers, 8 * count)
        self.results = ffi.buffer(self._results)  # an output, and the derivatives
        self.seeds = ffi.buffer(self._seeds, 8 * way.values)

    # These return 1 if a guard failed, 2 where the function is to be run itself, for it might raise
    # an error or is too long for packs, otherwise 0.

    @functools.cached_property
    def run(self) -> Callable[[], int]:
        return self._replay(ALL, self._seeds, self._results + 1)

    @functools.cached_property
    def run_forward(self) -> Callable[[], int]:
        return self._replay(FORWARD, NULL, NULL)

    def _replay(self, mode: int, seeds: Any, slopes: Any) -> Callable[[], int]:
        packs = self._trace.packs(mode, exact=True)
        if packs is None:
            return lambda: 2
        room = ffi.new("double[]", lib.mg_packs_room(packs))
        parts = packs, room, self._numbers, seeds, self.outs, slopes
        return functools.partial(lib.mg_replay_packs, *parts)


class Way:
    """What was recorded for one way through the function."""

    def __init__(
        self,
        site: _Site,
        static: Container[int],
        trace: Trace,
        result: Any,
        values: int,
    ) -> None:
        self.site, self.static, self.trace, self.nodes = site, static, trace, trace.nodes
        self.result, self.values = result, values
        flags = ffi.new("unsigned char[]", len(site.kinds) + len(trace.captured) + 1)
        lib.mg_program_reaches(trace.program, flags)
        # For leaves, then for captured Values: 1 for those that are operands of the results.
        kinds = [*site.kinds, *(Value for _ in trace.captured)]
        wanted = (flags[i] if values and kind is not None else 0 for i, kind in enumerate(kinds))
        self.reached = bytes(wanted)
        self.single = values == 1 and any(self.reached)
        self.bare = result == 0  # the result is the Value itself, not a nesting
        self.alone = len(trace.outputs) == 1
        self.seats: list[_Seat] = []

    def take_seat(self) -> _Seat:
        """Return a seat that no other call uses."""
        try:
            return self.seats.pop()
        except IndexError:
            return _Seat(self)

    def call(self, leaves: Sequence[Any]) -> Any:
        """Return the result for these leaves, or a signal."""
        if not self.single:
            return self.call_forward(leaves)
        seats = self.seats
        try:
            seat = seats.pop()
        except IndexError:
            seat = _Seat(self)
        if bulk.take_numbers(self.nodes, leaves, seat.numbers):
            seats.append(seat)
            return self.call_forward(leaves)
        status = seat.run()
        if status:
            seats.append(seat)
            return _ANEW if status == 1 else _EAGERLY
        if not self.alone:
            seat.results[0:8] = seat.first
        own = {"_op": self.site.name, "_jit": (self, leaves, 0)}
        value = bulk.give_result(self.nodes, leaves, seat.results, self.reached, own)
        if self.bare and value is not None:
            seats.append(seat)
            return value
        numbers = list(seat.outs[0 : len(self.trace.outputs)])
        seats.append(seat)
        if value is None or not all(map(math.isfinite, numbers)):
            return _EAGERLY
        return nesting.rebuild_result(self.result, (value,), numbers)

    def call_forward(self, leaves: Sequence[Any]) -> Any:
        """Return the result without derivatives, or, if there are any, with a `Hub`."""
        seat = self.take_seat()
        off = bulk.take_numbers(self.nodes, leaves, seat.numbers)
        if off == 2:
            self.seats.append(seat)
            return _EAGERLY
        status = seat.run_forward()
        numbers = list(seat.outs[0 : len(self.trace.outputs)])
        taken = bytes(seat.numbers)
        self.seats.append(seat)
        if status:
            return _ANEW if status == 1 else _EAGERLY
        if not all(map(math.isfinite, numbers)):
            return _EAGERLY
        data = numbers[: self.values]
        if off or not any(self.reached):
            values = list(map(Value, data))
        else:
            values = self._above_hub(data, leaves, taken)
        return nesting.rebuild_result(self.result, values, numbers)

    def _above_hub(self, data: list[float], leaves: Sequence[Any], taken: bytes) -> list[Value]:
        slots = tuple(Value(0.0) for _ in data)
        hub = restore(Value, "custom", 0.0, self.operands(leaves), None, ())
        hub._op = self.site.name
        hub._backward = Hub(self, leaves, slots, taken)
        results = []
        for i, number in enumerate(data):
            result = restore(Value, "custom", number, (slots[i], hub), None, (1.0, 0.0))
            bulk.set_attributes(result, {"_jit": (self, leaves, i)})
            results.append(result)
        return results

    def operands(self, leaves: Sequence[Any]) -> tuple[Value, ...]:
        """Return the Values that the results depend on, as `give_result` has them."""
        inputs, reached = len(leaves), self.reached
        inside = [v for i, v in enumerate(self.trace.captured, inputs) if reached[i]]
        return (*inside, *(v for i, v in enumerate(leaves) if reached[i]))

    def results_again(self, leaves: Sequence[Any]) -> dict[int, Value]:
        """Run the function itself; return the Values among its results, each by its place."""
        found: dict[int, Value] = {}
        nesting.pick_values(self.result, self.site.run_itself(leaves, self.static), found)
        return found

    def partials(
        self, leaves: Sequence[Any], place: int, depends: Any, create_graph: bool
    ) -> list[tuple[int, Value]]:
        """Return a place among the operands and the recorded derivative of a result by that one.

        There is one for each operand in `depends`. The function itself is run, for the derivative
        of a derivative.
        """
        places = {id(v): i for i, v in enumerate(self.operands(leaves)) if id(v) in depends}
        operands = [v for v in self.operands(leaves) if id(v) in places]
        operands = list({id(v): v for v in operands}.values())
        result = self.results_again(leaves)[place]
        found = pull(result, operands, create_graph, cut=True)
        return [(places[id(v)], partial) for v, partial in zip(operands, found)]


class Hub:
    """The `_backward` of the node below several results of a call.

    Each result is a node above the hub and above a slot, a leaf that receives the gradients of this
    backward alone. When backward comes to the hub all slots have their gradients, which are the
    seeds of one replay in reverse, with the numbers of the call.
    """

    def __init__(
        self, way: Way, leaves: Sequence[Any], slots: tuple[Value, ...], taken: bytes
    ) -> None:
        self.way, self.leaves, self.slots, self.taken = way, leaves, slots, taken

    def __call__(self) -> None:
        np, way = numpy(), self.way
        seeds = np.empty(len(self.slots))
        bulk.get_grads(self.slots, seeds)
        bulk.zero_grad(self.slots)
        operands = way.operands(self.leaves)
        bulk.add_grads(operands, self.gradients(seeds, operands))

    def gradients(self, seeds: Any, operands: tuple[Value, ...]) -> Any:
        """Return the gradients of the sum of seeds times results, an array."""
        np, way = numpy(), self.way
        seat = way.take_seat()
        seat.numbers[:], seat.seeds[:] = self.taken, seeds.tobytes()
        status = seat.run()
        slopes = np.frombuffer(seat.results)[1:].copy()
        way.seats.append(seat)
        if status:  # it raises an error, perhaps: as the function does
            results, total = way.results_again(self.leaves), Value(0.0)
            for place, seed in enumerate(seeds.tolist()):
                total = total + results[place] * seed if seed else total
            return np.array(bulk.gradients(total, operands))
        inputs = len(self.leaves)
        reached = np.flatnonzero(np.frombuffer(way.reached, np.uint8))
        order = [*reached[reached >= inputs], *reached[reached < inputs]]
        return slopes[order]

    def __reduce__(self) -> Any:
        operands, rows = self.way.operands(self.leaves), []
        for seeds in numpy().eye(len(self.slots)):
            try:
                rows.append(self.gradients(seeds, operands).tolist())
            except _ARITHMETIC as error:  # the copy raises it in backward
                rows.append(error)
        return Rows, (operands, self.slots, rows)


class Rows:
    """The `_backward` of a copy of such a node: the derivatives of each result, or their error."""

    def __init__(
        self,
        operands: tuple[Value, ...],
        slots: tuple[Value, ...],
        rows: list[list[float] | Exception],
    ) -> None:
        self.operands, self.slots, self.rows = operands, slots, rows

    def __call__(self) -> None:
        np = numpy()
        seeds = np.empty(len(self.slots))
        bulk.get_grads(self.slots, seeds)
        bulk.zero_grad(self.slots)
        total = np.zeros(len(self.operands))
        for seed, row in zip(seeds, self.rows):
            if seed and isinstance(row, Exception):
                raise copy.copy(row)  # without a traceback of its own
            total += seed * np.array(row) if seed else 0.0
        bulk.add_grads(self.operands, total)


# ---- the function ----


class _Plan:
    """The ways through the function for one nesting of arguments."""

    def __init__(self, site: _Site, static: dict[int, Any]) -> None:
        self.site, self.static = site, static
        self.ways: list[Way] = []  # the one that was right last stands first
        self.passed = 0  # calls for which no way was right, since the last recording

    def is_due(self) -> bool:
        """Return whether to record, now that no way is right.

        Four ways are recorded as they come. Each further one waits for twice as many calls that
        are on no way as the one before, so that recording takes little of the time of all calls
        also where each of them branches in a way of its own.
        """
        self.passed += 1
        if self.passed < 2 ** max(0, len(self.ways) - _AT_ONCE + 1):
            return False
        self.passed = 0
        return True

    def call(self, leaves: Sequence[Any]) -> Any:
        """Return the result for these leaves, or a signal."""
        result: Any = _ANEW
        for way in self.ways:
            result = way.call(leaves)
            if result is not _ANEW:
                if way is not self.ways[0]:
                    self.ways = [way, *(other for other in self.ways if other is not way)]
                break
        return result

    def record(self, leaves: Sequence[Any]) -> Way:
        """Record what the function does for these leaves."""
        site, recorder = self.site, Recorder()
        roots: list[Value] = []
        numbers: list[Value] = []
        places: dict[int, int] = {}  # by id of a Value among the results

        def leaf(result: Any) -> Any:
            if type(result) is Number or type(result) is Condition:
                numbers.append(result.value)
                return "number", len(numbers) - 1, result.__class__
            if isinstance(result, Value):
                if id(result) not in places:
                    places[id(result)] = len(roots)
                    roots.append(result)
                return places[id(result)]
            plain = result is None or isinstance(result, (bool, int, float, str))
            return ("static", type(result), result) if plain else None

        def work() -> tuple[Any, Trace]:
            data = [
                bulk.number_of(x) if isinstance(x, Value) else real_number(x, "an argument")
                for x in leaves
            ]
            inputs = [
                restore(kind or Value, "leaf", number, (), None, ())
                for kind, number in zip(site.kinds, data)
            ]
            plain = [v for v, kind in zip(inputs, site.kinds) if kind is None]
            recorder.take_inputs(inputs, plain)
            result = site.run([self.static.get(i, value) for i, value in enumerate(inputs)])
            recorder.finish()
            shape = nesting.describe_result(result, leaf)
            return shape, make_trace(recorder, [*roots, *numbers])

        try:
            shape, trace = recorder.run(lambda: record_extremes(recorder, work))
        except TypeError as error:
            if isinstance(value := getattr(error, "value", None), Value):
                below = {id(child) for node in [value, *graph(value)] for child in node._children}
                below.add(id(value))
                reached = [i for i, v in enumerate(recorder.inputs) if id(v) in below]
                error.places = reached  # type: ignore[attr-defined]
            raise
        return Way(
            site,
            frozenset(self.static),
            trace,
            _after_values(shape, len(roots)),
            len(roots),
        )


def _after_values(shape: Any, values: int) -> Any:
    """Return the description of a result whose numbers stand behind its Values."""
    if type(shape) is int or shape[0] == "static":
        return shape
    if shape[0] == "number":
        return "number", shape[1] + values, shape[2]
    return (*shape[:-1], tuple(_after_values(member, values) for member in shape[-1]))


class _Shape:
    """The plans for one nesting of arguments: one, or one for each value of static numbers."""

    def __init__(self, site: _Site, ids: frozenset[int]) -> None:
        self.site, self.ids = site, ids
        self.static: tuple[int, ...] = ()  # places of leaves: ints that the function needs as such
        self.plans: dict[tuple[Any, ...], _Plan] = {}
        self.seen: set[tuple[Any, ...]] = set()
        self.eager = False
        self.flat = all(member in (nesting.VALUE, nesting.NUMBER) for member in site.shape[0])

    def entries(self) -> int:
        traces = [way.trace for plan in self.plans.values() for way in plan.ways]
        return sum(len(trace.entries) for trace in traces) // int(ffi.sizeof("mg_entry"))


class Jit:
    """A jitted function, which is called as the function itself is. See `jit`.

    `clear()` forgets the recordings, `specializations` counts them. It is pickled and copied as the
    function that it is, by its name; on the way to workers of dask, by value.
    """

    def __init__(self, fn: Callable[..., Any], fallback: bool, max_specializations: int) -> None:
        numpy()
        functools.update_wrapper(self, fn)
        self._fn, self._fallback, self._most = fn, fallback, max_specializations
        self._name = getattr(fn, "__name__", type(fn).__name__)
        self._shapes: dict[Any, _Shape] = {}
        self._quick: dict[tuple[type, ...], _Plan] = {}  # by the types of arguments that are leaves
        self._objects: dict[int, Callable[[], Any]] = {}  # by id: what shapes know by its id
        self._warned = False

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self if instance is None else types.MethodType(self, instance)

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        if not kwargs:
            plan = self._quick.get(tuple(map(type, args)))
            if plan is not None:
                way = plan.ways[0]
                result = way.call(args)
                if type(result) is not _Signal:
                    return result
        return self._call(args, kwargs)

    def _call(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        leaves: list[Any] = []
        objects: list[Any] = []
        names = tuple(sorted(kwargs))
        described = (
            tuple([nesting.describe(arg, leaves, objects) for arg in args]),
            names,
            tuple([nesting.describe(kwargs[name], leaves, objects) for name in names]),
        )
        if bulk.recorder() is not None:
            return _Site(self._fn, self._name, described, objects).run_itself(
                leaves, (), args, kwargs
            )
        shape = self._shapes.get(described)
        if shape is None:
            shape = self._add_shape(described, objects)
        static = shape.static  # another thread may replace it
        if shape.eager:
            return shape.site.run_itself(leaves, static, args, kwargs)
        values = tuple([(type(leaves[i]), leaves[i]) for i in static])
        plan = shape.plans.get(values)
        if plan is None:
            if static and not self._is_due(shape, values):
                return shape.site.run_itself(leaves, static, args, kwargs)
            plan = _Plan(shape.site, dict(zip(static, (value for _, value in values))))
            shape.plans[values] = plan
        result = plan.call(leaves)
        if result is _ANEW:
            result = self._record(shape, plan, leaves)
        if result is _EAGERLY:
            return shape.site.run_itself(leaves, shape.static, args, kwargs)
        if shape.flat and not shape.static and not kwargs:
            self._quick[tuple(map(type, args))] = plan
        return result

    def _is_due(self, shape: _Shape, values: tuple[Any, ...]) -> bool:
        """Return whether to record for these values of static numbers: when they come again."""
        if values in shape.seen:
            return self._entries() < _MOST_ENTRIES
        if len(shape.seen) < _MOST_SEEN:
            shape.seen.add(values)
        return False

    def _entries(self) -> int:
        return sum(shape.entries() for shape in list(self._shapes.values()))

    def _add_shape(self, described: Any, objects: list[Any]) -> _Shape:
        while self._shapes and self._entries() > _MOST_ENTRIES:
            del self._shapes[next(iter(self._shapes))]
            self._quick.clear()
        for thing in objects:
            self._watch(thing)
        site = _Site(self._fn, self._name, described, objects)
        shape = self._shapes[described] = _Shape(site, frozenset(map(id, objects)))
        return shape

    def _watch(self, thing: Any) -> None:
        """Have the plans for an object forgotten when it dies."""
        key, shapes, objects = id(thing), self._shapes, self._objects

        def forget(_: Any) -> None:
            objects.pop(key, None)
            for described in [d for d, shape in list(shapes.items()) if key in shape.ids]:
                shapes.pop(described, None)

        if key not in objects:
            try:
                objects[key] = weakref.ref(thing, forget)
            except TypeError:
                objects[key] = lambda: thing

    def _record(self, shape: _Shape, plan: _Plan, leaves: Sequence[Any]) -> Any:
        """Record a way for these leaves, and return its result for them, or _EAGERLY."""
        full = len(plan.ways) >= self._most
        if (full and self._fallback and self._warned) or not (full or plan.is_due()):
            return _EAGERLY
        try:
            if full:
                raise RuntimeError(
                    f"{self._name}() takes another branch than the {len(plan.ways)} recorded so "
                    f"far, and max_specializations is {self._most}; branches on data that come out "
                    "differently from call to call can often be written with where(), "
                    "maximum(), minimum() or relu()"
                )
            way = plan.record(leaves)
        except Exception as error:
            needed = {i for i in getattr(error, "places", ()) if isinstance(leaves[i], Integral)}
            if needed and needed <= {*shape.static}:
                return _EAGERLY  # another thread has found them meanwhile
            if needed:
                shape.static = tuple(sorted({*shape.static, *needed}))
                shape.plans.clear()
                shape.seen = {tuple([(type(leaves[i]), leaves[i]) for i in shape.static])}
                self._quick.clear()
                return _EAGERLY
            refused = isinstance(error, (TypeError, RuntimeError, AttributeError))
            if type(error) in _ARITHMETIC or (self._fallback and not refused):
                return _EAGERLY  # which raises it, for the arguments themselves
            if not self._fallback:
                _advise(error)
                raise
            if not full:
                shape.eager = True
                shape.plans.clear()
                self._quick.clear()
            self._warn(error)
            return _EAGERLY
        result = way.call(leaves)
        if result is _ANEW:
            return _EAGERLY  # a comparison closer than the rounding of exp, log, ...
        plan.ways = [way, *plan.ways]
        return result

    def _warn(self, error: Exception) -> None:
        if not self._warned:
            self._warned = True
            warnings.warn(
                f"{self._name}() runs eagerly and is not replayed ({_line_of(error)}): {error}",
                RuntimeWarning,
                stacklevel=5,
            )

    def clear(self) -> None:
        """Forget all recordings, as after putting other Values into a model."""
        self._quick.clear()
        self._shapes.clear()
        self._objects.clear()

    @property
    def specializations(self) -> int:
        """The number of recordings: for each nesting of arguments, one for each way taken."""
        shapes = list(self._shapes.values())
        return sum(len(plan.ways) for shape in shapes for plan in shape.plans.values())

    def __repr__(self) -> str:
        return f"<jitted function {self._name}: {self.specializations} recorded>"

    def __reduce__(self) -> str:
        """Pickle and copy it as the function that it is: by its name."""
        return str(getattr(self, "__qualname__", self._name))


def _reduce_by_value(jitted: Jit) -> Any:
    """Reduce a jitted function to its function and options, without recordings.

    A program does not need these: while one is recorded, the function itself is run.
    """
    return Jit, (jitted._fn, jitted._fallback, jitted._most)


BY_VALUE[Jit] = _reduce_by_value


def _advise(error: Exception) -> None:
    """Have an error of a recording name the option that jit has."""
    if error.args and isinstance(error.args[0], str):
        text = error.args[0].replace(
            "allow_constants=True allows that", "fallback=True runs the function itself instead"
        )
        error.args = text.replace("allow_constants=True", "fallback=True"), *error.args[1:]


def _line_of(error: Exception) -> str:
    """Return "file:line" of the innermost code of an error's traceback outside of the package."""
    found, step = user_line(), error.__traceback__
    while step is not None:
        file = step.tb_frame.f_code.co_filename
        if not file.startswith(PACKAGE_FOLDER):
            found = f"{file}:{step.tb_lineno}"
        step = step.tb_next
    return found


_Function = TypeVar("_Function", bound=Callable[..., Any])


@overload
def jit(fn: _Function, /) -> _Function: ...
@overload
def jit(
    *, fallback: bool = False, max_specializations: int = 16
) -> Callable[[_Function], _Function]: ...
def jit(fn: Any = None, /, *, fallback: bool = False, max_specializations: int = 16) -> Any:
    """Record what a function of Values does, once, and replay that at each call: a decorator.

    A loop stays as it is: a call returns Values like any other, to be computed with, `backward()`
    included, whose gradients go to the Values that the function uses and to arguments that are
    Values, and on to what these were made from. Arguments are numbers, Values, and lists, tuples,
    dicts, dataclasses and arrays (also a Series or DataFrame of pandas) of these; the function gets
    Values in the place of numbers. The result is a Value, or a nesting of Values and numbers.

    The function is recorded anew for another nesting or size of the arguments, for another string,
    bool or None, for another object of any other kind (such as a model, or the `self` of a
    method), and where a branch goes as it never went, up to `max_specializations` ways. An int that
    the function needs as an int, such as an index, is treated as a string is; with a new one the
    function is run, and recorded when that int comes again. Plain numbers else are inputs of the
    one recording. What `compile` cannot record raises the same errors; with `fallback` the function
    is run at each such call, and one RuntimeWarning names the line.

    Values that the function uses and that are no arguments are found while it is recorded: their
    data is read at each call, but another Value in the place of one is not seen (pass it as an
    argument, or call `clear()`). Derivatives, too, are those of the call's numbers, whatever is
    assigned before `backward()`. Where the function would raise an arithmetic error, or where a
    number is not finite, the function itself is run. While a program is recorded, in
    `detect_anomaly()` and for `grad(..., create_graph=True)`, it is run as well.

    Raises ImportError without numpy; TypeError for what is no function, or returns a generator or a
    coroutine; when called, TypeError for other arguments, and what `compile` raises.

    >>> w = Value(3.0)
    >>> @jit
    ... def loss(x, y):
    ...     return (w * x - y) ** 2
    >>> out = loss(2.0, 5.0)
    >>> out.data
    1.0
    >>> out.backward()
    >>> w.grad
    4.0
    """
    most = as_count("max_specializations", max_specializations)
    if fn is None:
        return functools.partial(_jit, fallback=bool(fallback), most=most)
    return _jit(fn, bool(fallback), most)


def _jit(fn: Any, fallback: bool, most: int) -> Jit:
    if not callable(fn):
        raise TypeError(f"jit decorates a function, not {type(fn).__name__!r}")
    if any(later(fn) for later in (isgeneratorfunction, iscoroutinefunction, isasyncgenfunction)):
        raise TypeError(
            "jit cannot decorate a generator function or an async one, whose body runs after the "
            "call: decorate what computes the Values"
        )
    return Jit(fn, fallback, most)
