from dataclasses import replace
from pathlib import Path

import pytest

from ollamapy.config import HostAddress, Settings
from ollamapy.errors import ConfigError
from ollamapy.server.guard import Asked, decide, policy_of, read_asked

SETTINGS = Settings(host=HostAddress(), models_dir=Path("models"))
POLICY = policy_of(SETTINGS)
LOCAL = Asked("POST", "/api/chat", ("127.0.0.1:11434",), local_host="127.0.0.1")
KEYS = policy_of(replace(SETTINGS, api_keys=("secret", "other-key")))


def status(policy, asked):
    verdict = decide(policy, asked)
    return verdict.failure.status if verdict.failure else 200


@pytest.mark.parametrize(
    "host",
    ["localhost", "localhost:1", "LOCALHOST:11434", "127.0.0.1", "127.0.0.1:80", "[::1]", "[::1]:11434"],
)
def test_t01_local_names_are_served(host):
    assert status(POLICY, replace(LOCAL, hosts=(host,))) == 200


@pytest.mark.parametrize(
    "hosts",
    [
        ("evil.example",),
        ("127.0.0.1.nip.io",),
        ("localhost.evil.example",),
        ("foo.internal",),
        ("10.0.0.5",),
        ("evil.example@localhost",),
        ("localhost:11434@evil.example",),
        ("localhost:x",),
        ("[::1",),
        ("",),
        (),
        ("localhost", "evil.example"),
        ("localhost localhost",),
    ],
)
def test_t01_other_names_are_refused(hosts):
    assert status(POLICY, replace(LOCAL, hosts=hosts)) == 403


def test_t01_configured_names_are_served_whatever_the_bind():
    settings = replace(SETTINGS, allowed_hosts=("My.Box", "fe80::1"), insecure_bind=True)
    for host in ("127.0.0.1", "0.0.0.0", ""):
        policy = policy_of(replace(settings, host=HostAddress(host=host)))
        assert status(policy, replace(LOCAL, hosts=("my.box:11434",))) == 200
        assert status(policy, replace(LOCAL, hosts=("[fe80::1]:11434",))) == 200
        assert status(policy, replace(LOCAL, hosts=("evil.example",))) == 403
        assert status(policy, replace(LOCAL, hosts=("0.0.0.0",))) == 403


def test_t01_the_address_that_was_connected_to_is_ours():
    asked = replace(LOCAL, hosts=("192.168.1.5:11434",), local_host="192.168.1.5")
    assert status(POLICY, asked) == 200
    assert status(POLICY, replace(LOCAL, hosts=("[fd00::1]:11434",), local_host="fd00::1")) == 200


@pytest.mark.parametrize(
    "origin",
    [
        "http://localhost",
        "http://localhost:3000",
        "https://127.0.0.1:8443",
        "http://0.0.0.0:5173",
        "http://[::1]:3000",
        "http://127.0.0.1:11434",
        "app://obsidian.md",
        "tauri://localhost",
        "vscode-webview://abc",
        "vscode-file://vscode-app",
        "file://",
    ],
)
def test_t02_local_origins_are_allowed_and_told_so(origin):
    verdict = decide(POLICY, replace(LOCAL, origin=origin))
    assert (verdict.failure, verdict.allow_origin) == (None, origin)


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example",
        "null",
        "",
        "http://localhost.evil.example",
        "http://localhost:3000.evil.example",
        "http://localhost@evil.example",
        "http://127.0.0.1:11434, https://evil.example",
        "chrome-extension://abc",
        "localhost",
    ],
)
def test_t02_other_origins_are_refused(origin):
    verdict = decide(POLICY, replace(LOCAL, origin=origin))
    assert verdict.failure is not None
    assert (verdict.failure.status, verdict.allow_origin) == (403, None)


def test_t02_a_cross_site_request_without_an_allowed_origin_is_refused():
    assert status(POLICY, replace(LOCAL, fetch_site="cross-site")) == 403
    assert status(POLICY, replace(LOCAL, fetch_site="same-origin")) == 200
    assert status(POLICY, replace(LOCAL, fetch_site="cross-site", origin="http://localhost:3000")) == 200


def test_t02_configured_origins_may_have_one_star():
    policy = policy_of(replace(SETTINGS, origins=("https://*.example.com", "chrome-extension://*", "http://a.b:1/")))
    for origin in ("https://x.example.com", "chrome-extension://abc", "http://a.b:1"):
        assert status(policy, replace(LOCAL, origin=origin)) == 200
    for origin in ("https://example.com", "http://x.example.com", "http://a.b:12"):
        assert status(policy, replace(LOCAL, origin=origin)) == 403
    everything = policy_of(replace(SETTINGS, origins=("*",)))
    assert status(everything, replace(LOCAL, origin="https://evil.example")) == 200


def test_a_preflight_needs_an_allowed_origin_but_no_key():
    asked = replace(LOCAL, method="OPTIONS", origin="http://localhost:3000", is_preflight=True)
    assert decide(KEYS, asked).is_preflight
    assert status(KEYS, replace(asked, origin="https://evil.example")) == 403
    assert status(KEYS, replace(asked, origin=None)) == 401


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ((), 401),
        ((b"",), 401),
        ((b"secre",), 401),
        ((b"secret2",), 401),
        ((b"SECRET",), 401),
        (("é".encode("latin-1"),), 401),
        ((b"secret",), 200),
        ((b"other-key",), 200),
        ((b"wrong", b"secret"), 200),
    ],
)
def test_t03_a_configured_key_is_needed(keys, expected):
    assert status(KEYS, replace(LOCAL, keys=keys)) == expected


@pytest.mark.parametrize("path", ["/", "/health"])
def test_t03_only_greeting_and_health_are_public(path):
    assert status(KEYS, replace(LOCAL, path=path)) == 200
    assert status(KEYS, replace(LOCAL, path=path + "x")) == 401


@pytest.mark.parametrize("host", ["0.0.0.0", "", "::", "192.168.1.5", "my.box"])
def test_t04_an_open_bind_without_a_key_is_refused(host):
    settings = replace(SETTINGS, host=HostAddress(host=host))
    with pytest.raises(ConfigError, match="OLLAMAPY_API_KEYS"):
        policy_of(settings)
    policy_of(replace(settings, api_keys=("k",)))
    policy_of(replace(settings, insecure_bind=True))


def test_headers_are_read_as_they_are():
    scope = {
        "type": "http",
        "method": "OPTIONS",
        "path": "/api/chat",
        "server": ("127.0.0.1", 11434),
        "headers": [
            (b"host", b"localhost"),
            (b"authorization", b"bearer a"),
            (b"authorization", b"Basic b"),
            (b"x-api-key", b"c"),
            (b"origin", b"null"),
            (b"sec-fetch-site", b"cross-site"),
            (b"access-control-request-method", b"POST"),
        ],
    }
    assert read_asked(scope) == Asked(
        "OPTIONS", "/api/chat", ("localhost",), "null", "cross-site", (b"c", b"a"), True, "127.0.0.1"
    )
