"""Keeping control tokens out of user text: they are covered before rendering and come back as plain text.

Each piece of user text that could become (part of) a control token is replaced by one private-use character. One
character can't be torn apart by a template's `trim`, `split`, slicing or JSON quoting, and whatever a template does
with it, it can only turn back into a segment in which no control token is recognised.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from ollamapy.errors import TemplateError
from ollamapy.types import Json
from ollamapy.wire import Segment

_FIRST, _LAST = 0xF0000, 0xFFFFD
_MARK = re.compile(f"[{chr(_FIRST)}-{chr(_LAST)}]+")
_FOREIGN = f"[{chr(_FIRST)}-{chr(_LAST)}\ud800-\udfff]"  # marks that the user wrote, and lone surrogates
_SURROGATE = re.compile("[\ud800-\udfff]")
_MIN_PART = 2
KNOWN_TEXTS, KNOWN_CHARS = 4096, 48  # names, types and roles come again and again
MAX_TIPS = 8


class ControlTokens:
    """The control tokens of one vocabulary, compiled for searching; those of one character are left alone."""

    __slots__ = ("_all", "_ends", "_first", "_known", "_last", "_longest", "_pattern", "_starts", "_tips")

    def __init__(self, tokens: Iterable[str]) -> None:
        texts = sorted({token for token in tokens if len(token.strip()) > 1})
        self._pattern = re.compile("|".join(filter(None, (_alternation(texts), _FOREIGN))))
        self._all = "\0".join(texts)
        self._starts = frozenset(text[:n] for text in texts for n in range(_MIN_PART, len(text)))
        self._ends = frozenset(text[n:] for text in texts for n in range(1, len(text) - _MIN_PART + 1))
        self._first = _any_of(text[0] for text in texts)
        self._last = _any_of(text[-1] for text in texts)
        self._longest = max(map(len, texts), default=0)
        # One of these stands in each text that holds a control token, or part of one that is not a middle.
        self._tips = "".join(sorted({tip for text in texts for tip in (text[0], text[-1])}))
        self._known = lru_cache(KNOWN_TEXTS)(self._find)

    def find(self, text: str, *, edges: bool) -> list[tuple[int, int]]:
        """Return where control tokens stand, with `edges` also where parts of them do at the ends of the text."""
        if len(text) <= KNOWN_CHARS:
            return self._known(text, edges)
        if len(self._tips) <= MAX_TIPS and text.isascii() and not any(tip in text for tip in self._tips):
            return self._find_middle(text) if edges else []
        return self._find(text, edges)

    def _find(self, text: str, edges: bool) -> list[tuple[int, int]]:
        spans = self.find_all(text)
        return _merged(spans, self.find_edges(text)) if edges else spans

    def find_all(self, text: str) -> list[tuple[int, int]]:
        """Return where whole control tokens stand, leftmost and longest first, as (start, end)."""
        return [found.span() for found in self._pattern.finditer(text)]

    def find_edges(self, text: str) -> list[tuple[int, int]]:
        """Return where the text ends with the beginning, or begins with the end, of a control token, or is a middle.

        Blanks around the text are passed over, since templates trim. A middle counts only if it begins or ends with
        punctuation: plain words such as `user` are what templates make tokens from on purpose.
        """
        spans = self._find_middle(text)
        if spans:
            return spans
        start, end = len(text) - len(text.lstrip()), len(text.rstrip())
        if self._last.search(text, start, start + self._longest):
            head = text[start : start + self._longest]
            length = next((n for n in range(len(head), 1, -1) if head[:n] in self._ends), 0)
            spans += [(start, start + length)] if length else []
        if self._first.search(text, max(end - self._longest, 0), end):
            tail = text[max(end - self._longest, 0) : end]
            length = next((n for n in range(len(tail), 1, -1) if tail[-n:] in self._starts), 0)
            spans += [(end - length, end)] if length else []
        return spans

    def _find_middle(self, text: str) -> list[tuple[int, int]]:
        start, end = len(text) - len(text.lstrip()), len(text.rstrip())
        is_short = _MIN_PART < end - start < self._longest
        return [(start, end)] if is_short and self._is_middle(text[start:end]) else []

    def _is_middle(self, text: str) -> bool:
        return not (text[0].isalnum() and text[-1].isalnum()) and text in self._all


class Cover:
    """The covered pieces of one rendering."""

    __slots__ = ("_marks", "_pieces", "_tokens")

    def __init__(self, tokens: ControlTokens) -> None:
        self._tokens = tokens
        self._marks: dict[str, str] = {}
        self._pieces: list[str] = []

    def text(self, text: str, *, edges: bool = True) -> str:
        """Return the text with its control tokens covered, with `edges` also their parts at its start and end."""
        spans = self._tokens.find(text, edges=edges)
        if not spans:
            return text
        parts: list[str] = []
        at = 0
        for start, end in spans:
            parts += text[at:start], self._mark(text[start:end])
            at = end
        return "".join((*parts, text[at:]))

    def value(self, value: Json) -> Json:
        """Return a deep copy of a JSON value with every text in it covered, names of fields included."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {self.text(str(key)): self.value(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.value(item) for item in value]
        return value

    def segments(self, rendered: str) -> tuple[Segment, ...]:
        """Split a rendered prompt into template text and uncovered user text."""
        segments: list[Segment] = []
        at = 0
        for found in _MARK.finditer(rendered):
            if rendered[at : found.start()]:
                segments.append(Segment(rendered[at : found.start()]))
            segments.append(Segment("".join(map(self._piece, found[0])), special=False))
            at = found.end()
        if rendered[at:]:
            segments.append(Segment(rendered[at:]))
        return tuple(segments)

    def _mark(self, piece: str) -> str:
        piece = _SURROGATE.sub("\ufffd", piece)
        if piece not in self._marks:
            if _FIRST + len(self._pieces) > _LAST:
                raise TemplateError("the messages have too many private-use characters")
            self._marks[piece] = chr(_FIRST + len(self._pieces))
            self._pieces.append(piece)
        return self._marks[piece]

    def _piece(self, mark: str) -> str:
        index = ord(mark) - _FIRST
        return self._pieces[index] if index < len(self._pieces) else mark


