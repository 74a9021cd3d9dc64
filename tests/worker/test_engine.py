"""One engine on a real model: sampling, ends, context, cancellation, sharing."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import llguidance
import pytest

from ollamapy import wire
from ollamapy.errors import InvalidInputError
from ollamapy.worker.budget import TILE_ROWS
from ollamapy.worker.constraint import ConstraintFactory
from ollamapy.worker.engine import CPU_STREAMS
from ollamapy.worker.llama import Llama
from tests.worker.drive import GREEDY, Driver, load_llama

pytestmark = pytest.mark.model

START = "Once upon a time"


def test_greedy_text_is_the_reference_text(driver: Driver, shared_models: Path) -> None:
    expected = json.loads((shared_models / "expected.json").read_text())["stories260K-f32.gguf"]
    ids = {driver.add(case["prompt"], max_tokens=60): case["text"] for case in expected}
    driver.run()
    assert {i: driver.text[i] for i in ids} == ids


def test_requests_share_decode_steps(driver: Driver) -> None:
    ids = {driver.add(text, max_tokens=20) for text in (START, "The dog", "Tim had")}
    driver.run()
    together = [frame for frame in driver.frames if {output.id for output in frame.outputs} == ids]
    assert len(together) >= 18


def test_a_stop_string_ends_the_text_before_it(driver: Driver) -> None:
    request_id = driver.add(START, max_tokens=60, stop=["Lily"])
    driver.run()
    finished = driver.finished[request_id]
    assert (driver.text[request_id], finished.reason, finished.stop) == (
        ", there was a little girl named ",
        "stop",
        "Lily",
    )


def test_max_tokens_ends_with_length(driver: Driver) -> None:
    request_id = driver.add(START, max_tokens=7)
    driver.run()
    assert (driver.finished[request_id].reason, driver.finished[request_id].completion_tokens) == ("length", 7)


def test_no_tokens_wanted_gives_none(driver: Driver) -> None:
    request_id = driver.add(START, max_tokens=0)
    assert driver.finished[request_id].completion_tokens == 0
    assert driver.text[request_id] == ""


def test_a_prompt_that_fills_the_context_is_refused_with_both_numbers(driver: Driver) -> None:
    request_id = driver.add(START * 20, num_ctx=64)
    failed = driver.failed[request_id]
    assert failed.kind == "context_length"
    assert failed.numbers[0] > 64
    assert failed.numbers[1] == 64


@pytest.mark.parametrize("token", [-1, 10**6])
def test_a_token_outside_the_vocabulary_fails_its_own_request_alone(driver: Driver, token: int) -> None:
    other = driver.add(START)
    driver.engine.add(wire.Generate(99, [], [token], False, GREEDY, 512), [1, token])
    driver.run()
    assert driver.failed[99].kind == "invalid"
    assert other in driver.finished


def test_without_shift_the_context_ends_the_answer(driver: Driver) -> None:
    request_id = driver.add(START, num_ctx=40, max_tokens=-1, shift=False)
    driver.run()
    finished = driver.finished[request_id]
    assert finished.reason == "length"
    assert finished.prompt_tokens + finished.completion_tokens == 40


def test_with_shift_the_answer_outlives_the_context_up_to_ten_times(driver: Driver) -> None:
    request_id = driver.add(START, num_ctx=16, max_tokens=-1)
    driver.run()
    finished = driver.finished[request_id]
    assert finished.completion_tokens > 32
    assert finished.reason == "stop" or finished.completion_tokens == 160


def test_an_answer_that_outlives_its_context_lets_newcomers_pass(llama: Llama) -> None:
    driver = Driver(llama, n_parallel=1)
    endless = driver.add(START, num_ctx=16, max_tokens=-1)
    driver.engine.step()
    newcomers = [driver.add(text, num_ctx=64, max_tokens=20) for text in ("The dog", "Tim had")]
    driver.run()
    assert list(driver.finished) == [*newcomers, endless]
    assert driver.finished[endless].completion_tokens > 32


@pytest.mark.parametrize(("n_parallel", "most"), [(0, CPU_STREAMS), (CPU_STREAMS + 8, CPU_STREAMS + 8), (3, 3)])
def test_so_many_requests_run_at_once_and_the_others_follow(shared_models: Path, n_parallel: int, most: int) -> None:
    roomy = load_llama(shared_models / "gguf/stories260K-f32.gguf", n_ctx=16_384)
    driver = Driver(roomy, n_parallel=n_parallel)
    for number in range(CPU_STREAMS + 16):
        driver.add(f"{number} {START}", max_tokens=60)
    driver.run()
    roomy.close()
    assert max(len(frame.outputs) for frame in driver.frames) == most
    assert len(driver.finished) == CPU_STREAMS + 16


@pytest.mark.parametrize(("attends_in_tiles", "most"), [(True, TILE_ROWS - 1), (False, 100)])
def test_very_many_streams_take_turns_where_attention_has_tiles(
    shared_models: Path, attends_in_tiles: bool, most: int
) -> None:
    roomy = load_llama(shared_models / "gguf/stories260K-f32.gguf", n_ctx=16_384, n_seq_max=100)
    roomy.attends_in_tiles = attends_in_tiles
    driver = Driver(roomy, n_parallel=100)
    ids = [driver.add(f"{number} {START}", max_tokens=20) for number in range(100)]
    driver.run()
    roomy.close()
    steps = {i: [n for n, frame in enumerate(driver.frames) if i in {o.id for o in frame.outputs}] for i in ids}
    everybody = max(mine[0] for mine in steps.values())  # has begun by that step
    assert max(len(frame.outputs) for frame in driver.frames[everybody + 1 :]) == most
    assert {driver.finished[i].completion_tokens for i in ids} == {20}
    assert max(b - a for mine in steps.values() for a, b in pairwise(mine)) <= 3


def test_a_cancelled_request_leaves_at_once(driver: Driver) -> None:
    running = driver.add(START, max_tokens=400)
    waiting = driver.add(START + ", there", max_tokens=400)
    driver.engine.step()
    driver.engine.cancel(running)
    driver.engine.cancel(waiting)
    driver.engine.cancel(999)
    assert not driver.engine.is_busy
    assert not driver.finished


def test_a_seed_gives_the_same_text_whatever_else_runs(driver: Driver) -> None:
    sampling = wire.Sampling(seed=7, temperature=1.0)
    alone = driver.answer(START, sampling=sampling)
    ids = [driver.add(START, sampling=sampling), driver.add("The dog"), driver.add(START, sampling=sampling)]
    other = driver.add(START, sampling=wire.Sampling(seed=8, temperature=1.0))
    driver.run()
    assert driver.text[ids[0]] == driver.text[ids[2]] == alone
    assert driver.text[other] != alone


def test_sampling_in_threads_gives_the_same_text(driver: Driver, shared_models: Path) -> None:
    several = Driver(load_llama(shared_models / "gguf/stories260K-f32.gguf", n_threads=2))
    for seed in range(12):
        for each in (driver, several):
            each.add(START, sampling=wire.Sampling(seed=seed, temperature=1.0), max_tokens=20)
    driver.run()
    several.run()
    assert several.text == driver.text
    several.llama.close()


def test_logprobs_belong_to_the_tokens(driver: Driver) -> None:
    request_id = driver.add(START, max_tokens=10, logprobs=True, top_logprobs=3)
    driver.run()
    logprobs = driver.logprobs[request_id]
    assert len(logprobs) == 10
    assert b"".join(entry.token for entry in logprobs).decode() == driver.text[request_id]
    for entry in logprobs:
        assert entry.logprob <= 0
        assert [score for _, score in entry.top] == sorted((score for _, score in entry.top), reverse=True)
        assert entry.top[0] == (entry.token, entry.logprob), "greedy takes the likeliest"


def test_penalties_and_biases_change_the_text(driver: Driver) -> None:
    plain = driver.answer("The dog", max_tokens=60)
    penalised = driver.answer("The dog", max_tokens=60, sampling=wire.Sampling(temperature=0, repeat_penalty=1.8))
    assert plain.count("He liked to play with his ball") > 1 >= penalised.count("He liked to play with his ball")
    (comma,) = driver.llama.tokenize(",", add_special=False, parse_special=False)[-1:]
    assert driver.answer(START).startswith(",")
    assert not driver.answer(START, sampling=wire.Sampling(temperature=0, logit_bias={comma: -100.0})).startswith(",")


def test_a_second_request_computes_only_what_is_new(driver: Driver) -> None:
    first = driver.add(START, max_tokens=30, return_tokens=True)
    driver.run()
    again = driver.add(START + driver.text[first] + " and", max_tokens=5)
    driver.run()
    assert driver.finished[first].cached_tokens == 0
    assert driver.finished[again].cached_tokens >= driver.finished[first].prompt_tokens + 25


def test_requests_that_arrive_together_compute_their_common_prefix_once(driver: Driver) -> None:
    shared = (
        START + ", there was a little girl named Lily. She loved to play outside in the park. One day, she saw a dog. "
    )
    ids = [driver.add(shared + tail, max_tokens=3) for tail in ("The", "Tim", "Mom", "One")]
    driver.run()
    cached = sorted(driver.finished[i].cached_tokens for i in ids)
    assert cached[0] == 0
    assert min(cached[1:]) > 40


def test_prefixes_that_nobody_uses_keep_a_bounded_part_of_the_cells(driver: Driver) -> None:
    for number in range(40):
        driver.add(f"{START} number {number} " + "and so on " * 10, max_tokens=20, num_ctx=100)
    driver.run()
    assert 100 < driver.engine.cells_used <= 2048 // 8 + 100


def test_more_requests_than_the_cells_can_hold_all_finish(shared_models: Path) -> None:
    llama = load_llama(shared_models / "gguf/stories260K-f32.gguf", n_ctx=256, n_batch=64, n_seq_max=8)
    driver = Driver(llama)
    ids = [driver.add(f"{START} number {i}", max_tokens=40, num_ctx=200) for i in range(128)]
    driver.run()
    assert sorted(driver.finished) == ids
    assert not driver.failed
    llama.close()


def test_a_grammar_admits_only_what_it_says(driver: Driver) -> None:
    grammar = llguidance.LLMatcher.grammar_from_regex(r'\{"n": [0-9]{2}\}')
    constraint = ConstraintFactory(driver.llama).build(grammar)
    request_id = driver.add(
        START, max_tokens=40, constraint=constraint, sampling=wire.Sampling(seed=1, temperature=1.5)
    )
    driver.run()
    assert json.loads(driver.text[request_id])["n"] in range(100)
    assert driver.finished[request_id].reason == "stop"


def test_a_grammar_may_ask_for_text_that_is_a_token_of_its_own(wren_gguf: Path) -> None:
    driver = Driver(load_llama(wren_gguf))
    for text in ("a <think> b", "</tool_call>", "<|im_end|>"):
        grammar = json.dumps({"grammars": [{"json_schema": {"const": text}}]})
        constraint = ConstraintFactory(driver.llama).build(grammar)
        assert driver.answer("Hi", max_tokens=40, constraint=constraint) == json.dumps(text)
    driver.llama.close()


def test_a_broken_grammar_is_refused(llama: Llama) -> None:
    with pytest.raises(InvalidInputError, match="format"):
        ConstraintFactory(llama).build("root ::= root")


CYCLES = ['{"$ref":"#"}', '{"$ref":"#/$defs/a","$defs":{"a":{"$ref":"#/$defs/b"},"b":{"$ref":"#/$defs/a"}}}']


@pytest.mark.parametrize("schema", CYCLES)
def test_a_schema_that_allows_nothing_is_refused(llama: Llama, schema: str) -> None:
    with pytest.raises(InvalidInputError, match="allows no text at all"):
        ConstraintFactory(llama).build(llguidance.LLMatcher.grammar_from_json_schema(schema))


def test_t61_a_schema_of_too_many_properties_is_refused(llama: Llama) -> None:
    schema = {"type": "object", "properties": {f"k{i}": {"type": "string"} for i in range(8000)}}
    with pytest.raises(InvalidInputError, match="too big"):
        ConstraintFactory(llama).build(llguidance.LLMatcher.grammar_from_json_schema(json.dumps(schema)))


def test_a_grammar_that_becomes_too_complex_is_an_error_and_no_end(driver: Driver) -> None:
    schema = '{"type": "string", "pattern": "^((a{1,1000}){1,1000}){1,1000}$"}'
    constraint = ConstraintFactory(driver.llama).build(llguidance.LLMatcher.grammar_from_json_schema(schema))
    sampling = wire.Sampling(seed=3, temperature=1.5)
    request_id = driver.add(START, max_tokens=400, constraint=constraint, sampling=sampling)
    other = driver.add("The dog", max_tokens=30)
    driver.run()
    assert other in driver.finished
    assert driver.failed[request_id].kind == "invalid"
    assert "too complex" in driver.failed[request_id].error


def test_a_penalty_looks_back_no_further_than_the_context(driver: Driver) -> None:
    sampling = wire.Sampling(temperature=0, repeat_penalty=1.3, repeat_last_n=2**31 - 1)
    whole = wire.Sampling(temperature=0, repeat_penalty=1.3, repeat_last_n=-1)
    assert driver.answer("The dog", sampling=sampling) == driver.answer("The dog", sampling=whole)


def test_a_context_smaller_than_the_number_of_sequences_works(shared_models: Path) -> None:
    llama = load_llama(shared_models / "gguf/stories260K-f32.gguf", n_ctx=5, n_seq_max=256)
    driver = Driver(llama)
    request_id = driver.add("a", num_ctx=5, max_tokens=6)
    driver.run()
    assert request_id in driver.finished
    llama.close()


def test_a_recurrent_model_answers_without_sharing(shared_models: Path) -> None:
    llama = load_llama(shared_models / "gguf/rwkv7-834k-f32.gguf", n_ctx=512)
    driver = Driver(llama)
    assert driver.engine.cells.tree is None
    alone = driver.answer("in the", max_tokens=12)
    ids = [driver.add("in the", max_tokens=12) for _ in range(3)]
    driver.run()
    assert {driver.text[i] for i in ids} == {alone}
    assert driver.answer("in the", max_tokens=12, sampling=GREEDY) == alone
    llama.close()


SAMPLERS = {
    "dry": {"dry_multiplier": 2.0, "dry_allowed_length": 1},
    "xtc": {"temperature": 1.0, "seed": 3, "xtc_probability": 1.0, "xtc_threshold": 0.05},
    "top_n_sigma": {"temperature": 1.0, "seed": 3, "top_n_sigma": 0.5},
    "typical": {"temperature": 1.0, "seed": 3, "typical_p": 0.2},
    "mirostat": {"temperature": 1.0, "seed": 3, "mirostat": 1, "mirostat_tau": 2.0},
    "mirostat v2": {"temperature": 1.0, "seed": 3, "mirostat": 2, "mirostat_tau": 2.0},
}


@pytest.mark.parametrize("settings", SAMPLERS.values(), ids=list(SAMPLERS))
def test_each_sampler_acts_and_is_reproducible(driver: Driver, settings: dict[str, object]) -> None:
    plain = {k: v for k, v in settings.items() if k in ("temperature", "seed")} or {"temperature": 0.0}
    sampling = wire.Sampling(**{"temperature": 0.0, **settings})  # type: ignore[arg-type]
    text = driver.answer("The dog", max_tokens=60, sampling=sampling)
    assert text == driver.answer("The dog", max_tokens=60, sampling=sampling)
    assert text != driver.answer("The dog", max_tokens=60, sampling=wire.Sampling(**plain))  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["stories260K-f32", "babyllama361-f16", "babyllama105-f16", "rwkv7-834k-f32", "wren"])
def test_all_control_tokens_are_found(shared_models: Path, wren_gguf: Path, name: str) -> None:
    llama = load_llama(wren_gguf if name == "wren" else shared_models / f"gguf/{name}.gguf", n_ctx=256, f32=False)
    silent = {token for token in range(llama.n_vocab) if llama.piece(token) and not llama.spoken(token)}
    texts = [llama.token_text(token) for token in sorted(silent)]
    assert set(llama.control_tokens()) <= set(texts)
    assert set(texts) - set(llama.control_tokens()) <= {"<unk>", "[UNK]"}
    llama.close()


def test_control_tokens_are_silent_unless_wanted(wren_gguf: Path) -> None:
    llama = load_llama(wren_gguf, f32=False)
    driver = Driver(llama)
    (control,) = llama.control_token("<|im_start|>")
    forced = wire.Sampling(temperature=0, logit_bias={control: 1000.0})
    assert driver.answer("Hello", max_tokens=3, sampling=forced) == ""
    assert driver.answer("Hello", max_tokens=3, sampling=forced, visible=["<|im_start|>"]) == "<|im_start|>" * 3
    llama.close()


def test_a_batch_smaller_than_the_number_of_sequences_grows_to_it(shared_models: Path) -> None:
    llama = load_llama(shared_models / "gguf/stories260K-f32.gguf", n_ctx=256, n_batch=1, n_seq_max=8)
    assert (llama.n_batch, llama.n_seq_max) == (8, 8)
    llama.close()
