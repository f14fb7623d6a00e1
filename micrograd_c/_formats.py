"""States as bytes and back: JSON, and safetensors by its library.

Both hold a document: the version of the format, a checksum, and the state. A tuple, which JSON has
not, is written as {"__tuple__": [...]}. In a safetensors file the document is an entry of the
header's metadata, and each float or array of floats is a tensor, named by its path, in whose place
the document has {"__tensor__": name}. Reading runs parsers alone, and believes nothing.
"""

from __future__ import annotations

from array import array
from typing import Any
from zlib import crc32

DEEPEST = 30  # levels of a nesting; numpy's arrays may have 32 dimensions
OWN, TUPLE, TENSOR = "micrograd_c", "__tuple__", "__tensor__"
VERSION = 1

Tensors = dict[str, Any]  # float64 arrays by name


# ---- what may be in a state ----


def as_plain(item: Any, path: str, level: int = 0) -> Any:
    """Return a state as JSON has it. Raises TypeError and ValueError as `save` does."""
    if item is None or isinstance(item, (str, int, float)):
        return item
    if level == DEEPEST:
        raise ValueError(f"a state is at most {DEEPEST} levels deep: {path} is deeper")
    if isinstance(item, dict):
        for key in item:
            if not isinstance(key, str):
                raise TypeError(f"the keys of {path} must be strings, not {type(key).__name__!r}")
            if key in (TUPLE, TENSOR):
                raise ValueError(f"{key!r} cannot be a key, as in {path}: files use it themselves")
        return {key: as_plain(x, f"{path}[{key!r}]", level + 1) for key, x in item.items()}
    if isinstance(item, (list, tuple, array)):
        items = [
            x if type(x) is float else as_plain(x, f"{path}[{i}]", level + 1)
            for i, x in enumerate(item)
        ]
        return {TUPLE: items} if isinstance(item, tuple) else items
    ways = {"tolist": "use .tolist()", "state_dict": "save its state_dict()"}
    hint = [way for name, way in ways.items() if hasattr(type(item), name)]
    raise TypeError(
        "a state consists of dicts, lists, tuples, numbers, strings, bools and None: "
        f"{path} is of the type {type(item).__name__!r}{': ' + hint[0] if hint else ''}"
    )


def _from_plain(item: Any, tensors: Tensors) -> Any:
    """Return the state that `as_plain` and `_without_floats` made this of. Takes the tensors."""
    if isinstance(item, list):
        return [x if type(x) is float else _from_plain(x, tensors) for x in item]
    if not isinstance(item, dict):
        return item
    found = {key: _from_plain(x, tensors) for key, x in item.items()}
    if TUPLE in found:
        if not isinstance(found[TUPLE], list):
            raise ValueError(f"{TUPLE!r} is no list")
        return tuple(found[TUPLE])
    if TENSOR in found:
        name = found[TENSOR]
        if not isinstance(name, str) or name not in tensors:
            raise ValueError(f"there is no tensor {name!r}, or it is used twice")
        return tensors.pop(name).tolist()
    return found


# ---- documents ----


def _parse(text: bytes) -> Any:
    """Return what JSON says. Raises ValueError, also for a name that is there twice."""
    import json

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            raise ValueError("a name is there twice in one JSON object")
        return found

    return json.loads(text.decode(), object_pairs_hook=unique)


def _dump(plain: Any, tensors: Tensors) -> tuple[str, int]:
    """Return what has no tuples and no tensors as JSON, and the checksum of all together."""
    import json

    text = json.dumps(plain)
    checksum = crc32(text.encode())
    for name in sorted(tensors):
        shape = tensors[name].shape
        checksum = crc32(
            tensors[name].astype("<f8").tobytes(), crc32(f"{name}{shape}".encode(), checksum)
        )
    return text, checksum


