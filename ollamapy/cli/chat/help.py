"""What the conversation tells about itself."""

from __future__ import annotations

from collections.abc import Mapping

COMMANDS: Mapping[str, str] = {
    "/set": "Change how this session asks and shows",
    "/show": "Tell about the model",
    "/load": "Go on with another model or a saved session",
    "/save": "Save this session as a model",
    "/list": "List models",
    "/clear": "Forget the messages of this session",
    "/bye": "Leave",
    "/help": "Tell about a command; also /?",
}
USAGE: Mapping[str, str] = {"/load": " MODEL", "/save": " MODEL", "/help": " [TOPIC]"}
SETTINGS: Mapping[str, tuple[str, str]] = {
    "parameter": ("NAME VALUE...", "Set a model option, such as temperature"),
    "system": ("TEXT", 'Set the system message; """ holds several lines'),
    "history": ("", "Keep what is typed for later sessions"),
    "nohistory": ("", "Keep nothing"),
    "wordwrap": ("", "Break lines between words"),
    "nowordwrap": ("", "Leave lines to the terminal"),
    "markdown": ("", "Show Markdown as what it means"),
    "nomarkdown": ("", "Show Markdown as it is written"),
    "format": ("json", "Hold answers to JSON"),
    "noformat": ("", "Hold answers to nothing"),
    "verbose": ("", "Print times and rates after an answer"),
    "quiet": ("", "Print no times and rates"),
    "think": ("[LEVEL]", "Have the model think first: low, medium, high or max"),
    "nothink": ("", "Have it answer at once"),
}
PARTS: Mapping[str, str] = {
    "info": "All about the model",
    "license": "Its licence",
    "modelfile": "The Modelfile that makes it",
    "parameters": "Its parameters and those of this session",
    "system": "Its system message, or that of this session",
    "template": "Its prompt template",
}
SHORTCUTS: Mapping[str, str] = {
    "Ctrl + a, Ctrl + e": "To the beginning, the end of the line",
    "Alt + b, Alt + f": "A word back, on",
    "Ctrl + b, Ctrl + f": "A character back, on",
    "Ctrl + k, Ctrl + u": "Delete what is after, before the cursor",
    "Ctrl + w": "Delete the word before the cursor",
    "Ctrl + p, Ctrl + n": "Earlier, later messages; so do the arrows",
    "Ctrl + r": "Search in earlier messages",
    "Ctrl + j, Alt + Enter": "Begin a new line in the message",
    "Ctrl + l": "Clear the screen",
    "Ctrl + g": "Write the message in an editor (OLLAMA_EDITOR)",
    "Tab": "Complete a command, a model, a file",
    "Ctrl + c": "Stop the answer, or drop what is typed",
    "Ctrl + z": "Suspend",
    "Ctrl + d": "Leave",
}
TOPICS: Mapping[str, str] = {**{name.removeprefix("/"): "" for name in COMMANDS}, "shortcuts": ""}
QUOTING = '''Use """ to begin and end a message of several lines. A file is added to the
message by its path: images for models that can see, texts as a quotation.'''


def help_text(topic: str) -> str:
    """Return what there is to tell about a topic; about all commands for one that is none."""
    name = topic.removeprefix("/")
    if name == "set":
        rows = {f"/set {setting} {value}".rstrip(): about for setting, (value, about) in SETTINGS.items()}
    elif name == "show":
        rows = {f"/show {part}": about for part, about in PARTS.items()}
    elif name in ("shortcut", "shortcuts"):
        return _table("Available keyboard shortcuts:", SHORTCUTS)
    elif name and f"/{name}" in COMMANDS:
        rows = {f"/{name}{USAGE.get(f'/{name}', '')}": COMMANDS[f"/{name}"]}
    else:
        rows = {name + USAGE.get(name, ""): about for name, about in COMMANDS.items()}
        rows["/? shortcuts"] = "Tell about the keyboard"
        return f"{_table('Available commands:', rows)}\n{QUOTING}\n"
    return _table("Available commands:", rows)


def _table(heading: str, rows: Mapping[str, str]) -> str:
    width = max(map(len, rows)) + 2
    return "\n".join([heading, *(f"  {name.ljust(width)}{about}" for name, about in rows.items())]) + "\n"
