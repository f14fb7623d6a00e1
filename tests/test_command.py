"""The command `python -m micrograd_c`: what it prints, writes and returns."""

from __future__ import annotations

import gc
import importlib
import importlib.util
import io
import math
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

QUICK = ["--steps", "2", "--points", "6"]
PNG = b"\x89PNG\r\n\x1a\n"


def module(mg: Any, name: str) -> Any:
    """A module of the package on the backend of `mg`."""
    return importlib.import_module(f"{mg.__name__}.{name}")


def main(mg: Any, *arguments: str) -> int:
    status: int = module(mg, "__main__").main(arguments)
    return status


_printed: dict[tuple[str, ...], str] = {}


def printed(mg: Any, capsys: Any, *arguments: str) -> str:
    """What the command prints with these arguments; it is run once for all tests that ask."""
    key = (mg.engine.BACKEND, *arguments)
    if key not in _printed:
        assert main(mg, *arguments) == 0
        _printed[key] = capsys.readouterr().out
    return _printed[key]


needs_matplotlib = pytest.mark.skipif(
    importlib.util.find_spec("matplotlib") is None, reason="the pictures are optional"
)


def environment(mg: Any, *first: Path) -> dict[str, str]:
    """The environment of a process that imports the package on this backend."""
    package = Path(mg.__file__).parent.parent
    path = [*map(str, first), str(package), os.environ.get("PYTHONPATH", "")]
    return {
        **os.environ,
        "MICROGRAD_C_BACKEND": mg.engine.BACKEND,
        "PYTHONPATH": os.pathsep.join(filter(None, path)),
    }


def command(
    mg: Any,
    *arguments: str,
    path: tuple[Path, ...] = (),
    closed: tuple[int, ...] = (),
    **variables: str,
) -> Any:
    """Run the command in a process of its own, with more variables, without these descriptors."""
    return subprocess.run(
        [sys.executable, "-m", mg.__name__, *arguments],
        env={**environment(mg, *path), **variables},
        preexec_fn=(lambda: [os.close(fd) for fd in closed]) if closed else None,
        capture_output=True,
        text=True,
        check=False,
    )


def losses(text: str) -> list[float]:
    return [float(number) for number in re.findall(r"loss +([0-9.]+)", text)]


@pytest.mark.long
def test_the_command_succeeds_and_writes_nothing_to_stderr(mg: Any) -> None:
    done = command(mg, *QUICK)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.long
def test_the_first_line_names_version_and_backend(mg: Any, capsys: Any) -> None:
    first = printed(mg, capsys, *QUICK).splitlines()[0]
    assert first.startswith(f"micrograd_c {mg.__version__}, backend {mg.engine.BACKEND}, Python 3")


@pytest.mark.long
def test_the_loss_of_the_lectures_network_goes_down(mg: Any, capsys: Any) -> None:
    lecture = losses(printed(mg, capsys, *QUICK).partition("Two moons")[0])
    assert lecture[-1] < 0.1 * lecture[0]


def test_the_predictions_of_the_lectures_network_have_their_targets_signs(
    mg: Any, capsys: Any
) -> None:
    pairs = re.findall(r"target ([+-])1 +prediction ([+-])", printed(mg, capsys, *QUICK))
    assert pairs == [("+", "+"), ("-", "-"), ("-", "-"), ("+", "+")]


def test_the_loss_on_the_moons_goes_down(mg: Any, capsys: Any) -> None:
    module(mg, "__main__").train_moons(seed=7, steps=20, points=20)
    moons = losses(capsys.readouterr().out)
    assert moons[-1] < 0.5 * moons[0]


def test_the_first_and_the_last_loss_are_printed(mg: Any, capsys: Any) -> None:
    module(mg, "__main__").train_moons(seed=7, steps=24, points=6)  # every second step
    steps = [int(number) for number in re.findall(r"step +(\d+)", capsys.readouterr().out)]
    assert (steps[0], steps[-1]) == (0, 23)


def test_the_final_accuracy_is_printed(mg: Any, capsys: Any) -> None:
    assert re.search(r"final accuracy \d+%", printed(mg, capsys, *QUICK))


