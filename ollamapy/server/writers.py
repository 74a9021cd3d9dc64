"""How each API writes the pieces of an answer: as events of a stream, or as one object."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ollamapy.dialects import anthropic, native, openai, openai_completions, responses
from ollamapy.dialects.chunks import join_answers, join_chunks
from ollamapy.server.errors import Failure
from ollamapy.server.stream import EVENT_STREAM, NDJSON
from ollamapy.types import Chunk, Progress

KEEP_ALIVE = b": keep-alive\n\n"  # a comment


class _NativeWriter:
    stream_type = NDJSON
    keep_alive = b""

    def error(self, failure: Failure) -> bytes:
        """Return the line that ends a failed stream."""
        return native.encode_line(native.ErrorRecord(error=failure.message, kind=failure.kind))


class ChatWriter(_NativeWriter):
    """/api/chat; `model` is the name as the client wrote it."""

    def __init__(self, model: str) -> None:
        self._model = model

    def events(self, item: Chunk) -> Iterable[bytes]:
        """Return the line of one piece; calls are told when they are whole."""
        if item.is_partial:
            return ()
        return (native.encode_line(native.chat_record(self._model, item, native.utc_now())),)

    def whole(self, items: Sequence[Chunk]) -> bytes:
        """Return the answer as one object."""
        return native.encode(native.chat_record(self._model, join_chunks(items), native.utc_now()))

    def is_whole(self, first: Chunk) -> bool:
        """Return whether a model was only loaded or unloaded, or a prompt only rendered."""
        return is_single(first)


class GenerateWriter(_NativeWriter):
    """/api/generate; `model` is the name as the client wrote it."""

    def __init__(self, model: str) -> None:
        self._model = model

    def events(self, item: Chunk) -> Iterable[bytes]:
        """Return the line of one piece; calls are told when they are whole."""
        if item.is_partial:
            return ()
        return (native.encode_line(native.generate_record(self._model, item, native.utc_now())),)

    def whole(self, items: Sequence[Chunk]) -> bytes:
        """Return the answer as one object."""
        return native.encode(native.generate_record(self._model, join_chunks(items), native.utc_now()))

    def is_whole(self, first: Chunk) -> bool:
        """Return whether a model was only loaded or unloaded, or a prompt only rendered."""
        return is_single(first)


class ProgressWriter(_NativeWriter):
    """The steps of a long action; without a stream only the last one is told."""

    def events(self, item: Progress) -> Iterable[bytes]:
        """Return the line of one step."""
        return (native.encode_line(native.progress_record(item)),)

    def whole(self, items: Sequence[Progress]) -> bytes:
        """Return the last step."""
        return native.encode(native.progress_record(items[-1]))

    def is_whole(self, first: Progress) -> bool:  # noqa: ARG002 - part of the seam
        """Return that steps are never put together."""
        return False


class CompletionWriter:
    """/v1/chat/completions."""

    stream_type = EVENT_STREAM
    keep_alive = KEEP_ALIVE

    def __init__(self, writer: openai.EventWriter) -> None:
        self._writer = writer
        self.events = writer.events

    def error(self, failure: Failure) -> bytes:
        """Return the event that ends a failed stream."""
        return openai.error_event(failure.message, failure.status, failure.code)

    def whole(self, items: Sequence[Chunk]) -> bytes:
        """Return the answer as one object."""
        writer = self._writer
        return openai.encode(openai.completion(writer.id, writer.model, writer.created, join_answers(items)))

    def is_whole(self, first: Chunk) -> bool:  # noqa: ARG002 - part of the seam
        """Return that a stream is always a stream."""
        return False


class TextCompletionWriter:
    """/v1/completions."""

    stream_type = EVENT_STREAM
    keep_alive = KEEP_ALIVE

    def __init__(self, writer: openai_completions.CompletionEvents) -> None:
        self._writer = writer
        self.events = writer.events

    def error(self, failure: Failure) -> bytes:
        """Return the event that ends a failed stream."""
        return openai.error_event(failure.message, failure.status, failure.code)

    def whole(self, items: Sequence[Chunk]) -> bytes:
        """Return the answers as one object."""
        return self._writer.whole(join_answers(items))

    def is_whole(self, first: Chunk) -> bool:  # noqa: ARG002 - part of the seam
        """Return that a stream is always a stream."""
        return False


class ResponseWriter:
    """/v1/responses."""

    stream_type = EVENT_STREAM
    keep_alive = KEEP_ALIVE

    def __init__(self, writer: responses.ResponseEvents) -> None:
        self._writer = writer
        self.id = writer.id
        self.events = writer.events

    def error(self, failure: Failure) -> bytes:
        """Return the events that end a failed stream."""
        return b"".join(self._writer.fail(failure.message, failure.status, failure.code))

    def response(self, answer: Chunk) -> bytes:
        """Return the response that an answer makes, `answer` being all its pieces in one."""
        writer = self._writer
        whole = responses.ResponseEvents(writer.id, writer.model, writer.created_at, writer.echo)
        for _event in whole.events(answer):
            continue
        return responses.encode(whole.response())

    def whole(self, items: Sequence[Chunk]) -> bytes:
        """Return the answer as one object."""
        return self.response(join_chunks(items))

    def is_whole(self, first: Chunk) -> bool:  # noqa: ARG002 - part of the seam
        """Return that a stream is always a stream."""
        return False


class MessageWriter:
    """/v1/messages."""

    stream_type = EVENT_STREAM
    keep_alive = anthropic.PING_EVENT

    def __init__(self, writer: anthropic.EventWriter, request_id: str) -> None:
        self._writer = writer
        self._request_id = request_id
        self.events = writer.events

    def error(self, failure: Failure) -> bytes:
        """Return the event that ends a failed stream."""
        return anthropic.error_event(failure.message, failure.status, self._request_id)

    def whole(self, items: Sequence[Chunk]) -> bytes:
        """Return the answer as one object."""
        return anthropic.encode(self._writer.message(join_chunks(items)))

    def is_whole(self, first: Chunk) -> bool:  # noqa: ARG002 - part of the seam
        """Return that a stream is always a stream."""
        return False


def is_single(first: Chunk) -> bool:
    """Return whether Ollama answers with one object even where a stream was asked for."""
    return first.rendered is not None or (first.final is not None and first.final.finish_reason in ("load", "unload"))
