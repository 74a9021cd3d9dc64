"""Makes a model of the store out of uploaded files or of another model; blocks."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

import msgspec

from ollamapy.actions.adapters import Shapes, find_misfit, shapes_of
from ollamapy.actions.templates import check_template
from ollamapy.errors import InvalidFileError, InvalidInputError, StoreError, UnsupportedError
from ollamapy.gguf import Header, check_file
from ollamapy.names import Digest, ModelName
from ollamapy.options import options_to_json
from ollamapy.parsing.choice import choose_template
from ollamapy.store import (
    ADAPTER_TYPE,
    CONFIG_TYPE,
    LICENSE_TYPE,
    MESSAGES_TYPE,
    PARAMS_TYPE,
    PROJECTOR_TYPE,
    SYSTEM_TYPE,
    TEMPLATE_TYPE,
    WEIGHTS_TYPE,
    Layer,
    Manifest,
    Model,
    ModelConfig,
    Store,
    encode_config,
    encode_go_json,
)
from ollamapy.types import CreateRequest, Message, Options, Progress

KINDS = {"model": WEIGHTS_TYPE, "adapter": ADAPTER_TYPE, "projector": PROJECTOR_TYPE}
OVERRULED = (
    "keeping the template of the model's file in force: it offers more than the given one "
    "(start the daemon with OLLAMA_GO_TEMPLATE=true to change that)"
)
ONE_ADAPTER = "only one adapter is currently supported"
_DRIVE = re.compile(r"[A-Za-z]:")


@dataclass(slots=True)
class Parts:
    """A model in the making."""

    config: ModelConfig
    layers: list[Layer] = field(default_factory=list)
    architecture: str = ""
    embedded_template: str = ""
    shapes: Shapes = field(default_factory=dict)

    def replace(self, media_type: str, layers: Sequence[Layer]) -> None:
        """Put layers in the place of all others of their type."""
        self.layers = [layer for layer in self.layers if layer.media_type != media_type] + list(layers)


def check_request(request: CreateRequest) -> None:
    """Raise InvalidInputError for what can be told without looking at the store."""
    if request.quantize:
        raise UnsupportedError("quantization is not supported; create the model from a file that is quantized already")
    if not request.base and request.files is None:
        raise InvalidInputError("neither 'from' or 'files' was specified")
    if request.files is not None and not request.files and not request.base:
        raise InvalidInputError("no files provided to convert")
    if len(request.adapters or {}) > 1:
        raise InvalidInputError(ONE_ADAPTER)
    for path in (*(request.files or {}), *(request.adapters or {})):
        _check_path(path)
    if request.template:
        check_template(request.template)


def build_model(
    store: Store, name: ModelName, request: CreateRequest, base: Model | None, go_templates: bool | None = None
) -> Iterator[Progress]:
    """Yield the steps of making a model; its manifest is written last, so that a failure leaves nothing half done.

    One step tells where the file's own template stays in force, as `go_templates` has it. All files are checked before
    the first step. Raises InvalidDigestError, BlobNotFoundError, InvalidFileError.
    """
    parts = _files(store, request.files or {}) if base is None else _of_base(base)
    _add_adapters(store, parts, request.adapters or {})
    if base is None:
        yield Progress("parsing GGUF")
    for layer in parts.layers:
        yield Progress(f"using existing layer {layer.digest}", str(layer.digest))
    parts.config = _overlay_config(parts.config, request)
    yield from _add_texts(store, parts, request, base)
    if request.template and _is_overruled(request.template, parts, go_templates):
        yield Progress(OVERRULED)
    config, step = _put(store, CONFIG_TYPE, encode_config(parts.config))
    yield step
    yield Progress("writing manifest")
    store.write_manifest(name, Manifest(config, tuple(parts.layers)))
    yield Progress("success")


def _is_overruled(template: str, parts: Parts, go_templates: bool | None) -> bool:
    return choose_template(template, parts.embedded_template or None, go_templates) != template


def _of_base(base: Model) -> Parts:
    header = base.header()
    template = header.chat_template() or ""
    return Parts(base.config, list(base.layers), header.architecture, template, shapes_of(header))


def _files(store: Store, files: Mapping[str, str]) -> Parts:
    parts = Parts(ModelConfig())
    adapters: list[tuple[str, Header, Digest]] = []
    for path, digest_text in files.items():
        digest = Digest.parse(digest_text)
        header = read_gguf(store, path, digest)
        media_type = KINDS[header.kind]
        if media_type == WEIGHTS_TYPE:
            if parts.architecture:
                raise InvalidFileError("several files are models; give one model, and its projector if it has one")
            parts.config, parts.architecture = config_of(header), header.architecture
            parts.embedded_template, parts.shapes = header.chat_template() or "", shapes_of(header)
        if media_type == ADAPTER_TYPE:
            adapters.append((path, header, digest))
            continue
        parts.layers.append(Layer(media_type, digest, store.blob_size(digest)))
    if not parts.architecture:
        raise InvalidFileError("none of the files is a model; add the GGUF file with the model's weights")
    parts.layers.sort(key=lambda layer: layer.media_type != WEIGHTS_TYPE)
    for path, header, digest in adapters:
        _add_adapter(store, parts, path, header, digest)
    return parts


def _add_adapters(store: Store, parts: Parts, adapters: Mapping[str, str]) -> None:
    for path, digest_text in adapters.items():
        digest = Digest.parse(digest_text)
        header = read_gguf(store, path, digest)
        if header.kind != "adapter":
            raise InvalidFileError(f"{_shown(path)} is no adapter but a {header.kind}; name it under files")
        _add_adapter(store, parts, path, header, digest)


def _add_adapter(store: Store, parts: Parts, path: str, header: Header, digest: Digest) -> None:
    if header.architecture != parts.architecture:
        raise InvalidFileError(
            f"the adapter {_shown(path)} is made for {header.architecture[:40] or 'an unknown architecture'}, "
            f"the model is {parts.architecture[:40]}; use an adapter that was trained on this model"
        )
    misfit = find_misfit(shapes_of(header), parts.shapes)
    if misfit is not None:
        raise InvalidFileError(
            f"the adapter {_shown(path)} is made for another model: {misfit}; "
            "use an adapter that was trained on this model"
        )
    layer = Layer(ADAPTER_TYPE, digest, store.blob_size(digest))
    if any(other.media_type == ADAPTER_TYPE and other != layer for other in parts.layers):
        raise InvalidInputError(ONE_ADAPTER)
    parts.replace(ADAPTER_TYPE, [layer])


def read_gguf(store: Store, path: str, digest: Digest) -> Header:
    """Check an uploaded file as llama.cpp needs it, and drop it where it is refused and no model has it.

    Raises InvalidFileError and UnsupportedError that name the file as the client does, StoreError for a damaged blob.
    """
    try:
        return _checked_gguf(store, path, digest)
    except (InvalidFileError, UnsupportedError) as exc:
        if store.delete_damaged(digest):
            raise StoreError(
                f"the blob {digest} was damaged in the model store and has been removed; send {_shown(path)} again"
            ) from exc
        store.prune([digest])
        raise


def _checked_gguf(store: Store, path: str, digest: Digest) -> Header:
    if path.lower().endswith(".safetensors"):
        raise UnsupportedError(f"{_shown(path)}: safetensors are not supported; convert the model to GGUF first")
    try:
        header = check_file(store.open_blob(digest))
    except InvalidFileError as exc:
        raise InvalidFileError(f"{_shown(path)}: {exc.message}") from exc
    if header.split_count > 1:
        raise UnsupportedError(f"{_shown(path)} is one part of a split model; merge its parts into one file first")
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


def _overlay_config(config: ModelConfig, request: CreateRequest) -> ModelConfig:
    info = request.info
    return msgspec.structs.replace(
        config,
        renderer=request.renderer or config.renderer,
        parser=request.parser or config.parser,
        requires=request.requires or config.requires,
        capabilities=info.capabilities or config.capabilities,
        model_family=info.model_family or config.model_family,
        model_families=(info.model_family,) if info.model_family else config.model_families,
        base_name=info.base_name or config.base_name,
        file_type=info.quantization_level or config.file_type,
        model_type=info.parameter_size or config.model_type,
        context_length=info.context_length or config.context_length,
        embedding_length=info.embedding_length or config.embedding_length,
    )


def _add_texts(store: Store, parts: Parts, request: CreateRequest, base: Model | None) -> Iterator[Progress]:
    """Add what the request says over what the base has: licenses add, parameters merge, the others replace."""
    if request.template:
        yield _replace(store, parts, TEMPLATE_TYPE, request.template.encode())
    if request.system:
        yield _replace(store, parts, SYSTEM_TYPE, request.system.encode())
    if request.parameters is not None:
        merged = request.parameters.over(base.options if base else Options())
        yield _replace(store, parts, PARAMS_TYPE, encode_go_json(dict(sorted(options_to_json(merged).items()))))
    if request.messages:
        yield _replace(store, parts, MESSAGES_TYPE, encode_go_json([_message_json(m) for m in request.messages]))
    for text in request.licenses:
        layer, step = _put(store, LICENSE_TYPE, text.encode())
        if layer not in parts.layers:
            parts.layers.append(layer)
        yield step


def _replace(store: Store, parts: Parts, media_type: str, data: bytes) -> Progress:
    layer, step = _put(store, media_type, data)
    parts.replace(media_type, [layer])
    return step


def _put(store: Store, media_type: str, data: bytes) -> tuple[Layer, Progress]:
    digest = Digest.of(data)
    verb = "using existing" if store.has_blob(digest) else "creating new"
    store.put_bytes(data)
    return Layer(media_type, digest, len(data)), Progress(f"{verb} layer {digest}", str(digest))


def _message_json(message: Message) -> dict[str, str]:
    return {"role": message.role, "content": message.content}


def _check_path(path: str) -> None:
    pure = PurePosixPath(path.replace("\\", "/"))
    if not path or pure.is_absolute() or ".." in pure.parts or "\0" in path or _DRIVE.match(path):
        raise InvalidInputError(f"file path must be relative: {_shown(path)}")


def _shown(path: str) -> str:
    """Return the last part of a name that a client gave, short and printable."""
    name = re.split(r"[/\\]", path)[-1][:80]
    return "".join(char if char.isprintable() else "?" for char in name)
