"""scripts/llama: the llama.cpp that is compiled here steps over masked KV cells, and is compiled once."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
from importlib.resources import files
from pathlib import Path

import pytest

from tests.conftest import CHECKOUT, skip_or_fail

BUILD = CHECKOUT / "scripts" / "llama" / "build"
CHANGE = CHECKOUT / "scripts" / "llama" / "skip_masked_cells.cmake"
PIP = """#!/bin/sh
[ "$1" = -VV ] && { echo Python 3.11; exit; }
echo "$CMAKE_ARGS" >>"$CALLS"
while [ "$1" != --wheel-dir ]; do shift; done
echo compiled >"$2/llama_cpp_python-1.0-py3-none-any.whl"
"""


def test_the_installed_llama_skips_masked_cells() -> None:
    library = next(Path(str(files("llama_cpp"))).glob("lib/libggml-cpu.*"))
    assert ctypes.CDLL(str(library)).ggml_cpu_skips_masked_cells() == 1


@pytest.mark.parametrize("source", ["", "int main() { return 0; }\n"])
def test_a_source_that_is_not_as_expected_stays_as_it_is(tmp_path: Path, source: str) -> None:
    cmake = shutil.which("cmake")
    if cmake is None:
        skip_or_fail("cmake is not installed")
    ops = tmp_path / "src" / "ggml-cpu" / "ops.cpp"
    ops.parent.mkdir(parents=True)
    ops.write_text(source)
    run = subprocess.run([cmake, "-P", str(CHANGE)], cwd=tmp_path, text=True, capture_output=True, check=True)
    assert "masked cells are not skipped" in run.stderr
    assert ops.read_text() == source


def test_what_was_compiled_is_kept_for_the_same_flags(tmp_path: Path) -> None:
    python, calls = tmp_path / "python", tmp_path / "calls"
    python.write_text(PIP)
    python.chmod(0o755)

    def build(folder: str, flags: str) -> str:
        environ = {**os.environ, "XDG_CACHE_HOME": str(tmp_path / "a cache"), "CMAKE_ARGS": flags, "CALLS": str(calls)}
        target = tmp_path / folder
        subprocess.run([BUILD, python, "llama-cpp-python>=1", target], env=environ, check=True, capture_output=True)
        (wheel,) = target.iterdir()
        return wheel.read_text()

    assert [build("first", "-DA=1"), build("second", "-DA=1"), build("third", "-DA=2")] == ["compiled\n"] * 3
    assert calls.read_text() == "-DA=1\n-DA=2\n"
