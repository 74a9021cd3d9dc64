from __future__ import annotations

from pathlib import Path

import pytest

from ollamapy.config import read_settings
from ollamapy.errors import ConfigError


def test_registries_are_named_in_the_variable() -> None:
    text = "https://Reg.example:8443, http://me:p%40ss@localhost:5000/, registry.ollama.ai=http://mirror"
    first, second, third = read_settings({"OLLAMAPY_REGISTRIES": text}).registries
    assert (first.host, first.url) == ("reg.example:8443", "https://reg.example:8443")
    assert (second.host, second.url) == ("localhost:5000", "http://localhost:5000")
    assert (second.username, second.password) == ("me", "p@ss")
    assert (third.host, third.url) == ("registry.ollama.ai", "http://mirror")
    assert [registry.upstream for registry in (first, second, third)] == ["", "", "https://registry.ollama.ai"]


def test_registries_are_named_in_the_file_and_the_variable_counts_more(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text(
        '[registries."reg.example"]\nusername = "me"\npassword = "secret"\nauth_host = "auth.example"\n'
        '[registries."localhost:5000"]\ninsecure = true\n'
        '[registries."registry.ollama.ai"]\nmirror = "https://mirror.example/ollama"\ntoken = "abc"\nca_file = "/ca"\n'
        '[registries."signed.example"]\nollama_key = true\n'
    )
    environ = {"OLLAMAPY_CONFIG": str(path), "OLLAMAPY_REGISTRIES": "http://reg.example"}
    found = {registry.host: registry for registry in read_settings(environ).registries}
    assert found["reg.example"].url == "http://reg.example"
    assert found["localhost:5000"].url == "http://localhost:5000"
    mirrored = found["registry.ollama.ai"]
    assert (mirrored.url, mirrored.token, mirrored.ca_file) == ("https://mirror.example/ollama", "abc", "/ca")
    assert found["signed.example"].ollama_key
    assert "abc" not in repr(found)
    given = read_settings({"OLLAMAPY_CONFIG": str(path)}).registries
    assert [(r.username, r.password, r.auth_host) for r in given if r.host == "reg.example"] == [
        ("me", "secret", "auth.example")
    ]


@pytest.mark.parametrize(
    ("row", "upstream"),
    [
        ('mirror = "https://m.example"', "https://reg.example"),
        ('mirror = "https://m.example"\ninsecure = true', "http://reg.example"),
        ('mirror = "https://m.example"\nmirror_only = true', ""),
        ('mirror = "https://reg.example/"', ""),
        ("insecure = true", ""),
    ],
)
def test_behind_a_mirror_stands_the_host_itself_unless_the_mirror_counts_alone(
    tmp_path: Path, row: str, upstream: str
) -> None:
    (tmp_path / "c.toml").write_text(f'[registries."reg.example"]\n{row}\n')
    (found,) = read_settings({"OLLAMAPY_CONFIG": str(tmp_path / "c.toml")}).registries
    assert found.upstream == upstream


@pytest.mark.parametrize(
    "text", ["reg.example", "ftp://x", "https://", "https://u:secret@", "https://x?y", "a b=https://x"]
)
def test_a_registry_that_is_none_is_refused_without_quoting_it(text: str) -> None:
    with pytest.raises(ConfigError, match="OLLAMAPY_REGISTRIES") as caught:
        read_settings({"OLLAMAPY_REGISTRIES": text})
    assert "secret" not in caught.value.message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("registries = 5", r'registries: expected a table \[registries\."host"\] for each registry'),
        ("[registries]\nx = 1", r"registries: expected a table"),
        ('[registries."x"]\nmiror = "red"', r'registries\."x"\.miror: there is no such key; did you mean mirror\?'),
        ('[registries."x"]\ninsecure = "yes"', r'registries\."x"\.insecure: expected true or false'),
        ('[registries."x"]\nollama_key = "yes"', r'registries\."x"\.ollama_key: expected true or false'),
        ('[registries."x"]\ntoken = 5', r'registries\."x"\.token: expected a text'),
        ('[registries."x"]\nmirror = "ftp://y"', r'registries\."x"\.mirror: expected https://'),
        ('[registries."a b"]\n', r'registries\."a b": expected https://host'),
    ],
)
def test_a_registry_of_the_file_that_makes_no_sense_is_told_by_its_key(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "c.toml").write_text(text)
    with pytest.raises(ConfigError, match=f"^{message}"):
        read_settings({"OLLAMAPY_CONFIG": str(tmp_path / "c.toml")})
