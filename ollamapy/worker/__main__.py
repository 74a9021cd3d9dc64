"""Start of a worker process: frames in on standard input, frames out on standard output, logs on standard error."""

from __future__ import annotations

import gc
import logging
import os
import sys
import threading
from queue import SimpleQueue
from threading import ExceptHookArgs, Lock, Thread
from time import monotonic, sleep
from typing import BinaryIO

import msgspec
from msgspec.structs import replace

from ollamapy import wire
from ollamapy.config import chooses_waiting
from ollamapy.errors import InvalidInputError, OllamapyError
from ollamapy.worker.cell_state import CellState
from ollamapy.worker.constraint import Constraint, ConstraintFactory
from ollamapy.worker.devices import read_devices
from ollamapy.worker.draft import DraftModel
from ollamapy.worker.embedding import EmbeddingEngine
from ollamapy.worker.engine import Engine, useful_parallel
from ollamapy.worker.inputs import embed_inputs, read_prompt
from ollamapy.worker.llama import Llama
from ollamapy.worker.parking import Parking
from ollamapy.worker.pictures import Picture
from ollamapy.worker.quantize import quantize
from ollamapy.worker.snapshot import Snapshot
from ollamapy.worker.speculator import Speculator
from ollamapy.worker.vision import Projector
from ollamapy.worker.waiting import Waiting, idle_team

logger = logging.getLogger("ollamapy.worker")

GIL_SWITCH_SECONDS = 0.0005
UNLOAD_SECONDS = 2.5  # the parent loses its patience after 3
PROGRESS_STEP = 0.01
BEAT_SECONDS = 1.0


