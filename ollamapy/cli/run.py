"""`ollamapy run`: one prompt, or a conversation where a person sits at both ends."""

from __future__ import annotations

import argparse
import importlib
import os
from contextlib import nullcontext
from difflib import get_close_matches
from functools import partial

from ollamapy.cli import render
from ollamapy.cli.attachments import Attached, attach_media
from ollamapy.cli.chat.keyboard import held_back
from ollamapy.cli.chat.session import VISION, Chat
from ollamapy.cli.daemon import connect, ensure_running
from ollamapy.cli.json_output import compact, one_line
from ollamapy.cli.parsing import clean_text, whole_number
from ollamapy.cli.piped import read_input
from ollamapy.cli.progress import show_transfer
from ollamapy.cli.speak import Manner, Speaker, listen, load
from ollamapy.cli.values import parse_format, parse_keep_alive, parse_pairs, parse_switch, parse_think
from ollamapy.client import Client
from ollamapy.config import Settings, read_settings
from ollamapy.dialects.native import ShowRecord
from ollamapy.errors import ForbiddenError, InvalidInputError, ModelNotFoundError, RegistryError, ServiceError
from ollamapy.names import BUNDLED
from ollamapy.types import EmbedRequest, GenerateRequest

ALIKE = 0.7  # how alike names are, of 1, of which one may be meant by the other
NOT_THERE = "file does not exist"  # how a registry's ignorance is told


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the words that the command takes."""
    parser.add_argument("model", metavar="MODEL", help="the model")
    parser.add_argument("prompt", metavar="PROMPT", nargs="*", default=[], help="what to ask, behind what is piped in")
    parser.add_argument("--system", metavar="TEXT", help="the system message, in place of the model's own")
    parser.add_argument(
        "-o",
        "--option",
        metavar="NAME=VALUE",
        action="append",
        default=[],
        dest="options",
        help="set a model option, such as temperature=0; may be given again",
    )
    parser.add_argument("--keepalive", metavar="DURATION", help="how long the model stays in memory, such as 10m")
    parser.add_argument("--verbose", action="store_true", help="print times and rates after an answer")
    parser.add_argument("--nowordwrap", action="store_true", help="don't wrap lines between words")
    parser.add_argument("--nomarkdown", action="store_true", help="show Markdown as it is written")
    parser.add_argument("--format", metavar="FORMAT", dest="format_", help="json, or a JSON Schema for the answer")
    parser.add_argument(
        "--think",
        metavar="LEVEL",
        help="whether to think first: true (also without a value), false, low, medium, high, max",
    )
    parser.add_argument(
        "--insecure", action="store_true", help="allow http:// before the name of a configured registry"
    )
    parser.add_argument("--hidethinking", action="store_true", help="don't print the thinking")
    parser.add_argument("--dimensions", metavar="N", help="of an embedding: keep only the first N numbers")
    parser.add_argument("--truncate", metavar="BOOL", help="of an embedding: false refuses a text that is too long")
    parser.add_argument(
        "--json", action="store_true", dest="as_json", help="print the answer as the API gives it, as lines of JSON"
    )


def command(
    *,
    model: str,
    prompt: list[str],
    keepalive: str | None,
    verbose: bool,
    nowordwrap: bool,
    format_: str | None,
    think: str | None,
    hidethinking: bool,
    insecure: bool,
    dimensions: str | None,
    truncate: str | None,
    system: str | None,
    options: list[str],
    nomarkdown: bool,
    as_json: bool,
) -> None:
    """Run a model: answer one prompt, or hold a conversation.

    Examples:
      ollamapy run wren                # a conversation
      ollamapy run wren "What can you do?"
      ollamapy run wren "Sum this up" --think=false < notes.txt
      ollamapy run wren "Three colours" --format json -o temperature=0
    """
    wanted = parse_think(think)
    keep_alive_seconds = parse_keep_alive("--keepalive", keepalive)
    answer_format, chosen = parse_format(format_), parse_pairs("--option", options)
    width, is_cut = whole_number("--dimensions", dimensions), parse_switch("--truncate", truncate)
    settings = read_settings(os.environ)
    words = [*piped_text(settings.max_body_bytes), *map(clean_text, prompt)]
    is_conversation = not words and not as_json and render.is_input_terminal() and render.is_output_terminal()
    early = held_back() if is_conversation else nullcontext("")
    with early as typed, connect(settings) as client:
        shown = find_model(client, model, insecure=insecure)
        if "embedding" in shown.capabilities:
            text = " ".join(words)
            embed_once(client, EmbedRequest(model, (text,), (), is_cut, width, keep_alive_seconds=keep_alive_seconds))
            return
        is_terminal = render.is_output_terminal()
        manner = Manner(
            model=model,
            system=system,
            options=chosen,
            format=answer_format,
            think=True if wanted is None and "thinking" in shown.capabilities else wanted,
            keep_alive_seconds=keep_alive_seconds,
            is_verbose=verbose,
            hide_thinking=hidethinking,
            is_wrapped=is_terminal and not nowordwrap,
            is_dimmed=is_terminal and not settings.no_color,
            has_markdown=is_terminal and not settings.no_color and not nomarkdown,
        )
        if is_conversation:
            chat = Chat(client, manner, shown, partial(ensure_running, client, settings.host))
            hold_conversation(chat, settings, typed)
        else:
            answer_once(client, manner, shown, " ".join(words), as_json=as_json)


def find_model(client: Client, model: str, *, insecure: bool) -> ShowRecord:
    """Return what is known of the model, which is pulled if it is not here; raises ModelNotFoundError."""
    try:
        return client.show(model)
    except ModelNotFoundError as exc:
        try:
            show_transfer(client.pull(model, insecure=insecure))
        except (ForbiddenError, InvalidInputError, RegistryError, ServiceError) as refused:
            if near := similar_models(client, model):
                render.note(f"model '{model}' is not here; did you mean {near[0]}?")
            if isinstance(refused, RegistryError | ServiceError) and NOT_THERE not in refused.message:
                raise
            raise ModelNotFoundError(
                model, f"{exc.message}; `ollamapy list` shows the models that there are ({refused.message})"
            ) from exc
    return client.show(model)


def similar_models(client: Client, model: str) -> list[str]:
    """Return the models whose names resemble this one, the closest first."""
    names = {record.name.removesuffix(":latest") for record in client.list().models}
    return get_close_matches(model, sorted(names.union(BUNDLED)), cutoff=ALIKE)


def hold_conversation(chat: Chat, settings: Settings, typed: str) -> None:
    """Hold a conversation; what only a conversation needs is loaded here."""
    importlib.import_module("ollamapy.cli.chat.conversation").converse(chat, settings, typed)


def answer_once(client: Client, manner: Manner, shown: ShowRecord, prompt: str, *, as_json: bool) -> None:
    """Print the answer to one prompt; a blank one loads the model."""
    if not prompt.strip():
        load(client, manner)
        return
    attached = attach_media(prompt) if VISION in shown.capabilities else Attached(prompt)
    for note in attached.notes:
        render.note(note)
    request = GenerateRequest(
        model=manner.model,
        prompt=attached.text,
        images=attached.images,
        system=manner.system,
        options=manner.options,
        format=manner.format,
        think=manner.think,
        keep_alive_seconds=manner.keep_alive_seconds,
    )
    if as_json:
        for record in client.generate(request):
            render.line(one_line(record))
        return
    speaker = Speaker(manner, client)
    listen(client.generate(request), speaker)
    speaker.tell_end()


def embed_once(client: Client, request: EmbedRequest) -> None:
    """Print the vector of one text as a JSON array in a line."""
    if not any(map(str.strip, request.inputs)):
        usage = f'ollamapy run {request.model} "your text here"'
        raise InvalidInputError(f"embedding models require input text. Usage: {usage}")
    answer = client.embed(request)
    for vector in answer.embeddings:
        render.line(compact(vector))
    if answer.truncated_inputs:
        render.note("the text was longer than the model can read, and cut")


def piped_text(limit_bytes: int) -> list[str]:
    """Return what is piped into the command; nothing where a person types. Raises TooLargeError."""
    if render.is_input_terminal():
        return []
    text = read_input(limit_bytes).decode("utf-8", "replace")
    return [text] if text else []
