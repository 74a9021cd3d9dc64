"""What install.sh promises: failures explained, nothing half done, twice changes nothing, uninstall leaves nothing.

The tests that carry the marker `install` really install into a throw-away prefix; the first of them compiles llama.cpp
unless pip has kept it.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.conftest import CHECKOUT

SCRIPT = CHECKOUT / "install.sh"
PYTHONS = ("python3.13", "python3.12", "python3.11", "python3", "python")
DEAD_PROXY = "http://127.0.0.1:9"
OFFLINE = {
    "HTTPS_PROXY": DEAD_PROXY,
    "HTTP_PROXY": DEAD_PROXY,
    "NO_PROXY": "",
    "PIP_RETRIES": "0",
    "PIP_FIND_LINKS": "",
}


@dataclass(frozen=True)
class Machine:
    """A throw-away home, prefix and PATH in which the script runs."""

    root: Path
    extra: Mapping[str, str] = field(default_factory=dict)

    @property
    def home(self) -> Path:
        return self.root / "home"

    @property
    def prefix(self) -> Path:
        return self.root / "a prefix"

    @property
    def environ(self) -> dict[str, str]:
        caches = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("OLLAMA", "XDG_", "VIRTUAL_ENV", "CXX"))}
        own = {"HOME": self.home, "TMPDIR": self.root / "tmp", "XDG_CACHE_HOME": caches, "SHELL": "/bin/bash"}
        # pip asks rustc for its version, and rustup's rustc writes settings as it answers.
        own["RUSTUP_HOME"] = self.root / "rustup"
        return kept | {key: str(value) for key, value in own.items()} | dict(self.extra)

    def run(self, *args: str, script: Path = SCRIPT) -> subprocess.CompletedProcess[str]:
        command = ["sh", str(script), *args, f"--prefix={self.prefix}"]
        return subprocess.run(command, env=self.environ, text=True, capture_output=True, stdin=subprocess.DEVNULL)

    def files(self) -> dict[str, tuple[int, int]]:
        """Every path below home and prefix with its size and time of change."""
        paths = [path for top in (self.home, self.prefix) for path in top.rglob("*")]
        return {str(path): (path.lstat().st_size, path.lstat().st_mtime_ns) for path in paths}


def make_machine(root: Path, **extra: str) -> Machine:
    (root / "home").mkdir(parents=True)
    (root / "tmp").mkdir()
    return Machine(root, extra)


def add_tool(machine: Machine, name: str, script: str) -> Machine:
    """Put a program of ours in front of the PATH."""
    folder = machine.root / "tools"
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)
    path = machine.environ["PATH"].removeprefix(f"{folder}:")
    return Machine(machine.root, {**machine.extra, "PATH": f"{folder}:{path}"})


def hide_tools(machine: Machine, hidden: Sequence[str]) -> Machine:
    """Replace the PATH by one folder that links to everything on it but the hidden programs."""
    folder = machine.root / "visible"
    folder.mkdir()
    for place in machine.environ["PATH"].split(":"):
        for program in Path(place).iterdir() if Path(place).is_dir() else ():
            if program.name not in hidden and not (folder / program.name).is_symlink():
                (folder / program.name).symlink_to(program)
    return Machine(machine.root, {**machine.extra, "PATH": str(folder)})


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return make_machine(tmp_path)


def test_every_truncated_script_does_nothing(machine: Machine) -> None:
    text = SCRIPT.read_text().rstrip("\n")
    line_ends = [i for i, char in enumerate(text) if char == "\n"]
    script = machine.root / "install.sh"
    for end in [*line_ends[::5], *line_ends[-5:], *range(text.rindex("{ main"), len(text))]:
        script.write_text(text[:end])
        run = subprocess.run(["sh", str(script), "--help"], capture_output=True, env=machine.environ)
        assert run.stdout == b"", f"cut at {end}"


def test_help_names_every_option(machine: Machine) -> None:
    run = machine.run("--help")
    assert run.returncode == 0
    for option in ("--demo", "--prefix", "--backend", "--no-modify-path", "--dry-run", "--uninstall", "--yes"):
        assert option in run.stdout


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--frobnicate"], "unknown option --frobnicate"),
        (["--backend", "abacus"], "unknown backend 'abacus'"),
        (["--backend"], "--backend needs a value"),
    ],
    ids=["option", "backend", "value"],
)
def test_bad_options_are_explained(machine: Machine, args: list[str], said: str) -> None:
    command = ["sh", str(SCRIPT), *args]
    run = subprocess.run(command, env=machine.environ, text=True, capture_output=True)
    assert run.returncode == 1
    assert said in run.stderr
    assert "fix: " in run.stderr


def test_outside_a_checkout_it_says_how_to_get_one(machine: Machine) -> None:
    alone = machine.root / "install.sh"
    alone.write_text(SCRIPT.read_text())
    run = machine.run(script=alone)
    assert run.returncode == 1
    assert "git clone" in run.stderr


def test_an_old_python_is_named_with_the_command_that_gets_a_newer_one(machine: Machine) -> None:
    for name in PYTHONS:
        machine = add_tool(machine, name, '[ "$1" = --version ] && echo Python 3.9.2')
    run = machine.run()
    assert run.returncode == 1
    assert "needs Python 3.11 or newer" in run.stderr
    assert "Python 3.9.2" in run.stderr
    assert "fix: " in run.stderr
    assert machine.files() == {}


def test_a_missing_python_is_explained(machine: Machine) -> None:
    for name in PYTHONS:
        machine = add_tool(machine, name, "exit 127")
    run = machine.run()
    assert run.returncode == 1
    assert "none was found on the PATH" in run.stderr


def test_too_little_disk_space_stops_it_before_it_writes(machine: Machine) -> None:
    machine = add_tool(machine, "df", "echo Filesystem; echo /dev/disk 1000 900 102400 90% /")
    run = machine.run("--backend=cpu")
    assert run.returncode == 1
    assert "only 100 MB are free" in run.stderr
    assert machine.files() == {}


@pytest.mark.parametrize(
    ("cuda", "index"), [("12.4", "cu124"), ("12.9", "cu125"), ("13.1", "cu130"), ("11.8", "cu118")]
)
def test_an_nvidia_gpu_selects_the_newest_wheels_that_its_driver_runs(machine: Machine, cuda: str, index: str) -> None:
    machine = add_tool(
        machine,
        "nvidia-smi",
        f'[ "$1" = -L ] && echo "GPU 0: Test Card (UUID: GPU-1)" || echo "| Driver Version: 1 CUDA Version: {cuda} |"',
    )
    run = machine.run("--dry-run")
    assert run.returncode == 0
    assert "backend:  cuda (nvidia-smi reports Test Card)" in run.stdout
    assert f"/whl/{index})" in run.stdout


def test_a_backend_that_was_asked_for_is_taken_with_its_flags(machine: Machine) -> None:
    run = machine.run("--dry-run", "--backend", "vulkan")
    assert "backend:  vulkan (--backend vulkan)" in run.stdout
    assert "-DGGML_VULKAN=on" in run.stdout
    assert machine.files() == {}


def test_a_vulkan_gpu_without_cuda_or_rocm_selects_vulkan(machine: Machine) -> None:
    if Path("/dev/kfd").exists():
        pytest.skip("this machine has an AMD GPU, which comes first")
    machine = add_tool(machine, "nvidia-smi", "exit 9")
    machine = add_tool(machine, "uname", "echo Linux")
    machine = add_tool(machine, "vulkaninfo", "echo deviceType = PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU")
    assert "backend:  vulkan (vulkaninfo reports a GPU)" in machine.run("--dry-run").stdout


def test_apple_silicon_selects_metal(machine: Machine) -> None:
    machine = add_tool(machine, "uname", '[ "$1" = -m ] && echo arm64 || echo Darwin')
    assert "backend:  metal (this is Apple silicon)" in machine.run("--dry-run").stdout


def test_uninstall_where_nothing_is_installed_changes_nothing(machine: Machine) -> None:
    run = machine.run("--uninstall")
    assert run.returncode == 0
    assert "nothing to remove" in run.stdout
    assert machine.files() == {}


FAKE_PYTHON = """\
case "$1 $2" in
    "-m venv") for last; do :; done
        mkdir -p "$last/bin" && cp "$0" "$last/bin/python" && cp "$(dirname "$0")/program" "$last/bin/ollamapy" ;;
    "-c "*_base_executable*) echo "$(dirname "$0")/${FAKE_BASE:-python3.13}" ;;
