"""The benchmark on a GPU: llama-cpp-python built for it in an environment of its own, peers, and a model of 8B."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import time
import venv
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from bench_lib.peers import PeerError, package_version
from bench_lib.processes import CHECKOUT

CMAKE_FLAGS = {"cuda": ["-DGGML_CUDA=ON"], "hip": ["-DGGML_HIP=ON"], "metal": ["-DGGML_METAL=ON"]}
TOOLS = {"nvidia-smi": "cuda", "rocminfo": "hip"}
CLIENTS = ("1", "8", "32", "50", "128")


@dataclass(frozen=True, slots=True)
class Stage:
    """Where the benchmark runs: the interpreter, the built peers, the model, and the seconds of building."""

    python: Path
    peers: Path
    model: Path
    build_seconds: float


def find_backend(which: Callable[[str], str | None], system: str) -> str:
    """Return the backend of the GPU at hand, empty where there is none."""
    if system == "Darwin":
        return "metal"
    return next((backend for tool, backend in TOOLS.items() if which(tool)), "")


def prepare(*, dry_run: bool, jobs: int, default_peers: Path) -> Stage:
    """Build what is missing and make the model; raises PeerError. A dry run takes what is there, and a tiny model."""
    cache = platformdirs.user_cache_path("ollamapy")
    if dry_run:
        return Stage(Path(sys.executable), default_peers, make_model(cache, "tiny", "Q8_0"), 0.0)
    backend = find_backend(shutil.which, platform.system())
    if not backend:
        raise PeerError("no GPU that llama.cpp could be built for was found; --dry-run goes the same way on the CPU")
    folder = cache / "gpu" / f"{backend}-{package_version()}"
    began = time.monotonic()
    python = build_package(folder / "python", CMAKE_FLAGS[backend], jobs)
    peers = folder / "peers"
    flags = [f"--cmake={flag}" for flag in CMAKE_FLAGS[backend]]
    run([str(python), str(CHECKOUT / "scripts" / "build_peers"), "--out", str(peers), "-j", str(jobs), *flags])
    seconds = time.monotonic() - began
    sys.stderr.write(f"llama-cpp-python and its peers for {backend}: ready after {seconds:.0f} s\n")
    return Stage(python, peers, make_model(cache, "8b", "Q4_K_M"), seconds)


def build_package(folder: Path, flags: Sequence[str], jobs: int) -> Path:
    """Make an environment with this checkout and llama-cpp-python compiled for the GPU; return its interpreter."""
    python = folder / "bin" / "python"
    if (folder / "complete").is_file():
        return python
    venv.create(folder, with_pip=True, clear=True)
    environment = {
        **os.environ,
        "CMAKE_ARGS": " ".join(flags),
        "FORCE_CMAKE": "1",
        "CMAKE_BUILD_PARALLEL_LEVEL": str(jobs),
    }
    pip = [str(python), "-m", "pip", "install", "--disable-pip-version-check"]
    requirement = f"llama-cpp-python=={package_version()}"
    began = time.monotonic()
    run([*pip, "--no-cache-dir", "--no-binary", "llama-cpp-python", requirement], environment)
    sys.stderr.write(f"llama-cpp-python compiled with {' '.join(flags)} in {time.monotonic() - began:.0f} s\n")
    run([*pip, "-q", "pip>=25.1"])
    run([*pip, "-q", "--editable", str(CHECKOUT), "--group", f"{CHECKOUT / 'pyproject.toml'}:bench"])
    (folder / "complete").touch()
    return python


def make_model(cache: Path, shape: str, file_type: str) -> Path:
    """Return a file of that shape with random weights, written if it is not there."""
    path = cache / "bench" / f"bench-{shape}-{file_type.lower()}.gguf"
    if not path.is_file():
        partial = path.with_suffix(".partial")
        maker = str(CHECKOUT / "scripts" / "make_bench_model")
        run([sys.executable, maker, "--shape", shape, "--type", file_type, "--out", str(partial)])
        partial.rename(path)
    return path


def bench_command(stage: Stage, arguments: Sequence[str], out: Path) -> list[str]:
    """Return the command that takes the table: what was given, with the GPU's clients, model and peers."""
    given = [*arguments]
    for name, default in (("--rounds", "3"), ("--targets", "ollamapy llama-server")):
        if name not in given:
            given += [name, *default.split()]
    if "--scenarios" not in given:
        given += ["--scenarios", *CLIENTS]
    place = ["--model", str(stage.model), "--peers", str(stage.peers), "--out", str(out), "--batched-bench"]
    return [str(stage.python), str(CHECKOUT / "scripts" / "bench"), *place, *given]


def run(command: Sequence[str], environment: dict[str, str] | None = None) -> None:
    """Run a step; raises PeerError where it fails."""
    if subprocess.run(command, env=environment, check=False).returncode != 0:
        raise PeerError(f"a step failed; its words are above: {' '.join(command[:6])} ...")
