"""The pages in a real browser: steps, numbers, keys, listeners, widths, colours, no network."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browser import Browser, shown, start

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def driver() -> Iterator[Any]:
    driver = start()
    yield driver
    driver.quit()


@pytest.fixture
def page(driver: Any, tmp_path: Path) -> Browser:
    return Browser(driver, tmp_path)


def reused(mg: Any) -> tuple[Any, Any, Any]:
    """The notebook's f = (a*b) * (a+b)."""
    a, b = mg.Value(-2.0, label="a"), mg.Value(3.0, label="b")
    e, d = a * b, a + b
    e.label, d.label = "e", "d"
    f = e * d
    f.label = "f"
    return a, b, f


def network_loss(mg: Any) -> Any:
    model = mg.MLP(3, [4, 4, 1])
    pairs = [([2.0, 3.0, -1.0], 1.0), ([3.0, -1.0, 0.5], -1.0)]
    loss = sum((model(x) - y) ** 2 for x, y in pairs)
    loss.label = "loss"
    return loss


def learning(mg: Any, count: int = 4, lang: str = "en") -> tuple[Any, list[float]]:
    """A Watch of some steps, and the losses."""
    xs, y = [[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]], [-1.0, 1.0, 1.0, -1.0]
    model = mg.MLP(2, [4, 1])
    watch, losses = mg.Watch(model, xs, y, lang=lang), []
    for _ in range(count):
        loss = mg.mse([model(x) for x in xs], y)
        model.zero_grad()
        loss.backward()
        watch(loss)
        losses.append(loss.data)
        for p in model.parameters():
            p.data -= 0.1 * p.grad
    return watch, losses


def test_the_last_step_shows_the_engines_numbers(mg: Any, page: Browser) -> None:
    a, b, f = reused(mg)
    page.open(mg.explain(f).html)
    page.press("End")
    f.backward()
    assert (a.grad, b.grad) == (-3.0, -8.0)
    nodes = [f, *f._children, a, b]
    assert len(page.all(".node")) == len(nodes)
    for node in nodes:
        assert page.numbers(node.label) == {"data": shown(node.data), "grad": shown(node.grad)}


def test_every_node_of_an_open_network_shows_the_engines_numbers(mg: Any, page: Browser) -> None:
    loss = network_loss(mg)
    page.open(mg.explain(loss).html)
    page.run("document.getElementById('open-all').click()")
    page.press("End")
    found = page.run("""return [...document.querySelectorAll('.node')].flatMap((node) => {
        const value = node.querySelector('.value.data');
        return value ? [[value.textContent, node.querySelector('.value.grad').textContent]] : [];
    })""")
    loss.backward()
    nodes, _ = mg.trace(loss)
    numbers = [n for n in nodes if not (n._op == "" and n.label == "")]  # but constants
    assert sorted(map(tuple, found)) == sorted((shown(n.data), shown(n.grad)) for n in numbers)


def test_each_step_shows_its_rule_and_the_numbers_put_in(mg: Any, page: Browser) -> None:
    a, b, c, f = (mg.Value(x, label=n) for x, n in ((2, "a"), (-3, "b"), (10, "c"), (-2, "f")))
    e = a * b
    e.label = "e"
    d = e + c
    d.label = "d"
    page.open(mg.explain(d * f).html)
    page.press("End")
    assert "d(a * b)/da = b" in page.text("#rules")
    assert "a.grad 0.00 + (-3.00 * -2.00) = 6.00" in page.text("#rules")


def test_gradients_fill_in_step_by_step_and_empty_on_the_way_back(mg: Any, page: Browser) -> None:
    page.open(mg.explain(reused(mg)[2]).html)
    seen = [page.numbers("a")["grad"]]
    for _ in range(7):
        page.run("document.querySelector('[aria-label=\"Step forward\"]').click()")
        seen.append(page.numbers("a")["grad"])
    assert seen == ["", "", "", "", "0.00", "0.00", "-6.00", "-3.00"]
    for grad in reversed(seen[:-1]):
        page.run("document.querySelector('[aria-label=\"Step back\"]').click()")
        assert page.numbers("a")["grad"] == grad


