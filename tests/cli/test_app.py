"""The command as a process: what is printed where, and how it exits."""

from __future__ import annotations

import json
import signal
import subprocess
import sys

import pytest

from ollamapy.cli.app import ALIASES, COMMANDS
from tests.cli.conftest import Command
from tests.fakes.ollama_api import FakeOllama

MISSING = "model 'nope' not found; `ollamapy list` shows the models that there are"
HEAVY = (
    "typer", "rich", "prompt_toolkit", "wcwidth", "httpx", "starlette", "uvicorn", "jinja2", "numpy", "llama_cpp",
    "gguf", "asyncio",
)  # fmt: skip


@pytest.mark.parametrize("words", [(), ("help",), ("-h",), ("--help",), ("help", "--help")], ids=str)
def test_the_overview_names_every_command(ollamapy: Command, words: tuple[str, ...]) -> None:
    done = ollamapy(*words)
    assert (done.returncode, done.stderr) == (0, "")
    assert all(f"  {name} " in done.stdout for name in COMMANDS)


def test_every_command_has_help(ollamapy: Command) -> None:
    for name in [*COMMANDS, *ALIASES]:
        done = ollamapy("help", name)
        assert (done.returncode, done.stderr) == (0, ""), name
        assert "Usage:" in done.stdout
    assert "OLLAMA_HOST" in ollamapy("list", "--help").stdout


def test_help_is_about_one_command(ollamapy: Command) -> None:
    done = ollamapy("help", "run", "stop")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == 'Error: help takes one command, and "stop" is one more; `ollamapy help` lists the commands\n'


def test_an_unknown_command_or_option_is_a_usage_error(ollamapy: Command) -> None:
    unknown = ollamapy("lst")
    assert (unknown.returncode, unknown.stdout) == (2, "")
    assert unknown.stderr == 'Error: unknown command "lst" for "ollamapy"; `ollamapy help` lists the commands\n'
    option = ollamapy("list", "--nope")
    assert (option.returncode, option.stdout) == (2, "")
    assert option.stderr.startswith("Error: unrecognized arguments: --nope;")


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("config", "action (show, check, path)"),
        ("service", "action (install, start, stop, restart, status, logs, uninstall)"),
        ("completion", "SHELL (bash, zsh, fish)"),
        ("show", "MODEL"),
    ],
)
def test_a_word_that_is_missing_is_told_with_its_choices(ollamapy: Command, name: str, told: str) -> None:
    done = ollamapy(name)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (f"Error: the following arguments are required: {told}; `ollamapy help {name}` tells more\n")


def test_a_bad_setting_names_its_variable(ollamapy: Command) -> None:
    done = ollamapy("list", OLLAMA_KEEP_ALIVE="soon")
    assert done.returncode == 2
    assert done.stderr.startswith("Error: OLLAMA_KEEP_ALIVE: ")


def test_list_shows_a_table(ollamapy: Command) -> None:
    done = ollamapy("ls")
    lines = done.stdout.splitlines()
    assert (done.returncode, done.stderr) == (0, "")
    assert lines[0] == "NAME              ID              SIZE      MODIFIED"
    assert lines[1].startswith("wren:latest       d455d9d34d46    2.0 GB    ")
    assert len(lines) == 3


def test_list_can_be_cut_to_a_prefix_and_printed_as_json(ollamapy: Command) -> None:
    done = ollamapy("list", "WR", "--json")
    assert [model["name"] for model in json.loads(done.stdout)["models"]] == ["wren:latest"]


def test_list_loads_no_heavy_library(ollamapy: Command) -> None:
    program = (
        "import sys; from ollamapy.cli.app import run_command; code = run_command(['list']); "
        f"print(code, [name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], env=ollamapy.environ, cwd=ollamapy.checkout, capture_output=True, text=True
    )
    assert done.stdout.splitlines()[-1] == "0 []"


def test_ps_shows_where_a_model_runs_and_until_when(ollamapy: Command, fake: FakeOllama) -> None:
    assert ollamapy("ps").stdout == "NAME    ID    SIZE    PROCESSOR    CONTEXT    UNTIL\n"
    details = {"parent_model": "", "format": "gguf", "family": "llama", "families": None, "parameter_size": "",
               "quantization_level": ""}  # fmt: skip
    loaded = {"name": "wren:latest", "model": "wren:latest", "size": 8_000_000, "digest": "ab" * 32, "details": details,
              "expires_at": "2318-01-01T00:00:00Z", "size_vram": 0, "context_length": 2048}  # fmt: skip
    fake.loaded = [loaded, {**loaded, "name": "old", "expires_at": "2020-01-01T00:00:00Z", "size_vram": 8_000_000}]
    lines = ollamapy("ps").stdout.splitlines()
    assert lines[1].split("    ") == ["wren:latest", "abababababab", "8 MB", "100% CPU", " 2048", "   Forever"]
    assert lines[2].endswith("100% GPU     2048       Stopping...")
    assert json.loads(ollamapy("ps", "old", "--json").stdout)["models"][0]["name"] == "old"


