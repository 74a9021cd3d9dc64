"""`ollamapy login` and `logout`: what is asked, kept and told; nothing secret is ever echoed."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from tests.cli.conftest import Command
from tests.fakes.registry import FakeRegistry, Puller, fake_registry, plain

SECRET = "hunter2-hunter2"
WEIGHTS = b"GGUF weights"


@pytest.fixture
def registry():
    with fake_registry() as registry:
        registry.add("me/tiny:latest", WEIGHTS)

        def bend(request: Request, answer: Response) -> Response:
            if request.url.path == "/api/whoami-v2":
                return JSONResponse({}, 200 if request.headers.get("authorization") == f"Bearer {SECRET}" else 401)
            if request.headers.get("authorization") == "Basic bWU6aHVudGVyMi1odW50ZXIy":
                return JSONResponse({}) if request.url.path == "/v2/" else answer
            return JSONResponse({}, 401, {"www-authenticate": 'Basic realm="x"'})

        registry.bend = bend
        yield registry


@pytest.fixture
def command(checkout: Path, tmp_path: Path, registry: FakeRegistry) -> Command:
    made = Command(checkout, tmp_path, "127.0.0.1:1")
    made.environ |= {"OLLAMAPY_OFFLINE": "0", "OLLAMAPY_REGISTRIES": registry.base_url}
    return made


def kept_by(command: Command) -> Path:
    return command.home / ".config" / "ollamapy" / "credentials.json"


def test_a_login_is_checked_kept_and_used(command: Command, registry: FakeRegistry, tmp_path: Path) -> None:
    done = command("login", registry.host, "--username", "me", "--password-stdin", stdin=SECRET + "\n")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"logged in to {registry.host}\n", "")
    kept = kept_by(command)
    assert json.loads(kept.read_text()) == {registry.host: {"username": "me", "password": SECRET}}
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    puller = Puller(tmp_path, plain(registry), credentials_file=kept)
    assert puller.pull(f"{registry.host}/me/tiny")[-1].status == "success"


def test_a_registry_may_be_given_by_its_address(command: Command, registry: FakeRegistry) -> None:
    words = ("--username", "me", "--password-stdin")
    done = command("login", registry.base_url + "/", *words, stdin=SECRET)
    assert (done.returncode, done.stdout) == (0, f"logged in to {registry.host}\n")
    assert command("logout", registry.base_url.upper()).stdout == f"logged out of {registry.host}\n"


def test_a_wrong_password_is_told_and_not_kept(command: Command, registry: FakeRegistry) -> None:
    done = command("login", registry.host, "--username", "me", "--password-stdin", stdin="wrong-secret")
    assert (done.returncode, done.stderr) == (9, "Error: unauthorized: access denied\n")
    assert not kept_by(command).exists()


def test_a_token_of_hugging_face_is_checked_and_kept(command: Command, registry: FakeRegistry) -> None:
    endpoint = {"HF_ENDPOINT": registry.base_url}
    done = command("login", "huggingface.co", stdin=SECRET, **endpoint)
    assert (done.returncode, done.stdout) == (0, "logged in to huggingface.co\n")
    assert json.loads(kept_by(command).read_text()) == {"hf.co": {"token": SECRET}}
    assert command("login", "hf.co", stdin="wrong", **endpoint).returncode == 9


def test_a_logout_forgets_the_registry_alone(command: Command, registry: FakeRegistry) -> None:
    command("login", registry.host, "--username", "me", "--password-stdin", stdin=SECRET)
    done = command("logout", registry.host)
    assert (done.returncode, done.stdout) == (0, f"logged out of {registry.host}\n")
    assert json.loads(kept_by(command).read_text()) == {}
    again = command("logout", registry.host)
    assert (again.returncode, again.stderr) == (3, f"Error: nobody is logged in to {registry.host}\n")


def test_ollamas_registry_gets_a_key_that_is_shown(command: Command) -> None:
    first, second = command("login"), command("login")
    assert first.returncode == 0
    assert first.stdout == second.stdout
    public = first.stdout.splitlines()[-1]
    assert public.startswith("ssh-ed25519 AAAA")
    folder = command.home / ".config" / "ollamapy"
    assert (folder / "id_ed25519.pub").read_text().strip() == public
    assert stat.S_IMODE((folder / "id_ed25519").stat().st_mode) == 0o600


def test_a_registry_that_is_not_configured_is_told(command: Command) -> None:
    done = command("login", "evil.example", "--username", "me", "--password-stdin", stdin=SECRET)
    assert done.returncode == 2
    assert "is not configured" in done.stderr
    assert SECRET not in done.stderr + done.stdout


@pytest.mark.parametrize(("host", "told"), [("", "is empty"), ("evil.example", "is not configured")])
def test_a_registry_that_is_none_is_told_before_anything_is_asked(command: Command, host: str, told: str) -> None:
    done = command("login", host)
    assert done.returncode == 2
    assert told in done.stderr


def test_nothing_is_asked_where_no_registry_may_be(command: Command) -> None:
    done = command("login", "hf.co", OLLAMAPY_OFFLINE="1")
    assert "stays offline" in done.stderr


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--password-stdin"], "give --username"),
        (["--username", "me", "--password-stdin"], "no password or token was given"),
        (["--password-stdin", "--token-stdin"], "exclude each other"),
    ],
)
def test_what_lacks_is_told(command: Command, registry: FakeRegistry, words: list[str], told: str) -> None:
    done = command("login", registry.host, *words, stdin="")
    assert done.returncode == 2
    assert told in done.stderr


def test_a_registry_that_asks_for_nothing_is_told(command: Command, registry: FakeRegistry) -> None:
    registry.bend = lambda _request, _answer: JSONResponse({})
    done = command("login", registry.host, "--username", "me", "--password-stdin", stdin=SECRET)
    assert (done.returncode, done.stderr) == (
        0,
        f"{registry.host} asks nobody for credentials, so they could not be checked\n",
    )
