"""The key by which Ollama's registry knows a user, and tokens that are asked for with it."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

from ollamapy.config import Registry
from ollamapy.errors import TransferError, UnauthorizedError
from ollamapy.registry.auth import stamped
from ollamapy.registry.keys import load_key, make_key
from ollamapy.registry.remotes import with_ollamas_key
from tests.conftest import skip_or_fail
from tests.fakes.ollama_registry import KeyExchange, verify
from tests.fakes.registry import FakeRegistry, Puller, fake_registry, plain

WEIGHTS = os.urandom(700_000)
URL = "https://registry.ollama.ai/token?nonce=n&service=s&ts=1"


def test_a_key_is_made_once_and_its_owner_alone_can_read_it(tmp_path: Path) -> None:
    path = tmp_path / "ollamapy" / "id_ed25519"
    made = load_key([tmp_path / "absent", path])
    assert load_key([tmp_path / "absent", path]).public_text == made.public_text
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.with_suffix(".pub").read_text() == made.public_text + "\n"
    assert not (tmp_path / "absent").exists()
    assert path.read_text().startswith("-----BEGIN OPENSSH PRIVATE KEY-----")


def test_the_key_that_ollama_made_comes_first(tmp_path: Path) -> None:
    ollamas = make_key(tmp_path / "ollama" / "id_ed25519")
    make_key(tmp_path / "own" / "id_ed25519")
    found = load_key([tmp_path / "ollama" / "id_ed25519", tmp_path / "own" / "id_ed25519"])
    assert found.public_text == ollamas.public_text


def test_a_key_of_openssh_is_read(tmp_path: Path) -> None:
    program = shutil.which("ssh-keygen")
    if program is None:
        skip_or_fail("ssh-keygen is not installed; it is in Debian's package openssh-client")
    subprocess.run([program, "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", tmp_path / "id_ed25519"], check=True)
    public = (tmp_path / "id_ed25519.pub").read_text().strip()
    assert load_key([tmp_path / "id_ed25519"]).public_text == public


@pytest.mark.parametrize("content", [b"", b"rubbish", b"-----BEGIN OPENSSH PRIVATE KEY-----\n\n"])
def test_a_file_that_is_no_key_is_named_and_not_replaced(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "id_ed25519"
    path.write_bytes(content)
    with pytest.raises(UnauthorizedError, match=r"/id_ed25519 can't be used: it is not an OpenSSH key"):
        load_key([path])
    assert path.read_bytes() == content


def test_a_link_is_not_written_through(tmp_path: Path) -> None:
    (tmp_path / "id_ed25519").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UnauthorizedError):
        load_key([tmp_path / "id_ed25519"])
    assert not (tmp_path / "elsewhere").exists()


def test_a_signature_is_of_the_whole_url(tmp_path: Path) -> None:
    key = make_key(tmp_path / "id_ed25519")
    public, _, signature = key.authorization(URL).partition(":")
    assert key.public_text == f"ssh-ed25519 {public}"
    assert verify(public, signature, URL)
    assert not verify(public, signature, URL + "0")


def test_what_is_signed_holds_the_moment_and_a_number_used_once() -> None:
    assert stamped("https://r/t?service=s&scope=a%3Ab", 12.9, "xyz") == (
        "https://r/t?nonce=xyz&scope=a%3Ab&service=s&ts=12"
    )
    assert stamped("https://r/t") != stamped("https://r/t")


def test_ollamas_own_registry_alone_gets_signatures_unasked() -> None:
    assert with_ollamas_key(Registry("registry.ollama.ai", "https://registry.ollama.ai")).ollama_key
    assert not with_ollamas_key(Registry("registry.ollama.ai", "https://mirror.example")).ollama_key
    assert not with_ollamas_key(Registry("reg.example", "https://reg.example")).ollama_key


@pytest.fixture
def registry():
    with fake_registry() as registry:
        registry.add("me/tiny:latest", WEIGHTS)
        yield registry


def puller(folder: Path, registry: FakeRegistry) -> Puller:
    return Puller(folder, plain(registry, ollama_key=True), key_files=(folder / "id_ed25519",))


def test_a_registry_that_knows_the_key_hands_out_tokens(registry: FakeRegistry, tmp_path: Path) -> None:
    exchange = KeyExchange(registry, make_key(tmp_path / "id_ed25519").public_text)
    assert puller(tmp_path, registry).pull(f"{registry.host}/me/tiny")[-1].status == "success"
    [query] = exchange.asked
    assert (query["service"], query["scope"]) == (["registry"], ["repository:me/tiny:pull"])
    assert query["ts"][0].isdecimal()
    assert len(query["nonce"][0]) >= 16


def test_a_token_that_ends_within_a_transfer_is_replaced(registry: FakeRegistry, tmp_path: Path) -> None:
    exchange = KeyExchange(registry, make_key(tmp_path / "id_ed25519").public_text, revoked_after=4)
    assert puller(tmp_path, registry).pull(f"{registry.host}/me/tiny")[-1].status == "success"
    first, second = exchange.asked
    assert first["nonce"] != second["nonce"]


def test_a_key_that_the_registry_does_not_know_is_told_after_one_try(registry: FakeRegistry, tmp_path: Path) -> None:
    exchange = KeyExchange(registry)
    with pytest.raises(UnauthorizedError, match="unauthorized: access denied"):
        puller(tmp_path, registry).pull(f"{registry.host}/me/tiny")
    assert len(exchange.asked) == 1


@pytest.mark.parametrize("realm", ["https://other.example/token", "http://127.0.0.1:1/token"])
def test_a_realm_elsewhere_gets_no_signature(registry: FakeRegistry, tmp_path: Path, realm: str) -> None:
    exchange = KeyExchange(registry, make_key(tmp_path / "id_ed25519").public_text)
    exchange.realm = realm
    with pytest.raises(TransferError, match=r'realm host ".*" does not match original host'):
        puller(tmp_path, registry).pull(f"{registry.host}/me/tiny")
    assert exchange.asked == []