def test_the_time_of_a_step_is_printed_beside_pure_pythons_with_gc_on_and_off(
    mg: Any, capsys: Any
) -> None:
    text = printed(mg, capsys, *QUICK)
    times = re.findall(r"(\S+) +\d+\.\d\d ms +of \d+, gc (on|off)", text)
    assert times == [(mg.engine.BACKEND, "on"), ("Python", "on"), ("Python", "off")]


def test_the_ratio_to_pure_python_is_printed(mg: Any, capsys: Any) -> None:
    assert len(re.findall(r"\d+\.\d times as long", printed(mg, capsys, *QUICK))) == 2


def test_the_comparison_says_why_its_factor_is_larger_than_readmes(mg: Any, capsys: Any) -> None:
    last = printed(mg, capsys, *QUICK).splitlines()[-1]
    assert "garbage collector" in last and "README" in last


def test_no_compare_times_no_pure_python(mg: Any, capsys: Any) -> None:
    text = printed(mg, capsys, *QUICK, "--no-compare")
    assert "final accuracy" in text and "pure Python" not in text


@pytest.mark.parametrize(
    ("options", "expected"),
    [([], (50, 100)), (["--quick"], (10, 20)), (["--quick", "--steps", "3"], (3, 20))],
)
def test_quick_means_fewer_steps_and_points_unless_they_are_given(
    mg: Any, options: list[str], expected: tuple[int, int]
) -> None:
    found = module(mg, "__main__").parse(options)
    assert (found.steps, found.points) == expected


def test_the_first_line_waits_for_no_module_that_only_some_runs_need(mg: Any) -> None:
    slow = {
        "graphviz",
        "numpy",
        "statistics",
        "subprocess",
        "tqdm",
        f"{mg.__name__}._compile.compiling",
    }
    code = f"import sys, {mg.__name__}.__main__; print(*sorted({slow} & {{*sys.modules}}))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment(mg),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "\n"


def test_the_first_line_is_written_before_any_training(
    mg: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = module(mg, "__main__")
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written))
    monkeypatch.setattr(command, "train_lecture", lambda _: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        command.run(command.parse(["--quick"]))
    assert written.getvalue().startswith(b"micrograd_c ")


@pytest.mark.long
def test_the_same_seed_gives_the_same_losses(mg: Any, capsys: Any) -> None:
    first = losses(printed(mg, capsys, *QUICK, "--seed", "3"))
    main(mg, *QUICK, "--seed", "3")
    assert losses(capsys.readouterr().out) == first


@pytest.mark.long
def test_another_seed_gives_other_losses(mg: Any, capsys: Any) -> None:
    first, other = (losses(printed(mg, capsys, *QUICK, "--seed", seed)) for seed in ("3", "4"))
    assert first != other


@pytest.mark.long
def test_a_terminal_is_shown_a_progress_bar(
    mg: Any, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    main(mg, *QUICK)
    assert "%|" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        ["--steps", "0"],
        ["--steps", "many"],
        ["--save", ""],
        ["--points", "1"],
        ["--points", "2.5"],
        ["--seed", "-1"],
        ["--seed", "x"],
        ["--save"],
        ["--unknown"],
        ["surplus"],
    ],
    ids=" ".join,
)
def test_a_bad_argument_is_status_2_and_a_message_that_names_it(
    mg: Any, capsys: Any, arguments: list[str]
) -> None:
    with pytest.raises(SystemExit) as left:
        main(mg, *arguments)
    out, err = capsys.readouterr()
    assert (left.value.code, out) == (2, "")
    assert "error: " in err.splitlines()[-1]
    assert arguments[0] in err.splitlines()[-1]


def test_an_unknown_backend_is_status_1_and_one_line_that_names_it(mg: Any) -> None:
    done = command(mg, *QUICK, MICROGRAD_C_BACKEND="gpu")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert "MICROGRAD_C_BACKEND must be 'native' or 'cffi', not 'gpu'" in done.stderr


def test_version_prints_the_version_and_the_backend(mg: Any, capsys: Any) -> None:
    with pytest.raises(SystemExit) as left:
        main(mg, "--version")
    assert left.value.code == 0
    assert capsys.readouterr().out.startswith(f"micrograd_c {mg.__version__} ({mg.engine.BACKEND}")


