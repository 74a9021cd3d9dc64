"""Pictures, from each API to a real projector and back; the projector is not trained, so that only wiring is tested."""

from __future__ import annotations

import base64
import hashlib
import io
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.projector import N_TOKENS, write_projector
from tests.server.conftest import Daemon, running

pytestmark = pytest.mark.model
OPTIONS = {"temperature": 0, "num_predict": 12}
WREN_WIDTH = 256


def picture(color: str, kind: str = "PNG") -> str:
    """A picture of one colour, in base64."""
    data = io.BytesIO()
    Image.new("RGB", (48, 40), color).save(data, kind)
    return base64.b64encode(data.getvalue()).decode()


RED, BLUE, RED_BMP = picture("red"), picture("blue"), picture("red", "BMP")


@pytest.fixture(scope="module")
def seeing(tmp_path_factory: pytest.TempPathFactory, wren_gguf: Path) -> Iterator[Daemon]:
    """A daemon with `eye`: wren with a projector."""
    folder = tmp_path_factory.mktemp("eye")
    write_projector(folder / "mmproj.gguf", WREN_WIDTH)
    with running(folder) as daemon:
        files = {}
        for path in (wren_gguf, folder / "mmproj.gguf"):
            data = path.read_bytes()
            digest = files[path.name] = f"sha256:{hashlib.sha256(data).hexdigest()}"
            assert daemon.client.post(f"/api/blobs/{digest}", content=data).status_code == 201
        assert daemon.lines("/api/create", {"model": "eye", "files": files})[-1] == {"status": "success"}
        yield daemon


def chat(daemon: Daemon, *images: str, content: str = "What is this?", **more: Any) -> dict[str, Any]:
    body = {"model": "eye", "messages": [{"role": "user", "content": content, "images": list(images)}], **more}
    answer: dict[str, Any] = daemon.client.post(
        "/api/chat", json={"options": OPTIONS, "think": False, "stream": False, **body}
    ).json()
    return answer


def test_a_picture_counts_and_changes_the_answer(seeing: Daemon) -> None:
    none, red, blue, other = (chat(seeing, *images, logprobs=True) for images in ((), (RED,), (BLUE,), (RED_BMP,)))
    assert red["prompt_eval_count"] - none["prompt_eval_count"] >= N_TOKENS
    first = [answer["logprobs"][0] for answer in (none, red, blue, other)]
    assert len({(token["token"], token["logprob"]) for token in first[:3]}) == 3
    assert first[3] == first[1]


def test_the_same_picture_again_is_not_computed_again(seeing: Daemon) -> None:
    seen, unseen = picture("purple"), picture("orange")
    chat(seeing, seen, content="One of them")
    again, other = (chat(seeing, data, content="One of them, and more") for data in (seen, unseen))
    assert again["cached_tokens"] >= other["cached_tokens"] + N_TOKENS


def test_pictures_of_many_clients_at_once_are_all_answered(seeing: Daemon) -> None:
    """That each gets the text that it gets alone is tested in the engine, where near ties can't tip over."""
    colors = [picture(color) for color in ("green", "yellow", "black", "white")]
    alone = [chat(seeing, color, content="Say it")["prompt_eval_count"] for color in colors]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda color: chat(seeing, color, content="Say it"), colors * 2))
    assert [answer["prompt_eval_count"] for answer in together] == alone * 2
    assert all(answer["message"]["content"] for answer in together)


def test_each_api_takes_pictures(seeing: Daemon) -> None:
    said = chat(seeing, RED)["message"]["content"]
    url = f"data:image/png;base64,{RED}"
    parts = [{"type": "image_url", "image_url": {"url": url}}, {"type": "text", "text": "What is this?"}]
    body = {"model": "eye", "messages": [{"role": "user", "content": parts}], "reasoning_effort": "none"}
    answer = seeing.client.post("/v1/chat/completions", json={**body, "temperature": 0, "max_tokens": 12}).json()
    assert answer["choices"][0]["message"]["content"] == said
    source = {"type": "base64", "media_type": "image/png", "data": RED}
    blocks = [{"type": "image", "source": source}, {"type": "text", "text": "What is this?"}]
    body = {"model": "eye", "messages": [{"role": "user", "content": blocks}], "max_tokens": 12, "temperature": 0}
    body |= {"thinking": {"type": "disabled"}}
    answer = seeing.client.post("/v1/messages", json=body).json()
    assert answer["content"][0]["text"] == said
    counted = seeing.client.post("/v1/messages/count_tokens", json=body).json()["input_tokens"]
    assert counted == answer["usage"]["input_tokens"]
    events = [event for event in seeing.events("/v1/messages", {**body, "stream": True}) if "text_delta" in event]
    assert "".join(json.loads(event.partition("data: ")[2])["delta"]["text"] for event in events) == said
    items = [{"type": "input_image", "image_url": url}, {"type": "input_text", "text": "What is this?"}]
    body = {"model": "eye", "input": [{"role": "user", "content": items}], "temperature": 0, "max_output_tokens": 16}
    assert seeing.client.post("/v1/responses", json=body).json()["usage"]["input_tokens"] > N_TOKENS


