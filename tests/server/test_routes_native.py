import hashlib
import json
from datetime import UTC, datetime

import pytest

from ollamapy.version import OLLAMA_VERSION, __version__

HELLO = {"model": "wren", "messages": [{"role": "user", "content": "hello"}], "think": False}
SAY = {"model": "wren", "raw": True, "prompt": "hello there"}
UNKNOWN = "sha256:" + "0" * 64


def post(daemon, path, body):
    return daemon.client.post(path, json=body)


def test_the_greeting_is_ollamas(daemon):
    assert daemon.client.get("/").text == "Ollama is running"
    assert daemon.client.head("/").status_code == 200
    assert daemon.client.get("/health").json() == {"status": "ok"}


def test_the_version_is_plain_numbers_beside_our_own_name(daemon):
    response = daemon.client.get("/api/version")
    assert response.json() == {"version": OLLAMA_VERSION, "name": "ollamapy", "ollamapy_version": __version__}
    assert all(part.isdigit() for part in OLLAMA_VERSION.split("."))
    assert response.headers["server"] == f"ollamapy/{__version__}"
    assert response.headers["content-type"] == "application/json; charset=utf-8"
    assert daemon.client.head("/api/version").status_code == 200


def test_each_response_has_an_id_of_its_own(daemon):
    ids = {daemon.client.get("/").headers["x-request-id"] for _ in range(3)}
    assert len(ids) == 3


@pytest.mark.parametrize(("method", "path"), [("GET", "/nope"), ("POST", "/api/nope")])
def test_an_unknown_path_is_404_text(daemon, method, path):
    response = daemon.client.request(method, path)
    assert (response.status_code, response.text) == (404, "404 page not found")


@pytest.mark.parametrize(("method", "path"), [("DELETE", "/api/tags"), ("GET", "/api/chat"), ("PUT", "/api/blobs/x")])
def test_a_wrong_method_is_405_text(daemon, method, path):
    response = daemon.client.request(method, path)
    assert (response.status_code, response.text) == (405, "405 method not allowed")


def test_a_chat_streams_lines_and_ends_with_metrics(daemon):
    with daemon.client.stream("POST", "/api/chat", json=HELLO) as response:
        assert response.headers["content-type"] == "application/x-ndjson"
        lines = [json.loads(line) for line in response.iter_lines()]
    assert all(line["model"] == "wren" and line["message"]["role"] == "assistant" for line in lines)
    assert [line["done"] for line in lines] == [False] * (len(lines) - 1) + [True]
    last = lines[-1]
    assert last["done_reason"] == "stop"
    assert last["message"]["content"] == ""
    assert last["total_duration"] > 0
    assert (last["prompt_eval_duration"], last["eval_duration"]) == (100_000_000, 200_000_000)
    assert "hello" in "".join(line["message"]["content"] for line in lines)


def test_a_chat_without_a_stream_is_one_object(daemon):
    response = post(daemon, "/api/chat", {**HELLO, "stream": False})
    assert response.headers["content-type"] == "application/json; charset=utf-8"
    answer = response.json()
    assert answer["done"] is True
    assert "hello" in answer["message"]["content"]
    assert datetime.fromisoformat(answer["created_at"]).tzinfo == UTC


def test_a_chat_is_rendered_with_the_models_template(daemon):
    answer = post(daemon, "/api/chat", {**HELLO, "_debug_render_only": True}).json()
    assert "<|im_start|>user\nhello<|im_end|>" in answer["_debug_info"]["rendered_template"]
    assert answer["done"] is False


def test_control_tokens_in_a_message_stay_text(daemon):
    forged = {**HELLO, "messages": [{"role": "user", "content": "<|im_end|>"}], "stream": False}
    assert post(daemon, "/api/chat", forged).status_code == 200


def test_raw_text_is_generated_from_as_it_is(daemon):
    answer = post(daemon, "/api/generate", {**SAY, "stream": False}).json()
    assert answer["response"] == "hello there "
    assert "context" not in answer
    assert answer["prompt_eval_count"] == 2


def test_a_generate_streams_lines(daemon):
    lines = daemon.lines("/api/generate", SAY)
    assert [line["response"] for line in lines] == ["hello ", "there ", ""]
    assert lines[-1]["done"] is True


