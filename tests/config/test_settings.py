from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ollamapy.config import VARIABLES, default_models_dir, parse_duration, read_settings
from ollamapy.errors import ConfigError, InvalidInputError


def test_an_empty_environment_gives_the_defaults() -> None:
    settings = read_settings({})
    assert settings.host.base_url == "http://127.0.0.1:11434"
    assert settings.models_dir == default_models_dir()
    assert settings.models_dir.name == "models"
    assert settings.models_dir.parent.name == "ollamapy"
    assert (settings.keep_alive_seconds, settings.load_timeout_seconds) == (300.0, 300.0)
    assert (settings.max_queue, settings.context_length, settings.max_body_bytes) == (512, 0, 64 << 20)
    assert (settings.flash_attention, settings.kv_cache_type) == ("auto", "f16")
    flags = (settings.no_prune, settings.no_history, settings.insecure_bind, settings.debug)
    assert not any(flags)
    assert settings.api_key is None


def test_empty_values_count_as_absent() -> None:
    assert read_settings(dict.fromkeys(VARIABLES, " '' ")) == read_settings({})


@pytest.mark.parametrize(
    ("text", "bind", "url"),
    [
        ("1.2.3.4", ("1.2.3.4", 11434), "http://1.2.3.4:11434"),
        (":1234", ("0.0.0.0", 1234), "http://127.0.0.1:1234"),
        (":", ("0.0.0.0", 11434), "http://127.0.0.1:11434"),
        ("1.2.3.4:", ("1.2.3.4", 11434), "http://1.2.3.4:11434"),
        ("1.2.3.4:0", ("1.2.3.4", 0), "http://1.2.3.4:0"),
        ("0.0.0.0:65535", ("0.0.0.0", 65535), "http://127.0.0.1:65535"),
        ("example.com", ("example.com", 11434), "http://example.com:11434"),
        ("::1", ("::1", 11434), "http://[::1]:11434"),
        ("[::1]", ("::1", 11434), "http://[::1]:11434"),
        ("[::]:80", ("::", 80), "http://[::1]:80"),
        ("http://1.2.3.4", ("1.2.3.4", 80), "http://1.2.3.4:80"),
        ("https://1.2.3.4", ("1.2.3.4", 443), "https://1.2.3.4:443"),
        ("https://example.com:8443/a/b/", ("example.com", 8443), "https://example.com:8443/a/b"),
        ("example.com/ollama", ("example.com", 11434), "http://example.com:11434/ollama"),
        ("ollama.com", ("ollama.com", 443), "https://ollama.com:443"),
        ("\"1.2.3.4\"", ("1.2.3.4", 11434), "http://1.2.3.4:11434"),
        (" ' 1.2.3.4:5 ' ", ("1.2.3.4", 5), "http://1.2.3.4:5"),
    ],
)  # fmt: skip
def test_reads_every_form_of_a_host(text: str, bind: tuple[str, int], url: str) -> None:
    host = read_settings({"OLLAMA_HOST": text}).host
    assert ((host.bind_host, host.port), host.base_url) == (bind, url)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("127.0.0.1", True), ("127.8.9.1:5", True), ("localhost", True), ("LOCALHOST:1", True), ("[::1]:5", True),
        ("0.0.0.0", False), (":11434", False), ("[::]", False), ("192.168.0.1", False),
        ("localhost.evil.example", False),
    ],
)  # fmt: skip
def test_knows_whether_an_address_is_loopback(text: str, expected: bool) -> None:
    assert read_settings({"OLLAMA_HOST": text}).host.is_loopback is expected


