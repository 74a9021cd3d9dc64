"""Which files of a repository make up a model, and pulling them from a Hub in memory."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import unquote

import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from ollamapy.errors import RegistryError, RemoteNotFoundError, TransferError, UnauthorizedError
from ollamapy.names import Digest, ModelName
from ollamapy.registry import Credential, CredentialsFile
from ollamapy.registry.huggingface import TEXTS, HubFile, choose_files, parse_listing, quant_of
from ollamapy.store import (
    PARAMS_TYPE,
    PROJECTOR_TYPE,
    SYSTEM_TYPE,
    TEMPLATE_TYPE,
    WEIGHTS_TYPE,
)
from tests import gguf_builder as gb
from tests.actions.test_update import state
from tests.fakes.ollama_api import serving
from tests.fakes.registry import FakeRegistry, Puller, digest_of, fake_registry, plain, ranged


def files(*paths: str) -> list[HubFile]:
    return [HubFile(path, Digest.of(path.encode()), 1) for path in paths]


@pytest.mark.parametrize(
    ("path", "quant"),
    [
        ("Llama-3.2-1B-Instruct-Q4_K_M.gguf", "Q4_K_M"), ("model.Q8_0.gguf", "Q8_0"), ("m-IQ3_XXS.gguf", "IQ3_XXS"),
        ("Q4_K_M/m-00001-of-00002.gguf", "Q4_K_M"), ("m-q4_0.gguf", "Q4_0"), ("m-f16.gguf", "F16"),
        ("m-fp16.gguf", "F16"), ("m-BF16.gguf", "BF16"), ("m-UD-Q4_K_XL.gguf", "UD-Q4_K_XL"), ("model.gguf", ""),
        ("gpt-oss-20b-mxfp4.gguf", "MXFP4"), ("Qwen2-7B.gguf", ""), ("m-Q4_K_M.GGUF", "Q4_K_M"),
    ],
)  # fmt: skip
def test_the_quantization_is_read_from_the_name(path, quant):
    assert quant_of(path) == quant


def chosen(tag: str, *paths: str) -> list[str]:
    return [file.path for file in choose_files(files(*paths), tag).files]


def test_without_a_tag_the_usual_quantization_comes_first():
    assert chosen("latest", "a-F16.gguf", "a-Q8_0.gguf", "a-Q4_K_M.gguf", "a-Q2_K.gguf") == ["a-Q4_K_M.gguf"]
    assert chosen("latest", "a-F16.gguf", "a-Q8_0.gguf") == ["a-Q8_0.gguf"]
    assert chosen("latest", "a-Q2_K.gguf") == ["a-Q2_K.gguf"]
    assert chosen("latest", "a.gguf") == ["a.gguf"]


def test_a_tag_is_a_quantization_or_a_file_in_any_case():
    names = ("a-Q8_0.gguf", "a-Q4_K_M.gguf", "b.gguf", "a-UD-Q4_K_XL.gguf")
    assert chosen("q8_0", *names) == ["a-Q8_0.gguf"]
    assert chosen("B.gguf", *names) == ["b.gguf"]
    assert chosen("b", *names) == ["b.gguf"]
    assert chosen("Q4_K_XL", *names) == ["a-UD-Q4_K_XL.gguf"]


def test_a_projector_comes_with_it():
    assert chosen("latest", "mmproj-a-F32.gguf", "mmproj-a-F16.gguf", "a-Q4_K_M.gguf") == [
        "a-Q4_K_M.gguf",
        "mmproj-a-F16.gguf",
    ]


def test_of_several_projectors_the_one_of_the_model_comes():
    names = ("web-Q4_K_M.gguf", "b-Q8_0.gguf", "mmproj-b-F16.gguf", "mmproj-web-F32.gguf")
    assert chosen("Q4_K_M", *names) == ["web-Q4_K_M.gguf", "mmproj-web-F32.gguf"]
    assert chosen("Q8_0", *names) == ["b-Q8_0.gguf", "mmproj-b-F16.gguf"]
    general = ("x/m-Q8_0.gguf", "mmproj-model-f16.gguf", "x/mmproj-BF16.gguf", "mmproj-other-f16.gguf")
    assert chosen("latest", *general) == ["x/m-Q8_0.gguf", "x/mmproj-BF16.gguf"]


def test_statistics_for_quantizing_are_no_model():
    assert chosen("latest", "imatrix_x.gguf", "m.gguf") == ["m.gguf"]


def test_all_parts_of_a_split_file_come_in_order():
    parts = [f"Q8_0/a-Q8_0-0000{n}-of-00003.gguf" for n in (2, 1, 3)]
    assert chosen("Q8_0", "a-Q4_0.gguf", *parts) == sorted(parts)
    with pytest.raises(TransferError, match="lacks some of the 3 parts"):
        choose_files(files(*parts[:2]), "latest")


def test_what_is_not_there_is_told_with_what_is():
    with pytest.raises(RemoteNotFoundError, match="has no Q6_K; it has Q4_0, Q8_0"):
        choose_files(files("a-Q8_0.gguf", "a-Q4_0.gguf"), "Q6_K")
    with pytest.raises(RemoteNotFoundError, match="no GGUF file"):
        choose_files(files("mmproj.gguf"), "latest")


@pytest.mark.parametrize(
    "body", [b"", b"{}", b"[1]", b'[{"type":"file","path":"a.gguf","lfs":{"oid":"../x","size":1}}]', b"\xff"]
)
def test_a_listing_of_no_sense(body):
    with pytest.raises(TransferError):
        parse_listing(body)


class Hub(FakeRegistry):
    """The Hub's API over files in memory; `storage` is where it sends who wants their content."""

    def __init__(self, storage: FakeRegistry) -> None:
        super().__init__()
        self.files: dict[str, bytes] = {}
        self.storage = storage
        self.token = ""
        self.bend = self.answer
        storage.bend = lambda request, _response: ranged(request, self.files[unquote(request.url.path)[1:]])

    def answer(self, request: Request, response: Response) -> Response:
        path = unquote(request.url.path)
        if self.token and request.headers.get("authorization") != f"Bearer {self.token}":
            return JSONResponse({}, 401)
        if path == "/api/models/me/repo/tree/main":
            names = sorted(self.files)
            page = int(request.query_params.get("cursor", "0"))
            entries = [self.entry(name) for name in names[page : page + 1]]
            link = f'<{self.base_url}{path}?cursor={page + 1}>; rel="next"' if page + 1 < len(names) else ""
            return Response(json.dumps([{"type": "directory", "path": "x"}, *entries]), headers={"link": link})
        if path.removeprefix("/me/repo/resolve/main/") in TEXTS:
            return Response(self.files[path.removeprefix("/me/repo/resolve/main/")])
        if path.startswith("/me/repo/resolve/main/"):
            return RedirectResponse(f"{self.storage.base_url}/{path.removeprefix('/me/repo/resolve/main/')}")
        return response

    def entry(self, name: str) -> dict[str, Any]:
        data = self.files[name]
        lfs = {"lfs": {"oid": digest_of(data)[7:], "size": len(data)}} if name.endswith(".gguf") else {}
        return {"type": "file", "path": name, "oid": "0" * 40, "size": len(data), **lfs}