def test_generate_takes_pictures_raw_and_by_the_template(seeing: Daemon) -> None:
    body = {"model": "eye", "prompt": "What is this?", "images": [RED], "options": OPTIONS, "stream": False}
    answer = seeing.client.post("/api/generate", json={**body, "think": False}).json()
    assert answer["response"] == chat(seeing, RED)["message"]["content"]
    raw = seeing.client.post("/api/generate", json={**body, "raw": True, "prompt": "See [img-0] here"}).json()
    plain = seeing.client.post("/api/generate", json={**body, "raw": True, "prompt": "See  here", "images": []}).json()
    assert raw["prompt_eval_count"] >= plain["prompt_eval_count"] + N_TOKENS - 2


def test_a_raw_prompt_that_ends_with_a_picture_is_refused_with_the_reason(seeing: Daemon) -> None:
    body = {"model": "eye", "prompt": "See [img-0]", "raw": True, "images": [RED], "stream": False}
    response = seeing.client.post("/api/generate", json=body)
    assert (response.status_code, "ends with a picture" in response.json()["error"]) == (400, True), response.text


def test_the_rendered_prompt_shows_where_pictures_are(seeing: Daemon) -> None:
    messages = [{"role": "user", "content": "Both?", "images": [RED, BLUE]}]
    prompt = seeing.client.post("/api/render", json={"model": "eye", "messages": messages}).json()["prompt"]
    assert "[img-0]\n[img-1]\nBoth?" in prompt
    assert "picture-" not in prompt


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (b"no picture at all", "no known format"),
        (base64.b64decode(RED)[:60], "damaged"),
    ],
    ids=["text", "truncated"],
)
def test_what_is_no_picture_is_refused(seeing: Daemon, data: bytes, complaint: str) -> None:
    body = {"model": "eye", "messages": [{"role": "user", "content": "?", "images": [base64.b64encode(data).decode()]}]}
    response = seeing.client.post("/api/chat", json={**body, "stream": False})
    assert (response.status_code, complaint in response.json()["error"]) == (400, True), response.text
    assert chat(seeing, RED)["done"] is True


def test_a_text_model_refuses_pictures(seeing: Daemon) -> None:
    body = {"model": "wren", "messages": [{"role": "user", "content": "?", "images": [RED]}]}
    response = seeing.client.post("/api/chat", json=body)
    assert response.status_code == 400
    assert "text model" in response.json()["error"]


def test_pictures_that_do_not_fit_are_an_error_with_both_numbers(seeing: Daemon) -> None:
    answer = chat(seeing, *[RED] * 100, truncate=False)
    assert "context" in answer["error"]
    assert any(character.isdigit() for character in answer["error"])


def test_old_pictures_go_with_their_turns(seeing: Daemon) -> None:
    turns = [
        message
        for _ in range(70)
        for message in (
            {"role": "user", "content": "What is this?", "images": [RED]},
            {"role": "assistant", "content": "A colour."},
        )
    ]
    body = {"model": "eye", "messages": [*turns, {"role": "user", "content": "And this?", "images": [BLUE]}]}
    answer = seeing.client.post("/api/chat", json={**body, "options": OPTIONS, "stream": False}).json()
    assert answer["dropped_messages"] > 0
    assert answer["done"] is True


def test_the_model_is_said_to_see(seeing: Daemon) -> None:
    shown = seeing.client.post("/api/show", json={"model": "eye"}).json()
    assert "vision" in shown["capabilities"]
    assert shown["projector_info"]["clip.projector_type"] == "mlp"
