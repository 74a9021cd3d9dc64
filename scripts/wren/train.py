"""Training: on one GPU, or on a CPU with one process per core; it can be stopped at any time and goes on later.

Processes take batches of a step from one counter, so that a core which others use holds nobody up, and add their
gradients at its end. The learning rate falls to zero at the end of the given minutes.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from multiprocessing.sharedctypes import Synchronized
from pathlib import Path

import torch
import torch.distributed as dist
import torch.nn.functional as F  # noqa: N812 - torch's own idiom
from safetensors.torch import load_file
from torch import multiprocessing

from wren.batches import Batch, load, steps
from wren.model import Shape, Wren
from wren.optimizer import Optimizer

SAVE_SECONDS = 120.0
WARM_UP_STEPS = 60
REPORT_STEPS = 20
COUNTER_STRIDE = 1 << 20  # more than a step has batches
CPU_BATCH_TOKENS, GPU_BATCH_TOKENS = 2048, 65_536


@dataclass(frozen=True, slots=True)
class Run:
    """What to train on, and how long; `start` holds weights to begin from, `flat` is the part at the full rate."""

    build: Path
    minutes: float
    shape: Shape
    start: Path | None = None
    processes: int = 1
    step_tokens: int = 8192
    rate: float = 1.0
    flat: float = 0.4
    seed: int = 1
    port: int = 0  # for the processes to meet; 0 is any free one


@dataclass(slots=True)
class Progress:
    """How far a training is; `loss` is a moving average per wanted token."""

    step: int = 0
    tokens: int = 0
    seconds: float = 0.0
    loss: float = 0.0


def train(run: Run) -> None:
    """Train until the minutes are over; blocks. The result is `weights.safetensors` beside `checkpoint.pt`."""
    counter = multiprocessing.get_context("spawn").Value("q", 0)
    if run.processes == 1 or torch.cuda.is_available():
        work(0, run, 1, counter)
        return
    with socket.create_server(("127.0.0.1", run.port)) as free:
        port = free.getsockname()[1]
    multiprocessing.spawn(work, (replace(run, port=port), run.processes, counter), run.processes, daemon=True)


def work(rank: int, run: Run, processes: int, counter: Synchronized[int]) -> None:
    """Train as one of several processes."""
    torch.manual_seed(run.seed)
    if processes > 1:
        torch.set_num_threads(1)
        dist.init_process_group("gloo", f"tcp://127.0.0.1:{run.port}", rank=rank, world_size=processes)
    Worker(rank, run, processes, counter).loop()
    if processes > 1:
        dist.destroy_process_group()


class Worker:
    """One process of a training: the model, the optimizer, the progress and the next steps."""

    def __init__(self, rank: int, run: Run, processes: int, counter: Synchronized[int]) -> None:
        self.rank, self.run, self.processes, self.counter = rank, run, processes, counter
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.model = Wren(run.shape).to(self.device)
        if run.start:
            self.model.load_state_dict(load_file(run.start))
        for weight in self.model.parameters():
            weight.grad = torch.zeros_like(weight)
        self.optimizer, self.progress = Optimizer(self.model), Progress()
        self.checkpoint = run.build / "checkpoint.pt"
        if self.checkpoint.exists():
            self.restore()
        self.first = self.progress.step
        documents = load(run.build)
        size = GPU_BATCH_TOKENS if self.device.type == "cuda" else CPU_BATCH_TOKENS
        self.steps = steps(documents, run.step_tokens, size, run.seed + self.progress.step)
        if rank == 0:
            print(f"{len(documents)} documents of {sum(len(d.ids) for d in documents)} tokens", flush=True)

    def restore(self) -> None:
        """Go on from the checkpoint."""
        saved = torch.load(self.checkpoint, map_location=self.device, weights_only=True)
        self.model.load_state_dict(saved["model"])
        self.optimizer.restore(saved["optimizer"])
        self.progress = Progress(**saved["progress"])

    def save(self) -> None:
        """Write the checkpoint, whole or not at all."""
        if self.rank:
            return
        half = self.checkpoint.with_suffix(".half")
        state = {"model": self.model.state_dict(), "optimizer": self.optimizer.state()}
        torch.save({**state, "progress": asdict(self.progress)}, half)
        half.replace(self.checkpoint)

    def loop(self) -> None:
        """Take steps until the time is over."""
        progress = self.progress
        saved = clock = time.monotonic()
        while (done := progress.seconds / (60 * self.run.minutes)) < 1:
            warm = min(1.0, (progress.step + 1) / WARM_UP_STEPS)
            factor = self.run.rate * warm * min(1.0, (1 - done) / (1 - self.run.flat))
            loss, tokens = self.take_step(factor)
            now = time.monotonic()
            progress.seconds += self.agreed(now - clock)
            progress.step, progress.tokens, clock = progress.step + 1, progress.tokens + tokens, now
            progress.loss = loss if progress.step == 1 else 0.95 * progress.loss + 0.05 * loss
            if self.rank == 0 and progress.step % REPORT_STEPS == 0:
                self.report(factor)
            if now - saved > SAVE_SECONDS:
                self.save()
                saved = now
        self.save()

    def report(self, factor: float) -> None:
        """Print a line on the progress."""
        p = self.progress
        print(
            f"step {p.step} {p.seconds:.0f}s {p.tokens / 1e6:.2f}M tokens loss {p.loss:.4f} rate {factor:.3f}",
            flush=True,
        )

    def agreed(self, value: float) -> float:
        """Return the first process's value in all of them, so that they stop at the same step."""
        if self.processes == 1:
            return value
        shared = torch.tensor([value], dtype=torch.float64)
        dist.broadcast(shared, 0)
        return float(shared[0])

    def take_step(self, factor: float) -> tuple[float, int]:
        """Learn from one step; returns the loss per wanted token, and the tokens."""
        batches = next(self.steps)
        wanted = sum(int(batch.wanted[:, 1:].sum()) for batch in batches)
        self.model.zero_grad(set_to_none=False)  # a process that gets no batch has gradients too
        loss = sum(self.learn(batches[i], wanted) for i in self.shares(len(batches)))
        loss = self.add_gradients(loss)
        self.optimizer.step(factor)
        return loss, sum(batch.ids.numel() for batch in batches)

    def shares(self, count: int) -> Iterator[int]:
        """Yield the indices of the batches that this process takes; the counter begins anew at each step."""
        base = self.progress.step - self.first
        while True:
            with self.counter.get_lock():
                taken = self.counter.value - base * COUNTER_STRIDE
                if taken < 0:
                    self.counter.value, taken = base * COUNTER_STRIDE, 0
                self.counter.value += 1
            if taken >= count:
                return
            yield taken

    def add_gradients(self, loss: float) -> float:
        """Sum gradients and losses over the processes."""
        if self.processes == 1:
            return loss
        gradients = [p.grad for p in self.model.parameters() if p.grad is not None]
        flat = torch.cat([*(g.reshape(-1) for g in gradients), torch.tensor([loss])])
        dist.all_reduce(flat)
        for gradient, part in zip(gradients, flat[:-1].split([g.numel() for g in gradients]), strict=True):
            gradient.copy_(part.view_as(gradient))
        return float(flat[-1])

    def learn(self, batch: Batch, wanted: int) -> float:
        """Add a batch's gradients; returns its part of the loss."""
        ids, marks = batch.ids.to(self.device), batch.wanted[:, 1:].to(self.device)
        with torch.autocast(self.device.type, dtype=torch.bfloat16):
            logits = self.model.logits(self.model(ids[:, :-1])[marks])
        loss = F.cross_entropy(logits.float(), ids[:, 1:][marks], reduction="sum") / wanted
        loss.backward()
        return loss.item()
