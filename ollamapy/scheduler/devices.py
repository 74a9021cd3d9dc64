"""The memory that models can be put into: a record of the machine as it was measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, Protocol

GIBIBYTE = 1 << 30
GPU_MARGIN_BYTES = 512 << 20  # a GPU's own context and the work areas of its libraries, which no estimate knows
HOST_MARGIN_SHARE = 50  # one part in so many of the host's memory stays free

DeviceKind = Literal["gpu", "igpu"]


@dataclass(frozen=True, slots=True)
class Device:
    """An accelerator. `name` is ggml's, such as `CUDA0`; sizes are bytes."""

    name: str
    library: str
    kind: DeviceKind
    description: str
    total_bytes: int
    free_bytes: int


@dataclass(frozen=True, slots=True)
class Machine:
    """Accelerators in ggml's order, and the host's memory in bytes."""

    devices: tuple[Device, ...] = ()
    host_total_bytes: int = 0
    host_free_bytes: int = 0

    def without(self, device_bytes: Sequence[int], host_bytes: int) -> Machine:
        """Return the machine with so much less free memory; negative numbers give memory back."""
        taken = (*device_bytes, *(0 for _ in self.devices[len(device_bytes) :]))
        devices = tuple(
            replace(device, free_bytes=device.free_bytes - size)
            for device, size in zip(self.devices, taken, strict=False)
        )
        return Machine(devices, self.host_total_bytes, self.host_free_bytes - host_bytes)

    @property
    def device_total_bytes(self) -> int:
        """Memory of all accelerators."""
        return sum(device.total_bytes for device in self.devices)


class DeviceSettings(Protocol):
    """What decides about the use of devices in the settings."""

    @property
    def igpu_enable(self) -> bool | None:
        """Whether integrated GPUs are used; None for where they are known to help."""

    @property
    def vulkan(self) -> bool:
        """Whether Vulkan's devices are used."""

    @property
    def llm_library(self) -> str:
        """The only library whose devices are used, "" for all."""


def usable_devices(devices: Sequence[Device], settings: DeviceSettings) -> tuple[Device, ...]:
    """Return the devices that the settings let models use, in their order."""
    return tuple(device for device in devices if _is_usable(device, settings))


def _is_usable(device: Device, settings: DeviceSettings) -> bool:
    library = device.library.lower()
    if settings.llm_library and not settings.llm_library.lower().startswith(library):
        return False
    if library == "vulkan" and not settings.vulkan:
        return False
    if device.kind == "igpu" and settings.igpu_enable is None:
        return library in ("cuda", "metal", "mtl")
    return device.kind != "igpu" or settings.igpu_enable is True


def default_context(machine: Machine, overhead_bytes: int) -> int:
    """Return the tokens of context that a model gets where nobody said: Ollama's three steps by GPU memory."""
    available = machine.device_total_bytes - overhead_bytes * len(machine.devices)
    if available >= 47 * GIBIBYTE:
        return 262_144
    return 32_768 if available >= 23 * GIBIBYTE else 4_096
