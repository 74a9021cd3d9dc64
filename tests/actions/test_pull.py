"""Pulls from a registry in memory: what arrives, what is refused, and what stays after a failure."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import re
import threading
from contextlib import aclosing
from hashlib import sha256
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response, StreamingResponse

from ollamapy.actions.delete import delete
from ollamapy.actions.pull import pull
from ollamapy.errors import (
    DiskFullError,
    ForbiddenError,
    InvalidInputError,
    OllamapyError,
    RegistryError,
    RegistryUnavailableError,
    TransferError,
    UnauthorizedError,
)
from ollamapy.names import Digest, ModelName
from ollamapy.store import CONFIG_TYPE, WEIGHTS_TYPE
from ollamapy.types import TransferRequest
from tests.fakes.registry import MANIFEST_TYPE, FakeRegistry, Puller, digest_of, fake_registry, layer, plain

WEIGHTS = os.urandom(700_000)


@pytest.fixture(scope="module")
def server():
    with fake_registry() as registry:
        yield registry


@pytest.fixture
def registry(server):
    server.reset()
    server.add("me/tiny:latest", WEIGHTS, b"licence")
    return server


@pytest.fixture
def puller(registry, tmp_path):
    return Puller(tmp_path, plain(registry))


def name_of(registry: FakeRegistry, text: str = "me/tiny") -> str:
    return f"{registry.host}/{text}"


def content(puller: Puller, data: bytes) -> bytes:
    return puller.store.open_blob(Digest.parse(digest_of(data))).read_bytes()


def only_blobs(request: Request, answer: Response, bent: Response) -> Response:
    return bent if "/blobs/" in request.url.path else answer


def test_a_model_arrives_whole_and_its_manifest_byte_for_byte(registry, puller):
    steps = puller.pull(name_of(registry))
    assert content(puller, WEIGHTS) == WEIGHTS
    stored, data = puller.store.read_manifest_file(ModelName.parse(name_of(registry)))
    assert data == registry.manifests["me/tiny:latest"]
    assert stored.digest == Digest.of(data)
    assert list((puller.store.root / "uploads").glob("partial-*")) == []
    statuses = list(dict.fromkeys(step.status for step in steps))
    layers = [f"pulling {digest_of(data)[7:19]}" for data in (WEIGHTS, b"licence", b"{}")]
    assert statuses == ["pulling manifest", *layers, "verifying sha256 digest", "writing manifest", "success"]
    weights = [step for step in steps if step.digest == digest_of(WEIGHTS)]
    assert {step.total_bytes for step in weights} == {len(WEIGHTS)}
    assert weights[-1].completed_bytes == len(WEIGHTS)


def test_what_is_there_is_not_fetched_again(registry, puller):
    puller.pull(name_of(registry))
    registry.requests.clear()
    steps = puller.pull(name_of(registry))
    assert registry.paths("/blobs/") == []
    assert [(s.total_bytes, s.completed_bytes) for s in steps if s.digest == digest_of(WEIGHTS)] == [(700_000, 700_000)]


def test_layers_that_an_update_replaces_are_removed_if_nobody_needs_them(registry, puller):
    puller.pull(name_of(registry))
    registry.add("me/tiny:latest", b"newer weights", b"licence")
    statuses = [step.status for step in puller.pull(name_of(registry))]
    assert "removing unused layers" in statuses
    assert not puller.store.has_blob(Digest.parse(digest_of(WEIGHTS)))
    assert content(puller, b"licence") == b"licence"


def test_an_unknown_model_is_told_in_the_words_that_clients_look_for(registry, puller):
    with pytest.raises(RegistryError, match=r"^pull model manifest: file does not exist$"):
        puller.pull(name_of(registry, "me/nope"))


@pytest.mark.parametrize("count", [1, 3])
def test_a_registry_that_is_busy_is_asked_again(registry, puller, count):
    failures = iter([Response(status_code=503)] * count)
    registry.bend = lambda request, answer: next(failures, answer)
    puller.pull(name_of(registry))
    assert content(puller, WEIGHTS) == WEIGHTS


def test_parts_that_break_stall_or_come_from_elsewhere_are_asked_for_again(registry, puller):
    broken: dict[str, int] = {}

    async def stall(body: bytes):
        yield body[:10]
        await asyncio.Event().wait()

    def bend(request: Request, answer: Response) -> Response:
        wanted = request.headers.get("range", "")
        broken[wanted] = broken.get(wanted, 0) + 1
        if answer.status_code != 206 or broken[wanted] > 1:
            return answer
        match len(broken) % 4:
            case 0:
                return Response(
                    answer.body[: len(answer.body) // 2], 206, {"content-range": answer.headers["content-range"]}
                )
            case 1:
                return Response(answer.body, 206, {"content-range": "bytes 1-2/700000"})
            case 2:
                return StreamingResponse(
                    stall(bytes(answer.body)), 206, {"content-range": answer.headers["content-range"]}
                )
        return answer

    registry.bend = bend
    puller.pull(name_of(registry))
    assert content(puller, WEIGHTS) == WEIGHTS


def test_a_registry_without_ranges_sends_all_of_it(registry, puller):
    registry.bend = lambda request, answer: only_blobs(
        request, answer, Response(registry.blobs.get(request.url.path.rpartition("/")[2]))
    )
    puller.pull(name_of(registry))
    assert content(puller, WEIGHTS) == WEIGHTS


def test_what_has_arrived_stays_and_the_next_pull_fetches_the_rest_alone(registry, puller):
    served: list[str] = []

    def bend(request: Request, answer: Response) -> Response:
        if answer.status_code == 206:
            served.append(request.headers["range"])
        return Response(status_code=503) if len(served) > 4 else answer

    registry.bend = bend
    with pytest.raises(RegistryUnavailableError):
        puller.pull(name_of(registry))
    first = set(served[:4])
    registry.bend, registry.requests[:] = (lambda _request, answer: answer), []
    puller.pull(name_of(registry))
    second = {headers.get("range") for _, path, headers in registry.requests if "/blobs/" in path}
    assert content(puller, WEIGHTS) == WEIGHTS
    assert first & second == set()


def test_a_part_that_was_kept_and_damaged_is_noticed_and_fetched_again(registry, puller):
    registry.bend = lambda request, answer: (
        Response(status_code=503) if request.headers.get("range", "").startswith("bytes=655360") else answer
    )
    with pytest.raises(RegistryUnavailableError):
        puller.pull(name_of(registry))
    [partial] = (path for path in (puller.store.root / "uploads").glob("partial-*") if path.suffix != ".json")
    partial.write_bytes(b"\0" * len(WEIGHTS))
    registry.bend = lambda _request, answer: answer
    puller.pull(name_of(registry))
    assert content(puller, WEIGHTS) == WEIGHTS


def test_several_pulls_of_one_model_share_one_transfer_that_ends_with_the_last_waiter(registry, puller):
    gate = threading.Event()

    async def held(answer: Response) -> Response:
        await asyncio.to_thread(gate.wait)
        return answer

    registry.bend = lambda request, answer: held(answer) if "/blobs/" in request.url.path else answer

    async def both() -> list[list[str]]:
        services = await puller.services()

        async def one(joined: asyncio.Event) -> list[str]:
            async with aclosing(pull(services, TransferRequest(name_of(registry)))) as steps:
                statuses = []
                async for step in steps:
                    statuses.append(step.status)
                    if step.digest:
                        joined.set()
                return statuses

        joined = [asyncio.Event() for _ in range(3)]
        leaver, *others = [asyncio.create_task(one(event)) for event in joined]
        for event in joined:
            await event.wait()
        leaver.cancel()
        gate.set()
        try:
            return await asyncio.gather(*others)
        finally:
            await services.remotes.close()

    assert [statuses[-1] for statuses in asyncio.run(both())] == ["success", "success"]
    ranges = [headers.get("range") for _, path, headers in registry.requests if digest_of(WEIGHTS) in path]
    assert len(ranges) == len(set(ranges))


def test_a_cancelled_pull_keeps_what_it_has(registry, puller):
    async def begin() -> None:
        services = await puller.services()
        async with aclosing(pull(services, TransferRequest(name_of(registry)))) as steps:
            async for step in steps:
                if step.completed_bytes >= 655_360:
                    break
        await services.remotes.close()

    def bend(request: Request, answer: Response) -> Response:
        last = request.headers.get("range", "").startswith("bytes=655360")
        return StreamingResponse(never(), 206, {"content-range": answer.headers["content-range"]}) if last else answer

    async def never():
        await asyncio.Event().wait()
        yield b""

    registry.bend = bend
    asyncio.run(begin())
    registry.bend, registry.requests[:] = (lambda _request, answer: answer), []
    puller.pull(name_of(registry))
    asked = [headers["range"] for _, path, headers in registry.requests if digest_of(WEIGHTS) in path]
    assert asked == ["bytes=655360-699999"]


# T10, T11, T12: what a manifest may say

HEX = "a" * 64
BAD_DIGESTS = [
    "sha256:../../../../tmp/x", "../x", "sha256:" + HEX[1:], "sha256:" + HEX + "a", "sha256:" + "g" * 64,
    "sha256:" + "A" * 64, "sha512:" + "a" * 128, "sha256-../..", "", None, 7, "%2e%2e%2f", "sha256:\0", "\\..\\x",
    "/etc/passwd", "sha256:" + HEX + "\n", "sha256:" + "١" * 64, "sha256:" + HEX + "/../x",
]  # fmt: skip


@pytest.mark.parametrize("place", ["layers", "config"])
@pytest.mark.parametrize("digest", BAD_DIGESTS, ids=repr)
def test_a_digest_that_is_none_ends_the_pull_and_makes_no_file(registry, puller, digest, place):
    manifest = registry.add("me/tiny:latest", WEIGHTS)
    (manifest["layers"][0] if place == "layers" else manifest["config"])["digest"] = digest
    registry.manifests["me/tiny:latest"] = json.dumps(manifest).encode()
    with pytest.raises(TransferError):
        puller.pull(name_of(registry))
    assert puller.tree() == {}
    assert registry.paths("/blobs/") == []


def bent_manifest(**fields: Any) -> bytes:
    good = {
        "schemaVersion": 2,
        "mediaType": MANIFEST_TYPE,
        "config": layer(b"{}", CONFIG_TYPE),
        "layers": [layer(b"x")],
    }
    return json.dumps({**good, **fields}).encode()


BAD_MANIFESTS = {
    "no layers": json.dumps({"config": layer(b"{}")}).encode(),
    "layers null": bent_manifest(layers=None),
    "layers a string": bent_manifest(layers="x"),
    "no config": json.dumps({"layers": [layer(b"x")]}).encode(),
    "config null": bent_manifest(config=None),
    "a million layers": b'{"config":{},"layers":[' + b"{}," * 999_999 + b"{}]}",
    "one blob with two sizes": bent_manifest(layers=[layer(b"x"), {**layer(b"x"), "size": 2}]),
    "negative size": bent_manifest(layers=[{**layer(b"x"), "size": -1}]),
    "float size": bent_manifest(layers=[{**layer(b"x"), "size": 1.5}]),
    "huge size": bent_manifest(layers=[{**layer(b"x"), "size": 1 << 62}]),
    "size beyond 64 bits": bent_manifest(layers=[{**layer(b"x"), "size": 1 << 70}]),
    "unknown media type": bent_manifest(layers=[layer(b"x", "application/unknown")]),
    "another type of manifest": bent_manifest(mediaType="application/vnd.oci.image.index.v1+json"),
    "a list of manifests": json.dumps({"schemaVersion": 2, "manifests": []}).encode(),
    "deep": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    "no JSON": b"<html>",
    "not UTF-8": b'{"config":"\xff"}',
    "empty": b"",
    "an array": b"[]",
}


@pytest.mark.parametrize("data", BAD_MANIFESTS.values(), ids=BAD_MANIFESTS.keys())
def test_a_manifest_of_no_sense_ends_the_pull(registry, puller, data):
    registry.manifests["me/tiny:latest"] = data
    with pytest.raises(TransferError, match=r"^pull model manifest: ") as failed:
        puller.pull(name_of(registry))
    assert str(puller.store.root) not in failed.value.message
    assert puller.tree() == {}


@pytest.mark.parametrize("media_type", ["", "application/vnd.oci.image.index.v1+json"])
def test_a_list_of_manifests_is_told_as_what_it_is(registry, puller, media_type):
    data = {"schemaVersion": 2, "manifests": [layer(b"x")], **({"mediaType": media_type} if media_type else {})}
    registry.manifests["me/tiny:latest"] = json.dumps(data).encode()
    with pytest.raises(TransferError, match="it lists several models"):
        puller.pull(name_of(registry))


def test_html_in_place_of_a_manifest_ends_the_pull(registry, puller):
    registry.bend = lambda _request, _answer: HTMLResponse("<html>Welcome to the hotel's network")
    with pytest.raises(TransferError):
        puller.pull(name_of(registry))


# T13, T18: what a blob may be


def test_a_blob_of_other_content_is_never_published(registry, puller):
    registry.blobs[digest_of(WEIGHTS)] = os.urandom(len(WEIGHTS))
    with pytest.raises(TransferError, match=r"digest mismatch, file must be downloaded again: want sha256:"):
        puller.pull(name_of(registry))
    assert puller.tree() == {}
    assert list((puller.store.root / "uploads").glob("partial-*")) == []


@pytest.mark.parametrize("change", [-1, 1, 100_000], ids=["shorter", "longer", "much longer"])
def test_a_blob_of_other_length_is_never_published(registry, puller, change):
    registry.blobs[digest_of(WEIGHTS)] = (WEIGHTS + b"x" * 200_000)[: len(WEIGHTS) + change]
    with pytest.raises(RegistryError):
        puller.pull(name_of(registry))
    assert puller.tree() == {}


def test_a_blob_that_goes_on_for_ever_is_cut_at_its_declared_size(registry, puller):
    sent = 0

    async def endless():
        nonlocal sent
        while True:
            sent += 65536
            yield b"x" * 65536
            await asyncio.sleep(0)  # lets the server notice that nobody listens

    registry.bend = lambda request, answer: only_blobs(request, answer, StreamingResponse(endless()))
    with pytest.raises(TransferError, match="sends more"):
        puller.pull(name_of(registry))
    assert puller.tree() == {}
    assert sent < 64 << 20


def test_a_blob_that_was_damaged_in_the_store_is_fetched_again(registry, puller):
    puller.pull(name_of(registry))
    puller.store.open_blob(Digest.parse(digest_of(WEIGHTS))).write_bytes(WEIGHTS[:1000])
    puller.pull(name_of(registry))
    assert content(puller, WEIGHTS) == WEIGHTS


def test_a_cached_blob_that_is_named_with_another_size_is_refused(registry, puller):
    puller.pull(name_of(registry))
    manifest = registry.add("me/other:latest", WEIGHTS)
    manifest["layers"][0]["size"] = 5
    registry.manifests["me/other:latest"] = json.dumps(manifest).encode()
    with pytest.raises(TransferError, match="another size"):
        puller.pull(name_of(registry, "me/other"))


def test_the_same_blob_twice_is_fetched_once(registry, puller):
    registry.add("me/twice:latest", WEIGHTS, WEIGHTS)
    puller.pull(name_of(registry, "me/twice"))
    ranges = [headers.get("range") for _, path, headers in registry.requests if digest_of(WEIGHTS) in path]
    assert len(ranges) == len(set(ranges))


# Where redirects may lead (T14).


@pytest.mark.parametrize(
    "target",
    [
        "http://169.254.169.254/latest", "http://127.0.0.1:1/x", "file:///etc/passwd", "http://localhost:1/x",
        "http://[::1]:1/x", "http://user@host/x", "ftp://host/x", "//169.254.169.254/x", "https://127.0.0.1:1/x",
        "https://[::ffff:127.0.0.1]:1/x", "https://localhost:1/x", "https://0.0.0.0:1/", "https://10.0.0.1/",
    ],
)  # fmt: skip
def test_a_redirect_to_a_private_or_foreign_place_is_refused(registry, puller, target):
    registry.bend = lambda request, answer: only_blobs(request, answer, RedirectResponse(target))
    with pytest.raises(TransferError):
        puller.pull(name_of(registry))
    assert puller.tree() == {}


@pytest.mark.parametrize("part", ["/blobs/", "/manifests/"])
def test_a_redirect_to_another_program_of_this_machine_reaches_nobody(registry, puller, part):
    with fake_registry() as victim:
        registry.bend = lambda request, answer: (
            RedirectResponse(f"{victim.base_url}/secret") if part in request.url.path else answer
        )
        with pytest.raises(TransferError):
            puller.pull(name_of(registry))
        assert victim.requests == []


def test_eleven_redirects_are_too_many(registry, puller):
    registry.bend = lambda request, answer: only_blobs(request, answer, RedirectResponse(request.url.path))
    with pytest.raises(TransferError, match="more than 10 times"):
        puller.pull(name_of(registry))


def test_a_redirect_to_a_configured_place_is_followed_without_credentials(registry, tmp_path):
    with fake_registry() as storage:
        storage.bend = lambda request, _answer: Response(WEIGHTS) if request.url.path == "/stored" else _answer
        registry.bend = lambda request, answer: (
            RedirectResponse(f"{storage.base_url}/stored") if digest_of(WEIGHTS) in request.url.path else answer
        )
        puller = Puller(tmp_path, plain(registry, token="secret"), plain(storage))
        puller.pull(name_of(registry))
        assert storage.requests
        assert all("authorization" not in headers for _, _, headers in storage.requests)
    assert content(puller, WEIGHTS) == WEIGHTS


# T15, T22: which registries may be asked


@pytest.mark.parametrize(
    "name",
    [
        "169.254.169.254/a/b", "[::1]:22/a/b", "user@evil/a/b", "evil#/a/b", "2130706433/a/b", "0x7f.1/a/b",
        "localhost:6379/a/b", "evil.example/a/b", "evil\r\nHost: x/a/b", "127.0.0.1/a/b",
    ],
)  # fmt: skip
def test_a_registry_that_is_not_configured_is_not_asked(puller, name):
    with pytest.raises(InvalidInputError):
        puller.pull(name)


@pytest.mark.parametrize("name", ["http://registry.ollama.ai/library/x", "http://hf.example/a/b", "http://x"])
def test_http_is_refused_unless_the_registry_is_configured_so(puller, name):
    with pytest.raises(InvalidInputError):
        puller.pull(name)


def test_http_before_the_name_of_a_registry_configured_so_is_fine(registry, puller):
    assert puller.pull("http://" + name_of(registry))[-1].status == "success"


def test_a_daemon_that_is_offline_asks_nobody(registry, tmp_path):
    with pytest.raises(ForbiddenError, match="OLLAMAPY_OFFLINE"):
        Puller(tmp_path, plain(registry), offline=True).pull(name_of(registry))
    assert registry.requests == []


def test_a_mirror_answers_for_the_registry_that_it_is_configured_for(registry, tmp_path):
    registry.add("library/tiny:latest", WEIGHTS)
    mirror = plain(registry)
    mirror = type(mirror)(host="registry.ollama.ai", url=mirror.url)
    puller = Puller(tmp_path, mirror)
    assert puller.pull("tiny")[-1].status == "success"
    assert puller.store.read_manifest(ModelName.parse("tiny")).name.full == "registry.ollama.ai/library/tiny:latest"


# Where credentials may go (T16).


def challenge(realm: str) -> Response:
    value = f'Bearer realm="{realm}",service="test",scope="repository:me/tiny:pull"'
    return JSONResponse({}, 401, {"www-authenticate": value})


def test_a_token_is_fetched_once_and_used_for_all(registry, puller):
    def bend(request: Request, answer: Response) -> Response:
        if request.url.path == "/token":
            return JSONResponse({"token": "abc"})
        allowed = request.headers.get("authorization") == "Bearer abc"
        return answer if allowed else challenge(f"{registry.base_url}/token")

    registry.bend = bend
    puller.pull(name_of(registry))
    assert len(registry.paths("/token")) == 1
    assert content(puller, WEIGHTS) == WEIGHTS


@pytest.mark.parametrize("realm", ["https://other.example/token", "http://127.0.0.1:1/token", "file:///x", "", "x"])
def test_a_realm_on_another_host_gets_no_request(registry, tmp_path, realm):
    registry.bend = lambda _request, _answer: challenge(realm)
    with pytest.raises(TransferError):
        Puller(tmp_path, plain(registry, username="me", password="secret")).pull(name_of(registry))


def test_a_realm_on_another_port_gets_no_request_unless_it_is_configured(registry, tmp_path):
    def bend(request: Request, answer: Response) -> Response:
        allowed = request.headers.get("authorization") == "Bearer abc"
        return answer if allowed else challenge(f"{realm.base_url}/token")

    with fake_registry() as realm:
        realm.bend = lambda request, _answer: JSONResponse({"access_token": "abc"})
        registry.bend = bend
        with pytest.raises(TransferError, match="realm host"):
            Puller(tmp_path, plain(registry, username="me", password="pw")).pull(name_of(registry))
        assert realm.requests == []
        puller = Puller(tmp_path, plain(registry, username="me", password="pw", auth_host=realm.host))
        puller.pull(name_of(registry))
        assert realm.requests[0][2]["authorization"] == "Basic bWU6cHc="
    assert all(headers.get("authorization") in (None, "Bearer abc") for _, _, headers in registry.requests)


def test_basic_credentials_are_sent_when_they_are_asked_for(registry, tmp_path):
    registry.bend = lambda request, answer: (
        answer
        if request.headers.get("authorization") == "Basic bWU6cHc="
        else JSONResponse({}, 401, {"www-authenticate": 'Basic realm="x"'})
    )
    Puller(tmp_path, plain(registry, username="me", password="pw")).pull(name_of(registry))
    with pytest.raises(UnauthorizedError, match="unauthorized: access denied") as failed:
        Puller(tmp_path / "other", plain(registry, username="me", password="wrong")).pull(name_of(registry))
    assert "wrong" not in failed.value.message


# Answers that never end (T17).


async def zeros():
    block = gzip.compress(b"\0" * (1 << 20))
    while True:
        yield block
        await asyncio.sleep(0)  # lets the server notice that nobody listens


async def slowly():
    for _ in range(100):
        yield b"{"
        await asyncio.sleep(0.3)


BOMBS = {
    "compressed": lambda: StreamingResponse(zeros(), headers={"content-encoding": "gzip"}),
    "a terabyte": lambda: StreamingResponse(zeros(), headers={"content-length": str(10**12)}),
    "endless": lambda: StreamingResponse(zeros()),
    "a byte now and then": lambda: StreamingResponse(slowly()),
}


@pytest.mark.parametrize("bomb", BOMBS.values(), ids=BOMBS.keys())
@pytest.mark.parametrize("place", ["manifest", "token", "blob"])
def test_a_bomb_or_a_stall_ends_the_pull(registry, puller, bomb, place):
    def bend(request: Request, answer: Response) -> Response:
        if place == "token":
            return bomb() if request.url.path == "/token" else challenge(f"{registry.base_url}/token")
        return bomb() if f"/{place}s/" in request.url.path else answer

    registry.bend = bend
    with pytest.raises(RegistryError):
        puller.pull(name_of(registry))
    assert puller.tree() == {}


# T20, T23, T36


def test_a_blob_that_is_deleted_while_it_is_needed_is_fetched_again(registry, puller):
    puller.pull(name_of(registry))
    registry.add("me/other:latest", WEIGHTS, b"more")

    async def race() -> str:
        services, deleted = await puller.services(), False
        async with aclosing(pull(services, TransferRequest(name_of(registry, "me/other")))) as steps:
            async for step in steps:
                if step.digest == digest_of(WEIGHTS) and not deleted:
                    deleted = True
                    await delete(services, name_of(registry))
                last = step.status
        await services.remotes.close()
        return last

    assert asyncio.run(race()) == "success"
    assert content(puller, WEIGHTS) == WEIGHTS


def test_a_failed_pull_leaves_the_model_that_it_would_replace(registry, puller):
    puller.pull(name_of(registry))
    before = puller.tree()
    registry.add("me/tiny:latest", b"newer")
    registry.blobs[digest_of(b"newer")] = b"wrong"
    with pytest.raises(RegistryError):
        puller.pull(name_of(registry))
    assert puller.tree() == before


def test_a_model_that_does_not_fit_on_the_disk_is_refused_before_the_first_byte(registry, puller):
    manifest = registry.add("me/huge:latest", b"x")
    manifest["layers"][0]["size"] = 1 << 49
    registry.manifests["me/huge:latest"] = json.dumps(manifest).encode()
    with pytest.raises(DiskFullError, match="not enough space"):
        puller.pull(name_of(registry, "me/huge"))
    assert registry.paths("/blobs/") == []


def test_a_link_in_place_of_an_unfinished_file_is_not_followed(registry, puller, tmp_path):
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    uploads = puller.store.root / "uploads"
    uploads.mkdir(parents=True)
    for data in (WEIGHTS, b"licence", b"{}"):
        (uploads / f"partial-{sha256(data).hexdigest()}").symlink_to(victim)
    with pytest.raises(OllamapyError) as failed:
        puller.pull(name_of(registry))
    assert victim.read_bytes() == b"precious"
    assert not re.search(r"/(tmp|var|root|home)/", failed.value.message)


def test_gguf_files_of_other_programs_become_a_model(registry, puller, wren_gguf):
    data = wren_gguf.read_bytes()
    manifest = registry.add("ai/foreign:latest", data)
    manifest["layers"][0]["mediaType"] = "application/vnd.docker.ai.gguf.v3"
    manifest["mediaType"] = "application/vnd.oci.image.manifest.v1+json"
    registry.manifests["ai/foreign:latest"] = json.dumps(manifest).encode()
    puller.pull(name_of(registry, "ai/foreign"))
    stored = puller.store.read_manifest(ModelName.parse(name_of(registry, "ai/foreign")))
    assert [item.digest.hex for item in stored.manifest.of_type(WEIGHTS_TYPE)] == [sha256(data).hexdigest()]