def test_data_fill_in_forward(mg: Any, page: Browser) -> None:
    page.open(mg.explain(reused(mg)[2]).html)
    seen = [page.numbers("d")["data"]]
    for _ in range(2):
        page.press("ArrowRight")
        seen.append(page.numbers("d")["data"])
    assert seen == ["", "", "1.00"]


def test_a_second_use_is_said_to_be_added(mg: Any, page: Browser) -> None:
    page.open(mg.explain(reused(mg)[2]).html)
    page.press("End")
    assert "a.grad -6.00 + (3.00 * 1.00) = -3.00" in page.text("#rules")
    assert "a is used 2 times: this is term 2 of 2" in page.text("#rules")


def test_the_node_under_way_and_its_operands_are_highlighted(mg: Any, page: Browser) -> None:
    page.open(mg.explain(reused(mg)[2]).html)
    page.press("End")
    titles = [
        [node.find_element("css selector", ".title").text for node in page.all(f".node.{kind}")]
        for kind in ("active", "operand")
    ]
    assert titles == [["e"], ["a", "b"]]
    assert len(page.all(".edge.active")) == 2


def place(page: Browser) -> str:
    return page.text("#player output")


def test_keys_step_and_go_to_either_end(mg: Any, page: Browser) -> None:
    page.open(mg.explain(reused(mg)[2]).html)
    seen = [place(page)]
    for key in ("ArrowRight", "ArrowRight", "ArrowLeft", "End", "ArrowRight", "Home", "ArrowLeft"):
        page.press(key)
        seen.append(place(page).split()[0])
    assert seen == ["0 / 7", "1", "2", "1", "7", "7", "0", "0"]


def test_the_slider_steps_by_keys_and_by_pointer(mg: Any, page: Browser) -> None:
    page.open(mg.explain(reused(mg)[2]).html)
    page.run("document.querySelector('input').focus()")
    page.press("ArrowRight", "ArrowRight")
    assert place(page) == "2 / 7"
    page.run("""const slider = document.querySelector('input');
        slider.value = 5;
        slider.dispatchEvent(new Event('input'))""")
    assert place(page) == "5 / 7"
    assert page.all("input")[0].get_attribute("aria-valuetext") == "Step 5 of 7"


def test_space_plays_to_the_next_step_and_pauses(mg: Any, page: Browser) -> None:
    page.open(mg.explain(reused(mg)[2]).html)
    page.press(" ")
    assert page.all("[aria-label=Pause]")
    until = time.monotonic() + 20
    while place(page) == "0 / 7" and time.monotonic() < until:
        time.sleep(0.05)
    page.press(" ")
    assert page.all("[aria-label=Play]")
    assert place(page) != "0 / 7"


def test_all_controls_are_reached_by_tab_and_named(mg: Any, page: Browser) -> None:
    page.open(mg.explain(network_loss(mg)).html)
    page.press("ArrowRight")
    names = []
    for _ in range(14):
        page.press("Tab")
        names.append(
            page.run("""const at = document.activeElement;
            return at === document.body ? '' : at.getAttribute('aria-label') ?? at.textContent""")
        )
    wanted = ["Light or dark", "Smaller", "Larger", "Open all", "Close all", "First step"]
    wanted += ["Step back", "Play", "Step forward", "Last step", "Step"]
    assert [name for name in wanted if name not in names] == []
    assert any(name.startswith("layer of 4 neurons, 40 nodes") for name in names)


def test_a_listener_is_told_each_step(mg: Any, page: Browser) -> None:
    page.open(mg.explain(reused(mg)[2]).html)
    assert page.all("#live")[0].get_attribute("aria-live") == "polite"
    assert page.all("output")[0].get_attribute("aria-live") == "off"
    page.press("ArrowRight")
    assert page.text("#live") == "Step 1 of 7. Forward: e e = a * b = -2.00 * 3.00 = -6.00"
    page.press("End")
    assert "Backward: e" in page.text("#live")
    assert "b.grad -6.00 + (-2.00 * 1.00) = -8.00" in page.text("#live")
    labels = [node.get_attribute("aria-label") for node in page.all(".node")]
    assert "a, data -2.00, grad -3.00" in labels


