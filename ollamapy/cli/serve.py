"""`ollamapy serve`."""

from __future__ import annotations

import argparse
import os

from ollamapy.config import read_settings
from ollamapy.server.app import serve


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Take no words."""


def command() -> None:
    """Start the daemon in the foreground; OLLAMA_HOST says where it listens.

    Examples:
      ollamapy serve
      OLLAMA_HOST=127.0.0.1:11500 ollamapy serve
    """
    serve(read_settings(os.environ))
