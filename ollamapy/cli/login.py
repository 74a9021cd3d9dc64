"""`ollamapy login`."""

from __future__ import annotations

import argparse
import asyncio
import getpass
import os
import sys

from ollamapy.cli import render
from ollamapy.cli.json_output import indented
from ollamapy.cli.values import parse_registry
from ollamapy.config import read_settings
from ollamapy.errors import InvalidInputError
from ollamapy.names import DEFAULT_HOST
from ollamapy.registry import HUB_HOSTS, Credential, Remotes

KEYS_PAGE = "https://ollama.com/settings/keys"
MAX_SECRET_CHARACTERS = 16 << 10


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the words that the command takes."""
    parser.add_argument(
        "registry", metavar="REGISTRY", nargs="?", default=DEFAULT_HOST, help=f"host[:port] (default {DEFAULT_HOST})"
    )
    parser.add_argument("-u", "--username", metavar="NAME", help="the user; asked for where it is not given")
    parser.add_argument("--password-stdin", action="store_true", help="read the password from standard input")
    parser.add_argument("--token-stdin", action="store_true", help="read a token from standard input, in place of both")
    parser.add_argument("--json", action="store_true", dest="as_json", help="print what was done as JSON")


def command(*, registry: str, username: str | None, password_stdin: bool, token_stdin: bool, as_json: bool) -> None:
    """Keep credentials of a registry for this user's daemon; Hugging Face takes a token, Ollama's registry a key.

    Examples:
      ollamapy login registry.example.com --username me
      ollamapy login hf.co --token-stdin < token.txt
    """
    settings, host = read_settings(os.environ), parse_registry(registry)
    remotes = Remotes.of(settings)
    if host == DEFAULT_HOST and not (username or password_stdin or token_stdin):
        key = remotes.key().public_text
        if as_json:
            render.line(indented({"key": key, "add_it_at": KEYS_PAGE}))
            return
        render.line(f"Ollama's registry knows you by this key; add it to your account at {KEYS_PAGE}:\n\n{key}")
        return
    if password_stdin and token_stdin:
        raise InvalidInputError("--password-stdin and --token-stdin exclude each other")
    remotes.check_host(host)
    credential = _ask(username, password_stdin=password_stdin, token_stdin=token_stdin or _takes_token(host))
    kept_as = HUB_HOSTS[0] if _takes_token(host) else host
    is_checked = asyncio.run(_check(remotes, kept_as, credential))
    remotes.credentials.put(kept_as, credential)
    done = indented({"logged_in": host, "checked": is_checked})
    render.line(done if as_json else f"logged in to {host}")
    if not is_checked and not as_json:
        render.note(f"{host} asks nobody for credentials, so they could not be checked")


def _takes_token(host: str) -> bool:
    return host in HUB_HOSTS


async def _check(remotes: Remotes, host: str, credential: Credential) -> bool:
    try:
        return await remotes.check_login(host, credential)
    finally:
        await remotes.close()


def _ask(username: str | None, *, password_stdin: bool, token_stdin: bool) -> Credential:
    """Return what the user gives; raises InvalidInputError for nothing."""
    if token_stdin:
        return Credential(token=_secret("Token: ", is_piped=not render.is_input_terminal()))
    if not username:
        if password_stdin or not render.is_input_terminal():
            raise InvalidInputError("who logs in? give --username with --password-stdin")
        username = input("Username: ").strip()
    password = _secret("Password: ", is_piped=password_stdin or not render.is_input_terminal())
    if not username:
        raise InvalidInputError("the name of the user is empty")
    return Credential(username=username, password=password)


def _secret(prompt: str, *, is_piped: bool) -> str:
    """Return a secret that is typed unseen, or the first line of standard input."""
    text = sys.stdin.readline(MAX_SECRET_CHARACTERS) if is_piped else getpass.getpass(prompt)
    secret = text.rstrip("\r\n")
    if not secret:
        raise InvalidInputError("no password or token was given")
    return secret
