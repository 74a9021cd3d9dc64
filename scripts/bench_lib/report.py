"""Writes what was measured as JSON and as Markdown, each figure with how it was taken."""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from statistics import median

from bench_lib.figures import Figures, median_figures, round_ratios
from bench_lib.plot import write_plot
from bench_lib.runs import RoundResult
from bench_lib.scenarios import Scenario
from bench_lib.targets import TEMPERATURE, TOP_K, TOP_P, Setup

FIGURE_TITLES = {
    "tokens_per_second": "tokens/s, all clients, from first request to last token",
    "steady_tokens_per_second": "tokens/s while all clients decode",
    "gap_p50_ms": "gap between tokens, p50, ms",
    "gap_p95_ms": "gap between tokens, p95, ms",
    "ttft_p50_ms": "time to first token, p50, ms",
    "ttft_p95_ms": "time to first token, p95, ms",
    "quiet_gap_p95_ms": "gap between tokens, p95, ms, before the long prompt",
    "prefill_gap_p95_ms": "gap between tokens, p95, ms, while it is computed",
    "cpu_seconds": "processor seconds",
    "foreign_share": "share of the processors that other programs took",
    "short_answers": "answers shorter than asked for",
    "failures": "failed requests",
}
NO_RATIO = frozenset({"foreign_share", "short_answers", "failures"})


@dataclass(frozen=True, slots=True)
class Report:
    """All that one run of the benchmark found. Sizes are bytes."""

    command: str
    setup: Setup
    scenarios: Sequence[Scenario]
    how: Mapping[str, str]
    results: Sequence[RoundResult] = ()
    peak_rss: Mapping[str, int] = field(default_factory=dict)
    batched_bench: Mapping[str, float] = field(default_factory=dict)
    cold_starts: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    idle: Mapping[str, float] = field(default_factory=dict)
    engine: Mapping[str, Mapping[str, float]] = field(default_factory=dict)


def machine() -> dict[str, str]:
    """Return what the figures depend on."""
    return {
        "date": time.strftime("%Y-%m-%d"),
        "processor": processor_name(),
        "cores": str(os.cpu_count()),
        "load before": f"{os.getloadavg()[0]:.2f}",
        "system": f"{platform.system()} {platform.release()}",
        "Python": platform.python_version(),
        "llama-cpp-python": version("llama-cpp-python"),
    }


def processor_name() -> str:
    """Return the processor's name."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def write_report(report: Report, machine_facts: Mapping[str, str], folder: Path) -> str:
    """Write bench.json and bench.md into the folder; return the Markdown."""
    text = to_markdown(report, machine_facts)
    content = {"machine": machine_facts, **asdict(report)}
    (folder / "bench.json").write_text(json.dumps(content, indent=1, default=str) + "\n")
    (folder / "bench.md").write_text(text)
    medians = {
        name: {
            scenario.name: median_figures(rounds_by_target(report.results, scenario.name)[name])
            for scenario in report.scenarios
            if name in rounds_by_target(report.results, scenario.name)
        }
        for name in report.how
    }
    write_plot(medians, [scenario.name for scenario in report.scenarios], report.peak_rss, folder / "bench.svg")
    return text


def to_markdown(report: Report, machine_facts: Mapping[str, str]) -> str:
    """Return the whole report as Markdown."""
    setup = report.setup
    lines = ["# Benchmark", "", *(f"- {name}: {value}" for name, value in machine_facts.items())]
    lines += [
        f"- command: `{report.command}`",
        f"- model: {setup.model.name}, {setup.model.stat().st_size / 1e6:.0f} MB",
        f"- {setup.threads} threads, {setup.slots} requests at once, {setup.context_tokens} tokens of context each",
        f"- temperature {TEMPERATURE}, top_k {TOP_K}, top_p {TOP_P}; prompts are new in every round",
        *(f"- {name}: {text}" for name, text in report.how.items()),
        "",
    ]
    for scenario in report.scenarios:
        lines += scenario_section(report, scenario)
    lines += constrained_section(report) + engine_section(report) + once_section(report)
    return "\n".join(lines)


def scenario_section(report: Report, scenario: Scenario) -> list[str]:
    """Return the lines about one scenario: a column per server, ratios of the first one to each other one."""
    rounds = rounds_by_target(report.results, scenario.name)
    if not rounds:
        return []
    names = list(rounds)
    base, peers = names[0], names[1:]
    head = ["figure", *names, *(f"{base} / {peer}: median (rounds)" for peer in peers)]
    rows = [
        [title, *(format_number(median_figures(rounds[name])[key]) for name in names)]
        + ["" if key in NO_RATIO else format_ratios(round_ratios(rounds[base], rounds[peer], key)) for peer in peers]
        for key, title in FIGURE_TITLES.items()
        if not key.endswith("_gap_p95_ms") or scenario.long_clients
    ]
    lines = [f"## {describe(scenario)}", "", *table(head, rows)]
    if scenario.name in report.batched_bench:
        rate = report.batched_bench[scenario.name]
        mine = median_figures(rounds[base])["steady_tokens_per_second"]
        lines += ["", f"llama-batched-bench, no sampling: {rate:.1f} tokens/s; {base} reaches {mine / rate:.3f} of it."]
    return [*lines, ""]


def constrained_section(report: Report) -> list[str]:
    """Return the lines about what being held to a schema costs each server, where free text was taken too."""
    held, free = rounds_by_target(report.results, "json"), rounds_by_target(report.results, "4")
    rows = [
        [name, format_ratios(round_ratios(held[name], free[name], "tokens_per_second"))]
        for name in held
        if len(held[name]) == len(free.get(name, ()))
    ]
    return ["## JSON held to a schema / free text, tokens/s", "", *table(["server", "ratio"], rows), ""] if rows else []


def engine_section(report: Report) -> list[str]:
    """Return the lines about our engine's steps."""
    if not report.engine:
        return []
    head = ["mean per step, ms", "decode", "sampling", "everything else"]
    rows = [
        [f"scenario {name}", *(f"{times[key]:.3f}" for key in ("decode_ms", "sample_ms", "other_ms"))]
        for name, times in report.engine.items()
    ]
    return ["## The engine's steps, without daemon and pipes", "", *table(head, rows), ""]


