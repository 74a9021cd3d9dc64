import msgspec

from ollamapy.dialects import anthropic
from ollamapy.dialects.chunks import join_chunks
from ollamapy.types import CallDelta, Chunk, Final, ToolCall

FINAL = Final("stop", prompt_tokens=5, cached_tokens=4, completion_tokens=2)
USAGE = {"input_tokens": 5, "output_tokens": 2, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0}
CALL = ToolCall("f", {"b": 1, "a": "x"}, "call_1", 0)
SECOND = ToolCall("f", {}, "call_2", 1)
PIECES = (CallDelta(0, "call_1", "f", '{"b":1'), CallDelta(0, "call_1", "f", ',"a":"x"}'))


def write(*chunks, stop_sequences=()):
    writer = anthropic.EventWriter("msg_1", "m", stop_sequences)
    events = []
    for event in (event for chunk in chunks for event in writer.events(chunk)):
        name, data = event.decode().removesuffix("\n\n").split("\n")
        decoded = msgspec.json.decode(data.removeprefix("data: "))
        assert name == f"event: {decoded.pop('type')}"
        events.append((name.removeprefix("event: "), decoded))
    return events


def test_a_stream_tells_the_length_of_the_prompt_first_and_the_reason_last():
    events = write(Chunk(prompt_tokens=5), Chunk("a"), Chunk("b"), Chunk(final=FINAL))
    assert events == [
        (
            "message_start",
            {
                "message": {
                    "type": "message",
                    "id": "msg_1",
                    "model": "m",
                    "content": [],
                    "usage": {**USAGE, "output_tokens": 0},
                    "role": "assistant",
                    "stop_reason": None,
                    "stop_sequence": None,
                }
            },
        ),
        ("ping", {}),
        ("content_block_start", {"index": 0, "content_block": {"type": "text", "text": ""}}),
        ("content_block_delta", {"index": 0, "delta": {"type": "text_delta", "text": "a"}}),
        ("content_block_delta", {"index": 0, "delta": {"type": "text_delta", "text": "b"}}),
        ("content_block_stop", {"index": 0}),
        ("message_delta", {"delta": {"stop_reason": "end_turn", "stop_sequence": None}, "usage": USAGE}),
        ("message_stop", {}),
    ]


def test_each_kind_of_block_is_closed_before_the_next_begins():
    events = write(Chunk(prompt_tokens=5), Chunk("a", "hm"), Chunk(tool_calls=(CALL, SECOND)), Chunk(final=FINAL))
    blocks = [(name.removeprefix("content_block_"), data) for name, data in events if name.startswith("content_block")]
    assert [(name, data["index"]) for name, data in blocks if name != "delta"] == [
        (name, index) for index in range(4) for name in ("start", "stop")
    ]
    assert [data["content_block"]["type"] for name, data in blocks if name == "start"] == [
        "thinking",
        "text",
        "tool_use",
        "tool_use",
    ]
    assert [data["delta"]["type"] for name, data in blocks if name == "delta"] == [
        "thinking_delta",
        "signature_delta",
        "text_delta",
        "input_json_delta",
        "input_json_delta",
    ]
    assert blocks[-5][1]["delta"]["partial_json"] == '{"b":1,"a":"x"}'
    assert events[-2][1]["delta"]["stop_reason"] == "tool_use"


def test_an_empty_answer_has_no_block():
    names = [name for name, _ in write(Chunk(prompt_tokens=5), Chunk(final=Final("length")))]
    assert names == ["message_start", "ping", "message_delta", "message_stop"]


def test_a_whole_message_has_its_blocks_in_order():
    pieces = [Chunk(prompt_tokens=5), Chunk("a", "h"), Chunk("b", "m", (CALL,)), Chunk(final=FINAL)]
    message = anthropic.EventWriter("msg_1", "m").message(join_chunks(pieces))
    data = msgspec.json.decode(anthropic.encode(message))
    assert data["content"] == [
        {"type": "thinking", "thinking": "hm", "signature": anthropic.SIGNATURE},
        {"type": "text", "text": "ab"},
        {"type": "tool_use", "id": "call_1", "name": "f", "input": {"b": 1, "a": "x"}},
    ]
    assert (data["type"], data["role"], data["stop_reason"], data["usage"]) == (
        "message",
        "assistant",
        "tool_use",
        USAGE,
    )


def test_only_a_stop_sequence_of_the_request_is_one():
    stopped = Chunk(final=Final("stop", stop_sequence="END"))
    for asked, reason, sequence in ((("END",), "stop_sequence", "END"), ((), "end_turn", None)):
        *_, (_, delta), _ = write(stopped, stop_sequences=asked)
        assert delta["delta"] == {"stop_reason": reason, "stop_sequence": sequence}
    assert write(Chunk(final=Final("length")))[-2][1]["delta"]["stop_reason"] == "max_tokens"


def test_errors_have_anthropics_shape():
    body = {"type": "error", "error": {"type": "not_found_error", "message": "no"}, "request_id": "req_1"}
    assert msgspec.to_builtins(anthropic.error_body("no", 404, "req_1")) == body
    assert anthropic.error_event("no", 404, "req_1") == b"event: error\ndata: " + msgspec.json.encode(body) + b"\n\n"
    kinds = {status: anthropic.error_body("no", status).error.type for status in (400, 405, 413, 500, 503)}
    assert kinds == {
        400: "invalid_request_error",
        405: "invalid_request_error",
        413: "request_too_large",
        500: "api_error",
        503: "overloaded_error",
    }


def test_a_call_that_is_being_written_is_one_block() -> None:
    events = write(
        Chunk("a", call_deltas=PIECES[:1]),
        Chunk("b", call_deltas=PIECES[1:], tool_calls=(CALL, SECOND)),
        Chunk(final=FINAL),
    )
    shown = [data.get("content_block", data.get("delta", {})) for name, data in events if name.startswith("content")]
    assert [block.get("type") or block.get("stop_reason") for block in shown] == [
        "text", "text_delta", None,
        "tool_use", "input_json_delta", "input_json_delta", None,
        "text", "text_delta", None,
        "tool_use", "input_json_delta", None,
    ]  # fmt: skip
    written = [block["partial_json"] for block in shown if "partial_json" in block]
    assert written == ['{"b":1', ',"a":"x"}', "{}"]
    assert events[-2][1]["delta"]["stop_reason"] == "tool_use"


def test_messages_that_were_left_out_are_told():
    final = Final("stop", prompt_tokens=5, cached_tokens=4, completion_tokens=2, dropped_messages=3)
    (delta,) = [data for name, data in write(Chunk("a"), Chunk(final=final)) if name == "message_delta"]
    assert delta["dropped_messages"] == 3
    whole = anthropic.EventWriter("msg_1", "m", ()).message(join_chunks([Chunk("a"), Chunk(final=final)]))
    assert msgspec.to_builtins(whole)["dropped_messages"] == 3
