"""The chat templates that llama.cpp tests with (the folder names its origin) render whole conversations."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from itertools import product
from pathlib import Path

import pytest
from jinja2.ext import loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment

from ollamapy.errors import TemplateError
from ollamapy.template.control import ControlTokens, Cover
from ollamapy.template.messages import chat_messages
from ollamapy.template.prompt import ChatTemplate, chat_template, render_chat
from ollamapy.template.sandbox import GenerationTag, date_formatter, raise_exception
from ollamapy.template.thinking import think_variables
from ollamapy.types import Message, ToolCall

SYSTEM, USER = Message("system", "Be brief 7391."), Message("user", "Hello there 7391")
ANSWER, NEXT = Message("assistant", "Hi, friend 7391"), Message("user", "Bye now 7391")
CALL = Message("assistant", tool_calls=(ToolCall("get_weather", {"city": "Paris", "days": 1}),))
RESULT = Message("tool", "18 degrees 7391", tool_name="get_weather")
TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "get_weather",
            "description": "Weather of a city",
            "parameters": {
                "type": "object",
                "properties": {
                    "city": {"type": "string", "description": "Name of the city"},
                    "days": {"type": "integer", "description": "How far ahead"},
                },
                "required": ["city"],
            },
        },
    }
]

# Templates that can't do a conversation by their own design, and why.
REFUSES_TOOL_ROLE = {"google-gemma-2-2b-it"}  # raises unless user and assistant alternate
WITHOUT_TOOLS = {  # does not mention tools
    "deepseek-ai-DeepSeek-R1-Distill-Llama-8B",
    "deepseek-ai-DeepSeek-R1-Distill-Qwen-32B",
    "deepseek-ai-DeepSeek-V3.1",
    "fireworks-ai-llama-3-firefunction-v2",  # reads them from variables of its own
    "google-gemma-2-2b-it",
    "llama-cpp-rwkv-world",
    "microsoft-Phi-3.5-mini-instruct",
}
WITHOUT_DEFINITIONS = {"HuggingFaceTB-SmolLM3-3B"}  # reads them from variables of its own
WITHOUT_CALLS = {  # does not mention tool_calls
    "HuggingFaceTB-SmolLM3-3B",
    "LFM2-8B-A1B",
    "LFM2.5-Instruct",
    "ibm-granite-granite-3.3-2B-Instruct",
    "llama-cpp-rwkv-world",
    "microsoft-Phi-3.5-mini-instruct",
}
WITHOUT_RESULTS = {"llama-cpp-rwkv-world", "microsoft-Phi-3.5-mini-instruct"}  # drops messages of other roles


@pytest.fixture(scope="module")
def templates(shared_models: Path) -> dict[str, ChatTemplate]:
    paths = sorted((shared_models / "templates" / "llama.cpp").glob("*.jinja"))
    return {path.stem: chat_template(path.read_text("utf-8"), bos_token="<s>", eos_token="</s>") for path in paths}


def render(template: ChatTemplate, *messages: Message, tools: object = ()) -> str:
    return "".join(segment.text for segment in render_chat(template, messages, tools=tools))  # type: ignore[arg-type]


def reference_environment() -> ImmutableSandboxedEnvironment:
    """Jinja as Hugging Face documents it for chat templates, without bounds."""
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols, GenerationTag]
    )
    environment.filters["tojson"] = lambda value, ensure_ascii=False, indent=None, separators=None, sort_keys=False: (
        json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)
    )
    environment.filters["from_json"] = json.loads
    environment.filters["safe"] = str  # as llama.cpp: Markup would HTML-escape what is added to it
    environment.globals["raise_exception"] = raise_exception
    return environment


def test_there_are_templates(templates: dict[str, ChatTemplate]) -> None:
    assert len(templates) >= 60


def test_system_and_user(templates: dict[str, ChatTemplate]) -> None:
    for name in templates:
        text = render(templates[name], SYSTEM, USER)
        assert text.index(SYSTEM.content) != text.index(USER.content), name


def test_several_turns_in_order(templates: dict[str, ChatTemplate]) -> None:
    for name in templates:
        text = render(templates[name], SYSTEM, USER, ANSWER, NEXT)
        assert SYSTEM.content in text, name
        assert text.index(USER.content) < text.index(ANSWER.content) < text.index(NEXT.content), name


def test_tools(templates: dict[str, ChatTemplate]) -> None:
    for name in templates:
        text = render(templates[name], SYSTEM, USER, tools=TOOLS)
        assert USER.content in text, name
        assert ("Name of the city" in text) == (name not in WITHOUT_TOOLS | WITHOUT_DEFINITIONS), name


def test_tool_calls_and_results(templates: dict[str, ChatTemplate]) -> None:
    for name in templates.keys() - REFUSES_TOOL_ROLE:
        text = render(templates[name], SYSTEM, USER, CALL, RESULT, tools=TOOLS)
        assert USER.content in text, name
        assert ("Paris" in text) == (name not in WITHOUT_CALLS), name
        assert (RESULT.content in text) == (name not in WITHOUT_RESULTS), name
        later = render(templates[name], USER, CALL, RESULT, ANSWER, NEXT, tools=TOOLS)
        assert later.index(ANSWER.content) < later.index(NEXT.content), name


def test_the_exceptions_are_still_exceptions(templates: dict[str, ChatTemplate]) -> None:
    for name in REFUSES_TOOL_ROLE:
        with pytest.raises(TemplateError, match="refuses this chat"):
            render(templates[name], USER, CALL, RESULT)


# Lists that change are allowed by llama.cpp alone, and so are a lazy `map` as JSON and adding what is undefined.
BEYOND_HUGGING_FACE = {
    "Kimi-K2-Instruct",
    "Kimi-K2-Thinking",
    "fireworks-ai-llama-3-firefunction-v2",
    "llama-cpp-deepseek-r1",
}


def test_bounds_change_nothing_in_the_text(templates: dict[str, ChatTemplate]) -> None:
    now, environment, cover = datetime(2025, 3, 5, tzinfo=UTC), reference_environment(), Cover(ControlTokens(()))
    for name in templates.keys() - REFUSES_TOOL_ROLE - BEYOND_HUGGING_FACE:
        template, reference = templates[name], environment.from_string(templates[name].source)
        for chat, think in product(((SYSTEM, USER, ANSWER, NEXT), (USER, CALL, RESULT)), (None, True, False)):
            expected = reference.render(
                messages=chat_messages(chat, template.traits, cover),
                tools=TOOLS,
                bos_token="<s>",
                eos_token="</s>",
                add_generation_prompt=True,
                strftime_now=date_formatter(now),
                date_string=now.strftime("%d %b %Y"),
                **think_variables(think, template.source),
            )
            segments = render_chat(template, chat, tools=TOOLS, think=think, now=now)
            assert "".join(segment.text for segment in segments) == expected, name


LLAMA_3_2 = (
    "<s><|start_header_id|>system<|end_header_id|>\n\n"
    "Cutting Knowledge Date: December 2023\nToday Date: 05 Mar 2025\n\n"
    "Be brief 7391.<|eot_id|><|start_header_id|>user<|end_header_id|>\n\nHello there 7391<|eot_id|>"
    "<|start_header_id|>assistant<|end_header_id|>\n\n"
)
QWEN3 = (
    "<|im_start|>system\nBe brief 7391.<|im_end|>\n<|im_start|>user\nHello there 7391<|im_end|>\n"
    "<|im_start|>assistant\n"
)
GEMMA_2 = "<s><start_of_turn>user\nBe brief 7391.\n\nHello there 7391<end_of_turn>\n<start_of_turn>model\n"
PHI_3 = "<|system|>\nBe brief 7391.<|end|>\n<|user|>\nHello there 7391<|end|>\n<|assistant|>\n"
MISTRAL_NEMO = "<s>[INST]Be brief 7391.\n\nHello there 7391[/INST]"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("Qwen-Qwen3-0.6B", QWEN3),
        ("google-gemma-2-2b-it", GEMMA_2),
        ("microsoft-Phi-3.5-mini-instruct", PHI_3),
        ("mistralai-Mistral-Nemo-Instruct-2407", MISTRAL_NEMO),
    ],
)
def test_exact_prompts(templates: dict[str, ChatTemplate], name: str, text: str) -> None:
    assert render(templates[name], SYSTEM, USER) == text


def test_exact_prompt_with_a_date(templates: dict[str, ChatTemplate]) -> None:
    template = templates["meta-llama-Llama-3.2-3B-Instruct"]
    segments = render_chat(template, (SYSTEM, USER), now=datetime(2025, 3, 5, tzinfo=UTC))
    assert "".join(segment.text for segment in segments) == LLAMA_3_2
