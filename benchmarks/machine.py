"""What the figures were measured on: the machine, how busy it was, and the versions."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from importlib import metadata
from pathlib import Path

from . import by_hand
from .contenders import OURS, package

PACKAGES = ["micrograd", "cffi", "numpy", "xad", "torch", "jax", "pytest-benchmark"]


def describe() -> dict[str, str]:
    """Return names and values for a table."""
    table = {
        "CPU": f"{_cpu()}, {os.cpu_count()} cores",
        "System": f"{platform.system()} {platform.release()}",
        "Python": f"{platform.python_implementation()} {platform.python_version()}",
        "micrograd_c": f"{_version_of_ours()}, backends {', '.join(c.engine for c in OURS)}",
    }
    for name in PACKAGES:
        try:
            table[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            table[name] = "not installed"
    flags = " ".join(by_hand.FLAGS)
    table["C compiler"] = f"{compiler()}, `{flags}`"
    return table


def compiler() -> str:
    """Return the C compiler's name and version."""
    if by_hand.COMPILER is None:
        return "none"
    command = [by_hand.COMPILER, "--version"]
    return subprocess.run(command, capture_output=True, text=True).stdout.partition("\n")[0]


def load_average() -> str:
    """Return how many processes wanted a core in the last 1, 5 and 15 minutes."""
    if sys.platform == "win32":
        return "unknown"
    return ", ".join(f"{load:.2f}" for load in os.getloadavg())


def _version_of_ours() -> str:
    return str(package(OURS[0].engine).__dict__["__version__"])


def _cpu() -> str:
    information = Path("/proc/cpuinfo")
    if information.exists():
        for line in information.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
