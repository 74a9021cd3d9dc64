import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from ollamapy.server.application import RequestIds
from ollamapy.server.request_log import RequestLog


@pytest.fixture
def anyio_backend():
    return "asyncio"


async def echo(request: Request) -> PlainTextResponse:
    return PlainTextResponse(await request.body())


@pytest.mark.anyio
async def test_bodies_are_written_for_their_owner_and_uploads_are_not(tmp_path):
    routes = [Route(path, echo, methods=["POST"]) for path in ("/api/chat", "/api/blobs/x", "/v1/models")]
    app = RequestIds(RequestLog(Starlette(routes=routes), tmp_path))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x") as client:
        answer = await client.post("/api/chat", content=b"secret words")
        assert answer.text == "secret words"
        await client.post("/api/blobs/x", content=b"weights")
        await client.post("/v1/models")
    (path,) = tmp_path.iterdir()
    assert path.name == f"{answer.headers['x-request-id']}-api-chat.json"
    assert path.read_bytes() == b"secret words"
    assert path.stat().st_mode & 0o777 == 0o600
