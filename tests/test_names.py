from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ollamapy.errors import InvalidDigestError, InvalidNameError
from ollamapy.names import Digest, ModelName

DEFAULT = "registry.ollama.ai/library"
HEX = "0123456789abcdef" * 4


@pytest.mark.parametrize(
    ("text", "full"),
    [
        pytest.param("wren", f"{DEFAULT}/wren:latest", id="model"),
        pytest.param("wren:1b", f"{DEFAULT}/wren:1b", id="model and tag"),
        pytest.param("  wren:1b\t", f"{DEFAULT}/wren:1b", id="blanks around"),
        pytest.param("bird/wren", "registry.ollama.ai/bird/wren:latest", id="namespace"),
        pytest.param("hf.co/a/b:Q4_K_M", "hf.co/a/b:Q4_K_M", id="host"),
        pytest.param("localhost:5000/a/b", "localhost:5000/a/b:latest", id="host with port, no tag"),
        pytest.param("https://example.com/a/b:c", "example.com/a/b:c", id="scheme"),
        pytest.param("WREN:Latest", f"{DEFAULT}/WREN:Latest", id="case is kept"),
        pytest.param("_a-b.c:_d", f"{DEFAULT}/_a-b.c:_d", id="all characters"),
        pytest.param("wren:local", f"{DEFAULT}/wren:latest", id="local source"),
        pytest.param("wren:1b:LOCAL", f"{DEFAULT}/wren:1b", id="local source behind a tag"),
        pytest.param("wren:cloud", f"{DEFAULT}/wren:cloud", id="cloud is a tag"),
        pytest.param("m" * 80 + ":" + "t" * 80, f"{DEFAULT}/{'m' * 80}:{'t' * 80}", id="longest parts"),
        pytest.param("h" * 350 + "/n/m", "h" * 350 + "/n/m:latest", id="longest host"),
    ],
)
def test_parses_a_name_into_all_four_parts(text: str, full: str) -> None:
    assert ModelName.parse(text).full == full


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "/", ":", "a/", "/a", "a:", ":a", "a//b", "a/b/c/d", "a:b:c", "a b", "a/b:c/d", ".a", "-a", "a:.b",
        "a.b/c", "a.b/c:d", "m" * 81, "a:" + "t" * 81, "n" * 81 + "/m", "h" * 351 + "/n/m", "a@sha256:" + HEX,
        "../../x", "a/../../b:c", "%2e%2e", "%2e%2e/x", "C:\\x", "a\\b", "a.", "a:b.", "a" * 10_000, "a\0", "a\n",
        "\na", "a\r\n", "a:b\r\nHost: x", "[::1]:22/a/b", "user@evil/a/b", "evil#/a/b", "ftp://h/a/b",
        "wren:local:cloud", "ａ", "a:１", "é", "a/b.c/d", "..", "a:..", "local://a", "https://",
    ],
)  # fmt: skip
def test_t19_refuses_what_is_outside_the_grammar(text: str) -> None:
    with pytest.raises(InvalidNameError, match=r"^invalid model name: "):
        ModelName.parse(text)


@pytest.mark.parametrize(
    ("text", "host"), [("reg.example/tiny", "reg.example"), ("localhost:5000/t:v1", "localhost:5000")]
)
def test_a_host_without_a_namespace_is_told(text: str, host: str) -> None:
    with pytest.raises(InvalidNameError, match=f"{host} is a host, after which namespace/model has to come"):
        ModelName.parse(text)


@pytest.mark.parametrize("part", ["", "..", "a/b", "a\n", "a\0", "a.", "~"])
@pytest.mark.parametrize("position", range(4))
def test_a_name_cannot_be_built_from_bad_parts(part: str, position: int) -> None:
    parts = ["h", "n", "m", "t"]
    parts[position] = part
    with pytest.raises(InvalidNameError):
        ModelName(*parts)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("wren", "wren:latest"),
        ("registry.ollama.ai/library/wren:1b", "wren:1b"),
        ("bird/wren", "bird/wren:latest"),
        ("hf.co/library/wren", "hf.co/library/wren:latest"),
    ],
)
def test_shows_the_shortest_name(text: str, shown: str) -> None:
    assert str(ModelName.parse(text)) == shown


@given(st.text())
def test_every_parsed_name_survives_its_own_display(text: str) -> None:
    try:
        name = ModelName.parse(text)
    except InvalidNameError:
        return
    assert ModelName.parse(str(name)) == name or name.tag.lower() == "local"
    assert not {"", ".", ".."} & {name.host, name.namespace, name.model, name.tag}


@pytest.mark.parametrize("text", [f"sha256:{HEX}", f"sha256-{HEX}"])
def test_parses_both_forms_of_a_digest(text: str) -> None:
    assert str(Digest.parse(text)) == f"sha256:{HEX}"


BAD_DIGESTS = [
    "", "x", "../x", "sha256:../../../../tmp/x", "sha256-../..", "sha256:" + HEX[1:], "sha256:" + HEX + "0",
    "sha256:" + HEX.upper(), "sha256:" + "g" * 64, "sha512:" + HEX, "sha256-" + HEX + "/..", "%2e%2e%2f",
    "sha256:" + HEX[:-1] + "\0", "sha256:" + HEX[:-1] + "\\", "/sha256:" + HEX, " sha256:" + HEX, HEX,
    "sha256:" + "a" * 64 + "\n", "sha256:" + "１" * 64, "sha256:" + "٣" * 64, "SHA256:" + HEX, "sha256:sha256:" + HEX,
]  # fmt: skip


@pytest.mark.parametrize("text", BAD_DIGESTS)
def test_t10_t11_refuses_everything_else_as_a_digest(text: str) -> None:
    with pytest.raises(InvalidDigestError, match=r"^invalid digest format"):
        Digest.parse(text)


@pytest.mark.parametrize("value", [None, 5, 1.5, [], {}, b"sha256:" + HEX.encode()])
def test_t10_refuses_values_that_are_no_text_as_a_digest(value: object) -> None:
    with pytest.raises(InvalidDigestError):
        Digest.parse(value)  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["", "..", HEX + "\n", HEX.upper(), HEX + "/x"])
def test_a_digest_cannot_be_built_from_bad_hex(text: str) -> None:
    with pytest.raises(InvalidDigestError):
        Digest(text)


def test_computes_the_digest_of_bytes() -> None:
    assert Digest.of(b"").hex == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
