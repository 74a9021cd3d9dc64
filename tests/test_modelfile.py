from __future__ import annotations

import codecs
import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ollamapy.errors import ModelfileError
from ollamapy.modelfile import Modelfile, can_write, format_modelfile, parse_modelfile, quote
from ollamapy.types import Message

FULL = '''
# a comment
FROM ./model.gguf
from "./projector file.gguf"
ADAPTER ./lora.gguf
DRAFT ./draft.gguf
TEMPLATE """{{ .System }}
# not a comment
{{ .Prompt }}"""
  SYSTEM\tYou are "kind".
PARAMETER stop "<|end|>"
PARAMETER stop <|user|>
PARAMETER num_ctx 4096
PARAMETER low_vram true
LICENSE MIT
LICENSE """
two
"""
MESSAGE user hi # there
MESSAGE assistant "hello
you"
RENDERER qwen3-coder
PARSER qwen3-coder
REQUIRES v0.14.0
'''


def test_reads_every_instruction() -> None:
    modelfile = parse_modelfile(FULL)
    assert modelfile == Modelfile(
        from_=("./model.gguf", "./projector file.gguf"),
        parameters=(("stop", "<|end|>"), ("stop", "<|user|>"), ("num_ctx", "4096")),
        template="{{ .System }}\n# not a comment\n{{ .Prompt }}",
        system='You are "kind".',
        licenses=("MIT", "\ntwo\n"),
        adapters=("./lora.gguf",),
        draft="./draft.gguf",
        messages=(Message("user", "hi # there"), Message("assistant", "hello\nyou")),
        renderer="qwen3-coder",
        parser="qwen3-coder",
        requires="0.14.0",
    )
    assert modelfile.warnings == ("warning: parameter low_vram is deprecated",)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("SYSTEM plain text", "plain text"),
        ("SYSTEM   padded  \t", "padded"),
        ("SYSTEM \t\n", ""),
        ('SYSTEM ""', ""),
        ('SYSTEM """"""', ""),
        ('SYSTEM "quoted"', "quoted"),
        ('SYSTEM " keeps blanks "', " keeps blanks "),
        ('SYSTEM "a" b\nc"', 'a" b\nc'),
        ('SYSTEM "one\n\n two"', "one\n\n two"),
        ('SYSTEM """x"y"""', 'x"y'),
        ('SYSTEM """"x""""', '"x"'),
        ('SYSTEM """\n"""', "\n"),
        ('SYSTEM """a""" b\n"""', 'a""" b\n'),
        ("SYSTEM 'single'", "'single'"),
        ('SYSTEM say "hi"', 'say "hi"'),
        ('SYSTEM "crlf\r\nend"\r\n', "crlf\r\nend"),
        ("SYSTEM tab\tinside\x00\x1b", "tab\tinside"),
        ("SYSTEM می‌خواهم", "می‌خواهم"),
        ("sYsTeM # literal", "# literal"),
        ("SYSTEM first\nSYSTEM last", "last"),
    ],
)
def test_reads_values(text: str, value: str) -> None:
    assert parse_modelfile(f"FROM x\n{text}").system == value


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("", 0, "no FROM line"),
        ("# FROM x", 0, "no FROM line"),
        ("FROM x\nBADCOMMAND y", 2, 'command must be one of "from", "license"'),
        ("FROM x\n\n\nFROM\n", 4, "expected a value after FROM"),
        ("FROM \n", 1, "expected a value after FROM"),
        ("FROM: x", 1, "command must be one of"),
        ("FROM x\r\nSYSTEM a\r\nNOPE b", 3, "command must be one of"),
        ("FROM x\nMESSAGE User hi", 2, 'message role must be one of "system", "user", or "assistant"'),
        ("FROM x\nMESSAGE user", 2, "expected a text after MESSAGE user"),
        ("FROM x\nMESSAGE", 2, "expected a value after MESSAGE"),
        ("FROM x\nPARAMETER temperature", 2, "expected a name and a value"),
        ("FROM x\nPARAMETER num_ctx many", 2, "invalid int value [many]"),
        ("FROM x\nPARAMETER temperature hot", 2, "invalid float value [hot]"),
        ("FROM x\nPARAMETER use_mmap ja", 2, "invalid bool value [ja]"),
        ("FROM x\nPARAMETER magic 1", 2, "unknown parameter 'magic'"),
        ("FROM x\nPARAMETER tfs_z 1", 2, "unknown parameter 'tfs_z'"),
        ('FROM x\nSYSTEM """a\nb', 2, 'unexpected EOF: SYSTEM opens a quote here; expected """'),
        ('FROM x\nSYSTEM "', 2, "unexpected EOF"),
        ("FROM x\nREQUIRES new", 2, "requires must be a valid semver (e.g. 0.14.0)"),
        ("FROM x\nREQUIRES 01.2.3", 2, "requires must be a valid semver"),
        ("FROM x\nDRAFT x", 2, "DRAFT must name another file than FROM"),
    ],
)
def test_errors_know_their_line(text: str, line: int, message: str) -> None:
    with pytest.raises(ModelfileError) as caught:
        parse_modelfile(text)
    assert caught.value.line == line
    assert caught.value.message.removeprefix(f"(line {line}): ").startswith(message)


