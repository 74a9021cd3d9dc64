"""Shows the spans of a Markdown line (emphasis, code, links) while the line is still being written: pure.

A span is held back until its closing mark has come, so that nothing that was shown is ever taken back, and a mark that
is never closed stands as it was written. Source: CommonMark 0.31, section 6, without what a terminal can't show, and
with one exception: `__name__` is a name of Python's, not a name in bold.
"""

from __future__ import annotations

import re

MOST_HELD = 400  # characters; a longer span is shown as it was written
Style = tuple[str, str]
"""How a terminal is told to begin a style and to end it."""

BOLD: Style = ("\x1b[1m", "\x1b[22m")
ITALIC: Style = ("\x1b[3m", "\x1b[23m")
UNDERLINE: Style = ("\x1b[4m", "\x1b[24m")
STRUCK: Style = ("\x1b[9m", "\x1b[29m")
CODE: Style = ("\x1b[36m", "\x1b[39m")
FAINT: Style = ("\x1b[2m", "\x1b[22m")

_ORDINARY = re.compile(r"[^\\`*_~\[]+")
_RUN = re.compile(r"(.)\1*", re.DOTALL)
_LINK = re.compile(r"""\[([^\[\]]*)\]\(([^()\s]*(?:\([^()\s]*\))?[^()\s]*)(?:\s+"[^"]*")?\)""")
_LINK_SO_FAR = re.compile(r"\[[^\[\]]*(?:\](?:\([^\n]*)?)?")
_ESCAPABLE = frozenset("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~")
_EMPHASIS: dict[str, Style] = {
    "*": ITALIC,
    "_": ITALIC,
    "**": BOLD,
    "__": BOLD,
    "~~": STRUCK,
    "***": (BOLD[0] + ITALIC[0], ITALIC[1] + BOLD[1]),
    "___": (BOLD[0] + ITALIC[0], ITALIC[1] + BOLD[1]),
}


def styled(style: Style, text: str) -> str:
    """Return the text in a style."""
    return style[0] + text + style[1] if text else ""


def inline(text: str) -> str:
    """Return a whole line with its spans shown."""
    spans = Inline()
    return spans.feed(text) + spans.end()


class Inline:
    """Takes the pieces of a line and gives out what can be shown of it."""

    def __init__(self) -> None:
        self._held = ""
        self._before = " "

    def feed(self, text: str) -> str:
        """Return what can be shown now."""
        self._held += text
        return self._take(is_end=False)

    def end(self) -> str:
        """Return the rest of the line."""
        out = self._take(is_end=True)
        self._before = " "
        return out

    def _take(self, *, is_end: bool) -> str:
        out = []
        while self._held:
            if plain := _ORDINARY.match(self._held):
                shown, used = plain.group(), plain.end()
            else:
                span = read_span(self._held, self._before, is_end=is_end or len(self._held) > MOST_HELD)
                if span is None:
                    break
                shown, used = span
            out.append(shown)
            self._before, self._held = self._held[used - 1], self._held[used:]
        return "".join(out)


def read_span(text: str, before: str, *, is_end: bool) -> tuple[str, int] | None:
    """Return what to show for the mark that the text begins with, and how much of the text that is.

    `before` is the character before it. None where more of the line must come first.
    """
    mark = text[0]
    if mark == "\\":
        if len(text) == 1:
            return (mark, 1) if is_end else None
        return (text[1], 2) if text[1] in _ESCAPABLE else (mark, 1)
    if mark == "[":
        return _read_link(text, is_end=is_end)
    run = _RUN.match(text).group()  # type: ignore[union-attr]  # the text is not empty
    if run == text and not is_end:
        return None
    if mark == "`":
        return _read_code(text, run, is_end=is_end)
    return _read_emphasis(text, run, before, is_end=is_end)


def _read_code(text: str, run: str, *, is_end: bool) -> tuple[str, int] | None:
    close = re.compile(rf"(?<!`){run}(?!`)").search(text, len(run))
    if close and (is_end or close.end() < len(text)):
        content = text[len(run) : close.start()]
        if content.startswith(" ") and content.endswith(" ") and content.strip():
            content = content[1:-1]
        return styled(CODE, content), close.end()
    return (run, len(run)) if is_end else None


def _read_emphasis(text: str, run: str, before: str, *, is_end: bool) -> tuple[str, int] | None:
    rest = text[len(run) :]
    is_word = run[0] == "_" and before.isalnum()
    if run not in _EMPHASIS or is_word or not rest or rest[0].isspace():
        return run, len(run)
    mark = re.escape(run[0])
    behind = rf"[\w{mark}]" if run[0] == "_" else mark
    close = re.compile(rf"(?<![\s\\{mark}]){re.escape(run)}(?!{behind})").search(text, len(run) + 1)
    if close and (is_end or close.end() < len(text)):
        content = text[len(run) : close.start()]
        if run == "__" and content.isidentifier():
            return text[: close.end()], close.end()
        return styled(_EMPHASIS[run], inline(content)), close.end()
    return (run, len(run)) if is_end else None


def _read_link(text: str, *, is_end: bool) -> tuple[str, int] | None:
    if found := _LINK.match(text):
        label, target = found.groups()
        shown = styled(UNDERLINE, inline(label) if label else target)
        return (shown if label in ("", target) else f"{shown} {styled(FAINT, f'({target})')}"), found.end()
    so_far = _LINK_SO_FAR.match(text)
    is_open = so_far is not None and so_far.end() == len(text)
    return None if is_open and not is_end else ("[", 1)
