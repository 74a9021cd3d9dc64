from __future__ import annotations

import random
from pathlib import Path

import pytest
from gguf import GGUFReader
from llama_cpp import Llama
from wren import words
from wren.strings import random_text

tokenizers = pytest.importorskip("tokenizers", reason="the dependency group wren is not installed")
from wren.tokens import CONTROL, TAGS, fragments_of, tokenizer_of, train_tokenizer  # noqa: E402 - only where it can be imported


@pytest.fixture(scope="module")
def llama(wren_gguf: Path) -> Llama:
    return Llama(str(wren_gguf), vocab_only=True, verbose=False)


def test_llama_cpp_tokenizes_random_strings_as_the_trainer_did(wren_gguf: Path, llama: Llama):
    fields = GGUFReader(wren_gguf).fields
    vocabulary, merges = (fields[f"tokenizer.ggml.{name}"].contents() for name in ("tokens", "merges"))
    tokenizer, rng = tokenizer_of(vocabulary, merges), random.Random(7)
    for _ in range(1000):
        text = random_text(rng)
        ids = tokenizer.encode(text, add_special_tokens=False).ids
        assert ids == llama.tokenize(text.encode(), add_bos=False, special=True)


@pytest.mark.parametrize(
    "pool", [words.NAMES, words.CITIES, words.OBJECTS, words.FOODS], ids=["name", "city", "object", "food"]
)
def test_a_word_that_is_copied_has_the_same_tokens_behind_a_blank_and_in_quotes(llama: Llama, pool):
    def tokens(text: str) -> list[int]:
        return list(llama.tokenize(text.encode(), add_bos=False))

    same = [tokens(f" {word}")[1:] == tokens(word) == tokens(f'"{word}"')[1:-1] for word in pool]
    assert sum(same) > 0.9 * len(same)


def test_control_tokens_stand_for_themselves_in_any_vocabulary():
    learned = train_tokenizer(["Tom is here and there. <think>\n\n</think>" * 30], {"Tom"})
    assert all(len(learned.encode(text, add_special_tokens=False).ids) == 1 for text in CONTROL + TAGS)
    assert learned.decode(learned.encode("Tom is here.").ids) == "Tom is here."


def test_fragments_are_the_tokens_made_of_letters():
    learned = train_tokenizer(["Tom sees Tom. He is 12 <think>" * 30], {"Tom"})
    found = fragments_of(learned)
    assert {"Tom", "sees"} <= set(found)
    assert all(fragment.isalpha() for fragment in found)
