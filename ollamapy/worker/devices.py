"""The devices that ggml knows, and llama.cpp's own account of what it put on them."""

from __future__ import annotations

import ctypes
import os
import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

from llama_cpp import llama_cpp as api

from ollamapy.errors import LoadError
from ollamapy.wire import Device, LoadModel

Handle = Any

_LOG_ERROR = 4
_ECHO = re.compile(r"failed to load model\W*$")  # llama.cpp's outer layers repeat this without the cause
_BUFFER_SIZE = re.compile(r"(\S+)\s+(?:\w+ )?buffer size\s*=\s*([0-9.]+) MiB")
_HOST_BUFFERS = re.compile(r"(CPU|BLAS|Host)|.*_(Host|Mapped)$")
_MAPPED, _REPACKED = "CPU_Mapped", "CPU_REPACK"
_SPLIT_MODES = {
    "none": api.LLAMA_SPLIT_MODE_NONE,
    "layer": api.LLAMA_SPLIT_MODE_LAYER,
    "row": api.LLAMA_SPLIT_MODE_ROW,
    "tensor": api.LLAMA_SPLIT_MODE_TENSOR,
}
_GPU, _IGPU = 1, 2  # enum ggml_backend_dev_type
_callbacks: list[Any] = []  # llama.cpp may call one at any time, so that none of them may ever be freed
_DEVICE_FUNCTIONS: dict[str, tuple[type[Any] | None, list[type[Any]]]] = {
    "ggml_backend_dev_count": (ctypes.c_size_t, []),
    "ggml_backend_dev_get": (ctypes.c_void_p, [ctypes.c_size_t]),
    "ggml_backend_dev_name": (ctypes.c_char_p, [ctypes.c_void_p]),
    "ggml_backend_dev_description": (ctypes.c_char_p, [ctypes.c_void_p]),
    "ggml_backend_dev_type": (ctypes.c_int, [ctypes.c_void_p]),
    "ggml_backend_dev_backend_reg": (ctypes.c_void_p, [ctypes.c_void_p]),
    "ggml_backend_reg_name": (ctypes.c_char_p, [ctypes.c_void_p]),
    "ggml_backend_dev_memory": (
        None, [ctypes.c_void_p, ctypes.POINTER(ctypes.c_size_t), ctypes.POINTER(ctypes.c_size_t)],
    ),
}  # fmt: skip


class Log:
    """llama.cpp's log: passed on to standard error, buffer sizes and the last error kept."""

    def __init__(self) -> None:
        self.last_error = ""
        self._buffers: Counter[str] = Counter()
        callback = api.llama_log_callback(self._on_line)
        _callbacks.append(callback)
        api.llama_log_set(callback, ctypes.c_void_p(0))

    def _on_line(self, level: int, text: bytes, _user_data: int) -> None:
        os.write(2, text)
        line = text.decode(errors="replace")
        if level == _LOG_ERROR and line.strip() and not _ECHO.search(line):
            self.last_error = line.strip()
        if found := _BUFFER_SIZE.search(line):
            self._buffers[found[1]] += int(float(found[2]) * (1 << 20))

    @property
    def buffers(self) -> dict[str, int]:
        """Bytes by the name of the kind of buffer.

        A mapped file is counted without the weights that were laid out anew elsewhere: their pages are not needed.
        """
        mapped = max(self._buffers[_MAPPED] - self._buffers[_REPACKED], 0)
        return {name: mapped if name == _MAPPED else size for name, size in self._buffers.items()}

    @property
    def host_bytes(self) -> int:
        """Bytes on the host."""
        return sum(size for name, size in self.buffers.items() if _HOST_BUFFERS.match(name))

    @property
    def device_bytes(self) -> int:
        """Bytes on accelerators."""
        return sum(self.buffers.values()) - self.host_bytes


def read_devices() -> list[Device]:
    """Return the accelerators with their memory as it is now; asking wakes them up."""
    devices = []
    for handle in _handles():
        kind = _call("ggml_backend_dev_type", handle)
        if kind in (_GPU, _IGPU):
            free, total = ctypes.c_size_t(), ctypes.c_size_t()
            _call("ggml_backend_dev_memory", handle, ctypes.byref(free), ctypes.byref(total))
            devices.append(
                Device(
                    name=_name(handle),
                    library=_text("ggml_backend_reg_name", _call("ggml_backend_dev_backend_reg", handle)),
                    kind="gpu" if kind == _GPU else "igpu",
                    description=_text("ggml_backend_dev_description", handle),
                    total=total.value,
                    free=free.value,
                )
            )
    return devices


def choose_devices(params: Handle, load: LoadModel) -> list[Handle]:
    """Say in llama.cpp's parameters which accelerators take part, and how they share the layers.

    What is returned must live as long as the parameters. Raises LoadError for a device that is not there.
    """
    kept: list[Handle] = []
    if load.devices:
        kept.append(_device_array(load.devices))
        params.devices = ctypes.cast(kept[-1], ctypes.c_void_p)
    params.split_mode = _SPLIT_MODES["none" if load.main_gpu is not None else load.split_mode]
    if load.main_gpu is not None:
        params.main_gpu = load.main_gpu
    if load.tensor_split:
        kept.append((ctypes.c_float * int(api.llama_max_devices()))(*load.tensor_split))
        params.tensor_split = kept[-1]
    return kept


def _device_array(names: Sequence[str]) -> Handle:
    known = {_name(handle): handle for handle in _handles()}
    if missing := [name for name in names if name not in known]:
        raise LoadError(f"there is no device {missing[0]}; there are {', '.join(known)}")
    return (ctypes.c_void_p * (len(names) + 1))(*[known[name] for name in names], None)


def _handles() -> list[int]:
    return [_call("ggml_backend_dev_get", index) for index in range(_call("ggml_backend_dev_count"))]


def _name(handle: int) -> str:
    return _text("ggml_backend_dev_name", handle)


def _text(function: str, handle: int) -> str:
    return (_call(function, handle) or b"").decode(errors="replace")


def _call(name: str, *arguments: Any) -> Any:
    function = getattr(api._lib, name)
    function.restype, function.argtypes = _DEVICE_FUNCTIONS[name]
    return function(*arguments)
