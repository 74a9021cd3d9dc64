"""The service under a real systemd."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from ollamapy.service.records import Installation
from ollamapy.service.units import plan_units
from tests.conftest import skip_or_fail
from tests.service.conftest import UserSystemd

MOST_EXPOSURE = 3.0
INSTALLATION = Installation(
    command=("/usr/bin/true", "serve"),
    folders=(),
    environment={"OLLAMA_HOST": "127.0.0.1:11500", "HF_TOKEN": 'a "b" \\ c$d%e'},
    home=Path("/home/me"),
    config_home=Path("/home/me/.config"),
)


def test_an_installed_service_serves_and_comes_back_when_it_is_killed(systemd_of_a_user: UserSystemd) -> None:
    done = systemd_of_a_user("""
        $ollamapy service status
        $ollamapy service install
        $ollamapy service status --json
        ask /api/version; echo
        first=$(process)
        kill -9 "$first"
        until restarted "$first" && [ "$(state)" = active ]; do :; done
        ask /api/version >/dev/null && echo "back"
        $ollamapy service stop && state
        $ollamapy service start && state
        $ollamapy service restart && state
        $ollamapy service uninstall
        $ollamapy service status
        find "$HOME/.config" -type f
    """)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "service   not installed"
    assert '"state": "active (running)"' in done.stdout
    assert '"answers": true' in done.stdout
    assert '{"version":' in done.stdout.replace(" ", "")
    assert "back" in lines
    assert [line for line in lines if line in ("active", "inactive")] == ["inactive", "active", "active"]
    assert lines[-2] == "service   not installed"
    assert Path(lines[-1]).name == "service.env"  # settings stay, units do not
    assert "loginctl enable-linger" in done.stderr


def test_a_socket_starts_the_service_with_the_first_request(systemd_of_a_user: UserSystemd) -> None:
    done = systemd_of_a_user("""
        $ollamapy service install --socket
        state
        $ollamapy service status
        ask /api/version >/dev/null && state
        $ollamapy service stop && state
        ask /api/version || echo "nobody"
        $ollamapy service install
        state; find "$HOME/.config" -type f
    """)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert [line for line in lines if line in ("active", "inactive", "nobody")] == [
        "inactive", "active", "inactive", "nobody", "active",
    ]  # fmt: skip
    assert any("waiting for a request" in line for line in lines)
    assert sorted(Path(line).name for line in lines[-2:]) == ["ollamapy.service", "service.env"]


def test_a_daemon_that_can_not_start_is_told_with_the_way_to_its_log(systemd_of_a_user: UserSystemd) -> None:
    done = systemd_of_a_user("""
        OLLAMA_MODELS=/proc/none $ollamapy service install || echo "exit $?"
    """)
    assert "ollamapy service logs" in done.stderr
    assert "exit " in done.stdout


def test_stopping_the_service_lets_an_answer_end(systemd_of_a_user: UserSystemd) -> None:
    done = systemd_of_a_user("""
        $ollamapy service install
        body='{"model": "wren", "prompt": "What is ollamapy?", "options": {"num_predict": 40}}'
        curl --silent --no-buffer "http://$OLLAMA_HOST/api/generate" -d "$body" >"$HOME/answer" &
        answer=$!
        until [ -s "$HOME/answer" ]; do kill -0 $answer; done
        $ollamapy service stop
        wait $answer
        tail -n 1 "$HOME/answer"
    """)
    assert done.returncode == 0, done.stderr
    assert '"done":true' in done.stdout.splitlines()[-1]


def units(tmp_path: Path, installation: Installation) -> list[Path]:
    """The units of an installation, written to a folder."""
    shown = [file for file in plan_units(installation).files if not file.is_private]
    for file in shown:
        (tmp_path / file.path.name).write_text(file.text)
    return [tmp_path / file.path.name for file in shown]


@pytest.mark.parametrize("is_system", [False, True], ids=["user", "system"])
def test_the_units_are_valid(tmp_path: Path, is_system: bool) -> None:
    if shutil.which("systemd-analyze") is None:
        skip_or_fail("systemd-analyze is not installed")
    installation = replace(INSTALLATION, is_system=is_system, listen=("127.0.0.1:11434", "[::1]:11434"))
    environ = {"PATH": os.environ["PATH"], "XDG_RUNTIME_DIR": str(tmp_path)}
    words = ["systemd-analyze", "--system" if is_system else "--user", "verify", *units(tmp_path, installation)]
    done = subprocess.run(words, capture_output=True, text=True, env=environ)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_system_service_is_hardly_exposed(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        skip_or_fail("systemd-analyze is not installed")
    (path,) = units(tmp_path, replace(INSTALLATION, is_system=True))
    words = ["systemd-analyze", "security", "--offline=true", f"--threshold={MOST_EXPOSURE * 10:g}", path]
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    "line", ["NoNewPrivileges=yes", "ProtectSystem=strict", "PrivateTmp=yes", "ReadWritePaths=/srv/models"]
)
def test_the_system_service_is_confined(line: str) -> None:
    chosen = replace(INSTALLATION, is_system=True, environment={"OLLAMA_MODELS": "/srv/models"})
    assert line in plan_units(chosen).files[-1].text.splitlines()


def test_secrets_stand_in_a_file_for_the_owner_alone() -> None:
    settings, unit = plan_units(INSTALLATION).files
    assert settings.is_private
    assert r'HF_TOKEN="a \"b\" \\ c$d%e"' in settings.text
    assert "HF_TOKEN" not in unit.text
