"""Build the two compiled parts. Everything else about the package is in pyproject.toml."""

from __future__ import annotations

import os
import re
import runpy
import shutil
import sys
import sysconfig
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.errors import PlatformError

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from build_ffi import COMPILE_ARGS, GRAPH, HEADERS, KEEP_GIL, LINK_ARGS, MATHEMATICS, ROOT, room

ACCELERATOR = Extension(
    "micrograd_c._value_type",
    sources=[*GRAPH, *room("python/*.c")],
    depends=HEADERS,
    include_dirs=["csrc"],
    libraries=MATHEMATICS,
    extra_compile_args=COMPILE_ARGS,
    extra_link_args=LINK_ARGS,
    optional=True,
)

# What provides a C compiler and Python.h. On Windows setuptools itself says what to install.
PACKAGES = (
    "xcode-select --install"
    if sys.platform == "darwin"
    else "Debian, Ubuntu: apt install gcc libc6-dev python3-dev; Fedora: dnf install gcc "
    "python3-devel; Alpine: apk add gcc musl-dev python3-dev; Arch: pacman -S gcc; "
    "openSUSE: zypper install gcc python3-devel"
)

# The cffi module alone is one wheel for every CPython from 3.11 on but the free-threaded ones.
WITHOUT_ACCELERATOR = bool(os.environ.get("MICROGRAD_C_NO_ACCELERATOR"))
FOR_ALL = {"py_limited_api": "cp311"} if WITHOUT_ACCELERATOR and KEEP_GIL else {}

# A package index shows README without the files that it links to. A release says where they are.
PAGES = os.environ.get("MICROGRAD_C_PAGES", "")


def description() -> str:
    """Return README, its links below PAGES, a code host's .../blob/v1.2.3, if that is given."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    if PAGES:
        text = re.sub(
            r"(!\[[^]]*\])\((?!https?:)", rf"\1({PAGES.replace('/blob/', '/raw/')}/", text
        )
        text = re.sub(r"\]\((?!https?:|#)", f"]({PAGES}/", text)
    return text


class BuildAndSay(build_ext):
    """Build both parts at the same time, and warn if the accelerator could not be built."""

    def finalize_options(self) -> None:
        super().finalize_options()
        self.parallel = self.parallel or True

    def run(self) -> None:
        in_place = self.inplace
        super().run()
        package = Path(self.build_lib, "micrograd_c")
        accelerator = Path(self.get_ext_filename("micrograd_c._value_type")).name
        asked = any(ext.name.endswith("_value_type") for ext in self.extensions)
        if not asked:  # build/ may have one of an earlier build
            (package / accelerator).unlink(missing_ok=True)
        if not (package / accelerator).exists():
            if in_place:  # one of an earlier build must not be taken for it
                (ROOT / "micrograd_c" / accelerator).unlink(missing_ok=True)
            self.warn("micrograd_c: without the accelerator; the cffi backend will be used")
        self.write_stamp(ROOT / "micrograd_c" if in_place else package)

    def build_extensions(self) -> None:
        """Build all extensions; if that cannot be, the error's one line says what to install."""
        if self.compiler.compiler_type == "unix":
            compiler = self.compiler.compiler_so[0]
            if shutil.which(compiler) is None:
                raise PlatformError(f"there is no C compiler {compiler!r}. {PACKAGES}")
            if not Path(sysconfig.get_paths()["include"], "Python.h").exists():
                raise PlatformError(f"there is no Python.h. {PACKAGES}")
        super().build_extensions()

    def build_extension(self, ext: Extension) -> None:
        """Build an extension; if that fails, leave none of an earlier build."""
        try:
            super().build_extension(ext)
        except Exception as error:
            Path(self.get_ext_fullpath(ext.name)).unlink(missing_ok=True)
            if self.compiler.compiler_type != "unix":
                raise
            # Such as a compiler without the C library's headers, or macOS' stand-in for one.
            raise PlatformError(f"{error} What it may lack: {PACKAGES}") from error

    def write_stamp(self, package: Path) -> None:
        stamp_of = runpy.run_path(str(ROOT / "micrograd_c" / "_stamp.py"))["stamp_of"]
        text = f'"""Written by a build: see _stamp.py."""\n\nSTAMP = "{stamp_of(ROOT)}"\n'
        package.mkdir(parents=True, exist_ok=True)
        (package / "_built.py").write_text(text)


setup(
    long_description=description(),
    long_description_content_type="text/markdown",
    cffi_modules=["build_ffi.py:ffibuilder"],
    ext_modules=[] if WITHOUT_ACCELERATOR else [ACCELERATOR],
    cmdclass={"build_ext": BuildAndSay},
    options={"bdist_wheel": FOR_ALL},
)
