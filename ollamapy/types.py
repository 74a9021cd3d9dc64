"""Records that travel through every layer: messages, options, requests, and the pieces of an answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, fields
from typing import Any, Literal

Json = Any  # a decoded JSON value; stays opaque between the dialects and the templates

FinishReason = Literal["stop", "length", "load", "unload"]
Think = bool | Literal["low", "medium", "high", "max"] | None


@dataclass(frozen=True, slots=True)
class ToolCall:
    """One call that a model asked for; `arguments` keeps the order in which they were written."""

    name: str
    arguments: Mapping[str, Json]
    id: str = ""
    index: int = 0


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a chat. `images` are decoded bytes; `role` is lower case.

    `parts` are the texts of a content that came in several; `content` then holds them all, a line each.
    """

    role: str
    content: str = ""
    thinking: str = ""
    images: tuple[bytes, ...] = ()
    tool_calls: tuple[ToolCall, ...] = ()
    tool_name: str = ""
    tool_call_id: str = ""
    parts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Options:
    """Model options under Ollama's names; None means "not set here".

    Runner options (`num_ctx` to `num_thread`) shape the loaded model, the others one request. Counts are tokens.
    """

    num_ctx: int | None = None
    num_batch: int | None = None
    num_gpu: int | None = None
    main_gpu: int | None = None
    split_mode: str | None = None
    tensor_split: str | None = None
    use_mmap: bool | None = None
    num_thread: int | None = None
    num_keep: int | None = None
    seed: int | None = None
    num_predict: int | None = None
    top_k: int | None = None
    top_p: float | None = None
    min_p: float | None = None
    typical_p: float | None = None
    repeat_last_n: int | None = None
    temperature: float | None = None
    repeat_penalty: float | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    stop: tuple[str, ...] | None = None
    top_n_sigma: float | None = None
    xtc_probability: float | None = None
    xtc_threshold: float | None = None
    dry_multiplier: float | None = None
    dry_base: float | None = None
    dry_allowed_length: int | None = None
    dry_penalty_last_n: int | None = None
    dry_sequence_breakers: tuple[str, ...] | None = None
    mirostat: int | None = None
    mirostat_tau: float | None = None
    mirostat_eta: float | None = None
    draft_num_predict: int | None = None

    def over(self, base: Options) -> Options:
        """Return these options with the gaps filled from `base`."""
        mine = {f.name: getattr(self, f.name) for f in fields(self)}
        return Options(**{k: getattr(base, k) if v is None else v for k, v in mine.items()})


@dataclass(frozen=True, slots=True)
class Grammar:
    """What a text is held to: GBNF, a regular expression or Lark, by the name of the field that it came in."""

    field: Literal["grammar", "regex", "lark"]
    text: str


@dataclass(frozen=True, slots=True)
class AnswerRequest:
    """What a chat and a single prompt have in common. `model` is the name as the client wrote it.

    `fallback` holds a dialect's own defaults: they count where neither the request nor the model sets an option.
    `logit_bias` maps token ids to what is added to their logits, `format_field` is the route's own name of `format`.
    """

    model: str
    _: KW_ONLY
    format: Json = None
    grammar: Grammar | None = None
    options: Options = Options()
    stream: bool = True
    keep_alive_seconds: float | None = None
    think: Think = None
    truncate: bool = True
    shift: bool = True
    logprobs: bool = False
    top_logprobs: int = 0
    render_only: bool = False
    fallback: Options = Options()
    logit_bias: Mapping[int, float] | None = None
    format_field: str = "format"

    @property
    def holding_field(self) -> str:
        """What the client calls the field that the answer is held to."""
        return self.grammar.field if self.grammar else self.format_field


@dataclass(frozen=True, slots=True)
class ChatRequest(AnswerRequest):
    """A chat, whichever dialect it came in.

    With `must_call` the answer is a call of one of the tools, with `one_call` it has no second one. With `count_prompt`
    the first piece tells the prompt's tokens.
    """

    messages: tuple[Message, ...] = ()
    tools: tuple[Mapping[str, Json], ...] = ()
    must_call: bool = False
    one_call: bool = False
    template_arguments: Mapping[str, Json] | None = None
    count_prompt: bool = False


@dataclass(frozen=True, slots=True)
class GenerateRequest(AnswerRequest):
    """A single prompt in Ollama's generate form.

    `prompt_tokens` is the prompt of a raw request, given as the model's own token ids. With `echo` the answer begins
    with the prompt, whose log probabilities come too where those of the answer do.
    """

    prompt: str = ""
    suffix: str = ""
    system: str | None = None
    template: str | None = None
    context: tuple[int, ...] = ()
    raw: bool = False
    images: tuple[bytes, ...] = ()
    prompt_tokens: tuple[int, ...] = ()
    echo: bool = False


