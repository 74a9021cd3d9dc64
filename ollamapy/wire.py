"""Messages between the daemon and a worker process, and their framing.

Every message is a tagged msgpack record behind a 4-byte little-endian length, over the worker's standard input and
output. Nothing else may be written there, and nothing here can run code when it is read (no pickle).
"""

from __future__ import annotations

import hashlib
import struct
from typing import Literal

import msgspec

HEADER = struct.Struct("<I")

ErrorKind = Literal["context_length", "invalid", "unsupported", "option", "capacity", "internal"]


class Message(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """Base of all messages."""


class Segment(msgspec.Struct, frozen=True, array_like=True):
    """A stretch of prompt text; control tokens such as `<|im_start|>` are recognised only where `special` is true.

    A segment without text may be an `image` instead: the bytes of a file in a common format.
    """

    text: str
    special: bool = True
    image: bytes = b""


class Sampling(msgspec.Struct, frozen=True, array_like=True):
    """A complete sampler chain: every value is set. `seed` is -1 for a random one."""

    seed: int = -1
    temperature: float = 0.8
    top_k: int = 40
    top_p: float = 0.9
    min_p: float = 0.0
    typical_p: float = 1.0
    repeat_last_n: int = 64
    repeat_penalty: float = 1.0
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    logit_bias: dict[int, float] = {}
    top_n_sigma: float = -1.0
    xtc_probability: float = 0.0
    xtc_threshold: float = 0.1
    dry_multiplier: float = 0.0
    dry_base: float = 1.75
    dry_allowed_length: int = 2
    dry_penalty_last_n: int = -1
    dry_sequence_breakers: tuple[str, ...] = ("\n", ":", '"', "*")
    mirostat: int = 0
    mirostat_tau: float = 5.0
    mirostat_eta: float = 0.1


# ---- parent to worker


class LoadModel(Message, frozen=True):
    """Load a model; answered by `LoadProgress`* and then `Ready` or `LoadFailed`. Sent once, first.

    `n_ctx` is the number of KV cells that all sequences share, `n_seq_max` the number of sequences and remembered
    prefixes that may hold them. At most `n_parallel` requests run at once, 0 for as many as fit. `embeds` loads the
    model for `Embed` instead of `Generate`. -1 and None leave a choice to llama.cpp. `shards` are all files of a split
    model in order, `path` the first of them; empty for a whole one. `projector` encodes images, "" where there is none.
    Tokens are guessed ahead if `speculates`, from earlier text and by the model in the file `draft`, if there is one.
    Prefixes outlive the worker in `state_folder`, which holds `state_bytes` at most; 0 keeps none. Those that make room
    in the KV cache take `parking_bytes` of the host's memory at most. `devices` are the accelerators that may be used,
    by ggml's names, empty for llama.cpp's own choice; `main_gpu` and `tensor_split`, the shares of each, count in them.
    """

    path: str
    adapters: list[str]
    n_ctx: int
    n_batch: int = 512
    n_seq_max: int = 256
    n_parallel: int = 0
    embeds: bool = False
    n_gpu_layers: int = -1
    main_gpu: int | None = None
    use_mmap: bool = True
    n_threads: int = 0
    flash_attention: Literal["auto", "on", "off"] = "auto"
    kv_cache_type: Literal["f32", "f16", "q8_0", "q4_0"] = "f16"
    shards: list[str] = []
    projector: str = ""
    draft: str = ""
    speculates: bool = True
    state_folder: str = ""
    state_bytes: int = 0
    parking_bytes: int = 0
    devices: list[str] = []
    tensor_split: list[float] = []
    split_mode: Literal["none", "layer", "row", "tensor"] = "layer"


def state_mark(model_file: str) -> str:
    """Return what stands in the names of the state files of models that this file is a part of."""
    return hashlib.sha256(model_file.encode()).hexdigest()[:16] + "-"


class Measure(Message, frozen=True):
    """Answered by `Devices`. Sent before `LoadModel`, any number of times."""


class Quantize(Message, frozen=True):
    """Write a quantized copy of a GGUF file over `target`.

    Answered by `FileProgress`* and `FileDone`, or by `FileFailed`. Sent instead of `LoadModel`, once. The parts of a
    split file are found by its name. `file_type` is a number of llama.cpp's `enum llama_ftype`.
    """

    path: str
    target: str
    file_type: int


class Translate(Message, frozen=True):
    """Write what llama.cpp loads in the place of a file that it can't load, to a process of `ollamapy.convert`.

    Weights go over `target`, the vision encoder within them over `projector`; each stays empty where the file has none.
    Answered as `Quantize` is.
    """

    path: str
    target: str
    projector: str


class Convert(Message, frozen=True):
    """Make a GGUF file of safetensors and what lies beside them, named as in their folder, by `ollamapy.convert`.

    With `base`, the GGUF file of a model, they are an adapter for that model. Answered as `Quantize` is.
    """

    files: dict[str, str]
    target: str
    base: str = ""


class Generate(Message, frozen=True):
    """Continue a prompt; answered by outputs within `Step` frames until one has `finished`, or by `Failed`.

    The prompt is `prefix_tokens` followed by the tokenised `segments`. `num_ctx` bounds prompt and answer together;
    `max_tokens` < 0 means as many as `num_ctx` x 10. With `shift`, an answer that fills the context goes on after the
    oldest tokens behind `num_keep` were dropped. `grammar` is an llguidance grammar in its JSON form, and
    `grammar_field` what the request calls it. Control tokens leave no text, save those in `visible`. At most
    `draft_tokens` are guessed ahead in a step, -1 for a usual number.
    With `prompt_logprobs` the whole prompt is computed anew, and the first output tells how likely its tokens were.
    """

    id: int
    segments: list[Segment]
    prefix_tokens: list[int]
    add_special: bool
    sampling: Sampling
    num_ctx: int
    max_tokens: int = -1
    num_keep: int = 4
    shift: bool = True
    stop: list[str] = []
    logprobs: bool = False
    top_logprobs: int = 0
    return_tokens: bool = False
    grammar: str | None = None
    visible: list[str] = []
    draft_tokens: int = -1
    grammar_field: str = "format"
    prompt_logprobs: bool = False


class Unload(Message, frozen=True):
    """Keep what shall outlive the worker, and end; nothing may follow."""


class Cancel(Message, frozen=True):
    """Forget a request; nothing more is sent for it."""

    id: int


class Tokenize(Message, frozen=True):
    """Answered by `Tokens`, or by `Failed`."""

    id: int
    segments: list[Segment]
    add_special: bool


class Embed(Message, frozen=True):
    """Answered by `Embeddings`, or by `Failed`.

    An input longer than `num_ctx` tokens is cut to that if `truncate`, refused otherwise. A vector is cut to its first
    `dimensions` numbers where that is not 0, and scaled to length 1 if `normalize`. Inputs of `tokens` come behind the
    `inputs` and are taken as they are. With `pairs` each input is two segments, a query and a document for a reranker.
    """

    id: int
    inputs: list[list[Segment]]
    num_ctx: int
    truncate: bool = True
    dimensions: int = 0
    normalize: bool = True
    tokens: list[list[int]] = []
    add_special: bool = True
    pairs: bool = False


class Detokenize(Message, frozen=True):
    """Answered by `Text`, or by `Failed`."""

    id: int
    tokens: list[int]


# ---- worker to parent


class Hello(Message, frozen=True):
    """Sent once, as soon as the worker has imported what it needs and waits for `LoadModel`."""

    pid: int


class Device(msgspec.Struct, frozen=True, array_like=True):
    """An accelerator as ggml knows it; `kind` is `gpu` or `igpu`, sizes are bytes."""

    name: str
    library: str
    kind: Literal["gpu", "igpu"]
    description: str
    total: int
    free: int


class Devices(Message, frozen=True):
    """Answer to `Measure`: the accelerators in ggml's order, with what is free now."""

    devices: list[Device]


class Beat(Message, frozen=True):
    """Steps come to an end, also where nothing is said of them. Sent at most once a second."""


class LoadProgress(Message, frozen=True):
    """`fraction` of the weights that are loaded, 0 to 1."""

    fraction: float


class Ready(Message, frozen=True):
    """The model is loaded, and runs `n_parallel` requests at once; others wait in the worker.

    Sizes are bytes; `size_vram` of `size` lie on accelerators, `buffers` tells them by name.
    """

    n_ctx: int
    n_ctx_train: int
    n_vocab: int
    n_embd: int
    n_seq_max: int
    n_parallel: int
    size: int
    size_vram: int
    control_tokens: list[str]
    bos_token: str
    eos_token: str
    adds_bos: bool
    adds_eos: bool
    description: str
    buffers: dict[str, int] = {}


class LoadFailed(Message, frozen=True):
    """The model could not be loaded; the worker ends after this."""

    error: str


class FileProgress(Message, frozen=True):
    """`done` of `total` tensors, or bytes, of a `Quantize` or `Translate`."""

    done: int
    total: int


class FileDone(Message, frozen=True):
    """The target is written; the process ends after this."""


class FileFailed(Message, frozen=True):
    """The target could not be written, which `is_refusal` says is the input's fault; the process ends after this."""

    error: str
    is_refusal: bool = False


class Logprob(msgspec.Struct, frozen=True, array_like=True):
    """A token's raw bytes and log probability with the likeliest alternatives as (bytes, logprob)."""

    token: bytes
    logprob: float
    top: list[tuple[bytes, float]]


class Finished(msgspec.Struct, frozen=True, array_like=True):
    """How a sequence ended. `stop` is the stop string that ended it; durations are seconds.

    `draft_tokens` were guessed ahead, `accepted_tokens` of them came true.
    """

    reason: Literal["stop", "length"]
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int
    prompt_seconds: float
    completion_seconds: float
    stop: str | None = None
    tokens: list[int] | None = None
    draft_tokens: int = 0
    accepted_tokens: int = 0


class Output(msgspec.Struct, frozen=True, array_like=True):
    """What one step added to one request: whole UTF-8 text, perhaps empty.

    `prompt_logprobs` has an entry for each token of the prompt; the number of the first, which follows nothing, is 0.
    `n_tokens` were added to the answer. The first output of a request tells in `begun` how many tokens its prompt had
    and how many of these were cached.
    """

    id: int
    text: str
    logprobs: list[Logprob] = []
    finished: Finished | None = None
    prompt_logprobs: list[Logprob] = []
    n_tokens: int = 1
    begun: tuple[int, int] | None = None


class Step(Message, frozen=True):
    """All that one decode step produced, and the cells in use after it.

    Of all tokens ever guessed ahead (`draft_tokens`), `accepted_tokens` came true.
    """

    outputs: list[Output]
    cells_used: int
    draft_tokens: int = 0
    accepted_tokens: int = 0


class Tokens(Message, frozen=True):
    """Answer to `Tokenize`."""

    id: int
    tokens: list[int]


class Embeddings(Message, frozen=True):
    """Answer to `Embed`: little-endian float32 vectors, one per input in its order; a reranker's have one number."""

    id: int
    vectors: list[bytes]
    prompt_tokens: int
    truncated: int
    seconds: float


class Text(Message, frozen=True):
    """Answer to `Detokenize`."""

    id: int
    text: str


class Failed(Message, frozen=True):
    """A request ended in an error; `numbers` belong to the kind (context_length: prompt tokens, context tokens)."""

    id: int
    kind: ErrorKind
    error: str
    numbers: list[int] = []


FileTask = Quantize | Translate | Convert
ToWorker = LoadModel | Measure | FileTask | Unload | Generate | Cancel | Embed | Tokenize | Detokenize
Loading = LoadProgress | Ready | LoadFailed
FileReport = FileProgress | FileDone | FileFailed
FromWorker = Hello | Devices | Beat | Loading | FileReport | Step | Embeddings | Tokens | Text | Failed

_encoder = msgspec.msgpack.Encoder()
_to_worker: msgspec.msgpack.Decoder[ToWorker] = msgspec.msgpack.Decoder(ToWorker)
_from_worker: msgspec.msgpack.Decoder[FromWorker] = msgspec.msgpack.Decoder(FromWorker)


def encode_frame(message: Message) -> bytes:
    """Return the message with its length in front."""
    body = _encoder.encode(message)
    return HEADER.pack(len(body)) + body


def decode_to_worker(body: bytes) -> ToWorker:
    """Decode a message for a worker; raises msgspec.DecodeError if it is not one."""
    return _to_worker.decode(body)


def decode_from_worker(body: bytes) -> FromWorker:
    """Decode a message from a worker; raises msgspec.DecodeError if it is not one."""
    return _from_worker.decode(body)
