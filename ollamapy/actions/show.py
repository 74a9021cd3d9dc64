"""Tells everything about a model."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace

import msgspec

from ollamapy.actions.list import details_record
from ollamapy.actions.models import ResolvedModel
from ollamapy.actions.services import Services
from ollamapy.dialects.native import ShowRecord, TensorRecord, local_time, message_record
from ollamapy.errors import InvalidInputError, ModelNotFoundError
from ollamapy.gguf import ArrayRef, Header, read_header
from ollamapy.modelfile import Modelfile, format_modelfile
from ollamapy.names import ModelName
from ollamapy.options import options_to_parameters
from ollamapy.types import Json, Options

MOST_ELEMENTS = 1024  # of an array, unless everything is asked for
NO_OPTIONS = Options()
HIDDEN_KEYS = frozenset({"general.name", "tokenizer.chat_template"})


async def show(
    services: Services, asked: str, *, verbose: bool, system: str = "", options: Options = NO_OPTIONS
) -> ShowRecord:
    """Return all about a model, with `verbose` its whole vocabulary; raises ModelNotFoundError, InvalidNameError.

    The Modelfile has this system prompt and these options where they are given.
    """
    if not asked.strip():
        raise InvalidInputError("model is required")
    try:
        found = await services.models.resolve(services.store, asked)
    except ModelNotFoundError as exc:
        raise ModelNotFoundError(asked, f"model '{ModelName.parse(asked)}' not found") from exc
    shown = await asyncio.to_thread(show_record, found, verbose=verbose)
    if system or options != NO_OPTIONS:
        other = replace(found.model, system=system or found.model.system, options=options.over(found.model.options))
        return msgspec.structs.replace(shown, modelfile=modelfile_text(replace(found, model=other)))
    return shown


def show_record(found: ResolvedModel, *, verbose: bool) -> ShowRecord:
    """Return all about a model; reads its files."""
    model, header = found.model, found.header
    projectors = [model_info(read_header(path), verbose=verbose) for path in model.projectors[:1]]
    return ShowRecord(
        license="\n".join(model.licenses),
        modelfile=modelfile_text(found),
        parameters=parameters_text(model.options),
        template=found.template_source,
        system=model.system,
        details=details_record(found),
        messages=[message_record(message) for message in model.messages],
        model_info=model_info(header, verbose=verbose),
        projector_info=projectors[0] if projectors else {},
        tensors=[TensorRecord(name=t.name, type=t.type_name, shape=list(t.shape)) for t in header.tensors],
        capabilities=list(found.capabilities),
        modified_at=local_time(model.modified_at),
        requires=model.config.requires,
    )


def model_info(header: Header, *, verbose: bool) -> dict[str, Json]:
    """Return a file's metadata; long arrays are null unless `verbose`."""
    info: dict[str, Json] = {}
    for key, value in sorted(header.metadata.items()):
        if key in HIDDEN_KEYS:
            continue
        if isinstance(value, ArrayRef):
            info[key] = header.array(key) if verbose or value.count <= MOST_ELEMENTS else None
        else:
            info[key] = value
    info["general.parameter_count"] = header.parameter_count
    return info


def parameters_text(options: Options) -> str:
    """Return the parameters as Ollama prints them, a line each, text in quotes."""
    return "\n".join(f"{name:<30} {text}" for name, text in _parameter_lines(options))


def modelfile_text(found: ResolvedModel) -> str:
    """Return a Modelfile that makes the model again, on this machine."""
    model = found.model
    modelfile = Modelfile(
        from_=(*map(str, model.shards), *map(str, model.projectors)),
        adapters=tuple(map(str, model.adapters)),
        draft=str(model.drafts[0]) if model.drafts else None,
        template=model.template,
        system=model.system or None,
        renderer=model.config.renderer or None,
        parser=model.config.parser or None,
        requires=model.config.requires or None,
        parameters=options_to_parameters(model.options),
        licenses=model.licenses,
        messages=model.messages,
    )
    return format_modelfile(modelfile, str(model.name))


def _parameter_lines(options: Options) -> Iterator[tuple[str, str]]:
    for name, text in options_to_parameters(options):
        yield name, msgspec.json.encode(text).decode() if isinstance(getattr(options, name), tuple) else text
