"""The course, in English and in French: its cells compute the numbers that they are about."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import notebooks
import pytest

COURSE = Path(__file__).parent.parent / "docs" / "course"
LANGUAGES = ("en", "fr")


def cells(language: str, kind: str) -> dict[str, str]:
    return notebooks.cells(COURSE / f"{language}.ipynb", kind)


@pytest.fixture(params=LANGUAGES)
def after(request: pytest.FixtureRequest, mg: Any) -> Callable[[str], tuple[dict[str, Any], Any]]:
    """A function that runs the course up to a cell: the names then, and what the cell shows."""

    def run(last: str) -> tuple[dict[str, Any], Any]:
        names: dict[str, Any] = {}
        for cell, shown in notebooks.run(COURSE / f"{request.param}.ipynb", names):
            if cell == last:
                return names, shown
        raise AssertionError(f"there is no cell {last!r}")

    return run


def test_first_graph_is_minus_eight(after: Any) -> None:
    assert after("first-graph")[1].data == -8


def test_first_graph_has_no_gradients_before_backward(after: Any) -> None:
    names, _ = after("first-picture")
    assert [names[v].grad for v in "abcfedL"] == [0] * 7


def test_nudge_finds_the_slope(after: Any) -> None:
    assert after("nudge")[1] == pytest.approx(6)


def test_first_graph_has_these_gradients(after: Any) -> None:
    assert after("first-gradients")[1] == (6, -4, -2, 4)


def test_step_along_the_gradient_raises_the_first_graph(after: Any) -> None:
    assert after("uphill")[1] == pytest.approx(-7.286496)


def test_shared_values_add_their_gradients(after: Any) -> None:
    assert after("shared-gradients")[1] == (-3, -8)


def test_explain_tells_of_the_second_term(after: Any) -> None:
    assert "d(a * b)/da = b" in after("shared-explained")[1].html


def test_value_added_to_itself_has_gradient_two(after: Any) -> None:
    assert after("twice")[1] == 2


def test_second_backward_adds_to_the_first(after: Any) -> None:
    assert after("again")[1] == 4


def test_constants_are_nodes(after: Any) -> None:
    names, _ = after("constants")
    assert (names["y"].data, names["x"].grad) == (7, 3)
    assert len(names["y"]._children) == 2


def test_commuted_operands_give_these_numbers(
    after: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    after("commutative")
    numbers = [line.split(": ")[1] for line in capsys.readouterr().out.splitlines()]
    assert numbers == ["4.0 4.0", "6.0 6.0", "-1.0 1.0", "0.5 2.0"]


def test_exp_is_its_own_derivative(after: Any) -> None:
    assert after("exp")[1] == (2.718281828459045, 2.718281828459045)


def test_square_of_three_has_slope_six(after: Any) -> None:
    assert after("power")[1] == (9, 6)


def test_division_has_these_gradients(after: Any) -> None:
    names, _ = after("division")
    assert [names[v].data for v in "yab"] == [3, 6, 2]
    assert [names[v].grad for v in "ab"] == [0.5, -1.5]


def test_neuron_by_hand_has_these_gradients(after: Any) -> None:
    names, by_hand = after("by-hand")
    assert names["o"].data == pytest.approx(0.7071067811865477, rel=1e-15)
    assert by_hand == pytest.approx([-1.5, 1, 0.5, 0])


@pytest.mark.parametrize("cell", ["node-by-node", "neuron-backward"])
def test_neuron_has_the_gradients_that_were_found_by_hand(after: Any, cell: str) -> None:
    assert after(cell)[1] is True


def test_neuron_through_exp_is_the_same(after: Any) -> None:
    names, _ = after("exp-neuron")
    assert names["o"].data == 0.7071067811865477
    gradients = [names[v].grad for v in ("x1", "w1", "x2", "w2")]
    assert gradients == pytest.approx([-1.5, 1, 0.5, 0])


def test_neuron_in_pytorch_is_the_same(after: Any, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("torch")
    after("torch")
    data, gradients = (line.split(": ")[1] for line in capsys.readouterr().out.splitlines()[-2:])
    assert float(data) == pytest.approx(0.7071067811865477)
    assert [*map(float, gradients.split())] == pytest.approx([-1.5, 1, 0.5, 0])


def test_own_neuron_is_the_packages(after: Any) -> None:
    names, own = after("own-neuron")
    assert own.data == names["own"]([2.0, 3.0]).data
    names, _ = after("neuron-class")
    assert names["out"].data == own.data


def test_layer_has_three_outputs(after: Any) -> None:
    assert len(after("layer")[0]["outs"]) == 3


def test_network_has_41_parameters(after: Any) -> None:
    assert after("parameters")[1] == 41


def test_step_against_the_gradient_lowers_the_loss(after: Any) -> None:
    names, _ = after("one-step")
    assert names["loss"].data < names["before"]


def test_loop_learns_the_four_examples(after: Any) -> None:
    names, answers = after("learned")
    assert names["losses"][-1] < 0.02 < names["losses"][0]
    assert answers == pytest.approx(names["wanted"], abs=0.1)


@pytest.mark.parametrize(
    ("in_the_loop", "instead", "loss"),
    [("p.grad = 0.0", "pass", 4.0), ("0.05", "5", 8.0), ("0.05", "0.0005", 4.5)],
)
def test_experiment_ends_as_its_answer_says(
    mg: Any, in_the_loop: str, instead: str, loss: float
) -> None:
    names: dict[str, Any] = {}
    for cell, text in cells("en", "code").items():
        exec(text.replace(in_the_loop, instead) if cell == "loop" else text, names)
    assert names["losses"][-1] == pytest.approx(loss, abs=0.1)


def test_every_cell_runs(after: Any) -> None:
    *_, last = cells("en", "code")
    after(last)


# ---- the files ----


def without_words(text: str) -> str:
    """A program without comments, and with all strings empty."""
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            node.value = ""
    return ast.dump(tree)


def test_english_and_french_have_the_same_code_but_for_words() -> None:
    english, french = (cells(language, "code") for language in LANGUAGES)
    assert [*english] == [*french]
    for cell, text in english.items():
        assert without_words(text) == without_words(french[cell]), cell


def test_english_and_french_have_the_same_texts_by_name() -> None:
    english, french = (cells(language, "markdown") for language in LANGUAGES)
    assert [*english] == [*french]
    for cell, text in english.items():
        headings, marks = (re.findall(r"^#+", t, re.MULTILINE) for t in (text, french[cell]))
        assert headings == marks, cell
        assert text.count("<details>") == french[cell].count("<details>"), cell


def test_french_marks_do_not_begin_a_line() -> None:
    for cell, text in cells("fr", "markdown").items():
        prose = re.sub(r"`[^`\n]*`|\]\([^)]*\)|^    .*$", "", text, flags=re.MULTILINE)
        assert not re.search(r"\s(?<!\N{NO-BREAK SPACE})[:;!?»]", prose), cell
        assert not re.search(r"\w[;!?»]", prose), cell
