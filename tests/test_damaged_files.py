"""Files that are damaged, cut off, or not of save: load raises ValueError, and nothing else."""

from __future__ import annotations

import contextlib
import json
import os
import random
import struct
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
import pytest
import safetensors.numpy

from micrograd_c import _formats, files


@pytest.fixture(params=[".json", ".safetensors"])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return tmp_path / f"state{request.param}"


STATE = {
    "model": {"layers.0.w": [0.5, -1.25], "layers.0.b": 0.1, "rows": [[1.0, 2.0], [3.0, 4.0]]},
    "optimizer": {"betas": (0.9, 0.999), "steps": 12, "amsgrad": False, "m": [1e-9, 2.5]},
    "random": (3, (7, 8, 9), None),
    "name": "dämonen",
}


def damaged(content: bytes, draw: random.Random) -> bytes:
    """A file with one damage: bits, bytes, a part lost, repeated, moved, or something added."""
    i, j = sorted(draw.randrange(len(content) + 1) for _ in range(2))
    part = content[i:j]
    noise = draw.randbytes(draw.randint(1, 9))
    k = draw.randrange(len(content))
    flipped = bytes([content[k] ^ 1 << draw.randrange(8)])
    return draw.choice(
        [
            content[:k] + flipped + content[k + 1 :],
            content[:k] + noise[:1] + content[k + 1 :],
            content[:k] + noise + content[k + len(noise) :],
            content[:i] + content[j:],
            content[:i],
            content[:i] + part + part + content[j:],
            content[:i] + bytes(len(part)) + content[j:],
            content[:i] + noise + content[i:],
            content[:k]
            + draw.choice(b'0123456789"{}[]:,. e-'.decode()).encode()
            + content[k + 1 :],
        ]
    )


@pytest.mark.long
def test_a_damaged_file_is_a_value_error_or_the_same_content(path: Path) -> None:
    files.save(STATE, path)
    content, draw = path.read_bytes(), random.Random(1)
    refused = 0
    for _ in range(3000):
        path.write_bytes(damaged(content, draw))
        try:
            found = files.load(path)
        except ValueError as error:
            assert str(path) in str(error)
            refused += 1
        else:
            assert repr(found) == repr(STATE)  # which tells types apart
    assert refused > 2500


@pytest.mark.long
def test_a_flipped_bit_is_a_value_error_or_nothing(path: Path) -> None:
    files.save({"w": [0.5, -1.25], "steps": 3}, path)
    content = path.read_bytes()
    for i in range(len(content)):
        for bit in range(8):
            path.write_bytes(content[:i] + bytes([content[i] ^ 1 << bit]) + content[i + 1 :])
            with contextlib.suppress(ValueError):
                assert files.load(path) == {"w": [0.5, -1.25], "steps": 3}


@pytest.mark.long
def test_a_part_of_a_file_is_a_value_error(path: Path) -> None:
    files.save(STATE, path)
    content = path.read_bytes().rstrip()
    for size in range(len(content)):
        path.write_bytes(content[:size])
        with pytest.raises(ValueError, match=r"is damaged, or no file of micrograd_c\.save: "):
            files.load(path)


def document(state: str, crc: int | None = None, version: str = "1") -> str:
    crc = crc32(json.dumps(json.loads(state)).encode()) if crc is None else crc
    return f'{{"micrograd_c": {version}, "crc32": {crc}, "state": {state}}}'


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "Expecting value"),
        ("{}", "there is no 'micrograd_c' in it"),
        ("[1.0]", "there is no 'micrograd_c' in it"),
        ('{"w": [1.0]}', "there is no 'micrograd_c' in it"),
        (document("[1.0]") + "[]", "Extra data"),
        (document("[1.0]", 5), "its checksum is that of another content"),
        (document("[1.0]", version="2"), "its format is 2, this version reads 1"),
        ('{"micrograd_c": 1, "state": [1.0]}', "it should have 'micrograd_c', 'crc32' and 'state'"),
        (document('{"a": 1, "a": 1}'), "a name is there twice"),
        (document('{"__tuple__": 1}'), "'__tuple__' is no list"),
        (document('{"__tensor__": "w"}'), "there is no tensor 'w'"),
        (document('{"__tensor__": [1]}'), "there is no tensor"),
        pytest.param("[" * 10**6, "nested too deeply", id="deep lists"),
        pytest.param('{"a":' * 10**6, "nested too deeply", id="deep dicts"),
        pytest.param(f'{{"micrograd_c": {"1" * 5000}}}', "limit", id="long integer"),
    ],
)
def test_json_that_is_no_state_is_refused(tmp_path: Path, text: str, problem: str) -> None:
    path = tmp_path / "state.json"
    path.write_text(text)
    with pytest.raises(ValueError, match="state.json is damaged, or no file .*" + problem):
        files.load(path)


