from __future__ import annotations

import logging

from ollamapy.server.log import LOG_FORMAT, LineFormatter


def test_a_message_is_one_line_of_printable_text() -> None:
    told = 'invalid option: "bo\ngus\x1b[31m\x00\u2028é"'
    record = logging.LogRecord("ollamapy", logging.INFO, "", 0, "%s", (told,), None)
    line = LineFormatter(LOG_FORMAT).format(record)
    assert line.endswith(r'ollamapy: invalid option: "bo\ngus\x1b[31m\x00\u2028é"')


def test_the_way_to_an_error_keeps_its_lines() -> None:
    try:
        int("many")
    except ValueError as exc:
        failure = (type(exc), exc, exc.__traceback__)
    record = logging.LogRecord("ollamapy", logging.ERROR, "", 0, "it broke", (), failure)
    assert (
        LineFormatter(LOG_FORMAT).format(record).splitlines()[-1]
        == "ValueError: invalid literal for int() with base 10: 'many'"
    )
