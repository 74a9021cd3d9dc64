from __future__ import annotations

from gguf.constants import GGML_QUANT_SIZES, GGMLQuantizationType, GGUFValueType, LlamaFileType

from ollamapy.gguf.types import ARRAY, FILE_TYPES, SCALARS, STRING, TENSOR_TYPES


def test_tensor_types_are_those_of_the_gguf_package() -> None:
    theirs = {kind.value: (kind.name, *GGML_QUANT_SIZES[kind]) for kind in GGMLQuantizationType}
    ours = {number: (kind.name, kind.block_elements, kind.block_bytes) for number, kind in TENSOR_TYPES.items()}
    assert {number: theirs[number] for number in ours if number in theirs} == {
        number: row for number, row in ours.items() if number in theirs
    }
    assert set(theirs) <= set(ours)


def test_file_types_are_those_of_the_gguf_package() -> None:
    theirs = {
        kind.value: kind.name.removeprefix("MOSTLY_").removeprefix("ALL_")
        for kind in LlamaFileType
        if kind.name != "GUESSED"
    }
    assert theirs.items() <= FILE_TYPES.items()


def test_value_types_are_those_of_the_gguf_package() -> None:
    ours = {number: name for number, (_, _, name) in SCALARS.items()} | {STRING: "string", ARRAY: "array"}
    assert ours == {kind.value: kind.name.lower() for kind in GGUFValueType}
