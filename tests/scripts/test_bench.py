from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import pytest
from bench_lib.figures import measure, percentile, round_ratios, steady_rate
from bench_lib.gpu import find_backend
from bench_lib.load import Exchange, Plan, Request, plan_from_json, read_exchange
from bench_lib.plot import write_plot
from bench_lib.report import format_number, format_ratios, table
from bench_lib.runs import RoundResult, whole_rounds
from bench_lib.scenarios import SCENARIOS, make_prompts
from bench_lib.turns import Turn, on_own_clock, stopped, take_turns

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: x\r\nTransfer-Encoding: chunked\r\n\r\n"


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


def ndjson(**event: object) -> bytes:
    return chunk(json.dumps(event).encode() + b"\n")


@pytest.mark.parametrize(
    ("values", "percent", "expected"),
    [([5.0], 95, 5.0), ([3.0, 1.0, 2.0], 50, 2.0), ([0.0, 10.0], 25, 2.5), ([1.0, 2.0, 3.0, 4.0, 5.0], 100, 5.0)],
)
def test_percentile_interpolates(values: list[float], percent: float, expected: float) -> None:
    assert percentile(values, percent) == expected


def test_percentile_of_nothing_is_not_a_number() -> None:
    assert math.isnan(percentile([], 50))


def test_native_stream_is_read_with_the_time_of_each_piece() -> None:
    last = ndjson(response="", done=True, eval_count=2, prompt_eval_count=7)
    first, second = ndjson(response="a", done=False), ndjson(response="b", done=False)
    exchange = read_exchange(0, 1.0, [(2.0, HEAD + first[:5]), (3.0, first[5:]), (4.0, second + last + b"0\r\n\r\n")])
    assert exchange.times == [3.0, 4.0]
    assert (exchange.completion_tokens, exchange.prompt_tokens, exchange.error) == (2, 7, "")


def test_server_sent_events_are_read() -> None:
    first = chunk(b'data: {"content": "a", "stop": false}\n\n')
    last = chunk(b'data: {"content": "", "stop": true, "tokens_predicted": 1, "tokens_evaluated": 3}\n\n')
    exchange = read_exchange(0, 0.0, [(1.0, HEAD), (2.0, first), (3.0, last)])
    assert (exchange.times, exchange.completion_tokens, exchange.prompt_tokens) == ([2.0], 1, 3)


def test_an_answer_that_breaks_off_is_an_error() -> None:
    exchange = read_exchange(0, 0.0, [(1.0, HEAD + ndjson(response="a", done=False))])
    assert exchange.error.startswith("the answer ended early")


def test_an_error_event_is_an_error() -> None:
    exchange = read_exchange(0, 0.0, [(1.0, HEAD + ndjson(error="no such model"))])
    assert exchange.error == '"no such model"'


def test_figures_count_tokens_and_leave_out_failures() -> None:
    good = Exchange(0, sent=0.0, times=[1.0, 1.1, 1.3], ended=2.0, completion_tokens=3)
    bad = Exchange(1, sent=0.0, error="refused")
    figures = measure([good, bad], num_predict=4)
    assert figures.tokens_per_second == pytest.approx(1.5)
    assert figures.gap_p50_ms == pytest.approx(150)
    assert figures.ttft_p50_ms == pytest.approx(1000)
    assert (figures.failures, figures.short_answers) == (1, 1)


def test_steady_rate_looks_at_the_time_in_which_all_decode() -> None:
    early = Exchange(0, times=[0.0, 1.0, 2.0, 3.0], completion_tokens=4)
    late = Exchange(1, times=[1.0, 2.0, 3.0, 4.0], completion_tokens=4)
    assert steady_rate([early, late]) == pytest.approx(2.0)


def test_ratios_are_taken_round_by_round() -> None:
    slow, fast = (measure([Exchange(0, times=[t], ended=t, completion_tokens=10)], 10) for t in (2.0, 1.0))
    assert round_ratios([slow, fast], [fast, fast], "tokens_per_second") == [0.5, 1.0]


def test_prompts_are_equal_for_every_server_and_new_in_every_round() -> None:
    scenario = SCENARIOS["shared"]
    assert make_prompts(scenario, "1") == make_prompts(scenario, "1")
    first, second = (make_prompts(scenario, seed)[0][0].text.split() for seed in ("1", "2"))
    assert first[:8] != second[:8]
    everyone = {tuple(prompt.text.split()[:600]) for client in make_prompts(scenario, "1") for prompt in client}
    assert len(everyone) == 1


def test_agents_go_on_with_their_prompts() -> None:
    scenario = SCENARIOS["agents"]
    texts = [[prompt.text.split() for prompt in client] for client in make_prompts(scenario, "1")]
    assert {tuple(map(len, client)) for client in texts} == {(200, 240, 280)}
    assert all(later[: len(earlier)] == earlier for client in texts for earlier, later in pairwise(client))
    assert len({tuple(client[0]) for client in texts}) == scenario.clients


