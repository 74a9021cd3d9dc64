"""Pushes to real registries and pulls back: plain, with basic authentication, with tokens, with broken uploads."""

from __future__ import annotations

import asyncio
import base64
import datetime as dt
import hashlib
import json
import os
import shutil
import subprocess
import threading
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from ollamapy.actions.push import push
from ollamapy.config import Registry
from ollamapy.errors import BlobNotFoundError, ForbiddenError, ModelNotFoundError, RegistryError, UnauthorizedError
from ollamapy.names import Digest, ModelName
from ollamapy.registry import Limits
from ollamapy.registry.upload import CHUNK_BYTES
from ollamapy.store import CONFIG_TYPE, WEIGHTS_TYPE, Layer, Manifest
from ollamapy.types import Progress, TransferRequest
from tests.conftest import skip_or_fail
from tests.fakes.docker_registry import docker_registry, make_certificate
from tests.fakes.nginx import nginx
from tests.fakes.registry import FakeRegistry, Puller, digest_of, fake_registry, plain

WEIGHTS = os.urandom(20_000_000)  # several chunks
LICENCE = b"MIT"
OCI_TYPE = "application/vnd.oci.image.manifest.v1+json"


def make_model(puller: Puller, name: str, *layers: bytes) -> ModelName:
    parsed = ModelName.parse(name)
    made = [Layer(WEIGHTS_TYPE, puller.store.put_bytes(data), len(data)) for data in layers]
    config = Layer(CONFIG_TYPE, puller.store.put_bytes(b'{"model_format":"gguf"}'), 23)
    puller.store.write_manifest(parsed, Manifest(config, tuple(made)))
    return parsed


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    with docker_registry(tmp_path_factory.mktemp("registry")) as address:
        yield address


def patient(folder: Path, registry: Registry) -> Puller:
    """A puller that gives a real registry its time."""
    return Puller(folder, registry, limits=Limits())


def registry_at(address: str, **fields: Any) -> Registry:
    return Registry(host=address, url=f"http://{address}", **fields)


def round_trip(folder: Path, registry: Registry, name: str) -> None:
    first, second = patient(folder / "a", registry), patient(folder / "b", registry)
    parsed = make_model(first, name, WEIGHTS, LICENCE)
    assert first.push(name)[-1].status == "success"
    assert second.pull(name)[-1].status == "success"
    ours, data = first.store.read_manifest_file(parsed)
    theirs, pulled = second.store.read_manifest_file(parsed)
    assert (pulled, theirs.digest) == (data, ours.digest)
    for digest in ours.manifest.digests:
        assert second.store.open_blob(digest).read_bytes() == first.store.open_blob(digest).read_bytes()


def test_what_is_pushed_is_pulled_back_bit_by_bit(tmp_path, address):
    round_trip(tmp_path, registry_at(address), f"{address}/team/tiny:v1")


def test_a_second_push_sends_no_blob_again(tmp_path, address):
    puller, name = patient(tmp_path, registry_at(address)), f"{address}/team/again"
    make_model(puller, name, WEIGHTS)
    puller.push(name)
    steps = puller.push(name)
    label = f"pushing {digest_of(WEIGHTS)[7:19]}"
    assert [(s.status, s.completed_bytes) for s in steps if s.status == label] == [(label, len(WEIGHTS))]


def test_a_layer_of_another_model_there_is_lent_and_not_sent(tmp_path, address):
    puller = patient(tmp_path, registry_at(address))
    make_model(puller, f"{address}/team/base", WEIGHTS)
    puller.push(f"{address}/team/base")
    layer = Layer(WEIGHTS_TYPE, Digest.parse(digest_of(WEIGHTS)), len(WEIGHTS), origin="team/base")
    config = Layer(CONFIG_TYPE, puller.store.put_bytes(b"{}"), 2)
    puller.store.write_manifest(ModelName.parse(f"{address}/other/child"), Manifest(config, (layer,)))
    steps = puller.push(f"{address}/other/child")
    assert [s.completed_bytes for s in steps if s.digest == digest_of(WEIGHTS)] == [len(WEIGHTS)]
    assert steps[-1].status == "success"