@pytest.fixture
def hub(wren_gguf):
    with fake_registry() as storage:
        hub = Hub(storage)
        hub.files = {"wren Q8_0.gguf": wren_gguf.read_bytes(), "README-Q4_0.md": b"x"}
        with serving(hub.app()) as hub.base_url:
            yield hub


def puller(tmp_path, hub: Hub, **fields: Any) -> Puller:
    return Puller(tmp_path, plain(hub.storage), hf_endpoint=hub.base_url, **fields)


@pytest.mark.parametrize("host", ["hf.co", "huggingface.co"])
def test_a_model_of_the_hub_is_made_of_its_files(tmp_path, hub, host):
    owner = puller(tmp_path, hub)
    assert owner.pull(f"{host}/me/repo")[-1].status == "success"
    stored = owner.store.read_manifest(ModelName.parse(f"{host}/me/repo"))
    [weights] = stored.manifest.of_type(WEIGHTS_TYPE)
    assert str(weights.digest) == digest_of(hub.files["wren Q8_0.gguf"])
    assert stored.manifest.of_type(PROJECTOR_TYPE) == ()


def test_the_token_goes_to_the_hub_and_not_to_where_the_files_lie(tmp_path, hub):
    hub.token = "hf_secret"
    puller(tmp_path, hub, hf_token="hf_secret").pull("hf.co/me/repo:Q8_0")
    assert {headers.get("authorization") for _, _, headers in hub.requests} == {"Bearer hf_secret"}
    assert hub.storage.requests
    assert all("authorization" not in headers for _, _, headers in hub.storage.requests)


def test_a_gated_repository_names_the_remedy_and_no_token(tmp_path, hub):
    hub.token = "right"
    with pytest.raises(UnauthorizedError, match="HF_TOKEN") as failed:
        puller(tmp_path, hub, hf_token="wrong_token").pull("hf.co/me/repo")
    assert "wrong_token" not in failed.value.message


def test_a_repository_that_is_not_there(tmp_path, hub):
    with pytest.raises(RegistryError, match="pull model manifest: file does not exist"):
        puller(tmp_path, hub).pull("hf.co/me/nope")


