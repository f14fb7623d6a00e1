"""What a build says where it cannot be done, and what a package index shows."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
IMAGES = ["docs/explain.png", "benchmarks/results.svg"]  # of README

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(os.name == "nt", reason="setuptools itself says what to install there"),
    pytest.mark.skipif(not (ROOT / "setup.py").exists(), reason="there is nothing to build"),
]


def build(folder: Path, **variables: str) -> tuple[int, str]:
    """Build the compiled parts into a folder; return the status and the last line of errors."""
    pytest.importorskip("setuptools", minversion="77")
    pytest.importorskip("cffi")
    command = [sys.executable, "-W", "ignore", "setup.py", "-q", "build_ext"]
    done = subprocess.run(
        [*command, "--build-lib", str(folder / "lib"), "--build-temp", str(folder / "temp")],
        cwd=ROOT,
        env={**{name: text for name, text in os.environ.items() if name != "CC"}, **variables},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, ("", *done.stderr.splitlines())[-1]


def test_without_a_compiler_the_last_line_says_what_to_install(tmp_path: Path) -> None:
    status, last = build(tmp_path, PATH="")
    assert status == 1
    assert last.startswith("error: there is no C compiler")
    assert "install" in last


def test_a_compiler_that_is_not_there_is_named(tmp_path: Path) -> None:
    status, last = build(tmp_path, CC="no-such-compiler -O1")
    assert status == 1
    assert last.startswith("error: there is no C compiler 'no-such-compiler'. ")


def test_where_the_compiler_fails_the_last_line_says_what_it_may_lack(tmp_path: Path) -> None:
    compiler = tmp_path / "cc"
    compiler.write_text("#!/bin/sh\nexit 1\n")
    compiler.chmod(0o755)
    status, last = build(tmp_path, CC=str(compiler))
    assert status == 1
    assert last.startswith("error: ")
    assert "What it may lack: " in last and "install" in last


def test_fast_math_of_cflags_is_undone_by_what_follows(tmp_path: Path) -> None:
    log, compiler = tmp_path / "log", tmp_path / "cc"
    touch = 'while [ "$1" != -o ]; do shift; done; touch "$2"'
    compiler.write_text(f'#!/bin/sh\necho "$*" >> "{log}"\n{touch}\n')
    compiler.chmod(0o755)
    status, _ = build(
        tmp_path, CC=str(compiler), LDSHARED=str(compiler), CFLAGS="-Ofast -ffast-math"
    )
    assert status == 0
    lines = log.read_text().splitlines()
    assert sum(" -c " not in line for line in lines) == 2  # links
    for line in lines:
        flags = line.split()
        assert flags.index("-fno-fast-math") > flags.index("-ffast-math")
        assert [flag for flag in flags if flag.startswith("-O")][-1] == "-O2"


def test_links_of_a_releases_description_lead_to_the_files(tmp_path: Path) -> None:
    pytest.importorskip("setuptools", minversion="77")
    pytest.importorskip("cffi")
    pages = "https://host.example/someone/micrograd_c/blob/v1.2.3"
    command = [sys.executable, "-W", "ignore", "setup.py", "-q", "egg_info", "--egg-base", tmp_path]
    variables = {**os.environ, "MICROGRAD_C_PAGES": pages}
    subprocess.run(command, cwd=ROOT, env=variables, check=True)
    text = (tmp_path / "micrograd_c.egg-info" / "PKG-INFO").read_text(encoding="utf-8")
    links = re.findall(r"\]\((.+?)\)", text)
    images = re.findall(r"!\[[^]]*\]\((.+?)\)", text)
    assert f"{pages}/docs/training.md" in links
    assert images == [f"{pages.replace('blob', 'raw')}/{name}" for name in IMAGES]
    for link in links:
        assert (ROOT / link.split("/v1.2.3/")[1]).exists(), link
