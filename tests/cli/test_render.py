"""Tables."""

from __future__ import annotations

from ollamapy.cli.render import table_lines


def test_columns_are_four_spaces_apart_and_lines_end_without_blanks() -> None:
    rows = [["NAME", "ID", "SIZE"], ["wren:latest", "abc", "5 MB"], ["x", "a"]]
    assert table_lines(rows) == ["NAME           ID     SIZE", "wren:latest    abc    5 MB", "x              a"]


def test_a_table_without_rows_has_no_lines() -> None:
    assert table_lines([]) == []
