"""Pictures in prompts: read, turned into embeddings by the model's projector, and put into the KV cache.

Source: llama.cpp's tools/mtmd/mtmd.h and mtmd-helper.h, through llama-cpp-python's bindings.
"""

from __future__ import annotations

import ctypes
import hashlib
import io
import os
import warnings
from collections import OrderedDict
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
from llama_cpp import mtmd_cpp as api
from PIL import Image, UnidentifiedImageError

from ollamapy.errors import InvalidInputError, LoadError
from ollamapy.worker.llama import DecodeError, Llama
from ollamapy.worker.pictures import Picture, placeholders_of

Handle = Any
MARKER = b"<__media__>"
MOST_PIXELS = 64_000_000
KNOWN_PICTURES = 32
FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")


class _Chunk:
    """A chunk of mtmd's that is freed with its last user."""

    def __init__(self, handle: Handle) -> None:
        self.handle = handle

    def __del__(self) -> None:
        api.mtmd_input_chunk_free(self.handle)


class Projector:
    """The projector of a loaded model. Raises LoadError from the constructor."""

    def __init__(self, path: str, llama: Llama, *, uses_gpu: bool) -> None:
        self._llama = llama
        self._context, model = llama.handles
        self._known: OrderedDict[bytes, list[list[int] | Picture]] = OrderedDict()
        params = api.mtmd_context_params_default()
        params.use_gpu = uses_gpu
        params.print_timings = False
        params.warmup = False
        params.n_threads = llama.n_threads
        params.media_marker = MARKER
        self._mtmd = api.mtmd_init_from_file(os.fsencode(path), model, params)
        if not self._mtmd:
            raise LoadError(llama.why("llama.cpp could not load the projector"))
        if not api.mtmd_support_vision(self._mtmd):
            raise LoadError("the projector reads no pictures; give one for vision")

    def read(self, data: bytes) -> list[list[int] | Picture]:
        """Return what stands for a picture in a prompt: the model's tokens around it, and itself or its tiles.

        Those seen last are remembered: a chat sends its pictures with each turn. Raises InvalidInputError for what is
        no picture of a known format, or one that is too large.
        """
        key = hashlib.sha256(data).digest()
        if key not in self._known:
            self._known[key] = self._read(data)
        self._known.move_to_end(key)
        while len(self._known) > KNOWN_PICTURES:
            self._known.popitem(last=False)
        return self._known[key]

    def _read(self, data: bytes) -> list[list[int] | Picture]:
        rgb = read_pixels(data)
        height, width = rgb.shape[:2]
        bitmap = api.mtmd_bitmap_init(width, height, rgb.ctypes.data_as(ctypes.POINTER(ctypes.c_uint8)))
        chunks = api.mtmd_input_chunks_init()
        try:
            text = api.mtmd_input_text(text=MARKER, text_len=len(MARKER), add_special=False, parse_special=True)
            bitmaps = (api.mtmd_bitmap_p_ctypes * 1)(bitmap)
            code = api.mtmd_tokenize(self._mtmd, chunks, ctypes.byref(text), bitmaps, 1)
            if code:
                raise InvalidInputError(f"the model's projector can't take this picture (code {code})")
            return list(self._pieces(chunks, hashlib.sha256(rgb.tobytes()).digest() + bytes(f"{width}", "ascii")))
        finally:
            api.mtmd_input_chunks_free(chunks)
            api.mtmd_bitmap_free(bitmap)

    def _pieces(self, chunks: Handle, seed: bytes) -> Iterator[list[int] | Picture]:
        for index in range(api.mtmd_input_chunks_size(chunks)):
            chunk = api.mtmd_input_chunks_get(chunks, index)
            n_tokens = int(api.mtmd_input_chunk_get_n_tokens(chunk))
            if api.mtmd_input_chunk_get_type(chunk) == api.MTMD_INPUT_CHUNK_TYPE_TEXT:
                count = ctypes.c_size_t()
                ids = api.mtmd_input_chunk_get_tokens_text(chunk, ctypes.byref(count))
                yield list(ids[: count.value])
            else:
                n_positions = int(api.mtmd_input_chunk_get_n_pos(chunk))
                copy = api.mtmd_input_chunk_copy(chunk)
                yield Picture(_Chunk(copy), n_tokens, n_positions, placeholders_of(seed, index, n_tokens))

    def decode(self, picture: Picture, seq_id: int, position: int) -> None:
        """Put a picture into the KV cache of a sequence; raises DecodeError."""
        if picture.embeddings is None:
            picture.embeddings = self._encode(picture)
        values = picture.embeddings.ctypes.data_as(ctypes.POINTER(ctypes.c_float))
        after = ctypes.c_int32()
        code = api.mtmd_helper_decode_image_chunk(
            self._mtmd, self._context, picture.chunk.handle, values, position, seq_id, self._llama.n_batch,
            ctypes.byref(after), api.mtmd_helper_post_decode_callback(), None,
        )  # fmt: skip
        if code:
            raise DecodeError(int(code))

    def _encode(self, picture: Picture) -> npt.NDArray[np.float32]:
        code = api.mtmd_encode_chunk(self._mtmd, picture.chunk.handle)
        if code:
            raise DecodeError(int(code))
        found = api.mtmd_get_output_embd(self._mtmd)
        return np.ctypeslib.as_array(found, (picture.n_tokens * self._llama.n_embd_inp,)).copy()


def read_pixels(data: bytes) -> npt.NDArray[np.uint8]:
    """Return a picture as (height, width, 3) uint8; raises InvalidInputError.

    The size is looked at before anything is unpacked.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's own limit is told below
            with Image.open(io.BytesIO(data), formats=FORMATS) as image:
                if image.width * image.height > MOST_PIXELS:
                    raise InvalidInputError(
                        f"the picture has {image.width} x {image.height} pixels; send one of at most {MOST_PIXELS}"
                    )
                return np.ascontiguousarray(image.convert("RGB"), np.uint8)
    except UnidentifiedImageError as exc:
        raise InvalidInputError(f"the picture is in no known format; send one of {', '.join(FORMATS)}") from exc
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as exc:
        raise InvalidInputError(f"the picture is damaged: {str(exc)[:100]}") from exc
