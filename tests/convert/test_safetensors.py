from __future__ import annotations

import json
from pathlib import Path

import pytest

from ollamapy.convert.safetensors import read_table, read_tables
from ollamapy.errors import InvalidFileError, OllamapyError


def file_of(table: object, data: bytes = bytes(16), length: int | None = None) -> bytes:
    text = table if isinstance(table, bytes) else json.dumps(table).encode()
    return (len(text) if length is None else length).to_bytes(8, "little") + text + data


def row(dtype: str = "F32", shape: object = (2, 2), offsets: object = (0, 16)) -> dict[str, object]:
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets}


def test_a_table_tells_where_tensors_lie(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    path.write_bytes(file_of({"__metadata__": {"format": "pt"}, "w": row()}))
    (tensor,) = read_table(path)
    assert (tensor.name, tensor.type_name, tensor.shape, tensor.size_bytes) == ("w", "F32", (2, 2), 16)
    assert tensor.offset == path.stat().st_size - 16
    with pytest.raises(InvalidFileError, match="two safetensors files have the tensor 'w'"):
        read_tables([path, path])


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"\2\0\0\0", id="no length"),
        pytest.param(file_of({}, length=2**63), id="a huge length"),
        pytest.param(file_of({}, length=2**64 - 1), id="the largest length"),
        pytest.param(file_of(b"{"), id="no JSON"),
        pytest.param(file_of(b"[" * 100_000), id="nested JSON"),
        pytest.param(file_of(b'{"w": 1}'), id="a number for a row"),
        pytest.param(file_of({"w": row(dtype="F12")}), id="an unknown type"),
        pytest.param(file_of({"w": row(shape=[2, -2])}), id="a negative length"),
        pytest.param(file_of({"w": row(shape=[0])}), id="an empty tensor"),
        pytest.param(file_of({"w": row(shape=[1] * 9)}), id="nine dimensions"),
        pytest.param(file_of({"w": row(shape=[2**40, 2**40])}), id="more than there is"),
        pytest.param(file_of({"w": row(shape=[2.5])}), id="no whole number"),
        pytest.param(file_of({"w": row(offsets=[16, 0])}), id="backwards"),
        pytest.param(file_of({"w": row(offsets=[-16, 0])}), id="before the data"),
        pytest.param(file_of({"w": row(offsets=[0, 8])}), id="another size"),
        pytest.param(file_of({"w": row(offsets=[16, 32])}), id="behind the end"),
        pytest.param(file_of({"w": row(), "v": row()}), id="one over the other"),
        pytest.param(file_of({"w": row()}, bytes(15)), id="cut"),
    ],
)
def test_what_is_no_safetensors_file_is_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "bad.safetensors"
    path.write_bytes(data)
    with pytest.raises(OllamapyError):
        read_table(path)


def test_every_truncation_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "cut.safetensors"
    whole = file_of({"w": row()})
    for size in range(len(whole)):
        path.write_bytes(whole[:size])
        with pytest.raises(InvalidFileError):
            read_table(path)
