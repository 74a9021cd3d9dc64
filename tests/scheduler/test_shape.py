from __future__ import annotations

from pathlib import Path

import pytest

from ollamapy.gguf import read_head
from ollamapy.scheduler.shape import LayerShape, shape_of
from tests.gguf_builder import I32, array, build, number, tensor, text

WIDTH, LAYERS = 64, 4


def shape(tmp_path: Path, arch: str, **numbers: int | list[int]):
    """The shape of a model with these numbers, each layer of which has one tensor of 1024 bytes."""
    rows = [tensor("token_embd.weight", (64, 8), 0), tensor("output_norm.weight", (64,), 2048)]
    rows += [tensor(f"blk.{i}.ffn_up.weight", (64, 4), 4096 + 1024 * i) for i in range(LAYERS)]
    known = {
        "embedding_length": WIDTH,
        "block_count": LAYERS,
        "context_length": 512,
        "feed_forward_length": 128,
        **numbers,
    }
    entries = [
        array(f"{arch}.{key.replace('__', '.')}", I32, value)
        if isinstance(value, list)
        else number(f"{arch}.{key.replace('__', '.')}", value)
        for key, value in known.items()
    ]
    path = tmp_path / f"{arch}.gguf"
    path.write_bytes(build([text("general.architecture", arch), *entries], rows))
    return shape_of(read_head(path))


def test_heads_are_grouped_and_weights_belong_to_their_layers(tmp_path: Path) -> None:
    found = shape(tmp_path, "llama", attention__head_count=8, attention__head_count_kv=2)
    assert found.layers == (LayerShape(1024, 16, 16),) * LAYERS
    assert (found.input_bytes, found.output_bytes, found.tied_bytes) == (2048, 256, 2048)
    assert (found.heads, found.attention_values, found.ffn_width, found.context_length) == (8, 64, 128, 512)
    assert not found.is_recurrent


def test_heads_may_have_sizes_of_their_own(tmp_path: Path) -> None:
    sizes = {"attention__key_length": 48, "attention__value_length": 32}
    found = shape(tmp_path, "llama", attention__head_count=2, attention__head_count_kv=1, **sizes)
    assert found.layers[0] == LayerShape(1024, 48, 32)
    assert found.attention_values == 96


def test_each_layer_may_have_its_own_number_of_heads(tmp_path: Path) -> None:
    found = shape(tmp_path, "decilm", attention__head_count=8, attention__head_count_kv=[2, 4, 0, 1])
    assert [layer.key_values for layer in found.layers] == [16, 32, 0, 8]
    assert not found.is_recurrent


def test_latent_attention_keeps_no_values(tmp_path: Path) -> None:
    latent = {"attention__key_length": 576, "attention__value_length": 512, "attention__key_length_mla": 192}
    found = shape(tmp_path, "deepseek2", attention__head_count=16, attention__head_count_kv=1, **latent)
    assert found.layers[0] == LayerShape(1024, 576, 0)


STATE = {"ssm__conv_kernel": 4, "ssm__inner_size": 128, "ssm__state_size": 16, "ssm__group_count": 1}
STATE_VALUES = 3 * (128 + 2 * 16) + 16 * 128


def test_a_purely_recurrent_model_has_states_and_no_cache(tmp_path: Path) -> None:
    found = shape(tmp_path, "mamba2", attention__head_count=0, **STATE)
    assert found.layers == (LayerShape(1024, 0, 0, STATE_VALUES),) * LAYERS
    assert found.is_recurrent
    rwkv = shape(tmp_path, "rwkv7", attention__head_count=0, wkv__head_size=16, token_shift_count=2)
    assert rwkv.layers[0].state_values == 2 * WIDTH + WIDTH * 16


@pytest.mark.parametrize(
    ("arch", "numbers", "kinds"),
    [
        ("jamba", {"attention__head_count_kv": [0, 2, 0, 2]}, "sksk"),
        ("qwen3next", {"attention__head_count_kv": 2}, "sssk"),
        ("qwen3next", {"attention__head_count_kv": 2, "full_attention_interval": 2}, "sksk"),
        ("falcon-h1", {"attention__head_count_kv": 2}, "bbbb"),
    ],
)
def test_hybrid_models_have_both(tmp_path: Path, arch: str, numbers: dict[str, int | list[int]], kinds: str) -> None:
    found = shape(tmp_path, arch, attention__head_count=8, **numbers, **STATE)
    told = {(True, False): "k", (False, True): "s", (True, True): "b"}
    assert "".join(told[bool(layer.key_values), bool(layer.state_values)] for layer in found.layers) == kinds
    assert found.is_recurrent


def test_experts_that_are_used_count(tmp_path: Path) -> None:
    experts = {"expert_count": 64, "expert_used_count": 8, "expert_feed_forward_length": 96}
    assert shape(tmp_path, "qwen3moe", attention__head_count=8, **experts).ffn_width == 8 * 96
