"""Programs exported as C compute what the programs compute."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
from exported import STRICT, compile_c, data_of, distance, export, needs_cc, np

pytestmark = needs_cc

POINTS = [0.3, 1.7, -0.6, 0.0, 2.5]


def every_operator(mg: Any, x: Any, y: Any) -> list[Any]:
    """Each operator of the table once, within its domain for any x."""
    inside, above = (x * 0.3).tanh(), x * x + 1.5
    results = [x + y, x * y, x - y, x / above, x**2, x**3, x**4, above**-1, above**0.5, above**-0.5]
    results += [above**1.7, above**y, 2.0**x, x.exp(), above.log(), x.tanh(), x.relu(), abs(x)]
    results += [x.sigmoid(), x.sin(), x.cos(), above.sqrt(), mg.maximum(x, y), mg.minimum(x, y)]
    for name in ("log1p", "log2", "log10", "lgamma", "digamma", "acosh"):
        results.append(getattr(above, name)())
    for name in ("asin", "acos", "atanh"):
        results.append(getattr(inside, name)())
    for name in ("expm1", "tan", "atan", "sinh", "cosh", "asinh", "erf", "erfc"):
        results.append(getattr(x, name)())
    for name in ("softplus", "gelu", "silu"):
        results.append(getattr(x, name)())
    return [*results, mg.atan2(x, above), mg.hypot(x, y), mg.polygamma(2, above)]


def test_every_operator_and_its_derivative_is_exported(mg: Any, tmp_path: Path) -> None:
    program = mg.compile(lambda x, y: every_operator(mg, x, y), 0.5, 0.25)
    model = export(program, tmp_path)
    names = set(map(mg._library.ffi.string, _operator_names(mg)))
    assert len(program._traces[0].outputs) >= len(names) - 2  # but leaf and custom
    for x in POINTS:
        y = 0.25
        status, results = model([x, y], [])
        assert status == 0
        wanted = every_operator(mg, mg.Value(x), mg.Value(y))
        assert distance(results, data_of(wanted)) <= 4
        for i in range(len(wanted)):
            a, b = mg.Value(x), mg.Value(y)
            every_operator(mg, a, b)[i].backward()
            _, _, (dx, dy), _ = model.gradient([x, y], [], np.eye(len(wanted))[i])
            assert distance([dx, dy], [a.grad, b.grad]) <= 8, i


def _operator_names(mg: Any) -> list[Any]:
    lib = mg._library.lib
    return [lib.mg_operator_name(op) for op in range(lib.mg_operator_count())]


def moons(mg: Any) -> tuple[Any, Any]:
    random.seed(3)
    model = mg.MLP(2, [16, 16, 1], activation=["relu", "relu", None])
    return model, mg.compile(lambda x, y: (1 + -y * model(x)).relu(), [0.1, 0.2], 1.0)


def test_a_network_has_the_bits_of_the_program(mg: Any, tmp_path: Path) -> None:
    model, program = moons(mg)
    parameters = model.parameters()
    c = export(program, tmp_path, parameters=parameters)
    rows = np.random.default_rng(0).normal(size=(20, 3))
    for row in rows:
        point, target = row[None, :2], row[None, 2]
        status, results, dx, dp = c.gradient(row, data_of(parameters))
        assert status == 0
        assert results[0] == program(point, target)[0] == c(row, data_of(parameters))[1][0]
        model.zero_grad()
        program.backward(point, target)
        assert dp.tolist() == [p.grad for p in parameters]
        gradients = program.gradient(point, target)
        assert dx.tolist() == [*gradients[0][0].tolist(), gradients[1][0]]


def test_a_network_is_loops(mg: Any, tmp_path: Path) -> None:
    sizes = []
    for width in (16, 48):
        random.seed(3)
        model = mg.MLP(2, [width, width, 1], activation=["relu", "relu", None])
        program = mg.compile(lambda x: model(x), [0.1, 0.2])  # noqa: B023
        program.export_c(tmp_path / "net.c", parameters=model.parameters())
        text = (tmp_path / "net.c").read_text()
        sizes.append(len(text[text.index("int net(") :].splitlines()))
    assert sizes[0] == sizes[1] < 80


def test_steps_of_an_equation_are_one_loop(mg: Any, tmp_path: Path) -> None:
    def orbit(x: Any, v: Any) -> Any:
        for _ in range(300):
            v = v - x * 0.01
            x = x + v * 0.01
        return x * v

    program = mg.compile(orbit, 1.0, 0.0)
    c = export(program, tmp_path)
    assert len((tmp_path / "model.c").read_text().splitlines()) < 70
    status, results, dx, _ = c.gradient([1.2, 0.3], [])
    assert (status, results[0]) == (0, program([1.2], [0.3])[0])
    assert dx.tolist() == [d[0] for d in program.gradient([1.2], [0.3])]


def test_constants_of_a_loop_are_a_table(mg: Any, tmp_path: Path) -> None:
    draw = random.Random(5)
    points = [(draw.random(), draw.random()) for _ in range(40)]
    w, b = mg.Value(0.3), mg.Value(0.1)
    program = mg.compile(lambda s: sum((w * x + b - y * s) ** 2 for x, y in points), 1.0)
    c = export(program, tmp_path, parameters=[w, b])
    text = (tmp_path / "model.c").read_text()
    assert "static const double constants[" in text
    assert len(text.splitlines()) < 120
    _, results, _, dp = c.gradient([1.3], [0.3, 0.1])
    assert results[0] == program([1.3])[0]
    program.backward([1.3])
    assert dp.tolist() == [w.grad, b.grad]


def test_irregular_places_are_a_table(mg: Any, tmp_path: Path) -> None:
    order = list(range(30))
    random.Random(2).shuffle(order)
    program = mg.compile(lambda v: [v[i] * v[(i * i) % 30] for i in order], [0.0] * 30)
    c = export(program, tmp_path)
    assert "places[" in (tmp_path / "model.c").read_text()
    row = np.random.default_rng(1).normal(size=30)
    assert c(row, [])[1].tolist() == [out[0] for out in program(row[None])]


def test_a_row_on_a_way_that_was_not_recorded_is_a_status(mg: Any, tmp_path: Path) -> None:
    p = mg.Value(3.0)
    program = mg.compile(lambda x: x * p if x.data > 0 else x * 5, 1.0)
    c = export(program, tmp_path)
    assert c([2.0], [3.0]) == (0, [6.0])
    assert c([-2.0], [3.0])[0] == 1
    assert c.gradient([-2.0], [3.0])[0] == 1


def test_every_recorded_way_is_exported(mg: Any, tmp_path: Path) -> None:
    p, q = mg.Value(3.0), mg.Value(7.0)
    program = mg.compile(lambda x: x * p if x.data > 0 else x * q if x.data > -1 else x, 1.0)
    program([1.0, -0.5])
    assert program.specializations == 2
    c = export(program, tmp_path)
    assert c([2.0], [3.0, 7.0]) == (0, [6.0])
    assert c([-0.5], [3.0, 7.0]) == (0, [-3.5])
    assert c([-2.0], [3.0, 7.0])[0] == 1
    assert [a.tolist() for a in c.gradient([-0.5], [3.0, 7.0])[1:]] == [[-3.5], [7.0], [0.0, -0.5]]


def test_where_and_take_are_exported(mg: Any, tmp_path: Path) -> None:
    table = [[mg.Value(float(i + 10 * j)) for i in range(4)] for j in range(5)]
    odd = [mg.Value(1.0), table[2][3], mg.Value(-4.0)]

    def chosen(k: Any, x: Any) -> Any:
        row, one = mg.take(table, k), mg.take(odd, k)
        return mg.where(x > 0.5, sum(v * x for v in row), one * x) + mg.take([x, 2.0, x * x], k)

    program = mg.compile(chosen, 1.0, 0.25)
    c = export(program, tmp_path)
    numbers = data_of(program.parameters)
    for k, x in ((0.0, 0.25), (1.0, 0.75), (2.0, -3.0), (2.0, 0.5)):
        status, results, dx, dp = c.gradient([k, x], numbers)
        assert (status, results[0]) == (0, program([k], [x])[0])
        for p in program.parameters:
            p.grad = 0.0
        program.backward([k], [x])
        assert dp.tolist() == [p.grad for p in program.parameters]
        assert dx.tolist() == [d[0] for d in program.gradient([k], [x])]


@pytest.mark.parametrize("k", [3.0, -1.0, 0.5, float("nan"), float("inf")])
def test_a_wrong_index_is_a_status(mg: Any, tmp_path: Path, k: float) -> None:
    table = [mg.Value(1.0), mg.Value(2.0), mg.Value(3.0)]
    program = mg.compile(lambda k: mg.take(table, k) * 2, 1.0)
    assert export(program, tmp_path)([k], [1.0, 2.0, 3.0])[0] == 2


@pytest.mark.parametrize("size", [3, 4, 7, 10])
def test_a_lookup_among_results_finds_its_element(mg: Any, tmp_path: Path, size: int) -> None:
    def loss(x: Any, k: Any) -> Any:
        logits = [(v * (i + 1)).tanh() + v for i, v in enumerate(x)]
        return mg.cross_entropy(logits, k) + mg.take([(v * v).exp() + v for v in logits], k)

    row = np.random.default_rng(size).normal(size=size)
    program = mg.compile(loss, row, 1.0)
    c = export(program, tmp_path)
    for k in range(size):
        status, results, dx, _ = c.gradient([*row, k], [])
        assert status == 0
        assert distance(results, program(row[None], [k])) <= 8
        np.testing.assert_allclose(dx[:size], program.gradient(row[None], [k])[0][0], rtol=1e-12)


def test_a_table_of_numbers_is_a_table(mg: Any, tmp_path: Path) -> None:
    numbers = [float(i * i % 97) for i in range(2000)]
    w = [mg.Value(float(i)) for i in range(50)]
    program = mg.compile(lambda k: mg.take(numbers, k) + mg.take([*w, w[3], w[3]], k), 1.0)
    c = export(program, tmp_path, parameters=w)
    text = (tmp_path / "model.c").read_text()
    assert max(map(len, text.splitlines())) < 120
    assert c([51.0], data_of(w)) == (0, [numbers[51] + 3.0])
    assert c([1999.0], data_of(w))[0] == 2


def test_a_parameter_that_is_not_used_has_gradient_zero(mg: Any, tmp_path: Path) -> None:
    w, u = mg.Value(2.0), mg.Value(3.0)
    program = mg.compile(lambda x: x * w if x.data > 0 else x * u, 1.0)
    c = export(program, tmp_path, parameters=[u, w])
    assert c.gradient([5.0], [3.0, 2.0])[3].tolist() == [0.0, 5.0]


def test_close_exponents_are_not_mixed_up(mg: Any, tmp_path: Path) -> None:
    program = mg.compile(lambda x: [x**1.2345678, x**1.2345671, x**1234567, x**1234568], 1.0)
    c = export(program, tmp_path)
    assert distance(c([1.00001], [])[1], [out[0] for out in program([1.00001])]) <= 2


@pytest.mark.parametrize("exponent", [float("nan"), float("inf"), -float("inf"), 0.0, 1e300, -3.0])
def test_an_odd_exponent_is_exported(mg: Any, tmp_path: Path, exponent: float) -> None:
    program = mg.compile(lambda x: x**exponent, 1.0)
    c = export(program, tmp_path)
    assert distance(c([1.5], [])[1], program([1.5])) <= 2


def test_powers_of_parameters_have_the_bits_of_the_program(mg: Any, tmp_path: Path) -> None:
    w = mg.Value(1.0)
    program = mg.compile(lambda x: x + w**3 + w**-0.5 + w**2 + w.tanh(), 1.0)
    c = export(program, tmp_path)
    for number in np.random.default_rng(0).uniform(0.1, 3.0, 300).tolist():
        w.data, w.grad = number, 0.0
        _, results, _, dp = c.gradient([0.0], [number])
        assert results[0] == program([0.0])[0]
        program.backward([0.0])
        np.testing.assert_allclose(dp, [w.grad], rtol=1e-14)


@pytest.mark.long
def test_every_operator_alone_compiles_without_a_warning(mg: Any, tmp_path: Path) -> None:
    count = len(every_operator(mg, mg.Value(0.5), mg.Value(0.25)))
    sources = []
    for i in range(count):
        program = mg.compile(lambda x, y: every_operator(mg, x, y)[i], 0.5, 0.25)  # noqa: B023
        for dtype in ("double", "float"):
            source = tmp_path / f"{dtype}{i}.c"
            program.export_c(source, dtype=dtype, name=f"{dtype}{i}")
            sources.append(source)
    compile_c(["cc", *STRICT, "-O1", "-shared", "-fPIC"], *sources, out=tmp_path / "all.so")


def test_a_result_may_be_an_input_a_parameter_or_a_number(mg: Any, tmp_path: Path) -> None:
    p = mg.Value(3.0)
    program = mg.compile(lambda x: [x, p, x * 0 + 2, 5.0, x * p, x * p], 1.0)
    c = export(program, tmp_path)
    status, results, dx, dp = c.gradient([4.0], [3.0], [1, 10, 100, 1000, 1, 2])
    assert (status, results.tolist()) == (0, [4.0, 3.0, 2.0, 5.0, 12.0, 12.0])
    assert (dx.tolist(), dp.tolist()) == ([10.0], [22.0])


def test_a_function_without_parameters_or_inputs_is_exported(mg: Any, tmp_path: Path) -> None:
    w = mg.Value(2.0)
    program = mg.compile(lambda: w * w)
    program()
    assert export(program, tmp_path).gradient([], [3.0])[3].tolist() == [6.0]


def test_derivatives_inside_a_program_are_exported(mg: Any, tmp_path: Path) -> None:
    def slope(x: Any) -> Any:
        return mg.grad((x * x).sin() * x, x, create_graph=True)

    program = mg.compile(slope, 0.7)
    c = export(program, tmp_path)
    _, results, dx, _ = c.gradient([1.3], [])
    assert distance(results, program([1.3])) <= 8
    assert distance(dx, program.gradient([1.3])) <= 16


def test_float_is_close(mg: Any, tmp_path: Path) -> None:
    program = mg.compile(lambda x, y: every_operator(mg, x, y), 0.5, 0.25)
    c = export(program, tmp_path, dtype="float")
    text = (tmp_path / "model.c").read_text()
    assert "expf(" in text
    for x in (0.3, 1.7, -0.6):
        status, results, dx, _ = c.gradient([x, 0.25], [])
        assert status == 0
        wanted = [float(v[0]) for v in program([x], [0.25])]
        np.testing.assert_allclose(results, wanted, rtol=3e-5, atol=1e-6)
        exact = [d[0] for d in program.vjp([x], [0.25], seeds=[[1.0]] * len(wanted))]
        np.testing.assert_allclose(dx, exact, rtol=3e-4)


# ---- what the files say ----


def test_text_of_comments_is_no_code(mg: Any, tmp_path: Path) -> None:
    def model(x: Any, unused: Any) -> Any:
        sum = x * 2.5  # inputs[1] */ int e; /* ??/ 1e300
        return sum

    model.__qualname__ = "a */ int evil; /* b"
    program = mg.compile(model, 1.0, 1.0)
    export(program, tmp_path)
    export(program, tmp_path, name="other", dtype="float")
    text = (tmp_path / "other.c").read_text()
    assert "sum = x * 2.5  # inputs[1] * / int e; / * ? ?/ 1e300" in text


def test_a_function_that_uses_more_when_run_again_is_exported_without_lines(
    mg: Any, tmp_path: Path
) -> None:
    ws, runs = [mg.Value(float(i)) for i in range(5)], []

    def model(x: Any) -> Any:
        runs.append(1)
        return sum(w * x for w in ws[: len(runs)])

    program = mg.compile(model, 1.0)
    assert export(program, tmp_path)([2.0], [0.0]) == (0, [0.0])
    assert len(runs) == 2


def test_lines_of_the_function_are_comments(mg: Any, tmp_path: Path) -> None:
    def model(x: Any) -> Any:
        hidden = [(x * k).tanh() for k in range(1, 6)]
        return sum(hidden)

    mg.compile(model, 0.5).export_c(tmp_path / "m.c")
    text = (tmp_path / "m.c").read_text()
    line = model.__code__.co_firstlineno + 1
    name = Path(__file__).name
    assert f"/* {name}:{line}: hidden = [(x * k).tanh() for k in range(1, 6)] */" in text
    assert f"/* {name}:{line + 1}: return sum(hidden) */" in text


def test_a_function_that_cannot_be_run_again_is_exported_without_lines(
    mg: Any, tmp_path: Path
) -> None:
    runs = []

    def once(x: Any) -> Any:
        runs.append(1)
        if len(runs) > 1:
            raise RuntimeError("only once")
        return x * 2

    program = mg.compile(once, 1.0)
    assert export(program, tmp_path)([4.0], []) == (0, [8.0])
    assert Path(__file__).name not in (tmp_path / "model.c").read_text()


def test_labels_stand_beside_the_parameters(mg: Any, tmp_path: Path) -> None:
    w, b = mg.Value(0.1, label="slope"), mg.Value(float("-inf"), label="*/ evil ??/")
    mg.compile(lambda x: w * x + b, 1.0).export_c(tmp_path / "m.c", parameters=[b, w])
    text = (tmp_path / "m.c").read_text()
    assert "    0.1, /* slope */\n" in text
    assert "    -INFINITY, /* * / evil ? ?/ */\n" in text


def test_the_header_tells_the_sizes(mg: Any, tmp_path: Path) -> None:
    _, program = moons(mg)
    program.export_c(tmp_path / "two-moons.c", name="moons")
    header = (tmp_path / "two-moons.h").read_text()
    for line in ("MOONS_INPUTS 3", "MOONS_PARAMETERS 337", "MOONS_RESULTS 1"):
        assert f"#define {line}\n" in header
    assert '#include "two-moons.h"\n' in (tmp_path / "two-moons.c").read_text()


# ---- errors ----


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"path": "m.txt"}, "the path must end in .c"),
        ({"name": "2d"}, "'2d' is no name for a function in C"),
        ({"name": "while"}, "'while' is no name for a function in C"),
        ({"name": "größe"}, "is no name for a function in C"),
        ({"name": "sinf"}, "'sinf' is no name for a function in C"),
        ({"name": "class"}, "'class' is no name for a function in C"),
        ({"name": "M_PI"}, "'M_PI' is no name for a function in C"),
        ({"name": "mg_model"}, "'mg_model' is no name for a function in C"),
        ({"name": "power_2_5"}, "the file has a function 'power_2_5' of its own"),
        ({"path": 'q".c'}, "the path must end in .c, and have no quotes"),
        ({"dtype": "half"}, "dtype must be 'double' or 'float', not 'half'"),
        ({"parameters": []}, "parameters lacks 1 of the Values that the program uses"),
    ],
)
def test_a_wrong_argument_is_a_value_error(
    mg: Any, tmp_path: Path, options: dict[str, Any], error: str
) -> None:
    w = mg.Value(2.0)
    program = mg.compile(lambda x: w * x**2.5, 1.0)
    with pytest.raises(ValueError, match=error):
        path = tmp_path / options.get("path", "m.c")
        program.export_c(path, **{k: v for k, v in options.items() if k != "path"})
    assert list(tmp_path.iterdir()) == []


def test_a_parameter_that_is_given_twice_is_an_error(mg: Any, tmp_path: Path) -> None:
    w = mg.Value(2.0)
    with pytest.raises(ValueError, match="parameters has a Value twice"):
        mg.compile(lambda x: w * x, 1.0).export_c(tmp_path / "m.c", parameters=[w, w])


def test_parameters_that_are_no_values_are_a_type_error(mg: Any, tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="parameters must be Values, not 'float'"):
        mg.compile(lambda x: x * 2, 1.0).export_c(tmp_path / "m.c", parameters=[3.0])


def test_a_program_without_an_example_is_exported_for_its_only_shape(
    mg: Any, tmp_path: Path
) -> None:
    program = mg.compile(lambda x: sum(x) * 2)
    with pytest.raises(ValueError, match="arguments of 0 shapes"):
        program.export_c(tmp_path / "m.c")
    program([[1.0, 2.0]])
    program.export_c(tmp_path / "m.c", name="twice")
    assert "#define TWICE_INPUTS 2\n" in (tmp_path / "m.h").read_text()
    program([[1.0, 2.0, 3.0]])
    with pytest.raises(ValueError, match="arguments of 2 shapes"):
        program.export_c(tmp_path / "m.c")
