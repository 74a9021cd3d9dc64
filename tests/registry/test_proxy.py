"""Proxies: which requests go through them, and pulls through a real one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from starlette.responses import RedirectResponse

from ollamapy.config import Proxies, Registry
from ollamapy.errors import TransferError, UnauthorizedError
from ollamapy.names import Digest
from ollamapy.registry.proxy import choose_proxy, proxy_address, proxy_of
from tests.actions.test_push import make_model
from tests.fakes.docker_registry import docker_registry, make_certificate
from tests.fakes.proxy import fake_proxy
from tests.fakes.registry import Puller, digest_of, fake_registry

WEIGHTS = os.urandom(300_000)
PROXY = "http://proxy:3128"


@pytest.mark.parametrize(
    ("host", "bypass", "expected"),
    [
        ("reg.example", "", PROXY),
        ("reg.example", "reg.example", ""),
        ("reg.example", "other, .example", ""),
        ("reg.example", "example", ""),
        ("myexample", "example", PROXY),
        ("reg.example", "REG.example:443", ""),
        ("reg.example", "reg.example:444", PROXY),
        ("reg.example", "*", ""),
        ("10.1.2.3", "10.0.0.0/8", ""),
        ("11.1.2.3", "10.0.0.0/8,rubbish/x", PROXY),
        ("reg.example", "10.0.0.0/8", PROXY),
        ("localhost", "", ""),
        ("127.0.0.5", "", ""),
        ("::1", "", ""),
    ],
)
def test_a_request_goes_through_the_proxy_unless_the_host_is_exempt(host: str, bypass: str, expected: str) -> None:
    assert choose_proxy(Proxies(https=PROXY, bypass=bypass), "https", host, 443) == expected


def test_each_scheme_has_its_own_proxy() -> None:
    proxies = Proxies(https=PROXY)
    assert (choose_proxy(proxies, "http", "a", 80), choose_proxy(proxies, "https", "a", 443)) == ("", PROXY)


def test_user_and_password_of_a_proxy_are_sent_to_it() -> None:
    url = "http://me:p%40ss@proxy:3128"
    assert proxy_of(url).auth == (b"me", b"p@ss")
    assert proxy_address(url) == ("proxy", 3128)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return make_certificate(tmp_path_factory.mktemp("tls"), "DNS:localhost", "DNS:reg.test", "IP:127.0.0.1")


def round_trip(folder: Path, host: str, registry: Registry, **remotes: object) -> None:
    first, second = Puller(folder / "a", registry, **remotes), Puller(folder / "b", registry, **remotes)
    make_model(first, f"{host}/team/tiny", WEIGHTS)
    assert first.push(f"{host}/team/tiny")[-1].status == "success"
    assert second.pull(f"{host}/team/tiny")[-1].status == "success"
    assert second.store.open_blob(Digest.parse(digest_of(WEIGHTS))).read_bytes() == WEIGHTS


def test_a_registry_with_a_certificate_of_its_own_is_believed_through_its_ca_file(
    tmp_path: Path, certificate: tuple[Path, Path]
) -> None:
    with docker_registry(tmp_path / "registry", tls=certificate) as address:
        host = address.replace("127.0.0.1", "localhost")
        registry = Registry(host=host, url=f"https://{host}", ca_file=str(certificate[0]))
        round_trip(tmp_path, host, registry)
        with pytest.raises(TransferError, match=r"could not trust localhost .*CERTIFICATE_VERIFY_FAILED.*ca_file"):
            Puller(tmp_path / "c", Registry(host=host, url=f"https://{host}")).pull(f"{host}/team/tiny")
        missing = Registry(host=host, url=f"https://{host}", ca_file=str(tmp_path / "no"))
        with pytest.raises(TransferError, match="ca_file of this registry can't be read"):
            Puller(tmp_path / "d", missing).pull(f"{host}/team/tiny")


def test_a_registry_behind_a_proxy_is_reached_through_a_tunnel(tmp_path: Path, certificate: tuple[Path, Path]) -> None:
    with docker_registry(tmp_path / "registry", tls=certificate) as address, fake_proxy("Basic bWU6cHc=") as proxy:
        host = address.replace("127.0.0.1", "reg.test")
        registry = Registry(host=host, url=f"https://{host}", ca_file=str(certificate[0]))
        proxies = Proxies(https=f"http://me:pw@127.0.0.1:{proxy.port}")
        round_trip(tmp_path, host, registry, proxies=proxies)
        assert set(proxy.asked) == {host}
        denied = Proxies(https=f"http://me:wrong@127.0.0.1:{proxy.port}")
        with pytest.raises(UnauthorizedError, match="the proxy wants another user or password") as failed:
            Puller(tmp_path / "c", registry, proxies=denied).pull(f"{host}/team/tiny")
        assert "wrong" not in failed.value.message


def test_a_registry_without_tls_is_reached_through_the_proxy_of_http(tmp_path: Path) -> None:
    with fake_registry() as server, fake_proxy() as proxy:
        server.add("team/tiny:latest", WEIGHTS)
        host = server.host.replace("127.0.0.1", "reg.test")
        puller = Puller(
            tmp_path, Registry(host=host, url=f"http://{host}"), proxies=Proxies(http=f"http://127.0.0.1:{proxy.port}")
        )
        assert puller.pull(f"{host}/team/tiny")[-1].status == "success"
        assert set(proxy.asked) == {host}


@pytest.mark.parametrize("target", ["https://10.0.0.1/x", "https://169.254.169.254/x", "https://[fd00::1]/x"])
def test_a_proxy_is_not_asked_for_a_private_address(tmp_path: Path, target: str) -> None:
    with fake_registry() as server, fake_proxy() as proxy:
        server.add("team/tiny:latest", WEIGHTS)
        server.bend = lambda request, answer: RedirectResponse(target) if "/blobs/" in request.url.path else answer
        puller = Puller(
            tmp_path,
            Registry(host=server.host, url=server.base_url),
            proxies=Proxies(https=f"http://127.0.0.1:{proxy.port}"),
        )
        with pytest.raises(TransferError, match="private network"):
            puller.pull(f"{server.host}/team/tiny")
        assert proxy.asked == []
