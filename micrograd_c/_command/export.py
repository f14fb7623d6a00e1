"""The command `python -m micrograd_c export`: a program of a module as C."""

from __future__ import annotations

import argparse
import importlib
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .._compile.compiling import compile as compile_program
from .._compile.program import Program

PROG = "python -m micrograd_c export"

DESCRIPTION = """\
Write a compiled program as a C file that needs <math.h> alone, and its header.

MODULE:NAME is a Program, made by micrograd_c.compile, or a function of Values, for which --example
gives an argument each. The module is looked for in this folder, too, and is imported: it runs."""

EPILOG = """\
examples:
  python -m micrograd_c export train:program
  python -m micrograd_c export train:model --example '[0.5, -0.2]' --output model.c

exit status: 0 if all went well, 1 if something failed, 2 for bad arguments."""


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Return the options. If they are not right, print a message and exit with status 2."""
    parser = argparse.ArgumentParser(
        prog=PROG,
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("what", metavar="MODULE:NAME", type=_what)
    parser.add_argument("--output", type=Path, metavar="FILE", help="default: NAME.c")
    parser.add_argument("--name", help="of the function in C (default: that of the file)")
    parser.add_argument(
        "--example",
        action="append",
        default=[],
        type=_json,
        metavar="JSON",
        help="an argument of the function: a number, or a list; once for each argument",
    )
    parser.add_argument(
        "--parameters",
        metavar="NAME",
        help="of the module's: a model, or a list of Values, whose order the parameters have",
    )
    parser.add_argument("--dtype", choices=("double", "float"), default="double")
    return parser.parse_args(arguments)


def _what(text: str) -> tuple[str, str]:
    module, colon, name = text.partition(":")
    if not module or not colon or not name:
        raise argparse.ArgumentTypeError(f"{text!r} is not MODULE:NAME, such as train:program")
    return module, name


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no JSON, such as '[0.5, 1]': {error}"
        ) from None


def _find(module: str, name: str) -> Any:
    """Import the module and return what it has of this name, which may have dots."""
    found: Any = importlib.import_module(module)
    for part in name.split("."):
        found = getattr(found, part)
    return found


def _program(options: argparse.Namespace) -> Program:
    """Return the program that is asked for. Raises TypeError where there is none."""
    module, name = options.what
    found = _find(module, name)
    if isinstance(found, Program):
        if options.example:
            raise TypeError(f"{module}:{name} is a Program, which takes no --example")
        return found
    if not callable(found):
        raise TypeError(f"{module}:{name} is neither a Program nor a function: {found!r}")
    program = compile_program(found, *options.example)
    if not options.example:
        try:
            program()  # a function without arguments: recorded by its first call
        except TypeError as error:
            raise TypeError(f"{error}; an argument is given by --example") from error
    return program


def _export(options: argparse.Namespace) -> str:
    """Write the files; return what to say of them."""
    module, name = options.what
    program = _program(options)
    path = options.output or Path(name.split(".")[-1] + ".c")
    given: Any = None
    if options.parameters is not None:
        given = _find(module, options.parameters)
        given = given.parameters() if hasattr(given, "parameters") else given
    program.export_c(path, name=options.name, parameters=given, dtype=options.dtype)
    return f"Wrote {path} and {path.with_suffix('.h')}: {program!r}"


def main(arguments: Sequence[str]) -> str | None:
    """Run the command; return what went wrong, or None."""
    options = parse(arguments)
    sys.path.insert(0, os.getcwd())
    try:
        written = _export(options)
    except OSError as error:
        if error.filename is None:
            return f"{type(error).__name__}: {error}"
        return f"cannot write {error.filename}: {error.strerror}"
    except Exception as error:  # of the module or of the function, too
        return f"{type(error).__name__}: {error}"
    print(written)
    return None
