from dataclasses import replace

import msgspec

from ollamapy.dialects import openai
from ollamapy.dialects.chunks import join_answers, join_chunks
from ollamapy.types import CallDelta, Chunk, Final, TokenLogprob, ToolCall

FINAL = Final("stop", prompt_tokens=5, cached_tokens=4, completion_tokens=2)
USAGE = {
    "prompt_tokens": 5,
    "completion_tokens": 2,
    "total_tokens": 7,
    "prompt_tokens_details": {"cached_tokens": 4},
    "completion_tokens_details": {"accepted_prediction_tokens": 0, "rejected_prediction_tokens": 0},
}
CALL = ToolCall("f", {"b": 1, "a": "x"}, "call_1", 0)


def write(*chunks, include_usage=False):
    writer = openai.EventWriter("chatcmpl-1", "m", 12, include_usage)
    events = [event for chunk in chunks for event in writer.events(chunk)]
    assert all(event.startswith(b"data: ") and event.endswith(b"\n\n") for event in events)
    assert events[-1] == openai.DONE_EVENT
    return [msgspec.json.decode(event[6:]) for event in events[:-1]]


def test_a_stream_tells_the_role_first_and_the_reason_last():
    first, second, last = write(Chunk("a"), Chunk("b"), Chunk(final=FINAL))
    assert first == {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 12,
        "model": "m",
        "system_fingerprint": "fp_ollama",
        "choices": [{"index": 0, "delta": {"role": "assistant", "content": "a"}, "finish_reason": None}],
    }
    assert second["choices"] == [{"index": 0, "delta": {"content": "b"}, "finish_reason": None}]
    assert last["choices"] == [{"index": 0, "delta": {}, "finish_reason": "stop"}]


def test_usage_has_an_event_of_its_own():
    *_, last = write(Chunk("a"), Chunk(final=FINAL), include_usage=True)
    assert (last["choices"], last["usage"]) == ([], USAGE)


def test_thinking_and_content_of_one_piece_are_two_events():
    events = write(Chunk("a", "hm"), Chunk(final=FINAL))
    deltas = [event["choices"][0]["delta"] for event in events]
    assert deltas == [
        {"role": "assistant", "content": "", "reasoning": "hm", "reasoning_content": "hm"},
        {"content": "a"},
        {},
    ]


def test_a_call_that_is_being_written_comes_in_pieces() -> None:
    pieces = [CallDelta(0, "call_1", "f", '{"a":'), CallDelta(0, "call_1", "f", " 1}")]
    whole = ToolCall("f", {"a": 1}, "call_1", 0)
    events = write(
        Chunk(call_deltas=(pieces[0],)),
        Chunk(call_deltas=(pieces[1],), tool_calls=(whole,)),
        Chunk(tool_calls=(ToolCall("g", {}, "call_2", 1),)),
        Chunk(final=FINAL),
    )
    deltas = [event["choices"][0]["delta"] for event in events]
    assert [delta.get("tool_calls") for delta in deltas] == [
        [{"index": 0, "function": {"arguments": '{"a":', "name": "f"}, "id": "call_1", "type": "function"}],
        [{"index": 0, "function": {"arguments": " 1}"}}],
        [{"index": 1, "id": "call_2", "type": "function", "function": {"name": "g", "arguments": "{}"}}],
        None,
    ]
    assert events[-1]["choices"][0]["finish_reason"] == "tool_calls"


def test_a_call_that_was_given_up_is_no_reason_to_call_it() -> None:
    events = write(Chunk(call_deltas=(CallDelta(0, "call_1", "f", "{"),)), Chunk("text"), Chunk(final=FINAL))
    assert events[-1]["choices"][0]["finish_reason"] == "stop"


def test_tool_calls_come_whole_and_change_the_reason():
    events = write(Chunk(tool_calls=(CALL,)), Chunk(final=FINAL))
    call = {"id": "call_1", "index": 0, "function": {"name": "f", "arguments": '{"b":1,"a":"x"}'}, "type": "function"}
    assert events[0]["choices"][0]["delta"]["tool_calls"] == [call]
    assert events[-1]["choices"][0]["finish_reason"] == "tool_calls"


def test_an_empty_answer_still_has_a_role():
    events = write(Chunk(final=Final("length")))
    assert events[0]["choices"] == [{"index": 0, "delta": {"role": "assistant"}, "finish_reason": "length"}]


def test_a_whole_completion_has_message_and_usage():
    joined = join_chunks([Chunk("a", "h"), Chunk("b", "m", (CALL,)), Chunk(final=FINAL)])
    data = msgspec.json.decode(openai.encode(openai.completion("chatcmpl-1", "m", 12, [joined])))
    assert data["object"] == "chat.completion"
    assert data["usage"] == USAGE
    (choice,) = data["choices"]
    assert choice["finish_reason"] == "tool_calls"
    assert (choice["message"]["content"], choice["message"]["reasoning"]) == ("ab", "hm")
    assert choice["message"]["reasoning_content"] == "hm"
    assert choice["message"]["role"] == "assistant"


def test_several_answers_have_an_index_and_one_end():
    pieces = [Chunk("a"), Chunk("b", index=1), Chunk(final=FINAL, index=1), Chunk(final=FINAL)]
    writer = openai.EventWriter("chatcmpl-1", "m", 12, include_usage=True, n=2)
    *events, done = [event for piece in pieces for event in writer.events(piece)]
    assert done == openai.DONE_EVENT
    *choices, last = [msgspec.json.decode(event[6:]) for event in events]
    assert [
        (choice["index"], choice["delta"], choice["finish_reason"]) for event in choices for choice in event["choices"]
    ] == [
        (0, {"role": "assistant", "content": "a"}, None),
        (1, {"role": "assistant", "content": "b"}, None),
        (1, {}, "stop"),
        (0, {}, "stop"),
    ]
    assert last["usage"] == {**USAGE, "completion_tokens": 4, "total_tokens": 9}
    whole = openai.completion("chatcmpl-1", "m", 12, join_answers(pieces))
    data = msgspec.json.decode(openai.encode(whole))
    assert [(c["index"], c["message"]["content"]) for c in data["choices"]] == [(0, "a"), (1, "b")]
    assert data["usage"] == last["usage"]


def test_usage_tells_how_many_guessed_tokens_came_true():
    usage = openai.total_usage([replace(FINAL, draft_tokens=9, accepted_tokens=6), FINAL])
    assert usage.completion_tokens_details == openai.CompletionDetails(6, 3)


def test_logprobs_have_openais_shape():
    token = TokenLogprob("a", -1.0, (97,), (TokenLogprob("b", -2.0, (98,)),))
    data = write(Chunk("a", logprobs=(token,)), Chunk(final=FINAL))[0]
    assert data["choices"][0]["logprobs"] == {
        "content": [
            {
                "token": "a",
                "logprob": -1.0,
                "bytes": [97],
                "top_logprobs": [{"token": "b", "logprob": -2.0, "bytes": [98]}],
            }
        ]
    }


def test_errors_have_openais_shape():
    body = {"error": {"message": "no", "type": "not_found_error", "param": None, "code": "model_not_found"}}
    assert msgspec.to_builtins(openai.error_body("no", 404, "model_not_found")) == body
    assert openai.error_event("no", 404, "model_not_found") == b"data: " + msgspec.json.encode(body) + b"\n\n"
    assert openai.error_body("no", 500).error.type == "api_error"


def test_an_empty_list_of_models_is_a_list():
    assert openai.encode(openai.ModelList([])) == b'{"data":[],"object":"list"}'
