"""`ollamapy logout`."""

from __future__ import annotations

import argparse
import os

from ollamapy.cli import render
from ollamapy.cli.json_output import indented
from ollamapy.cli.values import parse_registry
from ollamapy.config import read_settings
from ollamapy.errors import NotFoundError
from ollamapy.names import DEFAULT_HOST
from ollamapy.registry import HUB_HOSTS, CredentialsFile


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the words that the command takes."""
    parser.add_argument(
        "registry", metavar="REGISTRY", nargs="?", default=DEFAULT_HOST, help=f"host[:port] (default {DEFAULT_HOST})"
    )
    parser.add_argument("--json", action="store_true", dest="as_json", help="print what was done as JSON")


def command(*, registry: str, as_json: bool) -> None:
    """Forget what `login` keeps of a registry; keys and the configuration stay as they are.

    Examples:
      ollamapy logout registry.example.com
    """
    host = parse_registry(registry)
    kept = CredentialsFile(read_settings(os.environ).credentials_file)
    if not kept.remove(HUB_HOSTS[0] if host in HUB_HOSTS else host):
        raise NotFoundError(f"nobody is logged in to {host}")
    render.line(indented({"logged_out": host}) if as_json else f"logged out of {host}")