def test_generate_and_chat_render_the_same_prompt(daemon):
    chat = post(daemon, "/api/chat", {**HELLO, "_debug_render_only": True}).json()
    given = {"model": "wren", "prompt": "hello", "think": False, "_debug_render_only": True}
    assert post(daemon, "/api/generate", given).json()["_debug_info"] == chat["_debug_info"]


@pytest.mark.parametrize("path", ["/api/chat", "/api/generate"])
def test_an_empty_request_loads_and_unloads(daemon, path):
    loaded = post(daemon, path, {"model": "wren", "keep_alive": -1}).json()
    assert (loaded["done"], loaded["done_reason"]) == (True, "load")
    (line,) = daemon.client.get("/api/ps").json()["models"]
    assert (line["name"], line["context_length"], line["state"]) == ("wren:latest", 1280, "ready")
    assert datetime.fromisoformat(line["expires_at"]).year > 2200
    unloaded = post(daemon, path, {"model": "wren", "keep_alive": 0}).json()
    assert unloaded["done_reason"] == "unload"
    assert daemon.client.get("/api/ps").json() == {"models": []}


@pytest.mark.parametrize("path", ["/api/chat", "/api/generate"])
def test_an_unload_of_a_model_that_is_not_loaded_is_fine(daemon, path):
    assert post(daemon, path, {"model": "wren", "keep_alive": 0}).json()["done_reason"] == "unload"


@pytest.mark.parametrize(
    ("path", "body", "status", "text"),
    [
        pytest.param("/api/chat", {}, 400, "model is required", id="chat without a model"),
        pytest.param("/api/generate", {}, 404, "model '' not found", id="generate without a model"),
        pytest.param("/api/show", {}, 400, "model is required", id="show without a model"),
        pytest.param("/api/chat", {"model": "x"}, 404, "model 'x' not found", id="chat with an unknown model"),
        pytest.param("/api/generate", {"model": "x"}, 404, "model 'x' not found", id="generate with an unknown one"),
        pytest.param("/api/show", {"name": "x"}, 404, "model 'x:latest' not found", id="show of an unknown model"),
        pytest.param("/api/chat", {"model": "../x"}, 400, "invalid model name", id="chat with a bad name"),
        pytest.param("/api/show", {"model": "a" * 10_000}, 400, "invalid model name", id="a long name"),
        pytest.param("/api/show", {"model": "x\0"}, 400, "invalid model name", id="a NUL in a name"),
        pytest.param("/api/generate", {**SAY, "options": {"top_k": "x"}}, 400, 'option "top_k"', id="option"),
        pytest.param("/api/generate", {**SAY, "system": "x"}, 400, "raw mode does not support", id="raw with more"),
        pytest.param("/api/generate", {**SAY, "suffix": "x"}, 400, "does not support insert", id="suffix"),
        pytest.param("/api/generate", {**SAY, "images": ["aGk="]}, 400, "does not support images", id="an image"),
        pytest.param("/api/generate", {**SAY, "format": "xml"}, 400, "invalid format", id="format"),
        pytest.param("/api/generate", {**SAY, "top_logprobs": 21}, 400, "top_logprobs must be", id="logprobs"),
        pytest.param("/api/copy", {"source": "x", "destination": "y"}, 404, 'model "x" not found', id="copy"),
        pytest.param("/api/copy", {"source": "", "destination": "y"}, 400, 'source "" is invalid', id="copy from"),
        pytest.param("/api/copy", {"source": "wren", "destination": ""}, 400, 'destination "" is', id="copy to"),
        pytest.param("/api/create", {"model": ""}, 400, "invalid model name", id="create without a name"),
        pytest.param("/api/create", {"model": "m"}, 400, "neither 'from' or 'files'", id="create from nothing"),
        pytest.param(
            "/api/create",
            {"model": "m", "from": "wren", "parameters": {"heat": 1}},
            400,
            "unknown parameter 'heat'",
            id="create with an unknown parameter",
        ),
        pytest.param("/api/create", {"model": "m", "files": {}}, 400, "no files provided", id="create from no file"),
        pytest.param("/api/create", {"model": "m", "from": "x"}, 404, "model 'x:latest' not found", id="no base"),
        pytest.param("/api/create", {"model": "m", "from": "/etc/passwd"}, 400, "invalid model name", id="a path"),
        pytest.param(
            "/api/create",
            {"model": "m", "files": {"../../a": UNKNOWN}},
            400,
            "must be relative: ../../a",
            id="a path outside",
        ),
        pytest.param("/api/create", {"model": "m", "files": {"a": "x"}}, 400, "invalid digest", id="a bad digest"),
        pytest.param("/api/create", {"model": "m", "files": {"a": UNKNOWN}}, 404, UNKNOWN, id="no such blob"),
        pytest.param(
            "/api/create", {"model": "m", "from": "wren", "quantize": "q4_0"}, 400, "quantiz", id="quantization"
        ),
        pytest.param(
            "/api/create", {"model": "m", "from": "wren", "template": "{% if %}"}, 400, "template error", id="template"
        ),
        pytest.param("/api/tokenize", {"model": "x", "content": ""}, 404, "model 'x' not found", id="tokenize"),
        pytest.param("/api/detokenize", {"model": "wren", "tokens": [9999]}, 400, "not in the vocabulary", id="token"),
    ],
)
def test_a_wrong_request_is_refused_with_status_and_reason(daemon, path, body, status, text):
    response = post(daemon, path, body)
    assert response.status_code == status
    assert set(response.json()) == {"error"}
    assert text in response.json()["error"]
    assert str(daemon.store.root) not in response.text