def _document(plain: Any, tensors: Tensors) -> bytes:
    text, checksum = _dump(plain, tensors)
    return f'{{"{OWN}": {VERSION},\n"crc32": {checksum},\n"state": {text}}}\n'.encode()


def _state_of(document: Any, tensors: Tensors) -> Any:
    """Return the state in a document. Raises ValueError for what `_document` did not make."""
    if not isinstance(document, dict) or OWN not in document:
        raise ValueError(f"there is no {OWN!r} in it")
    if document[OWN] != VERSION:
        raise ValueError(f"its format is {document[OWN]!r}, this version reads {VERSION}")
    if document.keys() != {OWN, "crc32", "state"}:
        raise ValueError(f"it should have {OWN!r}, 'crc32' and 'state', not {[*document]}")
    if document["crc32"] != _dump(document["state"], tensors)[1]:
        raise ValueError("its checksum is that of another content")
    return _from_plain(document["state"], tensors)


# ---- JSON ----


def to_json(state: Any) -> bytes:
    return _document(as_plain(state, "state"), {})


def from_json(content: bytes) -> Any:
    return _state_of(_parse(content), {})


# ---- safetensors ----


def _library() -> Any:
    """Return safetensors, for numpy's arrays. Raises ImportError saying how to get it."""
    try:
        import safetensors.numpy
    except ImportError as error:
        raise ImportError(
            "files that end in .safetensors need the packages safetensors and numpy: "
            "pip install 'micrograd_c[files]', or use a name that ends in .json"
        ) from error
    return safetensors


def _shape(plain: Any) -> tuple[int, ...] | None:
    """Return the shape of floats in equally long lists; None for anything else."""
    if isinstance(plain, float):
        return ()
    if not isinstance(plain, list) or not plain:
        return None
    shapes = {_shape(x) for x in plain}
    inner = shapes.pop()
    return None if shapes or inner is None else (len(plain), *inner)


def _without_floats(plain: Any, name: str, tensors: Tensors) -> Any:
    """Return a state that has tensors in the place of floats; put these into `tensors`."""
    import numpy as np

    if _shape(plain) is not None:
        while name in tensors or name in ("", "__metadata__"):  # which safetensors has itself
            name += "_"
        tensors[name] = np.array(plain, np.float64)
        return {TENSOR: name}
    prefix = name + "." if name else ""
    if isinstance(plain, list):
        return [_without_floats(x, f"{prefix}{i}", tensors) for i, x in enumerate(plain)]
    if isinstance(plain, dict):
        paths = {key: name if key == TUPLE else prefix + key for key in plain}
        return {key: _without_floats(x, paths[key], tensors) for key, x in plain.items()}
    return plain


def to_safetensors(state: Any) -> bytes:
    library = _library()
    tensors: Tensors = {}
    plain = _without_floats(as_plain(state, "state"), "", tensors)
    metadata = {OWN: _document(plain, tensors).decode()}
    try:
        content: bytes = library.numpy.save(tensors, metadata)
    except library.SafetensorError as error:  # the header is too large
        raise ValueError(f"safetensors refuses this state: {error}") from error
    return content


def from_safetensors(content: bytes) -> Any:
    library = _library()
    known = library.SafetensorError, ArithmeticError, LookupError, TypeError, ValueError
    try:
        tensors: Tensors = library.numpy.load(content)
    except known as error:
        raise ValueError(f"safetensors finds: {error}") from error
    if any(tensor.dtype != "float64" for tensor in tensors.values()):
        raise ValueError("a tensor in it has another type than F64")
    if any(tensor.size == 0 for tensor in tensors.values()):
        raise ValueError("a tensor in it has no numbers")
    header = _parse(content[8 : 8 + int.from_bytes(content[:8], "little")])
    metadata = header.get("__metadata__") or {}
    if OWN not in metadata:
        raise ValueError(f"there is no {OWN!r} in the metadata of its header")
    return _state_of(_parse(metadata[OWN].encode()), tensors)