def test_pointing_at_a_node_tells_its_whole_story(mg: Any, page: Browser) -> None:
    page.open(mg.explain(reused(mg)[2]).html)
    page.press("End", "ArrowLeft")
    page.run("""for (const node of document.querySelectorAll('.node')) {
        const event = new MouseEvent('mouseenter');
        if (node.querySelector('.title').textContent === 'a') node.dispatchEvent(event);
    }""")
    story = page.text("#story")
    assert "a: given: -2.00" in story
    assert "from d: a.grad 0.00 + (1.00 * -6.00) = -6.00" in story
    assert "to come: from e: a.grad -6.00 + (3.00 * 1.00) = -3.00" in story
    assert "to come: from d" not in story


def test_up_and_down_go_from_node_to_node_with_their_stories(mg: Any, page: Browser) -> None:
    page.open(mg.explain(reused(mg)[2]).html)
    page.run("document.querySelector('.node[tabindex=\"0\"]').focus()")
    seen = [page.text("#story h2")]
    for key in ("ArrowDown", "ArrowDown", "ArrowUp"):
        page.press(key)
        seen.append(page.text("#story h2"))
    assert seen == [f"The story of {name}" for name in ("a", "b", "e", "b")]
    [node] = page.all("[aria-describedby=story]")
    assert node.get_attribute("aria-label").startswith("b, ")


def test_a_box_opens_by_enter_and_closes_again(mg: Any, page: Browser) -> None:
    page.open(mg.explain(network_loss(mg)).html)
    closed = len(page.all(".node"))
    page.run("document.querySelector('.node.box').focus()")
    page.press("Enter")
    opened = len(page.all(".node"))
    assert opened > closed
    assert page.run("return document.activeElement.classList.contains('node')")
    [button] = page.all("#story button")
    page.run("arguments[0].click()", button)
    page.run("document.querySelector('.node.box').dispatchEvent(new Event('click'))")
    page.run("document.getElementById('close-all').click()")
    assert len(page.all(".node")) == closed


def test_a_box_that_the_story_opened_and_closes_keeps_the_focus(mg: Any, page: Browser) -> None:
    page.open(mg.explain(network_loss(mg)).html)
    page.run("document.querySelector('.node.box').focus()")
    for _ in range(2):
        page.run("document.querySelector('#story button').focus()")
        page.press("Enter")
        assert page.run("return document.activeElement.classList.contains('node')")
        assert page.all("#story button")


def test_the_step_stays_when_a_box_is_opened(mg: Any, page: Browser) -> None:
    page.open(mg.explain(network_loss(mg)).html)
    page.press("End")
    page.run("document.getElementById('open-all').click()")
    step, _, last = place(page).split()
    assert step == last
    page.run("document.getElementById('close-all').click()")
    step, _, last = place(page).split()
    assert step == last


def test_a_closed_box_shows_what_gradients_of_operands_become(mg: Any, page: Browser) -> None:
    page.open(mg.explain(network_loss(mg)).html)
    page.press("End")
    assert page.text("#rules h2") == "Backward: layer of 4 neurons"
    assert len(page.all("#rules tr")) == 1 + 4 * (3 + 1)  # weights and biases of four neurons


def test_a_closed_box_shows_what_gradients_of_its_own_weights_become(
    mg: Any, page: Browser
) -> None:
    neuron = mg.Neuron(30)
    out = neuron([1.0] * 30)
    page.open(mg.explain(out).html)
    page.press("End")
    out.backward()
    rows = [row.text for row in page.all("#rules tr")][1:]
    assert len(rows) == 31
    assert f"w7.grad 0.00 {shown(neuron.w[7].grad)}" in rows


def test_a_closed_box_lists_weights_neuron_by_neuron(mg: Any, page: Browser) -> None:
    page.open(mg.explain(network_loss(mg)).html)
    page.press("End")
    rows = [row.text.split(".")[0] for row in page.all("#rules td:first-child")]
    assert rows == ["w0", "b", "w1", "w2"] * 4


def test_a_closures_change_is_shown_without_a_rule(mg: Any, page: Browser) -> None:
    a = mg.Value(2.0, label="a")
    out = mg.Value(8.0, (a,), "cube")
    out._backward = lambda a=a, out=out: setattr(a, "grad", a.grad + 12.0 * out.grad)
    page.open(mg.explain(out).html)
    out._backward = lambda: None  # else the closure keeps its own node
    page.press("End")
    assert page.text("#rules").endswith("what its _backward adds.a.grad 0.00 + 12.00 = 12.00")


