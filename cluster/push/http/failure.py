"""Why there was no answer: libcurl's codes as sentences that name the host and the remedy."""

from __future__ import annotations

import pycurl

from cluster.push.http.message import Connection, HttpResponse
from cluster.push.http.target import Proxy

_HTTP2_STREAM, _PROXY = 92, 97  # codes of libcurl that pycurl does not name
_BROKEN = frozenset(
    (
        pycurl.E_RECV_ERROR,
        pycurl.E_SEND_ERROR,
        pycurl.E_GOT_NOTHING,
        pycurl.E_HTTP2,
        _HTTP2_STREAM,
        pycurl.E_PARTIAL_FILE,
    )
)
_NEVER_SENT = frozenset(
    (
        pycurl.E_UNSUPPORTED_PROTOCOL,
        pycurl.E_URL_MALFORMAT,
        pycurl.E_COULDNT_RESOLVE_PROXY,
        pycurl.E_COULDNT_RESOLVE_HOST,
        pycurl.E_COULDNT_CONNECT,
        pycurl.E_SSL_CONNECT_ERROR,
        pycurl.E_SSL_CERTPROBLEM,
        pycurl.E_SSL_CACERT_BADFILE,
        pycurl.E_PEER_FAILED_VERIFICATION,
        _PROXY,
    )
)
_REFUSED = "REFUSED_STREAM"
_GAVE_UP = "Connection died, tried"  # libcurl repeats a refused stream 5 times, each on a new connection
_CERTIFICATE_ALERTS = ("certificate required", "bad certificate", "unknown ca", "certificate expired")


_SENTENCES = {
    pycurl.E_COULDNT_RESOLVE_HOST: "{host} has no address: check the name and the DNS of this node",
    pycurl.E_COULDNT_CONNECT: "{host} takes no connection: check that it runs, and the firewall",
    pycurl.E_PEER_FAILED_VERIFICATION: (
        "the certificate of {host} is not trusted ({detail}): set [push] ca to the CA that signed it"
    ),
    pycurl.E_SSL_CACERT_BADFILE: "[push] ca: {ca} cannot be read or holds no PEM",
    pycurl.E_SSL_CERTPROBLEM: "the client certificate for {host} cannot be used: check {certificate}",
    pycurl.E_SSL_CONNECT_ERROR: "no TLS with {host}{via} ({detail}): check that it is the right port",
}
_PROXY_SENTENCES = {
    pycurl.E_COULDNT_RESOLVE_PROXY: (
        "proxy {proxy} has no address: correct [push] proxy, or check the DNS of this node"
    ),
    pycurl.E_COULDNT_CONNECT: "proxy {proxy} takes no connection: start it, or correct [push] proxy",
}


def failure(
    easy: pycurl.Curl, code: int, detail: str, host: str, connection: Connection, limit: float
) -> HttpResponse:
    """The response that stands for a transfer that ended with `code`; `detail` is libcurl's own text."""
    connect_code = easy.getinfo(pycurl.HTTP_CONNECTCODE)
    sent = easy.getinfo(pycurl.REQUEST_SIZE) > 0 and connect_code < 300
    if connect_code >= 300:
        text = _refused_tunnel(Proxy.parse(connection.proxy).name, host, connect_code)
    else:
        text = _sentence(code, detail, host, connection, limit, sent)
    unprocessed = not sent or code in _NEVER_SENT or _unread(detail)
    return HttpResponse(0, error=text, unprocessed=unprocessed)


def _unread(detail: str) -> bool:
    """Whether a connection that broke after the request went out says that nobody acted on it."""
    return _REFUSED in detail or _GAVE_UP in detail or _certificate_refused(detail)


def _certificate_refused(detail: str) -> bool:
    lower = detail.lower()
    return any(alert in lower for alert in _CERTIFICATE_ALERTS)


def _refused_tunnel(proxy: str, host: str, code: int) -> str:
    if code == 407:
        return f"proxy {proxy} refuses our user name or password (407): correct [push] proxy"
    return f"proxy {proxy} opens no tunnel to {host} ({code}): allow it there, or correct [push] proxy"


def _sentence(code: int, detail: str, host: str, connection: Connection, limit: float, sent: bool) -> str:
    proxy = Proxy.parse(connection.proxy).name if connection.proxy else ""
    via = f" through proxy {proxy}" if proxy else ""
    if code == pycurl.E_OPERATION_TIMEDOUT:
        return _too_late(host, via, limit, sent)
    if code in _BROKEN and connection.cert and _certificate_refused(detail):
        return f"{host} refuses our client certificate: replace {_certificate(connection)}"
    if code in _BROKEN and _GAVE_UP in detail:
        return f"{host}{via} refused the request 5 times, each on a new connection"
    if code in _BROKEN:
        return f"the connection to {host}{via} broke before the answer ({detail})"
    if proxy and code in _PROXY_SENTENCES:
        return _PROXY_SENTENCES[code].format(proxy=proxy)
    pattern = _SENTENCES.get(code, "{host}{via}: {detail}")
    ca = connection.ca or "the CA file of the system"
    detail = detail or f"libcurl error {code}"
    return pattern.format(host=host, via=via, detail=detail, ca=ca, certificate=_certificate(connection))


def _too_late(host: str, via: str, limit: float, sent: bool) -> str:
    if sent:
        return f"{host} gave no answer within {limit:g} s{via}"
    return f"no connection to {host} within {limit:g} s{via}: check the firewall" + (
        "" if via else ", or set [push] proxy"
    )


def _certificate(connection: Connection) -> str:
    key = f" and {connection.key}" if connection.key else ""
    return f"{connection.cert}{key}"
