"""A page: one HTML file that needs nothing else, no network and no other file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from .words import WORDS

FOLDER = Path(__file__).parent
SCRIPTS = {  # by kind of page
    "walk": ("player.js", "layout.js", "graph.js", "walk.js"),
    "watch": ("player.js", "watch.js"),
}


class Page:
    """A page that a notebook shows inline and `save` writes to a file.

    Attributes:
        html: the page, as text.
    """

    def __init__(self, html: str) -> None:
        self.html = html

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the page to a file. Raises OSError as open() does."""
        Path(path).write_text(self.html, encoding="utf-8")

    def _repr_html_(self) -> str:
        """Return the page in a frame of its own, for notebooks."""
        from html import escape

        style = "width: 100%; height: 720px; border: 1px solid #8886; border-radius: 6px"
        content = escape(self.html, quote=True)
        return f'<iframe sandbox="allow-scripts" style="{style}" srcdoc="{content}"></iframe>'

    def __repr__(self) -> str:
        return f"<page of {len(self.html) / 1e3:,.0f} kB: .save('page.html'), .html>"


def check_language(lang: object) -> str:
    """Return a language. Raises ValueError, naming those that there are, if it is none of them."""
    if lang not in WORDS:
        choices = " and ".join(map(repr, WORDS))
        raise ValueError(f"lang is {lang!r}: there are {choices}")
    return str(lang)


def make_page(kind: str, data: dict[str, Any], lang: str) -> Page:
    """Return the page of a kind, with these data, in this language."""
    from json import dumps

    words = WORDS[lang]
    # Of what may stand in a label, `<` alone could end the element that the data are in.
    content = dumps({**data, "words": words}, separators=(",", ":")).replace("<", "\\u003c")
    parts = {
        "lang": lang,
        "title": words[kind],
        "style": _read("style.css"),
        "data": content,
        "script": "\n".join(map(_read, SCRIPTS[kind])),
    }
    before, *rest = _read("page.html").split("{{")
    filled = (parts[name] + text for name, text in (part.split("}}", 1) for part in rest))
    return Page(before + "".join(filled))


def _read(name: str) -> str:
    return (FOLDER / name).read_text(encoding="utf-8")
