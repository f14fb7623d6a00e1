"""Traces made of traces: of derivatives along tangents, and with parameters in the place of inputs.

The entries of a trace are played into the arena as Values without numbers, derivatives of these are
recorded by the rules for Values (micrograd_c/_rules.py), and the result is traced. So the function
itself is not run again: what it drew at random, or read elsewhere, is what it was.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from .._derive import pull, push
from .._library import ffi, lib
from ..engine import Value, bulk, restore
from .conditions import Guard
from .recording import Recorder
from .replay import OPERATORS, Trace
from .rules import (
    DETACH,
    DIVIDE,
    LINK,
    RULE_EQUAL,
    RULE_LESS,
    RULE_LESS_EQUAL,
    SELECT,
    TABLE,
    TAKE,
)
from .tracing import make_trace

Kind = Callable[[Trace], Trace]

_CONDITIONS = {
    lib.MG_TRACE_LESS: RULE_LESS,
    lib.MG_TRACE_LESS_EQUAL: RULE_LESS_EQUAL,
    lib.MG_TRACE_EQUAL: RULE_EQUAL,
}


def along(trace: Trace) -> Trace:
    """Return a trace with as many inputs again, tangents, and as many outputs again.

    The further outputs are the derivatives of the outputs along the tangents.
    """

    def work(outputs: list[Value], inputs: list[Value], tangents: list[Value]) -> list[Value]:
        return [*outputs, *push(outputs, inputs, tangents)]

    return _derive(trace, work)


def slopes(trace: Trace) -> Trace:
    """Return the trace that `along` returns with the derivatives first.

    The other outputs are there for lookups alone, whose wrong indices are always errors.
    """

    def work(outputs: list[Value], inputs: list[Value], tangents: list[Value]) -> list[Value]:
        return [*push(outputs, inputs, tangents), *outputs]

    entries = ffi.from_buffer("mg_entry[]", trace.entries)
    looks_up = any(entry.op == lib.MG_TRACE_TAKE for entry in entries)
    return _derive(trace, work if looks_up else push)


def curvature(trace: Trace) -> Trace:
    """Return a trace with as many inputs again, a vector.

    Its outputs are the product of the output's hessian with the vector, then the output itself: so
    a replay that checks finds the errors of the function, too.
    """

    def work(outputs: list[Value], inputs: list[Value], tangents: list[Value]) -> list[Value]:
        return [*push(pull(outputs[0], inputs, True), inputs, tangents), *outputs]

    return _derive(trace, work)


def by_row(trace: Trace) -> Trace:
    """Return a trace with the captured Values as further inputs, for gradients row by row."""
    entries = ffi.new("mg_entry[]", len(trace.entries) // ffi.sizeof("mg_entry"))
    ffi.buffer(entries)[:] = trace.entries
    for entry in entries:
        if entry.op == lib.MG_TRACE_CAPTURED:
            entry.op = lib.MG_TRACE_INPUT
            entry.x += trace.inputs
    inputs = trace.inputs + len(trace.captured)
    made = Trace(bytes(ffi.buffer(entries)), trace.outputs, trace.guards, (), inputs)
    made.moved = trace.captured
    return made


def _derive(
    trace: Trace, work: Callable[[list[Value], list[Value], list[Value]], list[Value]]
) -> Trace:
    """Return a trace of work(outputs, inputs, tangents), with the guards of the given one."""
    captured = [Value(math.nan) for _ in trace.captured]
    recorder = Recorder()

    def run() -> Trace:
        leaves = recorder.make_inputs([math.nan] * (2 * trace.inputs))
        inputs, tangents = leaves[: trace.inputs], leaves[trace.inputs :]
        values = _play(trace, inputs, captured)
        roots = work([values[i] for i in trace.outputs], inputs, tangents)
        recorder.guards = [
            Guard(relation, values[left], values[right], outcome)
            for relation, left, right, outcome in trace.guards
        ]
        return make_trace(recorder, roots)

    made: Trace = recorder.run(run)
    real = {id(stand_in): value for stand_in, value in zip(captured, trace.captured)}
    made.captured = tuple(real[id(stand_in)] for stand_in in made.captured)
    return made


def _play(trace: Trace, inputs: list[Value], captured: list[Value]) -> list[Value]:
    """Return a Value for each entry of a trace, whose data is nan unless it is a constant.

    In the place of an item of a table there is the item's element.
    """
    values: list[Value] = []
    tables: dict[int, Value] = {}  # by the last item
    links: dict[int, tuple[Value, ...]] = {}  # by entry
    entries = ffi.from_buffer("mg_entry[]", trace.entries)
    for i, entry in enumerate(entries):
        op = entry.op
        if op == lib.MG_TRACE_INPUT:
            value = inputs[entry.x]
        elif op == lib.MG_TRACE_CAPTURED:
            value = captured[entry.x]
        elif op == lib.MG_TRACE_CONSTANT:
            value = Value(entry.number)
        elif op == lib.MG_TRACE_DETACH:
            value = bulk.rule(DETACH, math.nan, (values[entry.x],))
        elif op == lib.MG_TRACE_DIVIDE:
            value = bulk.rule(DIVIDE, math.nan, (values[entry.x], values[entry.y]))
        elif op in _CONDITIONS:
            value = bulk.rule(_CONDITIONS[op], math.nan, (values[entry.x], values[entry.y]))
        elif op == lib.MG_TRACE_SELECT:
            operands = values[entry.x], values[entry.y], values[entry.z]
            value = bulk.rule(SELECT, math.nan, operands)
        elif op == lib.MG_TRACE_ITEM:
            value = values[entry.x]
        elif op == lib.MG_TRACE_TAKE:
            if entry.y not in tables:
                elements = tuple(values[place] for place in _items(entries, entry.y))
                tables[entry.y] = bulk.rule(TABLE, math.nan, elements)
            value = bulk.rule(TAKE, math.nan, (values[entry.x], tables[entry.y]))
        elif op == lib.MG_TRACE_LINK:  # one after the other they are one node
            before = links.get(entry.x, (values[entry.x],))
            links[i] = (*before, values[entry.y], values[entry.z])
            value = bulk.rule(LINK, math.nan, links[i])
        else:
            arity = lib.mg_operator_arity(op)
            children = tuple(values[place] for place in (entry.x, entry.y)[:arity])
            value = restore(Value, OPERATORS[op], math.nan, children, entry.number, ())
        values.append(value)
    return values


def _items(entries: Any, item: int) -> list[int]:
    """Return the places of a table's items from the first to the one given."""
    found = []
    for _ in range(entries[item].z):
        found.append(item)
        item = entries[item].y
    return found[::-1]
