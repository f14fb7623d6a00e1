"""explain(): what it asks the engine, and that it leaves everything as it was."""

from __future__ import annotations

import importlib
import json
import math
import re
from typing import Any

import pytest

LIMIT = 2000


def walk(mg: Any, root: Any) -> dict[str, Any]:
    return importlib.import_module(f"{mg.__name__}._explain.walk").walk(root)  # type: ignore[no-any-return]


def reused(mg: Any) -> tuple[Any, Any, Any]:
    """The notebook's f = (a*b) * (a+b), in which a and b are used twice."""
    a, b = mg.Value(-2.0, label="a"), mg.Value(3.0, label="b")
    return a, b, (a * b) * (a + b)


def network_loss(mg: Any) -> Any:
    model = mg.MLP(3, [4, 4, 1])
    pairs = [([2.0, 3.0, -1.0], 1.0), ([3.0, -1.0, 0.5], -1.0)]
    return sum((model(x) - y) ** 2 for x, y in pairs)


GRAPHS = {
    "reused": lambda mg: reused(mg)[2],
    "network": network_loss,
    "softmax": lambda mg: -mg.softmax([mg.Value(1.0), mg.Value(2.0), mg.Value(0.5)])[1].log(),
    "given partials": lambda mg: mg.Value(5.0, (mg.Value(1.0), mg.Value(2.0)), local_grads=(3, 4)),
    "leaf": lambda mg: mg.Value(1.0),
}


def terms_of(found: dict[str, Any], name: str) -> list[dict[str, Any]]:
    (place,) = [i for i, node in enumerate(found["nodes"]) if node["name"] == name]
    return [t for step in found["backward"] for t in step["terms"] if t["operand"] == place]


@pytest.mark.parametrize("graph", GRAPHS)
def test_the_last_gradients_of_a_walk_are_those_of_backward_to_the_last_bit(
    mg: Any, graph: str
) -> None:
    root = GRAPHS[graph](mg)
    found = walk(mg, root)
    grads = [0.0] * len(found["nodes"])
    grads[-1] = 1.0
    for step in found["backward"]:
        assert step["grad"] == grads[step["node"]]
        for term in step["terms"]:
            assert term["before"] == grads[term["operand"]]
            grads[term["operand"]] = term["after"]
    root.backward()
    values = importlib.import_module(f"{mg.__name__}._explain.walk")._listed(root)
    real = [i for i, node in enumerate(found["nodes"]) if not node["constant"]]
    assert [grads[i] for i in real] == [values[i].grad for i in real]
    assert [node["data"] for node in found["nodes"]] == [value.data for value in values]


def test_nodes_are_walked_in_the_engines_order(mg: Any) -> None:
    root = network_loss(mg)
    found = walk(mg, root)
    values = importlib.import_module(f"{mg.__name__}._explain.walk")._listed(root)
    order = [values[step["node"]] for step in found["backward"]]
    assert order == [node for node in reversed(mg.engine.graph(root)) if node._children]


def test_a_value_used_twice_has_both_terms(mg: Any) -> None:
    _, _, f = reused(mg)
    first, second = terms_of(walk(mg, f), "a")
    assert (first["before"], first["partials"], first["after"]) == (0.0, [1.0], -6.0)
    assert (second["before"], second["partials"], second["after"]) == (-6.0, [3.0], -3.0)
    assert second["rule"] == "d(a * b)/da = b"


def test_an_operand_that_stands_twice_in_an_operation_has_both_partials(mg: Any) -> None:
    a = mg.Value(3.0, label="a")
    (term,) = terms_of(walk(mg, a * a), "a")
    assert (term["rule"], term["partials"], term["after"]) == (
        "d(a * a)/da = a + a",
        [3.0, 3.0],
        6.0,
    )


def test_a_closures_change_is_seen_without_a_rule(mg: Any) -> None:
    a = mg.Value(2.0, label="a")
    a.grad = 7.0
    out = mg.Value(8.0, (a,), "cube")
    out._backward = lambda a=a, out=out: setattr(a, "grad", a.grad + 12.0 * out.grad)
    (term,) = terms_of(walk(mg, out), "a")
    assert (term["before"], term["change"], term["after"]) == (0.0, 12.0, 12.0)
    assert (term["rule"], term["partials"], a.grad) == ("", [], 7.0)
    out._backward = lambda: None  # else the closure keeps its own node


def test_given_partials_are_the_rule(mg: Any) -> None:
    a = mg.Value(2.0, label="a")
    (term,) = terms_of(walk(mg, mg.Value(1.0, (a,), "op", local_grads=(0.5,))), "a")
    assert (term["rule"], term["partials"]) == ("d op(a)/da = 0.5", [0.5])


def test_gradients_that_were_there_are_there_afterwards(mg: Any) -> None:
    a, b, f = reused(mg)
    f.backward()
    f.backward()
    before = [a.grad, b.grad, f.grad]
    mg.explain(f)
    assert [a.grad, b.grad, f.grad] == before


def test_gradients_are_put_back_when_a_closure_raises(mg: Any) -> None:
    a = mg.Value(2.0)
    b = a * 3.0
    out = mg.Value(8.0, (b,), "bad")
    a.grad = b.grad = out.grad = 0.5

    def bad() -> None:
        raise LookupError("of the closure")

    out._backward = bad
    with pytest.raises(LookupError, match="of the closure"):
        mg.explain(out)
    assert (a.grad, b.grad, out.grad) == (0.5, 0.5, 0.5)


def test_a_number_of_an_operation_is_shown_as_a_number_without_gradient(mg: Any) -> None:
    a = mg.Value(2.0, label="a")
    found = walk(mg, a * 3)
    (node,) = [node for node in found["nodes"] if node["constant"]]
    assert (node["name"], terms_of(found, "3")) == ("3", [])
    assert found["backward"][0]["terms"][0]["rule"] == "d(a * 3)/da = 3"


