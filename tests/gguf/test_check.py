from __future__ import annotations

import os
import random
import socket
import struct
import tracemalloc
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ollamapy.errors import InvalidFileError
from ollamapy.gguf import check_file, read_header
from tests import gguf_builder as gb

MAX_U64 = 2**64 - 1


def with_entry(entry: bytes) -> bytes:
    """The good model with one more entry, or with that entry in place of the one of the same key."""
    key = entry[8 : 8 + struct.unpack_from("<Q", entry)[0]].decode("utf-8", "replace")
    return gb.model([entry], without=[key])


def with_tensors(*tensors: bytes) -> bytes:
    return gb.model(tensors=tensors)


def with_counts(tensor_count: int | None = None, key_count: int | None = None) -> bytes:
    return gb.build(
        gb.model_entries(), gb.TENSORS, bytes(gb.DATA_BYTES), tensor_count=tensor_count, key_count=key_count
    )


def nested_arrays(depth: int) -> bytes:
    return gb.entry("x", gb.ARRAY, struct.pack("<IQ", gb.ARRAY, 1) * depth + struct.pack("<IQB", gb.U8, 1, 0))


HEADER = struct.Struct("<4sIQQ")
MALFORMED = {
    # the first 24 bytes
    "n_kv 2^63": with_counts(key_count=2**63),
    "n_kv one too many": with_counts(key_count=17),
    "n_kv one too few": with_counts(key_count=15),
    "n_kv negative": with_counts(key_count=MAX_U64),
    "n_tensors 2^63": with_counts(tensor_count=2**63),
    "n_tensors one too many": with_counts(tensor_count=3),
    "n_tensors 0": with_counts(tensor_count=0),
    "version 0": gb.build(gb.model_entries(), gb.TENSORS, bytes(gb.DATA_BYTES), version=0),
    "version 1": gb.build(gb.model_entries(), gb.TENSORS, bytes(gb.DATA_BYTES), version=1),
    "version 4": gb.build(gb.model_entries(), gb.TENSORS, bytes(gb.DATA_BYTES), version=4),
    "big-endian": struct.pack(">4sIQQ", b"GGUF", 3, 0, 0) + bytes(64),
    "old GGML": b"lmgg" + bytes(64),
    "zip": b"PK\3\4" + bytes(64),
    # strings
    "key of 2^64-1 bytes": gb.build([struct.pack("<Q", MAX_U64) + b"k"], gb.TENSORS, bytes(2000)),
    "value of 2^64-1 bytes": with_entry(gb.entry("x", gb.STRING, struct.pack("<Q", MAX_U64))),
    "value of 2^63 bytes": with_entry(gb.entry("x", gb.STRING, struct.pack("<Q", 2**63))),
    "token of 2^64-1 bytes": with_entry(
        gb.entry("tokenizer.ggml.tokens", gb.ARRAY, struct.pack("<IQQ", gb.STRING, 1, MAX_U64))
    ),
    "empty key": with_entry(gb.text("", "x")),
    "key twice": gb.model([gb.text("general.name", "again")]),
    "key is not UTF-8": with_entry(gb.entry(b"\xff\xfe", gb.U8, b"\0")),
    "value is not UTF-8": with_entry(gb.text("general.name", b"\xff\xfe")),
    "template is not UTF-8": with_entry(gb.text("tokenizer.chat_template", b"\xc3\x28")),
    "tensor name is not UTF-8": with_tensors(gb.tensor(b"\xff", (32,))),
    # value types
    "value type 13": with_entry(gb.entry("x", 13, bytes(8))),
    "value type -1": with_entry(gb.entry("x", -1, bytes(8))),
    "bool 2": with_entry(gb.entry("x", gb.BOOL, b"\2")),
    "array count 2^63": with_entry(gb.array("x", gb.U8, [], count=2**63)),
    "array count 2^61 of 8 bytes": with_entry(gb.array("x", gb.U64, [], count=2**61)),
    "array of 2^63 strings": with_entry(gb.array("x", gb.STRING, [], count=2**63)),
    "array of unknown type": with_entry(gb.entry("x", gb.ARRAY, struct.pack("<IQ", 99, 1) + bytes(8))),
    "array of arrays": with_entry(nested_arrays(1)),
    "array of arrays, depth 1000": with_entry(nested_arrays(1000)),
    # tensors
    "tensor type unknown": with_tensors(gb.tensor("a", (32,), type_number=99)),
    "tensor type removed": with_tensors(gb.tensor("a", (32,), type_number=4)),
    "tensor type negative": with_tensors(gb.tensor("a", (32,), type_number=-1)),
    "n_dims 0": with_tensors(gb.tensor("a", ())),
    "n_dims 5": with_tensors(gb.tensor("a", (1, 1, 1, 1, 1))),
    "n_dims 0xFFFFFFFF": with_tensors(gb.tensor("a", (32,), dimensions=0xFFFFFFFF)),
    "ne 0": with_tensors(gb.tensor("a", (32, 0))),
    "ne negative": with_tensors(gb.tensor("a", (32, MAX_U64))),
    "ne product overflows": with_tensors(gb.tensor("a", (2**32, 2**32))),
    "ne product wraps to a small number": with_tensors(gb.tensor("a", (2**16, 2**16, 2**16, 2**16 + 1))),
    "ne SIZE_MAX/4": with_tensors(gb.tensor("a", (MAX_U64 // 4,))),
    "row is no whole block": with_tensors(gb.tensor("a", (33,), type_number=8)),
    "empty tensor name": with_tensors(gb.tensor("", (32,))),
    "tensor name of 64 bytes": with_tensors(gb.tensor("n" * 64, (32,))),
    "two tensors of one name": with_tensors(gb.tensor("a", (32,)), gb.tensor("a", (32,), 128)),
    "offset unaligned": with_tensors(gb.tensor("a", (32,), 16)),
    "offset behind the file": with_tensors(gb.tensor("a", (32,), 1 << 20)),
    "offset 2^64-32": with_tensors(gb.tensor("a", (32,), 2**64 - 32)),
    "end behind the file": with_tensors(gb.tensor("a", (32, 10), 0)),
    "tensors overlap": with_tensors(gb.tensor("a", (32,), 0), gb.tensor("b", (32,), 32)),
    "tensors at the same offset": with_tensors(gb.tensor("a", (32,), 0), gb.tensor("b", (32,), 0)),
    "no tensors": with_tensors(),
    # alignment
    "alignment 0": with_entry(gb.number("general.alignment", 0)),
    "alignment 3": with_entry(gb.number("general.alignment", 3)),
    "alignment 2^31": with_entry(gb.number("general.alignment", 2**31)),
    "alignment -32": with_entry(gb.number("general.alignment", -32, gb.I32)),
    "alignment is text": with_entry(gb.text("general.alignment", "32")),
    "alignment is true": with_entry(gb.number("general.alignment", True, gb.BOOL)),
    # what the architecture needs
    "architecture missing": gb.model(without=["general.architecture"]),
    "architecture is a number": with_entry(gb.number("general.architecture", 1)),
    "architecture is empty": with_entry(gb.text("general.architecture", "")),
    "architecture has a slash": with_entry(gb.text("general.architecture", "../x")),
    "block_count missing": gb.model(without=["llama.block_count"]),
    "block_count 0": with_entry(gb.number("llama.block_count", 0)),
    "block_count huge": with_entry(gb.number("llama.block_count", 2**32 - 1)),
    "block_count is text": with_entry(gb.text("llama.block_count", "1")),
    "embedding_length missing": gb.model(without=["llama.embedding_length"]),
    "embedding_length 0": with_entry(gb.number("llama.embedding_length", 0)),
    "embedding_length huge": with_entry(gb.number("llama.embedding_length", 2**31)),
    "context_length 0": with_entry(gb.number("llama.context_length", 0)),
    "context_length huge": with_entry(gb.number("llama.context_length", 2**63, gb.U64)),
    "head_count 0": with_entry(gb.number("llama.attention.head_count", 0)),
    "head_count huge": with_entry(gb.number("llama.attention.head_count", 2**31)),
    "head_count negative": with_entry(gb.number("llama.attention.head_count", -4, gb.I32)),
    "head_count is a float": with_entry(gb.number("llama.attention.head_count", 4.0, gb.F32)),
    "head_count_kv 0": with_entry(gb.number("llama.attention.head_count_kv", 0)),
    "head_count_kv huge": with_entry(gb.number("llama.attention.head_count_kv", 2**31)),
    "head_count_kv all 0": with_entry(gb.array("llama.attention.head_count_kv", gb.U32, [0, 0])),
    "head_count_kv empty": with_entry(gb.array("llama.attention.head_count_kv", gb.U32, [])),
    "head_count_kv of a million layers": with_entry(gb.array("llama.attention.head_count_kv", gb.U8, [1] * 10**6)),
    "head_count_kv of texts": with_entry(gb.array("llama.attention.head_count_kv", gb.STRING, ["1"])),
    "vision head_count 0": with_entry(gb.number("llama.vision.attention.head_count", 0)),
    # the vocabulary
    "tokens are numbers": with_entry(gb.array("tokenizer.ggml.tokens", gb.U8, [1] * 8)),
    "tokens are one text": with_entry(gb.text("tokenizer.ggml.tokens", "a")),
    "no token": with_entry(gb.array("tokenizer.ggml.tokens", gb.STRING, [])),
    "scores are bytes": with_entry(gb.array("tokenizer.ggml.scores", gb.I8, [1] * 8)),
    "scores are doubles": with_entry(gb.array("tokenizer.ggml.scores", gb.F64, [1.0] * 8)),
    "scores too short": with_entry(gb.array("tokenizer.ggml.scores", gb.F32, [1.0] * 7)),
    "scores too long": with_entry(gb.array("tokenizer.ggml.scores", gb.F32, [1.0] * 9)),
    "scores without tokens": gb.model(without=["tokenizer.ggml.tokens"]),
    "token types are bytes": with_entry(gb.array("tokenizer.ggml.token_type", gb.U8, [1] * 8)),
    "token types too short": with_entry(gb.array("tokenizer.ggml.token_type", gb.I32, [1] * 7)),
    "merges are numbers": with_entry(gb.array("tokenizer.ggml.merges", gb.U32, [1])),
    "chat template is a number": with_entry(gb.number("tokenizer.chat_template", 1)),
    "chat template of 2 MiB": with_entry(gb.text("tokenizer.chat_template", "x" * (2 << 20))),
    "named chat template of 2 MiB": with_entry(gb.text("tokenizer.chat_template.rag", "x" * (2 << 20))),
    # split files
    "split.no is not below split.count": gb.model([gb.number("split.no", 2), gb.number("split.count", 2)]),
    "split.count 0": gb.model([gb.number("split.no", 0), gb.number("split.count", 0)]),
    "split.count huge": gb.model([gb.number("split.no", 0), gb.number("split.count", 2**31)]),
    "split.no alone": gb.model([gb.number("split.no", 0)]),
    "split.count is text": gb.model([gb.number("split.no", 0), gb.text("split.count", "2")]),
    "split.tensors.count too small": gb.model(
        [gb.number("split.no", 0), gb.number("split.count", 2), gb.number("split.tensors.count", 1, gb.I32)]
    ),
}


@pytest.fixture
def write(tmp_path: Path):
    def write(data: bytes) -> Path:
        path = tmp_path / "file.gguf"
        path.write_bytes(data)
        return path

    return write


@pytest.mark.parametrize("data", MALFORMED.values(), ids=MALFORMED.keys())
def test_t40_refuses_a_malformed_file(data: bytes, write) -> None:
    with pytest.raises(InvalidFileError) as caught:
        check_file(write(data))
    assert str(write(b"").parent) not in caught.value.message


def test_t40_memory_stays_below_100_mb(tmp_path: Path) -> None:
    huge = {}
    for name, length in (("template of 100 MB", 100 << 20), ("template of 15 MB", 15 << 20)):
        head = gb.build([gb.entry("tokenizer.chat_template", gb.STRING, struct.pack("<Q", length))], alignment=1)
        huge[name] = head
    tracemalloc.start()
    try:
        for data in [*huge.values(), *MALFORMED.values()]:
            path = tmp_path / "file.gguf"
            path.write_bytes(data)
            if data in huge.values():
                os.truncate(path, 120 << 20)
            with pytest.raises(InvalidFileError):
                check_file(path)
            with suppress(InvalidFileError):
                read_header(path)
        assert tracemalloc.get_traced_memory()[1] < 100 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("version 1", "GGUF version 1 is no longer supported; convert the original model again"),
        ("version 4", "update ollamapy"),
        ("big-endian", "convert it with"),
        ("old GGML", "convert the original model"),
        ("zip", "supplied file was not in GGUF format"),
        ("end behind the file", "truncated GGUF: .*; get it again"),
        ("n_tensors 0", "only a vocabulary"),
        ("tensor type unknown", "update ollamapy"),
    ],
)
def test_a_refusal_names_the_remedy(name: str, remedy: str, write) -> None:
    with pytest.raises(InvalidFileError, match=remedy):
        check_file(write(MALFORMED[name]))


@pytest.mark.parametrize("length", [0, 1, 3, 4, 8, 23])
@pytest.mark.parametrize("content", [gb.model(), bytes(32), b"x" * 32], ids=["magic", "zeros", "text"])
def test_t32_refuses_tiny_files(length: int, content: bytes, write) -> None:
    for read in (read_header, check_file):
        with pytest.raises(InvalidFileError):
            read(write(content[:length]))


def test_t40_refuses_every_prefix_of_a_good_file(tmp_path: Path) -> None:
    good = gb.model()
    path = tmp_path / "file.gguf"
    path.write_bytes(good)
    check_file(path)
    for length in range(len(good) - 1, -1, -1):
        os.truncate(path, length)
        with pytest.raises(InvalidFileError):
            check_file(path)


def test_t30_refuses_what_is_no_regular_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "dangling").symlink_to(tmp_path / "nothing")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket"))
        devices = [Path("/dev/zero"), Path("/dev/random"), Path("/proc/self/mem")]
        for path in [tmp_path, *sorted(tmp_path.iterdir()), tmp_path / "missing", *devices]:
            with pytest.raises(InvalidFileError):
                check_file(path)


