"""Programs on their way to workers: what is packed, and the copies that a process makes of it.

A parcel is the pickle of a program whose function is there by value, by cloudpickle, so that a
branch can be recorded wherever a row takes it. A Value in it is a place in a list, and its class if
that is a subclass; behind the program are the labels and attributes of the list's Values, in which
further Values may be found. The Values of all processes are those of the program at home: their
data come with each call, as one vector, and gradients go back as one vector in the same order.

A process has as many copies of the program as it has threads that replay it at the same time: each
has parameters of its own, which are set for a task and for no other.
"""

from __future__ import annotations

import functools
import io
import pickle
import sys
import threading
from collections import ChainMap, OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, ClassVar

from .._copying import get_state
from ..engine import Value, attributes, bulk, restore

if TYPE_CHECKING:
    from .recorded import Recorded

_KEPT = 8  # parcels that a process keeps of those that have arrived

# What reduces objects of a type, on their way to workers, that are else pickled by name.
BY_VALUE: dict[type, Callable[[Any], Any]] = {}


class Parcel:
    """A program to be sent, or that has arrived.

    Attributes:
        token: the same for the same program, whatever numbers its parameters have.
        sent: a client of distributed whose workers have the parcel, and the dask array with it.
    """

    def __init__(self, token: str, body: bytes) -> None:
        self.token = token
        self.sent: tuple[Any, Any] = (None, None)
        self._body = body
        self._free: list[tuple[Recorded, tuple[Value, ...]]] = []

    def __reduce__(self) -> Any:
        return _arrived, (self.token, self._body)

    @contextmanager
    def program(self, numbers: Any) -> Iterator[Recorded]:
        """Lend a copy of the program whose parameters have these numbers.

        `numbers` has one for each of the parcel's Values, and so have the copy's parameters.
        """
        try:
            program, values = self._free.pop()  # one step: no other thread has the copy now
        except IndexError:
            program, values = self._unpack()
        try:
            bulk.set_numbers(values, numbers)
            yield program
        finally:
            self._free.append((program, values))

    def _unpack(self) -> tuple[Recorded, tuple[Value, ...]]:
        unpickler = _Unpickler(io.BytesIO(self._body))
        program: Recorded = unpickler.load()
        values = unpickler.load_states()
        # All Values that travel are parameters: one met on a branch is among them already, and one
        # that is not is a Value of the worker's own, which no number reaches: an error.
        program._common.parameters[:] = values
        return program, values


_arrivals: OrderedDict[str, Parcel] = OrderedDict()
_arrivals_lock = threading.Lock()


def _arrived(token: str, body: bytes) -> Parcel:
    """Return the parcel that this process has of a program, with the copies made already."""
    with _arrivals_lock:
        parcel = _arrivals.get(token) or Parcel(token, body)
        _arrivals[token] = parcel
        _arrivals.move_to_end(token)
        while len(_arrivals) > _KEPT:
            _arrivals.popitem(last=False)
    return parcel


class _Unpickler(pickle.Unpickler):
    """Make a copy of a program: with Values of its own, and with classes of its own."""

    def __init__(self, file: Any) -> None:
        super().__init__(file)
        self._found: dict[int, Value] = {}

    def find_class(self, module: str, name: str) -> Any:
        found = super().find_class(module, name)
        return functools.partial(_make_class, found) if name.startswith("_make_skel") else found

    def persistent_load(self, where: Any) -> Value:
        place, kind = where if type(where) is tuple else (where, Value)
        if place not in self._found:
            self._found[place] = restore(kind, "leaf", 0.0, (), None, ())
        return self._found[place]

    def load_states(self) -> tuple[Value, ...]:
        """Give the Values the states behind the program; return the Values in order."""
        done = 0
        while done < len(self._found):
            for state in self.load():
                if state is not None:
                    self._found[done].__setstate__(state)
                done += 1
        return tuple(self._found[place] for place in range(done))


def _make_class(make: Callable[..., type], *parts: Any) -> type:
    """Make a class that has come by value, by cloudpickle's function for it.

    That would find the class of the same origin which this process has, and give it the methods of
    the copy, with the copy's Values. Exceptions are shared nevertheless: they leave the copy.
    """
    *rest, _, extra = parts
    made = make(*rest, None, extra)
    return make(*parts) if issubclass(made, BaseException) else made


def pack(program: Recorded) -> tuple[Parcel, tuple[Value, ...]]:
    """Return a program as a parcel, and the Values whose numbers it needs, parameters first.

    It is the parcel of the last time if nothing but numbers has changed. Raises what cloudpickle
    raises for a function that cannot be pickled.
    """
    values = list(program.parameters)
    body = _pickled(program, values)
    token = blake2b(body, digest_size=16).hexdigest()
    known = program._parcel
    if known is None or known.token != token:
        known = program._parcel = Parcel(token, body)
    return known, tuple(values)


def _pickled(program: Recorded, values: list[Value]) -> bytes:
    """Return the pickle of a program, followed by the states of the Values in it.

    Values that are met on the way are appended to the list.
    """
    import cloudpickle

    places = {id(value): i for i, value in enumerate(values)}
    states = list(map(_state, values))  # first: to ask for a state adds names of slots to a class

    class Pickler(cloudpickle.Pickler):  # type: ignore[misc]
        dispatch_table: ClassVar[Any] = ChainMap(BY_VALUE, cloudpickle.Pickler.dispatch_table)

        def persistent_id(self, thing: Any) -> Any:
            if not isinstance(thing, Value):
                return None
            if id(thing) not in places:
                places[id(thing)] = len(values)
                values.append(thing)
                states.append(_state(thing))
            place = places[id(thing)]
            return place if type(thing) is Value else (place, type(thing))

    file = io.BytesIO()
    with _by_value(program.fn):
        try:
            pickler, done = Pickler(file), 0
            pickler.dump(program)
            while done < len(states):
                done, new = len(states), states[done:]
                pickler.dump(new)
        except Exception as error:
            error.add_note("the function of a program travels to workers, by cloudpickle")
            raise
    return file.getvalue()


_MADE_FROM = frozenset(("_backward", "_op"))


def _state(value: Value) -> Any:
    """Return the state of a Value as it travels: without what it was made from."""
    state = get_state(value)
    if _MADE_FROM.isdisjoint(attributes(value) or ()) or type(state) is not tuple:
        return state
    label, own, slots = state
    return label, {name: own[name] for name in own if name not in _MADE_FROM}, slots


_by_value_lock = threading.Lock()


@contextmanager
def _by_value(fn: Any) -> Iterator[None]:
    """Have cloudpickle take by value what is defined in the function's module.

    Taken by name the function would find other Values in its module on a worker, if that module
    can be imported there at all.
    """
    import cloudpickle

    while isinstance(fn, functools.partial):
        fn = fn.func
    name = getattr(fn, "__module__", None) or type(fn).__module__
    module = sys.modules.get(name)
    with _by_value_lock:
        known = module is None or name in cloudpickle.list_registry_pickle_by_value()
        if known or name.partition(".")[0] in ("micrograd_c", *sys.stdlib_module_names):
            yield
            return
        cloudpickle.register_pickle_by_value(module)
        try:
            yield
        finally:
            cloudpickle.unregister_pickle_by_value(module)
