"""The two files of an exported program: the source and its header."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from .._compile.recorded import Recorded
from .._compile.replay import Trace
from ..engine import Value
from .layout import arrange
from .lines import lines_of
from .source import Writer, library, operators, table
from .statements import Statements
from .sums import join_sums, turn_sums
from .text import as_float, comment, is_free, number

TYPES = ("double", "float")


class Source:
    """What the two files say, of a program with these ways through it.

    With `room` the functions get the memory for values and derivatives as a last argument.
    """

    def __init__(
        self,
        program: Recorded,
        traces: Sequence[Trace],
        parameters: Sequence[Value],
        name: str,
        *,
        room: bool = False,
    ) -> None:
        self.program, self.traces, self.parameters = program, traces, parameters
        title = getattr(program.fn, "__qualname__", type(program.fn).__qualname__)
        self.title, self.most_room = comment(title, 60), 0
        self.room, self.lines = room, [None if room else lines_of(program, t) for t in traces]
        self.name, self.upper = name, name.upper()
        places = {id(p): i for i, p in enumerate(parameters)}
        self.numbers = [[places[id(p)] for p in trace.captured] for trace in traces]
        self.functions: dict[str, tuple[str, str]] = {}
        self.called: set[str] = set()

    def sizes(self) -> tuple[int, int, int]:
        """Return the numbers of inputs, parameters and results."""
        return self.traces[0].inputs, len(self.parameters), len(self.traces[0].outputs)

    # ---- the header ----

    def header(self) -> str:
        name, upper = self.name, self.upper
        sizes = zip(("INPUTS", "PARAMETERS", "RESULTS"), self.sizes())
        macros = "\n".join(f"#define {upper}_{what} {size}" for what, size in sizes)
        return f"""/* {name}.h: {self.title} */
#ifndef {upper}_H
#define {upper}_H

