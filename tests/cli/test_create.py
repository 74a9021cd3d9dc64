"""`create`: what a Modelfile names is found, sent, and made into a model."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from ollamapy.cli.create import find_sources, read_modelfile
from ollamapy.cli.human import size_words
from ollamapy.errors import InvalidFileError, InvalidInputError
from ollamapy.modelfile import Modelfile
from tests import gguf_builder
from tests.cli.conftest import Command
from tests.fakes.ollama_api import FakeOllama

CONTENT = gguf_builder.model()
LORA = gguf_builder.model([gguf_builder.text("general.author", "somebody")])
DIGEST = f"sha256:{hashlib.sha256(CONTENT).hexdigest()}"
LIMIT = 1 << 20
MODELFILE = """\
FROM ./tiny.gguf
ADAPTER lora.gguf
PARAMETER temperature 0.5
PARAMETER stop a
PARAMETER stop b
PARAMETER low_vram true
TEMPLATE {{ .Prompt }}
SYSTEM Be brief.
LICENSE MIT
MESSAGE user Hi
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a Modelfile and what it names."""
    (tmp_path / "tiny.gguf").write_bytes(CONTENT)
    (tmp_path / "lora.gguf").write_bytes(LORA)
    (tmp_path / "cut.gguf").write_bytes(CONTENT[:-9])
    (tmp_path / "old.safetensors").write_bytes(bytes(100))
    (tmp_path / "Modelfile").write_text(MODELFILE)
    return tmp_path


def test_a_model_is_made_of_uploaded_files(ollamapy: Command, fake: FakeOllama, folder: Path) -> None:
    done = ollamapy("create", "new", "-f", str(folder / "Modelfile"))
    lora = f"sha256:{hashlib.sha256(LORA).hexdigest()}"
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr.splitlines() == [
        "warning: parameter low_vram is deprecated", "reading tiny.gguf", f"copying file {DIGEST}", "reading lora.gguf",
        f"copying file {lora}", "parsing GGUF", "writing manifest", "success",
    ]  # fmt: skip
    assert fake.body("/api/create") == {
        "model": "new", "files": {"tiny.gguf": DIGEST}, "adapters": {"lora.gguf": lora}, "license": ["MIT"],
        "parameters": {"temperature": 0.5, "stop": ["a", "b"]}, "messages": [{"role": "user", "content": "Hi"}],
        "template": "{{ .Prompt }}", "system": "Be brief.", "stream": True,
    }  # fmt: skip
    assert fake.blobs[DIGEST] == CONTENT


def test_a_file_that_the_server_has_is_not_sent_again(ollamapy: Command, fake: FakeOllama, folder: Path) -> None:
    fake.blobs[DIGEST] = CONTENT
    (folder / "Modelfile").write_text("FROM tiny.gguf")
    done = ollamapy("create", "new", "-f", str(folder / "Modelfile"))
    assert done.stderr.splitlines() == ["reading tiny.gguf", "parsing GGUF", "writing manifest", "success"]


def test_a_model_name_is_passed_on(ollamapy: Command, fake: FakeOllama) -> None:
    done = ollamapy("create", "new", "-f", "-", stdin="FROM wren\nSYSTEM Hi")
    assert done.returncode == 0
    assert fake.body("/api/create") == {"model": "new", "from": "wren", "system": "Hi", "stream": True}


def test_a_draft_is_sent_and_named(ollamapy: Command, fake: FakeOllama, folder: Path) -> None:
    (folder / "Modelfile").write_text("FROM wren\nDRAFT ./tiny.gguf")
    assert ollamapy("create", "new", "-f", str(folder / "Modelfile")).returncode == 0
    assert fake.blobs == {DIGEST: CONTENT}
    assert fake.body("/api/create") == {
        "model": "new",
        "from": "wren",
        "draft_files": {"tiny.gguf": DIGEST},
        "stream": True,
    }


def test_a_quantization_is_passed_on(ollamapy: Command, fake: FakeOllama) -> None:
    done = ollamapy("create", "new", "-q", "q4_K_M", "-f", "-", stdin="FROM wren")
    assert done.returncode == 0
    assert fake.body("/api/create") == {"model": "new", "from": "wren", "quantize": "q4_K_M", "stream": True}


def test_what_is_wrong_is_told_before_anything_is_sent(ollamapy: Command, fake: FakeOllama, folder: Path) -> None:
    for text, message in {
        "FROM ./none.gguf": "FROM ./none.gguf: there is no such file; paths are relative to the Modelfile",
        "FROM wren\nADAPTER none": "ADAPTER none: there is no such file; paths are relative to the Modelfile",
        "FROM wren\nDRAFT x": "DRAFT x: there is no such file; paths are relative to the Modelfile",
        "FROM ./cut.gguf": "cut.gguf: truncated GGUF: the tensor 'output_norm.weight' ends at byte 2112, but "
        "the file has 2103 bytes; get it again",
        "FROM ./old.safetensors": "old.safetensors: malformed safetensors: the table of tensors does not fit into the "
        "file",
    }.items():
        (folder / "Modelfile").write_text(text)
        done = ollamapy("create", "new", "-f", str(folder / "Modelfile"))
        assert (done.returncode, done.stdout, done.stderr) == (2, "", f"Error: {message}\n")
    (folder / "Modelfile").write_text("FROM wren\nPARAMETERS x 1")
    assert ollamapy("create", "new", "-f", str(folder / "Modelfile")).stderr.startswith(
        "Error: (line 2): command must be"
    )
    missing = ollamapy("create", "new", "-f", str(folder / "nowhere"))
    told = "No such file or directory; name another with -f FILE"
    assert missing.stderr == f"Error: couldn't read the Modelfile {folder}/nowhere: {told}\n"
    relative = ollamapy("create", "new", "-f", "nowhere")
    where = f"whose path is relative to {ollamapy.checkout}"
    assert relative.stderr == f"Error: couldn't read the Modelfile nowhere: {told}, {where}\n"
    assert fake.requests == []


def test_an_error_of_the_server_is_told_after_the_steps(ollamapy: Command, fake: FakeOllama, folder: Path) -> None:
    (folder / "Modelfile").write_text("FROM tiny.gguf")
    fake.refuses_create = "supplied file was not in GGUF format"
    done = ollamapy("create", "new", "-f", str(folder / "Modelfile"))
    assert done.returncode == 8
    assert done.stderr.splitlines()[-2:] == ["parsing GGUF", "Error: supplied file was not in GGUF format"]


def test_on_a_terminal_the_progress_is_shown_in_place(ollamapy: Command, folder: Path) -> None:
    (folder / "Modelfile").write_text("FROM tiny.gguf")
    with ollamapy.on_screen("create", "new", "-f", str(folder / "Modelfile"), columns=160) as screen:
        assert screen.wait_for_end() == 0
        size = f"{size_words(len(CONTENT))}/{size_words(len(CONTENT))}"
        assert screen.lines == [
            f"reading tiny.gguf 100% ▕{'█' * 20}▏ {size}",
            f"copying file {DIGEST} 100% ▕{'█' * 20}▏ {size}",
            "parsing GGUF",
            "writing manifest",
            "success",
        ]


def test_without_a_modelfile_the_folder_itself_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "b.gguf").write_bytes(CONTENT)
    (tmp_path / "a.gguf").write_bytes(CONTENT)
    monkeypatch.chdir(tmp_path)
    modelfile, folder = read_modelfile(None, LIMIT)
    assert find_sources(modelfile, folder) == ("", [tmp_path / "a.gguf", tmp_path / "b.gguf"])


@pytest.mark.parametrize("named", ["m-00002-of-00003.gguf", "."])
def test_one_part_of_a_split_model_stands_for_all(tmp_path: Path, named: str) -> None:
    parts = [tmp_path / f"m-0000{number}-of-00003.gguf" for number in (1, 2, 3)]
    for path in parts:
        path.write_bytes(CONTENT)
    assert find_sources(Modelfile(from_=(named,)), tmp_path) == ("", parts)
    parts[2].unlink()
    with pytest.raises(InvalidFileError, match=r"is one part of 3, and m-00003-of-00003.gguf is not beside it"):
        find_sources(Modelfile(from_=("m-00002-of-00003.gguf",)), tmp_path)


def test_a_folder_with_neither_modelfile_nor_weights_tells_what_to_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InvalidFileError, match=r"neither a Modelfile nor a GGUF file; write a Modelfile .* FROM line"):
        read_modelfile(None, LIMIT)


def test_a_folder_of_hugging_face_is_sent_with_what_lies_beside_the_weights(
    ollamapy: Command, fake: FakeOllama, shared_models: Path
) -> None:
    folder = shared_models / "hf" / "glove25-bert"
    done = ollamapy("create", "new", "-f", "-", stdin=f"FROM {folder}")
    assert done.returncode == 0, done.stderr
    sent = fake.body("/api/create")["files"]
    assert set(sent) == {
        "model.safetensors", "config.json", "tokenizer.json", "tokenizer_config.json", "vocab.txt",
        "1_Pooling/config.json",
    }  # fmt: skip
    for name, digest in sent.items():
        assert fake.blobs[digest] == (folder / name).read_bytes()


def test_a_folder_without_weights_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidFileError, match=r"FROM \.: there is no GGUF file and no safetensors in this folder"):
        find_sources(Modelfile(from_=(".",)), tmp_path)


def test_a_name_is_a_path_where_something_of_that_name_exists(folder: Path) -> None:
    (folder / "wren").write_bytes(CONTENT)
    assert find_sources(Modelfile(from_=("wren",)), folder) == ("", [folder / "wren"])
    assert find_sources(Modelfile(from_=("wren:latest", "tiny.gguf")), folder) == (
        "wren:latest",
        [folder / "tiny.gguf"],
    )


def test_users_that_do_not_exist_are_told(folder: Path) -> None:
    with pytest.raises(InvalidInputError, match="no such user"):
        find_sources(Modelfile(from_=("~nobody-of-this-name/x.gguf",)), folder)


def test_steps_in_json_begin_on_a_line_of_their_own(ollamapy: Command, folder: Path) -> None:
    with ollamapy.on_screen("create", "new", "-f", str(folder / "Modelfile"), "--json") as screen:
        assert screen.wait_for_end() == 0
        assert '{"status":"parsing GGUF"}' in screen.lines
