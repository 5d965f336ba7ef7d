"""A stand-in for Firebase Cloud Messaging (HTTP v1): it hands out access tokens and takes pushes, over TLS.

It has a port for each node, so that one can see which node sent a push.
"""

import base64
import secrets
import ssl
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
from aiohttp import web
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from ops.data_folder import free_port
from ops.development_ca import certificates

PROJECT = "clarion-demo"
SCOPE = "https://www.googleapis.com/auth/firebase.messaging"
LIFE = 3600  # s of an access token

Told = Callable[[str, str], None]  # name of the node, what it sent or what it was answered
Delivered = Callable[[str, dict[str, Any]], None]  # push token of the phone, the message


class PushService:
    """Serves `POST /token` and `POST /v1/projects/PROJECT/messages:send` on loopback."""

    def __init__(self, folder: Path, nodes: list[str], asked: Told, answered: Told, push: Delivered) -> None:
        """`asked` and `answered` are told what passes; `push` is told each push for a phone in `phones`."""
        self.phones: set[str] = set()  # push tokens that are alive
        self.ca = folder / "ca" / "ca.pem"
        self._folder = folder
        self._ports = {free_port(): name for name in nodes}
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self._granted: set[str] = set()
        self._asked, self._answered, self._push = asked, answered, push
        application = web.Application()
        application.add_routes(
            [web.post("/token", self._token), web.post(f"/v1/projects/{PROJECT}/messages:send", self._send)]
        )
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.5)

    async def start(self) -> None:
        """Opens the ports."""
        made = certificates(self._folder / "push", self._folder / "ca", ["localhost", "127.0.0.1"])
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(made.cert, made.key)
        await self._runner.setup()
        for port in self._ports:
            await web.TCPSite(self._runner, "127.0.0.1", port, ssl_context=context).start()

    async def stop(self) -> None:
        """Closes them."""
        await self._runner.cleanup()

    def url(self, node: str) -> str:
        """Where this node reaches the service."""
        port = next(port for port, name in self._ports.items() if name == node)
        return f"https://localhost:{port}"

    def service_account(self, node: str) -> Path:
        """The file that Firebase would give to the operator of this node."""
        file = self._folder / f"{node}-account.json"
        pem = self._key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        account = {
            "type": "service_account",
            "project_id": PROJECT,
            "private_key_id": "demo",
            "private_key": pem.decode(),
            "client_email": f"{node}@{PROJECT}.example.org",
            "token_uri": f"{self.url(node)}/token",
        }
        file.write_bytes(orjson.dumps(account))
        file.chmod(0o600)
        return file

    async def _token(self, request: web.Request) -> web.Response:
        """RFC 7523: a signed assertion for an access token."""
        node = self._node(request)
        self._asked(node, "POST /token")
        form = await request.post()
        refusal = self._refusal(str(form.get("assertion", "")))
        if refusal:
            self._answered(node, "400")
            return web.json_response({"error": "invalid_grant", "error_description": refusal}, status=400)
        token = secrets.token_urlsafe(24)
        self._granted.add(token)
        self._answered(node, "200 token")
        return web.json_response({"access_token": token, "expires_in": LIFE, "token_type": "Bearer"})

    async def _send(self, request: web.Request) -> web.Response:
        node = self._node(request)
        self._asked(node, "push")
        if request.headers.get("Authorization", "").removeprefix("Bearer ") not in self._granted:
            return self._error(node, 401, "UNAUTHENTICATED")
        try:
            message: dict[str, Any] = orjson.loads(await request.read())["message"]
            token = str(message["token"])
        except (orjson.JSONDecodeError, KeyError, TypeError):
            return self._error(node, 400, "INVALID_ARGUMENT")
        if token not in self.phones:
            return self._error(node, 404, "UNREGISTERED")
        self._answered(node, "200 OK")
        self._push(token, message)
        return web.json_response({"name": f"projects/{PROJECT}/messages/{secrets.token_hex(8)}"})

    def _error(self, node: str, status: int, word: str) -> web.Response:
        self._answered(node, f"{status} {word}"[:14])
        detail = {"@type": "type.googleapis.com/google.firebase.fcm.v1.FcmError", "errorCode": word}
        body = {"error": {"code": status, "status": word, "message": word, "details": [detail]}}
        return web.json_response(body, status=status)

    def _node(self, request: web.Request) -> str:
        """Who asks: by the port that it came to."""
        transport = request.transport
        return self._ports[transport.get_extra_info("sockname")[1]] if transport else "?"

    def _refusal(self, assertion: str) -> str:
        """Why an assertion is not ours; "" if it is."""
        try:
            signed, _, signature = assertion.rpartition(".")
            claims = orjson.loads(_decoded(signed.partition(".")[2]))
            self._key.public_key().verify(
                _decoded(signature), signed.encode(), padding.PKCS1v15(), hashes.SHA256()
            )
        except (ValueError, InvalidSignature):
            return "Invalid JWT Signature."
        if claims.get("scope") != SCOPE or not claims.get("iat", 0) <= time.time() + 60 < claims.get(
            "exp", 0
        ):
            return "Invalid JWT: wrong scope or time."
        return ""


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
