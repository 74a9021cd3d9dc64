from __future__ import annotations

from pathlib import Path

import pytest
from gguf import GGUFReader

from ollamapy.errors import InvalidFileError
from ollamapy.gguf import ArrayRef, check_file, human_number, read_header
from tests import gguf_builder as gb


@pytest.fixture
def write(tmp_path: Path):
    def write(data: bytes) -> Path:
        path = tmp_path / "file.gguf"
        path.write_bytes(data)
        return path

    return write


def test_reads_metadata_and_tensors(write) -> None:
    header = read_header(write(gb.model()))
    assert (header.version, header.architecture, header.kind) == (3, "llama", "model")
    assert (header.context_length, header.embedding_length, header.block_count) == (128, 32, 1)
    assert header.metadata["llama.rope.freq_base"] == 10000.0
    assert header.metadata["tokenizer.ggml.add_bos_token"] is True
    assert [(tensor.name, tensor.shape, tensor.type_name, tensor.offset) for tensor in header.tensors] == [
        ("token_embd.weight", (32, 8), "F32", 0),
        ("output_norm.weight", (32,), "F32", 1024),
    ]
    assert header.data_offset + gb.DATA_BYTES == header.file_size
    assert (header.parameter_count, header.parameter_size, header.file_type) == (288, "288", "F32")
    assert (header.split_count, header.split_number, header.vocabulary_size) == (1, 0, 8)


def test_arrays_are_read_when_asked_for(write) -> None:
    header = read_header(write(gb.model([gb.array("flags", gb.BOOL, [True, False])])))
    tokens = header.metadata["tokenizer.ggml.tokens"]
    assert isinstance(tokens, ArrayRef)
    assert (tokens.type_name, tokens.count) == ("string", 8)
    assert header.array("tokenizer.ggml.tokens") == [f"t{i}" for i in range(8)]
    assert header.array("tokenizer.ggml.tokens", limit=2) == ["t0", "t1"]
    assert header.array("tokenizer.ggml.scores", limit=3) == [0.0, -1.0, -2.0]
    assert header.array("flags") == [True, False]
    assert header.array("general.name") == []
    assert header.array("missing") == []


def test_tokens_that_are_not_utf8_come_back_readable(write) -> None:
    tokens = gb.array("tokenizer.ggml.tokens", gb.STRING, [b"\xff", *["a"] * 7])
    header = check_file(write(gb.model([tokens], without=["tokenizer.ggml.tokens"])))
    assert header.array("tokenizer.ggml.tokens", limit=2) == ["\ufffd", "a"]


def test_an_array_of_a_changed_file_is_refused(write) -> None:
    path = write(gb.model())
    header = read_header(path)
    path.write_bytes(gb.model() + b"x")
    with pytest.raises(InvalidFileError, match="changed"):
        header.array("tokenizer.ggml.tokens")


def test_chat_templates_are_found_by_name(write) -> None:
    header = read_header(write(gb.model([gb.text("tokenizer.chat_template.tool_use", "tools")])))
    assert header.chat_template() == "{{ messages[0].content }}"
    assert header.chat_template("tool_use") == "tools"
    assert header.chat_template("rag") is None


def test_the_type_that_most_elements_have_names_a_file_without_file_type(write) -> None:
    tensors = [gb.tensor("a", (32, 4), 0, type_number=8), gb.tensor("b", (32,), 160)]
    header = check_file(write(gb.model(without=["general.file_type"], tensors=tensors)))
    assert header.file_type == "Q8_0"


@pytest.mark.parametrize(
    ("entries", "kind"),
    [
        ([gb.text("general.architecture", "clip")], "projector"),
        ([gb.text("general.architecture", "x"), gb.text("general.type", "mmproj")], "projector"),
        ([gb.text("general.architecture", "x"), gb.number("x.vision.block_count", 2)], "projector"),
        ([gb.text("general.architecture", "llama"), gb.text("general.type", "adapter")], "adapter"),
        ([gb.text("general.architecture", "llama")], "model"),
    ],
)
def test_knows_what_kind_of_file_it_is(entries: list[bytes], kind: str, write) -> None:
    assert read_header(write(gb.build(entries, [gb.tensor("a", (32,))], bytes(128)))).kind == kind


