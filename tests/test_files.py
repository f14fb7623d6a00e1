"""save and load: the same state back, what is refused, how a file is written."""

from __future__ import annotations

import enum
import json
import math
import os
import random
import stat
import subprocess
import sys
from array import array
from collections import OrderedDict, namedtuple
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given
from hypothesis import strategies as st

from micrograd_c import files

FORMATS = [".json", ".safetensors"]


@pytest.fixture(params=FORMATS)
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return tmp_path / f"state{request.param}"


def round_trip(state: Any, path: Path) -> Any:
    files.save(state, path)
    return files.load(path)


def exact(state: Any) -> str:
    """What tells apart states that == may not: types, -0.0, nan."""
    return repr(state)


# ---- the same back ----

NUMBERS = st.integers() | st.floats() | st.booleans()
KEYS = st.text(st.characters(codec="utf-8")).filter(lambda key: not key.startswith("__t"))
STATES = st.recursive(
    st.none() | NUMBERS | st.text() | st.lists(st.floats()),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(KEYS, inner, max_size=3)
    ),
    max_leaves=12,
)


@pytest.mark.long
@given(state=STATES, extension=st.sampled_from(FORMATS))
def test_any_state_comes_back_as_it_was(
    tmp_path_factory: pytest.TempPathFactory, state: Any, extension: str
) -> None:
    path = tmp_path_factory.getbasetemp() / f"any{extension}"
    assert exact(round_trip(state, path)) == exact(state)


SPECIAL = [math.nan, math.inf, -math.inf, -0.0, 5e-324, 2**0.5, sys.float_info.max, 0.1 + 0.2]


@pytest.mark.parametrize(
    "state",
    [
        SPECIAL,
        {"a": SPECIAL[4], "b": tuple(SPECIAL)},
        [[1.0, 2.0], [3.0, 4.0]],
        [[1.0, 2.0], [3.0]],
        [1, 2.0, True, None, "x", [], {}, ()],
        {"a": {"b.c": 1.0}, "a.b": {"c": 2.0}},
        {"__metadata__": 1.0, "": {"": 2.0}},
        {"model.w": [0.5], "model": {"w": [1.5]}},
        2**200,
        "\ud800",
    ],
)
def test_special_states_come_back_as_they_were(path: Path, state: Any) -> None:
    assert exact(round_trip(state, path)) == exact(state)


def test_random_numbers_go_on_where_they_were_saved(path: Path) -> None:
    generator, other = random.Random(1), random.Random(2)
    generator.gauss(0, 1)  # of two numbers the second is kept
    other.setstate(round_trip(generator.getstate(), path))
    draws = [[g.gauss(0, 1) for _ in range(5)] + [g.random()] for g in (generator, other)]
    assert draws[0] == draws[1]


def test_numpys_random_numbers_go_on_where_they_were_saved(path: Path) -> None:
    generator, other = np.random.default_rng(1), np.random.default_rng(2)
    other.bit_generator.state = round_trip(generator.bit_generator.state, path)
    assert other.normal(size=3).tolist() == generator.normal(size=3).tolist()


class Colour(enum.StrEnum):
    RED = "red"


def test_subclasses_come_back_as_what_they_are_of(path: Path) -> None:
    point = namedtuple("point", "x y")(1.5, 2)
    number, kind = np.float64(0.1), enum.IntEnum("Kind", "ONE TWO").TWO  # type: ignore[attr-defined]
    state = [OrderedDict(a=point), number, [number], kind, Colour.RED, array("d", [1.0, 2.0])]
    plain = [{"a": (1.5, 2)}, 0.1, [0.1], 2, "red", [1.0, 2.0]]
    assert exact(round_trip(state, path)) == exact(plain)


RULES = {
    "SGD": {"momentum": 0.9, "nesterov": True},
    "Adam": {"betas": (0.8, 0.99), "amsgrad": True},
    "AdamW": {"weight_decay": 0.1},
    "RMSprop": {"momentum": 0.5, "centered": True},
}


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("rule", RULES)
def test_training_goes_on_to_the_same_bits_from_a_file(
    mg: Any, path: Path, rule: str, groups: int
) -> None:
    def build() -> tuple[Any, Any, Any]:
        model = mg.MLP(2, [3, 1])
        parts = model.layers if groups == 2 else [model]
        params = [{"params": part.parameters()} for part in parts]
        optimizer = getattr(mg.optim, rule)(params, lr=0.05, **RULES[rule])
        return model, optimizer, mg.optim.CosineAnnealingLR(optimizer, T_max=9)

    def train(model: Any, optimizer: Any, schedule: Any) -> list[float]:
        for x in ([1.0, 2.0], [-1.0, 0.5], [0.3, -2.0]):
            optimizer.zero_grad()
            ((model(x) - 0.5) ** 2).backward()
            optimizer.step()
            schedule.step()
        return [p.data for p in model.parameters()]

    first, second = build(), build()
    train(*first)
    mg.save([part.state_dict() for part in first], path)
    for part, state in zip(second, mg.load(path)):
        part.load_state_dict(state)
    states = [[part.state_dict() for part in parts] for parts in (first, second)]
    assert exact(states[0]) == exact(states[1])
    assert train(*first) == train(*second)


