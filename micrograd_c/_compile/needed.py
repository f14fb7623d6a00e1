"""What compiled programs need besides Python, imported when they do: numpy."""

from __future__ import annotations

from typing import Any


def numpy() -> Any:
    """Return numpy, or raise ImportError saying how to get it."""
    try:
        import numpy as np
    except ImportError as error:
        raise ImportError(
            "compiled programs take and return numpy arrays, and numpy is not installed: "
            "pip install 'micrograd_c[compile]'"
        ) from error
    return np
