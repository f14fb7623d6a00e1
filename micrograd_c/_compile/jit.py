"""Jitted functions: a function of Values that is recorded once, and whose calls are replays.

`Jit` is what the decorator returns. It has a `Plan` for each way in which its arguments are nested
(nesting.py), and a plan has a `Way` (jit_way.py) for each way through the function, as its branches
go.
"""

from __future__ import annotations

import functools
import types
import warnings
import weakref
from collections.abc import Callable, Sequence
from inspect import isasyncgenfunction, iscoroutinefunction, isgeneratorfunction
from numbers import Integral
from typing import Any, TypeVar, overload

from .._library import ffi
from .._value_methods import PACKAGE_FOLDER, as_count, user_line
from ..engine import Value, bulk, graph, restore
from . import nesting
from .arguments import real_number
from .conditions import Condition
from .extremes import record_extremes
from .jit_way import ANEW, ARITHMETIC, EAGERLY, Signal, Site, Way
from .needed import numpy
from .parcels import BY_VALUE
from .recording import Recorder
from .replay import Trace
from .stand_ins import Number
from .tracing import make_trace

__all__ = ["Jit", "jit"]

_MOST_ENTRIES = 1 << 22  # of all traces of a jitted function; some 100 bytes each
_MOST_SEEN = 1 << 16  # values of static numbers that a jitted function remembers
_AT_ONCE = 4  # ways that are recorded as soon as they are taken


class _Plan:
    """The ways through the function for one nesting of arguments."""

    def __init__(self, site: Site, static: dict[int, Any]) -> None:
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
        result: Any = ANEW
        for way in self.ways:
            result = way.call(leaves)
            if result is not ANEW:
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

    def __init__(self, site: Site, ids: frozenset[int]) -> None:
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
                if type(result) is not Signal:
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
            return Site(self._fn, self._name, described, objects).run_itself(
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
        if result is ANEW:
            result = self._record(shape, plan, leaves)
        if result is EAGERLY:
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
        site = Site(self._fn, self._name, described, objects)
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
        """Record a way for these leaves, and return its result for them, or EAGERLY."""
        full = len(plan.ways) >= self._most
        if (full and self._fallback and self._warned) or not (full or plan.is_due()):
            return EAGERLY
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
                return EAGERLY  # another thread has found them meanwhile
            if needed:
                shape.static = tuple(sorted({*shape.static, *needed}))
                shape.plans.clear()
                shape.seen = {tuple([(type(leaves[i]), leaves[i]) for i in shape.static])}
                self._quick.clear()
                return EAGERLY
            refused = isinstance(error, (TypeError, RuntimeError, AttributeError))
            if type(error) in ARITHMETIC or (self._fallback and not refused):
                return EAGERLY  # which raises it, for the arguments themselves
            if not self._fallback:
                _advise(error)
                raise
            if not full:
                shape.eager = True
                shape.plans.clear()
                self._quick.clear()
            self._warn(error)
            return EAGERLY
        result = way.call(leaves)
        if result is ANEW:
            return EAGERLY  # a comparison closer than the rounding of exp, log, ...
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
