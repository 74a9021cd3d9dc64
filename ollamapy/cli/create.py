"""`ollamapy create`: reads a Modelfile, sends the files that it names, and has the daemon make the model."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from ollamapy.cli import render
from ollamapy.cli.daemon import connect
from ollamapy.cli.deliver import Delivery
from ollamapy.cli.json_output import one_line
from ollamapy.cli.piped import read_input
from ollamapy.cli.progress import Progress
from ollamapy.config import read_settings
from ollamapy.convert.safetensors import read_table
from ollamapy.errors import InvalidFileError, InvalidInputError
from ollamapy.gguf import check_file, names_of_parts
from ollamapy.modelfile import Modelfile, parse_modelfile
from ollamapy.options import options_from_parameters
from ollamapy.types import CreateRequest

DEFAULT_FILE = "Modelfile"
STANDARD_INPUT = "-"
FOLDER_PATTERN = "*.gguf"
SAFETENSORS = ".safetensors"
BESIDE_SAFETENSORS = (
    "config.json", "tokenizer.json", "tokenizer.model", "tokenizer_config.json", "vocab.txt", "chat_template.jinja",
    "1_Pooling/config.json", "adapter_config.json",
)  # fmt: skip
TEXTS = (".json", ".txt", ".jinja", ".model")
HARDLINK_HELP = "link files into the store where blocks can't be shared, instead of copying; never change them then"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the words that the command takes."""
    parser.add_argument("model", metavar="MODEL", help="the name of the new model")
    parser.add_argument("-q", "--quantize", metavar="TYPE", default="", help="quantize the weights, to Q4_K_M say")
    parser.add_argument("--hardlink", action="store_true", dest="link", help=HARDLINK_HELP)
    parser.add_argument("-f", "--file", metavar="FILE", help="the Modelfile; - reads it from standard input")
    parser.add_argument("--json", action="store_true", dest="as_json", help="print the steps as lines of JSON")


def command(*, model: str, file: str | None, quantize: str = "", link: bool = False, as_json: bool = False) -> None:
    """Create a model from a Modelfile.

    Examples:
      ollamapy create mine
      ollamapy create mine -f path/to/Modelfile --quantize Q4_K_M
      ollamapy create mine -f -        # reads the Modelfile from standard input
    """
    settings = read_settings(os.environ)
    modelfile, folder = read_modelfile(file, settings.max_body_bytes)
    for warning in modelfile.warnings:
        render.note(warning)
    base, paths = find_sources(modelfile, folder)
    adapters = [path for name in modelfile.adapters for path in existing_files("ADAPTER", name, folder)]
    drafts = existing_files("DRAFT", modelfile.draft, folder) if modelfile.draft else []
    for path in (*paths, *adapters, *drafts):
        check_weights(path)
    status = Progress()
    try:
        with connect(settings) as client:
            delivery = Delivery(client, settings, status, link=link)
            request = CreateRequest(
                model=model,
                base=base,
                files=delivery.send(paths),
                adapters=delivery.send(adapters),
                draft_files=delivery.send(drafts),
                template=modelfile.template,
                system=modelfile.system,
                licenses=modelfile.licenses,
                parameters=options_from_parameters(modelfile.parameters),
                messages=modelfile.messages,
                renderer=modelfile.renderer or "",
                parser=modelfile.parser or "",
                requires=modelfile.requires or "",
                quantize=quantize,
            )
            if as_json:
                status.end()
            for step in client.create(request):
                if as_json:
                    render.line(one_line(step))
                    continue
                status.show(step.status, step.completed, step.total)
    finally:
        status.end()


def read_modelfile(file: str | None, limit_bytes: int) -> tuple[Modelfile, Path]:
    """Return the Modelfile and the folder that its paths are relative to; the limit is that of standard input.

    Raises InvalidFileError, ModelfileError, TooLargeError.
    """
    if file == STANDARD_INPUT:
        return parse_modelfile(read_input(limit_bytes)), Path.cwd()
    path = Path(file or DEFAULT_FILE)
    if file is None and not path.exists():
        if not (any(Path.cwd().glob(FOLDER_PATTERN)) or safetensors_files(Path.cwd())):
            raise InvalidFileError(
                "this folder has neither a Modelfile nor a GGUF file; write a Modelfile that begins with a FROM line, "
                "or name one with -f FILE"
            )
        render.note(f"there is no {DEFAULT_FILE} in this folder; its model files are taken")
        return Modelfile(from_=(".",)), Path.cwd()
    try:
        return parse_modelfile(path.read_bytes()), path.parent
    except OSError as exc:
        where = "" if path.is_absolute() else f", whose path is relative to {Path.cwd()}"
        raise InvalidFileError(
            f"couldn't read the Modelfile {path}: {exc.strerror}; name another with -f FILE{where}"
        ) from exc


def find_sources(modelfile: Modelfile, folder: Path) -> tuple[str, list[Path]]:
    """Return the model that FROM names, if it names one, and the files that FROM lines name."""
    bases = [name for name in modelfile.from_ if not is_path(name, folder)]
    paths = [path for name in modelfile.from_ if name not in bases for path in existing_files("FROM", name, folder)]
    return (bases[-1] if bases else ""), list(dict.fromkeys(paths))


def is_path(name: str, folder: Path) -> bool:
    """Whether FROM names a file or folder rather than a model: it exists, or is written as only a path is."""
    is_written_so = name.startswith((".", "/", "~")) or name.lower().endswith(".gguf")
    return is_written_so or resolve(name, folder).exists()


def resolve(name: str, folder: Path) -> Path:
    """Return the path that a Modelfile means, with `~` expanded; raises InvalidInputError for an unknown user."""
    try:
        return folder / Path(name).expanduser()
    except RuntimeError as exc:
        raise InvalidInputError(f"{name}: there is no such user") from exc


def existing_files(instruction: str, name: str, folder: Path) -> list[Path]:
    """Return the file of that name, or the GGUF files in the folder of that name; raises InvalidFileError."""
    path = resolve(name, folder)
    if path.is_dir():
        found = sorted(path.glob(FOLDER_PATTERN)) or safetensors_files(path)
        if not found:
            raise InvalidFileError(f"{instruction} {name}: there is no GGUF file and no safetensors in this folder")
        return found
    if not path.is_file():
        raise InvalidFileError(f"{instruction} {name}: there is no such file; paths are relative to the Modelfile")
    return safetensors_files(path.parent) if path.suffix.lower() == SAFETENSORS else with_other_parts(path)


def safetensors_files(folder: Path) -> list[Path]:
    """Return what belongs to a model or an adapter of Hugging Face's in a folder; nothing where it has no weights."""
    weights = sorted(folder.glob(f"*{SAFETENSORS}"))
    beside = [path for name in BESIDE_SAFETENSORS if (path := folder / name).is_file()]
    return [*weights, *beside] if weights else []


def with_other_parts(path: Path) -> list[Path]:
    """Return all files of a split model, given one that is named as llama.cpp does it; raises InvalidFileError."""
    paths = [path.with_name(name) for name in names_of_parts(path.name)]
    for part in paths:
        if not part.is_file():
            raise InvalidFileError(f"{path.name} is one part of {len(paths)}, and {part.name} is not beside it")
    return paths


def check_weights(path: Path) -> None:
    """Raise InvalidFileError for a file that the daemon would refuse, before all of it is sent."""
    try:
        if path.suffix.lower() == SAFETENSORS:
            read_table(path)
        elif path.suffix.lower() not in TEXTS:
            check_file(path)
    except InvalidFileError as exc:
        raise InvalidFileError(f"{path.name}: {exc.message}") from exc
