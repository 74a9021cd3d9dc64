"""ggml through ctypes: operations of the installed llama.cpp's CPU backend on arrays."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from gguf import GGMLQuantizationType
from numpy.typing import NDArray

MEMORY_BYTES = 256 << 20

Type = GGMLQuantizationType
Floats = NDArray[np.float32]
Handle = int


class InitParams(ctypes.Structure):
    """struct ggml_init_params."""

    _fields_ = [("mem_size", ctypes.c_size_t), ("mem_buffer", ctypes.c_void_p), ("no_alloc", ctypes.c_bool)]


@cache
def libraries() -> tuple[ctypes.CDLL, ctypes.CDLL]:
    """Return ggml's base and its CPU backend, with the types of what is called here."""
    folder = Path(str(files("llama_cpp"))) / "lib"
    base, cpu = (ctypes.CDLL(str(next(folder.glob(f"libggml-{part}.*")))) for part in ("base", "cpu"))
    pointer, size, real = ctypes.c_void_p, ctypes.c_int64, ctypes.c_float
    for function, arguments in (
        (base.ggml_init, [InitParams]),
        (base.ggml_new_tensor_4d, [pointer, ctypes.c_int, size, size, size, size]),
        (base.ggml_mul_mat, [pointer, pointer, pointer]),
        (base.ggml_flash_attn_ext, [pointer, pointer, pointer, pointer, pointer, real, real, real]),
        (base.ggml_get_data, [pointer]),
        (base.ggml_new_graph, [pointer]),
    ):
        function.restype, function.argtypes = pointer, arguments
    base.ggml_build_forward_expand.argtypes = [pointer, pointer]
    base.ggml_flash_attn_ext_add_sinks.argtypes = [pointer, pointer]
    base.ggml_free.argtypes = [pointer]
    cpu.ggml_graph_compute_with_ctx.argtypes = [pointer, pointer, ctypes.c_int]
    cpu.ggml_cpu_init()
    return base, cpu


class Context:
    """A graph under construction."""

    def __init__(self, base: ctypes.CDLL, handle: Handle) -> None:
        self.base, self.handle = base, handle

    def tensor(self, kind: Type, shape: tuple[int, ...], array: NDArray[Any]) -> Handle:
        """Return a tensor of this shape, numpy's order, with the bytes of an array."""
        sizes = [*reversed(shape), 1, 1, 1][:4]
        made: Handle = self.base.ggml_new_tensor_4d(self.handle, kind, *sizes)
        data = np.ascontiguousarray(array).tobytes()
        ctypes.memmove(self.base.ggml_get_data(made), data, len(data))
        return made


def computed(make: Callable[[Context], Handle], shape: tuple[int, ...], threads: int) -> Floats:
    """Return what the CPU backend computes of the F32 tensor that `make` gives."""
    base, cpu = libraries()
    handle = base.ggml_init(InitParams(MEMORY_BYTES, None, False))
    try:
        out = make(Context(base, handle))
        graph = base.ggml_new_graph(handle)
        base.ggml_build_forward_expand(graph, out)
        assert cpu.ggml_graph_compute_with_ctx(handle, graph, threads) == 0
        data = ctypes.string_at(base.ggml_get_data(out), 4 * int(np.prod(shape)))
        return np.frombuffer(data, np.float32).reshape(shape)
    finally:
        base.ggml_free(handle)
