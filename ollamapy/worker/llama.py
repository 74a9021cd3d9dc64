"""One model of llama.cpp with its context behind plain Python calls; those that compute release the GIL."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import numpy as np
import numpy.typing as npt
from llama_cpp import llama_cpp as api

from ollamapy.errors import LoadError, OllamapyError
from ollamapy.wire import LoadModel, Sampling
from ollamapy.worker.candidates import Floats, Ints
from ollamapy.worker.cores import physical_cores
from ollamapy.worker.devices import Log, choose_devices
from ollamapy.worker.kernels import attends_in_tiles
from ollamapy.worker.sampling import Sampler, Stages

Handle = Any

_FLASH_ATTENTION = {
    "auto": api.LLAMA_FLASH_ATTN_TYPE_AUTO,
    "on": api.LLAMA_FLASH_ATTN_TYPE_ENABLED,
    "off": api.LLAMA_FLASH_ATTN_TYPE_DISABLED,
}
_CACHE_TYPES = {
    "f32": api.GGML_TYPE_F32,
    "f16": api.GGML_TYPE_F16,
    "q8_0": api.GGML_TYPE_Q8_0,
    "q4_0": api.GGML_TYPE_Q4_0,
}
_RECURRENT_SEQUENCES = 16
_LONGEST_PIECE = 4096
_SEARCH_TOKENS, _FEW_TOKENS = 4096, 16
_USUAL_PIECE = 128
_UsualPiece = ctypes.c_char * _USUAL_PIECE
_BYTES_PER_THREAD = 8 << 20
_LEAST_CELLS = 256  # llama.cpp aborts where a batch, and so the context, is smaller than the number of sequences
_LARGEST_MICRO_BATCH = 2048  # compute buffers grow with it times the context


class DecodeError(OllamapyError):
    """llama_decode refused a batch; `code` is its return value."""

    def __init__(self, code: int) -> None:
        super().__init__(f"llama_decode failed with code {code}")
        self.code = code


class Batch:
    """The input of one `llama_decode`, filled through numpy views that are allocated once.

    `tokens`, `positions` and `sequences` are (n_batch,) int32, `wants_logits` is (n_batch,) int8.
    """

    def __init__(self, n_batch: int) -> None:
        self.tokens: Ints = np.zeros(n_batch, np.int32)
        self.positions: Ints = np.zeros(n_batch, np.int32)
        self.sequences: Ints = np.zeros(n_batch, np.int32)
        self.wants_logits: npt.NDArray[np.int8] = np.zeros(n_batch, np.int8)
        self._token_at, self._position_at = self.tokens.data, self.positions.data  # faster for a few
        self._ones: Ints = np.ones(n_batch, np.int32)
        base = self.sequences.ctypes.data
        self._sequence_pointers = np.array([base + 4 * i for i in range(n_batch)], np.uint64)
        self._struct = api.llama_batch(
            n_tokens=0,
            token=_pointer(self.tokens, ctypes.c_int32),
            embd=None,
            pos=_pointer(self.positions, ctypes.c_int32),
            n_seq_id=_pointer(self._ones, ctypes.c_int32),
            seq_id=_pointer(self._sequence_pointers, ctypes.POINTER(ctypes.c_int32)),
            logits=_pointer(self.wants_logits, ctypes.c_int8),
        )

    def advance(self, tokens: list[Any]) -> None:
        """Put the next token and position of the same sequences into the first rows."""
        token_at, position_at = self._token_at, self._position_at
        for row, token in enumerate(tokens):
            token_at[row] = token
            position_at[row] += 1

    def sized(self, n_tokens: int) -> Handle:
        """Return llama.cpp's structure over the first `n_tokens` rows."""
        self._struct.n_tokens = n_tokens
        return self._struct


def _pointer(array: npt.NDArray[Any], kind: Any) -> Any:
    return ctypes.cast(ctypes.c_void_p(array.ctypes.data), ctypes.POINTER(kind))


