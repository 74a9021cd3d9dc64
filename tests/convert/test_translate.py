"""Files in Ollama's own layouts become those that llama.cpp loads, with the same numbers in them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import gguf
import numpy as np
import pytest

from ollamapy import wire
from ollamapy.convert.__main__ import Progress, translate
from ollamapy.convert.layouts import find_layout
from ollamapy.gguf import Header, check_file
from tests.convert.families import FAMILIES, File


@dataclass(frozen=True)
class Case:
    """A family in both layouts, and what was made of the old one."""

    new: File
    old: File
    header: Header
    made: Header
    projector: Path


@pytest.fixture(scope="module", params=sorted(FAMILIES))
def case(request, tmp_path_factory):
    """Each family, translated."""
    folder = tmp_path_factory.mktemp(request.param)
    new, old = FAMILIES[request.param]()
    header = check_file(old.write(folder / "old.gguf"))
    projector = folder / "projector.gguf"
    task = wire.Translate(str(folder / "old.gguf"), str(folder / "made.gguf"), str(projector))
    translate(task, Progress(lambda done, total: None))
    return Case(new, old, header, check_file(folder / "made.gguf"), projector)


def test_the_old_layout_is_recognised_and_the_new_one_is_not(case, tmp_path):
    assert find_layout(case.header) is not None
    assert find_layout(case.made) is None
    assert find_layout(check_file(case.new.write(tmp_path / "new.gguf"))) is None


def test_the_weights_are_those_of_the_new_layout(case):
    made = {tensor.name: np.array(tensor.data) for tensor in gguf.GGUFReader(case.made.path).tensors}
    assert sorted(made) == sorted(case.new.tensors)
    for name, data in case.new.tensors.items():
        assert np.array_equal(made[name].reshape(data.shape), data), name


def test_the_metadata_has_all_of_the_new_layout(case):
    for key, value in case.new.values.items():
        if isinstance(value, list):
            found = case.made.array(key)
            assert len(found) == len(value), key
            assert found == pytest.approx(value) if isinstance(value[0], float) else found == value, key
        else:
            assert case.made.metadata[key] == (pytest.approx(value) if isinstance(value, float) else value), key


def test_nothing_of_the_vision_encoder_is_left_in_the_weights(case):
    assert not any(tensor.name.startswith(("v.", "mm.")) for tensor in case.made.tensors)
    assert not case.made.has_vision
    has_encoder = any(name.startswith("v.") for name in case.old.tensors)
    assert case.projector.exists() is has_encoder