def test_names_of_several_words_are_grouped_in_rules(mg: Any) -> None:
    a, b = mg.Value(2.0, label="x1*w1"), mg.Value(3.0, label="b")
    assert terms_of(walk(mg, a * b), "b")[0]["rule"] == "d((x1*w1) * b)/db = (x1*w1)"


def test_nodes_without_a_label_have_names_that_no_label_is(mg: Any) -> None:
    a = mg.Value(2.0, label="v1")
    found = walk(mg, (a * 2).tanh())
    assert sorted(node["name"] for node in found["nodes"]) == ["2", "v1", "v2", "v3"]
    rules = [term["rule"] for step in found["backward"] for term in step["terms"]]
    assert rules == ["d tanh(v2)/dv2 = 1 - tanh(v2)**2", "d(v1 * 2)/dv1 = 2"]


def test_a_blank_label_is_none(mg: Any) -> None:
    assert walk(mg, mg.Value(2.0, label=" \n"))["nodes"][0]["name"] == "v1"


def test_a_leafs_own_backward_and_what_it_reaches_are_walked(mg: Any) -> None:
    a, b = mg.Value(2.0, label="a"), mg.Value(3.0, label="b")
    a._backward = lambda a=a, b=b: setattr(b, "grad", b.grad + 5.0 * a.grad)
    found = walk(mg, a * b)
    first, second = terms_of(found, "b")
    assert (first["after"], second["before"], second["after"]) == (2.0, 2.0, 17.0)
    assert second["rule"] == ""
    a._backward = lambda: None  # else the closure keeps its own node


def test_a_closure_that_clips_its_own_gradient_is_seen_to_do_so(mg: Any) -> None:
    a = mg.Value(2.0, label="a")
    b = a * 10.0
    b.label = "b"
    b._backward = lambda a=a, b=b: (setattr(b, "grad", 1.0), setattr(a, "grad", 10.0))
    found = walk(mg, b * 7.0)
    assert [term["after"] for term in terms_of(found, "b")] == [7.0, 1.0]
    assert terms_of(found, "a")[0]["after"] == 10.0
    b._backward = lambda: None


@pytest.mark.parametrize("data", [math.inf, -math.inf, math.nan])
def test_numbers_that_json_lacks_are_texts(mg: Any, data: float) -> None:
    found = walk(mg, mg.Value(data) + mg.Value(1.0))
    assert found["nodes"][0]["data"] == str(data)
    json.dumps(found, allow_nan=False)


@pytest.mark.parametrize("root", [1.0, None, [], "x"], ids=repr)
def test_what_is_no_value_is_a_type_error_naming_its_type(mg: Any, root: Any) -> None:
    with pytest.raises(TypeError, match=f"a Value.*{type(root).__name__}"):
        mg.explain(root)


def test_the_class_in_place_of_a_value_is_a_type_error(mg: Any) -> None:
    with pytest.raises(TypeError, match="the class Value"):
        mg.explain(mg.Value)


def chain(mg: Any, count: int) -> Any:
    root = mg.Value(1.0)
    for _ in range(count - 1):
        root = root.sin()
    return root


def test_more_than_2_000_nodes_are_a_value_error_saying_how_many(mg: Any) -> None:
    root = chain(mg, LIMIT + 1)
    with pytest.raises(ValueError, match=r"2,001 nodes.* explain a part"):
        mg.explain(root)
    assert root.grad == 0.0


def test_2_000_nodes_are_explained(mg: Any) -> None:
    assert len(walk(mg, chain(mg, LIMIT))["backward"]) == LIMIT - 1


def test_an_unknown_language_is_a_value_error_naming_those_there_are(mg: Any) -> None:
    with pytest.raises(ValueError, match=r"'de': there are 'en' and 'fr'"):
        mg.explain(mg.Value(1.0), lang="de")


def test_both_languages_have_the_same_texts_with_the_same_places(mg: Any) -> None:
    words = importlib.import_module(f"{mg.__name__}._explain.words").WORDS

    def places(texts: dict[str, str]) -> dict[str, set[str]]:
        return {key: set(re.findall(r"{\w+}", text)) for key, text in texts.items()}

    assert places(words["en"]) == places(words["fr"])


def test_every_text_is_used_by_a_page(mg: Any) -> None:
    package = importlib.import_module(f"{mg.__name__}._explain.page")
    scripts = "".join(path.read_text() for path in package.FOLDER.glob("*.js"))
    keys = {*package.WORDS["en"]} - {"walk", "watch"}  # those are titles of pages, too
    made = {"forward_of", "backward_of", "weights_map", "gradients_map", "data", "grad"}
    made |= {"neuron", "layer", "softmax", "products", "weights"}  # kinds of boxes
    unused = [key for key in keys - made if not re.search(rf"words\.{key}\b|'{key}'", scripts)]
    assert unused == []


def test_a_page_is_saved_as_it_is(mg: Any, tmp_path: Any) -> None:
    page = mg.explain(mg.Value(1.0, label="é → \ud800 </script>"))
    page.save(tmp_path / "page.html")
    assert (tmp_path / "page.html").read_text(encoding="utf-8") == page.html


def test_no_label_ends_the_element_of_the_data(mg: Any) -> None:
    html = mg.explain(mg.Value(1.0, label="</script><!--<script>")).html
    assert (html.count("</script>"), html.count("<!--")) == (2, 0)


def test_a_notebook_gets_a_frame_that_holds_the_page(mg: Any) -> None:
    shown = mg.explain(mg.Value(1.0, label='"a" & b'))._repr_html_()
    assert shown.startswith("<iframe") and shown.count('"') == 6
