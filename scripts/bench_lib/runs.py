"""Runs the scenarios in alternating rounds, and the measurements that are taken once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from itertools import product
from pathlib import Path
from statistics import median

from bench_lib.figures import Figures, measure
from bench_lib.load import Exchange, Plan
from bench_lib.processes import CHECKOUT, ServerError, busy_seconds, current_rss, log_tail, process_tree
from bench_lib.python_server import PythonServer
from bench_lib.scenarios import Prompt, Scenario, make_prompts, make_requests
from bench_lib.targets import (
    TEMPERATURE,
    TOP_K,
    TOP_P,
    LlamaServer,
    NativeTarget,
    Running,
    Setup,
    batched_bench,
    first_token_seconds,
)
from bench_lib.turns import on_own_clock, take_turns

Target = NativeTarget | LlamaServer | PythonServer
Server = tuple[Target, Running]
SETTLE_SECONDS = 1.0
LIST_RUNS = 10
COLD_RUNS = 3
MOST_TRIES = 5
LONGEST_WAIT_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class RoundResult:
    """What one server did in one scenario of one round."""

    scenario: str
    target: str
    round: int
    figures: Figures


@dataclass(frozen=True, slots=True)
class Pace:
    """How servers are asked: again while other programs take a larger share; with `turn_seconds`, all in turns."""

    most_foreign: float
    turn_seconds: float = 0.0


def run_rounds(
    targets: Sequence[Target], setup: Setup, scenarios: Sequence[Scenario], rounds: int, pace: Pace
) -> tuple[list[RoundResult], dict[str, int]]:
    """Run all servers side by side and ask one at a time; return the results and each server's peak RSS in bytes.

    The order of the servers turns round with every round, so that a drift of the machine favours none. An interrupt
    ends the rounds early.
    """
    results: list[RoundResult] = []
    with ExitStack() as stack:
        servers = start_servers(stack, targets, setup)
        for target, server in servers:
            for scenario in warm_ups(scenarios):
                warm_up(target, server, scenario)
        try:
            for number, scenario in product(range(rounds), scenarios):
                order = servers if number % 2 == 0 else servers[::-1]
                groups = [order] if pace.turn_seconds else [[one] for one in order]
                for group in groups:
                    for (target, _), figures in ask_in_peace(group, scenario, number, pace):
                        results.append(RoundResult(scenario.name, target.name, number, figures))
                        log_progress(results[-1])
        except KeyboardInterrupt:
            sys.stderr.write("stopped: what was measured of whole rounds is reported\n")
        return whole_rounds(results, len(targets)), {target.name: server.peak_rss() for target, server in servers}


def start_servers(stack: ExitStack, targets: Sequence[Target], setup: Setup) -> list[Server]:
    """Start the daemons first, and the others on the very file in a daemon's store.

    How the kernel caches a file's pages depends on how the file was written, and the decode's speed on the pages.
    """
    running: dict[str, Running] = {}
    for target in sorted(targets, key=lambda target: not isinstance(target, NativeTarget)):
        given = setup if isinstance(target, NativeTarget) else with_stored_model(setup, targets)
        running[target.name] = stack.enter_context(target.start(given))
    return [(target, running[target.name]) for target in targets]


def with_stored_model(setup: Setup, targets: Sequence[Target]) -> Setup:
    """Return the setup with the copy of the model in a daemon's store, if there is one."""
    copies = [target.stored(setup) for target in targets if isinstance(target, NativeTarget)]
    return replace(setup, model=next((copy for copy in copies if copy.exists()), setup.model))


def whole_rounds(results: Sequence[RoundResult], n_targets: int) -> list[RoundResult]:
    """Return the results of those rounds of a scenario in which every server was asked."""
    count = Counter((result.scenario, result.round) for result in results)
    return [result for result in results if count[result.scenario, result.round] == n_targets]


def warm_ups(scenarios: Sequence[Scenario]) -> list[Scenario]:
    """Return what loads the model and lets every buffer grow to its size; what is held to a schema has tables more."""
    clients = max(scenario.clients for scenario in scenarios)
    kinds = [False, *{True for scenario in scenarios if scenario.is_constrained}]
    return [Scenario("warm-up", clients, num_predict=8, is_constrained=kind) for kind in kinds]


def warm_up(target: Target, server: Running, scenario: Scenario) -> None:
    """Run a scenario whose figures nobody wants; raises ServerError."""
    exchanges = generate_load(target, server, make_prompts(scenario, f"warm-up {target.name}"))
    failed = [exchange.error for exchange in exchanges if exchange.error]
    if failed:
        raise ServerError(f"{target.name} failed while warming up: {failed[0]}; its log:\n{log_tail(server.log)}")


def ask(servers: Sequence[Server], scenario: Scenario, number: int, turn_seconds: float) -> list[Figures]:
    """Run a scenario against one server, or against several that take turns; times count a server's own turns only."""
    prompts = make_prompts(scenario, f"round {number}")
    before = [server.cpu_seconds() for _, server in servers]
    busy_before, own_before, began = busy_seconds(), own_seconds(), time.perf_counter()
    with ThreadPoolExecutor(len(servers)) as pool:
        loads = [pool.submit(generate_load, target, server, prompts) for target, server in servers]
        if turn_seconds:
            turns = take_turns([server.process.pid for _, server in servers], loads, turn_seconds)
            answers = [on_own_clock(load.result(), mine) for load, mine in zip(loads, turns, strict=True)]
        else:
            answers = [load.result() for load in loads]
    cpu = [server.cpu_seconds() - at for (_, server), at in zip(servers, before, strict=True)]
    foreign = busy_seconds() - busy_before - sum(cpu) - (own_seconds() - own_before)
    share = max(foreign / ((time.perf_counter() - began) * (os.cpu_count() or 1)), 0.0)
    first_long = scenario.clients - scenario.long_clients if scenario.long_clients else None
    return [
        measure(exchanges, scenario.num_predict, seconds, share, first_long)
        for exchanges, seconds in zip(answers, cpu, strict=True)
    ]