def test_floats_in_safetensors_are_float64_tensors_named_by_their_paths(tmp_path: Path) -> None:
    path = tmp_path / "state.safetensors"
    files.save({"model": {"a.w": [[1.0, 2.0]], "a.b": 3.0}, "pairs": [(0.5, 1.5), 2]}, path)
    tensors = safetensors.numpy.load_file(path)
    assert {name: tensor.tolist() for name, tensor in tensors.items()} == {
        "model.a.w": [[1.0, 2.0]],
        "model.a.b": 3.0,
        "pairs.0": [0.5, 1.5],
    }
    assert {tensor.dtype.name for tensor in tensors.values()} == {"float64"}


def test_state_in_json_is_json(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    files.save({"w": [1.0, 0.1], "steps": 3}, path)
    assert json.loads(path.read_text())["state"] == {"w": [1.0, 0.1], "steps": 3}


# ---- what is refused ----


class Thing:
    pass


@pytest.mark.parametrize(
    ("state", "error", "text"),
    [
        ({"a": [Thing()]}, TypeError, r"state\['a'\]\[0\] is of the type 'Thing'$"),
        ({"a": {3: 1.0}}, TypeError, r"the keys of state\['a'\] must be strings, not 'int'"),
        ([1.0, 2j], TypeError, r"state\[1\] is of the type 'complex'$"),
        (np.zeros(2), TypeError, r"state is of the type 'ndarray': use \.tolist\(\)"),
        ([np.float32(1)], TypeError, r"'float32': use \.tolist\(\)"),
        ({"a": {1.0, 2.0}}, TypeError, "is of the type 'set'$"),
        ({"__tuple__": []}, ValueError, "'__tuple__' cannot be a key, as in state: "),
        ([{"__tensor__": 1}], ValueError, r"'__tensor__' cannot be a key, as in state\[0\]"),
        pytest.param(10**5000, ValueError, "limit", id="long"),
    ],
)
def test_what_is_no_state_is_refused_and_writes_nothing(
    path: Path, state: Any, error: type[Exception], text: str
) -> None:
    with pytest.raises(error, match=text):
        files.save(state, path)
    assert os.listdir(path.parent) == []


def test_a_model_or_an_optimizer_in_place_of_a_state_is_refused(mg: Any, path: Path) -> None:
    model = mg.MLP(1, [1])
    for thing in (model, mg.optim.SGD(model.parameters())):
        with pytest.raises(TypeError, match=r"save its state_dict\(\)"):
            mg.save({"model": thing}, path)
    with pytest.raises(TypeError, match=r"state\[0\] is of the type 'Value'"):
        mg.save(model.parameters(), path)


def nested(levels: int, kind: type) -> Any:
    state: Any = 1.0
    for _ in range(levels):
        state = {"a": state} if kind is dict else kind([state])
    return state


@pytest.mark.parametrize("kind", [list, tuple, dict])
def test_a_state_may_be_thirty_levels_deep_and_no_more(path: Path, kind: type) -> None:
    assert round_trip(nested(30, kind), path) == nested(30, kind)
    with pytest.raises(ValueError, match="at most 30 levels deep"):
        files.save(nested(31, kind), path)


def test_a_state_that_has_itself_is_refused(path: Path) -> None:
    state: list[Any] = []
    state.append(state)
    with pytest.raises(ValueError, match="at most 30 levels deep"):
        files.save(state, path)


@pytest.mark.parametrize("name", ["state", "state.pt", "state.json.gz", ".json", "x.safetensor"])
def test_another_extension_is_refused_by_a_message_that_names_both(
    tmp_path: Path, name: str
) -> None:
    for call in (lambda: files.save({}, tmp_path / name), lambda: files.load(tmp_path / name)):
        with pytest.raises(ValueError, match=r"must end in \.json or \.safetensors: .*" + name):
            call()
    assert os.listdir(tmp_path) == []


def test_the_extension_may_be_in_capitals(tmp_path: Path) -> None:
    assert round_trip([1.0], tmp_path / "STATE.JSON") == [1.0]


def test_a_file_that_is_not_there_is_not_found(path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=path.name):
        files.load(path)


def test_a_folder_that_is_not_there_is_not_found(path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        files.save({}, path.parent / "none" / path.name)


def test_without_the_library_json_works_and_the_error_says_how_to_get_it(tmp_path: Path) -> None:
    program = """
import sys
sys.modules["safetensors"] = None
import micrograd_c as mg
mg.save([1.0], "state.json")
print(mg.load("state.json"))
for call in (lambda: mg.save([1.0], "a.safetensors"), lambda: mg.load("b.safetensors")):
    try:
        call()
    except ImportError as error:
        print(error)
"""
    (tmp_path / "b.safetensors").touch()
    command = [sys.executable, "-c", program]
    root = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[1]), *sys.path]),
    }
    result = subprocess.run(
        command, cwd=tmp_path, env=root, capture_output=True, text=True, check=True
    )
    state, *errors = result.stdout.splitlines()
    assert state == "[1.0]"
    assert len(errors) == 2
    assert all("pip install 'micrograd_c[files]'" in error for error in errors)
    assert sorted(os.listdir(tmp_path)) == ["b.safetensors", "state.json"]


