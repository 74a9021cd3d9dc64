"""Makes a model of the store out of uploaded files or of another model; blocks."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from ollamapy.actions.drafts import add_draft
from ollamapy.actions.files import (
    ONE_ADAPTER,
    Parts,
    add_adapters,
    add_files,
    check_path,
    has_safetensors,
    parts_of_base,
    parts_of_files,
)
from ollamapy.actions.templates import check_template
from ollamapy.errors import InvalidInputError, UnsupportedError
from ollamapy.names import Digest, ModelName
from ollamapy.options import options_to_json
from ollamapy.parsing.choice import choose_template
from ollamapy.store import (
    CONFIG_TYPE,
    LICENSE_TYPE,
    MESSAGES_TYPE,
    PARAMS_TYPE,
    SYSTEM_TYPE,
    TEMPLATE_TYPE,
    Layer,
    Manifest,
    Model,
    ModelConfig,
    Store,
    encode_config,
    encode_go_json,
)
from ollamapy.types import CreateRequest, Message, Options, Progress

OVERRULED = (
    "keeping the template of the model's file in force: it offers more than the given one "
    "(start the daemon with OLLAMA_GO_TEMPLATE=true to change that)"
)
NO_TEMPLATE = (
    "warning: neither the file nor the Modelfile has a prompt template, so messages are joined as plain text; "
    "if the model is meant for chats, add a TEMPLATE"
)


def check_request(request: CreateRequest) -> None:
    """Raise InvalidInputError for what can be told without looking at the store."""
    if not request.base and request.files is None:
        raise InvalidInputError("neither 'from' or 'files' was specified")
    if request.files is not None and not request.files and not request.base:
        raise InvalidInputError("no files provided to convert")
    if len(request.adapters or {}) > 1 and not has_safetensors(request.adapters):
        raise InvalidInputError(ONE_ADAPTER)
    if request.draft_quantize and not request.draft_files:
        raise InvalidInputError("--draft-quantize requires a DRAFT model")
    if request.draft_quantize:
        raise UnsupportedError("draft_quantize is not supported; give a draft file that is quantized already")
    for path in (*(request.files or {}), *(request.adapters or {}), *(request.draft_files or {})):
        check_path(path)
    if request.template:
        check_template(request.template)


def build_model(store: Store, name: ModelName, request: CreateRequest) -> None:
    """Make a model of files; raises as `collect_parts` does."""
    parts = collect_parts(store, request, None)
    for _step in write_model(store, name, request, None, parts):
        continue


def collect_parts(store: Store, request: CreateRequest, base: Model | None) -> Parts:
    """Return the files that a model is made of, all of them checked.

    Raises InvalidDigestError, BlobNotFoundError, InvalidFileError.
    """
    if base is None:
        parts = parts_of_files(store, request.files or {})
    else:
        parts = parts_of_base(base)
        add_files(store, parts, request.files or {})
    add_adapters(store, parts, request.adapters or {})
    add_draft(store, parts, request.draft_files or {})
    return parts


def write_model(
    store: Store,
    name: ModelName,
    request: CreateRequest,
    base: Model | None,
    parts: Parts,
    go_templates: bool | None = None,
) -> Iterator[Progress]:
    """Yield the steps of making a model of its files; the manifest is written last, so that nothing is half done.

    A step tells where the file's own template stays in force, as `go_templates` has it, and where there is none.
    """
    for layer in parts.layers:
        verb = "creating new" if layer.digest in parts.created else "using existing"
        yield Progress(f"{verb} layer {layer.digest}", str(layer.digest))
    parts.config = _overlay_config(parts.config, request)
    if parts.draft is not None:
        parts.config = msgspec.structs.replace(parts.config, draft=parts.draft)
    yield from _add_texts(store, parts, request, base)
    if request.template and _is_overruled(request.template, parts, go_templates):
        yield Progress(OVERRULED)
    if parts.answers and not parts.has_template:
        yield Progress(NO_TEMPLATE)
    config, step = _put(store, CONFIG_TYPE, encode_config(parts.config))
    yield step
    yield Progress("writing manifest")
    store.write_manifest(name, Manifest(config, tuple(parts.layers)))
    yield Progress("success")


def _is_overruled(template: str, parts: Parts, go_templates: bool | None) -> bool:
    return choose_template(template, parts.embedded_template or None, go_templates) != template


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
