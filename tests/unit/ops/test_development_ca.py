"""The development CA: made once, its certificates renewed when names or time ask for it."""

import ssl
from datetime import timedelta
from pathlib import Path

import pytest

from ops import development_ca
from ops.development_ca import certificates

NAMES = ["localhost", "127.0.0.1", "::1", "*"]


def handshake(server: ssl.SSLContext, client: ssl.SSLContext, name: str) -> None:
    """A whole handshake in memory."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    here = client.wrap_bio(to_client, to_server, server_hostname=name)
    there = server.wrap_bio(to_server, to_client, server_side=True)
    for end in (here, there, here, there):
        try:
            end.do_handshake()
        except ssl.SSLWantReadError:
            pass


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "::1"])
def test_a_phone_that_trusts_the_ca_accepts_the_server(tmp_path: Path, name: str) -> None:
    made = certificates(tmp_path, tmp_path / "ca", NAMES)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(made.cert, made.key)
    client = ssl.create_default_context(cafile=str(made.ca))
    handshake(server, client, name)


def test_a_phone_refuses_another_name(tmp_path: Path) -> None:
    made = certificates(tmp_path, tmp_path / "ca", NAMES)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(made.cert, made.key)
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(server, ssl.create_default_context(cafile=str(made.ca)), "example.org")


def test_what_is_good_is_kept_and_new_names_make_a_new_certificate(tmp_path: Path) -> None:
    first = certificates(tmp_path, tmp_path / "ca", NAMES).cert.read_bytes()
    authority = (tmp_path / "ca" / "ca.pem").read_bytes()
    assert certificates(tmp_path, tmp_path / "ca", NAMES).cert.read_bytes() == first
    assert certificates(tmp_path, tmp_path / "ca", ["localhost"]).cert.read_bytes() == first
    assert certificates(tmp_path, tmp_path / "ca", [*NAMES, "sip.test"]).cert.read_bytes() != first
    assert (tmp_path / "ca" / "ca.pem").read_bytes() == authority


def test_it_is_made_again_before_it_expires(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(development_ca, "SERVER_LIFE", timedelta(days=29))
    first = certificates(tmp_path, tmp_path / "ca", NAMES).cert.read_bytes()
    assert certificates(tmp_path, tmp_path / "ca", NAMES).cert.read_bytes() != first


def test_two_nodes_share_one_authority_and_keys_are_private(tmp_path: Path) -> None:
    first = certificates(tmp_path / "one", tmp_path / "ca", NAMES)
    second = certificates(tmp_path / "two", tmp_path / "ca", NAMES)
    assert first.ca == second.ca
    for key in (first.key, second.key, tmp_path / "ca" / "ca.key"):
        assert key.stat().st_mode & 0o077 == 0
