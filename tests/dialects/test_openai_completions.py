from dataclasses import replace

import msgspec
import pytest

from ollamapy.dialects.chunks import join_answers
from ollamapy.dialects.fields import Fields
from ollamapy.dialects.openai import DONE_EVENT
from ollamapy.dialects.openai_completions import CompletionEvents, completion_request
from ollamapy.dialects.openai_requests import DEFAULTS
from ollamapy.errors import InvalidInputError
from ollamapy.types import Chunk, Final, Options, TokenLogprob

FINAL = Final("stop", prompt_tokens=5, cached_tokens=4, completion_tokens=2)
LOGPROB = TokenLogprob("ab", -1.0, (97, 98), (TokenLogprob("ab", -1.0, (97, 98)), TokenLogprob("c", -2.0, (99,))))


def read(**fields):
    return completion_request(Fields({"model": "m", "prompt": "a", **fields}))


def write(*chunks, **how):
    writer = CompletionEvents("cmpl-1", "m", 12, **how)
    *events, done = [event for chunk in chunks for event in writer.events(chunk)]
    assert done == DONE_EVENT
    return [msgspec.json.decode(event.removeprefix(b"data: ")) for event in events]


def test_a_prompt_is_raw_and_not_streamed():
    request = read(max_tokens=5, stop="x", num_ctx=64)
    (prompt,) = request.prompts
    assert (prompt.prompt, prompt.raw, prompt.logprobs, prompt.echo) == ("a", True, False, False)
    assert prompt.options == Options(num_predict=5, stop=("x",), num_ctx=64)
    assert prompt.fallback == DEFAULTS
    assert (request.model, request.n, request.stream, request.include_usage) == ("m", 1, False, False)


@pytest.mark.parametrize(
    ("prompt", "texts", "tokens"),
    [
        pytest.param("a", ["a"], [()], id="a text"),
        pytest.param(["a", "b"], ["a", "b"], [(), ()], id="texts"),
        pytest.param([1, 2], [""], [(1, 2)], id="tokens"),
        pytest.param([[1, 2], [3]], ["", ""], [(1, 2), (3,)], id="arrays of tokens"),
        pytest.param(None, [""], [()], id="nothing"),
    ],
)
def test_a_prompt_may_be_text_or_tokens_once_or_often(prompt, texts, tokens):
    prompts = read(prompt=prompt).prompts
    assert [one.prompt for one in prompts] == texts
    assert [one.prompt_tokens for one in prompts] == tokens


def test_a_suffix_or_a_wish_brings_the_models_template():
    (prompt,) = read(suffix="z").prompts
    assert (prompt.raw, prompt.suffix) == (False, "z")
    assert read(raw=False).prompts[0].raw is False


def test_logprobs_say_how_many_alternatives():
    assert [(p.logprobs, p.top_logprobs) for p in read(logprobs=0).prompts] == [(True, 0)]
    assert read(logprobs=3).prompts[0].top_logprobs == 3


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        pytest.param({"model": ""}, "model is required", id="model"),
        pytest.param({"prompt": []}, '"prompt" must be', id="no prompt"),
        pytest.param({"prompt": ["a", 1]}, '"prompt" must be', id="mixed prompts"),
        pytest.param({"prompt": [-1]}, '"prompt" must be', id="a negative token"),
        pytest.param({"prompt": [[]]}, '"prompt" must be', id="no tokens"),
        pytest.param({"prompt": [1], "suffix": "x"}, "token ids stand as they are", id="tokens with suffix"),
        pytest.param({"prompt": ["a"] * 65, "n": 2}, "more than 128 answers", id="many"),
        pytest.param({"n": 2, "best_of": 3}, '"best_of" must be equal', id="best_of"),
        pytest.param({"logprobs": 21}, '"logprobs" must be', id="logprobs"),
    ],
)
def test_a_wrong_field_is_named(fields, complaint):
    with pytest.raises(InvalidInputError, match=complaint):
        read(**fields)


def test_a_stream_has_text_reason_and_usage_in_this_order():
    first, second, last = write(Chunk("a"), Chunk(final=FINAL), include_usage=True)
    assert first == {
        "id": "cmpl-1",
        "object": "text_completion",
        "created": 12,
        "model": "m",
        "system_fingerprint": "fp_ollama",
        "choices": [{"text": "a", "index": 0, "finish_reason": None, "logprobs": None}],
    }
    assert second["choices"] == [{"text": "", "index": 0, "finish_reason": "stop", "logprobs": None}]
    assert (last["choices"], last["usage"]["total_tokens"]) == ([], 7)


def test_usage_counts_each_prompt_once():
    pieces = [Chunk("a", index=index) for index in range(4)]
    pieces += [Chunk(final=FINAL, index=index) for index in (2, 0, 3, 1)]
    last = write(*pieces, n=2, n_prompts=2, include_usage=True)[-1]
    assert (last["usage"]["prompt_tokens"], last["usage"]["completion_tokens"]) == (10, 8)
    whole = msgspec.json.decode(CompletionEvents("cmpl-1", "m", 12, 2, 2).whole(join_answers(pieces)))
    assert whole["usage"] == last["usage"]
    assert [choice["index"] for choice in whole["choices"]] == [0, 1, 2, 3]


def test_logprobs_of_an_echoed_prompt_come_first_and_its_first_token_has_none():
    piece = Chunk("xabab", logprobs=(LOGPROB,), prompt_logprobs=(TokenLogprob("x", 0.0, (120,)), LOGPROB))
    whole = msgspec.json.decode(CompletionEvents("cmpl-1", "m", 12).whole([replace(piece, final=FINAL)]))
    assert whole["choices"][0]["logprobs"] == {
        "tokens": ["x", "ab", "ab"],
        "token_logprobs": [None, -1.0, -1.0],
        "top_logprobs": [None, {"ab": -1.0, "c": -2.0}, {"ab": -1.0, "c": -2.0}],
        "text_offset": [0, 1, 3],
    }


def test_logprobs_know_where_their_tokens_stand_in_the_text():
    piece = Chunk("abab", logprobs=(LOGPROB, LOGPROB))
    first, second, _ = write(piece, piece, Chunk(final=FINAL))
    assert first["choices"][0]["logprobs"] == {
        "tokens": ["ab", "ab"],
        "token_logprobs": [-1.0, -1.0],
        "top_logprobs": [{"ab": -1.0, "c": -2.0}] * 2,
        "text_offset": [0, 2],
    }
    assert second["choices"][0]["logprobs"]["text_offset"] == [4, 6]