def test_models_are_copied_stopped_and_removed(ollamapy: Command, fake: FakeOllama) -> None:
    assert ollamapy("cp", "wren:latest", "bird").stdout == "copied 'wren:latest' to 'bird'\n"
    assert ollamapy("stop", "bird").returncode == 0
    assert fake.body("/api/generate") == {"model": "bird", "keep_alive": 0, "stream": False}
    done = ollamapy("rm", "bird", "wren:latest")
    assert done.stdout == "deleted 'bird'\ndeleted 'wren:latest'\n"
    assert list(fake.models) == ["thinker:latest"]


def test_what_can_not_be_removed_is_told_and_the_rest_removed(ollamapy: Command, fake: FakeOllama) -> None:
    done = ollamapy("rm", "gone", "wren:latest", "nope", "thinker:latest")
    assert (done.returncode, done.stdout) == (3, "deleted 'wren:latest'\ndeleted 'thinker:latest'\n")
    assert done.stderr == f"Error: {MISSING.replace('nope', 'gone')}\nError: {MISSING}\n"
    assert fake.models == {}


def test_a_missing_model_is_told_with_its_own_exit_code(ollamapy: Command) -> None:
    for words, message in {
        ("stop", "nope"): MISSING,
        ("rm", "nope"): MISSING,
        ("cp", "nope", "b"): MISSING,
        ("show", "nope"): MISSING,
    }.items():
        done = ollamapy(*words)
        assert (done.returncode, done.stdout, done.stderr) == (3, "", f"Error: {message}\n"), words


def test_a_model_that_is_nowhere_can_not_be_run(ollamapy: Command) -> None:
    done = ollamapy("run", "nope", "hi")
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr == (
        "pulling manifest\nError: model 'nope' not found; `ollamapy list` shows the models that there are "
        "(pull model manifest: file does not exist)\n"
    )


def test_a_model_whose_name_resembles_another_is_told_of_it(ollamapy: Command) -> None:
    for name, meant in {"wern": "wren", "wren-embd": "wren-embed"}.items():
        done = ollamapy("run", name, "hi")
        assert done.returncode == 3
        assert f"model '{name}' is not here; did you mean {meant}?\n" in done.stderr


def test_a_model_that_is_missing_is_pulled_and_run(ollamapy: Command, fake: FakeOllama) -> None:
    fake.remote.add("far")
    done = ollamapy("run", "far", "hello there")
    assert (done.returncode, done.stdout) == (0, "hello there \n")
    assert done.stderr == "pulling manifest\npulling 0123456789ab\nsuccess\n"


def test_a_pull_is_told_in_words_or_in_lines_of_json(ollamapy: Command, fake: FakeOllama) -> None:
    fake.remote.add("far")
    assert ollamapy("pull", "far").stderr == "pulling manifest\npulling 0123456789ab\nsuccess\n"
    assert fake.body("/api/pull") == {"model": "far", "insecure": False}
    lines = ollamapy("pull", "far", "--json", "--insecure").stdout.splitlines()
    assert lines[0] == '{"status":"pulling manifest"}'
    assert lines[-1] == '{"status":"success"}'
    assert fake.body("/api/pull") == {"model": "far", "insecure": True}
    failed = ollamapy("pull", "nope")
    assert (failed.returncode, failed.stderr) == (
        8,
        "pulling manifest\nError: pull model manifest: file does not exist\n",
    )


def test_an_update_goes_on_after_a_model_that_fails(ollamapy: Command, fake: FakeOllama) -> None:
    fake.remote.add("thinker:latest")
    fake.states = {"thinker:latest": "newer", "wren:latest": "newer"}
    done = ollamapy("update", "--all")
    assert (done.returncode, done.stdout) == (8, "updated thinker:latest\n")
    assert done.stderr.endswith("Error: could not update wren:latest\n")
    assert fake.body("/api/update")["only_pulled"]
    assert ollamapy("update").returncode == 2


