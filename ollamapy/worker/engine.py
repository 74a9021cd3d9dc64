"""The step loop of a worker: plan, decode, sample, publish. One thread owns it."""

from __future__ import annotations

import logging
from bisect import insort
from collections import deque
from collections.abc import Callable
from typing import Protocol

from ollamapy import wire
from ollamapy.errors import InvalidInputError, OllamapyError
from ollamapy.worker.cells import CellPool, committed_cells
from ollamapy.worker.constraint import Constraint
from ollamapy.worker.lessons import Lessons
from ollamapy.worker.llama import DecodeError, Llama
from ollamapy.worker.output import Publisher
from ollamapy.worker.parking import Parking
from ollamapy.worker.pictures import Picture, Retina
from ollamapy.worker.plan import Plan, Slice, below_tiles, fill_batch, plan_batch, split, take_turns
from ollamapy.worker.prefixes import common_prefix
from ollamapy.worker.round import Drawn, Round
from ollamapy.worker.sequence import Sequence
from ollamapy.worker.speculator import Speculator
from ollamapy.worker.text import TextStream

logger = logging.getLogger("ollamapy.worker.engine")

RESERVED_CELLS = 8
WORTH_WAITING_TOKENS = 32
NO_FREE_CELLS = 1
CPU_STREAMS = 32  # a CPU computes no faster for more at once, and attention walks over the cells of all of them
KEPT_CONTEXTS, KEPT_SHARE = 2, 8  # unused prefixes keep the cells of two contexts, or one part in eight of the pool
FEW_UNUSED, UNUSED_SHARE = 256, 16  # beside running requests so many cells, or one part in so many of those in use


def useful_parallel(llama: Llama) -> int:
    """Return how many requests this model should run at once where nobody said."""
    return llama.n_seq_max if llama.size_device_bytes else min(CPU_STREAMS, llama.n_seq_max)


class Clock(Protocol):
    """Seconds on a monotonic clock."""

    def __call__(self) -> float:
        """Return the time now."""


