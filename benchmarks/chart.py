"""results.svg: all contenders of the workloads that matter most, as bars on logarithmic scales."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .report import duration
from .results import Results, Row

# Group, title, and the contenders left out because another row says the same.
PANELS = [
    ("operator: a * b + c", "One operation, a * b + c, in a loop"),
    ("backward: two moons", "Backward, per node of a graph of 66,000"),
    ("two moons, MLP", "Training step, 2-16-16-1 network, 100 points"),
    ("compiled: two moons, relu", "The same, compiled"),
    ("notebook step", "Training step, 3-4-4-1 network, 4 examples"),
    ("microgpt step", "Training step, a GPT of one layer, a name of 6 letters"),
]

INK, MUTED, GRID = "#1f2328", "#59636e", "#d8dee4"
OURS, OURS_CFFI, OTHERS, LIMITS = "#0969da", "#80b3ea", "#c4ccd4", "#e3c778"
KINDS = [
    (OURS, "micrograd_c"),
    (OURS_CFFI, "micrograd_c, cffi backend"),
    (OTHERS, "other engines"),
    (LIMITS, "no engine: floats, numpy and C by hand"),
]


def draw(results: Results, file: Path) -> bool:
    """Write the chart, if one of its workloads ran; needs matplotlib."""
    import matplotlib as mpl

    mpl.use("svg")
    import matplotlib.pyplot as plt
    from matplotlib.patches import Rectangle

    panels = [(title, results[group]) for group, title in PANELS if group in results]
    if not panels:
        return False
    style: dict[Any, Any] = {
        "font.family": "DejaVu Sans",
        "font.size": 10,
        "svg.hashsalt": "micrograd_c",
        "axes.edgecolor": GRID,
        "text.color": INK,
        "axes.labelcolor": INK,
    }
    with plt.rc_context(style):
        heights = [len(rows) + 1.2 for _, rows in panels]
        figure, axes = plt.subplots(
            len(panels),
            1,
            figsize=(8.8, 0.27 * sum(heights) + 0.8),
            height_ratios=heights,
            squeeze=False,
            layout="constrained",
        )
        for axis, (title, rows) in zip(axes[:, 0], panels):
            _panel(axis, title, rows)
        handles = [Rectangle((0, 0), 1, 1, color=color) for color, _ in KINDS]
        figure.legend(
            handles,
            [name for _, name in KINDS],
            loc="outside lower center",
            ncols=len(KINDS),
            frameon=False,
            fontsize=9,
            handlelength=1,
        )
        figure.savefig(file, facecolor="white", metadata={"Date": None})
        plt.close(figure)
    return True


def _panel(axis: Any, title: str, rows: list[Row]) -> None:
    """Draw one bar a contender, fastest on top, from the smallest power of ten below them all."""
    times = [row.minimum for row in rows]
    low, high = min(times) / 2.5, max(times) * 4
    for y, row in enumerate(rows):
        color = _color(row.contender)
        axis.barh(y, row.minimum - low, left=low, height=0.72, color=color)
        axis.text(row.minimum * 1.08, y, duration(row.minimum), va="center", fontsize=9)
    axis.set_xscale("log")
    axis.set_xlim(low, high)
    axis.set_ylim(len(rows) - 0.4, -0.6)
    axis.set_yticks(range(len(rows)), [row.contender for row in rows])
    for label, row in zip(axis.get_yticklabels(), rows):
        if _color(row.contender) == OURS:
            label.set_fontweight("bold")
    axis.set_title(title, loc="left", fontsize=11, fontweight="bold", pad=6)
    axis.tick_params(axis="both", which="both", length=0, labelcolor=INK)
    axis.xaxis.set_major_formatter(lambda x, _: duration(x).replace(".00", "").replace(".0", ""))
    axis.tick_params(axis="x", labelcolor=MUTED, labelsize=8.5)
    axis.grid(axis="x", which="major", color=GRID, linewidth=0.8)
    axis.set_axisbelow(True)
    for side in ("top", "right", "bottom"):
        axis.spines[side].set_visible(False)


def _color(contender: str) -> str:
    if contender.startswith("micrograd_c"):
        return OURS_CFFI if "cffi" in contender else OURS
    return LIMITS if "by hand" in contender or contender.startswith("plain floats") else OTHERS