def test_skopeo_inspects_and_copies_what_was_pushed_as_oci_and_the_copy_is_pulled_bit_by_bit(tmp_path, address):
    """Of Docker's own type of manifest it refuses to read any layer that is no file system, Ollama's too."""
    skopeo = shutil.which("skopeo")
    if skopeo is None:
        skip_or_fail("skopeo is not installed; it is in Debian's package of that name")
    docker, oci = (patient(tmp_path, registry_at(address, oci=is_oci)) for is_oci in (False, True))
    name = f"{address}/team/inspected"
    parsed = make_model(docker, name, WEIGHTS, LICENCE)
    _, ollamas = docker.store.read_manifest_file(parsed)
    policy = tmp_path / "policy.json"
    policy.write_text('{"default":[{"type":"insecureAcceptAnything"}]}')

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([skopeo, "--policy", str(policy), *words], capture_output=True, text=True, timeout=60)

    copying = ("copy", "--src-tls-verify=false", "--dest-tls-verify=false", "--preserve-digests")
    docker.push(name)
    assert run("inspect", "--raw", "--tls-verify=false", f"docker://{name}:latest").stdout.encode() == ollamas
    refused = run(*copying, f"docker://{name}:latest", f"docker://{address}/team/copied:latest")
    assert "unsupported docker v2s2 media type" in refused.stderr
    oci.push(name)
    shown = run("inspect", "--tls-verify=false", f"docker://{name}:latest")
    assert not shown.stderr
    assert json.loads(shown.stdout)["Layers"] == [digest_of(WEIGHTS), digest_of(LICENCE)], shown.stderr
    done = run(*copying, f"docker://{name}:latest", f"docker://{address}/team/copied:latest")
    assert done.returncode == 0, done.stderr
    pushed = run("inspect", "--raw", "--tls-verify=false", f"docker://{name}:latest").stdout.encode()
    other = patient(tmp_path / "other", registry_at(address))
    other.pull(f"{address}/team/copied")
    copied, manifest = other.store.read_manifest_file(ModelName.parse(f"{address}/team/copied"))
    assert manifest == pushed
    ours, theirs = json.loads(ollamas), json.loads(manifest)
    assert (theirs["mediaType"], theirs["layers"]) == (OCI_TYPE, ours["layers"])
    assert theirs["config"] == {**ours["config"], "mediaType": "application/vnd.oci.image.config.v1+json"}
    for digest in copied.manifest.digests:
        assert other.store.open_blob(digest).read_bytes() == docker.store.open_blob(digest).read_bytes()


def test_basic_authentication(tmp_path):
    (tmp_path / "htpasswd").write_text(bcrypt_line("me", "secret"))
    auth = {"htpasswd": {"realm": "test", "path": str(tmp_path / "htpasswd")}}
    with docker_registry(tmp_path / "registry", auth) as address:
        round_trip(tmp_path, registry_at(address, username="me", password="secret"), f"{address}/team/tiny")
        other = patient(tmp_path / "c", registry_at(address, username="me", password="guess"))
        with pytest.raises(UnauthorizedError, match="unauthorized: access denied"):
            other.pull(f"{address}/team/tiny")


def test_basic_authentication_of_an_nginx_before_the_registry(tmp_path, address):
    words = ["openssl", "passwd", "-apr1", "secret"]
    line = "me:" + subprocess.run(words, capture_output=True, text=True, check=True).stdout
    (tmp_path / "passwords").write_text(line)
    with nginx(tmp_path / "nginx", address, tmp_path / "passwords") as front:
        round_trip(tmp_path, registry_at(front, username="me", password="secret"), f"{front}/team/fronted")
        with pytest.raises(UnauthorizedError, match="unauthorized: access denied"):
            patient(tmp_path / "c", registry_at(front, username="me", password="x")).pull(f"{front}/team/fronted")
        with pytest.raises(UnauthorizedError, match="`ollamapy login 127"):
            patient(tmp_path / "d", registry_at(front)).pull(f"{front}/team/fronted")


def bcrypt_line(user: str, password: str) -> str:
    htpasswd = shutil.which("htpasswd")
    if htpasswd is None:
        skip_or_fail("htpasswd is not installed; it is in Debian's package apache2-utils")
    return subprocess.run([htpasswd, "-nbB", user, password], capture_output=True, text=True, check=True).stdout