def test_help_tells_every_option(mg: Any, capsys: Any) -> None:
    with pytest.raises(SystemExit) as left:
        main(mg, "--help")
    assert left.value.code == 0
    told = capsys.readouterr().out
    for option in (
        "--seed N",
        "--steps N",
        "--points N",
        "--quick",
        "--no-compare",
        "--save DIR",
        "--version",
    ):
        assert option in told


def test_a_directory_that_cannot_be_written_is_status_1_before_any_training(
    mg: Any, capsys: Any, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    status = main(mg, *QUICK, "--save", str(tmp_path / "file" / "pictures"))
    out, err = capsys.readouterr()
    assert (status, losses(out)) == (1, [])
    assert err.startswith("python -m micrograd_c: error: cannot write ")
    assert str(tmp_path / "file") in err


def test_save_makes_the_directory_and_writes_the_neurons_graph_as_svg(
    mg: Any, tmp_path: Path
) -> None:
    if shutil.which("dot") is None:
        pytest.skip("the dot program is not there")
    module(mg, "__main__").save_neuron(tmp_path / "new" / "pictures")
    svg = (tmp_path / "new" / "pictures" / "neuron.svg").read_text(encoding="utf-8")
    assert "<svg" in svg
    assert "data 0.7071" in svg


def test_save_writes_the_neurons_graph_as_dot_without_the_dot_program(
    mg: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    module(mg, "__main__").save_neuron(tmp_path / "pictures")
    assert [path.name for path in (tmp_path / "pictures").iterdir()] == ["neuron.dot"]
    assert "digraph" in (tmp_path / "pictures" / "neuron.dot").read_text(encoding="utf-8")


@pytest.mark.long
@needs_matplotlib
def test_save_writes_the_loss_curve_and_the_decision_boundary_as_png(
    mg: Any, tmp_path: Path
) -> None:
    done = command(mg, *QUICK, "--save", str(tmp_path))
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "loss.png").read_bytes().startswith(PNG)
    assert (tmp_path / "boundary.png").read_bytes().startswith(PNG)


@pytest.mark.long
def test_without_matplotlib_the_pictures_are_left_out_with_one_line(
    mg: Any, tmp_path: Path
) -> None:
    (tmp_path / "matplotlib.py").write_text("raise ImportError('it is not there')")
    done = command(mg, *QUICK, "--save", str(tmp_path / "pictures"), path=(tmp_path,))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1].startswith("No loss curve and no decision boundary")
    assert [path.stem for path in (tmp_path / "pictures").iterdir()] == ["neuron"]


