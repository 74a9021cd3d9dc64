"""Finds the model that a request names, with all that answering needs to know of it."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path

from ollamapy.actions.bundled import find_manifest
from ollamapy.actions.drafts import usable_draft
from ollamapy.errors import InvalidFileError, LoadError, ManifestError, ModelNotFoundError, UnsupportedError
from ollamapy.gguf import Header, check_file
from ollamapy.names import Digest, ModelName
from ollamapy.parsing.choice import choose_template
from ollamapy.scheduler.shape import ModelShape, shape_of
from ollamapy.store import Model, Store, StoredManifest, capabilities, load_model
from ollamapy.template.fallback import fallback_template

CACHED_MODELS = 256


@dataclass(frozen=True, slots=True)
class ResolvedModel:
    """A stored model, the header of its weights, what it takes in memory and what it can do.

    `tool_template` is a second template that some files have, for chats with tools; empty if there is none. `draft` is
    the header of its draft model, if it has one that can be used.
    """

    model: Model
    header: Header
    shape: ModelShape
    capabilities: tuple[str, ...]
    template_source: str
    tool_template: str = ""
    draft: Header | None = None

    def template_for(self, *, tools: bool) -> str:
        """Return the text of the template that renders a chat with or without tools."""
        return self.tool_template if tools and self.tool_template else self.template_source

    def require(self, capability: str, complaint: str) -> None:
        """Raise UnsupportedError with that complaint where the model lacks the capability."""
        if capability not in self.capabilities:
            raise UnsupportedError(complaint)


class ModelCache:
    """The models asked for last, by name and manifest digest: a changed manifest is another model."""

    def __init__(self, go_templates: bool | None = None) -> None:
        self._go_templates = go_templates
        self._models: OrderedDict[tuple[ModelName, Digest], ResolvedModel] = OrderedDict()
        self._checked: set[tuple[Path, tuple[int, int, int]]] = set()

    async def resolve(self, store: Store, asked: str) -> ResolvedModel:
        """Return the model of that name, reading the disk in a thread.

        Raises InvalidNameError, ModelNotFoundError with the name as it was asked for, ManifestError.
        """
        return (await self.find(store, asked))[0]

    async def find(self, store: Store, asked: str) -> tuple[ResolvedModel, StoredManifest]:
        """Return the model of that name with its manifest; raises as `resolve` does."""
        name = ModelName.parse(asked)
        try:
            stored = await asyncio.to_thread(find_manifest, store, name)
        except ModelNotFoundError as exc:
            raise ModelNotFoundError(asked.strip()) from exc
        return await self.read(store, stored), stored

    async def read(self, store: Store, stored: StoredManifest) -> ResolvedModel:
        """Return the model of a manifest; raises ManifestError, UnsupportedError."""
        key = (stored.name, stored.digest)
        if key not in self._models or not is_current(self._models[key].header):
            self._models[key] = await asyncio.to_thread(read_model, store, stored.name, self._go_templates)
        self._models.move_to_end(key)
        while len(self._models) > CACHED_MODELS:
            self._models.popitem(last=False)
        return self._models[key]

    async def check_files(self, found: ResolvedModel) -> None:
        """Check once all that llama.cpp relies on: files of a shared store may be anybody's. Raises LoadError."""
        for path in (*found.model.shards, *found.model.adapters, *found.model.projectors, *found.model.drafts):
            seen = (path, read_stamp(path))  # quicker than a thread would be at hand
            if seen not in self._checked:
                await asyncio.to_thread(check_for_load, path, found.model.name)
                self._checked.add(seen)


def read_stamp(path: Path) -> tuple[int, int, int]:
    """Return what changes with a file: inode, size in bytes, time in nanoseconds; zeros for none."""
    try:
        status = path.stat()
    except OSError:
        return (0, 0, 0)
    return (status.st_ino, status.st_size, status.st_mtime_ns)


def check_for_load(path: Path, name: ModelName) -> None:
    """Raise LoadError for a file that llama.cpp must not see; blocks."""
    try:
        check_file(path)
    except InvalidFileError as exc:
        raise LoadError(f"could not load {name}: {exc.message}; create or pull the model again") from exc


def is_current(header: Header) -> bool:
    """Return whether the file still is the one whose header was read: a model may be deleted and made again."""
    return header.stamp == read_stamp(header.path)


def model_shape(model: Model, header: Header, draft: Header | None) -> ModelShape:
    """Return what a model takes in memory, all of its files counted; raises InvalidFileError. Blocks."""
    companions = (*model.adapters, *model.projectors[:1])
    companion_bytes = sum(path.stat().st_size for path in companions if path.exists())
    return shape_of(header, companion_bytes, shape_of(draft) if draft is not None else None)


def read_model(store: Store, name: ModelName, go_templates: bool | None = None) -> ResolvedModel:
    """Read a model from the store; blocks."""
    model = load_model(store, name)
    try:
        header = model.header()
        draft = usable_draft(model.drafts[0] if model.drafts else None, header)
        shape = model_shape(model, header, draft)
    except InvalidFileError as exc:
        raise ManifestError(
            f"model '{name}' is damaged ({exc.message}); remove it with `ollamapy rm`, and create or pull it again"
        ) from exc
    embedded = header.chat_template() or None
    template = choose_template(model.template, embedded, go_templates)
    tool_template = header.chat_template("tool_use") or "" if template == embedded else ""
    abilities = capabilities(model, header, template, tool_template)
    if template is None:
        template = fallback_template(str(name)) if "completion" in abilities else ""
    return ResolvedModel(model, header, shape, abilities, template, tool_template, draft)