class Output:
    """The way to the parent; any thread may send."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._lock = Lock()

    def send(self, message: wire.Message) -> None:
        """Write one frame. Ends the process when nobody reads any more."""
        frame = wire.encode_frame(message)
        with self._lock:
            try:
                self._file.write(frame)
            except BrokenPipeError:
                os._exit(0)


class Pulse:
    """Tells the parent that steps come to an end, also where nothing comes of them, as in a long prompt."""

    def __init__(self, output: Output) -> None:
        self._output = output
        self._told = monotonic()

    def beat(self) -> None:
        """Say so if that was a while ago."""
        if (now := monotonic()) - self._told >= BEAT_SECONDS:
            self._told = now
            self._output.send(wire.Beat())


class Queued(msgspec.Struct, frozen=True):
    """A request whose prompt is tokenised and whose grammar is compiled."""

    request: wire.Generate
    prompt: list[int]
    constraint: Constraint | None
    pictures: dict[int, Picture]


class QueuedEmbed(msgspec.Struct, frozen=True):
    """A request whose inputs are tokenised."""

    request: wire.Embed
    inputs: list[list[int]]


Inbox = SimpleQueue[Queued | QueuedEmbed | wire.Cancel | wire.Unload]


def main() -> None:
    """Serve one model until the parent closes our standard input."""
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    sys.setswitchinterval(GIL_SWITCH_SECONDS)
    os.putenv("GGML_NO_BACKTRACE", "1")  # an abort ends the process at once, without a debugger
    output = Output(_claim_stdout())
    frames = sys.stdin.buffer
    output.send(wire.Hello(os.getpid()))
    load = _first_task(frames, output)
    if isinstance(load, wire.Quantize):
        Thread(target=_next, args=(frames,), name="reader", daemon=True).start()  # notices that the parent is gone
        output.send(_quantized(load, output))
        return
    if not isinstance(load, wire.LoadModel):
        raise SystemExit("a worker must be told to load a model first")
    inbox: Inbox = SimpleQueue()
    threading.excepthook = _end_with_thread
    reader = Reader(frames, inbox, output, embeds=load.embeds)
    Thread(target=reader.run, name="reader", daemon=True).start()
    llama, draft, eye = _load(load, output)
    reader.attach(llama, eye)
    output.send(_ready(load, llama, draft))
    pulse = Pulse(output)
    waiting = Waiting(None if chooses_waiting(os.environ) else idle_team(llama.n_threads))
    gc.freeze()  # what is here stays: no collection need look at it again
    if load.embeds:
        _serve_embeddings(EmbeddingEngine(llama, output.send, monotonic), inbox, pulse, waiting)
    else:
        speculator = Speculator(draft, monotonic) if llama.can_cut and load.speculates else None
        engine = Engine(
            llama,
            output.send,
            monotonic,
            n_parallel=load.n_parallel,
            speculator=speculator,
            retina=eye,
            parking=Parking(CellState(llama), load.parking_bytes) if load.parking_bytes else None,
        )
        _serve(engine, inbox, Snapshot(load, llama, monotonic), pulse, waiting)


def _end_with_thread(failed: ExceptHookArgs) -> None:
    """End the process with a thread that failed: a worker that is deaf would keep its requests for ever."""
    threading.__excepthook__(failed)
    sys.stderr.flush()
    os._exit(1)


def _first_task(frames: BinaryIO, output: Output) -> wire.ToWorker:
    """Tell about the devices until something else is asked for."""
    while isinstance(message := _next(frames), wire.Measure):
        output.send(wire.Devices(read_devices()))
    return message


def _claim_stdout() -> BinaryIO:
    """Keep standard output for frames; whatever C code prints goes to standard error."""
    descriptor = os.dup(1)
    os.dup2(2, 1)
    return os.fdopen(descriptor, "wb", buffering=0)


def _serve(engine: Engine, inbox: Inbox, snapshot: Snapshot, pulse: Pulse, waiting: Waiting) -> None:
    snapshot.restore(engine.cells)
    while True:
        while not (engine.is_busy and inbox.empty()):
            message = inbox.get()
            if isinstance(message, wire.Cancel):
                engine.cancel(message.id)
            elif isinstance(message, wire.Unload):
                snapshot.save(engine.cells)
                os._exit(0)
            elif isinstance(message, Queued):
                engine.add(message.request, message.prompt, message.constraint, message.pictures)
        engine.step()
        pulse.beat()
        waiting.look(monotonic())


def _serve_embeddings(engine: EmbeddingEngine, inbox: Inbox, pulse: Pulse, waiting: Waiting) -> None:
    while True:
        while not (engine.is_busy and inbox.empty()):
            message = inbox.get()
            if isinstance(message, wire.Cancel):
                engine.cancel(message.id)
            elif isinstance(message, wire.Unload):
                os._exit(0)
            elif isinstance(message, QueuedEmbed):
                engine.add(message.request, message.inputs)
        engine.step()
        pulse.beat()
        waiting.look(monotonic())


def _load(load: wire.LoadModel, output: Output) -> tuple[Llama, DraftModel | None, Projector | None]:
    reported = 0.0

    def report(fraction: float) -> None:
        nonlocal reported
        if fraction - reported >= PROGRESS_STEP:
            reported = fraction
            output.send(wire.LoadProgress(fraction))

    try:
        llama = Llama(load, report)
        eye = Projector(load.projector, llama, uses_gpu=load.n_gpu_layers != 0) if load.projector else None
        if not (load.draft and load.speculates and llama.can_cut):
            return llama, None, eye
        small = replace(load, path=load.draft, shards=[], adapters=[], projector="", draft="")
        return llama, DraftModel(Llama(small, report), llama), eye
    except OllamapyError as exc:
        output.send(wire.LoadFailed(exc.message))
        raise SystemExit(1) from exc


def _quantized(task: wire.Quantize, output: Output) -> wire.FileDone | wire.FileFailed:
    try:
        quantize(task, lambda done, total: output.send(wire.FileProgress(done, total)))
    except OllamapyError as exc:
        return wire.FileFailed(exc.message)
    return wire.FileDone()


def _ready(load: wire.LoadModel, llama: Llama, draft: DraftModel | None) -> wire.Ready:
    return wire.Ready(
        n_ctx=llama.n_ctx,
        n_ctx_train=llama.n_ctx_train,
        n_vocab=llama.n_vocab,
        n_embd=llama.n_embd,
        n_seq_max=llama.n_seq_max,
        n_parallel=load.n_parallel or (llama.n_seq_max if load.embeds else useful_parallel(llama)),
        size=llama.size_bytes + (draft.size_bytes if draft else 0),
        size_vram=llama.size_device_bytes + (draft.size_device_bytes if draft else 0),
        control_tokens=llama.control_tokens(),
        bos_token=llama.bos_token,
        eos_token=llama.eos_token,
        adds_bos=llama.adds_bos,
        adds_eos=llama.adds_eos,
        description=llama.description,
        buffers=llama.buffers,
    )


class Reader:
    """Takes messages as they come; prompts are tokenised here, beside the running decode.

    It reads from before the load, so that a parent that dies meanwhile is noticed.
    """

    def __init__(self, frames: BinaryIO, inbox: Inbox, output: Output, *, embeds: bool) -> None:
        self._frames = frames
        self._inbox = inbox
        self._output = output
        self._embeds = embeds
        self._loaded: SimpleQueue[tuple[Llama, Projector | None]] = SimpleQueue()

    def attach(self, llama: Llama, eye: Projector | None) -> None:
        """Let the reader take requests for this model, with pictures for its projector."""
        self._loaded.put((llama, eye))

    def run(self) -> None:
        """Read until the process ends."""
        message = _next(self._frames)
        llama, eye = self._loaded.get()
        constraints = ConstraintFactory(llama)
        while True:
            try:
                self._take(message, llama, eye, constraints)
            except OllamapyError as exc:
                kind: wire.ErrorKind = "invalid" if isinstance(exc, InvalidInputError) else "internal"
                self._output.send(wire.Failed(getattr(message, "id", 0), kind, exc.message))
            message = _next(self._frames)

    def _take(
        self, message: wire.ToWorker, llama: Llama, eye: Projector | None, constraints: ConstraintFactory
    ) -> None:
        match message:
            case wire.Generate() if not self._embeds:
                text, pictures = read_prompt(llama, message.segments, eye, add_special=message.add_special)
                constraint = (
                    constraints.build(message.grammar, message.grammar_field) if message.grammar is not None else None
                )
                begin = len(message.prefix_tokens)
                moved = {begin + index: picture for index, picture in pictures.items()}
                self._inbox.put(Queued(message, [*message.prefix_tokens, *text], constraint, moved))
            case wire.Embed() if self._embeds:
                self._inbox.put(QueuedEmbed(message, embed_inputs(llama, message)))
            case wire.Generate() | wire.Embed():
                what = "embed" if self._embeds else "generate"
                self._output.send(wire.Failed(message.id, "unsupported", f"this model is loaded to {what} only"))
            case wire.Cancel():
                self._inbox.put(message)
            case wire.Unload():
                self._inbox.put(message)
                sleep(UNLOAD_SECONDS)  # the engine ends the process before this does
                os._exit(0)
            case wire.Tokenize():
                tokens, _ = read_prompt(llama, message.segments, eye, add_special=message.add_special)
                self._output.send(wire.Tokens(message.id, tokens))
            case wire.Detokenize():
                self._output.send(wire.Text(message.id, llama.detokenize(message.tokens)))
            case wire.LoadModel() | wire.Measure() | wire.Quantize() | wire.Translate() | wire.Convert():
                logger.error("a worker loads one model only; the second is ignored")


def _next(frames: BinaryIO) -> wire.ToWorker:
    """Read one message. The end of input, also in mid-frame, means that the parent is gone: so are we."""
    header = frames.read(wire.HEADER.size)
    if len(header) < wire.HEADER.size:
        os._exit(0)
    (size,) = wire.HEADER.unpack(header)
    body = frames.read(size)
    if len(body) < size:
        os._exit(0)
    return wire.decode_to_worker(body)


if __name__ == "__main__":
    main()
