"""The file that `login` keeps: who can read it, and what of it counts."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from ollamapy.errors import ConfigError
from ollamapy.registry import Credential, CredentialsFile


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ollamapy" / "credentials.json"


def test_what_is_kept_is_found_again_and_its_owner_alone_can_read_it(path: Path) -> None:
    kept = CredentialsFile(path)
    kept.put("Reg.Example:5000", Credential("me", "pä ss\"'"))
    kept.put("hf.co", Credential(token="abc"))
    assert CredentialsFile(path).find("reg.example:5000") == Credential("me", "pä ss\"'")
    assert CredentialsFile(path).find("hf.co") == Credential(token="abc")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(path.parent.iterdir()) == [path]


def test_a_credential_is_replaced_and_forgotten(path: Path) -> None:
    kept = CredentialsFile(path)
    kept.put("a", Credential("me", "1"))
    kept.put("a", Credential("me", "2"))
    assert kept.find("a") == Credential("me", "2")
    assert kept.remove("A")
    assert not kept.remove("a")
    assert kept.find("a") is None
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_without_a_file_nobody_is_logged_in(path: Path) -> None:
    assert CredentialsFile(path).find("a") is None
    assert CredentialsFile(None).find("a") is None
    with pytest.raises(ConfigError, match="set HOME"):
        CredentialsFile(None).put("a", Credential("me"))


def test_a_file_that_others_can_read_is_refused(path: Path) -> None:
    CredentialsFile(path).put("a", Credential("me", "secret"))
    path.chmod(0o640)
    with pytest.raises(ConfigError, match=r"credentials.json: other users may read this file; `chmod 600`"):
        CredentialsFile(path).find("a")


@pytest.mark.parametrize("content", [b"", b"[]", b'{"a": 5}', b"\xff", b'{"a":' * 10_000])
def test_a_damaged_file_is_told_without_quoting_it(path: Path, content: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(ConfigError, match=r"is damaged; remove it and log in again"):
        CredentialsFile(path).find("a")


def test_a_secret_is_not_in_the_text_of_a_credential() -> None:
    assert "secret" not in repr(Credential("me", "secret", "secret"))
