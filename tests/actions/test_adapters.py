import pytest

from ollamapy.actions.adapters import find_misfit, shapes_of
from ollamapy.gguf import read_header

MODEL = {"q": (64, 32), "token_embd": (64, 512), "norm": (64,)}


def lora(name, a, b):
    return {f"{name}.lora_a": a, f"{name}.lora_b": b}


@pytest.mark.parametrize("adapter", [lora("q", (64, 8), (8, 32)), lora("token_embd", (8, 512), (8, 64)), {}])
def test_an_adapter_of_the_same_shapes_fits(adapter):
    assert find_misfit(adapter, MODEL) is None


@pytest.mark.parametrize(
    ("adapter", "why"),
    [
        (lora("q", (48, 8), (8, 32)), "q changes 48 x 32 numbers, the model has 64 x 32"),
        (lora("q", (64, 8), (8, 48)), "q changes 64 x 48 numbers, the model has 64 x 32"),
        (lora("q", (64, 8), (4, 32)), "q has factors of unequal rank, 8 and 4"),
        (lora("v", (64, 8), (8, 32)), "v is not in the model"),
        (lora("norm", (64, 8), (8, 64)), "norm is no pair of matrices for a matrix"),
        ({"q.lora_a": (64, 8)}, "q is no pair of matrices for a matrix"),
    ],
)
def test_another_adapter_is_refused_with_the_tensor(adapter, why):
    assert find_misfit(adapter, MODEL) == why


def test_a_real_adapter_fits_its_model_alone(shared_models, wren_gguf):
    adapter = shapes_of(read_header(shared_models / "gguf" / "lora-robot-stories260K-f32.gguf"))
    assert find_misfit(adapter, shapes_of(read_header(shared_models / "gguf" / "stories260K-f32.gguf"))) is None
    assert find_misfit(adapter, shapes_of(read_header(wren_gguf))) is not None