def test_plan_survives_its_way_to_the_load_process() -> None:
    text = '{"host": "h", "port": 1, "clients": [[{"path": "/p", "body": "b", "delay_seconds": 0.5}]]}'
    assert plan_from_json(text) == Plan("h", 1, [[Request("/p", "b", 0.5)]])


def test_tables_are_markdown() -> None:
    assert table(["a", "b"], [["1", "2"]]) == ["| a | b |", "| --- | --- |", "| 1 | 2 |"]
    assert format_ratios([1.0, 3.0, 2.0]) == "**2.000** (1.000, 3.000, 2.000)"
    assert [format_number(value) for value in (0.0, 1.234, 123.456, 4321.5, math.nan)] == [
        "0",
        "1.23",
        "123.5",
        "4322",
        "-",
    ]


def test_rounds_that_were_cut_off_are_not_reported() -> None:
    figures = measure([], 1)
    results = [RoundResult("1", target, number, figures) for target, number in (("a", 0), ("b", 0), ("b", 1))]
    assert whole_rounds(results, 2) == results[:2]


def test_openais_events_are_read_one_token_each() -> None:
    texts = [{"choices": [{"text": text, "finish_reason": None}]} for text in ("a", "b")]
    events = [*texts, {"choices": [{"text": "", "finish_reason": "length"}]}]
    pieces = [(float(i + 1), chunk(b"data: " + json.dumps(event).encode() + b"\n\n")) for i, event in enumerate(events)]
    exchange = read_exchange(0, 0.0, [(0.5, HEAD), *pieces, (9.0, chunk(b"data: [DONE]\n\n"))])
    assert (exchange.times, exchange.completion_tokens, exchange.error) == ([1.0, 2.0], 2, "")


def test_gaps_are_told_before_a_long_prompt_and_while_it_is_computed() -> None:
    stream = Exchange(0, sent=0.0, times=[1.0, 1.1, 1.2, 1.6, 2.1, 2.2], ended=2.2)
    long = Exchange(1, sent=1.25, times=[2.15], ended=2.15)
    figures = measure([stream, long], 1, first_long_client=1)
    assert figures.quiet_gap_p95_ms == pytest.approx(100.0)
    assert 400 < figures.prefill_gap_p95_ms <= 500
    assert math.isnan(measure([stream, long], 1).quiet_gap_p95_ms)


def test_a_plot_is_written(tmp_path: Path) -> None:
    figures = {"tokens_per_second": 10.0, "gap_p50_ms": 1.0, "gap_p95_ms": 2.0, "ttft_p50_ms": 3.0, "ttft_p95_ms": 4.0}
    path = tmp_path / "bench.svg"
    write_plot({"ours": {"1": figures, "4": figures}, "theirs": {"1": figures}}, ["1", "4"], {"ours": 1 << 30}, path)
    assert path.read_text().rstrip().endswith("</svg>")
    assert "tokens/s" in path.read_text() or "<path" in path.read_text()


def test_the_constrained_scenario_differs_from_free_text_in_its_schema_alone() -> None:
    (free, *_), (held, *_) = (make_prompts(SCENARIOS[name], "seed") for name in ("4", "json"))
    assert (free[0].num_predict, free[0].schema) == (held[0].num_predict, None)
    assert held[0].schema is not None


@pytest.mark.parametrize(("tools", "backend"), [(["nvidia-smi"], "cuda"), (["rocminfo"], "hip"), ([], "")])
def test_the_backend_is_that_of_the_tools_that_are_there(tools: list[str], backend: str) -> None:
    assert find_backend(lambda tool: tool if tool in tools else None, "Linux") == backend


def test_on_a_mac_it_is_metal() -> None:
    assert find_backend(lambda _tool: None, "Darwin") == "metal"


def test_times_count_the_turns_of_a_server_alone() -> None:
    turns = [Turn(10.0, 12.0), Turn(14.0, 16.0)]
    exchange = Exchange(0, sent=10.5, times=[11.0, 13.0, 14.5], ended=17.0)
    assert on_own_clock([exchange], turns) == [Exchange(0, sent=0.5, times=[1.0, 2.0, 2.5], ended=4.0)]


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="process trees are read from /proc")
def test_servers_run_one_at_a_time_until_their_loads_are_done() -> None:
    work = [sys.executable, "-c", "print(sum(range(2_000_000)), flush=True); input()"]
    servers = [subprocess.Popen(work, stdin=subprocess.PIPE, stdout=subprocess.PIPE) for _ in range(2)]
    pids = [server.pid for server in servers]
    with stopped(pids):
        assert all(os.WIFSTOPPED(os.waitpid(pid, os.WUNTRACED)[1]) for pid in pids)
    with ThreadPoolExecutor(2) as pool:
        loads = [pool.submit(server.stdout.readline) for server in servers]
        turns = take_turns(pids, loads, 0.01)
    assert [load.result() for load in loads] == [b"1999999000000\n"] * 2
    ordered = sorted((turn for mine in turns for turn in mine), key=lambda turn: turn.began)
    assert len(ordered) > 2
    assert all(before.ended <= after.began for before, after in pairwise(ordered))
    for server in servers:
        server.communicate(b"\n", timeout=60)
        assert server.returncode == 0
