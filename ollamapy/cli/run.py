"""`ollamapy run`: one prompt, or a conversation where a person sits at both ends."""

from __future__ import annotations

import argparse
import os
import sys
from functools import partial

import msgspec

from ollamapy.cli import render
from ollamapy.cli.conversation import converse
from ollamapy.cli.daemon import connect, ensure_running
from ollamapy.cli.json_output import compact
from ollamapy.cli.parsing import clean_text, whole_number
from ollamapy.cli.progress import show_transfer
from ollamapy.cli.speak import Manner, Speaker, listen, load
from ollamapy.client import Client
from ollamapy.config import parse_duration, read_settings
from ollamapy.dialects.native import ShowRecord
from ollamapy.errors import ForbiddenError, InvalidInputError, ModelNotFoundError, RegistryError, ServiceError
from ollamapy.types import EmbedRequest, GenerateRequest, Json, Think

NOT_THERE = "file does not exist"  # how a registry's ignorance is told
THINK_WORDS: dict[str, Think] = {
    "true": True,
    "false": False,
    "low": "low",
    "medium": "medium",
    "high": "high",
    "max": "max",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the words that the command takes."""
    parser.add_argument("model", metavar="MODEL", help="the model")
    parser.add_argument("prompt", metavar="PROMPT", nargs="*", default=[], help="what to ask, behind what is piped in")
    parser.add_argument("--keepalive", metavar="DURATION", help="how long the model stays in memory, such as 10m")
    parser.add_argument("--verbose", action="store_true", help="print times and rates after an answer")
    parser.add_argument("--nowordwrap", action="store_true", help="don't wrap lines between words")
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
) -> None:
    """Run a model: answer one prompt, or hold a conversation."""
    wanted = parse_think(think)
    keep_alive_seconds = None if keepalive is None else parse_duration(keepalive)
    answer_format = parse_format(format_)
    width, is_cut = whole_number("--dimensions", dimensions), parse_switch("--truncate", truncate)
    words = [*piped_text(), *map(clean_text, prompt)]
    is_conversation = not words and render.is_input_terminal() and render.is_output_terminal()
    settings = read_settings(os.environ)
    with connect(settings) as client:
        shown = find_model(client, model, insecure=insecure)
        if "embedding" in shown.capabilities:
            text = " ".join(words)
            embed_once(client, EmbedRequest(model, (text,), (), is_cut, width, keep_alive_seconds=keep_alive_seconds))
            return
        manner = Manner(
            model=model,
            format=answer_format,
            think=True if wanted is None and "thinking" in shown.capabilities else wanted,
            keep_alive_seconds=keep_alive_seconds,
            is_verbose=verbose,
            hide_thinking=hidethinking,
            is_wrapped=not nowordwrap and render.is_output_terminal(),
            is_dimmed=render.is_output_terminal() and not settings.no_color,
        )
        if is_conversation:
            converse(client, manner, shown.messages, partial(ensure_running, client, settings.host))
        else:
            answer_once(client, manner, " ".join(words))


def find_model(client: Client, model: str, *, insecure: bool) -> ShowRecord:
    """Return what is known of the model, which is pulled if it is not here; raises ModelNotFoundError."""
    try:
        return client.show(model)
    except ModelNotFoundError as exc:
        try:
            show_transfer(client.pull(model, insecure=insecure))
        except (ForbiddenError, InvalidInputError, RegistryError, ServiceError) as refused:
            if isinstance(refused, RegistryError | ServiceError) and NOT_THERE not in refused.message:
                raise
            raise ModelNotFoundError(
                model, f"{exc.message}; `ollamapy list` shows the models that there are ({refused.message})"
            ) from exc
    return client.show(model)


def answer_once(client: Client, manner: Manner, prompt: str) -> None:
    """Print the answer to one prompt; a blank one loads the model."""
    if not prompt.strip():
        load(client, manner)
        return
    request = GenerateRequest(
        model=manner.model,
        prompt=prompt,
        format=manner.format,
        think=manner.think,
        keep_alive_seconds=manner.keep_alive_seconds,
    )
    speaker = Speaker(manner)
    listen(client.generate(request), speaker)
    speaker.tell_statistics()


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


def piped_text() -> list[str]:
    """Return what is piped into the command; nothing where a person types."""
    if render.is_input_terminal():
        return []
    text = sys.stdin.buffer.read().decode("utf-8", "replace")
    return [text] if text else []


def parse_think(text: str | None) -> Think:
    """Read the value of `--think`; raises InvalidInputError."""
    if text is None:
        return None
    if text not in THINK_WORDS:
        raise InvalidInputError(f'invalid value "{text}" for --think: use ' + ", ".join(THINK_WORDS))
    return THINK_WORDS[text]


def parse_switch(option: str, text: str | None) -> bool:
    """Read the value of an option that is on unless told otherwise; raises InvalidInputError."""
    if text not in (None, "true", "false"):
        raise InvalidInputError(f'invalid value "{text}" for {option}: use true, false')
    return text != "false"


def parse_format(text: str | None) -> Json:
    """Read the value of `--format`: the word json, or a schema; raises InvalidInputError."""
    if not text or text == "json":
        return text or None
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError as exc:
        raise InvalidInputError(f"--format must be `json` or a JSON Schema: {exc}") from exc
