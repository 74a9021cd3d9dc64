"""Files that a message names by their path, typed or dragged into the terminal: images to send, texts to quote.

Ollama's rule for what is an image holds: the path's ending says that it may be one, its first bytes that it is.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from ollamapy.errors import InvalidFileError

MEDIA_ENDINGS = (".jpg", ".jpeg", ".png", ".webp", ".wav")
AUDIO_ENDING = ".wav"
MOST_MEDIA_BYTES = 100 << 20
MOST_TEXT_BYTES = 1 << 20
_ROOT = r"(?:~|\.{1,2})?/"
_PATH = re.compile(
    rf"""(?<!\S)(?:'(?P<single>{_ROOT}[^']+)'|"(?P<double>{_ROOT}[^"]+)"|(?P<bare>{_ROOT}(?:\\.|[^\s\\'"])+))"""
)
_ESCAPED = re.compile(r"\\(.)")
_TRAILING = ".,;:!?)"


@dataclass(frozen=True, slots=True)
class Attached:
    """A message with its files: `images` are taken out of the text, `notes` tell the user what was done."""

    text: str
    images: tuple[bytes, ...] = ()
    notes: tuple[str, ...] = ()


def attach_media(text: str) -> Attached:
    """Return the message with the images and sounds that it names; raises InvalidFileError for one that is none."""
    images, notes = [], []
    for written, path in _files(text):
        if path.suffix.lower() in MEDIA_ENDINGS:
            images.append(_read_media(path))
            notes.append(f"Added {'audio' if path.suffix.lower() == AUDIO_ENDING else 'image'} '{path}'")
            text = text.replace(written, "", 1)
    return Attached(text.strip() if images else text, tuple(images), tuple(notes))


def attach_texts(text: str) -> Attached:
    """Return the message with the text files that it names quoted behind it; raises InvalidFileError for a huge one."""
    quotes, notes = [], []
    for _, path in _files(text):
        if path.suffix.lower() not in MEDIA_ENDINGS and (content := _read_text(path)) is not None:
            quotes.append(f"\n\n`{path}`:\n```\n{content.rstrip()}\n```")
            notes.append(f"Added file '{path}'")
    return Attached(text + "".join(quotes), (), tuple(notes))


def begins_with_file(text: str) -> bool:
    """Whether a message that begins with a slash is about a file rather than a command."""
    found = _PATH.match(text)
    return found is not None and _existing(found) is not None


def names_media(text: str) -> list[str]:
    """Return the images and sounds that a message names, for a model that can't take them."""
    return [str(path) for _, path in _files(text) if path.suffix.lower() in MEDIA_ENDINGS]


def _files(text: str) -> list[tuple[str, Path]]:
    """Return the files that there are of those that the text names, each with how it is written."""
    found: dict[Path, str] = {}
    for match in _PATH.finditer(text):
        if (existing := _existing(match)) is not None:
            found.setdefault(existing[1], existing[0])
    return [(written, path) for path, written in found.items()]


def _existing(match: re.Match[str]) -> tuple[str, Path] | None:
    if match["bare"] is None:
        candidates = [(match.group(), match["single"] or match["double"])]
    else:
        bare = match["bare"]
        candidates = [(part, _ESCAPED.sub(r"\1", part)) for part in (bare, bare.rstrip(_TRAILING))]
    for written, name in candidates:
        try:
            path = Path(name).expanduser()
            if path.is_file():
                return written, path
        except (OSError, RuntimeError, ValueError):  # longer than a path may be, an unknown user, a NUL
            continue
    return None


def _read_media(path: Path) -> bytes:
    data = _read(path, MOST_MEDIA_BYTES)
    is_riff = data.startswith(b"RIFF") and data[8:12] in (b"WEBP", b"WAVE")
    if not is_riff and not data.startswith((b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n")):
        raise InvalidFileError(f"'{path}' is not a JPEG, PNG or WebP image, nor WAV audio")
    return data


def _read_text(path: Path) -> str | None:
    """Return the content of a text file, None for one that holds something else."""
    data = _read(path, MOST_TEXT_BYTES)
    try:
        return None if b"\0" in data else data.decode()
    except UnicodeDecodeError:
        return None


def _read(path: Path, most_bytes: int) -> bytes:
    try:
        if path.stat().st_size > most_bytes:
            raise InvalidFileError(f"'{path}' is too large: at most {most_bytes >> 20} MiB can be sent")
        return path.read_bytes()
    except OSError as exc:
        raise InvalidFileError(f"couldn't read '{path}': {exc.strerror}") from exc
