"""Start of a process that compiles one grammar from standard input, to see what it costs before others would wait.

llguidance bounds most of its work but not all: intersections of patterns and large `multipleOf` take any time and
memory. This process has little of both, and ends with another code than 0 where that is not enough. Whether the grammar
is right is not its question.
"""

from __future__ import annotations

import resource
import signal
import sys

import llguidance

MOST_CPU_SECONDS = 0.7
MOST_BYTES = 2 << 30
LIMITS = llguidance.LLParserLimits(max_grammar_size=20_000, verbose_errors=False)  # compiles in about a second at most


def main() -> None:
    """Compile what comes in."""
    grammar = sys.stdin.buffer.read().decode()
    resource.setrlimit(resource.RLIMIT_AS, (MOST_BYTES, MOST_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.setitimer(signal.ITIMER_PROF, MOST_CPU_SECONDS)  # its signal ends the process
    matcher = llguidance.LLMatcher(llguidance.LLTokenizer("byte"), grammar, log_level=0, limits=LIMITS)
    if not matcher.is_error():
        matcher.compute_bitmask()


if __name__ == "__main__":
    main()
