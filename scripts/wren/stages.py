"""The stages of making the models, each done once: what a stage wrote is not made again."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer

from wren import corpus
from wren.batches import encode
from wren.embedder import Body, nearer_share, train_embedder, write_embedder
from wren.evaluate import as_json, score, table
from wren.export import export
from wren.model import Shape
from wren.start import take_over, tokenizer_at
from wren.tokens import fragments_of, read_tokens, train_tokenizer
from wren.train import Run, train
from wren.verify import verify
from wren.vision import Sight, train_eye, write_eye
from wren.world import Part

TOKENIZER_DOCUMENTS = 40_000
TRIPLES = 1000
HELD_SEED = 1_000_003  # added to the seed, so that held-out cases share no random numbers with documents


@dataclass(frozen=True, slots=True)
class Plan:
    """What to make; see the options of `make`."""

    build: Path
    out: Path
    minutes: float
    documents: int
    start: Path | None
    blend: tuple[Path, ...]
    new_tokenizer: bool
    processes: int
    step_tokens: int
    rate: float
    seed: int
    cases: int
    embedder_steps: int
    eye_steps: int


def make(plan: Plan) -> None:
    """Make everything; blocks for a little longer than the minutes of the plan."""
    plan.build.mkdir(parents=True, exist_ok=True)
    tokenizer = make_tokenizer(plan)
    shape = Shape(vocabulary=tokenizer.get_vocab_size())
    if plan.blend:
        blend_weights(plan, tokenizer, shape)
    else:
        make_corpus(plan, tokenizer)
        make_documents(plan, tokenizer, shape)
        make_weights(plan, tokenizer, shape)
    model = export(plan.build, shape, plan.out)
    verify(model, plan.build)
    make_embedder(plan, tokenizer)
    make_eye(plan, tokenizer)
    write_scores(plan, model)


def make_corpus(plan: Plan, tokenizer: Tokenizer) -> None:
    """Write the documents as text."""
    path = plan.build / "corpus.jsonl"
    if not path.exists():
        half = path.with_suffix(".half")
        corpus.write_lines(half, corpus.documents(plan.documents, plan.seed, fragments_of(tokenizer)))
        half.replace(path)


def read_corpus(plan: Plan) -> Iterable[list[Part]]:
    """Yield the documents."""
    with (plan.build / "corpus.jsonl").open(encoding="utf-8") as file:
        for line in file:
            yield json.loads(line)


def make_tokenizer(plan: Plan) -> Tokenizer:
    """Take the tokenizer of the model to begin from, or of the first to blend, or learn one."""
    path = plan.build / "tokenizer.json"
    origin = plan.start or next(iter(plan.blend), None)
    if origin and not plan.new_tokenizer and not path.exists():
        tokenizer_at(origin).save(str(path))
    if not path.exists():
        rows = corpus.documents(TOKENIZER_DOCUMENTS, plan.seed)
        slots = {word for pool in corpus.SLOTS for word in pool}
        train_tokenizer(("".join(text for text, _ in row) for row in rows), slots).save(str(path))
    return Tokenizer.from_file(str(path))


def make_documents(plan: Plan, tokenizer: Tokenizer, shape: Shape) -> None:
    """Encode the corpus."""
    if not (plan.build / "ends.npy").exists():
        dropped = encode(read_corpus(plan), tokenizer, shape.context, plan.build)
        print(f"{dropped} documents are longer than {shape.context} tokens and left out", flush=True)


def make_weights(plan: Plan, tokenizer: Tokenizer, shape: Shape) -> None:
    """Train the chat model for the rest of its minutes."""
    start = None
    if plan.start:
        start = plan.build / "start.safetensors"
        take_over(plan.start, tokenizer, shape, start)
    run = Run(
        build=plan.build,
        minutes=plan.minutes,
        shape=shape,
        start=start,
        processes=plan.processes,
        step_tokens=plan.step_tokens,
        rate=plan.rate,
        seed=plan.seed,
    )
    train(run)
    saved = torch.load(run.build / "checkpoint.pt", map_location="cpu", weights_only=True)["model"]
    save_file({name: weight.contiguous() for name, weight in saved.items()}, plan.build / "weights.safetensors")


def blend_weights(plan: Plan, tokenizer: Tokenizer, shape: Shape) -> None:
    """Write the mean of the weights of models that went on from one another: better than each of them."""
    parts = []
    for number, folder in enumerate(plan.blend):
        path = plan.build / f"part-{number}.safetensors"
        take_over(folder, tokenizer, shape, path)
        parts.append(load_file(path))
    mean = {name: torch.stack([part[name].float() for part in parts]).mean(0).contiguous() for name in parts[0]}
    save_file(mean, plan.build / "weights.safetensors")


def make_embedder(plan: Plan, tokenizer: Tokenizer) -> None:
    """Train and write the embedding model."""
    if (plan.out / "wren-embed-q8_0.gguf").exists():
        return
    body = Body(vocabulary=tokenizer.get_vocab_size())
    model = train_embedder(body, tokenizer, plan.embedder_steps, plan.seed)
    path = write_embedder(plan.out, model, body, read_tokens(plan.build / "tokenizer.json"))
    print(f"wren-embed: {nearer_share(path, TRIPLES, plan.seed + HELD_SEED, 'held'):.1%} of triples right", flush=True)


def make_eye(plan: Plan, tokenizer: Tokenizer) -> None:
    """Train and write the projector for the chat model's embeddings."""
    path = plan.out / "wren-eye-f16.gguf"
    if path.exists():
        return
    embedding = load_file(plan.build / "weights.safetensors")["embed.weight"]
    sight = Sight(projected=embedding.shape[1])
    write_eye(path, train_eye(sight, embedding, tokenizer, plan.eye_steps, plan.seed), sight)


def write_scores(plan: Plan, model: Path) -> None:
    """Score the model on held-out cases."""
    scores = score(model, corpus.cases(plan.cases, plan.seed + HELD_SEED, "held"))
    (plan.out / "scores.json").write_text(as_json(scores), encoding="utf-8")
    print(table(scores), flush=True)
    shutil.copyfile(plan.build / "tokenizer.json", plan.out / "tokenizer.json")
