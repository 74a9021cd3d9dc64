"""OpenAI's older completions: requests to ollamapy's records, and answers to whole objects and server-sent events.

Source: OpenAI's completions reference, and Ollama's `openai/openai.go` (release 0.33) for the names of its fields.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import msgspec

from ollamapy.dialects.constraints import read_grammar
from ollamapy.dialects.fields import MAX_TOP_LOGPROBS, Fields, read_keep_alive
from ollamapy.dialects.openai import DONE_EVENT, FINGERPRINT, Usage, total_usage
from ollamapy.dialects.openai_requests import (
    DEFAULTS,
    MOST_ANSWERS,
    read_logit_bias,
    read_options,
    read_response_format,
)
from ollamapy.errors import InvalidInputError
from ollamapy.types import Chunk, Final, GenerateRequest, Json

MAX_TOKEN_ID = (1 << 31) - 1
MAX_PROMPT_TOKENS = 1 << 22

_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class CompletionRequest:
    """One request per prompt; `n` answers to each are wanted."""

    prompts: tuple[GenerateRequest, ...]
    n: int = 1
    stream: bool = False
    include_usage: bool = False

    @property
    def model(self) -> str:
        """The name as the client wrote it."""
        return self.prompts[0].model


class CompletionLogprobs(msgspec.Struct, frozen=True):
    """The tokens of an answer, and where in its text each begins."""

    tokens: list[str]
    token_logprobs: list[float | None]
    top_logprobs: list[dict[str, float] | None] | None
    text_offset: list[int]


class CompletionChoice(msgspec.Struct, frozen=True):
    """One answer of several, or what an event adds to it."""

    text: str
    index: int
    finish_reason: str | None
    logprobs: CompletionLogprobs | None = None


class Completion(msgspec.Struct, frozen=True, omit_defaults=True):
    """Whole answers, or one event of their stream."""

    id: str
    object: str
    created: int
    model: str
    system_fingerprint: str
    choices: list[CompletionChoice]
    usage: Usage | None = None


def completion_request(fields: Fields) -> CompletionRequest:
    """Read the body of /v1/completions; a prompt stands as it is, without a chat template, unless `raw` is false."""
    if not fields.text("model").strip():
        raise InvalidInputError("model is required")
    n = fields.integer("n", 1, MOST_ANSWERS) or 1
    if (fields.integer("best_of", 1, MOST_ANSWERS) or n) != n:
        raise InvalidInputError('field "best_of" must be equal to "n": all answers are returned')
    top_logprobs = fields.integer("logprobs", 0, MAX_TOP_LOGPROBS)
    suffix = fields.text("suffix")
    common = GenerateRequest(
        model=fields.text("model"),
        suffix=suffix,
        raw=fields.flag("raw", default=not suffix),
        format=read_response_format(fields),
        format_field="response_format",
        grammar=read_grammar(fields, "response_format"),
        options=read_options(fields),
        fallback=DEFAULTS,
        keep_alive_seconds=read_keep_alive(fields),
        logprobs=top_logprobs is not None,
        top_logprobs=top_logprobs or 0,
        logit_bias=read_logit_bias(fields),
        echo=fields.flag("echo"),
    )
    prompts = tuple(_with_prompt(common, prompt) for prompt in _prompts(fields.raw("prompt")))
    if len(prompts) * n > MOST_ANSWERS:
        raise InvalidInputError(f'fields "prompt" and "n" ask for more than {MOST_ANSWERS} answers; send fewer prompts')
    options = fields.nested("stream_options")
    include_usage = options is not None and options.flag("include_usage")
    return CompletionRequest(prompts, n, fields.flag("stream"), include_usage)


def _prompts(value: Json) -> list[Json]:
    """Return the prompts, each a text or an array of token ids."""
    if value is None or isinstance(value, str):
        return [value or ""]
    if isinstance(value, list) and value:
        if all(isinstance(item, str) for item in value):
            return value
        if all(isinstance(item, list) and item and _is_tokens(item) for item in value):
            return value
        if _is_tokens(value):
            return [value]
    raise InvalidInputError(
        'field "prompt" must be a string, an array of strings, an array of token ids, or an array of such arrays'
    )


def _is_tokens(value: list[Json]) -> bool:
    return len(value) <= MAX_PROMPT_TOKENS and all(type(token) is int and 0 <= token <= MAX_TOKEN_ID for token in value)


def _with_prompt(common: GenerateRequest, prompt: Json) -> GenerateRequest:
    if isinstance(prompt, str):
        return replace(common, prompt=prompt)
    if not common.raw:
        raise InvalidInputError('field "prompt": token ids stand as they are; with a suffix or a template send a text')
    return replace(common, prompt_tokens=tuple(prompt))


@dataclass(slots=True)
class CompletionEvents:
    """Turns the pieces of answers to `n_prompts` prompts, `n` each, into events; `created` is epoch seconds."""

    id: str
    model: str
    created: int
    n: int = 1
    n_prompts: int = 1
    include_usage: bool = False
    _offsets: dict[int, int] = field(default_factory=dict, init=False)
    _finals: dict[int, Final] = field(default_factory=dict, init=False)

    def events(self, chunk: Chunk) -> Iterator[bytes]:
        """Yield the events of one piece; the last piece of the last answer ends the stream."""
        if chunk.content or chunk.logprobs or chunk.prompt_logprobs:
            yield self._event([self._choice(chunk, None)])
        if chunk.final is None:
            return
        yield self._event([CompletionChoice("", chunk.index, chunk.final.finish_reason)])
        self._finals[chunk.index] = chunk.final
        if len(self._finals) == self.n * self.n_prompts:
            if self.include_usage:
                finals = [self._finals[index] for index in sorted(self._finals)]
                yield self._event([], total_usage(finals, self.n))
            yield DONE_EVENT

    def whole(self, answers: Sequence[Chunk]) -> bytes:
        """Return all answers as one object, each chunk being all pieces of one."""
        finals = [answer.final or Final("stop") for answer in answers]
        choices = [self._choice(answer, final.finish_reason) for answer, final in zip(answers, finals, strict=True)]
        return _encode(self._record(choices, total_usage(finals, self.n)))

    def _choice(self, chunk: Chunk, reason: str | None) -> CompletionChoice:
        offset = self._offsets.get(chunk.index, 0)
        self._offsets[chunk.index] = offset + len(chunk.content)
        return CompletionChoice(chunk.content, chunk.index, reason, _logprobs(chunk, offset))

    def _event(self, choices: list[CompletionChoice], usage: Usage | None = None) -> bytes:
        return b"data: " + _encode(self._record(choices, usage)) + b"\n\n"

    def _record(self, choices: list[CompletionChoice], usage: Usage | None) -> Completion:
        return Completion(self.id, "text_completion", self.created, self.model, FINGERPRINT, choices, usage)


def _logprobs(chunk: Chunk, offset: int) -> CompletionLogprobs | None:
    """Return the tokens of a piece, those of an echoed prompt first; the first of all follows nothing."""
    tokens = (*chunk.prompt_logprobs, *chunk.logprobs)
    if not tokens:
        return None
    offsets = []
    for token in tokens:
        offsets.append(offset)
        offset += len(token.token)
    n_without = 1 if chunk.prompt_logprobs else 0
    numbers: list[float | None] = [None] * n_without
    tops: list[dict[str, float] | None] = [None] * n_without
    for token in tokens[n_without:]:
        numbers.append(token.logprob)
        tops.append({top.token: top.logprob for top in token.top})
    return CompletionLogprobs([token.token for token in tokens], numbers, tops if any(tops) else None, offsets)
