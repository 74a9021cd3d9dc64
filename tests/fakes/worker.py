"""A program that speaks the worker's side of `ollamapy.wire` and misbehaves as its flags say.

Start it with `fake_worker_command(...)`. A prompt is answered by its own words, one output each, or in the way that
the flag `--generate` names. A prompt that begins with `!` names the way itself: `!stall`, `!crash-decode`,
`!failed:option`. So does a text to embed; the vector of any other is its length and 1. Detokenising nothing tells which
requests were cancelled.
"""

from __future__ import annotations

import argparse
import os
import signal
import struct
import subprocess
import sys
from pathlib import Path
from typing import BinaryIO

import msgspec

from ollamapy import wire

READY = wire.Ready(
    n_ctx=4096,
    n_ctx_train=8192,
    n_vocab=512,
    n_embd=64,
    n_seq_max=64,
    n_parallel=64,
    size=1_000_000,
    size_vram=0,
    control_tokens=["<|im_start|>", "<|im_end|>"],
    bos_token="<s>",
    eos_token="</s>",
    adds_bos=True,
    adds_eos=False,
    description="fake 1M F32",
)


def ready_for(load: wire.LoadModel) -> wire.Ready:
    """Return what a worker says of itself that was given this message."""
    return msgspec.structs.replace(READY, n_parallel=load.n_parallel or READY.n_parallel)


def fake_worker_command(*flags: str) -> tuple[str, ...]:
    """Return the command line of a fake worker with these flags."""
    root = Path(__file__).resolve().parents[2]
    code = f"import sys; sys.path.insert(0, {str(root)!r}); from tests.fakes.worker import main; main()"
    return (sys.executable, "-c", code, *flags)


def main() -> None:
    """Serve until standard input ends."""
    flags = _parse_flags()
    if flags.deaf:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if flags.hello == "crash":
        _say(flags.last_words)
        sys.exit(3)
    if flags.hello == "send":
        _send(wire.Hello(os.getpid()))
    if flags.hello == "die-after":
        _send(wire.Hello(os.getpid()))
        sys.exit(0)
    _Worker(flags).serve()
    while flags.deaf:
        signal.pause()


def _parse_flags() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--hello", choices=["send", "never", "crash", "die-after"], default="send")
    parser.add_argument("--measure", default="0", help="how many accelerators there are, or exit or stall")
    parser.add_argument("--load", default="ready", help="ready, failed, exit, signal, stall, garbage or gate:FIFO")
    parser.add_argument("--progress", type=int, default=2, help="how many progress messages precede the end of a load")
    parser.add_argument("--generate", default="echo", help="echo, or what else a prompt may ask for with '!'")
    parser.add_argument("--last-words", default="", help="written to standard error before an exit")
    parser.add_argument("--deaf", action="store_true", help="outlive the end of input and SIGTERM")
    parser.add_argument("--stop-reading", action="store_true", help="read nothing more once the model is loaded")
    return parser.parse_args()


