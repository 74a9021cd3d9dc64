"""Constrained output: the home of llguidance. A grammar allows or forbids each next token."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import llguidance
import numpy as np
import numpy.typing as npt

from ollamapy.errors import InvalidInputError
from ollamapy.worker.candidates import Ints
from ollamapy.worker.grammar_check import LIMITS
from ollamapy.worker.llama import Llama

_LONGEST_REASON = 300
_SPECIAL = b"\xff"  # llguidance's mark for tokens that text can't produce
_FEW_TOKENS = 4096
_NONE = np.empty(0, np.int32)
_AROUND_SCHEMAS = re.compile(r"at \d+\(\d+\): failed to compile JSON schema: |\n *1 \| start: .*", re.S)
_IN_OUR_WORDS = {
    "oneOf constraints are not supported. Enable 'coerce_one_of' option to approximate oneOf with anyOf": (
        "a value may match several of a oneOf; use anyOf, or let the alternatives exclude each other"
    ),
    "Unimplemented keys:": "not supported:",
    "NoExtensionBias <non-verbose/>": "no character may come first",
    "recursion limit exceeded": "nested too deeply",
}
_TOO_COMPLEX = "became too complex in mid-answer; simplify its patterns and repetitions"


@dataclass(frozen=True, slots=True)
class Mask:
    """What a grammar allows as the next token: the ids if they are few, else where it forbids one, (n_vocab,) bool."""

    allowed: Ints
    forbids: npt.NDArray[np.bool_] | None = None


class Constraint:
    """One request's position in its grammar. One thread at a time may use it."""

    def __init__(self, tokenizer: llguidance.LLTokenizer, grammar: str, n_vocab: int, field: str) -> None:
        self._n_vocab = n_vocab
        self._field = field
        self._matcher = llguidance.LLMatcher(tokenizer, grammar, log_level=0, limits=LIMITS)
        self._check("can't be used")
        self._mask: Mask | None = self._compute()
        self._check("allows no text at all")

    def prepare(self) -> None:
        """Compute the mask of the next token ahead of `mask`. Does not raise: `mask` tells what went wrong."""
        if self._mask is None:
            self._mask = self._compute()

    def mask(self) -> Mask:
        """Return what the grammar allows here.

        Raises InvalidInputError where the grammar has become too complex to go on.
        """
        mask = self._mask or self._compute()
        self._check(_TOO_COMPLEX)
        if mask.forbids is None and len(mask.allowed) == 0:
            raise InvalidInputError(
                f"{self._field}: the grammar allows nothing that could follow; allow more characters"
            )
        return mask

    def accept(self, token: int) -> bool:
        """Move past a token. True once the grammar is complete and nothing may follow.

        Raises InvalidInputError where the grammar has become too complex to go on.
        """
        self._mask = None
        self._matcher.consume_token(token)
        self._check(_TOO_COMPLEX)
        return self._matcher.is_stopped()

    def forced(self) -> list[int]:
        """Return the tokens that must come next, whatever the model says: those that masks would let through alone."""
        return self._matcher.compute_ff_tokens()

    def count_allowed(self, tokens: Sequence[int]) -> int:
        """Return how many of these tokens, from the first on, may come next."""
        return self._matcher.validate_tokens(list(tokens))

    def _compute(self) -> Mask:
        bits = np.frombuffer(self._matcher.compute_bitmask(), np.uint8)
        allows = np.unpackbits(bits, count=self._n_vocab, bitorder="little").view(np.bool_)
        if np.count_nonzero(allows) <= _FEW_TOKENS:
            return Mask(np.flatnonzero(allows).astype(np.int32))
        return Mask(_NONE, ~allows)

    def _check(self, complaint: str) -> None:
        if self._matcher.is_error():
            reason = reason_of(self._matcher.get_error(), self._field)
            raise InvalidInputError(f"{self._field}: the grammar {complaint} ({reason})")


def reason_of(error: str, field: str) -> str:
    """Return what llguidance complains of in words that tell the user of a field what to change."""
    if field == "tools":  # nobody wrote the grammar around their schemas
        error = _AROUND_SCHEMAS.sub("", error)
    for theirs, ours in _IN_OUR_WORDS.items():
        error = error.replace(theirs, ours)
    return " ".join(error.split())[:_LONGEST_REASON]


class ConstraintFactory:
    """Builds constraints for one model; its tokenizer table is made when the first one is asked for (about 0.6 s)."""

    def __init__(self, llama: Llama) -> None:
        self._llama = llama
        self._tokenizer: llguidance.LLTokenizer | None = None

    def build(self, grammar: str, field: str = "format") -> Constraint:
        """Compile an llguidance grammar in JSON form, which came in a `field`. Raises InvalidInputError."""
        if self._tokenizer is None:
            self._tokenizer = llguidance.LLTokenizer.from_llamacpp(  # type: ignore[attr-defined]  # missing in its stubs
                tokens=[_SPECIAL + piece if special else piece for piece, special in self._llama.token_table()],
                vocab_ptr=self._llama.vocabulary,
                tokenize_fptr=self._llama.tokenize_function,
                eos_token=self._llama.end_tokens,
                slices=None,
            )
        return Constraint(self._tokenizer, grammar, self._llama.n_vocab, field)