@pytest.mark.parametrize("kind", ["walk", "watch"])
@pytest.mark.parametrize("lang", ["en", "fr"])
def test_a_page_asks_for_nothing_and_writes_nothing_to_the_console(
    mg: Any, page: Browser, kind: str, lang: str
) -> None:
    made = mg.explain(network_loss(mg), lang=lang) if kind == "walk" else learning(mg, lang=lang)[0]
    page.open(made.html)
    page.press("End", "Home", "ArrowRight", " ", " ")
    assert page.errors() == []
    assert page.requests() == [page.driver.current_url]
    assert page.run("return document.documentElement.lang") == lang


def test_a_page_in_french_has_french_names_and_steps(mg: Any, page: Browser) -> None:
    page.open(mg.explain(reused(mg)[2], lang="fr").html)
    page.press("End")
    assert page.text("#rules h2") == "Retour\N{NO-BREAK SPACE}: e"
    assert "a sert 2 fois" in page.text("#rules")
    assert page.all("[aria-label='Étape suivante']")


HOSTILE = '</script><img src=x onerror="document.title=1"> & \u2028 {0} {name} \ud800 "\'\\'


def test_any_label_is_shown_as_text(mg: Any, page: Browser) -> None:
    a = mg.Value(1.0, label=HOSTILE)
    out = mg.Value(2.0, (a,), "{op}<b>", local_grads=(1.0,))
    page.open(mg.explain(out).html)
    page.press("End")
    assert page.errors() == []
    assert page.all("img, b") == []
    parts = HOSTILE.split("\ud800")  # which no answer of a driver can hold
    text = page.run("return document.getElementById('rules').textContent.split('\\ud800')")
    assert all(part in "".join(text) for part in parts) and len(text) > 1
    assert "{op}<b>(" in text[0]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_colours_are_the_systems_until_the_button_is_pressed(
    mg: Any, page: Browser, theme: str
) -> None:
    page.open(mg.explain(reused(mg)[2]).html, theme=theme)
    now = "return document.documentElement.dataset.theme"
    assert page.run(now) == theme
    page.run("document.querySelector('[aria-label=\"Light or dark\"]').click()")
    assert page.run(now) == {"light": "dark", "dark": "light"}[theme]


CONTRAST = """
    const luminance = (text) => {
      const [r, g, b] = text.match(/\\d+/g).slice(0, 3).map((c) => c / 255)
        .map((c) => (c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
      return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    return [...document.querySelectorAll('.node.active, .node.operand')].flatMap((node) => {
      const paper = luminance(getComputedStyle(node.querySelector('rect')).fill);
      return [...node.querySelectorAll('text')].map((text) => {
        const ink = luminance(getComputedStyle(text).fill);
        return (Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05);
      });
    })"""


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_highlighted_texts_have_a_contrast_of_four_and_a_half(
    mg: Any, page: Browser, theme: str
) -> None:
    page.open(mg.explain(reused(mg)[2]).html, theme=theme)
    page.press("End")
    ratios = page.run(CONTRAST)
    assert len(ratios) == 18
    assert min(ratios) >= 4.5


OVERLAPS = """
    const boxes = [...document.querySelectorAll('.node rect')]
      .map((rect) => rect.getBoundingClientRect());
    return boxes.some((a, i) => boxes.slice(i + 1).some((b) =>
      a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom))"""
CUT = """
    return [...document.querySelectorAll('.node')].filter((node) => {
      const frame = node.querySelector('rect').getBoundingClientRect();
      return [...node.querySelectorAll('text')].some((text) => {
        const box = text.getBoundingClientRect();
        return box.left < frame.left || box.right > frame.right || box.bottom > frame.bottom + 1;
      });
    }).map((node) => node.textContent)"""


@pytest.mark.parametrize("width", [1280, 380])
def test_nothing_overlaps_or_is_cut(mg: Any, page: Browser, width: int) -> None:
    loss = network_loss(mg)
    loss.label = "a label that is much too long for a node"
    page.open(mg.explain(loss).html, width=width)
    for opener in ("open-all", "close-all"):
        page.run(f"document.getElementById('{opener}').click()")
        page.press("End")
        assert page.run(OVERLAPS) is False
        assert page.run(CUT) == []
    assert page.run("return document.documentElement.scrollWidth") <= width
    player = page.run("return document.getElementById('player').getBoundingClientRect().bottom")
    assert player <= 900


