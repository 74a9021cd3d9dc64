"""`ollamapy serve`; the server is loaded when it shall run, so that help and completion stay quick."""

from __future__ import annotations

import argparse
import importlib
import os

from ollamapy.cli import render
from ollamapy.config import inspect_settings, read_settings


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
    importlib.import_module("ollamapy.server.app").serve(read_settings(os.environ))