def test_knows_pooling_vision_and_audio(write) -> None:
    extra = [gb.number(f"llama.{key}", 1) for key in ("pooling_type", "vision.block_count", "audio.block_count")]
    plain, full = read_header(write(gb.model())), read_header(write(gb.model(extra)))
    assert (plain.has_pooling, plain.has_vision, plain.has_audio) == (False, False, False)
    assert (full.has_pooling, full.has_vision, full.has_audio) == (True, True, True)


@pytest.mark.parametrize("first_tensor", ["token_embd.weight", "a.bias"])
@pytest.mark.parametrize("last_array", [False, True])
@pytest.mark.parametrize("token_count", [4096, 5000, 70_000])
def test_the_short_cut_over_long_arrays_finds_what_the_exact_reader_finds(
    token_count: int, last_array: bool, first_tensor: str, write
) -> None:
    lures = ["tokenizer.", "tokenizer.ggml.tokens", "general.name", ".weight", "blk.0.weight", "a" * 300, "", "\0" * 9]
    tokens = gb.array("tokenizer.ggml.tokens", gb.STRING, [*lures, *(f"token {i}" for i in range(token_count))])
    after = [] if last_array else [gb.number("tokenizer.ggml.bos_token_id", 1), gb.number("general.x", 7)]
    entries = [*gb.model_entries(without=["tokenizer.ggml.tokens"]), tokens, *after]
    path = write(gb.build(entries, [gb.tensor(first_tensor, (32,)), gb.tensor("b.weight", (32,), 128)], bytes(256)))
    quick = read_header(path)
    with pytest.raises(InvalidFileError, match="differ in length"):
        check_file(path)
    assert quick.vocabulary_size == token_count + len(lures)
    assert [tensor.name for tensor in quick.tensors] == [first_tensor, "b.weight"]
    assert quick.array("tokenizer.ggml.tokens", limit=9) == [*lures, "token 0"]


def test_agrees_with_the_gguf_package_on_shared_models(shared_models: Path) -> None:
    for name in ("stories260K-wide256-q4_k_m", "rwkv7-834k-f32", "lora-robot-stories260K-f32"):
        path = shared_models / "gguf" / f"{name}.gguf"
        ours, theirs = read_header(path), GGUFReader(path)
        assert [(t.name, t.shape, t.type_name, t.size_bytes, ours.data_offset + t.offset) for t in ours.tensors] == [
            (t.name, tuple(map(int, t.shape)), t.tensor_type.name, int(t.n_bytes), int(t.data_offset))
            for t in theirs.tensors
        ]
        for key, value in ours.metadata.items():
            contents = theirs.fields[key].contents()
            assert (ours.array(key) if isinstance(value, ArrayRef) else value) == contents


def test_reads_large_vocabularies(shared_models: Path) -> None:
    paths = sorted((shared_models / "vocab").glob("*.gguf"))
    assert len(paths) >= 10
    for path in paths:
        header = read_header(path)
        assert header.array("tokenizer.ggml.token_type", limit=1)
        assert header.vocabulary_size >= 30_000


@pytest.mark.parametrize(
    ("number", "shown"),
    [
        (0, "0"), (999, "999"), (26_000, "26K"), (999_999, "1000K"), (1_000_000, "1M"), (134_515_008, "134.52M"),
        (500_550_000, "500.55M"), (1_000_000_000, "1B"), (3_212_749_888, "3.2B"), (28_550_000_000, "28.6B"),
        (1_000_000_000_000, "1000B"),
    ],
)  # fmt: skip
def test_formats_numbers_for_people(number: int, shown: str) -> None:
    assert human_number(number) == shown
