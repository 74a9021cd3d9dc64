"""What the bodies of Ollama's requests look like, for the published document; nothing is decoded by it.

A field that may be left out may be null too. A test compares the names with those that are read.
Source: Ollama's `api/types.go` (release 0.33).
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from ollamapy.dialects.fields import MAX_TOP_LOGPROBS
from ollamapy.dialects.native_embed import MAX_DIMENSIONS
from ollamapy.options import MAX_STOPS, RULES, OptionRule
from ollamapy.parsing.gbnf import MOST_CHARS

Object = dict[str, Any]
KeepAlive = Annotated[float | str, Meta(description='Seconds, or a duration such as "5m"; negative is for ever.')]
Base64 = Annotated[str, Meta(description="A file in base64.", extra_json_schema={"contentEncoding": "base64"})]
Digest = Annotated[str, Meta(pattern="^sha256:[0-9a-f]{64}$")]
Tokens = list[Annotated[int, Meta(ge=0, le=(1 << 31) - 1)]]
Grammar = Annotated[str, Meta(description="What the answer is held to, in llama.cpp's GBNF.", max_length=MOST_CHARS)]
Regex = Annotated[str, Meta(description="The regular expression that the whole answer matches.", max_length=MOST_CHARS)]
Lark = Annotated[str, Meta(description="What the answer is held to, in llguidance's Lark.", max_length=MOST_CHARS)]
Name = Annotated[str, Meta(description="[host/][namespace/]model[:tag]", min_length=1)]


class Body(msgspec.Struct, frozen=True, kw_only=True):
    """Base of all bodies."""


def option_type(rule: OptionRule) -> Any:
    """Return what an option accepts as an annotation."""
    match rule.kind:
        case "boolean":
            return bool
        case "array":
            return Annotated[list[str], Meta(max_length=MAX_STOPS)]
        case "integer":
            return Annotated[int, Meta(ge=int(rule.low), le=int(rule.high))]
        case _:
            return Annotated[float, Meta(ge=rule.low, le=rule.high)]


OptionsBody = msgspec.defstruct(
    "Options",
    [(name, option_type(rule) | None, None) for name, rule in RULES.items()],
    kw_only=True,
    namespace={"__doc__": "Options of a model; those of the Modelfile count where one is left out."},
)


class CalledFunction(Body, frozen=True, kw_only=True):
    """A function with the arguments of its call."""

    name: str
    arguments: Object | None = None
    index: Annotated[int, Meta(ge=0)] | None = None


class ToolCallBody(Body, frozen=True, kw_only=True):
    """A call of an earlier turn."""

    function: CalledFunction
    id: str | None = None


class MessageBody(Body, frozen=True, kw_only=True):
    """One turn of a chat; `role` is system, user, assistant or tool."""

    role: str
    content: str | None = None
    thinking: str | None = None
    images: list[Base64] | None = None
    tool_calls: list[ToolCallBody] | None = None
    tool_name: str | None = None
    tool_call_id: str | None = None


class FunctionBody(Body, frozen=True, kw_only=True):
    """A function that the model may call; `parameters` is a JSON schema."""

    name: Annotated[str, Meta(min_length=1)]
    description: str | None = None
    parameters: Object | None = None


class ToolBody(Body, frozen=True, kw_only=True):
    """A tool that the model may call."""

    function: FunctionBody
    type: Literal["function"] = "function"


class ChosenFunction(Body, frozen=True, kw_only=True):
    """A function by its name."""

    name: str


class ToolChoice(Body, frozen=True, kw_only=True):
    """The one function that must be called."""

    function: ChosenFunction
    type: Literal["function"] = "function"


class LoadBody(Body, frozen=True, kw_only=True):
    """What all requests to a model may say."""

    model: Name
    options: OptionsBody | None = None  # type: ignore[valid-type]
    keep_alive: KeepAlive | None = None


class AnswerBody(LoadBody, frozen=True, kw_only=True):
    """What `chat` and `generate` have in common."""

    format: Literal["json", ""] | Object | None = None
    grammar: Grammar | None = None
    regex: Regex | None = None
    lark: Lark | None = None
    stream: bool | None = None
    think: bool | Literal["low", "medium", "high", "max"] | None = None
    truncate: bool | None = None
    shift: bool | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Meta(ge=0, le=MAX_TOP_LOGPROBS)] | None = None
    render_only: bool | None = msgspec.field(name="_debug_render_only", default=None)


class ChatBody(AnswerBody, frozen=True, kw_only=True):
    """A chat; without messages the model is loaded, or unloaded where `keep_alive` is 0."""

    messages: list[MessageBody] | None = None
    tools: list[ToolBody] | None = None
    tool_choice: Literal["none", "auto", "required"] | ToolChoice | None = None


class GenerateBody(AnswerBody, frozen=True, kw_only=True):
    """A prompt; without one the model is loaded, or unloaded where `keep_alive` is 0."""

    prompt: str | None = None
    suffix: str | None = None
    system: str | None = None
    template: str | None = None
    context: Tokens | None = None
    raw: bool | None = None
    images: list[Base64] | None = None


class EmbedBody(LoadBody, frozen=True, kw_only=True):
    """Texts to turn into vectors; without any the model is loaded."""

    input: str | list[str] | None = None
    truncate: bool | None = None
    dimensions: Annotated[int, Meta(ge=0, le=MAX_DIMENSIONS)] | None = None


class EmbeddingBody(LoadBody, frozen=True, kw_only=True):
    """A text to turn into a vector."""

    prompt: str | None = None


class DocumentBody(Body, frozen=True, kw_only=True):
    """A document as an object."""

    text: str


class RerankBody(LoadBody, frozen=True, kw_only=True):
    """Documents to sort by how well they answer a query."""

    query: Annotated[str, Meta(min_length=1)]
    documents: Annotated[list[str | DocumentBody], Meta(min_length=1)]
    top_n: Annotated[int, Meta(ge=1)] | None = None
    truncate: bool | None = None
    return_documents: bool | None = None


class InfoBody(Body, frozen=True, kw_only=True):
    """What the new model shall say of itself in place of what its file says."""

    capabilities: list[str] | None = None
    model_family: str | None = None
    base_name: str | None = None
    quantization_level: str | None = None
    parameter_size: str | None = None
    context_length: Annotated[int, Meta(ge=0)] | None = None
    embedding_length: Annotated[int, Meta(ge=0)] | None = None


class CreateBody(Body, frozen=True, kw_only=True):
    """A model to make, out of another one (`from`) or of uploaded files."""

    model: Name
    base: str | None = msgspec.field(name="from", default=None)
    files: dict[str, Digest] | None = None
    draft_files: dict[str, Digest] | None = None
    adapters: dict[str, Digest] | None = None
    template: str | None = None
    system: str | None = None
    license: str | list[str] | None = None
    parameters: OptionsBody | None = None  # type: ignore[valid-type]
    messages: list[MessageBody] | None = None
    renderer: str | None = None
    parser: str | None = None
    requires: str | None = None
    quantize: str | None = None
    draft_quantize: str | None = None
    info: InfoBody | None = None
    stream: bool | None = None


class TransferBody(Body, frozen=True, kw_only=True):
    """A model to pull or to push."""

    model: Name
    insecure: bool | None = None
    stream: bool | None = None


class UpdateBody(Body, frozen=True, kw_only=True):
    """A model whose registry is asked; with `only_pulled` only where it came from there."""

    model: Name
    only_pulled: bool | None = None


class ShowBody(Body, frozen=True, kw_only=True):
    """A model to tell about; its Modelfile is printed with this system prompt and these options.

    `verbose` is for its whole vocabulary.
    """

    model: Name
    verbose: bool | None = None
    system: str | None = None
    options: OptionsBody | None = None  # type: ignore[valid-type]


class ModelBody(Body, frozen=True, kw_only=True):
    """A model."""

    model: Name


class CopyBody(Body, frozen=True, kw_only=True):
    """A model and the name that it shall have too."""

    source: Name
    destination: Name


class PruneBody(Body, frozen=True, kw_only=True):
    """`dry_run` only tells what would go."""

    dry_run: bool | None = None


class EstimateBody(Body, frozen=True, kw_only=True):
    """A model whose memory is to be estimated, stored or in a registry."""

    model: Name
    options: OptionsBody | None = None  # type: ignore[valid-type]


class TokenizeBody(Body, frozen=True, kw_only=True):
    """A text to turn into tokens."""

    model: Name
    content: str


class DetokenizeBody(Body, frozen=True, kw_only=True):
    """Tokens to turn into text."""

    model: Name
    tokens: Tokens
