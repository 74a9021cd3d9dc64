import msgspec

from ollamapy.dialects.responses import ResponseEvents, encode, find_item, response_id
from ollamapy.types import CallDelta, Chunk, Final, TokenLogprob, ToolCall

FINAL = Final("stop", prompt_tokens=5, cached_tokens=4, completion_tokens=2)
CALL = ToolCall("f", {"b": 1, "a": "x"}, "call_1", 0)
SECOND = ToolCall("f", {}, "call_2", 1)
PIECES = (CallDelta(0, "call_1", "f", '{"b":1'), CallDelta(0, "call_1", "f", ',"a":"x"}'))


def events_of(writer, *chunks):
    return decoded(event for chunk in chunks for event in writer.events(chunk))


def decoded(events):
    found = []
    for event in events:
        name, data = event.decode().removesuffix("\n\n").split("\n")
        found.append(msgspec.json.decode(data.removeprefix("data: ")))
        assert name == f"event: {found[-1]['type']}"
    return found


def write(*chunks):
    return events_of(ResponseEvents("resp_1", "m", 12, {"tools": []}), *chunks)


def test_events_are_numbered_and_come_in_openais_order():
    events = write(Chunk(thinking="h"), Chunk("a", "m"), Chunk("b", tool_calls=(CALL,)), Chunk(final=FINAL))
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert [event["type"].removeprefix("response.") for event in events] == [
        "created",
        "in_progress",
        "output_item.added",
        "reasoning_summary_part.added",
        "reasoning_summary_text.delta",
        "reasoning_summary_text.delta",
        "reasoning_summary_text.done",
        "reasoning_summary_part.done",
        "output_item.done",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "output_item.added",
        "function_call_arguments.delta",
        "function_call_arguments.done",
        "output_item.done",
        "completed",
    ]


def test_the_last_event_has_the_whole_response():
    *_, last = write(Chunk("a", "hm"), Chunk("b"), Chunk(tool_calls=(CALL,)), Chunk(final=FINAL))
    response = last["response"]
    assert (response["id"], response["object"], response["created_at"], response["status"]) == (
        "resp_1",
        "response",
        12,
        "completed",
    )
    reasoning, message, call = response["output"]
    assert (reasoning["summary"], reasoning["encrypted_content"]) == ([{"type": "summary_text", "text": "hm"}], "hm")
    assert message["content"] == [{"type": "output_text", "text": "ab", "annotations": [], "logprobs": []}]
    assert (call["call_id"], call["name"], call["arguments"]) == ("call_1", "f", '{"b":1,"a":"x"}')
    assert len({item["id"] for item in response["output"]}) == 3
    assert {item["status"] for item in response["output"]} == {"completed"}
    assert response["usage"] == {
        "input_tokens": 5,
        "input_tokens_details": {"cached_tokens": 4},
        "output_tokens": 2,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 7,
    }


def test_an_item_is_empty_when_it_is_added():
    added = [event for event in write(Chunk("a"), Chunk(final=FINAL)) if event["type"].endswith("item.added")]
    assert [(event["output_index"], event["item"]["content"]) for event in added] == [(0, [])]


def test_text_after_a_call_is_an_item_of_its_own():
    *_, last = write(Chunk("a"), Chunk(tool_calls=(CALL, SECOND)), Chunk("b"), Chunk(final=FINAL))
    assert [item["type"] for item in last["response"]["output"]] == [
        "message",
        "function_call",
        "function_call",
        "message",
    ]


def test_an_answer_that_was_cut_is_incomplete():
    *_, last = write(Chunk("a"), Chunk(final=Final("length")))
    assert last["type"] == "response.incomplete"
    assert last["response"]["incomplete_details"] == {"reason": "max_output_tokens"}
    assert last["response"]["output"][0]["status"] == "incomplete"


def test_logprobs_come_with_their_text():
    token = TokenLogprob("a", -1.0, (97,), (TokenLogprob("b", -2.0, (98,)),))
    *events, last = write(Chunk("a", logprobs=(token,)), Chunk(final=FINAL))
    (delta,) = [event for event in events if event["type"].endswith("text.delta")]
    assert delta["logprobs"] == [
        {
            "token": "a",
            "logprob": -1.0,
            "bytes": [97],
            "top_logprobs": [{"token": "b", "logprob": -2.0, "bytes": [98]}],
        }
    ]
    assert last["response"]["output"][0]["content"][0]["logprobs"] == delta["logprobs"]


def test_an_item_is_found_by_its_id_alone():
    writer = ResponseEvents("resp_1", "m", 12, {})
    events_of(writer, Chunk("a", tool_calls=(CALL,)), Chunk(final=FINAL))
    response = encode(writer.response())
    for item in msgspec.json.decode(response)["output"]:
        assert response_id(item["id"]) == "resp_1"
        assert find_item(response, item["id"]) == item
    assert find_item(response, "msg_1_9") is None


def test_a_failure_is_told_as_an_error_and_as_the_end():
    writer = ResponseEvents("resp_1", "m", 12, {})
    begun = events_of(writer, Chunk("a"))
    error, last = decoded(writer.fail("broken", 500))
    assert error["error"] == {"type": "api_error", "code": None, "message": "broken", "param": None}
    assert error["sequence_number"] == len(begun)
    assert (last["type"], last["response"]["status"]) == ("response.failed", "failed")
    assert last["response"]["error"] == {"code": "server_error", "message": "broken"}


def test_a_call_that_is_being_written_is_one_item() -> None:
    events = write(
        Chunk(call_deltas=PIECES[:1]),
        Chunk(call_deltas=PIECES[1:], tool_calls=(CALL,)),
        Chunk(final=FINAL),
    )
    kinds = [event["type"].removeprefix("response.") for event in events]
    assert kinds[2:-1] == [
        "output_item.added", "function_call_arguments.delta", "function_call_arguments.delta",
        "function_call_arguments.done", "output_item.done",
    ]  # fmt: skip
    item = events[-1]["response"]["output"][0]
    assert (item["arguments"], item["status"]) == ('{"b":1,"a":"x"}', "completed")


def test_a_call_is_complete_where_its_last_piece_came_before_its_end() -> None:
    events = write(Chunk(call_deltas=PIECES), Chunk(tool_calls=(CALL,)), Chunk(final=FINAL))
    (done,) = [event for event in events if event["type"] == "response.function_call_arguments.done"]
    assert (done["name"], done["arguments"]) == ("f", '{"b":1,"a":"x"}')
    assert [item["status"] for item in events[-1]["response"]["output"]] == ["completed"]


def test_a_call_that_was_given_up_is_an_incomplete_item() -> None:
    events = write(Chunk(call_deltas=PIECES[:1]), Chunk("text"), Chunk(final=FINAL))
    call, message = events[-1]["response"]["output"]
    assert (call["status"], call["arguments"], message["type"]) == ("incomplete", '{"b":1', "message")
    assert "response.function_call_arguments.done" not in [event["type"] for event in events]
