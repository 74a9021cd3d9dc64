"""What every action works with, built once by the daemon."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Protocol

from ollamapy import wire
from ollamapy.actions.models import ModelCache, ResolvedModel
from ollamapy.actions.templates import TemplateCache
from ollamapy.config import Settings
from ollamapy.names import Digest, ModelName
from ollamapy.registry import Remotes
from ollamapy.runner.grammar_check import GrammarCheck
from ollamapy.runner.launch import WorkerPool
from ollamapy.scheduler.devices import Machine
from ollamapy.scheduler.spec import Lease, LoadedModel, LoadSpec, WaitingRequest
from ollamapy.store import Store

RunFileTask = Callable[[wire.FileTask], AsyncGenerator[wire.FileProgress, None]]
Probe = Callable[[], Awaitable[object]]


class Scheduler(Protocol):
    """Which models are loaded. `ollamapy.scheduler.loop.Scheduler` is one."""

    def acquire(self, spec: LoadSpec, keep_alive_seconds: float | None) -> AbstractAsyncContextManager[Lease]:
        """Wait until the model is loaded and there is room for one more request."""

    def loaded(self) -> Sequence[LoadedModel]:
        """Return what is in memory."""

    def waiting(self) -> Sequence[WaitingRequest]:
        """Return the requests that have no model yet, in their order."""

    async def machine(self, *, empty: bool = False) -> Machine:
        """Measure the memory that there is for models, or would be without those that are loaded."""

    def check_alive(self) -> None:
        """Raise ServiceError where requests are not taken any more."""

    async def unload(self, key: str) -> None:
        """Unload a model as soon as it is idle."""


@dataclass(frozen=True, slots=True)
class Services:
    """The parts of a running daemon; `clock` is monotonic, in seconds.

    `translating` has a lock for each file that is not loaded as it is; those in `plain_files` are. `translated` are
    models whose files are others than their manifests name.
    """

    settings: Settings
    store: Store
    scheduler: Scheduler
    clock: Callable[[], float]
    models: ModelCache = field(default_factory=ModelCache)
    remotes: Remotes = field(default_factory=lambda: Remotes(offline=True))
    templates: TemplateCache = field(default_factory=TemplateCache)
    run_file_task: RunFileTask = field(default_factory=lambda: WorkerPool(keep_spare=False).run_file_task)
    probe_worker: Probe = field(
        default_factory=lambda: WorkerPool(keep_spare=False).measure
    )  # raises where none starts
    grammar_check: GrammarCheck = field(default_factory=GrammarCheck)
    translating: dict[Digest, asyncio.Lock] = field(default_factory=dict)
    plain_files: set[Digest] = field(default_factory=set)
    translated: dict[tuple[ModelName, Digest], ResolvedModel] = field(default_factory=dict)