# ---- writing ----


posix = pytest.mark.skipif(os.name != "posix", reason="permissions and files of POSIX systems")


def permissions(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_new_file_has_the_permissions_that_open_gives(path: Path) -> None:
    other = path.with_name("other")
    other.touch()
    files.save({}, path)
    assert permissions(path) == permissions(other)


@posix
def test_a_file_keeps_its_permissions(path: Path) -> None:
    files.save({}, path)
    path.chmod(0o640)
    files.save([1.0], path)
    assert permissions(path) == 0o640
    assert files.load(path) == [1.0]


@posix
def test_what_is_no_regular_file_is_left_alone(tmp_path: Path) -> None:
    pipe, link = tmp_path / "pipe", tmp_path / "state.json"
    os.mkfifo(pipe)
    link.symlink_to(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        with pytest.raises(OSError, match="no regular file"):
            files.save(1.0, link)
    finally:
        os.close(reader)
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    assert sorted(tmp_path.iterdir()) == [pipe, link]


def test_a_state_in_itself_is_a_value_error(path: Path) -> None:
    state: list[Any] = [1.0]
    state.append(state)
    with pytest.raises(ValueError, match=r"nested too deeply|levels deep"):
        files.save(state, path)
    assert not path.exists()


def test_a_link_stays_one_and_the_file_it_leads_to_is_written(path: Path) -> None:
    (path.parent / "far").mkdir()
    target = path.parent / "far" / path.name
    path.symlink_to(target)
    files.save([1.0], path)
    files.save([2.0], path)
    assert path.is_symlink()
    assert files.load(target) == [2.0]
    assert os.listdir(target.parent) == [target.name]


@posix  # PermissionError elsewhere
def test_a_folder_in_the_place_of_the_file_is_an_error(path: Path) -> None:
    path.mkdir()
    for call in (lambda: files.save({}, path), lambda: files.load(path)):
        with pytest.raises(IsADirectoryError):
            call()
    assert os.listdir(path.parent) == [path.name]


@pytest.mark.parametrize("kind", [str, Path])
def test_a_path_may_be_a_string_or_a_path_and_relative(
    path: Path, kind: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(path.parent)
    assert round_trip([1.0], kind(path.name)) == [1.0]


def test_saving_draws_no_random_number(path: Path) -> None:
    before = random.getstate()
    files.save([1.0], path)
    assert random.getstate() == before


@pytest.mark.parametrize("call", ["fsync", "replace"])
@pytest.mark.parametrize("error", [OSError("the disk is full"), KeyboardInterrupt()])
def test_an_error_while_writing_leaves_the_old_file_alone(
    path: Path, call: str, error: BaseException, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise error

    files.save({"old": 1.0}, path)
    monkeypatch.setattr(os, call, fail)
    with pytest.raises(type(error)):
        files.save({"new": 2.0}, path)
    assert files.load(path) == {"old": 1.0}
    assert os.listdir(path.parent) == [path.name]


def test_the_content_is_on_the_disk_before_it_takes_the_place_of_the_old_one(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[tuple[str, int]] = []
    fsync, replace = os.fsync, os.replace

    def synced(number: int) -> None:
        status = os.fstat(number)
        calls.append(("folder" if stat.S_ISDIR(status.st_mode) else "file", status.st_size))
        fsync(number)

    def replaced(new: str, old: str) -> None:
        calls.append(("replace", os.stat(new).st_size))
        replace(new, old)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "replace", replaced)
    files.save({"w": [1.0] * 100}, path)
    size = path.stat().st_size
    assert calls[:2] == [("file", size), ("replace", size)]
    assert [name for name, _ in calls[2:]] == ["folder"]