def test_a_listing_that_goes_on_elsewhere_is_refused(tmp_path, hub):
    hub.bend = lambda _request, _response: Response(b"[]", headers={"link": f'<{hub.storage.base_url}/x>; rel="next"'})
    with pytest.raises(TransferError, match="another host"):
        puller(tmp_path, hub).pull("hf.co/me/repo")
    assert hub.storage.requests == []


def test_a_split_model_is_made_of_all_its_parts(tmp_path, hub, shared_models):
    parts = sorted((shared_models / "gguf" / "split").glob("*.gguf"))
    hub.files = {f"Q8_0/{path.name}": path.read_bytes() for path in parts}
    owner = puller(tmp_path, hub)
    assert owner.pull("hf.co/me/repo")[-1].status == "success"
    layers = owner.store.read_manifest(ModelName.parse("hf.co/me/repo")).manifest.of_type(WEIGHTS_TYPE)
    assert [str(layer.digest) for layer in layers] == [digest_of(path.read_bytes()) for path in parts]


def layers_of(owner: Puller, media_type: str) -> list[bytes]:
    manifest = owner.store.read_manifest(ModelName.parse("hf.co/me/repo")).manifest
    return [owner.store.read_blob(layer.digest) for layer in manifest.of_type(media_type)]


def test_template_system_and_parameters_of_the_repository_become_the_models(tmp_path, hub):
    hub.files |= {"template": b"{{ .Prompt }}!", "system": b"Be brief.", "params": b'{"stop": ["<e>"], "top_k": 3}'}
    owner = puller(tmp_path, hub)
    owner.pull("hf.co/me/repo")
    assert layers_of(owner, TEMPLATE_TYPE) == [b"{{ .Prompt }}!"]
    assert layers_of(owner, SYSTEM_TYPE) == [b"Be brief."]
    assert [json.loads(data) for data in layers_of(owner, PARAMS_TYPE)] == [{"stop": ["<e>"], "top_k": 3}]


def test_what_of_the_repository_makes_no_sense_is_told_and_left_out(tmp_path, hub):
    hub.files |= {"template": b"{{ .Prompt", "params": b'{"top_k": "many"}', "system": b" \n"}
    owner = puller(tmp_path, hub)
    notes = [step.status for step in owner.pull("hf.co/me/repo") if step.status.startswith("leaving out")]
    assert [note.split(":")[0] for note in notes] == [
        "leaving out the repository's template",
        "leaving out the repository's params",
    ]
    assert [layers_of(owner, kind) for kind in (TEMPLATE_TYPE, SYSTEM_TYPE, PARAMS_TYPE)] == [[], [], []]
    hub.files["params"] = b"[" * 10_000
    assert "leaving out the repository's params: it is no JSON object" in {
        s.status for s in owner.pull("hf.co/me/repo")
    }


def test_a_jinja_template_beside_weights_counts_where_they_have_none(tmp_path, hub, shared_models):
    hub.files["chat_template.jinja"] = b"{% for m in messages %}{{ m.content }}{% endfor %}"
    owner = puller(tmp_path, hub)
    owner.pull("hf.co/me/repo")
    assert layers_of(owner, TEMPLATE_TYPE) == []
    del hub.files["wren Q8_0.gguf"]
    hub.files["m-Q8_0.gguf"] = (shared_models / "gguf" / "stories260K-q8_0.gguf").read_bytes()
    owner.pull("hf.co/me/repo")
    assert layers_of(owner, TEMPLATE_TYPE) == [hub.files["chat_template.jinja"]]


def test_a_token_that_login_keeps_opens_gated_repositories(tmp_path, hub):
    hub.token = "hf_kept"
    kept = CredentialsFile(tmp_path / "credentials.json")
    kept.put("hf.co", Credential(token="hf_kept"))
    owner = puller(tmp_path, hub, credentials_file=tmp_path / "credentials.json")
    assert owner.pull("huggingface.co/me/repo")[-1].status == "success"


def test_a_model_of_the_hub_is_newer_where_a_file_changed(tmp_path, hub):
    hub.files["system"] = b"Be brief."
    owner = puller(tmp_path, hub)
    owner.pull("hf.co/me/repo")
    assert state(owner, "hf.co/me/repo", only_pulled=True) == "current"
    hub.files["system"] = b"Be long."
    assert state(owner, "hf.co/me/repo", only_pulled=True) == "newer"


def test_a_model_with_its_projector_is_made_of_both(tmp_path, hub):
    projector = gb.build(
        [gb.text("general.architecture", "clip"), gb.number("clip.vision.block_count", 1)],
        [gb.tensor("v.blk.0.attn_q.weight", [8])],
        bytes(32),
    )
    hub.files["mmproj-wren-F16.gguf"] = projector
    owner = puller(tmp_path, hub)
    owner.pull("hf.co/me/repo")
    assert layers_of(owner, PROJECTOR_TYPE) == [projector]
    assert len(layers_of(owner, WEIGHTS_TYPE)) == 1
