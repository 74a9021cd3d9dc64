"""Constrained output: the home of llguidance. A grammar allows or forbids each next token."""

from __future__ import annotations

import llguidance
import numpy as np

from ollamapy.errors import InvalidInputError
from ollamapy.worker.llama import Floats, Llama

_LIMITS = llguidance.LLParserLimits(max_grammar_size=20_000, verbose_errors=False)  # compiles in about a second at most
_LONGEST_REASON = 300
_SPECIAL = b"\xff"  # llguidance's mark for tokens that text can't produce


class Constraint:
    """One request's position in its grammar."""

    def __init__(self, tokenizer: llguidance.LLTokenizer, grammar: str) -> None:
        self._matcher = llguidance.LLMatcher(tokenizer, grammar, log_level=0, limits=_LIMITS)
        self._check("can't be used")
        first = self._matcher.compute_bitmask()
        self._check("allows no text at all")
        self._first: bytes | None = first

    def mask(self, logits: Floats) -> None:
        """Make every token impossible that the grammar forbids here. Changes `logits`, (n_vocab,) float32.

        Raises InvalidInputError where the grammar has become too complex to go on.
        """
        bitmask = self._matcher.compute_bitmask() if self._first is None else self._first
        self._first = None
        self._check("became too complex in mid-answer; simplify its patterns and repetitions")
        allowed = np.unpackbits(np.frombuffer(bitmask, np.uint8), bitorder="little", count=len(logits))
        logits[allowed == 0] = -np.inf

    def accept(self, token: int) -> bool:
        """Move past a sampled token. True once the grammar is complete and nothing may follow.

        Raises InvalidInputError where the grammar has become too complex to go on.
        """
        self._matcher.consume_token(token)
        self._check("became too complex in mid-answer; simplify its patterns and repetitions")
        return self._matcher.is_stopped()

    def _check(self, complaint: str) -> None:
        if self._matcher.is_error():
            reason = " ".join(self._matcher.get_error().split())[:_LONGEST_REASON]
            raise InvalidInputError(f"format: the grammar {complaint} ({reason})")


class ConstraintFactory:
    """Builds constraints for one model; its tokenizer table is made when the first one is asked for (about 0.6 s)."""

    def __init__(self, llama: Llama) -> None:
        self._llama = llama
        self._tokenizer: llguidance.LLTokenizer | None = None

    def build(self, grammar: str) -> Constraint:
        """Compile an llguidance grammar in JSON form. Raises InvalidInputError."""
        if self._tokenizer is None:
            self._tokenizer = llguidance.LLTokenizer.from_llamacpp(  # type: ignore[attr-defined]  # missing in its stubs
                tokens=[_SPECIAL + piece if special else piece for piece, special in self._llama.token_table()],
                vocab_ptr=self._llama.vocabulary,
                tokenize_fptr=self._llama.tokenize_function,
                eos_token=self._llama.end_tokens,
                slices=None,
            )
        return Constraint(self._tokenizer, grammar)
