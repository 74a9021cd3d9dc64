"""What a pull is to fetch, and what it makes of it: told by a manifest, or by the files of a repository."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Any

import msgspec

from ollamapy.actions.services import Services
from ollamapy.actions.templates import check_template
from ollamapy.errors import ManifestError, OptionError, TemplateError, TransferError
from ollamapy.names import Digest, ModelName
from ollamapy.options import parse_options
from ollamapy.registry import JINJA_TEMPLATE, PARAMS, SYSTEM, TEMPLATE, choose_files
from ollamapy.store import WEIGHTS_TYPE, Manifest, parse_manifest
from ollamapy.types import Options

GGUF_TYPES = {
    "application/vnd.docker.ai.gguf.v3": "model.gguf",
    "application/vnd.docker.ai.mmproj": "mmproj.gguf",
    "application/vnd.cncf.model.weight.v1.gguf": "model.gguf",
}
"""How other programs call GGUF files in a registry, and a name for such a file."""

Opener = Callable[[Digest, int, int | None], AbstractAsyncContextManager[Any]]


@dataclass(frozen=True, slots=True)
class Texts:
    """What a repository says of its model beside the weights; `jinja_template` is for weights that have none."""

    template: str | None = None
    system: str | None = None
    parameters: Options | None = None
    jinja_template: str | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """What has to be fetched and what is made of it: `manifest` is written as it is, or a model made of `files`.

    `notes` tell what of the repository is left out and why, or that a mirror failed.
    """

    blobs: tuple[tuple[Digest, int], ...]
    open_blob: Opener
    manifest: bytes = b""
    files: tuple[tuple[str, Digest], ...] = ()
    texts: Texts = Texts()
    notes: tuple[str, ...] = ()


def find_plan(services: Services, name: ModelName, *, is_plain: bool) -> Callable[[], Awaitable[Plan]]:
    """Return what asks the registry, after checking that it may be asked."""
    if services.remotes.is_hub(name):
        hub = services.remotes.hub(name)

        async def of_hub() -> Plan:
            listing = await hub.list_files()
            model = choose_files(listing.files, name.tag)
            texts, notes = read_texts({path: await hub.read_text(path) for path in listing.texts})
            by_digest = {file.digest: file for file in model.files}
            return Plan(
                tuple((file.digest, file.size_bytes) for file in by_digest.values()),
                lambda digest, first, end: hub.open_file(by_digest[digest], first, end),
                files=tuple((PurePosixPath(file.path).name, file.digest) for file in model.files),
                texts=texts,
                notes=notes,
            )

        return of_hub
    repository = services.remotes.source(name, plain=is_plain)

    async def of_repository() -> Plan:
        data = await repository.read_manifest()
        try:
            return replace(plan_manifest(data, repository.open_blob), notes=repository.notes)
        except ManifestError as exc:
            raise TransferError(exc.message) from exc

    return of_repository


def plan_manifest(data: bytes, open_blob: Opener) -> Plan:
    """Return what a manifest asks for; raises ManifestError, TransferError for one that is no model."""
    manifest = parse_manifest(data)
    sizes = {layer.digest: layer.size for layer in (*manifest.layers, manifest.config)}
    if manifest.of_type(WEIGHTS_TYPE):
        return Plan(tuple((digest, sizes[digest]) for digest in manifest.digests), open_blob, manifest=data)
    files = _foreign_files(manifest)
    if not files:
        raise TransferError("the manifest names no GGUF file; it is no model that llama.cpp can run")
    blobs = tuple((digest, sizes[digest]) for digest in dict.fromkeys(digest for _, digest in files))
    return Plan(blobs, open_blob, files=files)


def _foreign_files(manifest: Manifest) -> tuple[tuple[str, Digest], ...]:
    found = [layer for layer in manifest.layers if layer.media_type in GGUF_TYPES]
    if not any(GGUF_TYPES[layer.media_type] == "model.gguf" for layer in found):
        return ()
    return tuple((f"{index}-{GGUF_TYPES[layer.media_type]}", layer.digest) for index, layer in enumerate(found))


def read_texts(given: Mapping[str, str]) -> tuple[Texts, tuple[str, ...]]:
    """Return what the small files of a repository say, and a note for each that makes no sense and is left out."""
    found, notes = {name: text for name, text in given.items() if text.strip()}, []
    for name in (TEMPLATE, JINJA_TEMPLATE):
        try:
            check_template(found.get(name, ""))
        except TemplateError as exc:
            notes.append(f"leaving out the repository's {name}: {exc.message}")
            del found[name]
    parameters = None
    try:
        if PARAMS in found:
            parameters = parse_options(msgspec.json.decode(found[PARAMS], type=dict[str, Any]))
    except (msgspec.DecodeError, RecursionError):
        notes.append(f"leaving out the repository's {PARAMS}: it is no JSON object")
    except OptionError as exc:
        notes.append(f"leaving out the repository's {PARAMS}: {exc.message}")
    texts = Texts(found.get(TEMPLATE), found.get(SYSTEM), parameters, found.get(JINJA_TEMPLATE))
    return texts, tuple(notes)