class Llama:
    """A loaded model and its context. Raises LoadError from the constructor."""

    def __init__(self, load: LoadModel, on_progress: Callable[[float], None]) -> None:
        self._log = Log()
        api.llama_backend_init()
        self._model = self._load_model(load, on_progress)
        self._vocab = api.llama_model_get_vocab(self._model)
        self.is_recurrent = bool(api.llama_model_is_recurrent(self._model) or api.llama_model_is_hybrid(self._model))
        self._context = self._create_context(load)
        self._adapters = self._load_adapters(load.adapters)
        self._memory = api.llama_get_memory(self._context)
        self.n_threads = int(api.llama_n_threads(self._context))
        self.n_ctx = int(api.llama_n_ctx(self._context))
        self.n_batch = int(api.llama_n_batch(self._context))
        self.n_seq_max = int(api.llama_n_seq_max(self._context))
        self.n_ctx_train = int(api.llama_model_n_ctx_train(self._model))
        self.n_embd = int(api.llama_model_n_embd(self._model))
        self.n_embd_inp = int(api.llama_model_n_embd_inp(self._model))
        self.n_embd_out = int(api.llama_model_n_embd_out(self._model))
        self.is_reranker = int(api.llama_pooling_type(self._context)) == api.LLAMA_POOLING_TYPE_RANK
        self.n_vocab = int(api.llama_vocab_n_tokens(self._vocab))
        self.has_sliding_window = int(api.llama_model_n_swa(self._model)) > 0
        self.can_cut = not (self.is_recurrent or self.has_sliding_window)
        self.attends_in_tiles = not self.size_device_bytes and attends_in_tiles(load.kv_cache_type)
        self.batch = Batch(self.n_batch)
        self._pieces: dict[int, bytes] = {}
        self._spoken: dict[int, bytes | None] = {}
        self.whole_texts: list[str | None] = [None] * self.n_vocab  # of tokens that were spoken, if they are whole

    def _load_model(self, load: LoadModel, on_progress: Callable[[float], None]) -> Handle:
        params = api.llama_model_default_params()
        params.n_gpu_layers = load.n_gpu_layers
        params.load_mode = api.LLAMA_LOAD_MODE_MMAP if load.use_mmap else api.LLAMA_LOAD_MODE_NONE
        self._devices = choose_devices(params, load)

        def report(fraction: float, _user_data: int) -> bool:
            on_progress(fraction)
            return True

        self._progress = api.llama_progress_callback(report)
        params.progress_callback = self._progress
        paths = [os.fsencode(path) for path in load.shards or [load.path]]
        if len(paths) > 1:  # blobs have no names from which llama.cpp could tell the others
            model = api.llama_model_load_from_splits((ctypes.c_char_p * len(paths))(*paths), len(paths), params)
        else:
            model = api.llama_model_load_from_file(paths[0], params)
        if not model:
            raise LoadError(self.why("llama.cpp could not load the model file"))
        return model

    def _create_context(self, load: LoadModel) -> Handle:
        params = api.llama_context_default_params()
        params.n_ctx = max(load.n_ctx, _LEAST_CELLS)
        params.n_seq_max = min(load.n_seq_max, self._most_sequences())
        params.n_batch = max(min(load.n_batch, load.n_ctx), params.n_seq_max)  # llama.cpp aborts on fewer
        micro_batch = params.n_batch if load.embeds else _LARGEST_MICRO_BATCH  # an input to embed can't be cut in two
        params.n_ubatch = min(params.n_batch, micro_batch)
        params.kv_unified = True
        params.embeddings = load.embeds
        params.no_perf = True
        params.flash_attn_type = _FLASH_ATTENTION[load.flash_attention]
        params.type_k = params.type_v = _CACHE_TYPES[load.kv_cache_type]
        params.n_threads = params.n_threads_batch = load.n_threads or self._useful_threads()
        context = api.llama_init_from_model(self._model, params)
        if not context:
            raise LoadError(self.why(f"llama.cpp could not create a context of {load.n_ctx} tokens"))
        return context

    def _useful_threads(self) -> int:
        """Threads meet at a barrier after each operation: on a tiny model that costs more than their help is worth."""
        return max(1, min(physical_cores(), int(api.llama_model_size(self._model)) // _BYTES_PER_THREAD))

    def _most_sequences(self) -> int:
        return _RECURRENT_SEQUENCES if self.is_recurrent else int(api.llama_max_parallel_sequences())

    def _load_adapters(self, paths: list[str]) -> list[Handle]:
        adapters = []
        for path in paths:
            adapter = api.llama_adapter_lora_init(self._model, os.fsencode(path))
            if not adapter:
                raise LoadError(self.why("llama.cpp could not load the adapter"))
            adapters.append(adapter)
        if adapters:
            handles = (api.llama_adapter_lora_p_ctypes * len(adapters))(*adapters)
            scales = (ctypes.c_float * len(adapters))(*[1.0] * len(adapters))
            api.llama_set_adapters_lora(self._context, handles, len(adapters), scales)
        return adapters

    def why(self, what: str) -> str:
        """Return what failed, with the last error of llama.cpp's log."""
        return f"{what}: {self._log.last_error}" if self._log.last_error else what

    @property
    def size_bytes(self) -> int:
        """Bytes of all buffers: weights, KV cache, compute and output."""
        return self._log.host_bytes + self._log.device_bytes

    @property
    def size_device_bytes(self) -> int:
        """The part of `size_bytes` on accelerators."""
        return self._log.device_bytes

    @property
    def buffers(self) -> dict[str, int]:
        """Bytes by kind of buffer, under llama.cpp's names."""
        return self._log.buffers

    @property
    def description(self) -> str:
        """Return llama.cpp's one-line description, such as `llama 8B Q4_K - Medium`."""
        buffer = ctypes.create_string_buffer(256)
        api.llama_model_desc(self._model, buffer, 256)
        return buffer.value.decode(errors="replace")

    # ---- vocabulary; safe from any thread

    def tokenize(self, text: str, *, add_special: bool, parse_special: bool) -> list[int]:
        """Return token ids; control tokens are recognised in the text only with `parse_special`."""
        data = text.encode("utf-8", errors="replace")
        size = len(data) + 8
        for _ in range(2):
            buffer = (ctypes.c_int32 * size)()
            count = int(api.llama_tokenize(self._vocab, data, len(data), buffer, size, add_special, parse_special))
            if count >= 0:
                return buffer[:count]
            size = -count
        raise OllamapyError("llama.cpp could not tokenise the text")

    def piece(self, token: int) -> bytes:
        """Return a token's bytes, also those of control tokens."""
        known = self._pieces.get(token)
        if known is None:
            known = self._pieces[token] = self._read_piece(token, special=True)
        return known

    def spoken(self, token: int) -> bytes | None:
        """Return the bytes that a token adds to an answer, none for control tokens; None if the answer ends with it."""
        try:
            return self._spoken[token]
        except KeyError:
            is_end = bool(api.llama_vocab_is_eog(self._vocab, token))
            said = self._spoken[token] = None if is_end else self._read_piece(token, special=False)
            if said:
                with suppress(UnicodeDecodeError):
                    self.whole_texts[token] = said.decode()
            return said

    def _read_piece(self, token: int, *, special: bool) -> bytes:
        buffer = _UsualPiece()  # its own: two threads read tokens
        count = int(api.llama_token_to_piece(self._vocab, token, buffer, _USUAL_PIECE, 0, special))
        if count >= 0:
            return ctypes.string_at(buffer, count)
        longer = ctypes.create_string_buffer(-count)
        count = int(api.llama_token_to_piece(self._vocab, token, longer, -count, 0, special))
        return longer.raw[:count]

    def detokenize(self, tokens: list[int]) -> str:
        """Return the text of token ids, control tokens included."""
        for token in tokens:
            if not 0 <= token < self.n_vocab:
                raise OllamapyError(f"token {token} is outside the vocabulary of {self.n_vocab}")
        array = (ctypes.c_int32 * len(tokens))(*tokens)
        size = 16 * len(tokens) + 64
        for _ in range(2):
            buffer = ctypes.create_string_buffer(size)
            count = int(api.llama_detokenize(self._vocab, array, len(tokens), buffer, size, False, True))
            if count >= 0:
                return buffer.raw[:count].decode(errors="replace")
            size = -count
        raise OllamapyError("llama.cpp could not detokenise the tokens")

    @property
    def closes_text(self) -> bool:
        """Whether the tokenizer puts an EOS or a separator behind by itself."""
        return self.adds_eos or bool(api.llama_vocab_get_add_sep(self._vocab))

    @property
    def separator(self) -> list[int]:
        """Return the id of the token that the tokenizer puts between two texts, as a list; empty if it puts none."""
        return [int(api.llama_vocab_sep(self._vocab))] if api.llama_vocab_get_add_sep(self._vocab) else []

    @property
    def handles(self) -> tuple[Handle, Handle]:
        """llama.cpp's handles of the context and the model, for the modules beside this one."""
        return self._context, self._model

    @property
    def vocabulary(self) -> Handle:
        """llama.cpp's vocabulary handle, for libraries that read it themselves."""
        return self._vocab

    @property
    def tokenize_function(self) -> int:
        """Address of llama.cpp's tokenizer, for libraries that call it themselves."""
        return ctypes.cast(api._lib.llama_tokenize, ctypes.c_void_p).value or 0

    def token_table(self) -> list[tuple[bytes, bool]]:
        """Return each token's bytes and whether text can't produce it; safe beside a running decode.

        llama.cpp finds user-defined tokens such as `<think>` in any text, so they are text where that does no harm.
        """
        buffer = ctypes.create_string_buffer(_LONGEST_PIECE)
        table = []
        for token in range(self.n_vocab):
            size = int(api.llama_token_to_piece(self._vocab, token, buffer, _LONGEST_PIECE, 0, True))
            piece = ctypes.string_at(buffer, max(size, 0))
            table.append((piece, self._is_special(token, piece)))
        return table

    def pieces(self) -> list[bytes]:
        """Return the bytes of every token, those of control tokens too."""
        return [piece for piece, _ in self.token_table()]

    def _is_special(self, token: int, piece: bytes) -> bool:
        attributes = api.llama_vocab_get_attr(self._vocab, token)
        if attributes & api.LLAMA_TOKEN_ATTR_USER_DEFINED and piece.startswith(b"<") and piece.endswith(b">"):
            # SentencePiece puts a blank behind such a token, which a grammar that names it does not expect
            return bool(api.llama_vocab_type(self._vocab) == api.LLAMA_VOCAB_TYPE_SPM)
        return bool(attributes & api.LLAMA_TOKEN_ATTR_CONTROL)

    @property
    def end_tokens(self) -> list[int]:
        """Return the ids of the tokens that end a text and a turn."""
        ends = {int(api.llama_vocab_eos(self._vocab)), int(api.llama_vocab_eot(self._vocab))}
        return sorted(token for token in ends if token >= 0)

    def control_token(self, text: str) -> list[int]:
        """Return the id of the token that this text is, as a list of one; empty if it is none."""
        tokens = self.tokenize(text, add_special=False, parse_special=True)
        return tokens if len(tokens) == 1 else []

    def control_tokens(self) -> list[str]:
        """Return the texts of all control tokens."""
        wanted = api.LLAMA_TOKEN_ATTR_CONTROL
        ids = [i for i in self._silent_tokens() if api.llama_vocab_get_attr(self._vocab, i) & wanted]
        return [text for i in ids if (text := self.piece(i).decode(errors="replace"))]

    def _silent_tokens(self) -> Iterator[int]:
        """Yield all tokens that show in text only on demand, and some others: few calls find where they lie."""
        every = np.arange(self.n_vocab, dtype=np.int32)
        ranges = [(at, min(at + _SEARCH_TOKENS, self.n_vocab)) for at in range(0, self.n_vocab, _SEARCH_TOKENS)]
        while ranges:
            first, end = ranges.pop(0)
            tokens = _pointer(every[first:end], ctypes.c_int32)
            sizes = [api.llama_detokenize(self._vocab, tokens, end - first, None, 0, False, on) for on in (False, True)]
            if sizes[0] == sizes[1]:
                continue
            if end - first <= _FEW_TOKENS:
                yield from range(first, end)
            else:
                middle = (first + end) // 2
                ranges[:0] = [(first, middle), (middle, end)]

    def token_text(self, token: int) -> str:
        """Return a token's text, empty for the absent token -1."""
        return self.piece(token).decode(errors="replace") if token >= 0 else ""

    @property
    def bos_token(self) -> str:
        """Text of the beginning-of-sequence token, or empty."""
        return self.token_text(int(api.llama_vocab_bos(self._vocab)))

    @property
    def eos_token(self) -> str:
        """Text of the end-of-sequence token, or empty."""
        return self.token_text(int(api.llama_vocab_eos(self._vocab)))

    @property
    def adds_bos(self) -> bool:
        """Whether the tokenizer puts a BOS in front by itself."""
        return bool(api.llama_vocab_get_add_bos(self._vocab))

    @property
    def adds_eos(self) -> bool:
        """Whether the tokenizer puts an EOS behind by itself."""
        return bool(api.llama_vocab_get_add_eos(self._vocab))

    # ---- inference; one thread only

    def decode(self, n_tokens: int) -> None:
        """Compute the first `n_tokens` rows of `batch`. Raises DecodeError; code 1 means no free cells."""
        code = int(api.llama_decode(self._context, self.batch.sized(n_tokens)))
        if code != 0:
            raise DecodeError(code)

    def settle(self) -> None:
        """Bring the last decode's logits into order, after which several threads may read them at once."""
        api.llama_get_logits(self._context)

    def logits(self, row: int) -> Floats:
        """Return a writable view (n_vocab,) float32 of a row's logits, valid until the next decode."""
        return np.ctypeslib.as_array(api.llama_get_logits_ith(self._context, row), (self.n_vocab,))

    def logit(self, row: int, token: int) -> float:
        """Return one number of a row's logits."""
        return float(api.llama_get_logits_ith(self._context, row)[token])

    def remove(self, seq_id: int, start: int = -1, end: int = -1) -> bool:
        """Forget positions [start, end) of a sequence, -1 for open ends. False if the memory can't do it in part."""
        return bool(api.llama_memory_seq_rm(self._memory, seq_id, start, end))

    def share(self, source: int, target: int, start: int, end: int) -> None:
        """Let `target` use the cells of `source` at positions [start, end); nothing is copied."""
        api.llama_memory_seq_cp(self._memory, source, target, start, end)

    def embedding(self, seq_id: int) -> Floats:
        """Return a copy of a sequence's pooled embedding from the last decode, (n,) float32; n is 1 for a reranker."""
        size = int(api.llama_model_n_cls_out(self._model)) if self.is_reranker else self.n_embd_out
        return np.ctypeslib.as_array(api.llama_get_embeddings_seq(self._context, seq_id), (size,)).copy()

    def forget_all(self) -> None:
        """Empty the KV cache; a model without one has nothing to forget."""
        if self._memory:
            api.llama_memory_clear(self._memory, False)

    def sampler(self, sampling: Sampling) -> Sampler:
        """Build a sampler chain. The caller closes it."""
        params = api.llama_sampler_chain_default_params()
        params.no_perf = True
        chain = api.llama_sampler_chain_init(params)
        stages = Stages(sampling, self._vocab, self.n_vocab, self.n_ctx)
        for stage in stages.make():
            api.llama_sampler_chain_add(chain, stage)
        return Sampler(chain, self._context, stages)

    def close(self) -> None:
        """Free context and model."""
        api.llama_free(self._context)
        api.llama_model_free(self._model)
