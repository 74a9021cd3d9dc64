"""Reads request bodies within bounds of size and time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

from starlette.requests import Request

from ollamapy.dialects.fields import Fields, decode_body
from ollamapy.errors import InvalidInputError, TooLargeError

STALL_SECONDS = 60.0  # how long a client may send nothing of the body that it announced


async def read_fields(request: Request, limit_bytes: int) -> Fields:
    """Read a JSON object; raises InvalidInputError, or TooLargeError before it is read as a whole."""
    return decode_body(await read_body(request, limit_bytes))


async def read_body(request: Request, limit_bytes: int) -> bytes:
    """Read the body; raises TooLargeError as soon as that is known."""
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > limit_bytes:
        raise _too_large(limit_bytes)
    parts: list[bytes] = []
    size = 0
    async for part in part_stream(request):
        size += len(part)
        if size > limit_bytes:
            raise _too_large(limit_bytes)
        parts.append(part)
    return b"".join(parts)


async def part_stream(request: Request) -> AsyncGenerator[bytes, None]:
    """Yield the body as it arrives; raises InvalidInputError where the client stalls."""
    parts = request.stream()
    while True:
        try:
            async with asyncio.timeout(STALL_SECONDS):
                part = await anext(parts, None)
        except TimeoutError as exc:
            text = f"the request body did not arrive: nothing came for {STALL_SECONDS:.0f} seconds"
            raise InvalidInputError(text) from exc
        if part is None:
            return
        if part:
            yield part


def _too_large(limit_bytes: int) -> TooLargeError:
    return TooLargeError(f"the request body is larger than {limit_bytes} bytes; send less, or raise OLLAMAPY_MAX_BODY")
