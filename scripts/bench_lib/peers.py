"""Builds llama.cpp's own programs from the sources inside the installed llama-cpp-python's package."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
import tarfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import platformdirs

PROGRAMS = ("llama-server", "llama-batched-bench")
# As llama-cpp-python's own CMakeLists sets them (release build, shared libraries, no curl), and no web page in the
# server, since its assets would come from the network.
CMAKE_FLAGS = (
    "-DCMAKE_BUILD_TYPE=Release",
    "-DBUILD_SHARED_LIBS=ON",
    "-DLLAMA_BUILD_TESTS=OFF",
    "-DLLAMA_BUILD_EXAMPLES=OFF",
    "-DLLAMA_BUILD_APP=OFF",
    "-DLLAMA_BUILD_TOOLS=ON",
    "-DLLAMA_BUILD_SERVER=ON",
    "-DLLAMA_BUILD_UI=OFF",
    "-DLLAMA_USE_PREBUILT_UI=OFF",
    "-DLLAMA_OPENSSL=OFF",
)


class PeerError(Exception):
    """A peer can't be built or is not there; says what to do."""


@dataclass(frozen=True, slots=True)
class Peers:
    """Where the built programs lie, and the build they come from."""

    folder: Path
    package_version: str

    def program(self, name: str) -> Path:
        """Return the path of a program; raises PeerError if it was not built."""
        path = self.folder / "build" / "bin" / name
        if not path.is_file():
            raise PeerError(f"{name} has not been built: run scripts/build_peers first")
        return path


def default_folder() -> Path:
    """Return the cache folder for this version of llama-cpp-python."""
    return platformdirs.user_cache_path("ollamapy") / "peers" / package_version()


def package_version() -> str:
    """Return the version of llama-cpp-python that is installed beside this program."""
    return version("llama-cpp-python")


def build_peers(folder: Path, source: Path | None, flags: Sequence[str], jobs: int) -> tuple[Peers, float]:
    """Build what is missing below `folder`; return it and the seconds of compiling (0 when nothing was to do).

    `source` is a llama.cpp tree or an sdist of llama-cpp-python; None downloads the sdist with pip.
    """
    peers = Peers(folder, package_version())
    if all((folder / "build" / "bin" / name).is_file() for name in PROGRAMS):
        return peers, 0.0
    folder.mkdir(parents=True, exist_ok=True)
    tree = find_tree(folder, source)
    began = time.monotonic()
    generator = ["-G", "Ninja"] if shutil.which("ninja") else []
    configure = ["cmake", "-S", str(tree), "-B", str(folder / "build"), *generator, *CMAKE_FLAGS, *flags]
    _run_step(configure, "configure")
    nice = ["nice", "-n", "10"] if shutil.which("nice") else []
    _run_step([*nice, "cmake", "--build", str(folder / "build"), "-j", str(jobs), "--target", *PROGRAMS], "compile")
    return peers, time.monotonic() - began


def find_tree(folder: Path, source: Path | None) -> Path:
    """Return a llama.cpp source tree, unpacked below `folder` unless `source` is one."""
    if source is not None and (source / "CMakeLists.txt").is_file():
        nested = source / "vendor" / "llama.cpp"
        return nested if nested.is_dir() else source
    unpacked = folder / "source"
    if not unpacked.is_dir():
        unpack_sdist(source or download_sdist(folder), unpacked)
    found = sorted(unpacked.glob("*/vendor/llama.cpp"))
    if not found:
        raise PeerError(f"no llama.cpp tree in {unpacked}: remove that folder and try again")
    return found[0]


def download_sdist(folder: Path) -> Path:
    """Download the source package of the installed version; return its path."""
    requirement = f"llama-cpp-python=={package_version()}"
    options = ["--no-deps", "--no-binary", "llama-cpp-python", "--dest", str(folder), requirement]
    _run_step([*_pip_command(), "download", *options], "download")
    return next(folder.glob("llama_cpp_python-*.tar.gz"))


def unpack_sdist(archive: Path, target: Path) -> None:
    """Unpack `archive` into `target`, which appears only when complete."""
    partial = target.with_name(target.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    with tarfile.open(archive) as tar:
        tar.extractall(partial, filter="data")
    partial.rename(target)


def _pip_command() -> list[str]:
    """Return a pip to download with: this interpreter's, uv's, or the one on the PATH."""
    if importlib.util.find_spec("pip") is not None:
        return [sys.executable, "-m", "pip"]
    for program, command in (("uv", ["uv", "tool", "run", "pip"]), ("pip3", ["pip3"]), ("pip", ["pip"])):
        if shutil.which(program):
            return command
    raise PeerError("no pip and no uv on the PATH: install one, or give --source with a llama.cpp tree")


def _run_step(command: Sequence[str], step: str) -> None:
    try:
        subprocess.run(command, check=True)
    except FileNotFoundError as exc:
        raise PeerError(f"can't {step}: {command[0]} is not installed") from exc
    except subprocess.CalledProcessError as exc:
        raise PeerError(f"the {step} step failed (exit code {exc.returncode}); its output is above") from exc
