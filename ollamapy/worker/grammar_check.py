"""Start of a process that tries one grammar from standard input, to see what it costs before others would wait.

llguidance bounds most of its work but not all: intersections of patterns and large `multipleOf` take any time and
memory, and many lengths of one text cost ever more with each of its letters. This process has little of both, and ends
with another code than 0 where that is not enough. Whether the grammar is right is not its question.
"""

from __future__ import annotations

import resource
import signal
import sys

import llguidance

MOST_CPU_SECONDS = 0.7
MOST_BYTES = 2 << 30
LETTER, MOST_BYTE = ord("a"), 0xFF
WALKED_BYTES = 1000  # of an answer
LIMITS = llguidance.LLParserLimits(  # compiles in about a second at most
    max_grammar_size=20_000, step_lexer_fuel=50_000, verbose_errors=False
)


def main() -> None:
    """Compile what comes in, and hold an answer to it."""
    grammar = sys.stdin.buffer.read().decode()
    resource.setrlimit(resource.RLIMIT_AS, (MOST_BYTES, MOST_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.setitimer(signal.ITIMER_PROF, MOST_CPU_SECONDS)  # its signal ends the process
    matcher = llguidance.LLMatcher(llguidance.LLTokenizer("byte"), grammar, log_level=0, limits=LIMITS)
    walk(matcher)


def walk(matcher: llguidance.LLMatcher) -> None:
    """Write an answer of nothing but one letter, as far as that is allowed."""
    for _ in range(WALKED_BYTES):
        if matcher.is_error() or matcher.is_stopped():
            return
        allowed = int.from_bytes(matcher.compute_bitmask(), "little")
        byte = LETTER if allowed >> LETTER & 1 else (allowed & -allowed).bit_length() - 1
        if not 0 <= byte <= MOST_BYTE:
            return
        matcher.consume_token(byte)


if __name__ == "__main__":
    main()