#ifdef __cplusplus
extern "C" {{
#endif

{macros}

/* What the functions return. Unless it is {upper}_OK, what they write is not to be used. */
enum {{
    {upper}_OK = 0,
    {upper}_NOT_RECORDED = 1, /* the inputs take a branch that was not recorded */
    {upper}_NO_ITEM = 2       /* an index names no element of its table */
}};
{self._declared_parameters()}
/* Write {upper}_RESULTS results for {upper}_INPUTS inputs and {upper}_PARAMETERS parameters.
 * What is written must not overlap what is read. */
{self._signature("", ";")}

/* Write the results, and the gradients of the sum of seeds times results, of which there are
 * {upper}_RESULTS each, with respect to inputs and parameters. */
{self._signature("_gradient", ";")}

#ifdef __cplusplus
}}
#endif
#endif
"""

    def _declared_parameters(self) -> str:
        if not self.parameters:
            return ""
        return (
            "\n/* The parameters' numbers when the program was exported. */\n"
            f"extern const double {self.name}_parameters[{self.upper}_PARAMETERS];\n"
        )

    def _signature(self, suffix: str, end: str, name: str = "") -> str:
        """Return a function's declaration, or the first lines of its definition."""
        start = f"int {name or self.name}{suffix}("
        arguments = ["const double *inputs", "const double *parameters"]
        arguments += ["const double *seeds"] if suffix else []
        arguments += ["double *results"]
        arguments += ["double *input_gradients", "double *parameter_gradients"] if suffix else []
        arguments += ["double *room"] if self.room else []
        if end != ";":
            arguments = [
                a if a.startswith("const") else a.replace("*", "*restrict ") for a in arguments
            ]
        lines = [start]
        for i, argument in enumerate(arguments):
            text = argument + (")" + end if i == len(arguments) - 1 else ",")
            if len(lines[-1]) + len(text) > 98:
                lines.append(" " * (len(start) + 7 * bool(name)))
            lines[-1] += text if lines[-1].endswith(("(", "  ")) else " " + text
        return "\n".join(lines)

    # ---- the source ----

    def source(self, header: str, dtype: str) -> str:
        """Return the source, which includes the header of this name."""
        functions = [*self._functions(gradients=False), *self._functions(gradients=True)]
        support = "\n".join(library(self.called, self.functions))
        includes = ["math"] + ["stdbool"] * ("bool" in support) + ["stddef"] * ("size_t" in support)
        head = [f"/* {header}.c: {self.title} */", f'#include "{header}.h"', ""]
        head += [f"#include <{name}.h>" for name in includes]
        before = "\n".join([*head, "", *self._parameters(), ""])
        after = "\n".join([*operators(self.functions), *functions])
        if dtype == "float":
            before, after = as_float(before), as_float(after)
        return f"{before}{support}\n{after}" if support else before + after

    def _parameters(self) -> Iterator[str]:
        if not self.parameters:
            return
        yield f"const double {self.name}_parameters[{self.upper}_PARAMETERS] = {{"
        labels = [comment(str(p.label), 40) for p in self.parameters]
        line = "   "
        for p, label in zip(self.parameters, labels):
            text = f" {number(p.data)},"
            if len(line) + len(text) > 98 or (label and line.strip()):
                yield line
                line = "   "
            line += text
            if label:
                yield f"{line} /* {label} */"
                line = "   "
        if line.strip():
            yield line
        yield "};"
        yield ""

    def _functions(self, *, gradients: bool) -> Iterator[str]:
        suffix = "_gradient" if gradients else ""
        names = [self.name]
        if len(self.traces) > 1:
            names = [f"way_{i}" for i in range(len(self.traces))]
        for i, name in enumerate(names):
            yield from self._function(name, i, suffix)
        if len(names) == 1:
            return
        arguments = "inputs, parameters, results"
        if gradients:
            arguments = "inputs, parameters, seeds, results, input_gradients, parameter_gradients"
        yield self._signature(suffix, " {")
        yield f"    int status = {self.upper}_NOT_RECORDED;"
        for name in names:
            yield f"    if (status == {self.upper}_NOT_RECORDED)"
            yield f"        status = {name}{suffix}({arguments});"
        yield "    return status;"
        yield "}"
        yield ""

    def _function(self, name: str, way: int, suffix: str) -> Iterator[str]:
        trace, numbers, lines = self.traces[way], self.numbers[way], self.lines[way]
        read = Statements(trace, numbers, len(self.parameters), gradients=bool(suffix))
        if lines is not None:
            lines.name(read)
        loops, tables = arrange(self.program._np, read.nodes)
        writer = Writer(read.constants, tables)
        body = [*writer.lines(turn_sums(join_sums(loops), tables)), f"    return {self.upper}_OK;"]
        self.functions.update(read.functions)
        self.called |= read.called
        private = name if len(self.traces) > 1 else ""
        signature = self._signature(suffix, " {", private)
        yield ("static " if private else "") + signature
        if "constants" in writer.used:
            yield from table("double", "constants", [number(x) for x in read.constants])
        if "places" in writer.used:
            kind = "unsigned short" if max(tables.numbers) < 1 << 16 else "unsigned int"
            yield from table(kind, "places", [str(i) for i in tables.numbers])
        yield from self._variables(read.sizes, writer.used)
        for argument in re.findall(r"\*(?:restrict )?(\w+)", signature):
            if argument not in writer.used:
                yield f"    (void){argument};"
        for line in body:
            yield re.sub(r"\breturn (NOT_RECORDED|NO_ITEM);$", rf"return {self.upper}_\1;", line)
        yield "}"
        yield ""

    def _variables(self, sizes: dict[str, int], used: set[str]) -> Iterator[str]:
        kept = {array: size for array, size in sizes.items() if size}
        self.most_room = max(self.most_room, sum(kept.values()))
        declared = ["sum"] * ("sum" in used)
        if not self.room:
            declared = [f"{array}[{size}]" for array, size in kept.items()] + declared
        elif kept:
            used.add("room")
            starts = {"v": "room", "d": f"room + {sizes['v']}"}
            places = (f"*const {array} = {starts[array]}" for array in kept)
            yield f"    double {', '.join(places)};"
        if declared:
            yield f"    double {', '.join(declared)};"


def write(
    program: Recorded,
    path: str | os.PathLike[str],
    name: str | None,
    parameters: Sequence[Value] | None,
    dtype: str,
) -> None:
    """Write the source to path and the header beside it. Raises as Program.export_c says."""
    traces = list(program._traces)
    own = program.parameters if parameters is None else tuple(parameters)
    place = Path(os.fsdecode(path))
    name = place.stem if name is None else name
    if place.suffix != ".c" or re.search(r'["\\\0-\x1f]', place.name):
        raise ValueError(f"the path must end in .c, and have no quotes: not {place.name!r}")
    if not is_free(name):
        raise ValueError(f"{name!r} is no name for a function in C: give another one by name=")
    if dtype not in TYPES:
        raise ValueError(f"dtype must be 'double' or 'float', not {dtype!r}")
    _check_parameters(own, traces)
    made = Source(program, traces, own, name)
    text, header = made.source(place.stem, dtype), made.header()
    if name in made.functions:
        raise ValueError(f"the file has a function {name!r} of its own: give another name by name=")
    place.write_text(text, encoding="ascii")
    header = as_float(header) if dtype == "float" else header
    place.with_suffix(".h").write_text(header, encoding="ascii")


def _check_parameters(own: Sequence[Value], traces: Sequence[Trace]) -> None:
    for p in own:
        if not isinstance(p, Value):
            raise TypeError(f"parameters must be Values, not {type(p).__name__!r}")
    known = {id(p) for p in own}
    if len(known) < len(own):
        raise ValueError("parameters has a Value twice")
    lacking = [p for trace in traces for p in trace.captured if id(p) not in known]
    if lacking:
        raise ValueError(
            f"parameters lacks {len(lacking)} of the Values that the program uses, the first of "
            f"them {lacking[0]!r}"
        )
