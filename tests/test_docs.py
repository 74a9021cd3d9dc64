"""The documents tell the truth: what they show runs, what they name exists, where they point to is there.

docs/api.md and docs/python.md have tests of their own (tests/server/test_openapi.py, tests/test_public.py), which run
their examples; here only the names in them are looked at.
"""

from __future__ import annotations

import importlib
import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
import tomllib
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import fields
from pathlib import Path

import pytest

from ollamapy.cli.app import ALIASES, COMMANDS, MODULES
from ollamapy.cli.parsing import expand_bare_options, make_parser
from ollamapy.config import VARIABLES, inspect_settings
from ollamapy.config.read import FOREIGN
from ollamapy.modelfile import COMMANDS as INSTRUCTIONS
from ollamapy.modelfile import parse_modelfile
from ollamapy.options import DEPRECATED, RULES, options_from_parameters, options_to_json
from ollamapy.server.openapi import OPERATIONS
from ollamapy.service.records import Installation
from ollamapy.service.units import plan_units
from ollamapy.types import Options
from ollamapy.wire import Sampling
from tests.conftest import CHECKOUT, skip_or_fail

DOCS = {path.name: path.read_text() for path in [CHECKOUT / "README.md", *sorted((CHECKOUT / "docs").glob("*.md"))]}
ALL = DOCS | {"CHANGELOG.md": (CHECKOUT / "CHANGELOG.md").read_text()}
TESTED_ELSEWHERE = ("api.md", "python.md")
RUN_HERE = [name for name in DOCS if name not in TESTED_ELSEWHERE]
SAMPLES = sorted((CHECKOUT / "modelfiles").glob("*.Modelfile"))
PUBLIC_VARIABLES = {"HF_HOME", "LLAMA_ARG", "LLAMA_CACHE", "OPENAI_BASE_URL"}  # of other programs
UNDECLARED = {"--help", "-h", "--version", "-v"}

INSTALLS = "is of the installer, which tests/test_install.py runs in folders of its own"
REGISTRY = "needs a registry and a network; tests/server/test_transfers.py does the same with registries of ours"
SUPERVISOR = "changes systemd or launchd of this machine; tests/service has a systemd of its own"
DEVELOPS = "makes an environment, or takes minutes: tools of those who work on ollamapy"
FOREVER = "goes on until it is interrupted"

NOT_RUN: dict[str, str] = {
    "./install.sh": INSTALLS,
    "sudo ./install.sh": INSTALLS,
    "./install.sh --demo": INSTALLS,
    "./install.sh --dry-run": INSTALLS,
    "./install.sh --uninstall": INSTALLS,
    "./install.sh --uninstall --prefix /opt/ollamapy": INSTALLS,
    "CMAKE_ARGS=-DGGML_CUDA_F16=on ./install.sh --backend cuda": INSTALLS,
    "python3 -m pip wheel --wheel-dir wheels .": INSTALLS,
    "python3 -m venv ollamapy-env": INSTALLS,
    "ollamapy-env/bin/pip install --no-index --find-links wheels ollamapy": INSTALLS,
    "git pull": "needs a network",
    "ollamapy pull llama3.2:1b": REGISTRY,
    "ollamapy pull hf.co/user/repository": REGISTRY,
    "ollamapy pull reg.example/team/model": REGISTRY,
    "ollamapy push reg.example/team/model": REGISTRY,
    "ollamapy login reg.example": REGISTRY,
    "ollamapy service install": SUPERVISOR,
    "sudo ollamapy service install --system": SUPERVISOR,
    "ollamapy service status": SUPERVISOR,
    "ollamapy service restart": SUPERVISOR,
    "ollamapy service uninstall": SUPERVISOR,
    "ollamapy service logs --follow": FOREVER,
    "loginctl enable-linger": SUPERVISOR,
    "ollamapy run wren": "is a chat at a terminal, which tests/cli/chat holds",
    "scripts/install": DEVELOPS,
    "scripts/test": DEVELOPS,
    "scripts/lint": DEVELOPS,
    ".venv/bin/python scripts/build_peers": DEVELOPS,
    ".venv/bin/python scripts/make_bench_model": DEVELOPS,
    ".venv/bin/python scripts/bench --rounds 3 --batched-bench --engine --once": DEVELOPS,
    ".venv/bin/python scripts/bench_pull speed gaps --megabytes 1000": DEVELOPS,
    ".venv/bin/python scripts/bench_pull kills --megabytes 300 --rounds 20": DEVELOPS,
    ".venv/bin/python scripts/bench_pull link full --megabytes 300 --rounds 10": DEVELOPS,
}
"""What the documents show and this test can't run, with the reason; everything else is run."""


