"""A way through a jitted function: its trace, and the seats in which calls are replayed.

A call with one Value as its result is one replay, which computes the value and its derivatives, and
one node that has them: backward is the engine's own. Of several results the derivatives are
computed when backward comes: see `Hub`.
"""

from __future__ import annotations

import copy
import functools
import math
import weakref
from collections.abc import Callable, Container, Sequence
from numbers import Integral
from typing import Any

from .._derive import pull
from .._library import ffi, lib
from ..engine import Value, bulk, restore
from . import nesting
from .needed import numpy
from .replay import ALL, FORWARD, NULL, Trace

ARITHMETIC = (ValueError, OverflowError, ZeroDivisionError)


class Signal:
    """What a plan returns in place of a result."""


EAGERLY = Signal()  # for these numbers the function itself is to be run
ANEW = Signal()  # no way that was recorded is right for these numbers


class Site:
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
        site: Site,
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
            return ANEW if status == 1 else EAGERLY
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
            return EAGERLY
        return nesting.rebuild_result(self.result, (value,), numbers)

    def call_forward(self, leaves: Sequence[Any]) -> Any:
        """Return the result without derivatives, or, if there are any, with a `Hub`."""
        seat = self.take_seat()
        off = bulk.take_numbers(self.nodes, leaves, seat.numbers)
        if off == 2:
            self.seats.append(seat)
            return EAGERLY
        status = seat.run_forward()
        numbers = list(seat.outs[0 : len(self.trace.outputs)])
        taken = bytes(seat.numbers)
        self.seats.append(seat)
        if status:
            return ANEW if status == 1 else EAGERLY
        if not all(map(math.isfinite, numbers)):
            return EAGERLY
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
            except ARITHMETIC as error:  # the copy raises it in backward
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
