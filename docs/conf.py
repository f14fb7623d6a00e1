"""How Sphinx builds the site; `.ci/docs` runs it.

The pages are Markdown and notebooks as a code host shows them, with links from file to file.
Notebooks have no outputs: they are executed when the site is built. The reference is made of
docstrings, which are plain text.
"""

import re
from pathlib import Path

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx

import micrograd_c

project = "micrograd_c"
release = micrograd_c.__version__
html_title = f"micrograd_c {release}"
html_theme = "furo"
html_show_copyright = False
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build"]
html_static_path = ["_static"]
html_css_files = ["pictures.css"]

# ---- Markdown and notebooks ----
myst_heading_anchors = 4  # a heading can be linked to by its text, as on a code host
nb_execution_mode = "force"
nb_execution_raise_on_error = True
nb_output_stderr = "remove"  # progress bars
ELSEWHERE = {  # pages that are not in this folder, by the page that includes them
    "../CONTRIBUTING.md": "contributing.md",
    "../benchmarks/RESULTS.md": "benchmarks.md",
}

# ---- the reference ----
default_role = "code"  # what single backticks mean in docstrings
smartquotes = False
napoleon_use_ivar = True  # attributes as a list: those that members document are there once
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"


def link_to_included_pages(app: Sphinx, page: str, source: list[str]) -> None:
    """Let links to files outside of this folder lead to the pages that include these files."""
    for there, here in ELSEWHERE.items():
        source[0] = source[0].replace(f"]({there}", f"]({here}")


def escape_plain_text(
    app: Sphinx, what: str, name: str, obj: object, options: object, lines: list[str]
) -> None:
    """Escape what reStructuredText would take for markup, but in code: a|x|, x_, **kwargs."""
    in_doctest = False
    for i, line in enumerate(lines):
        in_doctest = bool(line.strip()) and (in_doctest or line.lstrip().startswith(">>>"))
        if not in_doctest:
            parts = re.split(r"(``.+?``|`.+?`)", line)
            parts[::2] = [re.sub(r"([*|\\]|_(?!\w))", r"\\\1", part) for part in parts[::2]]
            lines[i] = "".join(parts)


def name_activation(
    app: Sphinx,
    what: str,
    name: str,
    obj: object,
    options: object,
    given: str | None,
    returned: str | None,
) -> tuple[str | None, str | None]:
    """Have signatures name the type Activation, a list of some thirty strings, as the code does."""
    return given and re.sub(r"[\w.~]*Literal\['tanh'[^]]*\] \| None", "Activation", given), returned


def offer_notebook(app: Sphinx, doctree: nodes.document) -> None:
    """Put a link below the title of a page that is a notebook, by which it can be downloaded."""
    file = Path(app.env.doc2path(app.env.docname))
    if file.suffix == ".ipynb":
        link = addnodes.download_reference("", f"⤓ {file.name}", reftarget=file.name)
        title = next(doctree.findall(nodes.title))
        title.parent.insert(1, nodes.paragraph("", "", link))


def tell_language(
    app: Sphinx, page: str, template: str, context: dict[str, object], doctree: object
) -> None:
    """Tell browsers, and those that read pages aloud, which page is in French."""
    if page == "course/fr":
        context["language"] = "fr"


def setup(app: Sphinx) -> None:
    app.connect("source-read", link_to_included_pages)
    app.connect("autodoc-process-docstring", escape_plain_text, priority=400)  # before napoleon
    app.connect("autodoc-process-signature", name_activation)
    app.connect("html-page-context", tell_language)
    app.connect("doctree-read", offer_notebook, priority=400)  # before downloads are collected