def packed(tensors: dict[str, Any], text: str | None) -> bytes:
    metadata = None if text is None else {"micrograd_c": text}
    content: bytes = safetensors.numpy.save(tensors, metadata)
    return content


def checksum(state: str, **tensors: Any) -> int:
    crc = crc32(state.encode())
    for name, tensor in tensors.items():
        crc = crc32(tensor.tobytes(), crc32(f"{name}{tensor.shape}".encode(), crc))
    return crc


ONE = np.ones(2)
USED, TWICE = '{"__tensor__": "w"}', '[{"__tensor__": "w"}, {"__tensor__": "w"}]'


def header(text: str, data: bytes = b"") -> bytes:
    return struct.pack("<Q", len(text)) + text.encode() + data


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "safetensors finds"),
        (b"\x89PNG\r\n\x1a\n" + bytes(50), "safetensors finds"),
        (b"\xff" * 8 + b"{}", "safetensors finds"),
        (struct.pack("<Q", 2**62) + b"{}", "safetensors finds"),
        (struct.pack("<Q", 10**8) + b"{}", "safetensors finds"),
        pytest.param(header("[" * 10**6), "safetensors finds", id="deep"),
        (header('{"w":{"dtype":"BF16","shape":[4],"data_offsets":[0,8]}}', bytes(8)), ""),
        (
            header(f'{{"w":{{"dtype":"F64","shape":[0,{2**63}],"data_offsets":[0,0]}}}}'),
            "safetensors finds",
        ),
        (
            header(f'{{"w":{{"dtype":"F64","shape":[{2**64 - 1},2],"data_offsets":[0,0]}}}}'),
            "safetensors finds",
        ),
        (packed({"w": ONE}, None), "there is no 'micrograd_c' in the metadata of its header"),
        (packed({"w": ONE.astype("f")}, document(USED)), "another type than F64"),
        (packed({"w": ONE}, "{"), "Expecting property name"),
        pytest.param(packed({"w": ONE}, "[" * 10**6), "nested too deeply", id="deep inside"),
        (packed({"w": ONE}, document(USED)), "its checksum is that of another content"),
        (packed({"v": ONE}, document(USED, checksum(USED, v=ONE))), "there is no tensor 'w'"),
        (packed({"w": ONE}, document(TWICE, checksum(TWICE, w=ONE))), "or it is used twice"),
    ],
)
def test_safetensors_that_are_no_state_are_refused(
    tmp_path: Path, content: bytes, problem: str
) -> None:
    path = tmp_path / "state.safetensors"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="(?s)state.safetensors is damaged, or no .*" + problem):
        files.load(path)


def test_a_pickle_is_refused_and_not_run(path: Path) -> None:
    path.write_bytes(b"cos\nsystem\n(S'touch run'\ntR.")
    with pytest.raises(ValueError, match=r"is damaged, or no file of micrograd_c\.save"):
        files.load(path)
    assert os.listdir(path.parent) == [path.name]


def test_a_tensor_without_numbers_is_refused_at_once(tmp_path: Path) -> None:
    shape = (50_000_000, 0)
    document = _formats._document({"__tensor__": "a"}, {"a": np.zeros(shape)}).decode()
    tensor = {"dtype": "F64", "shape": shape, "data_offsets": (0, 0)}
    header = json.dumps({"__metadata__": {"micrograd_c": document}, "a": tensor}).encode()
    path = tmp_path / "state.safetensors"
    path.write_bytes(struct.pack("<Q", len(header)) + header)
    with pytest.raises(ValueError, match="a tensor in it has no numbers"):
        files.load(path)
