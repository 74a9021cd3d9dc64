"""Known prefixes from one worker to the next, on a real model."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from ollamapy import wire
from ollamapy.worker.llama import Llama
from ollamapy.worker.snapshot import LEAST_TOKENS, Snapshot
from tests.worker.drive import Driver, ticking

pytestmark = pytest.mark.model
START = "Once upon a time there was a little girl named Lily. She loved to play outside in the park with her dog."
NEXT = START + " One day, they saw a big red ball."


class Life:
    """One worker's life: a loaded model, an engine and the snapshot that it begins with."""

    def __init__(self, load: wire.LoadModel) -> None:
        self.load = load
        self.llama = Llama(load, lambda _fraction: None)
        self.driver = Driver(self.llama)
        self.snapshot = Snapshot(load, self.llama, ticking())
        self.restored = self.snapshot.restore(self.driver.engine.cells)

    def answer(self, prompt: str) -> tuple[str, int]:
        """Return the greedy text and how many tokens of the prompt were known."""
        request_id = self.driver.add(prompt)
        self.driver.run()
        return self.driver.text[request_id], self.driver.finished[request_id].cached_tokens

    def end(self) -> int:
        kept = self.snapshot.save(self.driver.engine.cells)
        self.llama.close()
        return kept


Start = Callable[..., Life]


@pytest.fixture
def start(shared_models: Path, tmp_path: Path) -> Start:
    def begin(model: str = "stories260K-f32.gguf", **changes: object) -> Life:
        load = wire.LoadModel(
            str(shared_models / "gguf" / model),
            [],
            n_ctx=2048,
            n_batch=256,
            n_seq_max=32,
            n_threads=1,
            kv_cache_type="f32",
            flash_attention="off",
            state_folder=str(tmp_path / "state"),
            state_bytes=1 << 26,
        )
        return Life(msgspec.structs.replace(load, **changes))

    return begin


def state_file(life: Life) -> Path:
    (path,) = Path(life.load.state_folder).glob("*.state")
    return path


def test_a_text_goes_on_after_a_reload_as_if_there_had_been_none(start: Start) -> None:
    without = start(state_bytes=0)
    without.answer(START)
    expected, cached = without.answer(NEXT)
    assert without.end() == 0
    first = start()
    first.answer(START)
    assert first.end() >= cached > 30
    assert start().answer(NEXT) == (expected, cached)


@pytest.mark.parametrize(("cache_type", "flash_attention"), [("f16", "on"), ("f16", "off"), ("q8_0", "on")])
def test_every_kind_of_cache_is_kept(start: Start, cache_type: str, flash_attention: str) -> None:
    kind = {"kv_cache_type": cache_type, "flash_attention": flash_attention, "model": "stories260K-wide256-f16.gguf"}
    first = start(**kind)
    first.answer(START)
    expected = first.answer(NEXT)
    assert first.end() > 0
    assert start(**kind).answer(NEXT)[0] == expected[0]


def test_several_texts_with_a_common_beginning_are_kept(start: Start) -> None:
    first = start()
    prompts = [START + tail for tail in (" The dog ran.", " Lily ran.", " A bird sang.")]
    expected = [first.answer(prompt)[0] for prompt in prompts]
    tokens = first.driver.engine.cells.tree.n_cells
    assert first.end() == tokens
    second = start()
    assert second.restored == tokens
    assert second.driver.engine.cells_used == tokens
    answers = [second.answer(prompt) for prompt in prompts]
    assert [text for text, _ in answers] == expected
    assert min(cached for _, cached in answers) > 30


def test_what_was_used_last_is_kept_where_there_is_no_room_for_all(start: Start) -> None:
    first = start(state_bytes=1 << 19)
    first.answer(NEXT)
    for number in range(12):
        first.answer(f"{number} {START}")
    assert 0 < first.end() < first.driver.engine.cells.tree.n_cells
    second = start(state_bytes=1 << 19)
    assert second.answer(f"11 {START}")[1] > 30
    assert second.answer(NEXT)[1] < 10
    assert state_file(second).stat().st_size <= 1 << 18