@pytest.mark.parametrize("version", ["1", "v1.2", "0.14.0", "1.2.3-rc.1", "1.2.3+build"])
def test_accepts_semver(version: str) -> None:
    assert parse_modelfile(f"FROM x\nREQUIRES {version}").requires == version.removeprefix("v")


@pytest.mark.parametrize(
    "data",
    [
        "FROM é".encode(),
        codecs.BOM_UTF8 + "FROM é".encode(),
        codecs.BOM_UTF16_LE + "FROM é".encode("utf-16-le"),
        codecs.BOM_UTF16_BE + "FROM é".encode("utf-16-be"),
    ],
    ids=["utf-8", "utf-8-bom", "utf-16-le", "utf-16-be"],
)
def test_reads_encodings(data: bytes) -> None:
    assert parse_modelfile(data).from_ == ("é",)


def test_binary_input_is_refused_with_its_line() -> None:
    with pytest.raises(ModelfileError, match=r"\(line 2\): not text: expected UTF-8"):
        parse_modelfile(b"FROM x\nGGUF\xff\xff")


def test_formats_as_ollama_shows() -> None:
    modelfile = Modelfile(
        from_=("/m/a", "/m/projector"),
        parameters=(("stop", "<|im_end|>"), ("temperature", "0.7")),
        template="{{ .Prompt }}\n",
        system=" x",
        licenses=('say "MIT"\n',),
        adapters=("/m/b",),
        messages=(Message("user", "hi"),),
        parser="qwen3",
    )
    assert format_modelfile(modelfile, "wren:latest") == (
        '# Modelfile generated by "ollama show"\n'
        "# To build a new Modelfile based on this, replace FROM with:\n"
        "# FROM wren:latest\n"
        "\n"
        "FROM /m/a\n"
        "ADAPTER /m/b\n"
        "FROM /m/projector\n"
        'TEMPLATE "{{ .Prompt }}\n"\n'
        'SYSTEM " x"\n'
        "PARSER qwen3\n"
        "PARAMETER stop <|im_end|>\n"
        "PARAMETER temperature 0.7\n"
        'LICENSE """say "MIT"\n"""\n'
        "MESSAGE user hi\n"
    )


@pytest.mark.parametrize("value", ["", '"', '""', '"""', '"x', 'x"', " ", "\n", '\n"', "#", "a\rb", "\t", '"""\t'])
def test_awkward_values_survive_quoting(value: str) -> None:
    assert can_write(value)
    assert parse_modelfile(f"FROM x\nSYSTEM {quote(value)}\nLICENSE after").system == value


def test_a_value_that_cannot_be_written_is_announced() -> None:
    text = format_modelfile(Modelfile(from_=("x",), system='a"""\nb'))
    assert "# The next SYSTEM has lines that no Modelfile can express" in text


words = st.text(st.characters(exclude_categories=["Cc", "Cs"], exclude_characters="\ufeff"), max_size=20)
values = st.one_of(words, st.text(' "\n\r\ta#', max_size=12)).filter(can_write)
names = values.filter(bool)
modelfiles = st.builds(
    Modelfile,
    from_=st.lists(names, min_size=1, max_size=3).map(tuple),
    parameters=st.lists(
        st.one_of(st.tuples(st.just("stop"), values), st.tuples(st.just("top_k"), st.integers(0, 99).map(str)))
    ).map(tuple),
    template=st.none() | values,
    system=st.none() | values,
    licenses=st.lists(values, max_size=3).map(tuple),
    adapters=st.lists(names, max_size=2).map(tuple),
    messages=st.lists(
        st.builds(Message, role=st.sampled_from(["system", "user", "assistant"]), content=values), max_size=3
    ).map(tuple),
    renderer=st.none() | names,
    parser=st.none() | names,
    requires=st.none() | st.just("0.14.0"),
)


@given(modelfiles)
def test_round_trip(modelfile: Modelfile) -> None:
    assert parse_modelfile(format_modelfile(modelfile)) == modelfile
    assert parse_modelfile(format_modelfile(modelfile, "wren:latest").encode()) == modelfile


@given(st.text(st.sampled_from('FROM sytemPARAMETER"\n\r \t#x'), max_size=60))
def test_any_text_parses_or_names_its_fault(text: str) -> None:
    with contextlib.suppress(ModelfileError):
        assert parse_modelfile(text).from_


def test_the_sample_modelfiles_parse() -> None:
    for path in sorted((Path(__file__).parent.parent / "modelfiles").rglob("*Modelfile*")):
        assert parse_modelfile(path.read_bytes()).from_
