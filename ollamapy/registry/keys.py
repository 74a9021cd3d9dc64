"""The ed25519 key by which Ollama's registry knows a user: read or made, and what it signs. Home of cryptography.

Imported when a key is needed: few daemons ever need one, and cryptography takes 8 MB.

Source: the OpenSSH private key format; Ollama's `auth` package for the shape of a signature.
"""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_ssh_private_key,
)

from ollamapy.errors import UnauthorizedError

MAX_KEY_BYTES = 64 << 10
_EMPTY_BODY = base64.b64encode(hashlib.sha256(b"").hexdigest().encode()).decode()


class SigningKey:
    """A user's private key; only signatures and its public half leave it."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key

    def __repr__(self) -> str:
        return f"<SigningKey {self.public_text}>"

    @property
    def public_text(self) -> str:
        """The public half as a line of OpenSSH: `ssh-ed25519 AAAA…`."""
        return self._key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()

    def authorization(self, url: str) -> str:
        """Return the header's value for a GET of this URL: the public half and a signature, both in base64."""
        signature = self._key.sign(f"GET,{url},{_EMPTY_BODY}".encode())
        return f"{self.public_text.split(' ')[1]}:{base64.b64encode(signature).decode()}"


def load_key(files: Sequence[Path]) -> SigningKey:
    """Return the key of the first of these files that is there, and make it in the last one where none is; blocks.

    Raises UnauthorizedError for a file that can't be read or holds no such key.
    """
    for path in files:
        try:
            with path.open("rb") as file:
                return _parse_key(path, file.read(MAX_KEY_BYTES))
        except FileNotFoundError:
            continue
        except OSError as exc:
            raise _unusable(path, (exc.strerror or "unknown error").lower()) from exc
    if not files:
        raise UnauthorizedError("there is no folder for a key of this user; set HOME for the daemon")
    return make_key(files[-1])


def make_key(path: Path) -> SigningKey:
    """Make a key that its owner alone can read, with its public half beside it; blocks. Raises UnauthorizedError."""
    key = Ed25519PrivateKey.generate()
    made = SigningKey(key)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with os.fdopen(file, "wb") as private:
            private.write(key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()))
        path.with_suffix(".pub").write_text(made.public_text + "\n", "utf-8")
    except FileExistsError as exc:
        if not path.is_file():  # a link that leads nowhere, for example
            raise _unusable(path, "it is no file") from exc
        return load_key([path])  # another process was faster
    except OSError as exc:
        raise _unusable(path, (exc.strerror or "unknown error").lower()) from exc
    return made


def _parse_key(path: Path, data: bytes) -> SigningKey:
    try:
        key = load_ssh_private_key(data, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as exc:
        raise _unusable(path, "it is not an OpenSSH key without a passphrase") from exc
    if not isinstance(key, Ed25519PrivateKey):
        raise _unusable(path, "it is not an ed25519 key")
    return SigningKey(key)


def _unusable(path: Path, why: str) -> UnauthorizedError:
    return UnauthorizedError(f"unauthorized: the key {path.parent.name}/{path.name} can't be used: {why}")
