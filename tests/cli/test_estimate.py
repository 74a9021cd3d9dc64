from __future__ import annotations

import json

from tests.cli.conftest import Command
from tests.fakes.ollama_api import FakeOllama

ESTIMATE = {
    "model": "big:latest", "stored": False, "fits": True, "reason": "all layers on CUDA0", "context_length": 4096,
    "kv_cells": 65536, "gpu_layers": 33, "layers": 33, "size": 6 * 10**9, "weights": 4 * 10**9, "cache": 10**9,
    "buffers": 10**9, "companions": 0,
    "devices": [
        {"name": "CUDA0", "total": 24 * 10**9, "free": 20 * 10**9, "needed": 6 * 10**9},
        {"name": "host", "total": 64 * 10**9, "free": 60 * 10**9, "needed": 10**8},
    ],
}  # fmt: skip


def test_an_estimate_is_shown_with_the_devices(ollamapy: Command, fake: FakeOllama) -> None:
    fake.add("big:latest")
    fake.estimate = ESTIMATE
    done = ollamapy("estimate", "big:latest", "--ctx", "4096")
    assert done.returncode == 0
    lines = [line.split() for line in done.stdout.splitlines()]
    assert ["model", "big:latest", "(not", "stored", "yet)"] in lines
    assert ["context", "1", "GB", "(4096", "tokens", "a", "request,", "65536", "in", "all)"] in lines
    assert ["placed", "all", "layers", "on", "CUDA0"] in lines
    assert ["CUDA0", "6", "GB", "20", "GB", "24", "GB"] in lines
    assert fake.requests[-1][3]["options"] == {"num_ctx": 4096}
    assert done.stderr == ""
    longer = ollamapy("estimate", "big:latest", "--ctx", "4097")
    assert longer.stderr == "big:latest was trained on 4096 tokens; a longer context has no effect\n"


def test_what_does_not_fit_fails_with_the_numbers(ollamapy: Command, fake: FakeOllama) -> None:
    fake.add("big:latest")
    fake.estimate = {**ESTIMATE, "fits": False, "reason": "it needs 99.0 GiB"}
    done = ollamapy("estimate", "big:latest")
    assert done.returncode == 6
    assert done.stderr == "Error: big:latest does not fit: it needs 99.0 GiB\n"
    assert json.loads(ollamapy("estimate", "big:latest", "--json").stdout)["fits"] is False