def merge_segments(segments: Iterable[Segment]) -> tuple[Segment, ...]:
    """Join neighbours of one kind and drop empty segments."""
    merged: list[Segment] = []
    for segment in segments:
        if merged and merged[-1].special == segment.special:
            merged[-1] = Segment(merged[-1].text + segment.text, segment.special)
        elif segment.text:
            merged.append(segment)
    return tuple(merged)


def _any_of(characters: Iterable[str]) -> re.Pattern[str]:
    return re.compile("|".join(map(re.escape, sorted(set(characters)))) or "(?!)")


def _merged(spans: Sequence[tuple[int, int]], edges: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    if not edges:
        return list(spans)
    free = [edge for edge in edges if all(edge[1] <= start or end <= edge[0] for start, end in spans)]
    found: list[tuple[int, int]] = []
    for start, end in sorted([*spans, *free]):
        if found and start < found[-1][1]:
            found[-1] = (found[-1][0], max(end, found[-1][1]))
        else:
            found.append((start, end))
    return found


def _alternation(texts: Sequence[str]) -> str:
    """Return a pattern that matches the longest of the sorted texts; shared beginnings are written once."""
    trie: dict[str, Any] = {}
    for text in texts:
        node = trie
        for character in text:
            node = node.setdefault(character, {})
        node[""] = {}
    return _branch(trie)


def _branch(node: Mapping[str, Any]) -> str:
    shared = ""
    while len(node) == 1 and "" not in node:
        ((character, node),) = node.items()
        shared += re.escape(character)
    branches = [re.escape(character) + _branch(child) for character, child in node.items() if character]
    if not branches:
        return shared
    return f"{shared}(?:{'|'.join(branches)}){'?' if '' in node else ''}"
