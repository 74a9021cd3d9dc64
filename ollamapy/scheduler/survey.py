"""Looks at the machine: a worker process tells about the accelerators, the host's memory is read here."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

from ollamapy import wire
from ollamapy.errors import OllamapyError
from ollamapy.scheduler.devices import Device, DeviceSettings, Machine, usable_devices
from ollamapy.scheduler.memory import free_memory_bytes, total_memory_bytes

logger = logging.getLogger("ollamapy.scheduler")


class Surveyor:
    """Measures free memory when called. A machine without accelerators is asked about them once."""

    def __init__(self, measure: Callable[[], Awaitable[Sequence[wire.Device]]], settings: DeviceSettings) -> None:
        self._measure = measure
        self._settings = settings
        self._has_devices: bool | None = None

    async def __call__(self) -> Machine:
        """Return the machine as it is now; raises nothing, a worker that can't tell counts as no accelerators."""
        devices = () if self._has_devices is False else await self._devices()
        host_free = free_memory_bytes()
        shared = tuple(
            replace(device, free_bytes=min(device.free_bytes, host_free)) if device.kind == "igpu" else device
            for device in devices
        )
        return Machine(shared, total_memory_bytes(), host_free)

    async def _devices(self) -> tuple[Device, ...]:
        try:
            found = await self._measure()
        except OllamapyError as exc:
            logger.warning("the accelerators of this machine are unknown: %s", exc.message)
            return ()
        devices = [Device(d.name, d.library, d.kind, d.description, d.total, d.free) for d in found]
        usable = usable_devices(devices, self._settings)
        if self._has_devices is None:
            for device in devices:
                use = "used" if device in usable else "not used, as the settings say"
                logger.info("found %s (%s, %s): %s", device.name, device.library, device.description, use)
        self._has_devices = bool(usable)
        return usable