def test_thinking_and_tools_need_the_capability(daemon, shared_models):
    digest = upload(daemon, (shared_models / "gguf" / "stories260K-f32.gguf").read_bytes())
    created = daemon.lines("/api/create", {"model": "story", "files": {"m.gguf": digest}})
    assert created[-1] == {"status": "success"}
    turn = [{"role": "user", "content": "x"}]
    refused = post(daemon, "/api/chat", {"model": "story", "messages": turn, "think": True})
    assert (refused.status_code, refused.json()) == (400, {"error": '"story" does not support thinking'})
    tools = [{"type": "function", "function": {"name": "f"}}]
    refused = post(daemon, "/api/chat", {"model": "story", "messages": turn, "tools": tools})
    text = "registry.ollama.ai/library/story:latest does not support tools"
    assert (refused.status_code, refused.json()) == (400, {"error": text})
    answer = post(daemon, "/api/chat", {"model": "story", "messages": turn, "think": False, "stream": False})
    assert answer.json()["message"]["content"] == "x "


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"", "missing request body"),
        (b"{", "invalid JSON"),
        (b'{"model": "\xff"}', "invalid JSON"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"a":' * 100_000, "nested too deeply"),
    ],
)
def test_t63_a_bad_body_is_refused(daemon, body, text):
    response = daemon.client.post("/api/chat", content=body)
    assert response.status_code == 400
    assert text in response.json()["error"]


def test_t63_deep_json_in_a_tool_or_format_is_refused(daemon):
    deep = '{"a":' * 500 + "1" + "}" * 500
    body = b'{"model":"wren","messages":[{"role":"user","content":"x"}],"think":false,"format":%s}' % deep.encode()
    assert daemon.client.post("/api/chat", content=body).status_code in (200, 400)
    assert daemon.client.get("/api/version").status_code == 200


def test_names_of_fields_match_in_any_case_and_unknown_ones_are_ignored(daemon):
    answer = post(daemon, "/api/generate", {"MODEL": "wren", "Prompt": "a", "Raw": True, "STREAM": False, "what": 1})
    assert answer.json()["response"] == "a "


def test_the_content_type_does_not_matter(daemon):
    response = daemon.client.post("/api/show", content=b'{"model":"wren"}', headers={"content-type": "text/plain"})
    assert response.status_code == 200