@pytest.mark.parametrize("label", ["W" * 30, "\u4f60\u597d" * 20, "i" * 300, "x1*w1 + x2*w2 + b"])
def test_of_a_long_label_the_beginning_is_shown(mg: Any, page: Browser, label: str) -> None:
    a = mg.Value(1.0, label=label)
    out = a.softplus()
    out.label = label
    page.open(mg.explain(out).html)
    assert page.run(CUT) == []
    titles = [title.text for title in page.all(".node .title")]
    assert all(title[-1] == "\u2026" and label.startswith(title[:-1]) for title in titles)


@pytest.mark.parametrize("data", [-99999.126, -999999.126, 12345.678, 1e300, -1.5e-300])
def test_large_numbers_stand_beside_their_names(mg: Any, page: Browser, data: float) -> None:
    x = mg.Value(data, label="x")
    page.open(mg.explain(mg.Value(1.0, (x,), "f", local_grads=(data,))).html)
    page.press("End")
    assert page.numbers("x") == {"data": shown(data), "grad": shown(data)}
    assert (
        page.run("""return [...document.querySelectorAll('.node')].flatMap((node) => {
        const boxes = (name) => [...node.querySelectorAll(name)]
          .map((text) => text.getBoundingClientRect());
        const numbers = boxes('.value');
        return boxes('.key').filter((key, i) => key.right + 2 > numbers[i].left);
    })""")
        == []
    )


def test_a_small_graph_is_drawn_larger_where_there_is_room(mg: Any, page: Browser) -> None:
    widths = []
    for width in (1280, 380):
        page.open(mg.explain(reused(mg)[2]).html, width=width)
        rect = "document.querySelector('.node rect')"
        widths.append(round(page.run(f"return {rect}.getBoundingClientRect().width")))
    assert widths == [211, 132]


THROUGH = """
    const boxes = [...document.querySelectorAll('.node rect')]
      .map((rect) => rect.getBoundingClientRect());
    return [...document.querySelectorAll('.edge')].filter((edge) => {
      const matrix = edge.getScreenCTM();
      const length = edge.getTotalLength();
      for (let at = 0; at < length; at += 5) {
        const {x, y} = edge.getPointAtLength(at).matrixTransform(matrix);
        if (boxes.some((box) => box.left + 2 < x && x < box.right - 2
          && box.top + 2 < y && y < box.bottom - 2)) return true;
      }
      return false;
    }).length"""


def test_no_line_runs_behind_a_node(mg: Any, page: Browser) -> None:
    page.open(mg.explain(network_loss(mg)).html)
    page.run("document.getElementById('open-all').click()")
    assert page.run(THROUGH) == 0


def test_lines_under_way_have_arrows_as_numbers_go(mg: Any, page: Browser) -> None:
    page.open(mg.explain(reused(mg)[2]).html)
    ends = """const style = getComputedStyle(document.querySelector('.edge.active'));
        return [style.markerStart, style.markerEnd]"""
    page.press("ArrowRight")
    assert page.run(ends) == ["none", 'url("#forward")']
    page.press("End")
    assert page.run(ends) == ['url("#backward")', "none"]


@pytest.mark.parametrize("width", [1280, 380])
def test_the_node_under_way_is_in_sight(mg: Any, page: Browser, width: int) -> None:
    page.open(mg.explain(network_loss(mg)).html, width=width)
    for _ in range(8):
        page.press("ArrowRight")
        assert page.run("""
            const frame = document.getElementById('scroll').getBoundingClientRect();
            const node = document.querySelector('.node.active').getBoundingClientRect();
            return node.right > frame.left && node.left < frame.right
              && node.bottom > frame.top && node.top < frame.bottom""")


def test_a_graph_of_2_000_nodes_is_walked_to_its_end(mg: Any, page: Browser) -> None:
    x = mg.Value(0.5, label="x")
    root = x
    for _ in range(666):
        root = (root + x).sin() * x
    page.open(mg.explain(root).html)
    page.press("End")
    root.backward()
    assert page.numbers("x")["grad"] == shown(x.grad)