# ---- what stands in the documents


def shell_blocks(text: str) -> list[str]:
    """Return the fenced blocks of shell, and the indented ones, which are shell, too."""
    fenced = re.findall(r"^( *)```sh\n(.*?)^ *```$", text, re.DOTALL | re.MULTILINE)
    bare = re.sub(r"^( *)```.*?^ *```$", "", text, flags=re.DOTALL | re.MULTILINE)
    indented = re.findall(r"(?:(?<=\n\n)|\A)((?: {4}\S.*\n(?:\s*\n(?= {4}))?(?: {4,}.*\n)*)+)", bare)
    return [re.sub(rf"^{margin}", "", block, flags=re.MULTILINE) for margin, block in fenced] + [
        re.sub(r"^ {4}", "", block, flags=re.MULTILINE) for block in indented
    ]


def commands_of(block: str) -> list[str]:
    """Return the commands of a block, without comments behind them; one may have several lines."""
    found: list[str] = []
    lines = iter(block.splitlines())
    for line in lines:
        command = line
        while is_open(command):
            command += "\n" + next(lines)
        if words := shlex.split(command, comments=True):
            found.append(command if "\n" in command else without_comment(command))
            assert words
    return found


def is_open(command: str) -> bool:
    here = re.search(r"<<'(\w+)'", command)
    if here:
        return not command.endswith(f"\n{here[1]}")
    try:
        shlex.split(command, comments=True)
    except ValueError:
        return True
    return command.endswith("\\")


def without_comment(command: str) -> str:
    return re.sub(r"\s+#(?: .*)?$", "", command).strip() if not command.startswith("#") else ""


def blocks_in_order(text: str) -> list[str]:
    return sorted(shell_blocks(text), key=lambda block: text.index(block.splitlines()[0]))


COMMANDS_OF = {name: [c for block in blocks_in_order(DOCS[name]) for c in commands_of(block)] for name in DOCS}


def code_of(text: str) -> str:
    """Return all that is code: blocks, and what stands between backticks."""
    blocks = re.findall(r"```\w*\n.*?```", text, re.DOTALL)
    rest = re.sub(r"```\w*\n.*?```", "", text, flags=re.DOTALL)
    lines = re.findall(r"^ {4}.*$", rest, re.MULTILINE)
    return "\n".join([*blocks, *lines, *re.findall(r"`([^`\n]+)`", rest)])


def anchors_of(text: str) -> set[str]:
    titles = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


# ---- what they name


def parser_of(name: str):
    name = ALIASES.get(name, name)
    return make_parser(importlib.import_module(f"ollamapy.cli.{MODULES.get(name, name)}"), name)


@pytest.mark.parametrize("name", ALL)
def test_every_command_and_flag_that_is_named_exists(name: str) -> None:
    code = code_of(ALL[name])
    mentioned = re.findall(r"(?:^|[\s`$])ollamapy (-{0,2}[a-z]+)([^`\n|#;>]*)", code, re.MULTILINE)
    words = "|".join(COMMANDS)
    mentioned += re.findall(rf"^({words}) (--[^`\n]*)$", code, re.MULTILINE)
    helped = [((rest.split() or ["COMMAND"])[0], "") for command, rest in mentioned if command == "help"]
    for command, rest in [*mentioned, *helped]:
        if command in (*UNDECLARED, "help", "COMMAND"):
            continue
        assert command in COMMANDS or command in ALIASES, f"ollamapy {command}"
        known = set(parser_of(command)._option_string_actions)
        for flag in re.findall(r"(?<=\s)(--?[a-z][a-z-]*)", f" {rest}"):
            assert flag in known, f"ollamapy {command} {flag}"


