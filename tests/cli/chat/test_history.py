"""The file of what was typed."""

from __future__ import annotations

from pathlib import Path

from ollamapy.cli.chat.history import MOST_ENTRIES, append_entry, read_entries


def test_what_was_typed_is_read_again_with_its_lines(tmp_path: Path) -> None:
    path = tmp_path / "new" / "history"
    for text in ("one", "two\nlines", "日本"):
        append_entry(path, text)
    assert read_entries(path) == ["one", "two\nlines", "日本"]


def test_what_is_no_entry_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "history"
    path.write_bytes(b'plain\n"good"\n{"a":1}\n\xff\n""\n')
    assert read_entries(path) == ["good"]
    assert read_entries(tmp_path / "none") == []
    append_entry(tmp_path / "history" / "below a file", "lost")


def test_the_file_does_not_grow_for_ever(tmp_path: Path) -> None:
    path = tmp_path / "history"
    path.write_text("".join(f'"{i}"\n' for i in range(2 * MOST_ENTRIES)))
    append_entry(path, "last")
    assert len(path.read_text().splitlines()) == MOST_ENTRIES + 1
    assert read_entries(path)[-2:] == [str(2 * MOST_ENTRIES - 1), "last"]
    assert list(tmp_path.iterdir()) == [path]
