"""Plays programs: for each kind of step a method that does it and returns what a program sees."""

from __future__ import annotations

import copy
import gc
import random
import sys
import threading
import weakref
from collections.abc import Callable, Sequence
from typing import Any

import random_programs
from random_programs import BINARY, Program, Step
from values import Push

from fuzz.libraries import ENGINE, MODEL, Library, nothing
from fuzz.model import Model, setting, slots_of
from fuzz.programs import generate
from micrograd_c import engine

COMPARE: list[Callable[[Any, Any], Any]] = [
    lambda x, y: x < y,
    lambda x, y: x >= y,
    lambda x, y: x == y,
    lambda x, y: x != y,
    lambda x, y: y in x._prev,
    lambda x, y: len(x._prev | y._prev),
    lambda x, y: [c in y._prev for c in x._children],
    lambda x, y: sorted([x, y], key=lambda v: v.data)[0] is x,
    lambda x, y: {x: 1, y: 2}[x],
]
LONGEST = 30  # Values that a program holds at a time


class ClosureError(Exception):
    """Raised by a closure."""


class Player(random_programs.Player):
    """Plays all kinds of step on one library."""

    def __init__(self, lib: Library) -> None:
        super().__init__(lib, [lib.classes[0](0.5)])
        self.watched: list[Any] = []
        self.depth = 0
        self.ruled = False  # a native rule has been assigned as a closure
        self.room = 1500  # nodes that chains and copies may still make
        self.offs: list[Any] = []

    def add(self, value: Any) -> Any:
        self.values.append(value)
        if len(self.values) > LONGEST:
            del self.values[0]
        return value.data.hex(), value.grad.hex()

    def play(self, step: Step) -> Any:
        """Return what a program sees of a step."""
        try:
            return self.do(step)
        except MemoryError:
            raise
        except Exception as error:
            return type(error).__name__  # what two libraries must agree on

    def finish(self, seed: int) -> None:
        """Let go of everything, in some order."""
        while self.offs:
            self.offs.pop().__exit__(None, None, None)
        choose = random.Random(seed)
        self.watched.clear()
        while self.values:
            del self.values[choose.randrange(len(self.values))]

    # ---- construction ----

    def do_leaf(self, which: int, spelling: int, x: Any) -> Any:
        cls = self.lib.classes[which]
        if spelling == 0 or which == 3:
            return self.add(cls(x))
        given: list[dict[str, Any]] = [{}, {"data": x}, {"label": "leaf"}, {"_children": ()}]
        names = given[spelling % 4]
        return self.add(cls(**names) if "data" in names else cls(x, **names))

    def do_custom(
        self, which: int, spelling: int, x: Any, places: Sequence[int], partials: Any
    ) -> Any:
        cls, children = self.lib.classes[which], [self.at(place) for place in places]
        if which == 3:
            return self.add(cls(x, children, "own"))
        calls: list[Callable[[], Any]] = [
            lambda: cls(x, tuple(children), "mine"),
            lambda: cls(x, children=children, op="mine"),
            lambda: cls(x, _children=tuple(children), _op="mine", label="named"),
            lambda: cls(x, _prev=children, _op="mine"),
            lambda: cls(x, tuple(children), tuple(partials)),
            lambda: cls(x, iter(children), local_grads=list(partials)),
            lambda: cls(x, children, _local_grads=tuple(partials), op="mine"),
            lambda: cls(x, children, "mine", "named", _local_grads=tuple(partials)),
            lambda: cls(x, children, (*partials, 1.0)),
            lambda: cls(x, [*children, 2.0]),
            lambda: cls(x, children, "mine", colour="red"),
            lambda: cls(x, children, _children=children),
            lambda: cls(x, children, "mine", "named", "more"),
            lambda: cls(x, children, ["a"] * len(children)),
        ]
        return self.add(calls[spelling % len(calls)]())

    def do_init(self, i: int, x: Any, places: Sequence[int], label: bool) -> Any:
        value = self.at(i)
        children = tuple(self.at(place) for place in places)
        if type(value) is self.lib.classes[3]:
            return value.__init__(x, children, "again")
        if label:
            return value.__init__(x, children, "again", "fresh")
        return value.__init__(x, children)

    # ---- operators ----

    def do_wrong(self, name: str, i: int, left: bool) -> Any:
        x = self.at(i)
        return self.add(BINARY[name](self.lib, "x", x) if left else BINARY[name](self.lib, x, None))

    def do_sum(self, i: int, j: int) -> Any:
        return self.add(sum([self.at(i), self.at(j), self.at(i)]) * 0.5)

    def do_chain(self, i: int, length: int) -> Any:
        value = self.at(i)
        self.room -= length
        if self.room < 0:
            return None
        for k in range(length):
            value = value * 0.5 + k
        return self.add(value)

    def do_dot(self, ws: Sequence[int], xs: Sequence[Any], bias: Any) -> Any:
        values = [self.at(i) for i in ws]
        others = [self.at(x) if isinstance(x, int) else x for x in xs]
        return self.add(self.lib.dot(values, others, bias if bias is None else self.at(bias)))

    def do_compare(self, how: int, i: int, j: int) -> Any:
        return COMPARE[how % len(COMPARE)](self.at(i), self.at(j))

    # ---- state ----

    def do_label(self, i: int, kind: int, j: int) -> None:
        self.at(i).label = ["", "name", ("tuple", 1), self.lib.classes[0](j)][kind % 4]

    def do_op(self, i: int, text: str) -> None:
        self.at(i)._op = text

    def do_attribute(self, i: int, name: str, kind: int, j: int) -> None:
        other = self.at(j)
        things = [1, "text", [1, 2], other, [other, other], (self.at(i),), Push(other, 1.0)]
        setattr(self.at(i), name, things[kind % len(things)])

    def do_delete(self, i: int, name: str) -> None:
        delattr(self.at(i), name)

    def do_close(self, i: int, kind: int, j: int, factor: float) -> None:
        self.at(i)._backward = self.closure(self.at(i), kind, self.at(j), factor)

    def closure(self, out: Any, kind: int, other: Any, factor: float) -> Any:
        """Return something to be assigned to `out._backward`."""
        children = out._children

        def push() -> None:
            for child in children:
                child.grad += factor * out.grad

        def stop() -> None:
            raise ClosureError

        def record() -> None:
            self.add(other * factor + out)

        def differentiate() -> None:
            if self.depth < 2:
                self.depth += 1
                try:
                    (other * factor).backward()
                    other.backward()
                finally:
                    self.depth -= 1

        def construct() -> None:
            other.__init__(factor)

        def forget() -> None:
            if len(self.values) > 1:
                del self.values[0]
            gc.collect()

        def mark() -> None:
            other.label = "marked"
            out.seen = other
            push()

        def reassign() -> None:
            other._backward = push

        self.ruled |= kind == 2
        kinds = [push, Push(out, factor), out._backward, stop, record, differentiate, construct]
        kinds += [forget, mark, reassign, nothing, 5]
        return kinds[kind % len(kinds)]

    # ---- gradients ----

    def do_push(self, i: int) -> None:
        self.at(i)._backward()

    def do_partials(self, i: int) -> Any:
        value = self.at(i)
        children = value._children
        if len(set(children)) < len(children):
            return None
        return [
            float(partial) + 0.0 if partial == partial else "nan" for partial in value._local_grads
        ]

    # ---- looking ----

    def do_walk(self, i: int, j: int) -> Any:
        children = self.at(i)._children
        return self.add(children[j % len(children)]) if children else None

    def do_watch(self, i: int, j: int) -> Any:
        other = weakref.ref(self.at(j))
        found: list[float] = []

        def died(reference: Any) -> None:
            value = other()  # the callback of a dying Value looks around in its graph
            if value is not None:
                found.extend(child.data for child in value._children)

        reference = weakref.ref(self.at(i), died)
        self.watched.append(reference)
        return reference() is self.at(i)

    def do_look(self) -> Any:
        return self.picture()

    def picture(self) -> list[Any]:
        """Everything that can be seen of the graphs under the Values."""
        number: dict[Any, int] = {}
        stack: list[Any] = list(self.values)
        while stack:
            value = stack.pop()
            if value not in number:
                number[value] = len(number)
                stack.extend(value._prev)
                self.inside([value.label, *self.lib.own(value).values()], stack)
                self.inside([getattr(value, name, None) for name in slots_of(type(value))], stack)
        held = set(self.values)
        return [self.appearance(value, number, value in held) for value in number]

    def inside(self, thing: Any, found: list[Any]) -> None:
        """Append the Values within a thing that has been assigned somewhere."""
        if isinstance(thing, self.lib.classes[0]):
            found.append(thing)
        elif isinstance(thing, (list, tuple)):
            for part in thing:
                self.inside(part, found)
        elif isinstance(thing, Push):
            found.append(thing.out)

    def appearance(self, value: Any, number: dict[Any, int], held: bool) -> Any:
        def shown(thing: Any) -> Any:
            if isinstance(thing, self.lib.classes[0]):
                return "Value", number[thing]
            if isinstance(thing, (list, tuple)):
                return [shown(part) for part in thing]
            if isinstance(thing, Push):
                return "Push", number[thing.out], thing.factor
            return thing if isinstance(thing, (int, str)) else type(thing).__name__

        own = {
            name: shown(thing)
            for name, thing in self.lib.own(value).items()
            if name not in ("_op", "_backward", "_local_grads")
        }
        slots = [shown(getattr(value, name, None)) for name in slots_of(type(value))]
        kind = self.lib.classes.index(type(value)) if held else None
        children = [number[child] for child in value._children]
        numbers = value.data.hex(), value.grad.hex()
        return kind, value._op, shown(value.label), numbers, children, own, slots

    # ---- copies ----

    def do_copy(self, i: int) -> Any:
        if self.ruled:  # a copy would share the original's rule
            return None
        return self.add(copy.copy(self.at(i)))

    def has_room(self) -> bool:
        """Whether the graphs may double once more."""
        self.room //= 2
        return self.room > 20

    def do_deepcopy(self, i: int, j: int) -> Any:
        if not self.has_room():
            return None
        return [self.add(twin) for twin in copy.deepcopy([self.at(i), self.at(j)])]

    def do_pickle(self, i: int, j: int, protocol: int) -> Any:
        if not self.has_room():
            return None
        twins = self.lib.pickled([self.at(i), self.at(j)], protocol)
        return [self.add(twin) for twin in twins]

    # ---- around the program ----

    def do_off(self) -> None:
        off = self.lib.off()
        off.__enter__()
        self.offs.append(off)

    def do_on(self) -> None:
        if self.offs:
            self.offs.pop().__exit__(None, None, None)

    def do_collect(self, generation: int) -> None:
        if self.lib is ENGINE:
            gc.collect(generation)

    def do_threshold(self, threshold: int) -> None:
        if self.lib is ENGINE:
            gc.set_threshold(threshold, 5, 5)

    def do_trim(self) -> None:
        if self.lib is ENGINE:
            engine.trim()

    def do_threads(self, seed: int, count: int) -> Any:
        """Play as many programs, each in a thread of its own, or one after the other."""
        programs = [generate(random.Random(f"{seed} {k}"), 25, within=True) for k in range(count)]
        if self.lib is MODEL:
            with setting(Model, "off", False):
                return [play_alone(self.lib, program) for program in programs]
        results: list[Any] = [None] * count

        def run(k: int) -> None:
            results[k] = play_alone(self.lib, programs[k])

        threads = [threading.Thread(target=run, args=(k,)) for k in range(count)]
        interval = sys.getswitchinterval()
        sys.setswitchinterval(1e-6)
        try:
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        finally:
            sys.setswitchinterval(interval)
        return results


def play_alone(lib: Library, program: Program) -> list[Any]:
    player = Player(lib)
    try:
        seen = [player.play(step) for step in program]
        return [*seen, player.picture()]
    finally:
        player.finish(len(program))