@pytest.mark.parametrize(
    ("key", "text", "field", "value"),
    [
        ("OLLAMA_MODELS", "/srv/models", "models_dir", Path("/srv/models")),
        ("OLLAMA_MODELS", "~/m", "models_dir", Path("~/m").expanduser()),
        ("OLLAMA_MODELS", "m", "models_dir", Path.cwd() / "m"),
        ("OLLAMA_KEEP_ALIVE", "10", "keep_alive_seconds", 10.0),
        ("OLLAMA_KEEP_ALIVE", "0", "keep_alive_seconds", 0.0),
        ("OLLAMA_KEEP_ALIVE", "-1", "keep_alive_seconds", math.inf),
        ("OLLAMA_KEEP_ALIVE", "1h30m", "keep_alive_seconds", 5400.0),
        ("OLLAMA_KEEP_ALIVE", "-1s", "keep_alive_seconds", math.inf),
        ("OLLAMA_LOAD_TIMEOUT", "0", "load_timeout_seconds", math.inf),
        ("OLLAMA_LOAD_TIMEOUT", "-5m", "load_timeout_seconds", math.inf),
        ("OLLAMA_MAX_LOADED_MODELS", "3", "max_loaded_models", 3),
        ("OLLAMA_NUM_PARALLEL", "16", "num_parallel", 16),
        ("OLLAMA_MAX_QUEUE", "7", "max_queue", 7),
        ("OLLAMA_CONTEXT_LENGTH", "8192", "context_length", 8192),
        ("OLLAMA_ORIGINS", "http://a, app://b,,", "origins", ("http://a", "app://b")),
        ("OLLAMAPY_PIN", "wren, me/tiny:q4", "pin", ("wren", "me/tiny:q4")),
        ("OLLAMAPY_ALLOWED_HOSTS", "a.example", "allowed_hosts", ("a.example",)),
        ("OLLAMA_FLASH_ATTENTION", "1", "flash_attention", "on"),
        ("OLLAMA_FLASH_ATTENTION", "false", "flash_attention", "off"),
        ("OLLAMA_FLASH_ATTENTION", "auto", "flash_attention", "auto"),
        ("OLLAMA_KV_CACHE_TYPE", "Q8_0", "kv_cache_type", "q8_0"),
        ("OLLAMA_GO_TEMPLATE", "0", "go_template", False),
        ("OLLAMA_GO_TEMPLATE", "", "go_template", None),
        ("OLLAMA_NOPRUNE", "T", "no_prune", True),
        ("OLLAMA_NOPRUNE", "False", "no_prune", False),
        ("OLLAMA_DEBUG", "true", "debug", 1),
        ("OLLAMA_DEBUG", "2", "debug", 2),
        ("OLLAMA_DEBUG", "f", "debug", 0),
        ("OLLAMA_API_KEY", "secret", "api_key", "secret"),
        ("OLLAMAPY_API_KEYS", "a,b", "api_keys", ("a", "b")),
        ("OLLAMAPY_INFERENCE_KEYS", "c", "inference_keys", ("c",)),
        ("OLLAMAPY_INSECURE_BIND", "1", "insecure_bind", True),
        ("OLLAMAPY_MAX_BODY", "1000", "max_body_bytes", 1000),
        ("OLLAMAPY_MAX_BODY", "2MiB", "max_body_bytes", 2 << 20),
    ],
)
def test_reads_each_variable(key: str, text: str, field: str, value: object) -> None:
    assert getattr(read_settings({key: text}), field) == value


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("OLLAMA_HOST", "1.2.3.4:66000"), ("OLLAMA_HOST", "1.2.3.4:-1"), ("OLLAMA_HOST", "1.2.3.4:http"),
        ("OLLAMA_HOST", "ftp://1.2.3.4"), ("OLLAMA_HOST", "a b"), ("OLLAMA_HOST", "a@b"), ("OLLAMA_HOST", "x::y::z"),
        ("OLLAMA_HOST", "h:１"), ("OLLAMA_MODELS", "~no-such-user-anywhere/x"), ("OLLAMA_KEEP_ALIVE", "soon"),
        ("OLLAMA_KEEP_ALIVE", "5 m"), ("OLLAMA_KEEP_ALIVE", "1.5"), ("OLLAMA_LOAD_TIMEOUT", "x"),
        ("OLLAMAPY_PIN", "wren, a b"), ("OLLAMAPY_PRELOAD", ":"),
        ("OLLAMA_MAX_QUEUE", "-1"), ("OLLAMA_MAX_QUEUE", "many"), ("OLLAMA_NUM_PARALLEL", "1e3"),
        ("OLLAMA_CONTEXT_LENGTH", "4k"), ("OLLAMA_CONTEXT_LENGTH", "9" * 30), ("OLLAMA_FLASH_ATTENTION", "maybe"),
        ("OLLAMA_KV_CACHE_TYPE", "q2"), ("OLLAMA_NOPRUNE", "yes"), ("OLLAMA_NOHISTORY", "tRUE"), ("OLLAMA_DEBUG", "-1"),
        ("OLLAMAPY_INSECURE_BIND", "on"), ("OLLAMAPY_MAX_BODY", "0"), ("OLLAMAPY_MAX_BODY", "big"),
    ],
)  # fmt: skip
def test_a_bad_value_names_its_variable_and_what_is_expected(key: str, text: str) -> None:
    with pytest.raises(ConfigError, match=f"^{key}: .*expected ") as caught:
        read_settings({key: text})
    assert caught.value.key == key
    assert text[:80] in caught.value.message


