"""Runs the daemon: builds its parts once, binds its port, serves until a signal, stops within bounds."""

from __future__ import annotations

import asyncio
import errno
import logging
import math
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Coroutine, Generator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial

import uvicorn
from starlette.types import ASGIApp

from ollamapy.actions.models import ModelCache
from ollamapy.actions.preload import preload
from ollamapy.actions.services import Services
from ollamapy.config import HostAddress, Settings
from ollamapy.errors import ServiceError, StoreError
from ollamapy.names import ModelName
from ollamapy.registry import Remotes
from ollamapy.runner.launch import WorkerPool
from ollamapy.runner.prefetch import read_ahead
from ollamapy.scheduler.loop import Scheduler
from ollamapy.scheduler.spec import LoadSpec, ModelRunner
from ollamapy.scheduler.survey import Surveyor
from ollamapy.server.application import build_app
from ollamapy.server.guard import policy_of
from ollamapy.server.log import configure_logging
from ollamapy.server.protocol import HttpProtocol
from ollamapy.service import notify
from ollamapy.store import Store
from ollamapy.version import OLLAMA_VERSION, __version__

__all__ = ["DaemonServer", "bind", "build_app", "build_server", "serve"]

BACKLOG = 2048
DRAIN_SECONDS = 5.0
LAST_WORDS_SECONDS = 3.0  # for telling clients that their answers were cut off

logger = logging.getLogger("ollamapy.server")


async def serve(settings: Settings, pool: WorkerPool, inherited: Sequence[socket.socket] = ()) -> None:
    """Serve until SIGINT or SIGTERM, with workers of this pool, on sockets that listen already or on OLLAMA_HOST.

    Raises ConfigError for an address that everybody could reach without a key, ServiceError for one that can't be
    bound, StoreError for a store that can't be written.
    """
    policy_of(settings)
    store = Store(settings.models_dir)
    _check_store(store)
    with ExitStack() as stack:
        listeners = [stack.enter_context(listener) for listener in open_listeners(settings, inherited)]
        configure_logging(settings.debug)
        await build_server(settings, store, pool).serve(listeners)


def _check_store(store: Store) -> None:
    """Raise StoreError that names the folder: this is told to who starts the daemon, not to its clients."""
    try:
        store.check_writable()
    except StoreError as exc:
        raise StoreError(f"{exc.message} (the model store is {store.root}, which OLLAMA_MODELS sets)") from exc


def build_server(settings: Settings, store: Store, pool: WorkerPool) -> DaemonServer:
    """Put the parts of a daemon together; raises ConfigError for an address that everybody could reach."""

    def launch(spec: LoadSpec) -> ModelRunner:
        return pool.runner(spec.name, spec.load)

    ahead = Ahead(pool)
    scheduler = Scheduler(
        settings,
        launch,
        max_loaded=settings.max_loaded_models,
        survey=Surveyor(pool.measure, settings),
        prepare=ahead.prepare,
        pinned=[str(ModelName.parse(name)) for name in settings.pin],
        drain_seconds=settings.drain_seconds,
    )

    async def begin() -> None:
        pool.warm()
        await preload(services)

    async def close() -> None:
        await scheduler.close()
        await ahead.close()
        await pool.close()
        await remotes.close()

    remotes = Remotes.of(settings)
    models = ModelCache(settings.go_template)
    services = Services(
        settings,
        store,
        scheduler,
        time.monotonic,
        models,
        remotes,
        run_file_task=pool.run_file_task,
        probe_worker=pool.measure,
    )
    tell = partial(notify, settings.supervisor.notify_address)
    return DaemonServer(build_app(services, begin, close), settings.drain_seconds, tell, scheduler.close)


def open_listeners(settings: Settings, inherited: Sequence[socket.socket]) -> list[socket.socket]:
    """Return the sockets that the supervisor passed on, or one that is bound to OLLAMA_HOST.

    Raises ConfigError for an address that everybody could reach without a key, ServiceError for one that is no good.
    """
    for listener in inherited:
        host, port = listener.getsockname()[:2]
        policy_of(replace(settings, host=HostAddress(host=host, port=port)))
    return list(inherited) or [bind(settings)]


