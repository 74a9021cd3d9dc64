"""The command `ollamapy`: finds the chosen command, loads its module alone, and turns errors into exit codes.

Loading is lazy because a listing should take a fraction of a second: what the daemon and the other commands import is
not paid for.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Mapping, Sequence

from ollamapy.cli import render
from ollamapy.cli.errors import BROKEN_PIPE, INTERRUPTED, USAGE, exit_code, told
from ollamapy.cli.parsing import CommandModule, invoke
from ollamapy.errors import OllamapyError

COMMANDS: Mapping[str, str] = {
    "serve": "Start the daemon in the foreground",
    "create": "Create a model from a Modelfile",
    "show": "Show information about a model",
    "run": "Run a model: one prompt, or a conversation",
    "embed": "Turn texts into vectors",
    "import": "Take models that other programs have",
    "pull": "Fetch a model from a registry",
    "push": "Send a model to a registry",
    "update": "Fetch newer versions of models",
    "login": "Keep credentials of a registry",
    "logout": "Forget credentials of a registry",
    "stop": "Take a model out of memory",
    "list": "List models",
    "ps": "List models that are in memory",
    "estimate": "Tell what a model takes in memory",
    "cp": "Give a model a second name",
    "rm": "Remove models",
    "prune": "Free the space of what no model needs",
    "bench": "Measure how fast a model answers",
    "config": "Show or check the settings",
    "service": "Run the daemon as a service",
    "doctor": "Look for what is wrong, and tell the remedy",
    "handoff": "Tell how another server would serve a model",
    "completion": "Print what makes a shell complete commands",
    "help": "Tell about a command",
}
MODULES: Mapping[str, str] = {"import": "import_"}  # where a module can't have the command's name
ALIASES: Mapping[str, str] = {"ls": "list", "start": "serve", "signin": "login", "signout": "logout"}
COMPLETE = "__complete"  # what shells ask; it is in no help
HELP_FLAGS = ("-h", "--help")
VERSION_FLAGS = ("-v", "--version")


def main() -> None:
    """Run the command that the process was started with, and exit."""
    render.prepare()
    try:
        code = run_command(sys.argv[1:])
        sys.stdout.flush()
    except KeyboardInterrupt:
        code = INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = BROKEN_PIPE
    sys.exit(code)


def run_command(arguments: Sequence[str]) -> int:
    """Run a command line without its program name; returns the exit code."""
    name, rest = (arguments[0], arguments[1:]) if arguments else ("help", ())
    if name in HELP_FLAGS:
        name, rest = "help", ()
    if name in VERSION_FLAGS:
        name = "version"
    elif name == "help" and rest:
        name, rest = rest[0], ("--help",)
    name = ALIASES.get(name, name)
    if name == COMPLETE:
        importlib.import_module("ollamapy.cli.complete").tell(rest, COMMANDS, module_of)
        return 0
    if name == "help":
        _print_overview()
        return 0
    if name not in COMMANDS and name != "version":
        return _refuse(name)
    try:
        invoke(module_of(name), name, rest)
    except OllamapyError as exc:
        render.error(told(exc))
        return exit_code(exc)
    return 0


def module_of(name: str) -> CommandModule:
    """Return the module of a command or of an alias."""
    name = ALIASES.get(name, name)
    module: CommandModule = importlib.import_module(f"ollamapy.cli.{MODULES.get(name, name)}")
    return module


def _refuse(name: str) -> int:
    render.error(f'unknown command "{name}" for "ollamapy"; `ollamapy help` lists the commands')
    return USAGE


def _print_overview() -> None:
    render.line("Usage:\n  ollamapy COMMAND [ARGUMENTS]\n\nCommands:")
    width = max(map(len, COMMANDS)) + render.COLUMN_GAP
    for name, summary in COMMANDS.items():
        render.line(f"  {name.ljust(width)}{summary}")
    render.line("\nFlags:\n  -h, --help       Tell about ollamapy\n  -v, --version    Tell the version")
    render.line('\n"ollamapy help COMMAND" tells more about a command.')