@pytest.mark.long
def test_a_reader_that_leaves_ends_the_command_without_a_word(mg: Any) -> None:
    with subprocess.Popen(
        [sys.executable, "-u", "-m", mg.__name__, *QUICK],
        env=environment(mg),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        said = process.stderr.read()
    assert (process.returncode, said) == (1, b"")


@pytest.mark.long
@pytest.mark.skipif(os.name != "posix", reason="descriptors are closed in a child before it runs")
@pytest.mark.parametrize("closed", [(1,), (2,), (1, 2)], ids=repr)
def test_the_command_succeeds_without_standard_output_or_error(
    mg: Any, closed: tuple[int, ...]
) -> None:
    done = command(mg, *QUICK, closed=closed)
    assert (done.returncode, done.stderr) == (0, "")
    assert (1 in closed) == (done.stdout == "")


@pytest.mark.long
def test_an_error_without_standard_error_has_its_status(mg: Any, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert command(mg, "--save", str(tmp_path / "file" / "new"), closed=(2,)).returncode == 1


def test_compile_without_numpy_is_status_1_before_any_training(
    mg: Any, capsys: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "numpy", None)
    status = main(mg, *QUICK, "--compile", "--save", str(tmp_path / "pictures"))
    out, err = capsys.readouterr()
    assert (status, losses(out), list(tmp_path.iterdir())) == (1, [], [])
    assert err.startswith("python -m micrograd_c: error: ") and "numpy is not installed" in err


needs_full = pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full")


@needs_full
def test_a_picture_that_does_not_fit_is_removed_and_named(
    mg: Any, capsys: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", "")  # no dot program
    (tmp_path / "neuron.dot").symlink_to("/dev/full")
    assert main(mg, *QUICK, "--save", str(tmp_path)) == 1
    err = capsys.readouterr().err
    assert err.endswith(f"error: cannot write {tmp_path / 'neuron.dot'}: No space left on device\n")
    assert list(tmp_path.iterdir()) == []


@needs_full
def test_a_figure_that_does_not_fit_is_removed_and_named(mg: Any, tmp_path: Path) -> None:
    path = tmp_path / "boundary.png"
    path.symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left on device") as raised:
        module(mg, "__main__").save(path, PNG)
    assert (raised.value.filename, list(tmp_path.iterdir())) == (str(path), [])


def test_a_directory_in_a_pictures_place_is_left_there_and_named(
    mg: Any, capsys: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", "")
    (tmp_path / "neuron.dot").mkdir()
    assert main(mg, *QUICK, "--save", str(tmp_path)) == 1
    assert f"cannot write {tmp_path / 'neuron.dot'}: Is a directory" in capsys.readouterr().err
    assert (tmp_path / "neuron.dot").is_dir()


def test_a_picture_whose_writing_is_interrupted_is_removed(
    mg: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    class Interrupted(io.BytesIO):
        def write(self, _: Any) -> int:
            raise KeyboardInterrupt

    def opened(path: Path, _: str) -> Interrupted:
        path.touch()
        return Interrupted()

    monkeypatch.setattr(Path, "open", opened)
    with pytest.raises(KeyboardInterrupt):
        module(mg, "__main__").save(tmp_path / "loss.png", PNG)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.long
@needs_full
@pytest.mark.parametrize("arguments", [QUICK, ["explain", "--no-open"]])
def test_an_output_that_is_full_is_status_1_and_a_message(
    mg: Any, tmp_path: Path, arguments: list[str]
) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", mg.__name__, *arguments],
            env=environment(mg),
            cwd=tmp_path,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    message = "python -m micrograd_c: error: cannot print: No space left on device\n"
    assert (done.returncode, done.stderr) == (1, message)


def test_a_dot_program_that_cannot_be_run_leaves_the_graph_as_dot(
    mg: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "dot").write_text("not executable")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    module(mg, "__main__").save_neuron(tmp_path / "pictures")
    assert [path.name for path in (tmp_path / "pictures").iterdir()] == ["neuron.dot"]


def test_an_interrupt_is_status_130_and_a_message(
    mg: Any, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(module(mg, "_command.demo").Problem, "step", interrupt)
    assert main(mg, *QUICK) == 130
    assert capsys.readouterr().err == "python -m micrograd_c: error: interrupted\n"


def test_gradients_that_are_not_pure_pythons_are_status_1(
    mg: Any, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module(mg, "_command.demo"), "largest_difference", lambda *_: 0.5)
    assert main(mg, *QUICK) == 1
    assert "not those of pure Python, off by 0.5" in capsys.readouterr().err


def test_the_reference_takes_the_same_step(mg: Any) -> None:
    demo = module(mg, "_command.demo")
    model = mg.MLP(2, [4, 1], activation=["relu", None])
    problem = demo.two_moons(10, seed=1)
    assert demo.largest_difference(problem, model, demo.on_reference(model)) < 1e-12


def test_a_reference_with_another_parameter_is_found_to_differ(mg: Any) -> None:
    demo = module(mg, "_command.demo")
    model = mg.MLP(2, [4, 1], activation=["relu", None])
    twin = demo.on_reference(model)
    twin.layers[1].neurons[0].b.data += 1e-6
    assert demo.largest_difference(demo.two_moons(10, seed=1), model, twin) > 1e-12


def test_making_the_reference_leaves_the_network_as_it_was(mg: Any) -> None:
    model = mg.MLP(2, [4, 1])
    before = model.parameters()
    module(mg, "_command.demo").on_reference(model)
    assert model.parameters() == before


@pytest.mark.parametrize(
    ("p", "q", "expected"),
    [
        (1.0, 1.0, 0.0),
        (0.0, 0.5, 0.5),
        (10.0, 5.0, 0.5),
        (math.nan, math.nan, 0.0),
        (math.nan, 1.0, math.inf),
        (math.inf, math.inf, 0.0),
    ],
)
def test_a_difference_is_relative_above_one(mg: Any, p: float, q: float, expected: float) -> None:
    assert module(mg, "_command.demo").difference(p, q) == expected


def test_the_moons_without_noise_are_two_half_circles(mg: Any) -> None:
    problem = module(mg, "_command.demo").two_moons(50, seed=1, noise=0.0)
    for (x, y), target in zip(problem.points, problem.targets):
        centre, side = ((1.0, 0.5), -1) if target > 0 else ((0.0, 0.0), 1)
        assert math.hypot(x - centre[0], y - centre[1]) == pytest.approx(1.0)
        assert side * (y - centre[1]) > -1e-12


def test_the_moons_have_equally_many_points(mg: Any) -> None:
    assert sum(module(mg, "_command.demo").two_moons(100, seed=1).targets) == 0.0


def test_the_moons_of_one_seed_are_always_the_same(mg: Any) -> None:
    two_moons = module(mg, "_command.demo").two_moons
    assert two_moons(9, seed=1) == two_moons(9, seed=1) != two_moons(9, seed=2)


@pytest.mark.parametrize("was_on", [True, False])
@pytest.mark.parametrize("on", [True, False])
def test_the_collector_is_as_asked_for_and_then_as_it_was(mg: Any, on: bool, was_on: bool) -> None:
    before = gc.isenabled()
    (gc.enable if was_on else gc.disable)()
    try:
        with module(mg, "_command.demo").collector(on=on):
            inside = gc.isenabled()
        assert (inside, gc.isenabled()) == (on, was_on)
    finally:
        (gc.enable if before else gc.disable)()


@pytest.mark.long
def test_a_compiled_program_learns_the_same(mg: Any, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("numpy")
    assert main(mg, *QUICK, "--compile") == 0
    before, after = capsys.readouterr().out.split("Two moons compiled")
    assert losses(before)[-2:] == losses(after)
    assert "337 parameters" in after and "times that" in after


def test_explain_writes_two_pages_and_opens_them(
    mg: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", lambda address: opened.append(address) or True)
    assert main(mg, "explain", "--output", str(tmp_path / "new")) == 0
    pages = [tmp_path / "new" / name for name in ("neuron.html", "training_step.html")]
    assert opened == [page.as_uri() for page in pages]
    assert capsys.readouterr().out.splitlines() == [f"Wrote {page}" for page in pages]
    assert "d tanh(n)/dn = 1 - tanh(n)**2" in pages[0].read_text()
    assert '"loss"' in pages[1].read_text()


def test_explain_opens_nothing_if_told_so_and_speaks_french(
    mg: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("webbrowser.open", lambda _: pytest.fail("opened"))
    assert main(mg, "explain", "--no-open", "--lang", "fr", "--output", str(tmp_path)) == 0
    assert '<html lang="fr">' in (tmp_path / "neuron.html").read_text()


def test_explain_says_that_there_is_no_browser(
    mg: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.setattr("webbrowser.open", lambda _: False)
    assert main(mg, "explain", "--output", str(tmp_path)) == 0
    said = "No browser was found: open the pages in one"
    assert capsys.readouterr().out.splitlines()[2:] == [said]


def test_explain_says_what_cannot_be_written(mg: Any, tmp_path: Path, capsys: Any) -> None:
    (tmp_path / "file").write_text("")
    assert main(mg, "explain", "--no-open", "--output", str(tmp_path / "file" / "below")) == 1
    assert "cannot write" in capsys.readouterr().err


@needs_full
def test_explain_says_that_there_is_no_space_for_a_page(
    mg: Any, tmp_path: Path, capsys: Any
) -> None:
    (tmp_path / "neuron.html").symlink_to("/dev/full")
    assert main(mg, "explain", "--no-open", "--output", str(tmp_path)) == 1
    name = tmp_path / "neuron.html"
    assert f"cannot write {name}: No space left on device" in capsys.readouterr().err


@pytest.mark.long
def test_letters_that_the_output_lacks_are_escaped(mg: Any, tmp_path: Path) -> None:
    options = ["explain", "--no-open", "--output", str(tmp_path / "\N{SNOWMAN}")]
    done = command(mg, *options, PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stderr) == (0, "")
    assert r"\u2603" in done.stdout