def test_the_least_recently_used_is_still_the_first_to_go_after_a_reload(start: Start) -> None:
    first = start()
    for prompt in ("The dog ran. " + START, "A bird sang. " + START):
        first.answer(prompt)
    first.end()
    second = start()
    second.driver.engine.cells.tree.evict(1)
    assert second.answer("A bird sang. " + START)[1] > 30
    assert second.answer("The dog ran. " + START)[1] < 10


def test_a_pool_that_is_too_small_takes_what_fits(start: Start) -> None:
    first = start()
    for number in range(8):
        first.answer(f"{number} {START}")
    first.end()
    second = start(n_ctx=256)
    assert 0 < second.restored <= 256
    expected = start(state_bytes=0).answer(NEXT)[0]
    assert second.answer(NEXT)[0] == expected


def test_prefixes_that_gave_their_cells_to_others_are_kept_as_well(start: Start) -> None:
    first = start()
    first.driver = Driver(first.llama, parking_bytes=1 << 24)
    openings = ("One day,", "Tim had", "The dog", "Lily saw", "A bird")
    for opening in openings:
        first.answer(f"{opening} {START}")
        while opening != "A bird" and first.driver.engine.cells.park_some(0):
            pass
    assert first.driver.engine.cells_used < 100
    assert first.end() > 250
    second = start()
    second.driver.engine.cells.tree.evict(1)
    assert second.answer(f"Tim had {START}")[1] > 20
    assert second.answer(f"One day, {START}")[1] < 10


def test_nothing_new_is_not_written_again(start: Start) -> None:
    first = start()
    first.answer(START)
    assert first.end() > LEAST_TOKENS
    before = state_file(first).stat()
    second = start()
    assert second.end() == 0
    assert state_file(second).stat().st_ino == before.st_ino


def test_of_a_model_that_was_deleted_meanwhile_nothing_is_kept(start: Start, tmp_path: Path) -> None:
    copy = tmp_path / "copy.gguf"
    first = start()
    shutil.copy(first.load.path, copy)
    life = start(path=str(copy))
    life.answer(START)
    copy.unlink()
    assert life.end() == 0
    assert not Path(life.load.state_folder).exists()


def test_t66_files_belong_to_their_owner_alone(start: Start) -> None:
    life = start()
    life.answer(START)
    life.end()
    folder = Path(life.load.state_folder)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}


def test_t66_the_state_of_another_model_or_setting_is_not_taken(start: Start) -> None:
    life = start()
    life.answer(START)
    life.end()
    path = state_file(life)
    for changes in ({"kv_cache_type": "f16"}, {"model": "stories260K-f16.gguf"}, {"flash_attention": "on"}):
        other = start(**changes)
        assert other.restored == 0
        other.answer(START)
        other.end()
        (theirs,) = set(path.parent.glob("*.state")) - {path}
        theirs.rename(path)  # where ours was
        assert start().restored == 0
    assert start().answer(NEXT)[1] == 0


def test_t66_a_changed_model_file_has_no_state(start: Start, shared_models: Path, tmp_path: Path) -> None:
    copy = tmp_path / "model.gguf"
    copy.write_bytes((shared_models / "gguf/stories260K-f32.gguf").read_bytes())
    life = start(path=str(copy))
    life.answer(START)
    life.end()
    os.utime(copy, (1, 1))
    assert start(path=str(copy)).restored == 0


def test_a_model_whose_memory_cannot_be_cut_keeps_nothing(start: Start) -> None:
    life = start("rwkv7-834k-f32.gguf")
    life.answer(START)
    assert life.end() == 0
    assert not Path(life.load.state_folder).exists()


def test_a_folder_that_cannot_be_made_is_no_failure(start: Start, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    life = start(state_folder=str(tmp_path / "file" / "state"))
    life.answer(START)
    assert life.end() == 0
