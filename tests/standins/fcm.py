"""Firebase Cloud Messaging HTTP v1 and Google's OAuth service, as the references of FCM ("projects.messages",
"ErrorCode") and "Using OAuth 2.0 for Server to Server Applications" (developers.google.com) describe them."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qs, unquote
from uuid import uuid4

from cryptography.hazmat.primitives.asymmetric import rsa

from tests.standins.authority import new_key, pem
from tests.standins.exchange import Record, Refused, Reply, Request
from tests.standins.fcm_rules import CODES, ERROR_INFO, check_message, error, refuse
from tests.standins.standin import Options, StandIn
from tests.standins.tokens import TokenError, Verifier

GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
AUDIENCE = "https://oauth2.googleapis.com/token"
SCOPES = {
    "https://www.googleapis.com/auth/firebase.messaging",
    "https://www.googleapis.com/auth/cloud-platform",
}
SLACK = 300  # s that clocks may differ
UNAUTHENTICATED = (
    "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other "
    "valid authentication credential. See https://developers.google.com/identity/sign-in/web/devconsole-project."
)
REASONABLE = (
    "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe. "
    "Check your iat and exp values in the JWT claim."
)
FIRST = {400: "INVALID_ARGUMENT", 401: "THIRD_PARTY_AUTH_ERROR", 403: "SENDER_ID_MISMATCH"}
FIRST |= {404: "UNREGISTERED", 429: "QUOTA_EXCEEDED", 500: "INTERNAL", 503: "UNAVAILABLE"}


class FcmStandIn(StandIn):
    """One project and one service account. Any well-formed registration token exists, unless `devices`
    gives it to another project (its number). `granted` are the access tokens with their ends; emptied, all
    are invalid."""

    kind = "fcm"
    fast_answer = b'{"name": "projects/example-project/messages/1"}'

    def __init__(
        self,
        folder: Path,
        port: int = 0,
        http2: bool = True,
        number: str = "4711",
        project: str = "example-project",
    ) -> None:
        super().__init__(folder, port, http2)
        self.number, self.project = number, project
        self.email = f"push@{project}.iam.gserviceaccount.com"
        self.devices: dict[str, str] = {}
        self.granted: dict[str, float] = {}
        self.grants = 0
        self.life = 3599  # s of an access token
        self.allowed = True  # whether the account may send messages of the project
        private = self.authority.key("google.key", rsa.RSAPrivateKey)
        self.keys: dict[str, Any] = {"key1": private.public_key()}
        self._private = private
        self._verifier = Verifier("RS256")

    async def __aenter__(self) -> Self:
        await super().__aenter__()
        self.service_account = self.account("service_account.json")
        return self

    def account(self, name: str, **changes: str) -> Path:
        """A service account file; with `changes`, a wrong one."""
        told = {
            "type": "service_account",
            "project_id": self.project,
            "private_key_id": "key1",
            "private_key": pem(self._private).decode(),
            "client_email": self.email,
            "client_id": "1",
            "auth_uri": "https://accounts.google.com/o/oauth2/auth",
            "token_uri": f"{self.url}/token",
        }
        path = self.folder / name
        path.write_text(json.dumps({**told, **changes}, indent=2))
        return path

    def other_account(self, name: str = "other_account.json") -> Path:
        """A file whose key Google no longer knows."""
        return self.account(name, private_key=pem(new_key(rsa.RSAPrivateKey)).decode())

    def options(self) -> Options:
        app = {"service_account": str(self.service_account), "server": self.url}
        return {"push": {"ca": self.ca}, f'fcm."{self.number}"': {**app, "token_server": f"{self.url}/token"}}

    def is_grant(self, request: Request) -> bool:
        return request.path == "/token"

    def token_of(self, request: Request) -> str:
        try:
            return str(json.loads(request.body)["message"]["token"])
        except (ValueError, KeyError, TypeError):
            return ""

    def grant(self, request: Request) -> Reply:
        if request.method != "POST":
            return Reply(405)
        form = {name: values[-1] for name, values in parse_qs(request.body.decode("latin-1")).items()}
        if form.get("grant_type") != GRANT:
            return _oauth("unsupported_grant_type", f"Invalid grant_type: {form.get('grant_type', '')}")
        wrong = self._wrong_assertion(form.get("assertion", ""))
        if wrong:
            return _oauth(*wrong)
        self.grants += 1
        text = f"ya29.{uuid4().hex}{uuid4().hex}"
        self.granted[text] = time.time() + self.life
        return Reply.json(200, {"access_token": text, "expires_in": self.life, "token_type": "Bearer"})

    def _wrong_assertion(self, assertion: str) -> tuple[str, str] | None:
        try:
            kid = str(self._verifier.header(assertion).get("kid", "key1"))
            if kid not in self.keys:
                return "invalid_grant", "Invalid JWT Signature."
            claims = self._verifier.claims(assertion, self.keys[kid], kid)
        except TokenError:
            return "invalid_grant", "Invalid JWT Signature."
        if claims.get("iss") != self.email:
            return "invalid_grant", "Invalid grant: account not found"
        if claims.get("aud") not in (AUDIENCE, f"{self.url}/token"):
            return "invalid_grant", "Failed audience check. The right audience is " + AUDIENCE
        issued, ends, now = claims.get("iat"), claims.get("exp"), time.time()
        if not isinstance(issued, int) or not isinstance(ends, int):
            return "invalid_grant", REASONABLE
        if not (issued <= now + SLACK and now - SLACK < ends <= issued + 3600):
            return "invalid_grant", REASONABLE
        if not SCOPES & set(str(claims.get("scope", "")).split()):
            return "invalid_scope", "Invalid OAuth scope or ID token audience provided."
        return None

    def push(self, request: Request) -> tuple[Record, Reply]:
        self._check_path(request)
        self._check_bearer(request.headers)
        try:
            payload = json.loads(request.body)
        except ValueError:
            reply = error(400, "INVALID_ARGUMENT", "Invalid JSON payload received. Unexpected token.")
            raise Refused(reply, "INVALID_ARGUMENT") from None
        token = check_message(payload)
        if token in self.faults.refuse:
            raise refuse(self.faults.refuse[token], token, payload)
        if token in self.faults.dead:
            raise refuse("UNREGISTERED", token, payload)
        if self.devices.get(token, self.number) != self.number:
            raise refuse("SENDER_ID_MISMATCH", token, payload)
        name = f"projects/{self.project}/messages/0:{time.time_ns() // 1000}%{uuid4().hex[:16]}"
        return Record(token, {}, payload, 200, id=name), Reply.json(200, {"name": name})

    def failure(self, request: Request, status: int, reason: str, where: str) -> tuple[Reply, str]:
        if where == "token":
            code = reason or ("invalid_grant" if status < 500 else "internal_failure")
            return Reply.json(status, {"error": code, "error_description": code}), code
        code = reason or FIRST.get(status, "INTERNAL")
        if code not in CODES:
            return error(status, code, code), code
        reply = refuse(code).reply
        reply.status = status
        return reply, code

    def _check_path(self, request: Request) -> None:
        place = [unquote(part) for part in request.path.partition("?")[0].split("/")]
        if len(place) != 5 or place[1:3] != ["v1", "projects"] or place[4] != "messages:send":
            raise Refused(Reply(404, (("content-type", "text/html"),), b"<title>Error 404</title>"), "404")
        if request.method != "POST":
            raise Refused(Reply(405, (("content-type", "text/html"),), b"<title>Error 405</title>"), "405")
        if not self.allowed or place[3] not in (self.project, self.number):
            text = (
                "Permission 'cloudmessaging.messages.create' denied on resource "
                f"'//cloudresourcemanager.googleapis.com/projects/{place[3]}' (or it may not exist)."
            )
            info = {"@type": ERROR_INFO, "reason": "IAM_PERMISSION_DENIED"}
            info["domain"] = "cloudresourcemanager.googleapis.com"
            raise Refused(error(403, "PERMISSION_DENIED", text, [info]), "PERMISSION_DENIED")

    def _check_bearer(self, headers: dict[str, str]) -> None:
        scheme, _, text = headers.get("authorization", "").partition(" ")
        ends = self.granted.get(text) if scheme.lower() == "bearer" else None
        if ends is not None and time.time() < ends:
            return
        # Google says so of expired ones; one that it never gave out is ACCESS_TOKEN_TYPE_UNSUPPORTED.
        reason = "CREDENTIALS_MISSING" if not text else "ACCESS_TOKEN_TYPE_UNSUPPORTED"
        reason = "ACCESS_TOKEN_EXPIRED" if ends is not None else reason
        info = {"@type": ERROR_INFO, "reason": reason, "domain": "googleapis.com"}
        reply = error(401, "UNAUTHENTICATED", UNAUTHENTICATED, [info])
        reply.headers += (("www-authenticate", 'Bearer realm="https://accounts.google.com/"'),)
        raise Refused(reply, "UNAUTHENTICATED")


def _oauth(code: str, description: str) -> Reply:
    return Reply.json(400, {"error": code, "error_description": description})