class TokenServer:
    """Issues the tokens that docker-registry accepts, signed with a key of its own."""

    def __init__(self, folder: Path) -> None:
        self.certificate, self.key = make_certificate(folder)
        self.asked: list[tuple[str, ...]] = []

    def answer(self, request: Request, _response: Response) -> Response:
        if request.headers.get("authorization") != "Basic bWU6c2VjcmV0":
            return JSONResponse({}, 401)
        scopes = request.query_params.getlist("scope")
        self.asked.append(tuple(scopes))
        access = []
        for scope in scopes:
            kind, name, actions = scope.split(":")
            access.append({"type": kind, "name": name, "actions": actions.split(",")})
        return JSONResponse({"token": self.sign(access), "expires_in": 60})

    def sign(self, access: list[dict[str, object]]) -> str:
        der = subprocess.run(
            ["openssl", "x509", "-in", self.certificate, "-outform", "DER"], capture_output=True, check=True
        ).stdout
        now = int(dt.datetime.now(dt.UTC).timestamp())
        head = {"alg": "RS256", "typ": "JWT", "x5c": [base64.b64encode(der).decode()]}
        claims = {"iss": "tests", "sub": "me", "aud": "registry", "exp": now + 60, "nbf": now - 5, "iat": now}
        parts = [encode(json.dumps(part).encode()) for part in (head, {**claims, "jti": "1", "access": access})]
        signed = subprocess.run(
            ["openssl", "dgst", "-sha256", "-sign", self.key], input=".".join(parts).encode(), capture_output=True
        ).stdout
        return ".".join([*parts, encode(signed)])


def encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def test_tokens_of_a_server_beside_the_registry(tmp_path):
    tokens = TokenServer(tmp_path)
    with fake_registry() as realm:
        realm.bend = tokens.answer
        auth = {
            "token": {
                "realm": f"{realm.base_url}/token",
                "service": "registry",
                "issuer": "tests",
                "rootcertbundle": str(tokens.certificate),
            }
        }
        with docker_registry(tmp_path / "registry", auth) as address:
            fields = {"username": "me", "password": "secret", "auth_host": realm.host}
            round_trip(tmp_path, registry_at(address, **fields), f"{address}/team/tiny")
            with pytest.raises(UnauthorizedError):
                patient(tmp_path / "c", registry_at(address, **{**fields, "password": "x"})).pull(
                    f"{address}/team/tiny"
                )
    assert {tuple(sorted(scope.rpartition(":")[2].split(","))) for (scope,) in tokens.asked} == {
        ("pull",),
        ("pull", "push"),
    }


# What is refused, and what is survived.


def test_a_registry_that_is_not_configured_gets_no_request(tmp_path):
    with fake_registry() as registry:
        puller = Puller(tmp_path)
        make_model(puller, f"{registry.host}/a/b", b"x")
        with pytest.raises(ForbiddenError):
            puller.push(f"{registry.host}/a/b")
        with pytest.raises(ForbiddenError):
            puller.push("wren")
        assert registry.requests == []


def test_a_model_that_is_not_here_is_told_before_anything_is_sent(tmp_path):
    with fake_registry() as registry:
        with pytest.raises(ModelNotFoundError):
            Puller(tmp_path, plain(registry)).push(f"{registry.host}/a/b")
        assert registry.requests == []


def test_a_link_in_place_of_a_blob_is_not_sent(tmp_path, address):
    puller, name = patient(tmp_path, registry_at(address)), f"{address}/team/linked"
    make_model(puller, name, b"secret weights")
    blob = puller.store.open_blob(Digest.parse(digest_of(b"secret weights")))
    blob.unlink()
    blob.symlink_to("/etc/passwd")
    with pytest.raises(BlobNotFoundError):
        puller.push(name)