def test_an_update_pulls_nothing_that_is_not_newer(ollamapy: Command, fake: FakeOllama) -> None:
    fake.states = {"thinker:latest": "local", "wren:latest": "absent"}
    done = ollamapy("update", "--all")
    assert (done.returncode, done.stdout, done.stderr) == (0, "nothing is newer\n", "")
    named = ollamapy("update", "wren:latest")
    assert (named.returncode, named.stdout) == (9, "")
    assert named.stderr == "Error: wren:latest is not in its registry\nError: could not update wren:latest\n"
    assert all(path != "/api/pull" for _, path, _, _ in fake.requests)


def test_an_update_tells_what_comes_with_ollamapy(ollamapy: Command, fake: FakeOllama) -> None:
    fake.states = {"wren:latest": "local"}
    done = ollamapy("update", "wren:latest")
    assert (done.returncode, done.stdout) == (0, "nothing is newer\n")
    assert done.stderr == "wren:latest comes with ollamapy; no registry is asked for it\n"
    checked = ollamapy("update", "--check", "wren:latest").stdout.splitlines()
    assert checked[1].split(maxsplit=1) == ["wren:latest", "comes with ollamapy"]
    assert ollamapy("update", "--check", "--all").stdout.splitlines()[1:] == ["thinker:latest    up to date"]


def test_an_update_that_no_registry_answers_has_a_registrys_code(ollamapy: Command, fake: FakeOllama) -> None:
    fake.unreachable.add("wren:latest")
    done = ollamapy("update", "wren:latest", "thinker:latest")
    assert (done.returncode, done.stdout) == (9, "")
    assert done.stderr == "Error: wren:latest: the registry can't be reached\nError: could not update wren:latest\n"


def test_a_check_tells_what_is_newer_and_pulls_nothing(ollamapy: Command, fake: FakeOllama) -> None:
    fake.states = {"wren:latest": "newer"}
    done = ollamapy("update", "--check", "wren:latest", "thinker:latest")
    assert (done.returncode, done.stdout.split("\n")) == (
        0,
        ["NAME              STATE", "wren:latest       a newer version is there", "thinker:latest    up to date", ""],
    )
    assert ollamapy("update", "--check", "nope").returncode == 3
    assert all(path != "/api/pull" for _, path, _, _ in fake.requests)


def test_the_key_of_the_environment_is_sent(ollamapy: Command, fake: FakeOllama) -> None:
    fake.api_key = "secret"
    assert ollamapy("list", OLLAMA_API_KEY="secret").returncode == 0
    refused = ollamapy("list")
    assert (refused.returncode, refused.stderr) == (4, "Error: unauthorized\n")


def test_the_version_is_told_and_a_daemon_of_another_one_named(ollamapy: Command, fake: FakeOllama) -> None:
    assert ollamapy("-v").stdout == "ollamapy version is 0.1.0 (Ollama API 0.33.0)\n"
    assert ollamapy("--version").stderr == ""
    fake.version = {"version": "0.40.1"}
    assert ollamapy("-v").stderr == f"Warning: the daemon at {fake.base_url} is Ollama 0.40.1\n"
    alone = ollamapy("-v", OLLAMA_HOST="127.0.0.1:1")
    assert (alone.returncode, alone.stderr) == (0, "Warning: could not connect to a running ollamapy daemon\n")


def test_an_interrupt_exits_with_130(ollamapy: Command, fake: FakeOllama) -> None:
    process = ollamapy.start("run", "wren:latest", "endless")
    assert process.stdout is not None
    assert process.stdout.read(5) == "more "
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (130, "")
    assert out.endswith("\n")
    assert fake.client_left.wait(20)


def test_a_reader_that_goes_away_is_no_stack_trace(ollamapy: Command) -> None:
    process = ollamapy.start("run", "wren:latest", "endless")
    assert process.stdout is not None
    assert process.stderr is not None
    assert process.stdout.read(5) == "more "
    process.stdout.close()
    assert process.stderr.read() == ""
    assert process.wait(60) == 141


def test_the_files_of_a_service_can_be_had_as_json(ollamapy: Command) -> None:
    files = json.loads(ollamapy("service", "install", "--dry-run", "--json").stdout)["files"]
    plain = ollamapy("service", "install", "--dry-run").stdout
    assert plain == "".join(f"# {file['path']}\n{file['text']}\n" for file in files)
    assert len(files) >= 1