class Ahead:
    """Prepares for a load that has to wait: a worker that is up, and the model's files in the page cache."""

    def __init__(self, pool: WorkerPool) -> None:
        self._pool = pool
        self._tasks: set[asyncio.Task[None]] = set()

    def prepare(self, spec: LoadSpec) -> None:
        """Begin, and return at once."""
        self._pool.warm()
        files = list(dict.fromkeys([spec.load.path, *spec.load.shards, *spec.load.adapters]))
        task = asyncio.create_task(asyncio.to_thread(read_ahead, files))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Wait for what has begun."""
        await asyncio.gather(*self._tasks, return_exceptions=True)


def bind(settings: Settings) -> socket.socket:
    """Return a listening socket; raises ServiceError with the remedy."""
    host, port = settings.host.bind_host, settings.host.port
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as exc:
        raise ServiceError(f"{host} is no address of this machine ({exc.strerror}); set OLLAMA_HOST to one") from exc
    try:
        if sys.platform != "win32":
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(BACKLOG)
    except OSError as exc:
        listener.close()
        raise ServiceError(_bind_text(exc, host, port)) from exc
    listener.setblocking(False)
    return listener


class DaemonServer(uvicorn.Server):
    """A web server that says where it listens, and ends quietly on SIGINT and SIGTERM.

    Answers that are under way then may go on for `drain_seconds`: `drain` ends what is left of them, each with an error
    that its client is told. Whatever goes on beyond that is cut off. `tell` takes lines for the supervisor.
    """

    def __init__(
        self,
        app: ASGIApp,
        drain_seconds: float = DRAIN_SECONDS,
        tell: Callable[[str, str], None] | None = None,
        drain: Callable[[], Coroutine[None, None, None]] | None = None,
    ) -> None:
        self._tell = tell or (lambda *_: None)
        self._drain = drain
        self._allowed = "without limit" if math.isinf(drain_seconds) else f"for {drain_seconds:g} seconds at most"
        limit = None if math.isinf(drain_seconds) else math.ceil(drain_seconds + LAST_WORDS_SECONDS)
        super().__init__(
            uvicorn.Config(
                app,
                http=HttpProtocol,
                ws="none",
                lifespan="on",
                log_config=None,
                access_log=False,
                server_header=False,
                headers=[("server", f"ollamapy/{__version__}")],
                backlog=BACKLOG,
                timeout_graceful_shutdown=limit,
            )
        )

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to listen, and log it."""
        await super().startup(sockets)
        for listener in sockets or []:
            host, port = listener.getsockname()[:2]
            shown = f"[{host}]" if ":" in host else host
            logger.info("Listening on http://%s:%d (version %s, API %s)", shown, port, __version__, OLLAMA_VERSION)

        if self.started:
            self._tell("READY=1", "STATUS=Serving")

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Take no more requests, and let those that are under way end."""
        logger.info("Shutting down%s", f"; what runs may go on {self._allowed}" if self.server_state.tasks else "")
        self._tell("STOPPING=1", "STATUS=Waiting for answers to end")
        draining = asyncio.ensure_future(self._drain()) if self._drain else None
        await super().shutdown(sockets)
        if self.force_exit:
            for task in self.server_state.tasks:
                task.cancel()
            await self.lifespan.shutdown()
        if draining is not None:
            await draining

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Let SIGINT and SIGTERM end the server; a second SIGINT ends it without waiting for answers."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def _bind_text(exc: OSError, host: str, port: int) -> str:
    if exc.errno == errno.EADDRINUSE:
        return (
            f"port {port} on {host} is in use; stop the server that runs there (another ollamapy or ollama?) or choose "
            f"another port, such as OLLAMA_HOST={host}:{port + 1 if port < 65535 else 11435}"
        )
    if exc.errno == errno.EACCES:
        return f"not allowed to listen on port {port}; choose one above 1023, such as OLLAMA_HOST={host}:11434"
    return f"can't listen on {host}:{port} ({exc.strerror}); set OLLAMA_HOST to an address of this machine"