def test_every_setting_has_a_description() -> None:
    asked: set[str] = set()

    class Recorder(dict[str, str]):
        def get(self, key: str, default: str = "") -> str:  # type: ignore[override]
            asked.add(key.upper())  # a proxy may be named in lower case too
            return default

    read_settings(Recorder())
    assert asked == set(VARIABLES) | {"VISUAL", "EDITOR"}  # which stand in for OLLAMA_EDITOR


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0.0), ("+0", 0.0), ("-0", 0.0), ("5s", 5.0), ("5m", 300.0), ("1h30m", 5400.0), ("300ms", 0.3),
        ("1.5h", 5400.0), (".5s", 0.5), ("1.s", 1.0), ("10us", 1e-5), ("10µs", 1e-5), ("100ns", 1e-7),
        ("-1m", math.inf), ("-1", math.inf), ("-0s", 0.0), ("+2m", 120.0), ("2562047h", 2562047 * 3600.0),
    ],
)  # fmt: skip
def test_reads_go_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", 'time: invalid duration ""'),
        ("x", 'time: invalid duration "x"'),
        ("-", 'time: invalid duration "-"'),
        (".", 'time: invalid duration "."'),
        (".s", 'time: invalid duration ".s"'),
        ("1h ", 'time: unknown unit "h " in duration "1h "'),
        ("30", 'time: missing unit in duration "30"'),
        ("1h5", 'time: missing unit in duration "1h5"'),
        ("5d", 'time: unknown unit "d" in duration "5d"'),
        ("2562048h", 'time: invalid duration "2562048h"'),
        ("1..5s", 'time: missing unit in duration "1..5s"'),
        ("٥s", 'time: invalid duration "٥s"'),
    ],
)
def test_a_bad_duration_has_gos_words(text: str, message: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        parse_duration(text)
    assert caught.value.message == message


@given(st.text(alphabet="0123456789.-+nsuµmhx ", max_size=12))
def test_any_text_is_a_duration_or_an_input_error(text: str) -> None:
    try:
        assert parse_duration(text) >= 0
    except InvalidInputError:
        return


@pytest.mark.parametrize("key", ["HTTPS_PROXY", "https_proxy"])
def test_a_proxy_is_named_in_either_case_and_its_password_is_never_shown(key: str) -> None:
    settings = read_settings({key: "http://me:secret@proxy:3128", "NO_PROXY": "a.example,.b"})
    assert (settings.proxies.https, settings.proxies.bypass) == ("http://me:secret@proxy:3128", "a.example,.b")
    assert "secret" not in repr(settings)


@pytest.mark.parametrize("text", ["socks5://secret", "http://", "http://secret?x"])
def test_a_proxy_that_is_none_is_refused_without_quoting_it(text: str) -> None:
    with pytest.raises(ConfigError, match=r"HTTP_PROXY: .*expected http://\[user") as caught:
        read_settings({"HTTP_PROXY": text})
    assert "secret" not in caught.value.message


def test_credentials_and_keys_lie_in_the_configuration_folder_and_ollamas_key_comes_first() -> None:
    settings = read_settings({"HOME": "/home/me"})
    assert settings.credentials_file == Path("/home/me/.config/ollamapy/credentials.json")
    assert settings.key_files == (Path("/home/me/.ollama/id_ed25519"), Path("/home/me/.config/ollamapy/id_ed25519"))
    assert (read_settings({}).credentials_file, read_settings({}).key_files) == (None, ())