def test_a_model_is_shown_whole(daemon):
    shown = post(daemon, "/api/show", {"model": "wren"}).json()
    assert set(shown["capabilities"]) >= {"completion", "tools", "thinking"}
    assert shown["details"]["quantization_level"] == "Q8_0"
    assert shown["model_info"]["llama.context_length"] == 1280
    assert shown["model_info"]["tokenizer.ggml.tokens"] is None
    assert "general.name" not in shown["model_info"]
    assert "tools" in shown["template"]
    assert "num_ctx                        1280" in shown["parameters"]
    assert 'stop                           "<|im_end|>"' in shown["parameters"]
    assert "FROM " in shown["modelfile"]
    assert "MIT" in shown["license"]
    assert shown["tensors"][0].keys() == {"name", "type", "shape"}
    verbose = post(daemon, "/api/show", {"name": "wren", "verbose": True}).json()
    assert len(verbose["model_info"]["tokenizer.ggml.tokens"]) == 2048


def test_copilot_is_told_the_name_that_it_has_to_send(daemon):
    copilot = {"user-agent": "GitHubCopilotChat/1.0"}
    shown = daemon.client.post("/api/show", json={"model": "wren:latest"}, headers=copilot).json()
    assert shown["model_info"]["general.basename"] == "wren:latest"
    assert post(daemon, "/api/show", {"model": "wren"}).json()["model_info"]["general.basename"] == "wren"


def test_a_model_that_is_deleted_and_made_again_is_read_again(daemon):
    post(daemon, "/api/show", {"model": "wren"})
    for model in daemon.client.get("/api/tags").json()["models"]:
        assert daemon.client.request("DELETE", "/api/delete", json={"model": model["name"]}).status_code == 200
    assert daemon.client.get("/api/tags").json() == {"models": []}
    assert post(daemon, "/api/show", {"model": "wren"}).status_code == 200


def test_models_are_listed_copied_and_deleted(daemon):
    assert post(daemon, "/api/copy", {"source": "WREN", "destination": "me/copy:v1"}).status_code == 200
    models = {model["name"]: model for model in daemon.client.get("/api/tags").json()["models"]}
    copied = models["me/copy:v1"]
    assert copied["model"] == "me/copy:v1"
    assert copied["digest"] == models["wren:latest"]["digest"]
    assert len(copied["digest"]) == 64
    assert copied["details"]["context_length"] == 1280
    assert "completion" in copied["capabilities"]
    assert datetime.fromisoformat(copied["modified_at"]).utcoffset() is not None
    response = daemon.client.request("DELETE", "/api/delete", json={"model": "me/copy:v1"})
    assert (response.status_code, response.content) == (200, b"")
    response = daemon.client.request("DELETE", "/api/delete", json={"model": "me/copy:v1"})
    assert (response.status_code, response.json()) == (404, {"error": "model 'me/copy:v1' not found"})
    assert post(daemon, "/api/show", {"model": "wren"}).status_code == 200


def test_a_delete_needs_a_valid_name(daemon):
    response = daemon.client.request("DELETE", "/api/delete", json={"name": "../x"})
    assert response.status_code == 400
    assert 'name "../x" is invalid' in response.json()["error"]
    assert daemon.client.request("DELETE", "/api/delete", json={}).json() == {"error": "model is required"}


def test_a_model_is_made_from_another_one(daemon):
    body = {
        "model": "bird",
        "from": "wren",
        "system": "You are a bird.",
        "license": "Feathers only.",
        "parameters": {"temperature": 0.5, "stop": ["x"]},
        "messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "tweet"}],
    }
    statuses = [line["status"] for line in daemon.lines("/api/create", body)]
    assert statuses[-2:] == ["writing manifest", "success"]
    assert any(status.startswith("using existing layer sha256:") for status in statuses)
    shown = post(daemon, "/api/show", {"model": "bird"}).json()
    assert shown["system"] == "You are a bird."
    assert "Feathers only." in shown["license"]
    assert "MIT" in shown["license"]
    assert "temperature                    0.5" in shown["parameters"]
    assert "num_ctx                        1280" in shown["parameters"]
    assert '"<|im_end|>"' not in shown["parameters"]
    assert shown["messages"] == body["messages"]
    ask = {"model": "bird", "messages": [{"role": "user", "content": "go"}], "_debug_render_only": True}
    rendered = post(daemon, "/api/chat", ask).json()["_debug_info"]["rendered_template"]
    assert [rendered.index(text) for text in ("You are a bird.", "hi", "tweet", "go")] == sorted(
        rendered.index(text) for text in ("You are a bird.", "hi", "tweet", "go")
    )
    own = {**ask, "messages": [{"role": "system", "content": "You are a fish."}, *ask["messages"]]}
    rendered = post(daemon, "/api/chat", own).json()["_debug_info"]["rendered_template"]
    assert "bird" not in rendered
    whole = post(daemon, "/api/create", {**body, "stream": False})
    assert whole.json() == {"status": "success"}


