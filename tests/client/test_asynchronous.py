"""The asynchronous client against a server in memory."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from ollamapy.client import AsyncClient
from ollamapy.errors import ModelNotFoundError, RunnerError, ServiceError
from ollamapy.types import ChatRequest, CreateRequest, EmbedRequest, GenerateRequest, Message, RerankRequest
from tests.fakes.ollama_api import FakeOllama, other_app, serving


def run(url: str, use: Callable[[AsyncClient], Awaitable[None]]) -> None:
    async def main() -> None:
        async with AsyncClient(url) as client:
            await use(client)

    asyncio.run(main())


def test_every_plain_request_has_its_answer(fake: FakeOllama) -> None:
    async def use(client: AsyncClient) -> None:
        assert await client.probe() == "running"
        assert (await client.version()).version == "0.33.0"
        assert len((await client.list()).models) == 2
        assert (await client.ps()).models == []
        assert (await client.show("wren:latest", verbose=True)).system == "Be brief."
        await client.copy("wren:latest", "bird")
        await client.unload("bird")
        await client.delete("bird")
        with pytest.raises(ModelNotFoundError):
            await client.delete("bird")

    run(fake.base_url, use)


def test_many_chats_stream_at_once(fake: FakeOllama) -> None:
    async def say(client: AsyncClient, text: str) -> str:
        request = ChatRequest("wren:latest", (Message("user", text),))
        return "".join([record.message.content async for record in client.chat(request)])

    async def use(client: AsyncClient) -> None:
        texts = [f"number {i}" for i in range(24)]
        assert await asyncio.gather(*(say(client, text) for text in texts)) == [f"{text} " for text in texts]

    run(fake.base_url, use)


def test_closing_a_stream_ends_the_request(fake: FakeOllama) -> None:
    async def use(client: AsyncClient) -> None:
        records = client.generate(GenerateRequest("wren:latest", "endless"))
        assert (await anext(records)).response == "more "
        await records.aclose()
        assert await asyncio.to_thread(fake.client_left.wait, 20)

    run(fake.base_url, use)


def test_a_blob_is_uploaded_and_a_model_made_of_it(fake: FakeOllama) -> None:
    content = b"GGUF"
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"

    async def pieces() -> AsyncIterator[bytes]:
        yield content

    async def use(client: AsyncClient) -> None:
        assert not await client.has_blob(digest)
        await client.upload_blob(digest, pieces(), len(content))
        assert await client.has_blob(digest)
        steps = [step.status async for step in client.create(CreateRequest("new", files={"a.gguf": digest}))]
        assert steps[-1] == "success"

    run(fake.base_url, use)


def test_errors_are_raised_where_they_happen(fake: FakeOllama) -> None:
    async def use(client: AsyncClient) -> None:
        records = client.generate(GenerateRequest("wren:latest", "fail"))
        assert (await anext(records)).response == "Half an"
        with pytest.raises(RunnerError, match="fell over"):
            await anext(records)

    run(fake.base_url, use)


def test_another_program_is_recognised() -> None:
    async def use(client: AsyncClient) -> None:
        assert not await client.is_running()
        with pytest.raises(ServiceError):
            await client.version()

    with serving(other_app()) as url:
        run(url, use)


def test_vectors_and_rankings_are_records(fake: FakeOllama) -> None:
    async def use(client: AsyncClient) -> None:
        assert (await client.embed(EmbedRequest("wren:latest", ("a", "bc")))).embeddings == [[0.5, -1.0], [0.5, -2.0]]
        ranked = await client.rerank(RerankRequest("wren:latest", "q", ("a",)))
        assert [score.index for score in ranked.results] == [0]
        with pytest.raises(ModelNotFoundError):
            await client.embed(EmbedRequest("nope", ("a",)))

    run(fake.base_url, use)
