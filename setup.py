"""Build the two compiled parts. Everything else about the package is in pyproject.toml."""

from __future__ import annotations

import os
import runpy
import sys
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from build_ffi import COMPILE_ARGS, GRAPH, HEADERS, MATHEMATICS, ROOT, room

ACCELERATOR = Extension(
    "micrograd_c._value_type",
    sources=[*GRAPH, *room("python/*.c")],
    depends=HEADERS,
    include_dirs=["csrc"],
    libraries=MATHEMATICS,
    extra_compile_args=COMPILE_ARGS,
    optional=True,
)


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
        if not asked or not (package / accelerator).exists():
            if in_place:  # one of an earlier build must not be taken for it
                (ROOT / "micrograd_c" / accelerator).unlink(missing_ok=True)
            self.warn("micrograd_c: without the accelerator; the cffi backend will be used")
        self.write_stamp(ROOT / "micrograd_c" if in_place else package)

    def build_extension(self, ext: Extension) -> None:
        """Build an extension; if that fails, leave none of an earlier build."""
        try:
            super().build_extension(ext)
        except Exception:
            Path(self.get_ext_fullpath(ext.name)).unlink(missing_ok=True)
            raise

    def write_stamp(self, package: Path) -> None:
        stamp_of = runpy.run_path(str(ROOT / "micrograd_c" / "_stamp.py"))["stamp_of"]
        text = f'"""Written by a build: see _stamp.py."""\n\nSTAMP = "{stamp_of(ROOT)}"\n'
        package.mkdir(parents=True, exist_ok=True)
        (package / "_built.py").write_text(text)


setup(
    cffi_modules=["build_ffi.py:ffibuilder"],
    ext_modules=[] if os.environ.get("MICROGRAD_C_NO_ACCELERATOR") else [ACCELERATOR],
    cmdclass={"build_ext": BuildAndSay},
)
