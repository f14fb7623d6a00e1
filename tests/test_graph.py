"""trace and draw_dot: the notebook's picture, the same in every run, labels as written."""

from __future__ import annotations

import inspect
import re
import shutil
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import graphviz
import pytest
from reference import Value as PureValue

needs_dot = pytest.mark.skipif(shutil.which("dot") is None, reason="the dot program is not there")

AWKWARD = [
    "a{b}|c<d>",
    'say "so"',
    "back\\slash\\",
    '\\"',
    "\\N \\G \\l",
    "<b>not bold</b>",
    "&lt; &amp; & &#123;",
    "&#1;",
    "  two  spaces   ",
    "x1*w1 + x2*w2",
    "}",
    "a:b:c",
    "é → ∂L",
    "→",
    " ",
]

# With what is drawn of it.
UNSHOWN = {
    "a\0b": "a\ufffdb",
    "\0": "\ufffd",
    "\x01\x1b[31mred": "\ufffd\ufffd[31mred",
    "a\tb\rc": "a\ufffdb\ufffdc",
    "\x7f\x9f": "\ufffd\ufffd",
    "\ud800 \udfff": "\ufffd \ufffd",
    "\ufffe\uffff": "\ufffd\ufffd",
    "x" * 1001: "x" * 997 + "...",
    "x" * 100_000: "x" * 997 + "...",
    "&" * 100_000: "&" * 997 + "...",
    " " * 100_000: " " * 997 + "...",
    "{\\}" * 100_000: "{\\}" * 332 + "{...",
    "\U0001f600" * 20_000: "\U0001f600" * 997 + "...",
    "\0" * 100_000: "\ufffd" * 997 + "...",
}


def brief(text: str) -> str:
    return f"{len(text)} {text[:8]!a}"


def neuron(cls: Any) -> Any:
    """The lecture's neuron, tanh(x*w + b), after backward."""
    x, w, b = cls(2.0, label="x"), cls(-3.0, label="w"), cls(6.5, label="b")
    product = x * w
    product.label = "x*w"
    out = (product + b).tanh()
    out.label = "out"
    out.backward()
    return out


def rendered_texts(dot: graphviz.Digraph) -> list[list[str]]:
    """The lines of text of each node of the picture, in the order of its source."""
    svg = ElementTree.fromstring(dot.pipe("svg"))
    space = "{http://www.w3.org/2000/svg}"
    return [
        [(text.text or "").replace("\xa0", " ") for text in group.iter(f"{space}text")]
        for group in svg.iter(f"{space}g")
        if group.get("class") == "node"
    ]


def test_trace_finds_every_node_once_the_root_first(mg: Any) -> None:
    a, b = mg.Value(2.0), mg.Value(3.0)
    product = a * b
    root = product + a
    nodes, _ = mg.trace(root)
    assert list(nodes) == [root, product, a, b]


def test_trace_finds_an_edge_from_each_operand_to_its_result(mg: Any) -> None:
    a, b = mg.Value(2.0), mg.Value(3.0)
    product = a * b
    root = product + a
    _, edges = mg.trace(root)
    assert list(edges) == [(product, root), (a, root), (a, product), (b, product)]


def test_what_trace_returns_can_be_used_as_sets(mg: Any) -> None:
    a, b = mg.Value(2.0), mg.Value(3.0)
    root = a + b
    nodes, edges = mg.trace(root)
    assert nodes == {a, b, root}
    assert edges & {(a, root), (root, a)} == {(a, root)}


def test_an_operand_used_twice_in_one_operation_has_one_edge(mg: Any) -> None:
    a = mg.Value(2.0)
    nodes, edges = mg.trace(a * a)
    assert (len(nodes), len(edges)) == (2, 1)


def test_trace_finds_operands_that_nobody_holds(mg: Any) -> None:
    nodes, edges = mg.trace((mg.Value(2.0) * 3.0 + 4.0).tanh())
    assert [node.data for node in nodes][2:] == [6.0, 4.0, 2.0, 3.0]
    assert len(edges) == 5


def test_a_node_reached_by_many_paths_is_visited_once(mg: Any) -> None:
    root = mg.Value(1.0)
    for _ in range(60):  # 2**60 paths
        root = root.sin() + root.cos()
    nodes, edges = mg.trace(root)
    assert (len(nodes), len(edges)) == (181, 240)