VALID = {
    "the plain model": gb.model(),
    "version 2": gb.build(gb.model_entries(), gb.TENSORS, bytes(gb.DATA_BYTES), version=2),
    "bytes behind the data": gb.model() + b"more",
    "alignment 64": gb.build(
        [*gb.model_entries(), gb.number("general.alignment", 64)], gb.TENSORS, bytes(gb.DATA_BYTES), alignment=64
    ),
    "tensors in another order": with_tensors(gb.tensor("b", (32,), 128), gb.tensor("a", (32,), 0)),
    "no vocabulary": gb.model(
        without=["tokenizer.ggml.tokens", "tokenizer.ggml.scores", "tokenizer.ggml.token_type", "tokenizer.ggml.model"]
    ),
    "unsigned token types": with_entry(gb.array("tokenizer.ggml.token_type", gb.U32, [1] * 8)),
    "heads per layer, some without": with_entry(gb.array("llama.attention.head_count_kv", gb.U32, [2, 0])),
    "recurrent, without heads": gb.model(
        [gb.number("llama.attention.head_count", 0), gb.number("llama.wkv.head_size", 64)],
        without=["llama.attention.head_count"],
    ),
    "adapter": gb.build(
        [
            gb.text("general.architecture", "llama"),
            gb.text("general.type", "adapter"),
            gb.text("adapter.type", "lora"),
        ],
        [gb.tensor("blk.0.attn_q.weight.lora_a", (32,))],
        bytes(128),
    ),
    "first part of two": gb.model([gb.number("split.no", 0, gb.U16), gb.number("split.count", 2, gb.U16)]),
    "second part of two": gb.build(
        [gb.number("split.no", 1, gb.U16), gb.number("split.count", 2, gb.U16)], [gb.tensor("a", (32,))], bytes(128)
    ),
}


