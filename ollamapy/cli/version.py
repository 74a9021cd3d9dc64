"""`ollamapy --version`."""

from __future__ import annotations

import argparse
import os

from ollamapy.cli import render
from ollamapy.client import Client
from ollamapy.config import read_settings
from ollamapy.errors import OllamapyError
from ollamapy.version import OLLAMA_VERSION, __version__


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Take no words."""


def command() -> None:
    """Tell the version, and that of the daemon where it is another one."""
    render.line(f"ollamapy version is {__version__} (Ollama API {OLLAMA_VERSION})")
    settings = read_settings(os.environ)
    with Client(settings.host.base_url, settings.api_key) as client:
        if client.probe() == "absent":
            render.note("Warning: could not connect to a running ollamapy daemon")
            return
        try:
            server = client.version()
        except OllamapyError as exc:
            render.note(f"Warning: {exc.message}")
            return
    name = server.name or "Ollama"
    found = server.ollamapy_version or server.version
    if (name, found) != ("ollamapy", __version__):
        render.note(f"Warning: the daemon at {settings.host.base_url} is {name} {found}")