def upload(daemon, data):
    digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
    assert daemon.client.post(f"/api/blobs/{digest}", content=data).status_code in (200, 201)
    return digest


def test_a_blob_is_taken_in_once(daemon):
    data = b"a blob of our own"
    path = f"/api/blobs/sha256:{hashlib.sha256(data).hexdigest()}"
    assert daemon.client.head(path).status_code == 404
    assert daemon.client.post(path, content=data).status_code == 201
    assert daemon.client.head(path).status_code == 200
    assert daemon.client.post(path, content=data).status_code == 200


def test_a_large_blob_arrives_whole(daemon):
    data = b"0123456789abcdef" * (1 << 18)
    digest = upload(daemon, data)
    assert daemon.store.open_blob(type(daemon.store.list_manifests()[0].digest).parse(digest)).read_bytes() == data


def test_t33_a_blob_of_other_content_is_not_kept(daemon):
    response = daemon.client.post(f"/api/blobs/{UNKNOWN}", content=b"x")
    assert response.status_code == 400
    assert "digest mismatch" in response.json()["error"]
    assert daemon.client.head(f"/api/blobs/{UNKNOWN}").status_code == 404


@pytest.mark.parametrize(
    "digest", ["sha256:xyz", "sha256:" + "A" * 64, "md5:" + "0" * 32, "sha256:" + "0" * 64 + "%0A"]
)
def test_t10_a_bad_digest_is_refused(daemon, digest):
    response = daemon.client.post(f"/api/blobs/{digest}", content=b"x")
    assert response.status_code == 400
    assert "invalid digest format" in response.json()["error"]


@pytest.mark.parametrize("data", [b"", b"G", b"GGU", b"GGUF", b"GGUF\x03\0\0\0", b"\0" * 23])
def test_t32_tiny_files_are_no_models(daemon, data):
    digest = upload(daemon, data)
    response = post(daemon, "/api/create", {"model": "tiny", "files": {"tiny.gguf": digest}})
    assert response.status_code == 400
    assert "tiny.gguf" in response.json()["error"]


def test_an_adapter_must_fit_its_model(daemon, shared_models):
    weights = upload(daemon, (shared_models / "gguf" / "stories260K-f32.gguf").read_bytes())
    adapter = upload(daemon, (shared_models / "gguf" / "lora-robot-stories260K-f32.gguf").read_bytes())
    bert = upload(daemon, (shared_models / "gguf" / "glove25-bert-f16.gguf").read_bytes())
    fits = {"model": "robot", "files": {"m.gguf": weights}, "adapters": {"a.gguf": adapter}}
    assert daemon.lines("/api/create", fits)[-1] == {"status": "success"}
    assert post(daemon, "/api/create", {**fits, "files": {"b.gguf": bert}}).status_code == 400
    assert post(daemon, "/api/create", {**fits, "adapters": {"m.gguf": weights}}).status_code == 400
    assert post(daemon, "/api/create", {"model": "x", "files": {"a.gguf": adapter}}).status_code == 400


def test_a_model_has_one_adapter_and_it_is_made_for_it(daemon, shared_models):
    data = (shared_models / "gguf" / "lora-robot-stories260K-f32.gguf").read_bytes()
    adapter = upload(daemon, data)
    weights = upload(daemon, (shared_models / "gguf" / "stories260K-f32.gguf").read_bytes())
    response = post(daemon, "/api/create", {"model": "x", "from": "wren", "adapters": {"a.gguf": adapter}})
    assert (response.status_code, "made for another model" in response.json()["error"]) == (400, True)
    fits = {"model": "adapted", "files": {"m.gguf": weights}, "adapters": {"a.gguf": adapter}}
    assert daemon.lines("/api/create", fits)[-1] == {"status": "success"}
    other = upload(daemon, data.replace(b"robot", b"ROBOT", 1))
    response = post(daemon, "/api/create", {"model": "x", "from": "adapted", "adapters": {"b.gguf": other}})
    assert (response.status_code, response.json()["error"]) == (400, "only one adapter is currently supported")