@pytest.mark.parametrize("name", RUN_HERE)
def test_every_command_line_is_one_that_its_parser_takes(name: str) -> None:
    for command in COMMANDS_OF[name]:
        for line in command.splitlines()[:1] if "<<" in command else [command]:
            words = shlex.split(line.split(" > ")[0].split(" < ")[0].rsplit("| ", 1)[-1], comments=True)
            if "ollamapy" in words[:-1]:
                at = words.index("ollamapy")
                parser_of(words[at + 1]).parse_intermixed_args(expand_bare_options(words[at + 2 :]))


@pytest.mark.parametrize("name", ALL)
def test_every_flag_of_the_installer_exists(name: str) -> None:
    usage = (CHECKOUT / "install.sh").read_text()
    for rest in re.findall(r"install\.sh([^`\n#]*)", code_of(ALL[name])):
        for flag in re.findall(r"(?<=\s)(--[a-z-]+)", rest):
            assert f"\n  {flag} " in usage, flag


def test_the_table_of_the_installer_is_its_help() -> None:
    usage = re.findall(r"^  (--[a-z-]+)", (CHECKOUT / "install.sh").read_text(), re.MULTILINE)
    told = re.findall(r"^\| `(--[a-z-]+)", DOCS["install.md"], re.MULTILINE)
    assert sorted(told) == sorted(set(usage) - {"--help"})


@pytest.mark.parametrize("name", ALL)
def test_every_link_leads_somewhere(name: str) -> None:
    folder = CHECKOUT if name in ("README.md", "CHANGELOG.md") else CHECKOUT / "docs"
    for target in re.findall(r"\]\(([^)\s]+)\)", ALL[name]):
        if target.startswith("https://"):
            continue
        path, _, anchor = target.partition("#")
        there = folder / path if path else folder / name
        assert there.exists(), target
        if anchor:
            assert anchor in anchors_of(there.read_text()), target


def test_every_document_can_be_reached_from_the_readme() -> None:
    linked = set(re.findall(r"\]\(docs/([a-z-]+\.md)", DOCS["README.md"]))
    assert set(DOCS) - {"README.md"} == linked


@pytest.mark.parametrize("name", ALL)
def test_every_variable_that_is_named_exists(name: str) -> None:
    found = set(re.findall(r"\b(?:OLLAMAPY?|HF|LLAMA|OPENAI)_[A-Z0-9_]*[A-Z0-9]\b", ALL[name]))
    assert found - set(VARIABLES) - set(FOREIGN) - PUBLIC_VARIABLES == set()


# ---- tables that are made from the program


def test_the_configuration_lists_every_variable_as_the_program_does() -> None:
    _, _, table = DOCS["configuration.md"].partition("| variable | meaning |\n|---|---|\n")
    assert table.splitlines() == [f"| `{name}` | {about} |" for name, about in VARIABLES.items()]


def test_the_examples_of_the_configuration_file_are_right(tmp_path: Path) -> None:
    tables = [block for text in DOCS.values() for block in re.findall(r"```toml\n(.*?)```", text, re.DOTALL)]
    assert len(tables) >= 2
    for table in tables:
        tomllib.loads(table)
        path = tmp_path / "config.toml"
        path.touch(mode=0o600)
        path.write_text(table)
        reading = inspect_settings({"HOME": str(tmp_path), "OLLAMAPY_CONFIG": str(path)})
        assert (reading.problems, reading.warnings) == ((), ())


def test_the_reference_lists_every_instruction() -> None:
    section = DOCS["modelfile.md"].partition("## Instructions")[2].partition("### FROM")[0]
    told = re.findall(r"`([A-Z]+)`", "".join(line.split("|")[1] for line in section.splitlines() if "|" in line))
    assert sorted(word.lower() for word in told) == sorted(INSTRUCTIONS)


