from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from ollamapy.errors import InvalidFileError
from ollamapy.gguf import check_file, join_headers, names_of_parts, read_header
from tests import gguf_builder as gb


def part(number: int, count: int = 2, total: int = 2, tensors: Sequence[str] | None = None) -> bytes:
    """One part of a split model, with one tensor of its own unless others are named."""
    names = [f"part{number}.weight"] if tensors is None else tensors
    split = [
        gb.number("split.no", number, gb.U16),
        gb.number("split.count", count, gb.U16),
        gb.number("split.tensors.count", total, gb.I32),
    ]
    rows = [gb.tensor(name, (32,), 128 * index) for index, name in enumerate(names)]
    return gb.build([*(gb.model_entries() if number == 0 else []), *split], rows, bytes(128 * len(rows)))


def headers(folder: Path, *parts: bytes) -> list:
    paths = [folder / f"{index}.gguf" for index in range(len(parts))]
    for path, data in zip(paths, parts, strict=True):
        path.write_bytes(data)
    return [check_file(path) for path in paths]


def test_the_parts_of_a_model_have_the_tensors_of_all(tmp_path: Path) -> None:
    joined = join_headers(headers(tmp_path, part(0), part(1)))
    assert [tensor.name for tensor in joined.tensors] == ["part0.weight", "part1.weight"]
    assert (joined.architecture, joined.parameter_count) == ("llama", 64)


def test_the_first_part_may_have_metadata_alone(tmp_path: Path) -> None:
    joined = join_headers(headers(tmp_path, part(0, total=1, tensors=[]), part(1, total=1)))
    assert [tensor.name for tensor in joined.tensors] == ["part1.weight"]


def test_a_whole_file_is_its_own_model(tmp_path: Path) -> None:
    (whole,) = headers(tmp_path, gb.model())
    assert join_headers([whole]) is whole


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        pytest.param([part(0)], "split into 2 files, but those here are the parts 1;", id="one lacks"),
        pytest.param([part(1)], "split into 2 files, but those here are the parts 2;", id="the first lacks"),
        pytest.param([part(0), part(0)], "the parts 1, 1;", id="one is there twice"),
        pytest.param([part(1), part(0)], "the parts 2, 1;", id="out of order"),
        pytest.param([part(0), part(1, count=3)], "split into 2 files", id="of another model"),
        pytest.param([part(0), gb.model()], "not the parts of one model", id="beside a whole one"),
        pytest.param([part(0, total=3), part(1, total=3)], "2 tensors together, the model has 3", id="a tensor lacks"),
        pytest.param([part(0), part(1, tensors=["part0.weight"])], "the same tensor", id="a tensor twice"),
    ],
)
def test_what_is_no_whole_model_is_refused(tmp_path: Path, parts: list[bytes], message: str) -> None:
    with pytest.raises(InvalidFileError, match=message):
        join_headers(headers(tmp_path, *parts))


def test_the_names_of_all_parts_follow_from_one() -> None:
    names = ("a-00001-of-00003.gguf", "a-00002-of-00003.gguf", "a-00003-of-00003.gguf")
    assert {names_of_parts(name) for name in names} == {names}
    assert names_of_parts("a.gguf") == ("a.gguf",)
    assert names_of_parts("a-00004-of-00003.gguf") == ("a-00004-of-00003.gguf",)
    assert names_of_parts("a-00000-of-00000.gguf") == ("a-00000-of-00000.gguf",)


def test_a_real_model_in_parts_is_the_whole_one(shared_models: Path) -> None:
    gguf = shared_models / "gguf"
    joined = join_headers([read_header(path) for path in sorted((gguf / "split").glob("*.gguf"))])
    whole = read_header(gguf / "stories260K-f32.gguf")
    assert {(t.name, t.shape) for t in joined.tensors} == {(t.name, t.shape) for t in whole.tensors}
    assert joined.parameter_count == whole.parameter_count
