"""Labels and classes of Values that are no state of a proxy, for a number of the node says them.

The first short labels of a program are numbered, and the first subclasses without slots or a
finalizer of their own.
"""

from __future__ import annotations

from typing import Any
from weakref import ref

from .._library import lib
from .arena import lock
from .proxy import note
from .table import LEAF

# The number of a label is its node's tag. Numbered labels are kept for ever, at most 20 MiB of
# them. The tag of a result has room for numbers below MG_WIDE_TAG alone.
_MOST_LABELS = 65536
_LABEL_LENGTH = 64
labels: list[str] = [""]  # by tag; 0 is the tag of no label, and of one that has no number
_tags: dict[str, int] = {"": 0}


def tag_of(label: Any, most: int = lib.MG_WIDE_TAG) -> int:
    """Return the number of a label if it is less than most, a new one if need be; otherwise 0."""
    if type(label) is not str or len(label) > _LABEL_LENGTH:
        return 0
    with lock:
        if label not in _tags and len(labels) < most:
            _tags[label] = len(labels)
            labels.append(label)
        tag = _tags.get(label, 0)
    return tag if tag < most else 0


_MOST_CLASSES = 64
classes: dict[int, Any] = {}  # weak references, by tag; the labels of these tags are empty
class_tags: dict[int, int] = {}  # by id


def tag_of_class(cls: Any, value_class: Any) -> int:
    """Return the number of a subclass of Value, a new one if need be; 0 if it can have none."""
    if hasattr(cls, "__del__") or cls.__basicsize__ != value_class.__basicsize__:
        return 0
    with lock:
        number, tag = id(cls), len(labels)
        if len(classes) == _MOST_CLASSES or tag >= lib.MG_WIDE_TAG:
            return 0
        classes[tag] = ref(cls, lambda _: class_tags.pop(number, None))
        class_tags[number] = tag
        labels.append("")
        return tag


def get_label(proxy: Any) -> Any:
    """Return the label of a Value."""
    label = labels[lib.mg_node_tag(proxy._node)]
    return proxy.__dict__.get("label", "") if proxy._stateful and not label else label


def set_label(proxy: Any, label: Any) -> None:
    """Label a Value: by its node's tag, or where the label has no number by its state."""
    is_leaf = lib.mg_node_operator(proxy._node) == LEAF
    tag = class_tags.get(id(type(proxy)), 0)
    own = label != "" and (
        tag != 0 or not (tag := tag_of(label, _MOST_LABELS if is_leaf else lib.MG_WIDE_TAG))
    )
    if own:
        note(proxy, label)  # there may be no memory for it: then nothing has changed
    lib.mg_node_set_tag(proxy._node, tag)
    if own:
        proxy.__dict__["label"] = label
    elif proxy._stateful:
        proxy.__dict__.pop("label", None)
