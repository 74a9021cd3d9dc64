"""What the bodies of OpenAI's and Anthropic's requests look like, for the published document.

A field that may be left out may be null too. A test compares the names with those that are read. Fields that are
accepted without an effect (`user`, `metadata`, `cache_control` ...) are not told.
Source: OpenAI's API reference, Anthropic's Messages API reference.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta, field

from ollamapy.dialects.bodies import (
    Body,
    Grammar,
    KeepAlive,
    Lark,
    LoadBody,
    Name,
    Object,
    OptionsBody,
    Regex,
    ToolBody,
    ToolChoice,
)
from ollamapy.dialects.fields import MAX_TOP_LOGPROBS
from ollamapy.dialects.native_embed import MAX_DIMENSIONS
from ollamapy.dialects.openai_requests import EFFORT_WORDS, MAX_TOKENS, MOST_ANSWERS, MOST_BIAS

Count = Annotated[int, Meta(ge=1, le=MAX_TOKENS)]
TopLogprobs = Annotated[int, Meta(ge=0, le=MAX_TOP_LOGPROBS)]
Answers = Annotated[int, Meta(ge=1, le=MOST_ANSWERS)]
Effort = Literal[EFFORT_WORDS]  # type: ignore[valid-type]
LogitBias = dict[str, Annotated[float, Meta(ge=-MOST_BIAS, le=MOST_BIAS)]]


class ImageUrl(Body, frozen=True, kw_only=True):
    """An image in a data URL."""

    url: str


class TextPart(Body, frozen=True, kw_only=True, tag="text", tag_field="type"):
    """A text within a content."""

    text: str


class ImagePart(Body, frozen=True, kw_only=True, tag="image_url", tag_field="type"):
    """An image within a content."""

    image_url: ImageUrl | str


class JsonFunction(Body, frozen=True, kw_only=True):
    """A function with the arguments of its call as JSON text."""

    name: str
    arguments: str = "{}"


class JsonToolCall(Body, frozen=True, kw_only=True):
    """A call of an earlier turn."""

    function: JsonFunction
    id: str | None = None
    type: Literal["function"] = "function"


class ChatTurn(Body, frozen=True, kw_only=True):
    """One turn of a chat; `role` is system, developer, user, assistant or tool."""

    role: str
    content: str | list[TextPart | ImagePart]
    reasoning: str | None = None
    reasoning_content: str | None = None
    tool_calls: list[JsonToolCall] | None = None
    name: str | None = None
    tool_call_id: str | None = None


class NamedSchema(Body, frozen=True, kw_only=True):
    """A JSON schema with its name."""

    schema: Object
    name: str | None = None
    strict: bool | None = None


class ResponseFormat(Body, frozen=True, kw_only=True):
    """What the answer must be."""

    type: Literal["text", "json_object", "json_schema"]
    json_schema: NamedSchema | None = None


class StreamOptions(Body, frozen=True, kw_only=True):
    """What a stream has beside the answer."""

    include_usage: bool | None = None


class Reasoning(Body, frozen=True, kw_only=True):
    """How much to think."""

    effort: Effort | None = None


class V1Body(LoadBody, frozen=True, kw_only=True):
    """What OpenAI's inference routes have in common; every one of Ollama's options may stand beside it."""

    stream: bool | None = None
    logit_bias: LogitBias | None = None
    max_tokens: Count | None = None
    max_completion_tokens: Count | None = None


class ChatCompletionBody(V1Body, frozen=True, kw_only=True):
    """A chat."""

    messages: Annotated[list[ChatTurn], Meta(min_length=1)]
    grammar: Grammar | None = None
    regex: Regex | None = None
    lark: Lark | None = None
    tools: list[ToolBody] | None = None
    tool_choice: Literal["none", "auto", "required"] | ToolChoice | None = None
    parallel_tool_calls: bool | None = None
    response_format: ResponseFormat | None = None
    stream_options: StreamOptions | None = None
    n: Answers | None = None
    stop: str | list[str] | None = None
    logprobs: bool | None = None
    top_logprobs: TopLogprobs | None = None
    reasoning_effort: Effort | None = None
    reasoning: Reasoning | None = None
    chat_template_kwargs: Object | None = None
    render_only: bool | None = field(name="_debug_render_only", default=None)


class CompletionBody(V1Body, frozen=True, kw_only=True):
    """Prompts to go on with, each a text or token ids of the model; `raw` false puts the chat template around them."""

    prompt: str | list[Any] | None = None
    suffix: str | None = None
    response_format: ResponseFormat | None = None
    grammar: Grammar | None = None
    regex: Regex | None = None
    lark: Lark | None = None
    raw: bool | None = None
    echo: bool | None = None
    n: Answers | None = None
    best_of: Answers | None = None
    stop: str | list[str] | None = None
    logprobs: TopLogprobs | None = None
    stream_options: StreamOptions | None = None


class V1EmbedBody(LoadBody, frozen=True, kw_only=True):
    """Texts or token ids to turn into vectors."""

    input: str | Annotated[list[Any], Meta(min_length=1)]
    encoding_format: Literal["float", "base64"] | None = None
    dimensions: Annotated[int, Meta(ge=0, le=MAX_DIMENSIONS)] | None = None
    truncate: bool | None = None


class TextFormat(Body, frozen=True, kw_only=True):
    """What the answer of a response must be."""

    type: Literal["text", "json_object", "json_schema"]
    schema: Object | None = None


class TextSettings(Body, frozen=True, kw_only=True):
    """How a response's text shall be."""

    format: TextFormat | None = None


