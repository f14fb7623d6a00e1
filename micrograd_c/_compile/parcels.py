"""Programs on their way to workers: what is packed, and the copies that a process makes of it.

A parcel is the pickle of a program whose function is there by value, by cloudpickle, so that a
branch can be recorded wherever a row takes it. A Value in it is a number in a list, for the Values
of all processes are those of the program at home: their data come with each call, as one vector,
and gradients go back as one vector in the same order.

A process has as many copies of the program as it has threads that replay it at the same time: each
has parameters of its own, which are set for a task and for no other.
"""

from __future__ import annotations

import functools
import io
import pickle
import sys
import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from ..engine import Value, bulk

if TYPE_CHECKING:
    from .recorded import Recorded

_KEPT = 8  # parcels that a process keeps of those that have arrived


class Parcel:
    """A program to be sent, or that has arrived.

    Attributes:
        token: the same for the same program, whatever numbers its parameters have.
        sent: a client of distributed whose workers have the parcel, and the dask array with it.
    """

    def __init__(self, token: str, body: bytes, values: bytes) -> None:
        self.token = token
        self.sent: tuple[Any, Any] = (None, None)
        self._body, self._values = body, values
        self._free: list[tuple[Recorded, tuple[Value, ...]]] = []

    def __reduce__(self) -> Any:
        return _arrived, (self.token, self._body, self._values)

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
        values = tuple(
            item if isinstance(item, Value) else Value(0.0, label=item)
            for item in pickle.loads(self._values)
        )
        program: Recorded = _Unpickler(io.BytesIO(self._body), values).load()
        # All Values that travel are parameters: one met on a branch is among them already, and one
        # that is not is a Value of the worker's own, which no number reaches: an error.
        program._common.parameters[:] = values
        return program, values


_arrivals: OrderedDict[str, Parcel] = OrderedDict()
_arrivals_lock = threading.Lock()


def _arrived(token: str, body: bytes, values: bytes) -> Parcel:
    """Return the parcel that this process has of a program, with the copies made already."""
    with _arrivals_lock:
        parcel = _arrivals.get(token) or Parcel(token, body, values)
        _arrivals[token] = parcel
        _arrivals.move_to_end(token)
        while len(_arrivals) > _KEPT:
            _arrivals.popitem(last=False)
    return parcel


class _Unpickler(pickle.Unpickler):
    def __init__(self, file: Any, values: tuple[Value, ...]) -> None:
        super().__init__(file)
        self._found = values

    def persistent_load(self, place: int) -> Value:
        return self._found[place]


def pack(program: Recorded) -> tuple[Parcel, tuple[Value, ...]]:
    """Return a program as a parcel, and the Values whose numbers it needs, parameters first.

    It is the parcel of the last time if nothing but numbers has changed. Raises what cloudpickle
    raises for a function that cannot be pickled.
    """
    values = list(program.parameters)
    body = _pickled(program, values)
    labels = [item if type(item) is not Value else item.label for item in map(_bare, values)]
    names = repr([(type(value).__qualname__, value.label) for value in values])
    token = blake2b(body + names.encode(), digest_size=16).hexdigest()
    known = program._parcel
    if known is None or known.token != token:
        import cloudpickle

        known = program._parcel = Parcel(token, body, cloudpickle.dumps(labels))
    return known, tuple(values)


def _bare(value: Value) -> Value:
    """Return a Value as it travels: without what it was made from."""
    return Value(value.data, label=value.label) if value._children else value


def _pickled(program: Recorded, values: list[Value]) -> bytes:
    """Return a program's pickle; the Values that are met in it are appended to the list."""
    import cloudpickle

    places = {id(value): i for i, value in enumerate(values)}

    class Pickler(cloudpickle.Pickler):  # type: ignore[misc]
        def persistent_id(self, thing: Any) -> Any:
            if not isinstance(thing, Value):
                return None
            if id(thing) not in places:
                places[id(thing)] = len(values)
                values.append(thing)
            return places[id(thing)]

    file = io.BytesIO()
    with _by_value(program.fn):
        try:
            Pickler(file).dump(program)
        except Exception as error:
            error.add_note("the function of a program travels to workers, by cloudpickle")
            raise
    return file.getvalue()


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