def test_the_reference_lists_every_parameter_with_its_default_and_its_range() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (.*) \| (.*) \| (.*) \|$", DOCS["modelfile.md"], re.MULTILINE)
    defaults = Sampling()
    assert [name for name, *_ in rows] == list(RULES) == [item.name for item in fields(Options)]
    for name, about, default, values in rows:
        rule = RULES[name]
        assert about
        wanted = "a text" if rule.kind == "array" else rule.expected.removeprefix("write ").replace("one of ", "")
        assert values == wanted, name
        if isinstance(value := getattr(defaults, name, None), int | float):
            assert float(default) == value, name
    for name in DEPRECATED:
        assert f"`{name}`" in DOCS["modelfile.md"]


def test_the_modelfiles_in_the_documents_are_read() -> None:
    found = [block for text in DOCS.values() for block in re.findall(r"```dockerfile\n(.*?)```", text, re.DOTALL)]
    assert found
    for text in found:
        parse_modelfile(text)


def test_the_exposure_that_is_told_is_that_of_the_unit(tmp_path: Path) -> None:
    told = re.search(r"an exposure of ([\d.]+) of 10", DOCS["service.md"])
    assert told
    command = ("/usr/local/bin/ollamapy", "serve")
    system = Installation(command, (), {}, Path("/root"), Path("/root/.config"), is_system=True)
    for file in plan_units(system).files:
        (tmp_path / file.path.name).write_text(file.text)
    words = ["systemd-analyze", "security", "--offline=true", str(tmp_path / "ollamapy.service")]
    try:
        done = subprocess.run(words, capture_output=True, text=True)
    except FileNotFoundError:
        skip_or_fail("no systemd-analyze")
    found = re.search(r"exposure level for ollamapy.service: ([\d.]+)", done.stdout)
    assert found
    assert found[1] == told[1]


# ---- what they show