def once_section(report: Report) -> list[str]:
    """Return the lines about what is not measured in rounds."""
    rows = [[f"peak RSS, {name}, all its processes", f"{size / 1e6:.0f} MB"] for name, size in report.peak_rss.items()]
    for name, times in report.cold_starts.items():
        rows.append([f"cold start, {name}: process start to accepting", f"{times['up_seconds']:.2f} s"])
        rows.append([f"cold start, {name}: process start to first token", f"{times['first_token_seconds']:.2f} s"])
    if report.idle:
        idle = report.idle
        rows.append(["daemon RSS, idle, no model loaded", f"{idle['daemon_rss_bytes'] / 1e6:.0f} MB"])
        rows.append(["its other processes' RSS then", f"{idle['other_processes_rss_bytes'] / 1e6:.0f} MB"])
        rows.append(["`list`, whole process, median", f"{idle['list_seconds_median']:.3f} s"])
        rows.append(["`list`, whole process, worst", f"{idle['list_seconds_worst']:.3f} s"])
    return ["## Taken once", "", *table(["figure", "value"], rows), ""] if rows else []


def describe(scenario: Scenario) -> str:
    """Return a scenario in words."""
    text = "1 client" if scenario.clients == 1 else f"{scenario.clients} clients"
    text += f", {scenario.requests} x {scenario.num_predict} tokens each, prompts of {scenario.prompt_words} words"
    if scenario.shared_words:
        text += f" behind {scenario.shared_words} shared ones"
    if scenario.grown_words:
        text += f", each with {scenario.grown_words} more than the last"
    if scenario.is_constrained:
        text += ", held to a JSON schema"
    if scenario.long_clients:
        text += f"; {scenario.long_clients} of them {scenario.long_words} words"
        text += f", {scenario.long_delay_seconds:g} s later"
    return text


def rounds_by_target(results: Sequence[RoundResult], scenario: str) -> dict[str, list[Figures]]:
    """Return each server's figures in the order of the rounds; the first server is the one that was named first."""
    rounds: dict[str, list[Figures]] = {}
    for result in sorted((r for r in results if r.scenario == scenario), key=lambda r: r.round):
        rounds.setdefault(result.target, []).append(result.figures)
    return rounds


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return [f"| {' | '.join(line)} |" for line in lines]


def format_number(value: float) -> str:
    """Return a figure with as many digits as it is worth."""
    if value != value:
        return "-"
    digits = 0 if value >= 1000 or value == int(value) else 1 if value >= 100 else 2
    return f"{value:.{digits}f}"


def format_ratios(ratios: Sequence[float]) -> str:
    """Return the median ratio and those of the rounds."""
    return f"**{median(ratios):.3f}** ({', '.join(f'{ratio:.3f}' for ratio in ratios)})"