class _Worker:
    def __init__(self, flags: argparse.Namespace) -> None:
        self._flags = flags
        self._cancelled: list[int] = []

    def serve(self) -> None:
        while (message := _receive(sys.stdin.buffer)) is not None:
            match message:
                case wire.Measure():
                    self._measure()
                case wire.LoadModel():
                    self._load(message)
                case wire.Generate():
                    self._generate(message)
                case wire.Cancel(id=request_id):
                    self._cancelled.append(request_id)
                case wire.Unload():
                    return
                case wire.Embed():
                    self._embed(message)
                case wire.Tokenize(id=request_id, segments=segments):
                    text = "".join(segment.text for segment in segments)
                    _send(wire.Tokens(request_id, [ord(character) for character in text]))
                case wire.Detokenize(id=request_id, tokens=tokens):
                    _send(wire.Text(request_id, "".join(map(chr, tokens)) or f"cancelled {self._cancelled}"))

    def _measure(self) -> None:
        if self._flags.measure == "exit":
            _say(self._flags.last_words)
            sys.exit(3)
        if self._flags.measure != "stall":
            devices = [
                wire.Device(f"FAKE{number}", "FAKE", "gpu", "a GPU of paper", 8 << 30, 7 << 30)
                for number in range(int(self._flags.measure))
            ]
            _send(wire.Devices(devices))

    def _load(self, load: wire.LoadModel) -> None:
        for step in range(self._flags.progress):
            _send(wire.LoadProgress((step + 1) / self._flags.progress))
        way, _, path = self._flags.load.partition(":")
        if way == "gate":
            Path(path).read_bytes()  # returns when the test has opened and closed the other end
        if way == "stall":
            return
        if way == "failed":
            _send(wire.LoadFailed(f"llama_model_load: error loading model {load.path}: tensor 'x' is missing"))
            sys.exit(1)
        _misbehave(way, self._flags.last_words)
        _send(ready_for(load))
        while self._flags.stop_reading:
            signal.pause()

    def _generate(self, request: wire.Generate) -> None:
        known = "".join(map(chr, request.prefix_tokens))
        prompt = known + "".join(segment.text for segment in request.segments)
        way = prompt[1:] if prompt.startswith("!") else self._flags.generate
        way, _, detail = way.partition(":")
        if way in ("stall", "crash-decode"):
            _send(wire.Step([wire.Output(request.id, "first ")], 1))
        if way == "stall":
            return
        if way == "failed":
            kind: wire.ErrorKind = detail  # type: ignore[assignment]
            _send(wire.Failed(request.id, kind, "temperature: must not be negative", [90, 64]))
            return
        _misbehave({"crash-prefill": "exit", "crash-decode": "signal"}.get(way, way), self._flags.last_words)
        if way == "unknown-id":
            _send(wire.Step([wire.Output(request.id + 1000, "nobody's")], 1))
        _echo(request, prompt)

    def _embed(self, request: wire.Embed) -> None:
        texts = ["".join(segment.text for segment in segments) for segments in request.inputs]
        for text in texts:
            way, _, detail = text.removeprefix("!").partition(":")
            if way == "failed":
                _send(wire.Failed(request.id, detail, f"{detail} it is", [90, 64]))  # type: ignore[arg-type]
                return
            if text.startswith("!"):
                _misbehave(way, self._flags.last_words)
                return
        vectors = [struct.pack("<2f", len(text), 1.0) for text in texts]
        vectors += [struct.pack("<2f", len(tokens), 0.5) for tokens in request.tokens]
        _send(wire.Embeddings(request.id, vectors, sum(map(len, texts)), 0, 0.1))


def _echo(request: wire.Generate, prompt: str) -> None:
    words = prompt.split(" ")
    for word in words:
        _send(wire.Step([wire.Output(request.id, word + " ")], 1))
    finished = wire.Finished("stop", len(words), 0, len(words), 0.1, 0.2)
    _send(wire.Step([wire.Output(request.id, "", finished=finished)], 0))


def _misbehave(way: str, last_words: str) -> None:
    if way in ("exit", "signal"):
        _say(last_words)
    if way == "exit":
        sys.exit(7)
    if way == "signal":
        os.kill(os.getpid(), signal.SIGKILL)
    if way == "garbage":
        _write(b"llama_print_timings: something that was printed\n")
    if way == "bad-frame":
        _write(wire.HEADER.pack(3) + b"\xc1\xc1\xc1")
    if way == "leave-child":  # which holds the pipes open, as a debugger that llama.cpp starts would
        subprocess.Popen(("sleep", "3"))
        os.kill(os.getpid(), signal.SIGKILL)
    if way == "hello-again":
        _send(wire.Hello(os.getpid()))


def _receive(stream: BinaryIO) -> wire.ToWorker | None:
    header = stream.read(wire.HEADER.size)
    if len(header) < wire.HEADER.size:
        return None
    (size,) = wire.HEADER.unpack(header)
    return wire.decode_to_worker(stream.read(size))


def _send(message: wire.Message) -> None:
    _write(wire.encode_frame(message))


def _write(data: bytes) -> None:
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


def _say(words: str) -> None:
    sys.stderr.write(words + "\n")
    sys.stderr.flush()


if __name__ == "__main__":
    main()
