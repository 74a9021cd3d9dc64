"""`ollamapy doctor` on machines that are well and on others."""

from __future__ import annotations

import json
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ollamapy.cli.checks import check_hardware, holder_words
from tests.cli.conftest import Command
from tests.fakes.ollama_api import FakeOllama
from tests.server.conftest import running

pytestmark = pytest.mark.model
Doctor = Callable[..., tuple[int, list[dict[str, Any]]]]


@pytest.fixture
def doctor(checkout: Path, tmp_path: Path) -> Doctor:
    """Runs the command; returns its exit code and what it found."""

    def run(*words: str, host: str = "127.0.0.1:9", **environ: str) -> tuple[int, list[dict[str, Any]]]:
        command = Command(checkout, tmp_path, host)
        done = command("doctor", "--json", *words, OLLAMA_MODELS=str(tmp_path / "models"), **environ)
        return done.returncode, json.loads(done.stdout)

    return run


def of(findings: list[dict[str, Any]], subject: str) -> list[tuple[str, str]]:
    return [(found["state"], found["text"]) for found in findings if found["subject"] == subject]


def test_a_machine_that_is_well_has_no_problem(doctor: Doctor) -> None:
    code, findings = doctor()
    assert code == 0, findings
    assert {found["state"] for found in findings} <= {"ok", "warning"}
    assert {"versions", "settings", "processor", "device", "daemon", "store"} <= {
        found["subject"] for found in findings
    }
    assert all(found["remedy"] for found in findings if found["state"] != "ok")


def test_another_program_on_the_port_is_named(doctor: Doctor) -> None:
    words = ["python3", "-u", "-m", "http.server", "--bind", "127.0.0.1", "0"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        port = int(other.stdout.readline().split("port ")[1].split()[0])
        code, findings = doctor(host=f"127.0.0.1:{port}")
        other.kill()
    assert code != 0
    ((state, text),) = of(findings, "daemon")
    assert state == "problem"
    assert f"process {other.pid}: " in text
    assert "http.server" in text


def test_ollama_on_the_port_is_told_by_its_name(doctor: Doctor, fake: FakeOllama) -> None:
    fake.version = {"version": "0.12.6"}
    code, findings = doctor(host=fake.base_url.removeprefix("http://"))
    ((state, text),) = of(findings, "daemon")
    assert (code, state) == (0, "warning")
    assert text.startswith("Ollama 0.12.6 serves ")


def test_a_daemon_that_wants_a_key_does_not_end_the_search(doctor: Doctor, fake: FakeOllama) -> None:
    fake.api_key = "right"
    host = fake.base_url.removeprefix("http://")
    code, findings = doctor(host=host)
    assert (code, [state for state, _ in of(findings, "daemon")]) == (8, ["problem"])
    assert of(findings, "store")
    assert doctor(host=host, OLLAMA_API_KEY="right")[0] == 0


def test_a_running_daemon_is_recognised(doctor: Doctor, tmp_path: Path) -> None:
    with running(tmp_path) as daemon:
        _, findings = doctor(host=daemon.client.base_url.netloc.decode())
    ((state, text),) = of(findings, "daemon")
    assert (state, text.startswith("serves http://127.0.0.1")) == ("ok", True)


def test_a_bad_setting_and_an_unknown_one_are_told(doctor: Doctor) -> None:
    code, findings = doctor(OLLAMA_KEEP_ALIVE="soon", OLLAMA_KEEP_ALIF="5m")
    assert code != 0
    states = [state for state, _ in of(findings, "settings")]
    assert sorted(states) == ["problem", "warning"]
    assert any("OLLAMA_KEEP_ALIVE" in text for _, text in of(findings, "settings"))


def test_a_store_that_can_not_be_written_is_told(doctor: Doctor, tmp_path: Path) -> None:
    (tmp_path / "models").write_text("a file where a folder should be")
    code, findings = doctor()
    assert code != 0
    ((state, _),) = of(findings, "store")
    assert state == "problem"


def test_a_flipped_byte_is_found_by_reading_everything(doctor: Doctor, tmp_path: Path) -> None:
    with running(tmp_path) as daemon:
        daemon.lines("/api/create", {"model": "mine", "from": "wren", "system": "Be brief."})
    assert doctor("--verify")[0] == 0
    blob = max((tmp_path / "models" / "blobs").iterdir(), key=lambda path: path.stat().st_size)
    with blob.open("r+b") as file:
        file.seek(-1, 2)
        last = file.read(1)
        file.seek(-1, 2)
        file.write(bytes([last[0] ^ 1]))
    assert doctor()[0] == 0
    code, findings = doctor("--verify")
    assert code != 0
    assert any("missing or damaged: sha256:" in text for _, text in of(findings, "store"))


def test_a_card_that_llama_cpp_can_not_use_is_told_with_the_command() -> None:
    found = [finding for finding in check_hardware(cards=lambda: ["0x10de", "0x8086"]) if finding.subject == "device"]
    assert [(finding.state, finding.remedy.split()[0:3]) for finding in found] == [
        ("warning", ["./install.sh", "--backend", "cuda"])
    ]


def test_a_port_that_nobody_has_has_no_holder() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    assert holder_words(port) == ""


def test_the_words_are_for_people_without_json(checkout: Path, tmp_path: Path) -> None:
    done = Command(checkout, tmp_path, "127.0.0.1:9")("doctor", OLLAMA_MODELS=str(tmp_path / "models"))
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0].startswith("ok versions   ollamapy ")