class Uploads:
    """A registry's upload protocol with failures: the first tries of each chunk break half way."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.broken = 0
        self.is_rough = True
        self.etags: list[str | None] = []
        self.blobs: dict[str, bytes] = {}

    async def answer(self, request: Request, response: Response) -> Response:
        path, body = request.url.path, await request.body()
        if path.endswith("/uploads/"):
            self.data.clear()
            return Response(status_code=202, headers={"location": "/v2/a/b/blobs/uploads/1?state=x"})
        if path.endswith("/uploads/1"):
            return self.upload(request, body)
        if "/manifests/" in path:
            return Response(status_code=201)
        found = path.rpartition("/")[2] in self.blobs
        return Response(status_code=200 if found else 404)

    def upload(self, request: Request, body: bytes) -> Response:
        headers = {"location": str(request.url), "range": f"0-{max(len(self.data) - 1, 0)}"}
        if request.method == "GET":
            return Response(status_code=204, headers=headers)
        if request.method == "PUT":
            if digest_of(bytes(self.data)) != request.query_params["digest"]:
                return JSONResponse({}, 400)
            self.blobs[request.query_params["digest"]] = bytes(self.data)
            self.etags.append(request.query_params.get("etag"))
            return Response(status_code=201)
        start = int(request.headers["content-range"].partition("-")[0])
        if start != len(self.data):
            return Response(status_code=416)
        self.broken += 1
        if self.broken % 2 and self.is_rough:
            self.data += body[: len(body) // 2]
            return Response(status_code=503)
        self.data += body
        return Response(status_code=202, headers={"location": str(request.url)})


def test_an_upload_goes_on_where_the_registry_says_that_it_broke(tmp_path):
    uploads = Uploads()
    with fake_registry() as registry:
        registry.bend = uploads.answer
        puller = Puller(tmp_path, plain(registry))
        make_model(puller, f"{registry.host}/a/b", WEIGHTS)
        assert puller.push(f"{registry.host}/a/b")[-1].status == "success"
    assert uploads.blobs[digest_of(WEIGHTS)] == WEIGHTS


@pytest.mark.parametrize("status", [400, 404, 416])
def test_a_registry_that_can_not_go_on_with_a_broken_upload_gets_the_blob_anew(tmp_path, status):
    uploads = Uploads()

    async def forget(request: Request, response: Response) -> Response:
        if request.method == "GET" and "/uploads/" in request.url.path:
            uploads.is_rough = False
            return Response(status_code=status)
        return await uploads.answer(request, response)

    with fake_registry() as registry:
        registry.bend = forget
        puller = Puller(tmp_path, plain(registry))
        make_model(puller, f"{registry.host}/a/b", WEIGHTS)
        assert puller.push(f"{registry.host}/a/b")[-1].status == "success"
    assert uploads.blobs[digest_of(WEIGHTS)] == WEIGHTS


def test_a_registry_of_ollamas_kind_is_told_the_sum_of_the_parts_sums(tmp_path):
    uploads = Uploads()
    uploads.is_rough = False
    parts = [WEIGHTS[at : at + CHUNK_BYTES] for at in range(0, len(WEIGHTS), CHUNK_BYTES)]
    sums = [hashlib.md5(part).digest() for part in parts]
    with fake_registry() as registry:
        registry.bend = uploads.answer
        puller = Puller(tmp_path, plain(registry, ollama_key=True))
        make_model(puller, f"{registry.host}/a/b", WEIGHTS)
        puller.push(f"{registry.host}/a/b")
        assert uploads.etags[0] == f"{hashlib.md5(b''.join(sums)).hexdigest()}-3"
        uploads.is_rough = True
        uploads.blobs.clear()
        puller.push(f"{registry.host}/a/b")
        assert uploads.etags[2] is None
    assert uploads.blobs[digest_of(WEIGHTS)] == WEIGHTS


# What an earlier push has left.


def push_until(puller: Puller, name: str, count: int) -> None:
    """Push, and go away as soon as so many bytes of the weights are there."""

    async def leave() -> None:
        services = await puller.services()
        async with aclosing(push(services, TransferRequest(name))) as steps:
            async for step in steps:
                if step.digest == digest_of(WEIGHTS) and step.completed_bytes >= count:
                    break
        await services.remotes.close()

    asyncio.run(leave())


def counts_of(steps: list[Progress]) -> list[int]:
    return [step.completed_bytes for step in steps if step.digest == digest_of(WEIGHTS)]


def journals(puller: Puller) -> list[Path]:
    return list((puller.store.root / "uploads").glob("push-*"))


def test_a_later_push_to_a_real_registry_goes_on_where_an_earlier_one_was_left(tmp_path, address):
    puller, name = patient(tmp_path, registry_at(address)), f"{address}/team/left"
    make_model(puller, name, WEIGHTS)
    push_until(puller, name, CHUNK_BYTES)
    assert counts_of(puller.push(name)) == [CHUNK_BYTES, 2 * CHUNK_BYTES, len(WEIGHTS)]
    assert journals(puller) == []
    other = patient(tmp_path / "other", registry_at(address))
    assert other.pull(name)[-1].status == "success"


class Left:
    """A push that has left the first chunk in a registry, whose uploads a test may spoil."""

    def __init__(self, folder: Path, registry: FakeRegistry, **fields: bool) -> None:
        self.uploads = Uploads()
        self.uploads.is_rough = False
        registry.bend = self.uploads.answer
        self.registry = registry
        self.name = f"{registry.host}/a/b"
        self.puller = Puller(folder, plain(registry, **fields))
        make_model(self.puller, self.name, WEIGHTS)
        push_until(self.puller, self.name, CHUNK_BYTES)
        assert len(journals(self.puller)) == 1

    def push(self) -> list[int]:
        """Push again, and return what is told of the weights."""
        steps = self.puller.push(self.name)
        assert steps[-1].status == "success"
        assert self.uploads.blobs[digest_of(WEIGHTS)] == WEIGHTS
        assert journals(self.puller) == []
        return counts_of(steps)


ALL_ANEW = [0, CHUNK_BYTES, 2 * CHUNK_BYTES, len(WEIGHTS)]


def test_an_upload_that_the_registry_has_forgotten_begins_anew(tmp_path):
    with fake_registry() as registry:
        left = Left(tmp_path, registry)
        answer = left.uploads.answer

        async def forget(request: Request, response: Response) -> Response:
            if request.method == "GET" and "/uploads/" in request.url.path:
                return Response(status_code=404)
            return await answer(request, response)

        registry.bend = forget
        assert left.push() == ALL_ANEW


def test_an_upload_that_was_spoilt_meanwhile_begins_anew(tmp_path):
    with fake_registry() as registry:
        left = Left(tmp_path, registry)
        left.uploads.data[0] ^= 1
        assert left.push() == [CHUNK_BYTES, 2 * CHUNK_BYTES, *ALL_ANEW]


@pytest.mark.parametrize("text", ["", "\xff", "nonsense", "https://elsewhere.example/v2/a/b/blobs/uploads/1"])
def test_a_journal_of_no_sense_counts_as_none(tmp_path, text):
    with fake_registry() as registry:
        left = Left(tmp_path, registry)
        journals(left.puller)[0].write_bytes(text.encode("latin-1"))
        assert left.push() == ALL_ANEW


def test_a_registry_of_ollamas_kind_gets_all_parts_anew(tmp_path):
    with fake_registry() as registry:
        left = Left(tmp_path, registry, ollama_key=True)
        assert left.push() == ALL_ANEW
        assert left.uploads.etags[0]


def test_a_chunk_on_its_way_arrives_before_a_push_that_is_cancelled_ends(tmp_path):
    uploads = Uploads()
    uploads.is_rough = False

    async def cancel(puller: Puller, name: str) -> None:
        services = await puller.services()
        pushing = asyncio.create_task(drain(push(services, TransferRequest(name))))
        await asyncio.to_thread(reached.wait, 20)
        pushing.cancel()
        going_on.set()
        with pytest.raises(asyncio.CancelledError):
            await pushing
        await services.remotes.close()

    with fake_registry() as registry:
        reached, going_on = threading.Event(), threading.Event()

        async def answer(request: Request, response: Response) -> Response:
            if request.method == "PATCH" and uploads.data:
                reached.set()
                await asyncio.to_thread(going_on.wait, 20)
            return await uploads.answer(request, response)

        registry.bend = answer
        puller, name = Puller(tmp_path, plain(registry)), f"{registry.host}/a/b"
        make_model(puller, name, WEIGHTS)
        asyncio.run(cancel(puller, name))
        assert len(uploads.data) == 2 * CHUNK_BYTES
        assert counts_of(puller.push(name)) == [2 * CHUNK_BYTES, len(WEIGHTS)]


async def drain(steps: AsyncIterator[Progress]) -> None:
    async for _step in steps:
        continue


def test_an_upload_to_another_host_is_refused(tmp_path):
    with fake_registry() as registry, fake_registry() as other:
        registry.bend = lambda request, response: (
            Response(status_code=202, headers={"location": f"{other.base_url}/x"})
            if request.method == "POST"
            else response
        )
        puller = Puller(tmp_path, plain(registry))
        make_model(puller, f"{registry.host}/a/b", b"x")
        with pytest.raises(RegistryError, match="another host"):
            puller.push(f"{registry.host}/a/b")
        assert other.requests == []
