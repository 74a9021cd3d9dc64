"""Which files make up a model: its weights, perhaps in several parts, its projector and its adapter."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from ollamapy.actions.adapters import Shapes, find_misfit, shapes_of
from ollamapy.convert import check_layout, find_layout
from ollamapy.errors import InvalidFileError, InvalidInputError, StoreError, UnsupportedError
from ollamapy.gguf import Header, check_file, join_headers
from ollamapy.names import Digest
from ollamapy.store import ADAPTER_TYPE, PROJECTOR_TYPE, TEMPLATE_TYPE, WEIGHTS_TYPE, Layer, Model, ModelConfig, Store

KINDS = {"model": WEIGHTS_TYPE, "adapter": ADAPTER_TYPE, "projector": PROJECTOR_TYPE}
ONE_ADAPTER = "only one adapter is currently supported"
_DRIVE = re.compile(r"[A-Za-z]:")


@dataclass(slots=True)
class Parts:
    """A model in the making; the blobs in `created` were made for it."""

    config: ModelConfig
    layers: list[Layer] = field(default_factory=list)
    architecture: str = ""
    embedded_template: str = ""
    answers: bool = True  # as models that embed or rank do not
    shapes: Shapes = field(default_factory=dict)
    created: set[Digest] = field(default_factory=set)
    headers: tuple[Header, ...] = ()  # of the weights
    draft: Mapping[str, str] | None = None

    @property
    def has_template(self) -> bool:
        """Whether the file or a layer says how a chat is written."""
        return bool(self.embedded_template) or any(layer.media_type == TEMPLATE_TYPE for layer in self.layers)

    def replace(self, media_type: str, layers: Sequence[Layer]) -> None:
        """Put layers in the place of all others of their type."""
        self.layers = [layer for layer in self.layers if layer.media_type != media_type] + list(layers)


@dataclass(frozen=True, slots=True)
class File:
    """An uploaded file that was checked, and what its client calls it."""

    path: str
    digest: Digest
    header: Header


def parts_of_base(base: Model) -> Parts:
    """Return what a model that is made of another one begins with."""
    header = base.header()
    template = header.chat_template() or ""
    return Parts(
        base.config,
        list(base.layers),
        header.architecture,
        template,
        not header.has_pooling,
        shapes_of(header),
        headers=(header,),
    )


def parts_of_files(store: Store, files: Mapping[str, str]) -> Parts:
    """Return a model made of uploaded files, named by their digests.

    Raises InvalidDigestError, BlobNotFoundError, InvalidFileError, InvalidInputError.
    """
    read = [read_file(store, path, digest) for path, digest in files.items()]
    of_kind = {kind: [file for file in read if file.header.kind == kind] for kind in KINDS}
    weights = _in_order(of_kind["model"])
    if not weights:
        raise InvalidFileError("none of the files is a model; add the GGUF file with the model's weights")
    header = _joined(weights)
    template = header.chat_template() or ""
    parts = Parts(config_of(header), [], header.architecture, template, not header.has_pooling, shapes_of(header))
    parts.headers = (header,)
    parts.layers += [Layer(WEIGHTS_TYPE, file.digest, store.blob_size(file.digest)) for file in weights]
    _add_projectors(store, parts, of_kind["projector"])
    for file in of_kind["adapter"]:
        _add_adapter(store, parts, file)
    return parts


def add_files(store: Store, parts: Parts, files: Mapping[str, str]) -> None:
    """Add uploaded files to a model that another one is the base of; raises as `parts_of_files` does."""
    read = [read_file(store, path, digest) for path, digest in files.items()]
    for file in read:
        if file.header.kind != "projector":
            raise InvalidFileError(f"{shown(file.path)} is no projector, and FROM names a model already; remove one")
    _add_projectors(store, parts, read)


def _add_projectors(store: Store, parts: Parts, projectors: Sequence[File]) -> None:
    layers = {Layer(PROJECTOR_TYPE, file.digest, store.blob_size(file.digest)): file for file in projectors}
    if len(layers) > 1:
        names = ", ".join(shown(file.path) for file in layers.values())
        raise InvalidInputError(f"only one projector can be used; leave one of {names}")
    if layers:
        parts.replace(PROJECTOR_TYPE, list(layers))


def add_adapters(store: Store, parts: Parts, adapters: Mapping[str, str]) -> None:
    """Add uploaded adapters to a model, which they must fit; raises as `parts_of_files` does."""
    for path, digest in adapters.items():
        file = read_file(store, path, digest)
        if file.header.kind != "adapter":
            raise InvalidFileError(f"{shown(path)} is no adapter but a {file.header.kind}; name it under files")
        _add_adapter(store, parts, file)


def _in_order(weights: Sequence[File]) -> list[File]:
    """Return the parts of a split model in their order; a part that is named twice counts once."""
    by_digest = {file.digest: file for file in weights}
    return sorted(by_digest.values(), key=lambda file: file.header.split_number)


def _joined(weights: Sequence[File]) -> Header:
    if len(weights) > 1 and any(file.header.split_count == 1 for file in weights):
        names = ", ".join(shown(file.path) for file in weights)
        raise InvalidFileError(f"several files are models: {names}; give one, and its projector if it has one")
    try:
        return join_headers([file.header for file in weights])
    except InvalidFileError as exc:
        raise InvalidFileError(f"{shown(weights[0].path)}: {exc.message}") from exc


def _add_adapter(store: Store, parts: Parts, file: File) -> None:
    architecture = file.header.architecture
    if architecture != parts.architecture:
        raise InvalidFileError(
            f"the adapter {shown(file.path)} is made for {architecture[:40] or 'an unknown architecture'}, "
            f"the model is {parts.architecture[:40]}; use an adapter that was trained on this model"
        )
    misfit = find_misfit(shapes_of(file.header), parts.shapes)
    if misfit is not None:
        raise InvalidFileError(
            f"the adapter {shown(file.path)} is made for another model: {misfit}; "
            "use an adapter that was trained on this model"
        )
    layer = Layer(ADAPTER_TYPE, file.digest, store.blob_size(file.digest))
    if any(other.media_type == ADAPTER_TYPE and other != layer for other in parts.layers):
        raise InvalidInputError(ONE_ADAPTER)
    parts.replace(ADAPTER_TYPE, [layer])


def read_file(store: Store, path: str, digest_text: str) -> File:
    """Check an uploaded file, named by its digest; raises as `parts_of_files` does."""
    digest = Digest.parse(digest_text)
    return File(path, digest, read_gguf(store, path, digest))


def read_gguf(store: Store, path: str, digest: Digest) -> Header:
    """Check an uploaded file as llama.cpp needs it, and drop it where it is refused and no model has it.

    Raises InvalidFileError and UnsupportedError that name the file as the client does, StoreError for a damaged blob.
    """
    try:
        return _checked_gguf(store, path, digest)
    except (InvalidFileError, UnsupportedError) as exc:
        if store.delete_damaged(digest):
            raise StoreError(
                f"the blob {digest} was damaged in the model store and has been removed; send {shown(path)} again"
            ) from exc
        store.prune([digest])
        raise


def _checked_gguf(store: Store, path: str, digest: Digest) -> Header:
    if path.lower().endswith(".safetensors"):
        raise UnsupportedError(f"{shown(path)}: safetensors are not supported; convert the model to GGUF first")
    try:
        header = check_file(store.open_blob(digest))
        check_layout(find_layout(header))
    except InvalidFileError as exc:
        raise InvalidFileError(f"{shown(path)}: {exc.message}") from exc
    return header


def config_of(header: Header) -> ModelConfig:
    """Return the config of a model made from a GGUF file."""
    return ModelConfig(
        model_format="gguf",
        model_family=header.architecture,
        model_families=(header.architecture,),
        model_type=header.parameter_size,
        file_type=header.file_type,
    )


def has_safetensors(files: Mapping[str, str] | None) -> bool:
    """Tell whether there are safetensors among the files."""
    return any(name.lower().endswith(".safetensors") for name in files or {})


def check_path(path: str) -> None:
    """Raise InvalidInputError for a name that a client may not give to a file."""
    pure = PurePosixPath(path.replace("\\", "/"))
    if not path or pure.is_absolute() or ".." in pure.parts or "\0" in path or _DRIVE.match(path):
        raise InvalidInputError(f"file path must be relative: {printable(path)}")


def shown(path: str) -> str:
    """Return the last part of a name that a client gave, short and printable."""
    return printable(re.split(r"[/\\]", path)[-1])


def printable(text: str) -> str:
    """Return the beginning of what a client gave, without characters that do something to a terminal."""
    return "".join(char if char.isprintable() else "?" for char in text[:80])