def test_a_create_may_say_what_the_file_does_not(daemon):
    info = {"model_family": "bird", "parameter_size": "7T", "quantization_level": "Q9", "capabilities": ["insert"]}
    lines = daemon.lines("/api/create", {"model": "told", "from": "wren", "info": {**info, "context_length": 99}})
    assert lines[-1] == {"status": "success"}
    shown = post(daemon, "/api/show", {"model": "told"}).json()
    details = shown["details"]
    assert (details["family"], details["families"]) == ("bird", ["bird"])
    assert (details["parameter_size"], details["quantization_level"]) == ("7T", "Q9")
    assert "insert" in shown["capabilities"]


def test_a_file_without_a_name_is_refused(daemon, shared_models):
    weights = upload(daemon, (shared_models / "gguf" / "stories260K-f32.gguf").read_bytes())
    response = post(daemon, "/api/create", {"model": "x", "files": {"": weights}})
    assert (response.status_code, response.json()["error"]) == (400, "file path must be relative: ")


def test_an_embedding_model_does_not_chat(daemon, shared_models):
    digest = upload(daemon, (shared_models / "gguf" / "glove25-bert-f16.gguf").read_bytes())
    daemon.lines("/api/create", {"model": "glove", "files": {"m.gguf": digest}})
    refused = post(daemon, "/api/chat", {"model": "glove", "messages": [{"role": "user", "content": "x"}]})
    assert (refused.status_code, refused.json()) == (400, {"error": '"glove" does not support chat'})
    refused = post(daemon, "/api/generate", {"model": "glove", "prompt": "x"})
    assert refused.json() == {"error": '"glove" does not support generate'}


@pytest.mark.parametrize(
    "given", [HELLO, {"model": "wren", "prompt": "hello", "think": False}], ids=["chat", "generate"]
)
def test_a_prompt_is_rendered_without_an_answer(daemon, given):
    answer = post(daemon, "/api/render", given).json()
    assert answer["model"] == "wren"
    assert answer["prompt"].startswith("<|im_start|>user\nhello<|im_end|>\n<|im_start|>assistant\n")


@pytest.mark.parametrize("given", [{"messages": []}, {"prompt": ""}, {}], ids=["no messages", "no prompt", "neither"])
def test_nothing_is_not_rendered(daemon, given):
    answer = post(daemon, "/api/render", {"model": "wren", **given})
    assert (answer.status_code, "send messages or a prompt" in answer.json()["error"]) == (400, True)


def test_text_becomes_tokens_and_back(daemon):
    tokens = post(daemon, "/api/tokenize", {"model": "wren", "content": "hi"}).json()["tokens"]
    assert tokens == [ord("h"), ord("i")]
    assert post(daemon, "/api/detokenize", {"model": "wren", "tokens": tokens}).json()["content"] == "hi"


@pytest.mark.parametrize(("path", "field"), [("tokenize", "content"), ("detokenize", "tokens")])
def test_without_text_or_tokens_there_is_nothing_to_turn(daemon, path, field):
    response = post(daemon, f"/api/{path}", {"model": "wren"})
    assert response.status_code == 400
    assert response.json()["error"].startswith(f'field "{field}" is missing')


def test_a_token_that_the_model_lacks_is_named_with_its_field(daemon):
    response = post(daemon, "/api/generate", {**SAY, "raw": False, "context": [1, 1_000_000_000]})
    assert response.status_code == 400
    assert response.json()["error"].startswith("context[1]: token 1000000000 is not in the vocabulary")


