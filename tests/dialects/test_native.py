import math
from datetime import datetime

import msgspec
import pytest

from ollamapy.dialects import native
from ollamapy.types import Chunk, Final, Progress, TokenLogprob, ToolCall

AT = "2026-01-02T03:04:05.000006Z"


def as_json(record):
    return msgspec.json.decode(native.encode(record))


def test_a_piece_of_a_chat_has_ollamas_shape():
    assert as_json(native.chat_record("m", Chunk("hi"), AT)) == {
        "model": "m",
        "created_at": AT,
        "message": {"role": "assistant", "content": "hi"},
        "done": False,
    }


def test_thinking_calls_and_logprobs_appear_where_they_are():
    alternative = TokenLogprob("b", -2.0, (98,))
    chunk = Chunk(
        "", "hm", (ToolCall("f", {"z": 1, "a": 2}, "call_1", 1),), (TokenLogprob("a", -1.0, (97,), (alternative,)),)
    )
    data = as_json(native.chat_record("m", chunk, AT))
    assert data["message"]["thinking"] == "hm"
    assert data["message"]["tool_calls"] == [
        {"function": {"name": "f", "arguments": {"z": 1, "a": 2}, "index": 1}, "id": "call_1"}
    ]
    assert list(data["message"]["tool_calls"][0]["function"]["arguments"]) == ["z", "a"]
    assert data["logprobs"] == [
        {"token": "a", "logprob": -1.0, "bytes": [97], "top_logprobs": [{"token": "b", "logprob": -2.0, "bytes": [98]}]}
    ]


def test_the_last_piece_has_metrics_in_nanoseconds_and_leaves_out_zeros():
    final = Final("length", 5, 3, 7, total_seconds=1.5, load_seconds=0.25, dropped_messages=2, num_ctx=512)
    data = as_json(native.chat_record("m", Chunk(final=final), AT))
    assert data == {
        "model": "m",
        "created_at": AT,
        "message": {"role": "assistant", "content": ""},
        "done": True,
        "done_reason": "length",
        "total_duration": 1_500_000_000,
        "load_duration": 250_000_000,
        "prompt_eval_count": 5,
        "eval_count": 7,
        "cached_tokens": 3,
        "dropped_messages": 2,
        "num_ctx": 512,
    }


def test_a_generated_text_ends_with_its_context():
    data = as_json(native.generate_record("m", Chunk(final=Final("stop", context=(1, 2))), AT))
    assert (data["response"], data["done"], data["context"]) == ("", True, [1, 2])
    assert "context" not in as_json(native.generate_record("m", Chunk(final=Final("stop")), AT))


def test_a_rendered_prompt_is_told_under_debug_info():
    data = as_json(native.generate_record("m", Chunk(rendered="<p>"), AT))
    assert data == {
        "model": "m",
        "created_at": AT,
        "response": "",
        "done": False,
        "_debug_info": {"rendered_template": "<p>", "image_count": 0},
    }


def test_progress_leaves_out_what_a_step_has_not():
    assert as_json(native.progress_record(Progress("success"))) == {"status": "success"}
    assert as_json(native.progress_record(Progress("x", "sha256:1", 10, 5))) == {
        "status": "x",
        "digest": "sha256:1",
        "total": 10,
        "completed": 5,
    }


def test_times_can_be_read_by_pythons_own_parser():
    assert datetime.fromisoformat(native.utc_now()).utcoffset().total_seconds() == 0
    assert datetime.fromisoformat(native.local_time(1e9)).timestamp() == 1e9


def test_for_ever_is_centuries_ahead():
    years = datetime.fromisoformat(native.local_time(math.inf)).year - datetime.fromisoformat(native.utc_now()).year
    assert years > 250


@pytest.mark.parametrize("record", [native.ChatRecord, native.GenerateRecord, native.ShowRecord, native.ListRecord])
def test_records_refuse_an_error_in_their_place(record):
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(b'{"error": "x"}', type=record)
