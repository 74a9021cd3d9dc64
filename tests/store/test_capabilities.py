from __future__ import annotations

import pytest

from ollamapy.parsing.choice import choose_template
from ollamapy.store import (
    PROJECTOR_TYPE,
    TEMPLATE_TYPE,
    WEIGHTS_TYPE,
    ModelConfig,
    Store,
    capabilities,
    encode_config,
    load_model,
)
from tests import gguf_builder as gb
from tests.store.conftest import MakeModel

THINKING = "{% if x %}<think>{{ m.thinking }}</think>{% endif %}"
TOOLS = "{% if tools %}{{ tools | tojson }}{% endif %}"


def model_with(template: str | None = None, *extra: bytes) -> bytes:
    entries = [gb.text("tokenizer.chat_template", template)] if template is not None else []
    return gb.model([*entries, *extra], without=["tokenizer.chat_template"])


@pytest.mark.parametrize(
    ("weights", "own_template", "config", "expected"),
    [
        pytest.param(model_with(), None, ModelConfig(), ["completion"], id="no template"),
        pytest.param(model_with("{{ messages }}"), None, ModelConfig(), ["completion"], id="plain Jinja"),
        pytest.param(model_with(TOOLS), None, ModelConfig(), ["completion", "tools"], id="Jinja with tools"),
        pytest.param(model_with(THINKING), None, ModelConfig(), ["completion", "thinking"], id="Jinja with thinking"),
        pytest.param(
            model_with("{{ m.content.split('</think>')[-1] }}"),
            None,
            ModelConfig(),
            ["completion", "thinking"],
            id="Jinja that cuts thinking off",
        ),
        pytest.param(
            model_with("{{ m.content.split('</think>')[-1] + m.reasoning_content }}"),
            None,
            ModelConfig(),
            ["completion"],
            id="Jinja that cuts thinking off but is told it apart",
        ),
        pytest.param(
            model_with(),
            "{{ range .Messages }}{{ .Content }}{{ end }}{{ .Tools }}{{ .Suffix }}",
            ModelConfig(),
            ["completion", "tools", "insert"],
            id="Go template",
        ),
        pytest.param(
            model_with(), "{{ .Prompt }} Not.Tools, no.Suffix", ModelConfig(), ["completion"], id="Go: words alone"
        ),
        pytest.param(
            model_with(TOOLS), "{{ .Prompt }}", ModelConfig(), ["completion", "tools"], id="Jinja offers more than Go"
        ),
        pytest.param(model_with(TOOLS), THINKING, ModelConfig(), ["completion", "thinking"], id="own Jinja template"),
        pytest.param(
            model_with(TOOLS, gb.number("llama.pooling_type", 1)), None, ModelConfig(), ["embedding"], id="embedding"
        ),
        pytest.param(
            model_with(None, gb.number("llama.vision.block_count", 1), gb.number("llama.audio.block_count", 1)),
            None,
            ModelConfig(),
            ["completion", "vision", "audio"],
            id="vision and audio inside",
        ),
        pytest.param(
            model_with(), None, ModelConfig(parser="qwen3-thinking"), ["completion", "tools", "thinking"], id="parser"
        ),
        pytest.param(model_with(), None, ModelConfig(parser="unknown"), ["completion"], id="unknown parser"),
        pytest.param(model_with(), None, ModelConfig(model_family="gptoss"), ["completion", "thinking"], id="gpt-oss"),
        pytest.param(
            model_with(TOOLS),
            None,
            ModelConfig(capabilities=("vision", "completion")),
            ["vision", "completion", "tools"],
            id="config first",
        ),
    ],
)
def test_tells_what_a_model_can_do(
    weights: bytes,
    own_template: str | None,
    config: ModelConfig,
    expected: list[str],
    store: Store,
    make_model: MakeModel,
) -> None:
    layers = [(WEIGHTS_TYPE, weights)] + ([(TEMPLATE_TYPE, own_template.encode())] if own_template else [])
    name = make_model(layers=tuple(layers), config=encode_config(config)).name
    model = load_model(store, name)
    header = model.header()
    template = choose_template(model.template, header.chat_template())
    assert list(capabilities(model, header, template)) == expected


@pytest.mark.parametrize(
    ("projector", "expected"),
    [
        (gb.build([gb.text("general.architecture", "clip")]), ["completion", "vision"]),
        (gb.build([gb.number("clip.has_audio_encoder", True, gb.BOOL)]), ["completion", "vision", "audio"]),
        (
            gb.build([gb.number("clip.has_audio_encoder", True, gb.BOOL), gb.text("clip.projector_type", "gemma3nv")]),
            ["completion", "vision"],
        ),
        (b"damaged", ["completion", "vision"]),
    ],
)
def test_a_projector_adds_vision_and_perhaps_audio(
    projector: bytes, expected: list[str], store: Store, make_model: MakeModel
) -> None:
    name = make_model(layers=((WEIGHTS_TYPE, model_with()), (PROJECTOR_TYPE, projector))).name
    model = load_model(store, name)
    header = model.header()
    template = choose_template(model.template, header.chat_template())
    assert list(capabilities(model, header, template)) == expected
