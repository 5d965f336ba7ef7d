"""Certificates for TLS listeners and for the connections that we open."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from node.settings import TlsSettings


class TlsContexts(NamedTuple):
    """``server`` is None where there is no certificate: then there can be no TLS listener."""

    server: ssl.SSLContext | None
    client: ssl.SSLContext


def tls_contexts(settings: TlsSettings) -> TlsContexts:
    """Read the certificate files. Raises OSError naming the option whose file does not serve."""
    server = None
    if settings.cert:
        server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        _harden(server)
        _load(server, settings)
    client = ssl.create_default_context()
    _harden(client)
    if settings.ca:
        try:
            client.load_verify_locations(settings.ca)
        except OSError as error:
            raise OSError(f"[tls] ca: {settings.ca}: {error.strerror or error}") from error
    if not settings.verify_servers:
        client.check_hostname = False
        client.verify_mode = ssl.CERT_NONE
    if settings.cert:
        _load(client, settings)  # shown to servers that ask for one
    return TlsContexts(server, client)


def _harden(context: ssl.SSLContext) -> None:
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION


def _load(context: ssl.SSLContext, settings: TlsSettings) -> None:
    try:
        context.load_cert_chain(settings.cert, settings.key or None)
    except OSError as error:
        files = f"{settings.cert}, {settings.key}" if settings.key else settings.cert
        raise OSError(f"[tls] cert, key: {files}: {error.strerror or error}") from error
