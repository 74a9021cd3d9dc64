"""Draws the medians of a benchmark: a figure per panel, clients or scenarios across, a line or bars per server."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

PANELS = {
    "tokens_per_second": "tokens/s, all clients",
    "gap_p50_ms": "gap between tokens, p50, ms",
    "gap_p95_ms": "gap between tokens, p95, ms",
    "ttft_p50_ms": "time to first token, p50, ms",
    "ttft_p95_ms": "time to first token, p95, ms",
    "peak memory": "peak memory, MB",
}
PANEL_INCHES = (4.5, 3.2)

Medians = Mapping[str, Mapping[str, Mapping[str, float]]]  # server -> scenario -> figure


def write_plot(medians: Medians, scenarios: Sequence[str], peak_rss: Mapping[str, int], path: Path) -> None:
    """Write the panels into an SVG or PNG file."""
    width, height = PANEL_INCHES
    figure, grid = plt.subplots(2, 3, figsize=(3 * width, 2 * height), layout="constrained")
    for axes, (key, title) in zip(grid.flat, PANELS.items(), strict=True):
        axes.set_title(title, fontsize=10)
        if key == "peak memory":
            axes.bar(list(peak_rss), [size / 1e6 for size in peak_rss.values()])
        else:
            draw_panel(
                axes, {name: [rows.get(s, {}).get(key, 0.0) for s in scenarios] for name, rows in medians.items()}
            )
            axes.set_xticks(range(len(scenarios)), scenarios)
        axes.tick_params(labelsize=8)
        axes.grid(axis="y", alpha=0.3)
    grid.flat[0].legend(fontsize=8)
    figure.savefig(path)
    plt.close(figure)


def draw_panel(axes: Axes, columns: Mapping[str, Sequence[float]]) -> None:
    """Draw a group of bars for each scenario, in the order of the servers."""
    share = 0.8 / max(len(columns), 1)
    for number, (name, values) in enumerate(columns.items()):
        places = [place - 0.4 + share * (number + 0.5) for place in range(len(values))]
        axes.bar(places, values, width=share, label=name)
