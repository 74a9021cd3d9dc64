"""What every action works with, built once by the daemon."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Protocol

from ollamapy import wire
from ollamapy.actions.models import ModelCache
from ollamapy.actions.templates import TemplateCache
from ollamapy.config import Settings
from ollamapy.registry import Remotes
from ollamapy.runner.launch import WorkerPool
from ollamapy.scheduler.spec import Lease, LoadedModel, LoadSpec
from ollamapy.store import Store

Quantize = Callable[[wire.Quantize], AsyncGenerator[wire.Quantizing, None]]


class Scheduler(Protocol):
    """Which models are loaded. `ollamapy.scheduler.loop.Scheduler` is one."""

    def acquire(self, spec: LoadSpec, keep_alive_seconds: float | None) -> AbstractAsyncContextManager[Lease]:
        """Wait until the model is loaded and there is room for one more request."""

    def loaded(self) -> Sequence[LoadedModel]:
        """Return what is in memory."""

    async def unload(self, key: str) -> None:
        """Unload a model as soon as it is idle."""


@dataclass(frozen=True, slots=True)
class Services:
    """The parts of a running daemon; `clock` is monotonic, in seconds."""

    settings: Settings
    store: Store
    scheduler: Scheduler
    clock: Callable[[], float]
    models: ModelCache = field(default_factory=ModelCache)
    remotes: Remotes = field(default_factory=lambda: Remotes(offline=True))
    templates: TemplateCache = field(default_factory=TemplateCache)
    quantize: Quantize = field(default_factory=lambda: WorkerPool(keep_spare=False).quantize)
