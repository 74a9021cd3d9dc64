import asyncio

import pytest

from ollamapy.errors import LoadError, ModelNotFoundError, ServiceError
from ollamapy.server.stream import Answer, while_connected


class TextWriter:
    stream_type = "text/plain"
    keep_alive = b""

    def events(self, item):
        return (item.encode(),)

    def error(self, failure):
        return f"error {failure.status} {failure.message}".encode()

    def whole(self, items):
        return "+".join(items).encode()

    def is_whole(self, first):
        return first == "single"


class Client:
    """The other end of an ASGI connection; `gone` ends it."""

    def __init__(self):
        self.gone = asyncio.Event()
        self.sent = []

    async def receive(self):
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message):
        self.sent.append(message)

    @property
    def body(self):
        return [m["body"] for m in self.sent if m["type"] == "http.response.body" and m["body"]]


async def items(*texts, fail=None):
    for text in texts:
        yield text
    if fail is not None:
        raise fail


def answer(source, *, stream=True):
    async def run():
        client = Client()
        await Answer(source, TextWriter(), stream=stream)({}, client.receive, client.send)
        return client

    return asyncio.run(run())


def test_a_stream_sends_each_piece_at_once():
    client = answer(items("a", "b"))
    assert client.body == [b"a", b"b"]
    assert client.sent[0]["headers"][0] == (b"content-type", b"text/plain")
    assert client.sent[-1] == {"type": "http.response.body", "body": b"", "more_body": False}


def test_without_a_stream_all_pieces_are_one_object():
    client = answer(items("a", "b"), stream=False)
    assert client.body == [b"a+b"]
    assert (b"content-length", b"3") in client.sent[0]["headers"]


def test_an_answer_that_is_whole_is_no_stream():
    assert answer(items("single")).body == [b"single"]
    assert dict(answer(items("single")).sent[0]["headers"])[b"content-type"].startswith(b"application/json")


class PatientWriter(TextWriter):
    keep_alive = b"..."


def patient_answer(source, until):
    """Send an answer whose silences are filled without waiting, until the client got so many parts."""

    async def run():
        client = Client()
        enough = asyncio.Event()

        async def send(message):
            client.sent.append(message)
            if len(client.body) >= until:
                enough.set()

        sent = Answer(source(enough), PatientWriter(), stream=True, keep_alive_seconds=0)
        await sent({}, client.receive, send)
        return client

    return asyncio.run(run())


def test_a_long_silence_before_the_first_piece_is_filled():
    async def late(enough):
        await enough.wait()
        yield "a"

    client = patient_answer(late, 3)
    assert client.body[:3] == [b"..."] * 3
    assert b"a" in client.body
    assert [m["type"] for m in client.sent].count("http.response.start") == 1


def test_a_long_silence_between_pieces_is_filled():
    async def slow(enough):
        yield "a"
        await enough.wait()
        yield "b"

    body = patient_answer(slow, 3).body
    assert body.index(b"a") < body.index(b"...") < body.index(b"b")


def test_an_error_after_a_filled_silence_is_the_last_event():
    async def failing(enough):
        await enough.wait()
        raise LoadError("broken")
        yield

    client = patient_answer(failing, 2)
    assert client.body[-1] == b"error 500 broken"
    assert client.sent[-1]["more_body"] is False


def test_an_error_before_the_first_byte_is_raised_for_its_status():
    for stream in (True, False):
        with pytest.raises(ModelNotFoundError):
            answer(items(fail=ModelNotFoundError("x")), stream=stream)


def test_an_error_in_mid_stream_is_the_last_event():
    client = answer(items("a", fail=LoadError("broken")))
    assert client.body == [b"a", b"error 500 broken"]
    assert client.sent[-1]["more_body"] is False


def test_an_unexpected_error_in_mid_stream_tells_nothing():
    client = answer(items("a", fail=ValueError("/secret")))
    assert client.body[-1].startswith(b"error 500 internal error")


def test_without_a_stream_a_late_error_still_has_a_status():
    with pytest.raises(LoadError):
        answer(items("a", fail=LoadError("broken")), stream=False)


@pytest.mark.parametrize("stream", [True, False])
def test_a_client_that_goes_away_ends_the_work(stream):
    async def run():
        client = Client()
        closed = asyncio.Event()

        async def endless():
            try:
                yield "a"
                client.gone.set()
                await asyncio.Event().wait()
            finally:
                closed.set()

        await Answer(endless(), TextWriter(), stream=stream)({}, client.receive, client.send)
        return closed.is_set()

    assert asyncio.run(run())


def test_a_client_that_goes_away_before_the_first_piece_ends_the_work():
    async def run():
        client = Client()
        client.gone.set()
        await while_connected(client.receive, asyncio.Event().wait())

    asyncio.run(run())


def test_the_end_of_the_daemon_is_the_last_event_of_a_stream():
    async def run():
        client = Client()
        is_begun = asyncio.Event()

        async def endless():
            yield "a"
            is_begun.set()
            await asyncio.Event().wait()

        task = asyncio.create_task(Answer(endless(), TextWriter(), stream=True)({}, client.receive, client.send))
        await is_begun.wait()
        task.cancel()
        await task
        return client

    client = asyncio.run(run())
    assert client.body == [b"a", b"error 503 the server is shutting down"]
    assert client.sent[-1]["more_body"] is False


def test_ending_the_request_from_outside_ends_the_work_too():
    async def run():
        ended = asyncio.Event()

        async def work():
            try:
                await asyncio.Event().wait()
            finally:
                ended.set()

        task = asyncio.create_task(while_connected(Client().receive, work()))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(ServiceError):
            await task
        return ended.is_set()

    assert asyncio.run(run())