def ask_in_peace(
    servers: Sequence[Server], scenario: Scenario, number: int, pace: Pace
) -> list[tuple[Server, Figures]]:
    """Run a scenario, again while other programs disturb it, 5 times at most; return the least disturbed run."""
    tries: list[list[Figures]] = []
    for attempt in range(MOST_TRIES):
        wait_for_peace(pace.most_foreign)
        tries.append(ask(servers, scenario, MOST_TRIES * number + attempt, pace.turn_seconds))
        if tries[-1][0].foreign_share <= pace.most_foreign:
            break
    best = min(tries, key=lambda figures: figures[0].foreign_share)
    return list(zip(servers, best, strict=True))


def wait_for_peace(most_foreign: float) -> None:
    """Wait while other programs take more than that share of the processors, a minute at most."""
    deadline = time.monotonic() + LONGEST_WAIT_SECONDS
    while time.monotonic() < deadline:
        before = busy_seconds()
        time.sleep(SETTLE_SECONDS)
        if busy_seconds() - before <= most_foreign * SETTLE_SECONDS * (os.cpu_count() or 1):
            return


def own_seconds() -> float:
    """Return the processor time of this program and of the load generators that have ended."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def generate_load(target: Target, server: Running, prompts: list[list[Prompt]]) -> list[Exchange]:
    """Send the prompts from a process of its own."""
    plan = Plan("127.0.0.1", server.port, make_requests(prompts, target.request))
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("load.py"))],
        input=json.dumps(asdict(plan)), stdout=subprocess.PIPE, check=True, text=True,
    )  # fmt: skip
    return [Exchange(**fields) for fields in json.loads(done.stdout)]


def run_batched_bench(
    program: Path, setup: Setup, scenarios: Sequence[Scenario], prompt_tokens: int = 32
) -> dict[str, float]:
    """Return llama-batched-bench's decode rate for each scenario whose clients all do the same."""
    return {
        scenario.name: batched_bench(program, setup, scenario.clients, prompt_tokens, scenario.num_predict)
        for scenario in scenarios
        if scenario.is_uniform
    }


def engine_cost(setup: Setup, scenario: Scenario) -> dict[str, float]:
    """Return the mean milliseconds of our engine's steps in this scenario: decode, sampling, everything else."""
    plan = {
        "path": str(setup.model),
        "texts": [mine[0].text for mine in make_prompts(scenario, "engine")],
        "max_tokens": scenario.num_predict,
        "threads": setup.threads,
        "n_ctx": setup.context_tokens * scenario.clients,
        "sampling": {"temperature": TEMPERATURE, "top_k": TOP_K, "top_p": TOP_P},
    }
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("engine_probe.py"))],
        input=json.dumps(plan), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True, text=True,
    )  # fmt: skip
    times: dict[str, float] = json.loads(done.stdout)
    return times


def cold_start(target: Target, setup: Setup) -> dict[str, float]:
    """Return the median seconds from the process start to being up and to the first token; file in the page cache."""
    with setup.model.open("rb") as file:
        while file.read(1 << 24):
            pass
    if isinstance(target, NativeTarget):
        with target.start(setup):
            pass
    pairs = [first_token_seconds(target, setup) for _ in range(COLD_RUNS)]
    return {"up_seconds": median(up for up, _ in pairs), "first_token_seconds": median(token for _, token in pairs)}


def idle_figures(target: NativeTarget, setup: Setup) -> dict[str, float]:
    """Return what a daemon without a loaded model uses, and how long `list` takes as a whole process."""
    with target.daemon(setup) as server:
        time.sleep(SETTLE_SECONDS)
        others = process_tree(server.process.pid)[1:]
        figures = {
            "daemon_rss_bytes": current_rss(server.process.pid),
            "other_processes_rss_bytes": sum(current_rss(pid) for pid in others),
        }
        environment = target.environment(setup, server.port)
        times = [list_seconds(target, environment) for _ in range(LIST_RUNS)]
        return {**figures, "list_seconds_median": median(times), "list_seconds_worst": max(times)}


def list_seconds(target: NativeTarget, environment: dict[str, str]) -> float:
    """Return the wall time of the `list` command, from its start to its end."""
    command, everything = [*target.command, "list"], {**os.environ, **environment}
    began = time.perf_counter()
    subprocess.run(command, cwd=CHECKOUT, env=everything, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - began


def log_progress(result: RoundResult) -> None:
    """Tell on standard error what was measured just now."""
    figures = result.figures
    sys.stderr.write(
        f"round {result.round + 1}, {result.scenario:>6}, {result.target:>13}: {figures.tokens_per_second:6.1f} tok/s, "
        f"gap p50 {figures.gap_p50_ms:6.1f} ms, TTFT p50 {figures.ttft_p50_ms:7.0f} ms, failures {figures.failures}, "
        f"others {100 * figures.foreign_share:.0f} %\n"
    )
