"""scripts/llama: the llama.cpp that is compiled here has our changes, and is compiled once."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import CHECKOUT, skip_or_fail
from tests.scripts.ggml import libraries

SOURCES = ("ops.cpp", "ggml-cpu.c", "llamafile/sgemm.cpp", "tiled/tiled.cpp", "repack.cpp")
CHANGES = CHECKOUT / "scripts" / "llama" / "changes.cmake"
PYTHON = f"""#!/bin/sh
[ "$1" = -m ] || exec {sys.executable} "$@"
echo "${{CMAKE_ARGS:-}}" >>"$CALLS"
[ -z "${{FAILURE:-}}" ] || exit "$FAILURE"
while [ "$1" != --wheel-dir ]; do shift; done
cd "$2" && echo compiled >lib && {sys.executable} -m zipfile -c llama_cpp_python-1.0-py3-none-any.whl lib && rm lib
"""


@dataclass(frozen=True)
class Builder:
    """The script with a pip that only notes when it is asked to compile."""

    root: Path

    def __call__(self, folder: str, **environ: str) -> subprocess.CompletedProcess[str]:
        python = self.root / "python"
        python.write_text(PYTHON)
        python.chmod(0o755)
        kept = {key: value for key, value in os.environ.items() if key not in ("CMAKE_ARGS", "CFLAGS", "CXXFLAGS")}
        own = {"XDG_CACHE_HOME": str(self.root / "a cache"), "CALLS": str(self.root / "calls")}
        command: list[str | Path] = ["scripts/llama/build", python, "llama-cpp-python>=1", self.root / folder]
        return subprocess.run(command, env={**kept, **own, **environ}, cwd=CHECKOUT, text=True, capture_output=True)

    @property
    def calls(self) -> list[str]:
        return (self.root / "calls").read_text().splitlines()

    def wheels(self, folder: str) -> list[Path]:
        return [path for path in (self.root / folder).rglob("*") if path.is_file()]


@pytest.fixture
def build(tmp_path: Path) -> Builder:
    return Builder(tmp_path)


def test_the_installed_llama_skips_masked_cells() -> None:
    assert libraries()[1].ggml_cpu_skips_masked_cells() == 1


@pytest.mark.parametrize("source", [None, "", "int main() { return 0; }\n"])
def test_a_source_that_is_not_as_expected_stays_as_it_is(tmp_path: Path, source: str | None) -> None:
    cmake = shutil.which("cmake")
    if cmake is None:
        skip_or_fail("cmake is not installed")
    folder = tmp_path / "src" / "ggml-cpu"
    paths = [folder / name for name in SOURCES]
    for path in paths:
        if source is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(source)
    run = subprocess.run([cmake, "-P", str(CHANGES)], cwd=tmp_path, text=True, capture_output=True, check=True)
    assert "masked cells are not skipped" in run.stderr
    assert "attention is llama.cpp's" in run.stderr
    assert "quantised weights are multiplied as llama.cpp does" in run.stderr
    assert [path.read_text() if path.exists() else None for path in paths] == len(SOURCES) * [source]
    assert list(folder.rglob("*.h")) == []


def test_what_was_compiled_is_kept(build: Builder) -> None:
    for folder, flags in (("first", {}), ("second", {"CMAKE_ARGS": " "}), ("third", {"CDPATH": "."})):
        assert build(folder, **flags).returncode == 0
        assert len(build.wheels(folder)) == 1
    assert build.calls == [""]


def test_what_was_compiled_with_flags_is_not_kept(build: Builder) -> None:
    for folder in ("first", "second"):
        assert build(folder, CMAKE_ARGS="-DA=1").returncode == 0
        assert len(build.wheels(folder)) == 1
    assert build.calls == ["-DA=1", "-DA=1"]
    assert build.wheels("a cache") == []


def test_a_kept_wheel_that_is_broken_is_compiled_anew(build: Builder) -> None:
    build("first")
    (kept,) = build.wheels("a cache")
    kept.write_bytes(kept.read_bytes()[:20])
    assert build("second").returncode == 0
    assert build.calls == ["", ""]
    assert [len(path.read_bytes()) > 20 for path in (*build.wheels("second"), *build.wheels("a cache"))] == [True, True]


def test_a_failure_comes_through_and_leaves_nothing(build: Builder) -> None:
    assert build("first", FAILURE="7").returncode == 7
    assert build.wheels("a cache") == build.wheels("first") == []


def test_a_cache_that_cannot_be_written_is_done_without(build: Builder) -> None:
    (build.root / "a cache").write_text("no folder")
    assert build("first").returncode == 0
    assert len(build.wheels("first")) == 1