class Shell:
    """A machine as a reader of the documents has it: a home, a folder with files, `ollamapy` on the PATH.

    The ports that documents name stand for free ones here.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "work"
        self.home = folder / "home"
        self.ports: dict[str, int] = {}
        programs = folder / "bin"
        for made in (self.folder, self.home, programs, self.folder / "full"):
            made.mkdir()
        program = programs / "ollamapy"
        program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m ollamapy "$@"\n')
        program.chmod(0o755)
        weights = CHECKOUT / "modelfiles" / "wren" / "wren-q8_0.gguf"
        (self.folder / "model.gguf").symlink_to(weights)
        (self.folder / "Modelfile").write_text("FROM ./model.gguf\n")
        (self.folder / "notes.txt").write_text("The wren is a small bird.\n")
        self.environ = {
            "PATH": f"{programs}:{os.environ['PATH']}",
            "HOME": str(self.home),
            "PYTHONPATH": str(CHECKOUT),
            "PYTHONDONTWRITEBYTECODE": "1",
            "OLLAMA_HOST": self.with_ports("127.0.0.1:11434"),
            "OLLAMAPY_OFFLINE": "1",
        }
        self.daemon = self.serve("ollamapy serve")

    def with_ports(self, text: str) -> str:
        return re.sub(r"(?<=:)(11434|115\d\d)\b", lambda match: str(self.port(match[0])), text)

    def port(self, told: str) -> int:
        if told not in self.ports:
            with socket.create_server(("127.0.0.1", 0)) as listener:
                self.ports[told] = int(listener.getsockname()[1])
        return self.ports[told]

    def __call__(self, command: str) -> str:
        """Run a command to its end, or to where a daemon answers; returns its output."""
        if command.endswith("ollamapy serve"):
            host = "" if "OLLAMA_HOST=" in command else "OLLAMA_HOST=127.0.0.1:11599 "
            process = self.serve(f"{host}{command}")
            self.end(process)
            return ""
        done = subprocess.run(
            ["bash", "-euc", self.with_ports(command)],
            cwd=self.folder, env=self.environ, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120,
        )  # fmt: skip
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
        return done.stdout

    def serve(self, command: str) -> subprocess.Popen[bytes]:
        """Start a daemon as the command says and wait until it answers."""
        command = re.sub(r"=/media/\S+", f"={self.folder}/stick", self.with_ports(command))
        host = re.search(r"OLLAMA_HOST=(\S+)", command)
        words = ["bash", "-euc", command.replace("ollamapy serve", "exec ollamapy serve")]
        with (self.folder / "serve.log").open("ab") as log:
            process = subprocess.Popen(words, cwd=self.folder, env=self.environ, stdout=log, stderr=log)
        address = host[1] if host else self.environ["OLLAMA_HOST"]
        wait_for_health(address, process, self.folder / "serve.log")
        return process

    def end(self, process: subprocess.Popen[bytes]) -> None:
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0


def wait_for_health(address: str, process: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(600):
        assert process.poll() is None, log.read_text()
        with suppress(OSError), urllib.request.urlopen(f"http://{address}/health", timeout=10):
            return
        time.sleep(0.05)
    process.kill()
    raise AssertionError(log.read_text())


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    shell = Shell(tmp_path)
    yield shell
    shell.end(shell.daemon)


def test_what_is_not_run_stands_in_the_documents() -> None:
    shown = {command for name in RUN_HERE for command in COMMANDS_OF[name]}
    assert set(NOT_RUN) - shown == set()


@pytest.mark.model
@pytest.mark.parametrize("name", [name for name in RUN_HERE if set(COMMANDS_OF[name]) - set(NOT_RUN)])
def test_every_command_that_is_shown_runs(shell: Shell, name: str, request: pytest.FixtureRequest) -> None:
    for command in COMMANDS_OF[name]:
        if "full/Modelfile" in command:  # a model that is not quantized yet
            weights = request.getfixturevalue("shared_models") / "gguf" / "stories260K-wide256-f16.gguf"
            (shell.folder / "full" / "Modelfile").write_text(f"FROM {weights.resolve()}\n")
        if command not in NOT_RUN:
            shell(command)


def test_the_readme_names_routes_that_exist() -> None:
    rows = re.findall(r"^\| (`(?:GET|POST|HEAD).*?) \|", DOCS["README.md"], re.MULTILINE)
    named = re.findall(r"/[a-z0-9_/:]*", " ".join(rows))
    known = {re.sub(r"\{(\w+)\}", r":\1", operation.path) for operation in OPERATIONS}
    assert named
    assert set(named) - known == set()


# ---- samples


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
def test_every_sample_teaches(path: Path) -> None:
    text = path.read_text()
    assert parse_modelfile(text).warnings == ()
    comments = [line for line in text.splitlines() if line.startswith("#")]
    assert len(comments) >= 5
    assert f"ollamapy create {path.stem} -f {path.name}" in text
    assert max(map(len, text.splitlines())) <= 120


@pytest.mark.model
def test_every_sample_is_created_and_answers(shell: Shell) -> None:
    for path in SAMPLES:
        bundled = "wren-embed" if path.stem == "embedder" else "wren"
        text = re.sub(r"^FROM .*$", f"FROM {bundled}", path.read_text(), flags=re.MULTILINE)
        (shell.folder / path.name).write_text(text)
        shell(f"ollamapy create {path.stem} -f {path.name}")
        if path.stem == "embedder":
            assert len(json.loads(shell(f"ollamapy embed {path.stem} 'one text'"))) > 100
        else:
            shown = parse_modelfile(shell(f"ollamapy show {path.stem} --modelfile"))
            wanted = parse_modelfile(text)
            assert (shown.system, shown.messages) == (wanted.system, wanted.messages)
            ours, theirs = (options_to_json(options_from_parameters(m.parameters)) for m in (wanted, shown))
            assert ours.items() <= theirs.items()
            assert shell(f"ollamapy run {path.stem} 'Hello!' --think=false -o num_predict=20")
