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
from .lines import name_lines
from .source import Writer, as_float, library, number, operators, table
from .statements import Statements
from .sums import join_sums, turn_sums

TYPES = ("double", "float")
_KEYWORDS = """
auto break case char const continue default do double else enum extern float for goto if inline int
long register restrict return short signed sizeof static struct switch typedef union unsigned void
volatile while bool true false main"""


class Source:
    """What the two files say, of a program with these ways through it."""

    def __init__(
        self, program: Recorded, traces: Sequence[Trace], parameters: Sequence[Value], name: str
    ) -> None:
        self.program, self.traces, self.parameters = program, traces, parameters
        self.title = getattr(program.fn, "__qualname__", type(program.fn).__qualname__)
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

{macros}

/* What the functions return. Unless it is {upper}_OK, what they write is not to be used. */
enum {{
    {upper}_OK = 0,
    {upper}_NOT_RECORDED = 1, /* the inputs take a branch that was not recorded */
    {upper}_NO_ITEM = 2       /* an index names no element of its table */
}};
{self._declared_parameters()}
/* Write {upper}_RESULTS results for {upper}_INPUTS inputs and {upper}_PARAMETERS parameters. */
{self._signature("", ";")}

/* Write the results, and the gradients of the sum of seeds times results, of which there are
 * {upper}_RESULTS each, with respect to inputs and parameters. */
{self._signature("_gradient", ";")}

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
        labels = [
            re.sub(r"[^ -~]|\*/|\?\?", "?", str(p.label))[:40].strip() for p in self.parameters
        ]
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
        for name, trace, numbers in zip(names, self.traces, self.numbers):
            yield from self._function(name, trace, numbers, suffix)
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

    def _function(
        self, name: str, trace: Trace, numbers: Sequence[int], suffix: str
    ) -> Iterator[str]:
        read = Statements(trace, numbers, gradients=bool(suffix))
        name_lines(self.program, trace, read)
        loops, tables = arrange(self.program._np, read.nodes)
        writer = Writer(read.constants)
        body = list(writer.lines(turn_sums(join_sums(loops), tables)))
        text = "\n".join(body)
        self.functions.update(read.functions)
        self.called |= read.called
        private = name if len(self.traces) > 1 else ""
        signature = self._signature(suffix, " {", private)
        yield ("static " if private else "") + signature
        if "constants" in writer.listed:
            lines = table("double", "constants", [number(x) for x in read.constants])
            yield from ("    " + line for line in lines)
        if "places" in writer.listed:
            kind = "unsigned short" if max(tables.numbers) < 1 << 16 else "unsigned int"
            lines = table(kind, "places", [str(i) for i in tables.numbers])
            yield from ("    " + line for line in lines)
        sizes = [f"{array}[{size}]" for array, size in read.sizes.items() if size]
        sizes += ["sum"] * ("sum = " in text)
        if sizes:
            yield f"    double {', '.join(sizes)};"
        for argument in re.findall(r"\*(?:restrict )?(\w+)", signature):
            if not re.search(rf"\b{argument}\[", text):
                yield f"    (void){argument};"
        yield re.sub(r"\b(NOT_RECORDED|NO_ITEM);", rf"{self.upper}_\1;", text)
        yield f"    return {self.upper}_OK;"
        yield "}"
        yield ""


def write(
    program: Recorded,
    path: str | os.PathLike[str],
    name: str | None,
    parameters: Sequence[Value] | None,
    dtype: str,
) -> None:
    """Write the source to path and the header beside it. Raises as Program.export_c says."""
    traces, own = list(program._traces), program.parameters if parameters is None else parameters
    place = Path(path)
    name = place.stem if name is None else name
    if place.suffix != ".c":
        raise ValueError(f"the path must end in .c, not {place.name!r}")
    if not name.isascii() or not name.isidentifier() or name in _KEYWORDS.split():
        raise ValueError(f"{name!r} is no name for a function in C: give another one by name=")
    if dtype not in TYPES:
        raise ValueError(f"dtype must be 'double' or 'float', not {dtype!r}")
    known = {id(p) for p in own}
    if len(known) < len(own):
        raise ValueError("parameters has a Value twice")
    lacking = [p for trace in traces for p in trace.captured if id(p) not in known]
    if lacking:
        raise ValueError(
            f"parameters lacks {len(lacking)} of the Values that the program uses, the first of "
            f"them {lacking[0]!r}"
        )
    made = Source(program, traces, tuple(own), name)
    text, header = made.source(place.stem, dtype), made.header()
    place.write_text(text)
    place.with_suffix(".h").write_text(as_float(header) if dtype == "float" else header)
