"""The load generator: a process of its own that sends HTTP requests and notes when each piece of an answer arrives.

It reads a plan as JSON from standard input and writes the exchanges as JSON to standard output. While requests run it
only stores what arrives with the time; everything is parsed after the last one has ended, so that on a small machine
it takes next to nothing from the servers. Standard library only: it must start quickly.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any


@dataclass(frozen=True, slots=True)
class Request:
    """One POST of a JSON body; `delay_seconds` passes between the end of the client's last request and this one."""

    path: str
    body: str
    delay_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Plan:
    """What each client sends, one request after the other, and how a whole exchange is bounded in time."""

    host: str
    port: int
    clients: list[list[Request]]
    timeout_seconds: float = 900.0


@dataclass(slots=True)
class Exchange:
    """One answer. Times are seconds of one clock; `times` holds the arrival of each event that carries text."""

    client: int
    sent: float = 0.0
    times: list[float] = field(default_factory=list)
    ended: float = 0.0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    error: str = ""


class _Connection(asyncio.Protocol):
    def __init__(self, request: bytes, lost: asyncio.Future[None]) -> None:
        self.request, self.lost = request, lost
        self.sent = 0.0
        self.pieces: list[tuple[float, bytes]] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        self.sent = time.perf_counter()
        transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        self.pieces.append((time.perf_counter(), data))

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.lost.done():
            self.lost.set_result(None) if exc is None else self.lost.set_exception(exc)


async def run_plan(plan: Plan) -> list[Exchange]:
    """Run all clients at once; return every exchange, failed ones with their error."""
    answers = await asyncio.gather(*(_run_client(plan, number) for number in range(len(plan.clients))))
    return [exchange for client in answers for exchange in client]


async def _run_client(plan: Plan, number: int) -> list[Exchange]:
    raw: list[tuple[_Connection, str]] = []
    loop = asyncio.get_running_loop()
    for request in plan.clients[number]:
        if request.delay_seconds:
            await asyncio.sleep(request.delay_seconds)
        connection = _Connection(_http_request(plan, request), loop.create_future())
        error, transport = "", None
        try:
            async with asyncio.timeout(plan.timeout_seconds):
                transport, _ = await loop.create_connection(partial(_same, connection), plan.host, plan.port)
                await connection.lost
        except (OSError, TimeoutError) as exc:
            error = f"{type(exc).__name__}: {exc}"
        if transport is not None:
            transport.abort()
        raw.append((connection, error))
    return [read_exchange(number, connection.sent, connection.pieces, error) for connection, error in raw]


def _same(connection: _Connection) -> _Connection:
    return connection


def _http_request(plan: Plan, request: Request) -> bytes:
    body = request.body.encode()
    head = (
        f"POST {request.path} HTTP/1.1\r\nHost: {plan.host}:{plan.port}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + body


def read_exchange(client: int, sent: float, pieces: list[tuple[float, bytes]], error: str = "") -> Exchange:
    """Return what the pieces say: lines of /api/generate, or events of llama-server's /completion or OpenAI's routes.

    The latter don't tell how many tokens they are; each event is counted as one.
    """
    exchange = Exchange(client, sent=sent, ended=pieces[-1][0] if pieces else sent, error=error)
    raw = b"".join(data for _, data in pieces)
    ends, total = [], 0
    for _, data in pieces:
        total += len(data)
        ends.append(total)
    is_complete = False
    for end, line in _body_lines(raw):
        event = _parse_event(line)
        if event is None:
            continue
        if "error" in event:
            exchange.error = exchange.error or json.dumps(event["error"])
        choice = (event.get("choices") or [{}])[0]
        if event.get("response") or event.get("content") or choice.get("text"):
            exchange.times.append(pieces[bisect_left(ends, end)][0])
        if event.get("done") or event.get("stop"):
            is_complete = True
            exchange.completion_tokens = event.get("eval_count") or event.get("tokens_predicted") or 0
            exchange.prompt_tokens = event.get("prompt_eval_count") or event.get("tokens_evaluated") or 0
        if choice.get("finish_reason"):
            is_complete = True
            exchange.completion_tokens = len(exchange.times)
    if not is_complete and not exchange.error:
        exchange.error = "the answer ended early: " + raw[:200].decode(errors="replace")
    return exchange


def _parse_event(line: bytes) -> dict[str, Any] | None:
    text = line.removeprefix(b"data:").strip()
    if not text.startswith(b"{"):
        return None
    event = json.loads(text)
    return event if isinstance(event, dict) else None


def _body_lines(raw: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield each line of the body with the number of raw bytes that had to arrive for it."""
    head_end = raw.find(b"\r\n\r\n") + 4
    if head_end < 4:
        return
    is_chunked = b"transfer-encoding: chunked" in raw[:head_end].lower()
    pending = b""
    end = head_end
    for end, piece in _chunks(raw, head_end) if is_chunked else [(len(raw), raw[head_end:])]:
        *lines, pending = (pending + piece).split(b"\n")
        yield from ((end, line) for line in lines)
    if pending:
        yield end, pending


def _chunks(raw: bytes, start: int) -> Iterator[tuple[int, bytes]]:
    while (line_end := raw.find(b"\r\n", start)) > 0:
        size = int(raw[start:line_end].split(b";")[0], 16)
        begin, end = line_end + 2, line_end + 2 + size
        if size == 0 or end > len(raw):
            return
        yield end, raw[begin:end]
        start = end + 2


def plan_from_json(text: str) -> Plan:
    """Return the plan that `json.dumps(asdict(plan))` wrote."""
    fields = json.loads(text)
    clients = [[Request(**request) for request in client] for client in fields.pop("clients")]
    return Plan(clients=clients, **fields)


def main() -> None:
    """Run the plan from standard input."""
    exchanges = asyncio.run(run_plan(plan_from_json(sys.stdin.read())))
    json.dump([asdict(exchange) for exchange in exchanges], sys.stdout)


if __name__ == "__main__":
    main()
