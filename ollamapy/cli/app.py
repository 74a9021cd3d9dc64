"""The command `ollamapy`: finds the chosen command, loads its module alone, and turns errors into exit codes.

Loading is lazy because a listing should take a fraction of a second: what the daemon and the other commands import is
not paid for.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping, Sequence

from ollamapy.cli import render
from ollamapy.cli.errors import INTERRUPTED, OUTPUT_LOST, USAGE, exit_code, told
from ollamapy.cli.parsing import CommandModule, invoke
from ollamapy.errors import OllamapyError

GROUPS: Mapping[str, Mapping[str, str]] = {
    "Ask a model": {
        "run": "Run a model: one prompt, or a conversation",
        "embed": "Turn texts into vectors",
    },
    "Get models": {
        "pull": "Fetch a model from a registry",
        "update": "Fetch newer versions of models",
        "import": "Take models that other programs have",
        "create": "Create a model from a Modelfile",
    },
    "Keep models": {
        "list": "List models",
        "show": "Show information about a model",
        "cp": "Give a model a second name",
        "rm": "Remove models",
        "prune": "Free the space of what no model needs",
        "push": "Send a model to a registry",
        "login": "Keep credentials of a registry",
        "logout": "Forget credentials of a registry",
    },
    "See how models run": {
        "ps": "List models that are in memory",
        "stop": "Take a model out of memory",
        "estimate": "Tell what a model takes in memory",
        "bench": "Measure how fast a model answers",
        "handoff": "Tell how another server would serve a model",
    },
    "Have ollamapy run": {
        "serve": "Start the daemon in the foreground",
        "service": "Run the daemon as a service",
        "config": "Show or check the settings",
        "doctor": "Look for what is wrong, and tell the remedy",
        "completion": "Print what makes a shell complete commands",
        "help": "Tell about a command",
    },
}
COMMANDS: Mapping[str, str] = {name: about for group in GROUPS.values() for name, about in group.items()}
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
        render.finish()
    except KeyboardInterrupt:
        code = INTERRUPTED
    except BrokenPipeError:
        render.drop(sys.stdout)
        code = OUTPUT_LOST
    except render.OutputError as exc:
        render.drop(sys.stdout)
        render.error(str(exc))
        code = OUTPUT_LOST
    sys.exit(code)


def run_command(arguments: Sequence[str]) -> int:
    """Run a command line without its program name; returns the exit code."""
    name, rest = (arguments[0], arguments[1:]) if arguments else ("help", ())
    if name in HELP_FLAGS:
        name, rest = "help", ()
    if name in VERSION_FLAGS:
        name = "version"
    elif name == "help" and (asked := [word for word in rest if word not in HELP_FLAGS]):
        if len(asked) > 1:
            return _refuse(f'help takes one command, and "{asked[1]}" is one more')
        name, rest = asked[0], ("--help",)
    name = ALIASES.get(name, name)
    if name == COMPLETE:
        importlib.import_module("ollamapy.cli.complete").tell(rest, COMMANDS, module_of)
        return 0
    if name == "help":
        _print_overview()
        return 0
    if name not in COMMANDS and name != "version":
        return _refuse(f'unknown command "{name}" for "ollamapy"')
    try:
        invoke(module_of(name), name, rest)
    except OllamapyError as exc:
        render.error(told(exc))
        return exit_code(exc)
    except SystemExit as ended:  # after a help, and where several errors were told
        return ended.code if isinstance(ended.code, int) else 0
    return 0


def module_of(name: str) -> CommandModule:
    """Return the module of a command or of an alias."""
    name = ALIASES.get(name, name)
    module: CommandModule = importlib.import_module(f"ollamapy.cli.{MODULES.get(name, name)}")
    return module


def _refuse(reason: str) -> int:
    render.error(f"{reason}; `ollamapy help` lists the commands")
    return USAGE


def _print_overview() -> None:
    render.line("Runs language models on this machine, and speaks Ollama's API.\n")
    render.line("Usage:\n  ollamapy COMMAND [ARGUMENTS]")
    width = max(map(len, COMMANDS)) + render.COLUMN_GAP
    for heading, commands in GROUPS.items():
        render.line(f"\n{heading}:")
        for name, about in commands.items():
            render.line(f"  {name.ljust(width)}{about}")
    render.line("\nOptions:\n  -h, --help       tell about ollamapy\n  -v, --version    tell the version")
    render.line(f"\nAlso {', '.join(f'{alias} for {name}' for alias, name in ALIASES.items())}.")
    render.line("A model to begin with comes along: ollamapy run wren")
    render.line("`ollamapy help COMMAND` tells more about a command.")