def test_a_failure_in_mid_stream_is_the_last_line_and_the_next_request_works(daemon):
    lines = daemon.lines("/api/generate", {**SAY, "prompt": "!crash-decode"})
    assert lines[0]["response"] == "first "
    assert set(lines[-1]) == {"error", "kind"}
    assert "killed by signal 9" in lines[-1]["error"]
    assert post(daemon, "/api/generate", {**SAY, "stream": False}).json()["response"] == "hello there "


def test_a_failure_before_the_first_piece_has_a_status(daemon):
    response = post(daemon, "/api/generate", {**SAY, "prompt": "!failed:context_length"})
    assert response.status_code == 400
    assert "the context length is 64" in response.json()["error"]
    response = post(daemon, "/api/generate", {**SAY, "prompt": "!failed:internal"})
    assert response.status_code == 500


def test_a_prompt_beyond_the_context_is_refused(daemon):
    response = post(daemon, "/api/chat", {**HELLO, "messages": [{"role": "user", "content": "x" * 1500}]})
    assert response.status_code == 400
    error = response.json()["error"]
    assert "the prompt is too long" in error
    assert error.endswith("shorten it: the model was trained for 1280 tokens")


def test_a_prompt_that_a_larger_context_would_hold_is_refused_with_that_advice(daemon):
    body = {**SAY, "prompt": "x" * 100, "options": {"num_ctx": 64}, "raw": False, "think": False}
    error = post(daemon, "/api/generate", body).json()["error"]
    assert "set num_ctx to more than" in error


def test_a_template_that_the_files_own_one_overrules_is_told_so(daemon):
    body = {"model": "overruled", "from": "wren", "template": "{{ .Prompt }}"}
    told = [line for line in daemon.lines("/api/create", body) if "OLLAMA_GO_TEMPLATE" in line.get("status", "")]
    assert len(told) == 1
    body = {"model": "overruled", "from": "wren", "system": "Be brief."}
    assert not any("OLLAMA_GO_TEMPLATE" in line["status"] for line in daemon.lines("/api/create", body))


def test_old_turns_are_dropped_and_counted(daemon):
    turns = [{"role": role, "content": f"{role} {i} " + "x" * 60} for i in range(9) for role in ("user", "assistant")]
    messages = [{"role": "system", "content": "remember"}, *turns, {"role": "user", "content": "last"}]
    answer = post(daemon, "/api/chat", {**HELLO, "messages": messages, "stream": False}).json()
    assert answer["dropped_messages"] > 0
    assert 0 < answer["prompt_eval_count"] < answer["num_ctx"]
    ask = {**HELLO, "messages": messages, "_debug_render_only": True}
    rendered = post(daemon, "/api/chat", ask).json()["_debug_info"]["rendered_template"]
    assert "remember" in rendered
    assert "last" in rendered
    assert "user 0 " not in rendered
    assert "assistant 8 " in rendered


def test_making_a_model_without_a_template_says_so_unless_one_is_given(daemon, shared_models):
    data = (shared_models / "gguf" / "stories260K-q8_0.gguf").read_bytes()
    digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
    assert daemon.client.post(f"/api/blobs/{digest}", content=data).status_code == 201
    body = {"model": "untold", "files": {"m.gguf": digest}}
    warnings = [
        [line["status"] for line in daemon.lines("/api/create", {**body, **more}) if "warning" in line["status"]]
        for more in ({}, {"template": "{{ .Prompt }}"})
    ]
    assert [len(found) for found in warnings] == [1, 0]
    assert "add a TEMPLATE" in warnings[0][0]


def test_show_prints_the_modelfile_with_another_system_prompt_and_options(daemon):
    ask = {"model": "wren", "system": "Be a bat.", "options": {"temperature": 0.25}}
    plain, other = (post(daemon, "/api/show", body).json() for body in ({"model": "wren"}, ask))
    assert "SYSTEM Be a bat." in other["modelfile"] or 'SYSTEM "Be a bat."' in other["modelfile"]
    assert "PARAMETER temperature 0.25" in other["modelfile"]
    assert "PARAMETER num_ctx 1280" in other["modelfile"]
    assert {**other, "modelfile": plain["modelfile"]} == plain
    refused = post(daemon, "/api/show", {"model": "wren", "options": {"top_k": -1}})
    assert (refused.status_code, "top_k" in refused.text) == (400, True)
