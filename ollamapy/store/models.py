"""A manifest resolved into what is needed to show and to run its model.

Source: Ollama's media types and config JSON; layers of other types are carried along and not looked at.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import msgspec

from ollamapy.errors import BlobNotFoundError, ManifestError, OptionError, UnsupportedError
from ollamapy.gguf import Header, join_headers, read_header
from ollamapy.names import Digest, ModelName
from ollamapy.options import parse_options
from ollamapy.store.gojson import encode_go_json
from ollamapy.store.manifests import Layer, StoredManifest
from ollamapy.store.store import Store
from ollamapy.types import Json, Message, Options

_IMAGE = "application/vnd.ollama.image."
WEIGHTS_TYPE = _IMAGE + "model"
PROJECTOR_TYPE = _IMAGE + "projector"
ADAPTER_TYPE = _IMAGE + "adapter"
DRAFT_TYPE = _IMAGE + "draft"
TEMPLATE_TYPE = _IMAGE + "template"
PROMPT_TYPE = _IMAGE + "prompt"  # what templates were called once
SYSTEM_TYPE = _IMAGE + "system"
PARAMS_TYPE = _IMAGE + "params"
MESSAGES_TYPE = _IMAGE + "messages"
LICENSE_TYPE = _IMAGE + "license"

log = logging.getLogger("ollamapy.store")
T = TypeVar("T")


class ModelConfig(msgspec.Struct, frozen=True, kw_only=True):
    """The config blob, in the order in which Ollama writes it."""

    model_format: str = ""
    model_family: str = ""
    model_families: tuple[str, ...] | None = None
    model_type: str = ""
    file_type: str = ""
    renderer: str = ""
    parser: str = ""
    requires: str = ""
    remote_host: str = ""
    remote_model: str = ""
    capabilities: tuple[str, ...] | None = None
    context_length: int = 0
    embedding_length: int = 0
    base_name: str = ""
    draft: Mapping[str, Json] | None = None
    architecture: str = "amd64"
    os: str = "linux"


_OMITTED_WHEN_EMPTY = frozenset(
    (
        "renderer",
        "parser",
        "requires",
        "remote_host",
        "remote_model",
        "capabilities",
        "context_length",
        "embedding_length",
        "base_name",
        "draft",
    )
)


class _RawMessage(msgspec.Struct):
    role: str
    content: str = ""


@dataclass(frozen=True, slots=True)
class Model:
    """A stored model with all of its layers read; sizes in bytes, `modified_at` in epoch seconds.

    `shards` are all files of its weights in order, one unless the model is split; `weights` is the first of them.
    """

    name: ModelName
    digest: Digest
    size: int
    modified_at: float
    config: ModelConfig
    weights: Path
    weights_digest: Digest
    shards: tuple[Path, ...]
    adapters: tuple[Path, ...]
    projectors: tuple[Path, ...]
    drafts: tuple[Path, ...]
    template: str | None
    system: str
    options: Options
    messages: tuple[Message, ...]
    licenses: tuple[str, ...]
    layers: tuple[Layer, ...]

    def header(self) -> Header:
        """Read the header of the weights, with the tensors of all shards; raises InvalidFileError."""
        return join_headers([read_header(path) for path in self.shards])


def load_model(store: Store, name: ModelName) -> Model:
    """Read a model from the store, all but its weights.

    Raises:
        ModelNotFoundError: there is no model of that name.
        ManifestError: its manifest or one of its blobs is missing or damaged.
        UnsupportedError: it has no GGUF weights.
    """
    stored = store.read_manifest(name)
    manifest = stored.manifest
    config = read_config(store, stored)
    weights = manifest.of_type(WEIGHTS_TYPE)
    if not weights:
        kind = "runs on a remote host" if config.remote_host else "has no GGUF weights"
        raise UnsupportedError(f"model '{stored.name}' {kind}; ollamapy runs GGUF models: create it from a GGUF file")
    templates = _texts(store, stored, TEMPLATE_TYPE) or _texts(store, stored, PROMPT_TYPE)
    system = _texts(store, stored, SYSTEM_TYPE)
    shards = tuple(_blob_path(store, stored.name, layer) for layer in weights)
    return Model(
        name=stored.name,
        digest=stored.digest,
        size=manifest.size,
        modified_at=stored.modified_at,
        config=config,
        weights=shards[0],
        weights_digest=weights[0].digest,
        shards=shards,
        adapters=tuple(_blob_path(store, stored.name, layer) for layer in manifest.of_type(ADAPTER_TYPE)),
        projectors=tuple(_blob_path(store, stored.name, layer) for layer in manifest.of_type(PROJECTOR_TYPE)),
        drafts=tuple(_blob_path(store, stored.name, layer) for layer in manifest.of_type(DRAFT_TYPE)),
        template=templates[-1] if templates else None,
        system=system[-1] if system else "",
        options=_read_options(store, stored),
        messages=_read_messages(store, stored),
        licenses=_texts(store, stored, LICENSE_TYPE),
        layers=manifest.layers,
    )


def read_config(store: Store, stored: StoredManifest) -> ModelConfig:
    """Read the config blob of a manifest; raises ManifestError."""
    data = _content(store, stored.name, stored.manifest.config)
    return _decode(data, ModelConfig, stored.name, "configuration")


def encode_config(config: ModelConfig) -> bytes:
    """Return the bytes that Ollama writes for the same config."""
    fields = msgspec.structs.asdict(config)
    return encode_go_json({key: value for key, value in fields.items() if value or key not in _OMITTED_WHEN_EMPTY})


def _blob_path(store: Store, name: ModelName, layer: Layer) -> Path:
    """Return the path of a layer's blob, which must have the size that the manifest tells."""
    try:
        size, path = store.blob_size(layer.digest), store.open_blob(layer.digest)
    except BlobNotFoundError as exc:
        raise ManifestError(f"model '{name}' lacks the blob {layer.digest}; create or pull it again") from exc
    if size != layer.size:
        raise ManifestError(
            f"model '{name}' is damaged: the blob {layer.digest} has {size} bytes instead of {layer.size}; "
            "remove the model, and create or pull it again"
        )
    return path


def _content(store: Store, name: ModelName, layer: Layer) -> bytes:
    _blob_path(store, name, layer)
    return store.read_blob(layer.digest)


def _texts(store: Store, stored: StoredManifest, media_type: str) -> tuple[str, ...]:
    layers = stored.manifest.of_type(media_type)
    return tuple(_content(store, stored.name, layer).decode("utf-8", "replace") for layer in layers)


def _read_options(store: Store, stored: StoredManifest) -> Options:
    """Read the parameters; one that is out of range is logged and left out, so that the model still runs."""
    options = Options()
    for layer in stored.manifest.of_type(PARAMS_TYPE):
        raw = _decode(_content(store, stored.name, layer), dict[str, Json], stored.name, "parameters")
        for key, value in raw.items():
            try:
                options = parse_options({key: value}).over(options)
            except OptionError as exc:
                log.warning("ignoring a parameter of model %s: %s", stored.name, exc)
    return options


def _read_messages(store: Store, stored: StoredManifest) -> tuple[Message, ...]:
    raw: list[_RawMessage] = []
    for layer in stored.manifest.of_type(MESSAGES_TYPE):
        raw += _decode(_content(store, stored.name, layer), list[_RawMessage], stored.name, "messages")
    return tuple(Message(message.role, message.content) for message in raw)


def _decode(data: bytes, kind: type[T], name: ModelName, what: str) -> T:
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise ManifestError(f"model '{name}' is damaged (its {what}: {exc}); create or pull it again") from exc