def test_a_notebooks_frame_holds_a_page_that_works(mg: Any, page: Browser) -> None:
    page.open(f"<!doctype html><title>t</title>{mg.explain(reused(mg)[2])._repr_html_()}")
    page.driver.switch_to.frame(page.all("iframe")[0])
    page.run("document.querySelector('[aria-label=\"Last step\"]').click()")
    assert page.numbers("b")["grad"] == "-8.00"
    page.driver.switch_to.default_content()
    assert page.errors() == []


def test_a_training_is_shown_step_by_step(mg: Any, page: Browser) -> None:
    watch, losses = learning(mg)
    page.open(watch.html)
    for step, loss in enumerate(losses):
        assert f"Step {step} of the training: loss {shown(loss)}." in page.text("#now")
        page.press("ArrowRight")
    assert len(page.all("canvas")) == 1 + 2 * 2


def test_a_weight_is_named_with_its_number_where_it_is_pointed_at(mg: Any, page: Browser) -> None:
    watch, _ = learning(mg)
    page.open(watch.html)
    step = watch._steps[0]
    page.run("""const canvas = document.querySelector('.maps canvas');
        canvas.dispatchEvent(new PointerEvent('pointermove', {clientX: 1, clientY: 1}));""")
    x, y = page.run("""const box = document.querySelector('.maps canvas').getBoundingClientRect();
        return [box.right - 3, box.bottom - 3]""")
    page.run(
        """document.querySelector('.maps canvas').dispatchEvent(
        new PointerEvent('pointermove', {clientX: arguments[0], clientY: arguments[1]}))""",
        x,
        y,
    )
    assert f"row 3, column 2: {shown(step['weights'][0][-1])}" in page.text(".maps p")


@pytest.mark.parametrize("losses", [["nan"], ["nan", "inf", "1.0"], ["2.0", "2.0"], ["100", "1"]])
def test_a_loss_chart_names_the_ends_that_there_are(
    mg: Any, page: Browser, losses: list[str]
) -> None:
    watch = mg.Watch(mg.MLP(2, [1]))
    for loss in losses:
        watch(float(loss))
    page.open(watch.html)
    numbers = sorted({float(loss) for loss in losses} - {float("inf")}, reverse=True)
    known = [shown(number) for number in numbers if number == number]
    steps = ["0", str(len(losses) - 1)][: len(losses)]
    assert [text.text for text in page.all("#charts text")] == known + steps
    assert ("logarithmic" in page.text("#charts section")) == (losses == ["100", "1"])
    assert page.errors() == []


def test_examples_without_targets_have_the_colour_of_neither_class(mg: Any, page: Browser) -> None:
    watch = mg.Watch(mg.MLP(2, [1]), [[0.0, 0.0], [1.0, 1.0]])
    watch(1.0)
    page.open(watch.html)
    assert "Dots are the examples." in page.text("#charts")
    at = round(420 * 0.15 / 1.3)
    pixel = f"getContext('2d').getImageData({at}, {420 - at}, 1, 1).data"
    assert page.run(f"return [...document.querySelector('canvas').{pixel}]") == [128, 128, 128, 255]


def test_a_matrix_of_many_numbers_is_shown(mg: Any, page: Browser) -> None:
    watch = mg.Watch(mg.MLP(400, [400]))
    watch(1.0)
    page.open(watch.html)
    assert page.errors() == []
    assert "weights, up to 1.00" in page.text(".maps")


@pytest.mark.parametrize("width", [1280, 800, 700, 380])
def test_the_slider_and_its_number_share_a_line(mg: Any, page: Browser, width: int) -> None:
    page.open(mg.explain(reused(mg)[2]).html, width=width)
    middles = page.run("""return ['input', 'output'].map((name) => {
        const {top, bottom} = document.querySelector(`#player ${name}`).getBoundingClientRect();
        return (top + bottom) / 2;
    })""")
    assert middles[0] == pytest.approx(middles[1], abs=2)


@pytest.mark.parametrize("width", [1280, 380])
def test_a_trainings_page_is_as_wide_as_the_window(mg: Any, page: Browser, width: int) -> None:
    watch, _ = learning(mg)
    page.open(watch.html, width=width)
    assert page.run("return document.documentElement.scrollWidth") <= width
