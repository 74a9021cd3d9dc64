"""Pictures in the engine, beside what llama.cpp's own helper makes of the same prompt."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from time import monotonic
from typing import Any

import pytest
from PIL import Image

from ollamapy import wire
from ollamapy.errors import InvalidInputError
from ollamapy.worker.engine import Engine
from ollamapy.worker.inputs import read_prompt
from ollamapy.worker.llama import Llama
from ollamapy.worker.pictures import Picture, placeholders_of
from ollamapy.worker.sequence import Sequence
from ollamapy.worker.vision import MOST_PIXELS, Projector, read_pixels
from tests.projector import N_TOKENS, write_projector

pytestmark = pytest.mark.model
BEFORE, AFTER = "<|im_start|>user\n", "\nWhat is this?<|im_end|>\n<|im_start|>assistant\n"


def png(color: str, size: tuple[int, int] = (40, 32)) -> bytes:
    data = io.BytesIO()
    Image.new("RGB", size, color).save(data, "PNG")
    return data.getvalue()


@pytest.fixture(scope="module")
def seeing(wren_gguf: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Llama, Projector]:
    path = tmp_path_factory.mktemp("projector") / "mmproj.gguf"
    write_projector(path, 256)
    llama = Llama(wire.LoadModel(str(wren_gguf), [], 2048, kv_cache_type="f32", flash_attention="off"), lambda _: None)
    return llama, Projector(str(path), llama, uses_gpu=False)


Ask = Callable[..., list[list[int]]]


@pytest.fixture
def ask(seeing: tuple[Llama, Projector]) -> Ask:
    """Asks about pictures, all at once, in an engine of so many cells; returns the token ids of each answer."""
    llama, projector = seeing

    def run(*colors: str, n_tokens: int = 10) -> list[list[int]]:
        for seq_id in range(llama.n_seq_max):
            llama.remove(seq_id)
        sent: list[wire.Message] = []
        engine = Engine(llama, sent.append, monotonic, retina=projector)
        for number, color in enumerate(colors):
            segments = [wire.Segment(BEFORE), wire.Segment("", special=False, image=png(color)), wire.Segment(AFTER)]
            tokens, pictures = read_prompt(llama, segments, projector, add_special=True)
            sampling = wire.Sampling(temperature=0.0, seed=1)
            request = wire.Generate(
                number, [], [], False, sampling, 1024, max_tokens=n_tokens, return_tokens=True, shift=False
            )
            engine.add(request, tokens, None, pictures)
        answers: dict[int, list[int]] = {}
        while engine.is_busy:
            engine.step()
        for step in (message for message in sent if isinstance(message, wire.Step)):
            for output in step.outputs:
                if output.finished is not None:
                    assert output.finished.tokens is not None
                    answers[output.id] = output.finished.tokens[-output.finished.completion_tokens :]
        return [answers[number] for number in range(len(colors))]

    return run


def test_pictures_together_give_what_each_gives_alone(ask: Ask) -> None:
    colors = ("red", "blue", "green", "white", "black", "red")
    alone = [ask(color)[0] for color in colors]
    assert ask(*colors) == alone


def test_a_prompt_has_placeholders_where_the_picture_is(seeing: tuple[Llama, Projector]) -> None:
    llama, projector = seeing
    segments = [wire.Segment("a "), wire.Segment("", special=False, image=png("red")), wire.Segment(" b")]
    tokens, pictures = read_prompt(llama, segments, projector, add_special=False)
    ((start, picture),) = pictures.items()
    assert picture.n_tokens == picture.n_positions == N_TOKENS
    assert tokens[start : start + N_TOKENS] == picture.placeholders
    assert all(token >= 0 for token in tokens[:start] + tokens[start + N_TOKENS :])


def test_the_same_picture_has_the_same_placeholders_and_another_has_others() -> None:
    first, again, other = (placeholders_of(seed, 0, 5) for seed in (b"a", b"a", b"b"))
    assert first == again
    assert not set(first) & set(other)
    assert all(-(1 << 63) <= token < 0 for token in first)


def test_a_model_without_projector_reads_no_pictures(seeing: tuple[Llama, Projector]) -> None:
    with pytest.raises(InvalidInputError, match="reads no pictures"):
        read_prompt(seeing[0], [wire.Segment("", special=False, image=b"x")], None, add_special=False)


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (b"", "no known format"),
        (b"GIF89a", "damaged|no known format"),
        (png("red")[:50], "damaged"),
        (png("red", (1, MOST_PIXELS // 60000 * 60001))[:200], "pixels|damaged"),
    ],
    ids=["empty", "head alone", "truncated", "huge"],
)
def test_what_can_not_be_read_is_refused(data: bytes, complaint: str) -> None:
    with pytest.raises(InvalidInputError, match=complaint):
        read_pixels(data)


@pytest.mark.parametrize(("length", "whole"), [(3, 3), (10, 10), (11, 10), (25, 10), (26, 26), (30, 30)])
def test_a_prefix_ends_before_a_picture_that_it_has_not_whole(length: int, whole: int) -> None:
    def sequence(**more: Any) -> Sequence:
        request = wire.Generate(1, [], [], False, wire.Sampling(), 100)
        return Sequence(request=request, tokens=[0] * 40, sampler=None, text=None, arrived=0.0, max_tokens=1,
                        context=100, n_prompt=40, **more)  # fmt: skip

    pictures = {10: Picture(None, 16, 16, [-1] * 16)}
    assert sequence(pictures=pictures).whole_prefix(length) == whole
    behind = sequence(pictures={10: Picture(None, 16, 4, [-1] * 16)}, n_computed=26)
    assert (behind.position, behind.is_private, behind.n_text) == (14, True, 14)
    assert sequence(pictures=pictures).n_text == 10
