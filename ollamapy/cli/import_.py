"""`ollamapy import`: takes the models that other programs on this machine have."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from ollamapy.cli import render
from ollamapy.cli.create import HARDLINK_HELP, check_weights
from ollamapy.cli.daemon import connect
from ollamapy.cli.deliver import Delivery
from ollamapy.cli.errors import exit_code
from ollamapy.cli.human import size_words
from ollamapy.cli.json_output import pretty
from ollamapy.cli.progress import Progress
from ollamapy.client import Client
from ollamapy.config import read_settings, source_folders
from ollamapy.dialects.native import Record
from ollamapy.errors import NotFoundError, OllamapyError
from ollamapy.names import ModelName
from ollamapy.sources import Found, find_models
from ollamapy.store import Model, Store, load_model
from ollamapy.types import CreateRequest

HEADER = ("NAME", "SIZE", "FROM")


class FoundRecord(Record, frozen=True):
    """A model in the list; `size` in bytes."""

    name: str
    program: str
    size: int
    files: list[str]


class FoundListRecord(Record, frozen=True):
    """What `--json` prints."""

    models: list[FoundRecord]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the words that the command takes."""
    parser.add_argument("models", nargs="*", metavar="MODEL", help="the models to take; all that are found, if none")
    parser.add_argument("--dry-run", action="store_true", dest="dry_run", help="only list what is found")
    parser.add_argument("--json", action="store_true", dest="as_json", help="print what is found as JSON")
    parser.add_argument("--hardlink", action="store_true", dest="link", help=HARDLINK_HELP)


def command(*, models: list[str], dry_run: bool, as_json: bool, link: bool) -> None:
    """Take models of Hugging Face's cache, LM Studio, llama.cpp's cache and Ollama.

    Examples:
      ollamapy import --dry-run
      ollamapy import
    """
    settings = read_settings(os.environ)
    folders = source_folders(os.environ)
    found = choose(find_models(folders, settings.models_dir), models)
    if found or as_json:
        show(found, as_json=as_json)
    else:
        render.note("\n  ".join(["no model was found; these folders were looked at:", *map(str, folders.all)]))
    if dry_run or not found:
        return
    status = Progress()
    failed: list[OllamapyError] = []
    with connect(settings) as client:
        present = {model.name.lower() for model in client.list().models}
        delivery = Delivery(client, settings, status, link=link)
        for model in found:
            if not models and str(model.name).lower() in present:
                render.note(f"{model.name} is here already")
                continue
            try:
                take(client, delivery, model, status)
            except OllamapyError as exc:
                status.end()
                render.error(f"{model.name}: {exc.message}")
                failed.append(exc)
            finally:
                status.end()
    if failed:
        sys.exit(exit_code(failed[0]))  # each was told when it came


def show(found: Sequence[Found], *, as_json: bool) -> None:
    """Print what was found."""
    if as_json:
        records = [FoundRecord(str(m.name), m.program, m.size_bytes, [str(path) for path in m.files]) for m in found]
        render.line(pretty(FoundListRecord(records)))
    else:
        render.table(HEADER, [[str(model.name), size_words(model.size_bytes), model.program] for model in found])


def choose(found: Sequence[Found], asked: Sequence[str]) -> list[Found]:
    """Return those of the models that were asked for, all for none; raises NotFoundError."""
    by_name = {str(model.name).lower(): model for model in found}
    names = [str(ModelName.parse(name)) for name in asked]
    for name in names:
        if name.lower() not in by_name:
            raise NotFoundError(f"model '{name}' not found; `ollamapy import --dry-run` lists what there is")
    return [by_name[name.lower()] for name in names] if names else list(found)


def take(client: Client, delivery: Delivery, model: Found, status: Progress) -> None:
    """Make a model of the daemon's of one of another program; raises OllamapyError."""
    status.show(f"importing {model.name} from {model.program}")
    for path in model.files:
        check_weights(path)
    if model.store is not None and delivery.store is not None:
        adopt(delivery.store, delivery, Store(model.store), model.name)
        return
    base = load_model(Store(model.store), model.name) if model.store is not None else None
    for step in client.create(request_for(model, base, delivery)):
        status.show(step.status, step.completed, step.total)


def adopt(store: Store, delivery: Delivery, source: Store, name: ModelName) -> None:
    """Take a model of a store of Ollama's as it is: the same manifest, the same blobs."""
    stored, data = source.read_manifest_file(name)
    missing = [digest for digest in stored.manifest.digests if not store.has_blob(digest)]
    delivery.send([source.open_blob(digest) for digest in missing])
    store.put_manifest(name, data)


def request_for(model: Found, base: Model | None, delivery: Delivery) -> CreateRequest:
    """Return what the daemon is asked to make, its files sent; `base` is the model as another store has it."""
    files = delivery.send(model.files)
    if base is None:
        return CreateRequest(model=str(model.name), files=files)
    return CreateRequest(
        model=str(model.name),
        files=files,
        adapters=delivery.send(base.adapters),
        draft_files=delivery.send(base.drafts),
        template=base.template,
        system=base.system,
        licenses=base.licenses,
        parameters=base.options,
        messages=base.messages,
        renderer=base.config.renderer,
        parser=base.config.parser,
        requires=base.config.requires,
    )
