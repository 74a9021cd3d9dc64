"""Asks a process of its own what a grammar costs to compile, and remembers the answers."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
import signal
import sys
from collections.abc import Sequence

from ollamapy.errors import RunnerError
from ollamapy.runner.launch import worker_command
from ollamapy.runner.process import PACKAGE_FOLDER

CHECK_COMMAND = worker_command(sys.path, "ollamapy.worker.grammar_check")
MOST_ANSWERS = 1024
MOST_AT_ONCE = 2
PATIENCE_SECONDS = 20.0  # it ends itself by CPU time long before, unless the machine is overloaded

_log = logging.getLogger("ollamapy.runner")


class GrammarCheck:
    """Says of grammars, in llguidance's JSON form, whether a worker can compile them without keeping others waiting."""

    def __init__(self, command: Sequence[str] = CHECK_COMMAND) -> None:
        self._command = tuple(command)
        self._answers: dict[bytes, bool] = {}
        self._slots = asyncio.Semaphore(MOST_AT_ONCE)

    async def is_cheap(self, grammar: str) -> bool:
        """Return whether the grammar compiles within the limits; raises RunnerError where nobody can tell."""
        key = hashlib.sha256(grammar.encode()).digest()
        if key not in self._answers:
            async with self._slots:
                answer = await self._compile(grammar)
            if len(self._answers) >= MOST_ANSWERS:
                del self._answers[next(iter(self._answers))]
            self._answers[key] = answer
        return self._answers[key]

    async def _compile(self, grammar: str) -> bool:
        try:
            process = await asyncio.create_subprocess_exec(
                *self._command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.DEVNULL,
                cwd=PACKAGE_FOLDER,
                start_new_session=True,
            )
        except OSError as exc:
            raise RunnerError(f"could not start a process to check the grammar: {exc.strerror}") from exc
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await process.communicate(grammar.encode())
        except TimeoutError:
            _log.warning("checking a grammar took longer than %g seconds", PATIENCE_SECONDS)
        finally:
            if process.returncode is None:
                os.killpg(process.pid, signal.SIGKILL)
                await process.wait()
        return process.returncode == 0