class ResponseBody(V1Body, frozen=True, kw_only=True):
    """A turn of a conversation; `input` is a text or items, and goes on with `previous_response_id`."""

    input: str | Annotated[list[Object], Meta(min_length=1)]
    instructions: str | list[Object] | None = None
    previous_response_id: str | None = None
    store: bool | None = None
    background: Literal[False] | None = None
    max_output_tokens: Count | None = None
    tools: list[Object] | None = None
    tool_choice: Literal["none", "auto", "required"] | Object | None = None
    parallel_tool_calls: bool | None = None
    max_tool_calls: int | None = None
    text: TextSettings | None = None
    reasoning: Reasoning | None = None
    reasoning_effort: Effort | None = None
    include: list[str] | None = None
    top_logprobs: TopLogprobs | None = None
    truncation: Literal["auto", "disabled"] | None = None
    stop: str | list[str] | None = None
    metadata: Object | None = None
    user: str | None = None


class TextBlock(Body, frozen=True, kw_only=True, tag="text", tag_field="type"):
    """A text."""

    text: str


class ImageSource(Body, frozen=True, kw_only=True):
    """An image in base64."""

    data: str
    type: Literal["base64"] = "base64"
    media_type: str | None = None


class ImageBlock(Body, frozen=True, kw_only=True, tag="image", tag_field="type"):
    """An image."""

    source: ImageSource


class ThinkingBlock(Body, frozen=True, kw_only=True, tag="thinking", tag_field="type"):
    """What the model thought before."""

    thinking: str
    signature: str | None = None


class ToolUseBlock(Body, frozen=True, kw_only=True, tag="tool_use", tag_field="type"):
    """A tool that the model used before."""

    id: Annotated[str, Meta(min_length=1)]
    name: Annotated[str, Meta(min_length=1)]
    input: Object | None = None


class ToolResultBlock(Body, frozen=True, kw_only=True, tag="tool_result", tag_field="type"):
    """What a tool answered."""

    tool_use_id: str
    content: str | list[TextBlock | ImageBlock] | None = None
    is_error: bool | None = None


class AnthropicTurn(Body, frozen=True, kw_only=True):
    """One turn of a chat."""

    role: Literal["user", "assistant", "system"]
    content: str | list[TextBlock | ImageBlock | ThinkingBlock | ToolUseBlock | ToolResultBlock]


class AnthropicTool(Body, frozen=True, kw_only=True):
    """A tool that the model may use."""

    name: Annotated[str, Meta(min_length=1)]
    description: str | None = None
    input_schema: Object | None = None
    type: Literal["custom"] | None = None


class AnthropicChoice(Body, frozen=True, kw_only=True):
    """Whether a tool must be used; `name` goes with `tool`."""

    type: Literal["auto", "any", "tool", "none"]
    name: str | None = None
    disable_parallel_tool_use: bool | None = None


class Thinking(Body, frozen=True, kw_only=True):
    """Whether the model thinks first."""

    type: Literal["enabled", "disabled", "adaptive"]
    budget_tokens: int | None = None


class AnthropicFormat(Body, frozen=True, kw_only=True):
    """A JSON schema that holds the answer."""

    schema: Object
    type: Literal["json_schema"] = "json_schema"


class OutputConfig(Body, frozen=True, kw_only=True):
    """How much to think, and what the answer must be."""

    effort: Literal["low", "medium", "high", "xhigh", "max"] | None = None
    format: AnthropicFormat | None = None


class CountBody(Body, frozen=True, kw_only=True):
    """Messages whose tokens are counted; every one of Ollama's options may stand beside them."""

    model: Name
    messages: Annotated[list[AnthropicTurn], Meta(min_length=1)]
    system: str | list[TextBlock] | None = None
    tools: list[AnthropicTool] | None = None
    tool_choice: AnthropicChoice | None = None
    thinking: Thinking | None = None
    output_config: OutputConfig | None = None
    output_format: AnthropicFormat | None = None
    stream: bool | None = None
    stop_sequences: list[str] | None = None
    options: OptionsBody | None = None  # type: ignore[valid-type]
    keep_alive: KeepAlive | None = None


class MessagesBody(CountBody, frozen=True, kw_only=True):
    """Messages to answer."""

    max_tokens: Count
