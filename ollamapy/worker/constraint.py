"""Constrained output: the home of llguidance. A grammar allows or forbids each next token."""

from __future__ import annotations

import llguidance
import numpy as np

from ollamapy.errors import InvalidInputError
from ollamapy.worker.llama import Floats, Llama

_SPECIAL = b"\xff"  # llguidance's mark for tokens that text can't produce


class Constraint:
    """One request's position in its grammar."""

    def __init__(self, tokenizer: llguidance.LLTokenizer, grammar: str) -> None:
        self._matcher = llguidance.LLMatcher(tokenizer, grammar, log_level=0)
        if self._matcher.is_error():
            raise InvalidInputError(f"format: the grammar can't be used: {self._matcher.get_error().splitlines()[0]}")

    def mask(self, logits: Floats) -> None:
        """Make every token impossible that the grammar forbids here. Changes `logits`, (n_vocab,) float32."""
        bits = np.frombuffer(self._matcher.compute_bitmask(), np.uint8)
        allowed = np.unpackbits(bits, bitorder="little", count=len(logits))
        logits[allowed == 0] = -np.inf

    def accept(self, token: int) -> bool:
        """Move past a sampled token. True once the grammar is complete and nothing may follow."""
        return not self._matcher.consume_token(token) or self._matcher.is_stopped()


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