def test_a_leaf_is_a_graph_of_one_node(mg: Any) -> None:
    leaf = mg.Value(1.0)
    nodes, edges = mg.trace(leaf)
    assert (list(nodes), list(edges)) == ([leaf], [])


def test_trace_leaves_out_what_the_root_was_not_made_from(mg: Any) -> None:
    a = mg.Value(2.0)
    root, other = a * 2.0, a * 3.0
    nodes, _ = mg.trace(root)
    assert other not in nodes


@pytest.mark.parametrize("function", ["trace", "draw_dot"])
@pytest.mark.parametrize("root", [1.0, None, "L", []], ids=repr)
def test_a_root_that_is_no_value_is_a_type_error_naming_its_type(
    mg: Any, function: str, root: Any
) -> None:
    with pytest.raises(TypeError, match=type(root).__name__):
        getattr(mg, function)(root)


def test_the_class_in_place_of_a_value_is_a_type_error(mg: Any) -> None:
    with pytest.raises(TypeError):
        mg.trace(mg.Value)


def test_a_node_is_drawn_as_a_record_of_label_data_and_gradient(mg: Any) -> None:
    a = mg.Value(-2.0, label="a")
    a.grad = 0.123456
    line = '\tn0 [label="{ a | data -2.0000 | grad 0.1235 }" shape=record]'
    assert line in mg.draw_dot(a).source.splitlines()


def test_the_picture_of_a_neuron_is_the_notebooks(mg: Any) -> None:
    assert mg.draw_dot(neuron(mg.Value)).source.splitlines() == [
        "digraph {",
        "\tgraph [rankdir=LR]",
        '\tn0 [label="{ out | data 0.4621 | grad 1.0000 }" shape=record]',
        "\tn0tanh [label=tanh]",
        "\tn0tanh -> n0",
        '\tn1 [label="{  | data 0.5000 | grad 0.7864 }" shape=record]',
        '\t"n1+" [label="+"]',
        '\t"n1+" -> n1',
        '\tn2 [label="{ x*w | data -6.0000 | grad 0.7864 }" shape=record]',
        '\t"n2*" [label="*"]',
        '\t"n2*" -> n2',
        '\tn3 [label="{ b | data 6.5000 | grad 0.7864 }" shape=record]',
        '\tn4 [label="{ x | data 2.0000 | grad -2.3593 }" shape=record]',
        '\tn5 [label="{ w | data -3.0000 | grad 1.5729 }" shape=record]',
        "\tn1 -> n0tanh",
        '\tn2 -> "n1+"',
        '\tn3 -> "n1+"',
        '\tn4 -> "n2*"',
        '\tn5 -> "n2*"',
        "}",
    ]


def test_the_pure_python_class_is_drawn_alike(mg: Any) -> None:
    assert mg.draw_dot(neuron(PureValue)).source == mg.draw_dot(neuron(mg.Value)).source


def test_the_same_expression_built_twice_has_the_same_source(mg: Any) -> None:
    def build() -> Any:
        a, b = mg.Value(2.0, label="a"), mg.Value(3.0)
        c = a / b - a.exp() * 2.0
        return (c + c**2 + b).relu()

    first, second = build(), build()
    assert mg.draw_dot(first).source == mg.draw_dot(second).source


def test_drawing_twice_gives_the_same_source(mg: Any) -> None:
    root = (mg.Value(2.0) * 3.0 + 4.0).tanh()
    assert mg.draw_dot(root).source == mg.draw_dot(root).source


@pytest.mark.long
@needs_dot
@pytest.mark.parametrize("label", AWKWARD)
def test_a_label_is_shown_as_written(mg: Any, label: str) -> None:
    (texts,) = rendered_texts(mg.draw_dot(mg.Value(1.0, label=label)))
    assert texts == [label, "data 1.0000", "grad 0.0000"]


@pytest.mark.long
@needs_dot
@pytest.mark.parametrize("text", UNSHOWN, ids=brief)
def test_what_a_picture_cannot_hold_of_label_or_operation_is_replaced_or_left_out(
    mg: Any, text: str
) -> None:
    root = mg.Value(1.0, (mg.Value(2.0),), text)
    root.label = text
    result, operation, _ = rendered_texts(mg.draw_dot(root))
    assert (result[0], operation) == (UNSHOWN[text], [UNSHOWN[text]])


