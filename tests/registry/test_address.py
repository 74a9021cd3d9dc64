"""Which addresses are public, and where redirects may lead."""

from __future__ import annotations

import pytest

from ollamapy.errors import TransferError
from ollamapy.registry.address import is_public, origin, redirect_target


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"])
def test_public_addresses(address):
    assert is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1",
        "255.255.255.255", "192.0.2.1", "240.0.0.1", "::1", "::", "fe80::1%eth0", "fc00::1", "ff02::1",
        "::ffff:127.0.0.1", "::ffff:169.254.169.254", "64:ff9b::7f00:1", "2002:7f00:1::", "2001:db8::1",
    ],
)  # fmt: skip
def test_addresses_that_are_not_public(address):
    assert not is_public(address)


def test_origins_have_a_port_and_lower_case():
    assert origin("https://Reg.Example/x") == ("https", "reg.example", 443)
    assert origin("http://[::1]:5000") == ("http", "::1", 5000)


@pytest.mark.parametrize("url", ["file:///x", "https://", "https://a@b/", "http://a:99999/", "http://[x/", "x", ""])
def test_what_is_no_origin(url):
    with pytest.raises(TransferError):
        origin(url)


def test_a_redirect_may_be_relative():
    assert redirect_target("https://a/b/c?d", "../e#f") == "https://a/e"
    assert redirect_target("https://a/b", "//c/d") == "https://c/d"
    assert redirect_target("http://a/b", "https://c/d") == "https://c/d"


@pytest.mark.parametrize(
    "location", ["", "http://a/b", "file:///x", "https://ü/", "https://a/\r\nx", "https://a/" + "x" * 20_000]
)
def test_redirects_that_are_not_followed(location):
    with pytest.raises(TransferError):
        redirect_target("https://a/b", location)
