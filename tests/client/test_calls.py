"""The bodies of requests hold what the caller said and nothing else."""

from __future__ import annotations

import json
import math
from typing import Any

from ollamapy.client import calls
from ollamapy.types import (
    ChatRequest,
    CreateRequest,
    EmbedRequest,
    GenerateRequest,
    Message,
    Options,
    RerankRequest,
    ToolCall,
)


def body(call: calls.Call) -> Any:
    return json.loads(call.body)


def test_a_chat_holds_roles_contents_and_what_else_a_message_has() -> None:
    tool_call = ToolCall("weather", {"city": "Oslo"}, id="c1", index=2)
    messages = (Message("user", "hi", images=(b"\x00\x01",)), Message("assistant", "", "hm", tool_calls=(tool_call,)))
    sent = body(calls.chat(ChatRequest("wren", messages, think="low")))
    assert sent == {
        "model": "wren",
        "messages": [
            {"role": "user", "content": "hi", "images": ["AAE="]},
            {
                "role": "assistant",
                "content": "",
                "thinking": "hm",
                "tool_calls": [
                    {"id": "c1", "function": {"index": 2, "name": "weather", "arguments": {"city": "Oslo"}}}
                ],
            },
        ],
        "think": "low",
        "stream": True,
    }


def test_a_prompt_is_sent_without_the_fields_that_were_left_alone() -> None:
    assert body(calls.generate(GenerateRequest("wren", "hi"))) == {"model": "wren", "prompt": "hi", "stream": True}


def test_options_and_switches_are_sent_where_they_differ_from_their_default() -> None:
    request = GenerateRequest(
        "wren",
        "hi",
        raw=True,
        format={"type": "object"},
        options=Options(seed=0, temperature=0.0, stop=("a", "b")),
        think=False,
        truncate=False,
        logprobs=True,
        top_logprobs=3,
    )
    sent = body(calls.generate(request))
    assert sent["raw"] is True
    assert sent["format"] == {"type": "object"}
    assert sent["options"] == {"seed": 0, "temperature": 0.0, "stop": ["a", "b"]}
    assert sent["think"] is False
    assert sent["truncate"] is False
    assert "shift" not in sent
    assert (sent["logprobs"], sent["top_logprobs"]) == (True, 3)


def test_keep_alive_is_sent_in_seconds_and_for_ever_as_minus_one() -> None:
    assert body(calls.generate(GenerateRequest("w", keep_alive_seconds=90.0)))["keep_alive"] == 90
    assert body(calls.generate(GenerateRequest("w", keep_alive_seconds=0.0)))["keep_alive"] == 0
    assert body(calls.generate(GenerateRequest("w", keep_alive_seconds=math.inf)))["keep_alive"] == -1


def test_a_create_keeps_an_empty_template_apart_from_none() -> None:
    sent = body(calls.create(CreateRequest("m", base="wren", template="", parameters=Options(num_ctx=64))))
    assert sent == {"model": "m", "from": "wren", "template": "", "parameters": {"num_ctx": 64}, "stream": True}


def test_unloading_is_an_empty_prompt_that_is_not_kept_alive() -> None:
    call = calls.unload("wren")
    assert (call.method, call.path, call.subject) == ("POST", "/api/generate", "wren")
    assert body(call) == {"model": "wren", "keep_alive": 0, "stream": False}


def test_texts_to_embed_are_sent_with_what_differs_from_the_default() -> None:
    assert body(calls.embed(EmbedRequest("m", ("a", "b")))) == {"model": "m", "input": ["a", "b"]}
    request = EmbedRequest("m", ("a",), truncate=False, dimensions=3, options=Options(num_ctx=64), keep_alive_seconds=0)
    sent = {"model": "m", "input": ["a"], "truncate": False, "dimensions": 3, "options": {"num_ctx": 64}}
    assert body(calls.embed(request)) == {**sent, "keep_alive": 0}


def test_documents_to_rerank_are_sent_with_their_query() -> None:
    assert body(calls.rerank(RerankRequest("m", "q", ("a",)))) == {"model": "m", "query": "q", "documents": ["a"]}
    sent = body(calls.rerank(RerankRequest("m", "q", ("a",), 2, truncate=False, return_documents=True)))
    assert (sent["top_n"], sent["truncate"], sent["return_documents"]) == (2, False, True)
