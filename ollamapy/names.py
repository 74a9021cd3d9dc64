"""Model names and blob digests: validated once here, so that a path made from one can't leave the store."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

from ollamapy.errors import InvalidDigestError, InvalidNameError

DEFAULT_HOST = "registry.ollama.ai"
DEFAULT_NAMESPACE = "library"
DEFAULT_TAG = "latest"
BUNDLED = ("wren", "wren-embed")
"""The models that come with the package: one to talk with, one for embeddings."""

_PARTS = {
    "host": (re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:-]{0,349}"), "1 to 350 of letters, digits, '_', '-', '.' and ':'"),
    "namespace": (re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,79}"), "1 to 80 of letters, digits, '_' and '-'"),
    "model": (re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,79}"), "1 to 80 of letters, digits, '_', '-' and '.'"),
    "tag": (re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,79}"), "1 to 80 of letters, digits, '_', '-' and '.'"),
}
_SCHEMES = ("http://", "https://")
_SOURCES = (":local", ":cloud")
_DIGEST = re.compile(r"sha256[:-]([0-9a-f]{64})")
_HEX = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, order=True)
class ModelName:
    """A complete model name; every part obeys the grammar, and a name that ends in a dot is none.

    Raises:
        InvalidNameError: a part is empty, too long, or holds a character that it may not.
    """

    host: str
    namespace: str
    model: str
    tag: str

    def __post_init__(self) -> None:
        for part, (pattern, allowed) in _PARTS.items():
            text = getattr(self, part)
            if not pattern.fullmatch(text) or text.endswith("."):
                raise InvalidNameError(
                    f"invalid model name: the {part} must be {allowed}, starting with a letter, digit or '_' "
                    "and not ending with '.'"
                )

    @classmethod
    def parse(cls, text: str) -> ModelName:
        """Read `[scheme://][host/][namespace/]model[:tag]`, with or without Ollama's `:local` at its end.

        Raises:
            InvalidNameError: the text is outside that grammar.
        """
        rest = _without_source(text.strip(" \t"))
        if not rest:
            raise InvalidNameError("invalid model name: it is empty; expected [host/][namespace/]model[:tag]")
        tag = DEFAULT_TAG
        if rest.rfind(":") > rest.rfind("/"):
            rest, _, tag = rest.rpartition(":")
        for scheme in _SCHEMES:
            rest = rest.removeprefix(scheme)
        parts = rest.split("/")
        if len(parts) > 3:
            raise InvalidNameError("invalid model name: too many '/'; expected [host/][namespace/]model[:tag]")
        defaults = [DEFAULT_HOST, DEFAULT_NAMESPACE]
        host, namespace, model = defaults[: 3 - len(parts)] + parts
        if len(parts) == 2 and _PARTS["host"][0].fullmatch(namespace) and {".", ":"} & set(namespace):
            raise InvalidNameError(
                f"invalid model name: {namespace} is a host, after which namespace/model has to come"
            )
        return cls(host, namespace, model, tag)

    def __str__(self) -> str:
        """Return the shortest name that means the same, always with its tag: `wren:latest`."""
        if self.host != DEFAULT_HOST:
            return self.full
        if self.namespace != DEFAULT_NAMESPACE:
            return f"{self.namespace}/{self.model}:{self.tag}"
        return f"{self.model}:{self.tag}"

    @property
    def full(self) -> str:
        """All four parts: `registry.ollama.ai/library/wren:latest`."""
        return f"{self.host}/{self.namespace}/{self.model}:{self.tag}"


def _without_source(text: str) -> str:
    """Strip a final `:local`; a name with two of Ollama's source suffixes is refused."""
    source = text[-6:].lower()
    if source in _SOURCES and text[-12:-6].lower() in _SOURCES:
        raise InvalidNameError("invalid model name: use either :local or :cloud, not both")
    return text[:-6] if source == ":local" else text


@dataclass(frozen=True, slots=True, order=True)
class Digest:
    """The sha256 of a blob as 64 lower-case hex digits."""

    hex: str

    def __post_init__(self) -> None:
        if not _HEX.fullmatch(self.hex):
            raise InvalidDigestError("invalid digest format: expected sha256: and 64 lower-case hex digits")

    @classmethod
    def parse(cls, text: str) -> Digest:
        """Read `sha256:<hex>` or `sha256-<hex>`; raises InvalidDigestError for anything else."""
        match = _DIGEST.fullmatch(text) if isinstance(text, str) else None
        return cls(match[1] if match else "")

    @classmethod
    def of(cls, data: bytes) -> Digest:
        """Return the digest of these bytes."""
        return cls(hashlib.sha256(data).hexdigest())

    def __str__(self) -> str:
        """Return `sha256:<hex>`."""
        return f"sha256:{self.hex}"
