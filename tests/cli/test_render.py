"""Tables and status lines."""

from __future__ import annotations

import pytest

from ollamapy.cli.render import StatusLine, table_lines


def test_columns_are_four_spaces_apart_and_lines_end_without_blanks() -> None:
    rows = [["NAME", "ID", "SIZE"], ["wren:latest", "abc", "5 MB"], ["x", "a"]]
    assert table_lines(rows) == ["NAME           ID     SIZE", "wren:latest    abc    5 MB", "x              a"]


def test_a_table_without_rows_has_no_lines() -> None:
    assert table_lines([]) == []


def test_elsewhere_than_on_a_terminal_each_status_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    status = StatusLine()
    for label, detail in (("copying", "1%"), ("copying", "50%"), ("success", "")):
        status.show(label, detail)
    status.end()
    assert capsys.readouterr() == ("", "copying\nsuccess\n")


def test_a_transient_status_is_for_terminals_alone(capsys: pytest.CaptureFixture[str]) -> None:
    status = StatusLine(is_transient=True)
    status.show("loading")
    status.end()
    assert capsys.readouterr() == ("", "")
