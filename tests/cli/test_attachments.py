"""Files that a message names."""

from __future__ import annotations

from pathlib import Path

import pytest

from ollamapy.cli.attachments import attach_media, attach_texts, begins_with_file, names_media
from ollamapy.errors import InvalidFileError

PNG = b"\x89PNG\r\n\x1a\n"
JPEG = b"\xff\xd8\xff"
WEBP = b"RIFF\0\0\0\0WEBP"
WAV = b"RIFF\0\0\0\0WAVE"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with files in it."""
    for name, data in {
        "a.png": PNG,
        "b.JPG": JPEG,
        "c d.webp": WEBP,
        "e.wav": WAV,
        "n.txt": b"milk\n",
        "x.bin": b"\0\1",
    }.items():
        (tmp_path / name).write_bytes(data)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("text", "rest", "images"),
    [
        ("what is ./a.png", "what is", (PNG,)),
        ("'./a.png' and ./b.JPG?", "and ?", (PNG, JPEG)),
        ('see "./c d.webp" now', "see  now", (WEBP,)),
        ("./c\\ d.webp", "", (WEBP,)),
        ("./e.wav ./e.wav", "./e.wav", (WAV,)),
        ("a.png", "a.png", ()),
        ("./missing.png", "./missing.png", ()),
        ("./n.txt", "./n.txt", ()),
        ("either/or ~nobody/x.png", "either/or ~nobody/x.png", ()),
    ],
    ids=str,
)
def test_images_and_sounds_are_taken_out_of_the_text(
    folder: Path, text: str, rest: str, images: tuple[bytes, ...]
) -> None:
    attached = attach_media(text)
    assert (attached.text, attached.images) == (rest, images)
    assert len(attached.notes) == len(images)


def test_a_full_path_is_a_path_too_and_told(folder: Path) -> None:
    attached = attach_media(f"look: {folder}/e.wav")
    assert attached.notes == (f"Added audio '{folder}/e.wav'",)
    assert names_media(f"{folder}/a.png ./n.txt") == [f"{folder}/a.png"]


def test_what_only_looks_like_an_image_is_refused(folder: Path) -> None:
    (folder / "no.png").write_text("text")
    with pytest.raises(InvalidFileError, match=r"'no\.png' is not a JPEG"):
        attach_media("./no.png")


def test_texts_are_quoted_behind_the_message_and_other_files_left(folder: Path) -> None:
    attached = attach_texts("sum up ./n.txt, not ./x.bin ./a.png")
    assert attached.text == "sum up ./n.txt, not ./x.bin ./a.png\n\n`n.txt`:\n```\nmilk\n```"
    assert attached.notes == ("Added file 'n.txt'",)


def test_a_huge_text_is_refused(folder: Path) -> None:
    (folder / "huge.txt").write_bytes(b"x" * (1 << 20) + b"y")
    with pytest.raises(InvalidFileError, match="at most 1 MiB"):
        attach_texts("./huge.txt")


def test_a_path_at_the_beginning_is_no_command(folder: Path) -> None:
    assert begins_with_file(f"{folder}/n.txt tell me")
    assert not begins_with_file("/show info")
    assert not begins_with_file("/nowhere/at/all")
