"""Turns exchanges into figures, and figures of several rounds into one row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from statistics import median

from bench_lib.load import Exchange


@dataclass(frozen=True, slots=True)
class Figures:
    """One server in one scenario of one round. Times are milliseconds; rates count the servers' own token counts.

    `foreign_share` is the part of the machine's processor time that other programs took meanwhile, 0 to 1. The last two
    are the gaps of streams before a long prompt is sent and while it is computed.
    """

    tokens_per_second: float
    steady_tokens_per_second: float
    gap_p50_ms: float
    gap_p95_ms: float
    ttft_p50_ms: float
    ttft_p95_ms: float
    wall_seconds: float
    completion_tokens: int
    short_answers: int
    failures: int
    cpu_seconds: float = 0.0
    foreign_share: float = 0.0
    quiet_gap_p95_ms: float = float("nan")
    prefill_gap_p95_ms: float = float("nan")


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the value below which `percent` of the values lie, interpolated; nan for none."""
    if not values:
        return float("nan")
    ordered = sorted(values)
    place = (len(ordered) - 1) * percent / 100
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def measure(
    exchanges: Sequence[Exchange],
    num_predict: int,
    cpu_seconds: float = 0.0,
    foreign_share: float = 0.0,
    first_long_client: int | None = None,
) -> Figures:
    """Return the figures of one run; failed exchanges count as failures and nowhere else.

    Clients from `first_long_client` on send the long prompts.
    """
    good = [exchange for exchange in exchanges if not exchange.error and exchange.times]
    gaps = [1000 * (after - before) for exchange in good for before, after in pairwise(exchange.times)]
    waits = [1000 * (exchange.times[0] - exchange.sent) for exchange in good]
    tokens = sum(exchange.completion_tokens for exchange in good)
    wall = max((e.ended for e in good), default=0.0) - min((e.sent for e in good), default=0.0)
    return Figures(
        tokens_per_second=tokens / wall if wall else float("nan"),
        steady_tokens_per_second=steady_rate(good),
        gap_p50_ms=percentile(gaps, 50),
        gap_p95_ms=percentile(gaps, 95),
        ttft_p50_ms=percentile(waits, 50),
        ttft_p95_ms=percentile(waits, 95),
        wall_seconds=wall,
        completion_tokens=tokens,
        short_answers=sum(exchange.completion_tokens < num_predict for exchange in good),
        failures=len(exchanges) - len(good),
        cpu_seconds=cpu_seconds,
        foreign_share=foreign_share,
        **gaps_around(good, first_long_client),
    )


def gaps_around(exchanges: Sequence[Exchange], first_long_client: int | None) -> dict[str, float]:
    """Return the p95 gaps of the short streams before the first long prompt was sent and until its first token."""
    if first_long_client is None:
        return {}
    long = min((e for e in exchanges if e.client >= first_long_client), key=lambda e: e.sent, default=None)
    if long is None:
        return {}
    pairs = [pair for e in exchanges if e.client < first_long_client for pair in pairwise(e.times)]
    quiet = [1000 * (after - before) for before, after in pairs if after <= long.sent]
    beside = [1000 * (after - before) for before, after in pairs if after > long.sent and before < long.times[0]]
    return {"quiet_gap_p95_ms": percentile(quiet, 95), "prefill_gap_p95_ms": percentile(beside, 95)}


def steady_rate(exchanges: Sequence[Exchange]) -> float:
    """Return the tokens a second while every client is decoding; nan if there is no such time.

    The clients' first requests are looked at. Events are scaled to tokens, as one may carry more than one.
    """
    firsts: dict[int, Exchange] = {}
    for exchange in exchanges:
        firsts.setdefault(exchange.client, exchange)
    if not firsts:
        return float("nan")
    begin = max(exchange.times[0] for exchange in firsts.values())
    end = min(exchange.times[-1] for exchange in firsts.values())
    if end <= begin:
        return float("nan")
    tokens = sum(
        sum(begin < moment <= end for moment in exchange.times) * exchange.completion_tokens / len(exchange.times)
        for exchange in firsts.values()
    )
    return tokens / (end - begin)


def median_figures(rounds: Sequence[Figures]) -> dict[str, float]:
    """Return the median of each figure over the rounds."""
    rows = [asdict(figures) for figures in rounds]
    return {name: median(row[name] for row in rows) for name in rows[0]}


def round_ratios(ours: Sequence[Figures], theirs: Sequence[Figures], name: str) -> list[float]:
    """Return ours divided by theirs, round by round."""
    return [
        getattr(mine, name) / getattr(other, name) if getattr(other, name) else float("nan")
        for mine, other in zip(ours, theirs, strict=True)
    ]


def summarise(results: Mapping[str, Sequence[Figures]], base: str, peer: str) -> dict[str, dict[str, object]]:
    """Return, for each figure, both medians, the ratio of every round, and the median ratio."""
    ours, theirs = results[base], results[peer]
    mine, other = median_figures(ours), median_figures(theirs)
    summary: dict[str, dict[str, object]] = {}
    for name in mine:
        ratios = round_ratios(ours, theirs, name)
        summary[name] = {base: mine[name], peer: other[name], "ratios": ratios, "median_ratio": median(ratios)}
    return summary