esac"""
FAKE_PROGRAM = """\
case "$1" in
    serve | __worker) echo listening; read -r _ ;;
    run) echo "an answer of $2" ;;
esac"""


@pytest.fixture
def quick(machine: Machine) -> Machine:
    """A machine whose Python makes empty environments, so that a whole installation takes a moment."""
    for name, script in (("python3.13", FAKE_PYTHON), ("other", FAKE_PYTHON), ("program", FAKE_PROGRAM)):
        machine = add_tool(machine, name, script)
    return add_tool(machine, "df", "echo Filesystem; echo /dev/disk 99 9 99999999 9% /")


def test_an_installation_into_a_folder_on_the_path_runs_the_demo(quick: Machine) -> None:
    path = f"{quick.environ['PATH']}:{quick.prefix}/bin"
    on_path = Machine(quick.root, {**quick.extra, "PATH": path})
    for _ in range(2):
        run = on_path.run("--backend=cpu", "--demo")
        assert run.returncode == 0, run.stdout + run.stderr
        assert "an answer of wren" in run.stdout
    assert not any(path.endswith(".bashrc") for path in on_path.files())


def test_the_words_that_make_it_a_service_name_the_prefix(quick: Machine) -> None:
    run = quick.run("--backend=cpu")
    assert f"To have it run at boot: ./install.sh --service --prefix '{quick.prefix}'\n" in run.stdout


@contextmanager
def running(environment: Path, word: str) -> Iterator[subprocess.Popen[str]]:
    """A program of an installation that runs until the end of the block."""
    command = [str(environment / "bin" / "ollamapy"), word]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "listening\n"
        yield process


def test_an_upgrade_stops_the_daemon_of_the_earlier_version_and_says_so(quick: Machine) -> None:
    assert quick.run("--backend=cpu").returncode == 0
    (old,) = (quick.prefix / "lib" / "ollamapy").glob("env-*")
    with running(old, "serve") as daemon, running(old, "__worker") as worker:
        run = Machine(quick.root, {**quick.extra, "FAKE_BASE": "other"}).run("--backend=cpu")
        assert worker.poll() is None  # the daemon ends its workers itself, once their answers are written
    assert run.returncode == 0, run.stdout + run.stderr
    assert daemon.returncode == -signal.SIGTERM
    assert f"Stopping the daemon (process {daemon.pid}) of the earlier version; the next command starts" in run.stdout
    assert not old.exists()


def test_a_second_uninstall_tells_where_the_models_still_are(quick: Machine) -> None:
    models = quick.home / ".local" / "share" / "ollamapy" / "models"
    models.mkdir(parents=True)
    quick = add_tool(quick, "uname", "echo Linux")
    run = quick.run("--uninstall")
    assert run.returncode == 0
    assert f"are in {models}." in run.stdout
    assert f"rm -rf '{models}'" in run.stdout
    other = add_tool(quick, "ollamapy", "")
    told = f"To remove them, unless {quick.root}/tools/ollamapy uses them: rm -rf '{models}'\n"
    assert told in other.run("--uninstall").stdout


def test_on_an_unknown_system_the_remedy_is_told_in_plain_words(machine: Machine) -> None:
    for name in PYTHONS:
        machine = add_tool(machine, name, "exit 127")
    machine = hide_tools(machine, ("apt-get", "dnf", "apk", "pacman", "zypper"))
    run = machine.run()
    assert run.returncode == 1
    assert "install Python 3.11 or newer with its venv module with your system's package manager" in run.stderr


@pytest.mark.install
def test_a_missing_compiler_is_explained_and_leaves_nothing(tmp_path: Path) -> None:
    machine = make_machine(tmp_path, **OFFLINE)
    run = hide_tools(machine, ("c++", "g++", "clang++")).run("--backend=cpu")
    assert run.returncode == 1
    assert "no C++ compiler was found" in run.stderr
    assert "fix: " in run.stderr
    assert machine.files() == {}


@pytest.mark.install
def test_a_missing_network_is_explained_and_leaves_nothing(tmp_path: Path) -> None:
    machine = make_machine(tmp_path, PIP_NO_CACHE_DIR="1", **OFFLINE)
    run = machine.run("--backend=cpu")
    assert run.returncode == 1
    assert "the package index could not be reached" in run.stderr
    assert "HTTPS_PROXY" in run.stderr
    assert machine.files() == {}


@pytest.mark.install
def test_an_interrupted_installation_leaves_nothing(machine: Machine) -> None:
    command = ["sh", str(SCRIPT), "--backend=cpu", f"--prefix={machine.prefix}"]
    with subprocess.Popen(command, env=machine.environ, text=True, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert any("private environment: done" in line for line in process.stdout)
        process.send_signal(signal.SIGTERM)
        process.stdout.read()
    assert process.returncode == 143
    assert machine.files() == {}


@dataclass
class Cycle:
    """What one round of install, install again, demo and uninstall did."""

    machine: Machine
    runs: dict[str, subprocess.CompletedProcess[str]] = field(default_factory=dict)
    files: dict[str, dict[str, tuple[int, int]]] = field(default_factory=dict)

    def step(self, name: str, *args: str) -> None:
        self.runs[name] = self.machine.run(*args)
        self.files[name] = self.machine.files()


@pytest.fixture(scope="module")
def cycle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cycle]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    machine = make_machine(tmp_path_factory.mktemp("install") / "machine", OLLAMA_HOST=address)
    cycle = Cycle(machine)
    cycle.step("first", "--backend=cpu")
    cycle.step("second", "--backend=cpu")
    cycle.step("demo", "--backend=cpu", "--demo")
    cycle.step("uninstall", "--uninstall")
    cycle.step("again", "--backend=cpu", "--no-modify-path")
    cycle.step("uninstall with models", "--uninstall", "--yes")
    yield cycle
    machine.run("--uninstall", "--yes")


@pytest.mark.install
def test_it_installs_a_program_that_runs_and_puts_it_on_the_path(cycle: Cycle) -> None:
    machine, run = cycle.machine, cycle.runs["first"]
    assert run.returncode == 0, run.stdout + run.stderr
    assert str(machine.prefix / "bin" / "ollamapy") in cycle.files["first"]
    assert str(machine.home / ".bashrc") in cycle.files["first"]
    assert f"Added {machine.prefix}/bin to the PATH" in run.stdout
    assert "backend:  cpu" in run.stdout


@pytest.mark.install
def test_the_second_time_it_changes_nothing(cycle: Cycle) -> None:
    assert cycle.runs["second"].returncode == 0
    assert "up to date" in cycle.runs["second"].stdout
    assert cycle.files["second"] == cycle.files["first"]


@pytest.mark.install
@pytest.mark.model
def test_the_demo_streams_a_sensible_answer(cycle: Cycle) -> None:
    run = cycle.runs["demo"]
    assert run.returncode == 0, run.stdout + run.stderr
    assert "ollamapy is a local model manager" in run.stdout


@pytest.mark.install
def test_uninstall_leaves_the_models_alone_where_nobody_answers_and_nothing_else(cycle: Cycle) -> None:
    run = cycle.runs["uninstall"]
    assert run.returncode == 0, run.stdout + run.stderr
    assert "Kept the models in" in run.stdout
    local = cycle.machine.home / ".local"
    kept = (str(local / "share"), str(local / "state"))
    left = [
        path for path in cycle.files["uninstall"] if not path.startswith(kept[0]) and path not in (kept[1], str(local))
    ]
    assert left == []


@pytest.mark.install
def test_uninstall_stops_the_daemon_that_runs_from_there(cycle: Cycle) -> None:
    assert "Stopping the daemon" in cycle.runs["uninstall"].stdout
    with socket.socket() as probe:
        host, port = cycle.machine.environ["OLLAMA_HOST"].split(":")
        assert probe.connect_ex((host, int(port))) != 0


@pytest.mark.install
def test_no_modify_path_leaves_the_profile_alone(cycle: Cycle) -> None:
    assert cycle.runs["again"].returncode == 0
    assert not any(path.endswith(".bashrc") for path in cycle.files["again"])
    assert "is not on the PATH; this line puts it there" in cycle.runs["again"].stdout


@pytest.mark.install
def test_yes_removes_the_models_too(cycle: Cycle) -> None:
    run = cycle.runs["uninstall with models"]
    assert run.returncode == 0, run.stdout + run.stderr
    assert "Removed the models" in run.stdout
    assert not any(path.endswith("manifests") or "sha256-" in path for path in cycle.files["uninstall with models"])