@needs_dot
def test_a_picture_of_50_000_lines_is_drawn(mg: Any) -> None:
    (texts,) = rendered_texts(mg.draw_dot(mg.Value(1.0, label="\n" * 50_000)))
    assert texts == ["...", "data 1.0000", "grad 0.0000"]


def test_a_label_of_1_000_characters_is_drawn_whole(mg: Any) -> None:
    assert "x" * 1000 + " |" in mg.draw_dot(mg.Value(1.0, label="x" * 1000)).source


@pytest.mark.parametrize("label", UNSHOWN, ids=brief)
def test_the_source_of_any_label_is_written_to_a_file(mg: Any, label: str, tmp_path: Path) -> None:
    dot = mg.draw_dot(mg.Value(1.0, label=label))
    assert Path(dot.save(tmp_path / "graph.dot")).read_text(encoding="utf-8") == dot.source


@needs_dot
def test_a_label_of_two_lines_is_shown_on_two_lines(mg: Any) -> None:
    (texts,) = rendered_texts(mg.draw_dot(mg.Value(1.0, label="one\ntwo")))
    assert texts[:2] == ["one", "two"]


@pytest.mark.long
@needs_dot
@pytest.mark.parametrize("op", AWKWARD)
def test_an_operations_name_is_shown_as_written(mg: Any, op: str) -> None:
    root = mg.Value(1.0, (mg.Value(2.0),), op)
    assert sorted(rendered_texts(mg.draw_dot(root)), key=len)[0] == [op]


@pytest.mark.long
@needs_dot
@pytest.mark.parametrize("op", ["0", *AWKWARD])
def test_an_operation_of_any_name_is_one_node_between_operand_and_result(mg: Any, op: str) -> None:
    root = mg.Value(1.0, (mg.Value(2.0),), op)
    plain = mg.draw_dot(root).pipe("plain").decode().splitlines()
    assert [line.split()[0] for line in plain].count("node") == 3
    assert [line.split()[0] for line in plain].count("edge") == 2


@needs_dot
def test_an_operations_node_is_never_another_values(mg: Any) -> None:
    root = mg.Value(0.0)
    for _ in range(11):  # "n1" and "0" would be "n10"
        root = mg.Value(0.0, (root,), "0")
    assert len(rendered_texts(mg.draw_dot(root))) == 12 + 11


def test_a_result_without_an_operation_is_linked_to_its_operand(mg: Any) -> None:
    root = mg.Value(1.0, (mg.Value(2.0),))
    assert re.findall(r".* -> .*", mg.draw_dot(root).source) == ["\tn1 -> n0"]


@pytest.mark.parametrize("rankdir", ["LR", "TB", "RL", "BT"])
def test_the_direction_is_the_one_asked_for(mg: Any, rankdir: str) -> None:
    source = mg.draw_dot(mg.Value(1.0), rankdir=rankdir).source
    assert f"graph [rankdir={rankdir}]" in source


@pytest.mark.parametrize("rankdir", ["lr", "", "XY", None])
def test_an_unknown_direction_is_a_value_error_naming_it(mg: Any, rankdir: Any) -> None:
    with pytest.raises(ValueError, match=re.escape(repr(rankdir))):
        mg.draw_dot(mg.Value(1.0), rankdir=rankdir)


def test_the_format_is_svg_unless_said_otherwise(mg: Any) -> None:
    leaf = mg.Value(1.0)
    assert (mg.draw_dot(leaf).format, mg.draw_dot(leaf, "png").format) == ("svg", "png")


def test_an_unknown_format_is_a_value_error(mg: Any) -> None:
    with pytest.raises(ValueError, match="unknown format"):
        mg.draw_dot(mg.Value(1.0), format="picture")


@pytest.mark.long
def test_a_chain_of_ten_thousand_nodes_is_drawn_without_recursion(mg: Any) -> None:
    root = mg.Value(1.0)
    for _ in range(10_000):
        root = root.sin()
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(len(inspect.stack(0)) + 60)
    try:
        with pytest.warns(UserWarning, match="10,001 nodes"):
            source = mg.draw_dot(root).source
    finally:
        sys.setrecursionlimit(limit)
    assert source.count("shape=record") == 10_001


