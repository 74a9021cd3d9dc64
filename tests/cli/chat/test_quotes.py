"""Messages between three quotes."""

from __future__ import annotations

import pytest

from ollamapy.cli.chat.quotes import is_open, unquoted


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ("hello", "hello"),
        ('"""hello"""', "hello"),
        ('"""\na\n"""', "\na\n"),
        ('"""a\n\nb\nc""" ', "a\n\nb\nc"),
        ('say "x"', 'say "x"'),
        ('""""""', ""),
    ],
    ids=repr,
)
def test_the_quotes_are_taken_off(typed: str, message: str) -> None:
    assert not is_open(typed)
    assert unquoted(typed) == message


@pytest.mark.parametrize("typed", ['"""', '"""a', '"""a\n"""b', '/set system """Be'])
def test_a_message_is_open_until_the_quotes_are_closed(typed: str) -> None:
    assert is_open(typed)