class Engine:
    """Continuous batching over one `Llama`. `send` receives every message for the parent.

    At most `n_parallel` requests run at once; 0 lets in as many as fit, and on a CPU alone no more than it computes
    efficiently. `speculator` guesses tokens ahead, and `parking` keeps prefixes without cells on a CPU, if it is given.
    """

    def __init__(
        self,
        llama: Llama,
        send: Callable[[wire.Message], None],
        clock: Clock,
        *,
        n_parallel: int = 0,
        speculator: Speculator | None = None,
        publisher: Publisher | None = None,
        retina: Retina | None = None,
        parking: Parking | None = None,
    ) -> None:
        self._llama = llama
        self._send = send
        self._clock = clock
        self._publisher = publisher or Publisher(llama, clock, llama.n_threads)
        self._speculator = speculator
        self._retina = retina
        self._waiting: deque[Sequence] = deque()
        self._running: list[Sequence] = []
        self._lessons = Lessons(speculator)
        self._round: Round | None = None  # what the next step does unless somebody comes or goes
        self._filled: Plan | None = None  # what the batch holds of it
        self._largest_context = 0
        self._n_steps = 0
        self._most_running = n_parallel or useful_parallel(llama)
        self.preemptions = 0
        if not llama.can_cut:
            logger.info(
                "prefixes are not shared, and no tokens guessed: this model's memory can't be cut at a position"
            )
        self._is_untidy = False
        parking = None if llama.size_device_bytes else parking
        self.cells = CellPool(llama, llama.n_ctx, llama.n_seq_max, shares_prefixes=llama.can_cut, parking=parking)

    def __repr__(self) -> str:
        return f"<Engine {len(self._running)} running, {len(self._waiting)} waiting, {self.cells!r}>"

    @property
    def is_busy(self) -> bool:
        """Whether a step would do anything."""
        return bool(self._running or self._waiting)

    def add(
        self,
        request: wire.Generate,
        prompt: list[int],
        constraint: Constraint | None = None,
        pictures: dict[int, Picture] | None = None,
    ) -> None:
        """Queue a request with its tokenised prompt. One that can never run is answered with `Failed` at once.

        `pictures` stand at their index in the prompt, where it has their placeholders.
        """
        context = min(request.num_ctx, self.cells.n_cells)
        if not prompt:
            self._fail(request.id, "invalid", "the prompt has no tokens; send some text")
        elif pictures and prompt[-1] < 0:
            self._fail(request.id, "invalid", "the prompt ends with a picture; put some text behind it")
        elif prompt[-1] < 0 or (min(prompt) < 0 and not pictures) or max(prompt) >= self._llama.n_vocab:
            error = (
                f"the prompt has a token outside the vocabulary of {self._llama.n_vocab}; use this model's own tokens"
            )
            self._fail(request.id, "invalid", error)
        elif len(prompt) >= context:
            self._fail(request.id, "context_length", "the prompt does not fit the context", [len(prompt), context])
        elif request.max_tokens == 0:
            finished = wire.Finished(
                "length", len(prompt), 0, 0, 0.0, 0.0, tokens=prompt if request.return_tokens else None
            )
            self._send(wire.Step([wire.Output(request.id, "", finished=finished)], self.cells_used))
        else:
            self._waiting.append(self._new_sequence(request, prompt, constraint, pictures or {}))

    def _new_sequence(
        self, request: wire.Generate, prompt: list[int], constraint: Constraint | None, pictures: dict[int, Picture]
    ) -> Sequence:
        sampler = self._llama.sampler(request.sampling)
        if sampler.penalty_window:
            sampler.accept(token for token in prompt[-sampler.penalty_window :] if token >= 0)
        most = 10 * request.num_ctx
        self._largest_context = max(self._largest_context, min(request.num_ctx, self.cells.n_cells))
        return Sequence(
            request=request,
            tokens=list(prompt),
            sampler=sampler,
            text=TextStream(request.stop),
            arrived=self._clock(),
            max_tokens=most if request.max_tokens < 0 else min(request.max_tokens, most),
            context=min(request.num_ctx, self.cells.n_cells),
            n_prompt=len(prompt),
            constraint=constraint,
            visible=frozenset(token for text in request.visible for token in self._llama.control_token(text)),
            pictures=pictures,
        )

    def cancel(self, request_id: int) -> None:
        """Forget a request wherever it is; an unknown id is none of our business any more."""
        self._settle()
        for sequence in self._running:
            if sequence.id == request_id:
                self._leave(sequence)
                return
        for sequence in self._waiting:
            if sequence.id == request_id:
                self._waiting.remove(sequence)
                sequence.sampler.close()
                return

    @property
    def cells_used(self) -> int:
        """KV cells in use, remembered prefixes included."""
        if self._round is not None and self._round.n_cells_used is not None:
            return self._round.n_cells_used
        return self.cells.n_cells - self.cells.n_free

    def step(self) -> None:
        """Run one decode for everybody who can take part, and send what came of it."""
        if self._waiting and len(self._running) < self._most_running:
            self._settle()
            self._admit()
        if self._retina is not None:
            self._look(self._retina)
        plan = self._plan()
        if plan is not None:
            self._run(plan)
        if self._is_untidy:
            self._tidy()

    def _run(self, plan: Plan) -> None:
        started, n_accepted = self._clock(), self._publisher.n_accepted
        if self._decode(plan):
            outputs = self._sample(plan)
            n_accepted = self._publisher.n_accepted - n_accepted
            self._lessons.take(plan, self._clock() - started, n_accepted, is_round=self._round_of(plan) is not None)
            if outputs:
                self._send(wire.Step(outputs, self.cells_used, self._publisher.n_drafted, self._publisher.n_accepted))

    def _tidy(self) -> None:
        """Leave few cells to what nobody uses: beside running requests a piece a step, so that nobody waits for it."""
        self._expire_round()
        if self._running and self.cells.parking:
            few = max(FEW_UNUSED, self.cells_used // UNUSED_SHARE)
            self._is_untidy = self.cells.park_some(few)
        else:
            self.cells.trim(max(KEPT_CONTEXTS * self._largest_context, self.cells.n_cells // KEPT_SHARE))
            self._is_untidy = False

    # ---- admission and preemption

    def _admit(self) -> None:
        """Let waiting requests in, in order of arrival, as far as their prompts fit.

        A request that shares a long prefix with one in prefill waits until that part is computed; others may pass it.
        """
        held: list[Sequence] = []
        while self._waiting and len(self._running) < self._most_running:
            sequence = self._waiting.popleft()
            if self._soon_shared(sequence):
                held.append(sequence)
                continue
            if not self._open(sequence):
                self._waiting.appendleft(sequence)
                break
            self._enter(sequence)
        self._waiting.extendleft(reversed(held))

    def _open(self, sequence: Sequence) -> bool:
        """Take the known prefix first, so that making room for the rest can't drop it.

        Nothing is moved for a sequence that can't come in now.
        """
        n_more = RESERVED_CELLS + committed_cells(self._running)
        if self._running and not self.cells.could_take(sequence, n_more):
            return False
        if self.cells.open(sequence):
            if self.cells.make_room(sequence.n_left + n_more) or not self._running:
                return True
            self.cells.close(sequence)
        self._expire_round()  # the search for room may have changed what others hold
        return False

    def _enter(self, sequence: Sequence) -> None:
        if sequence.started is None:
            sequence.started = self._clock()
            sequence.n_cached = sequence.n_computed
        insort(self._running, sequence, key=_arrival)
        self._end_round()

    def _soon_shared(self, sequence: Sequence) -> bool:
        if self.cells.tree is None or sequence.is_scored:
            return False
        known = self.cells.known_prefix(sequence.tokens)
        for other in self._running:
            if not other.is_decoding and other.n_left > 1:
                shared = self._common(sequence, other)
                if shared >= known + WORTH_WAITING_TOKENS and shared > other.n_computed:
                    return True
        return False

    def _common(self, sequence: Sequence, other: Sequence) -> int:
        if other.id not in sequence.common_with:
            sequence.common_with[other.id] = common_prefix(sequence.tokens[:-1], other.tokens[: other.n_prompt])
        return sequence.common_with[other.id]

    def _look(self, retina: Retina) -> None:
        """Compute one picture, the first that is due: a step has time for one."""
        sequence = next((sequence for sequence in self._running if sequence.picture is not None), None)
        picture = sequence.picture if sequence is not None else None
        if sequence is None or picture is None:
            return
        while not self.cells.make_room(picture.n_tokens):
            self.cells.remember(self._running[-1])
            self._preempt()
            if sequence not in self._running:
                return
        try:
            retina.decode(picture, sequence.seq_id, sequence.position)
        except DecodeError as exc:
            self._abandon(sequence, "internal", f"{exc.message}; send the request again")
            return
        sequence.n_computed += picture.n_tokens
        self.cells.remember(sequence)

    def _plan(self) -> Plan | None:
        """Plan a batch that the free cells can take; the youngest sequence makes room where they run out."""
        if self._round is not None and self._goes_on(self._round):
            return self._with_drafts(self._round.plan)
        n_batch, budgets = self._llama.n_batch, self._lessons.budget
        while self._running:
            decoding, prompts = split(self._running)
            n_streams = len(decoding)
            if self._llama.attends_in_tiles:
                decoding = take_turns(decoding, has_prompts=bool(prompts))
            waiting = [sequence.n_left for sequence in (*prompts, *self._waiting)] if prompts else []
            budget = budgets.tokens(len(decoding), waiting, n_batch, n_streams)
            if self._llama.attends_in_tiles and (room := below_tiles(decoding, prompts, budget)) < budget:
                budget = budgets.tokens(len(decoding), waiting, room, n_streams)
            plan = plan_batch(decoding, prompts, n_batch, budget)
            if self.cells.make_room(plan.n_rows):
                if plan.is_round(len(self._running)):
                    self._round = Round(plan, self._llama.whole_texts)
                    self._renew(self._round)
                return self._with_drafts(plan) if plan.parts else None
            self.cells.remember(self._running[-1])
            self._preempt()
        return None

    def _goes_on(self, around: Round) -> bool:
        """Whether there are cells for a round once more."""
        if not around.is_quick:
            around.settle()
            if not self.cells.make_room(around.plan.n_rows):
                self._end_round()
                return False
            self._renew(around)
        return True

    def _renew(self, around: Round) -> None:
        n_free = self.cells.n_free
        around.renew(self.cells.n_cells - n_free, n_free)

    def _with_drafts(self, plan: Plan) -> Plan:
        """Put guessed tokens into a step that only decodes, as far as batch and free cells go."""
        speculator = self._speculator
        if speculator is None or plan.n_prefill or len(plan.due) < len(plan.parts) or speculator.is_resting():
            return plan
        self._settle()
        extended = speculator.extend(plan, min(self._llama.n_batch, self.cells.n_free))
        if any(part.sequence.ahead.guess is not None for part in plan.parts):
            self._expire_round()
        return extended

    def _preempt(self) -> None:
        """Free the cells of the youngest sequence; it comes back first, and computes again what was forgotten."""
        youngest = self._running.pop()
        self._end_round()
        self.preemptions += 1
        logger.info("preempted request %d at %d tokens: no free cells", youngest.id, youngest.n_computed)
        self._vacate(youngest)
        if self._running:
            self._queue(youngest)
        else:
            youngest.sampler.close()
            self._fail(youngest.id, "capacity", "the KV cache is too small for this request alone; lower num_ctx")

    def _end_round(self) -> None:
        """Let the next step be planned anew: somebody comes or goes, or has more than one token to compute."""
        self._settle()
        self._round = self._filled = None
        self._lessons.end_round()

    def _settle(self) -> None:
        """Bring the books of all sequences up to date."""
        if self._round is not None:
            self._round.settle()

    def _expire_round(self) -> None:
        """Let a round go on as if it were new: what it knows of cells and streams may not hold any more."""
        if self._round is not None:
            self._round.settle()
            self._round.expire()

    def _round_of(self, plan: Plan) -> Round | None:
        """Return the round whose plan this is, if it is one's."""
        return self._round if self._round is not None and self._round.plan is plan else None

    def _remove(self, sequence: Sequence) -> None:
        """Let a sequence run no more."""
        self._running.remove(sequence)
        self._end_round()
        self._vacate(sequence)

    def _vacate(self, sequence: Sequence) -> None:
        """Free all cells of a sequence that does not run any more."""
        self.cells.close(sequence)
        if self._speculator is not None:
            self._speculator.forget(sequence)

    def _queue(self, sequence: Sequence) -> None:
        """Let a sequence that ran before wait in its place, in order of arrival."""
        insort(self._waiting, sequence, key=_arrival)

    def _leave(self, sequence: Sequence) -> None:
        self.cells.remember(sequence)
        self._remove(sequence)
        self._is_untidy = True
        sequence.sampler.close()

    # ---- decode and sample

    def _decode(self, plan: Plan) -> bool:
        """Compute the plan's tokens. False if the batch was refused; who was in it is preempted or failed."""
        around = self._round_of(plan)
        if around is not None and plan is self._filled:
            self._llama.batch.advance(around.latest)
        else:
            self._settle()
            fill_batch(self._llama.batch, plan.parts)
        self._filled = plan if around is not None else None
        self._publisher.prepare(plan.constraints)
        try:
            self._llama.decode(plan.n_rows)
        except DecodeError as exc:
            self._publisher.finish_preparing()
            self._refused(plan, exc)
            return False
        self._publisher.finish_preparing()
        self._n_steps += 1
        if plan.n_prefill:
            self._score(plan)
        if around is None:
            for part in plan.parts:
                part.sequence.n_computed += part.n_tokens
                part.sequence.last_step = self._n_steps
        return True

    def _score(self, plan: Plan) -> None:
        row = 0
        for part in plan.parts:
            if part.sequence.is_scored:
                self._publisher.score(part.sequence, row, part.n_tokens)
            row += part.n_rows

    def _refused(self, plan: Plan, error: DecodeError) -> None:
        if error.code == NO_FREE_CELLS and len(self._running) > 1:
            self._preempt()
            return
        for part in plan.parts:
            self._abandon(part.sequence, "internal", f"{error.message}; send the request again")

    def _abandon(self, sequence: Sequence, kind: wire.ErrorKind, error: str) -> None:
        """End a running request in an error; what it computed is not kept."""
        self._remove(sequence)
        sequence.sampler.close()
        self._fail(sequence.id, kind, error)

    def _sample(self, plan: Plan) -> list[wire.Output]:
        if len(plan.due) < len(plan.parts):
            for part in plan.parts:
                if not part.is_last:
                    self.cells.remember(part.sequence)
        drawn = self._publisher.draw_all(plan.due)
        if (around := self._round_of(plan)) is not None:
            return self._go_round(around, drawn)
        outputs: list[wire.Output] = []
        for (part, row), token in zip(plan.due, drawn, strict=True):
            self._advance(part, row, token, outputs)
        return outputs

    def _go_round(self, around: Round, drawn: Drawn) -> list[wire.Output]:
        """Do what is left of a round's step; where somebody leaves in it, it is over."""
        outputs, others = around.give(drawn, self._n_steps)
        for i in others:
            part, row = around.plan.due[i]
            self._advance(part, row, drawn[i], outputs)
        if around is self._round:
            around.look_at(others)
        return outputs

    def _advance(self, part: Slice, row: int, token: int | OllamapyError, outputs: list[wire.Output]) -> None:
        sequence, was_begun = part.sequence, part.sequence.n_generated > 0
        try:
            if isinstance(token, OllamapyError):
                raise token
            outputs.append(self._publisher.advance(sequence, row, token, part.draft))
        except OllamapyError as exc:
            kind: wire.ErrorKind = "invalid" if isinstance(exc, InvalidInputError) else "internal"
            self._abandon(sequence, kind, exc.message)
            return
        if part.draft:
            self._llama.remove(sequence.seq_id, sequence.n_computed)  # guesses that did not come true
        if sequence.finish_reason is not None:
            self._leave(sequence)
        elif not was_begun:
            self.cells.remember(sequence)
        elif len(sequence.tokens) > sequence.context:
            self._shift(sequence)
        elif sequence.n_fresh > 1:
            self._end_round()

    def _shift(self, sequence: Sequence) -> None:
        """Drop the older half of what follows the first `num_keep` tokens; the rest is computed again.

        A full context is a turn: whoever waits by now comes first, so that endless answers starve nobody.
        """
        self._remove(sequence)
        keep = min(sequence.request.num_keep, len(sequence.tokens) // 2)
        drop = (len(sequence.tokens) - keep) // 2
        sequence.tokens = sequence.tokens[:keep] + sequence.tokens[keep + drop :]
        sequence.arrived = self._clock()
        self._queue(sequence)

    def _fail(self, request_id: int, kind: wire.ErrorKind, error: str, numbers: list[int] | None = None) -> None:
        self._send(wire.Failed(request_id, kind, error, numbers or []))


def _arrival(sequence: Sequence) -> float:
    return sequence.arrived
