"""`ollamapy doctor`."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterable, Iterator

import msgspec

from ollamapy.cli import checks, render
from ollamapy.cli.checks import Finding
from ollamapy.cli.progress import Progress
from ollamapy.config import inspect_settings, source_folders
from ollamapy.errors import ServiceError

MARKS = {"ok": "ok", "warning": "!", "problem": "!!"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the words that the command takes."""
    parser.add_argument("--verify", action="store_true", help="read every stored file and compare it with its digest")
    parser.add_argument("--json", action="store_true", help="print the findings as JSON")


def command(*, verify: bool, json: bool) -> None:
    """Look for what keeps ollamapy from working well, and tell the remedies.

    Examples:
      ollamapy doctor
      ollamapy doctor --verify      # also reads the whole store
    """
    findings: list[Finding] = []
    status = Progress(is_transient=True)
    for finding in look(status, verify=verify):
        findings.append(finding)
        status.end()
        if not json:
            show(finding)
    if json:
        render.line(msgspec.json.format(msgspec.json.encode(findings), indent=2).decode())
    n_problems = sum(finding.state == "problem" for finding in findings)
    if n_problems:
        counted = "1 problem" if n_problems == 1 else f"{n_problems} problems"
        raise ServiceError(f"{counted} found; the remedy stands below each")


def look(status: Progress, *, verify: bool) -> Iterator[Finding]:
    """Yield what each check finds; `status` shows how far a long one is."""
    reading = inspect_settings(os.environ)
    rounds: list[Iterable[Finding]] = [
        checks.check_versions(),
        checks.check_settings(reading),
        checks.check_hardware(),
        checks.check_daemon(reading.settings),
        checks.check_limits(),
        checks.check_store(reading.settings, source_folders(os.environ)),
    ]
    if verify:
        rounds.append(checks.verify_store(reading.settings, status))
    for found in rounds:
        yield from found


def show(finding: Finding) -> None:
    """Print a finding, with its remedy below."""
    render.line(f"{MARKS[finding.state]:<3}{finding.subject:<11}{finding.text}")
    if finding.remedy:
        render.line(f"{'':<14}-> {finding.remedy}")