@pytest.mark.parametrize("data", VALID.values(), ids=VALID.keys())
def test_accepts_what_llama_cpp_accepts(data: bytes, write) -> None:
    assert check_file(write(data)).tensors


def test_accepts_the_bundled_model(wren_gguf: Path) -> None:
    header = check_file(wren_gguf)
    assert (header.architecture, header.kind, header.file_type) == ("llama", "model", "Q8_0")


def test_accepts_every_shared_model(shared_models: Path) -> None:
    paths = [*(shared_models / "gguf").glob("*.gguf"), *(shared_models / "gguf" / "split").glob("*.gguf")]
    assert len(paths) >= 15
    for path in paths:
        assert check_file(path).parameter_count > 0


def test_refuses_the_shared_version_1_file_and_vocabularies(shared_models: Path) -> None:
    paths = [*(shared_models / "gguf" / "legacy").glob("*.gguf"), *(shared_models / "vocab").glob("*-llama-*.gguf")]
    assert len(paths) >= 3
    for path in paths:
        with pytest.raises(InvalidFileError):
            check_file(path)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_damaged_file_is_refused_or_read_but_never_breaks_the_reader(write, data: st.DataObject) -> None:
    good = bytearray(gb.model())
    for _ in range(data.draw(st.integers(1, 8))):
        good[data.draw(st.integers(0, len(good) - gb.DATA_BYTES - 1))] = data.draw(st.integers(0, 255))
    del good[data.draw(st.integers(0, len(good))) :]
    for read in (read_header, check_file):
        try:
            header = read(write(bytes(good)))
        except InvalidFileError:
            continue
        assert header.parameter_count >= 0
        for key in header.metadata:
            header.array(key, limit=3)


def test_random_bytes_behind_a_good_preamble_never_break_the_reader(write) -> None:
    generator = random.Random(40)
    for _ in range(300):
        head = HEADER.pack(b"GGUF", 3, generator.randrange(4), generator.randrange(6))
        with pytest.raises(InvalidFileError):
            check_file(write(head + generator.randbytes(generator.randrange(400))))
