"""`ollamapy serve`; the server is loaded when it shall run, so that help stays quick, and beside the first worker."""

from __future__ import annotations

import argparse
import asyncio
import importlib
import os

import uvloop

from ollamapy.cli import render
from ollamapy.config import Settings, inspect_settings, read_settings
from ollamapy.runner.launch import WorkerPool
from ollamapy.service import inherited_sockets


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Take no words."""


def command() -> None:
    """Start the daemon in the foreground; OLLAMA_HOST says where it listens.

    Examples:
      ollamapy serve
      OLLAMA_HOST=127.0.0.1:11500 ollamapy serve
    """
    for warning in inspect_settings(os.environ).warnings:
        render.note(f"Warning: {warning}")
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(read_settings(os.environ)))


async def _serve(settings: Settings) -> None:
    """Start the first worker, which imports its part while the server is imported here.

    It must not have the sockets that the supervisor passed on: they would stay open when the daemon is gone.
    """
    passed = settings.supervisor
    inherited = inherited_sockets(passed.process_id, passed.n_sockets)
    pool = WorkerPool(
        keep_spare=True,
        load_timeout_seconds=settings.load_timeout_seconds,
        step_timeout_seconds=settings.step_timeout_seconds,
    )
    pool.warm()
    await pool.wait_spare()
    try:
        await importlib.import_module("ollamapy.server.daemon").serve(settings, pool, inherited)
    finally:
        await pool.close()