@dataclass(frozen=True, slots=True)
class EmbedRequest:
    """Texts to turn into vectors; `token_inputs` are further ones, given as the model's own token ids.

    A vector is cut to its first `dimensions` numbers where that is not 0. With `as_trained` it keeps its length where
    the model was made so, otherwise all have length 1.
    """

    model: str
    inputs: tuple[str, ...] = ()
    token_inputs: tuple[tuple[int, ...], ...] = ()
    truncate: bool = True
    dimensions: int = 0
    options: Options = Options()
    keep_alive_seconds: float | None = None
    as_trained: bool = False


@dataclass(frozen=True, slots=True)
class Embedded:
    """Vectors in the order of their inputs, little-endian float32; `truncated_inputs` were too long and cut.

    Durations are seconds.
    """

    vectors: tuple[bytes, ...] = ()
    prompt_tokens: int = 0
    truncated_inputs: int = 0
    total_seconds: float = 0.0
    load_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class RerankRequest:
    """Documents to sort by how well they answer a query; the best `top_n` are told, 0 for all."""

    model: str
    query: str
    documents: tuple[str, ...]
    top_n: int = 0
    truncate: bool = True
    options: Options = Options()
    keep_alive_seconds: float | None = None
    return_documents: bool = False


@dataclass(frozen=True, slots=True)
class Reranked:
    """Documents by index with their scores, the best first; `truncated_inputs` were too long and cut.

    Durations are seconds.
    """

    scores: tuple[tuple[int, float], ...]
    prompt_tokens: int = 0
    truncated_inputs: int = 0
    total_seconds: float = 0.0
    load_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class TokenLogprob:
    """A sampled token with its log probability and, if asked for, the likeliest alternatives."""

    token: str
    logprob: float
    bytes: tuple[int, ...]
    top: tuple[TokenLogprob, ...] = ()


@dataclass(frozen=True, slots=True)
class Final:
    """How an answer ended. Durations are seconds; `cached_tokens` of the prompt were not computed again.

    `dropped_messages` of the oldest turns were left out because the history did not fit the context. `draft_tokens`
    were guessed ahead, `accepted_tokens` of them came true. `num_ctx` tokens were the most that prompt and answer could
    use.
    """

    finish_reason: FinishReason
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    total_seconds: float = 0.0
    load_seconds: float = 0.0
    prompt_seconds: float = 0.0
    completion_seconds: float = 0.0
    context: tuple[int, ...] | None = None
    stop_sequence: str | None = None
    dropped_messages: int = 0
    draft_tokens: int = 0
    accepted_tokens: int = 0
    num_ctx: int = 0


@dataclass(frozen=True, slots=True)
class CallDelta:
    """A piece of a tool call that is still being written; the `arguments` of all its pieces add up to JSON text."""

    index: int
    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of an answer; the last one carries `final`.

    `rendered` is set for render-only requests alone, `prompt_tokens` for those that ask for it. `index` tells several
    answers of one request apart. A call that is long in coming is told in `call_deltas` first; it is not among
    `tool_calls` before it is whole, and never if it turns out to be malformed. The first of `prompt_logprobs` follows
    nothing: its number means nothing.
    """

    content: str = ""
    thinking: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    logprobs: tuple[TokenLogprob, ...] = ()
    final: Final | None = None
    rendered: str | None = None
    index: int = 0
    prompt_tokens: int | None = None
    call_deltas: tuple[CallDelta, ...] = ()
    prompt_logprobs: tuple[TokenLogprob, ...] = ()

    @property
    def is_partial(self) -> bool:
        """Whether there is nothing here but pieces of calls that are still being written."""
        return bool(self.call_deltas) and not (self.content or self.thinking or self.tool_calls or self.logprobs)


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """What a request to make a model says of it in place of what its file says; empty and 0 leave that. In tokens."""

    capabilities: tuple[str, ...] = ()
    model_family: str = ""
    base_name: str = ""
    quantization_level: str = ""
    parameter_size: str = ""
    context_length: int = 0
    embedding_length: int = 0


@dataclass(frozen=True, slots=True)
class CreateRequest:
    """A model to make. `files`, `adapters` and `draft_files` map a file's relative name to the digest of its blob.

    None means "as the base model has it".
    """

    model: str
    base: str = ""
    files: Mapping[str, str] | None = None
    adapters: Mapping[str, str] | None = None
    draft_files: Mapping[str, str] | None = None
    template: str | None = None
    system: str | None = None
    licenses: tuple[str, ...] = ()
    parameters: Options | None = None
    messages: tuple[Message, ...] = ()
    renderer: str = ""
    parser: str = ""
    requires: str = ""
    quantize: str = ""
    draft_quantize: str = ""
    info: ModelInfo = ModelInfo()
    stream: bool = True


@dataclass(frozen=True, slots=True)
class TransferRequest:
    """A model to pull or to push; `insecure` allows http:// before its name, for a registry configured so."""

    model: str
    insecure: bool = False
    stream: bool = True


@dataclass(frozen=True, slots=True)
class Progress:
    """A step of a long action such as a create or a pull; sizes are bytes, 0 where the step has none."""

    status: str
    digest: str = ""
    total_bytes: int = 0
    completed_bytes: int = 0
