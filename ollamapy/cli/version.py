"""`ollamapy --version`."""

from __future__ import annotations

import argparse
import os

from ollamapy.cli import render
from ollamapy.cli.json_output import indented
from ollamapy.client import Client
from ollamapy.config import Settings, read_settings
from ollamapy.dialects.native import VersionRecord
from ollamapy.errors import OllamapyError
from ollamapy.version import OLLAMA_VERSION, __version__


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the words that the command takes."""
    parser.add_argument("--json", action="store_true", dest="as_json", help="print it as JSON")


def command(*, as_json: bool) -> None:
    """Tell the version, and that of the daemon where it is another one."""
    settings = read_settings(os.environ)
    server, problem = ask_daemon(settings)
    if as_json:
        theirs = {"name": server.name or "Ollama", "version": found(server)} if server else None
        render.line(indented({"version": __version__, "ollama_version": OLLAMA_VERSION, "daemon": theirs}))
        return
    render.line(f"ollamapy version is {__version__} (Ollama API {OLLAMA_VERSION})")
    if problem:
        render.note(f"Warning: {problem}")
    elif server and (server.name, found(server)) != ("ollamapy", __version__):
        render.note(f"Warning: the daemon at {settings.host.base_url} is {server.name or 'Ollama'} {found(server)}")


def ask_daemon(settings: Settings) -> tuple[VersionRecord | None, str]:
    """Return the version of the daemon, or why it is not known."""
    with Client(settings.host.base_url, settings.api_key) as client:
        if client.probe() == "absent":
            return None, "could not connect to a running ollamapy daemon"
        try:
            return client.version(), ""
        except OllamapyError as exc:
            return None, exc.message


def found(server: VersionRecord) -> str:
    """Return the version of the program that answers."""
    return server.ollamapy_version or server.version