def test_without_the_dot_program_the_source_is_there_all_the_same(
    mg: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "data 1.0000" in mg.draw_dot(mg.Value(1.0)).source


@pytest.mark.parametrize("way", ["pipe", "render"])
def test_rendering_without_the_dot_program_is_graphvizs_error_with_how_to_install_it(
    mg: Any, way: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(graphviz.ExecutableNotFound) as caught:
        getattr(mg.draw_dot(mg.Value(1.0)), way)()
    text = str(caught.value)
    assert "\n" not in text and caught.value.__suppress_context__
    for hint in ("apt install graphviz", "brew install graphviz", "winget install graphviz"):
        assert hint in text


def test_a_notebook_without_the_dot_program_shows_how_to_install_it_in_one_line(
    mg: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    shown = mg.draw_dot(mg.Value(1.0))._repr_mimebundle_()
    assert shown.keys() == {"text/plain"}
    assert "apt install graphviz" in shown["text/plain"] and "\n" not in shown["text/plain"]


@needs_dot
def test_a_notebook_shows_a_picture(mg: Any) -> None:
    assert "<svg" in mg.draw_dot(mg.Value(1.0))._repr_mimebundle_()["image/svg+xml"]


def test_more_than_500_nodes_are_warned_of_with_their_number_and_what_to_do(mg: Any) -> None:
    root = mg.total([mg.Value(float(i)) for i in range(250)])  # with the 0 of sum(): 501
    with pytest.warns(UserWarning, match=r"501 nodes.*collapse=True.*explain") as caught:
        mg.draw_dot(root)
    assert caught[0].filename == __file__


def test_500_nodes_are_drawn_without_a_word(mg: Any) -> None:
    root = mg.total([mg.Value(float(i)) for i in range(249)]).tanh()
    assert mg.draw_dot(root).source.count("shape=record") == 500


def test_what_is_counted_is_what_is_drawn(mg: Any) -> None:
    model = mg.MLP(2, [16, 16, 1])  # some 1,000 nodes in three boxes
    assert mg.draw_dot(model([1.0, 2.0]), collapse=True).source.count("shape=") == 3


def test_a_neuron_collapses_to_a_box_with_its_label_and_numbers(mg: Any) -> None:
    x = [mg.Value(2.0, label="x0"), mg.Value(3.0, label="x1")]
    out = mg.Neuron(2)(x)
    out.backward()
    lines = mg.draw_dot(out, collapse=True).source.splitlines()
    assert lines[2].startswith(
        f'\tb0 [label="{{ neuron out | data {out.data:.4f} | grad 1.0000 }}"'
    )
    assert lines[5:] == ["\tn4 -> b0", "\tn6 -> b0", "}"] or len(lines) == 8


def test_a_layer_collapses_to_one_box(mg: Any) -> None:
    loss = mg.total(mg.Layer(2, 4)([1.0, 2.0]))
    source = mg.draw_dot(loss, collapse=True).source
    assert "{ layer of 4 neurons | 40 nodes }" in source
    assert source.count("Mrecord") == 1


def test_a_softmax_collapses_to_one_box(mg: Any) -> None:
    logits = [mg.Value(1.0, label="a"), mg.Value(2.0, label="b")]
    source = mg.draw_dot(mg.total(mg.softmax(logits)), collapse=True).source
    assert "{ softmax | 13 nodes }" in source


def test_the_pure_python_class_collapses_alike(mg: Any) -> None:
    def two_inputs(cls: Any) -> Any:
        x = [cls(2.0, label="x0"), cls(3.0, label="x1")]
        w = [cls(-1.0, label="w0"), cls(0.5, label="w1")]
        return sum((wi * xi for wi, xi in zip(w, x)), cls(1.0, label="b")).tanh()

    source = mg.draw_dot(two_inputs(PureValue), collapse=True).source
    assert source == mg.draw_dot(two_inputs(mg.Value), collapse=True).source
    assert "{ neuron |" in source


def test_a_graph_without_boxes_collapses_to_itself(mg: Any) -> None:
    root = (mg.Value(2.0, label="a") * 3.0 + 4.0).tanh()
    assert mg.draw_dot(root, collapse=True).source == mg.draw_dot(root).source


@needs_dot
def test_a_collapsed_picture_is_drawn(mg: Any) -> None:
    texts = rendered_texts(mg.draw_dot(mg.Layer(2, 2)([1.0, 2.0])[0], collapse=True))
    assert texts[0][0] == "neuron out"
