"""Quantizes one model with llama.cpp's own quantizer, in a worker process that does nothing else."""

from __future__ import annotations

import ctypes
import os
import re
from collections.abc import Callable

from llama_cpp import llama_cpp as api

from ollamapy.errors import OllamapyError
from ollamapy.wire import Quantize
from ollamapy.worker.cores import physical_cores

BUFFER_BYTES = 1 << 30  # of tensors in memory at once; llama.cpp would take 8 GiB
NICENESS = 10  # answers that are being generated go first
_TENSOR = re.compile(r"\[\s*(\d+)/\s*(\d+)\]")  # llama.cpp begins the line of each tensor with this
_LOG_WARNING = 3
_FAILURE = re.compile(r"^.*failed to quantize: ")


def quantize(task: Quantize, on_tensor: Callable[[int, int], None]) -> None:
    """Write a quantized copy of a GGUF file over `task.target`; blocks, without holding the interpreter's lock.

    `on_tensor` is told the number of each tensor as its turn comes, and how many there are. Raises OllamapyError.
    """
    words: list[str] = []

    def on_line(level: int, text: bytes, _user_data: int) -> None:
        os.write(2, text)
        line = text.decode(errors="replace").strip()
        if found := _TENSOR.match(line):
            on_tensor(int(found[1]), int(found[2]))
        elif level >= _LOG_WARNING and line:
            words.append(line)

    callback = api.llama_log_callback(on_line)
    api.llama_log_set(callback, ctypes.c_void_p(0))
    os.nice(NICENESS)
    params = api.llama_model_quantize_default_params()
    params.ftype = task.file_type
    params.nthread = physical_cores()
    params.max_buf_size = BUFFER_BYTES
    if api.llama_model_quantize(os.fsencode(task.path), os.fsencode(task.target), ctypes.byref(params)) != 0:
        raise OllamapyError(_FAILURE.sub("", words[-1]) if words else "llama.cpp gave no reason")
