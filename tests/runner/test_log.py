from __future__ import annotations

import logging

import pytest

from ollamapy.runner.log import LOG_TAIL_BYTES, LogTail, last_words, without_folders


def test_the_tail_keeps_the_last_64_kib() -> None:
    tail = LogTail()
    for _ in range(5):
        tail.feed(b"x" * 20_000)
    tail.feed(b"end")
    assert len(tail.text) == LOG_TAIL_BYTES
    assert tail.text.endswith("xend")


def test_a_worker_s_own_warnings_are_warnings_of_the_daemon_and_other_lines_are_not(caplog):
    caplog.set_level("INFO")
    tail = LogTail()
    tail.feed(b"llama: WARNING a buffer\nINFO ollamapy.worker.state: fine\nWARNING ollamapy.worker.sta")
    tail.feed(b"te: known prefixes are ignored\n")
    assert [(one.levelname, one.message) for one in caplog.records] == [("WARNING", "known prefixes are ignored")]


def test_lines_are_logged_whole_wherever_they_were_cut(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "ollamapy.worker")
    tail = LogTail()
    for piece in (b"load", b"ing\nrea", "dy é".encode()[:5], "dy é".encode()[5:], b"\n"):
        tail.feed(piece)
    assert caplog.messages == ["loading", "ready é"]


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        pytest.param("failed to open /srv/my models/sha256-aa", "failed to open sha256-aa", id="known-with-space"),
        pytest.param("error:/home/a/b", "error:b", id="after-a-colon"),
        pytest.param("failed to open '/home/a/blobs/sha256-aa'", "failed to open 'sha256-aa'", id="quoted"),
        pytest.param(
            "/src/ggml/ggml.c:1234: GGML_ASSERT(a/b) failed", "ggml.c:1234: GGML_ASSERT(a/b) failed", id="source"
        ),
        pytest.param("loaded 1/2 of ~/models/x", "loaded 1/2 of x", id="home"),
        pytest.param("see https://example.org/a/b", "see https://example.org/a/b", id="not-a-url"),
    ],
)
def test_folders_are_cut_from_paths(text: str, clean: str) -> None:
    assert without_folders(text, ["/srv/my models/sha256-aa"]) == clean


def test_last_words_are_the_last_line_that_says_something() -> None:
    assert last_words("error: one\n error: two \n\n") == "error: two"
    assert last_words(" \n") == ""
    assert len(last_words("error" * 1000)) == 300


def test_last_words_are_complaints_and_not_what_a_worker_always_says() -> None:
    assert last_words("INFO ollamapy.worker: loaded, no error\nllama_context: n_ctx = 512\n") == ""
    assert last_words("GGML_ASSERT(a) failed\nINFO ollamapy.worker: ready\n") == "GGML_ASSERT(a) failed"
    assert last_words("WARNING old\n" + "a line\n" * 50) == ""
