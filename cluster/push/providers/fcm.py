"""Firebase Cloud Messaging, HTTP v1."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote, unquote, urlencode

from cluster.push.credentials.access_token import AccessToken
from cluster.push.credentials.jwt import rs256
from cluster.push.credentials.service_account import ServiceAccount, parse_service_account
from cluster.push.credentials.watched import CredentialError, Watched
from cluster.push.http.message import Connection, HttpRequest, HttpResponse
from cluster.push.providers.fcm_payload import payload
from cluster.push.providers.grant import grant_answer
from cluster.push.providers.provider import Answer, Unsendable, Warned
from cluster.push.providers.reply import json_object, try_later, unanswered, words
from cluster.push.push import Push
from cluster.push.settings import FcmApp, PushSettings

SCOPE = "https://www.googleapis.com/auth/firebase.messaging"
LIFE = 3600  # s, of an assertion and of the access token
WAIT = 60.0  # s after 429 without Retry-After, as Google asks
_TOKEN = re.compile(r"[0-9A-Za-z_:.-]{1,4096}")


class Fcm:
    """All projects of `[fcm."number or identifier"]`."""

    names: tuple[str, ...] = ("fcm",)

    def __init__(
        self,
        projects: Mapping[str, FcmApp],
        push: PushSettings,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._push = push
        self._connection = Connection(ca=push.ca, proxy=push.proxy)
        self._projects = {name: _Project(name, settings, clock) for name, settings in projects.items()}

    @property
    def apps(self) -> tuple[str, ...]:
        return tuple(self._projects)

    def supports(self, provider: str, app: str) -> str:
        project = self._project(app)
        return missing(app) if project is None else project.problem()

    def lane(self, push: Push) -> str:
        return f"fcm {push.app}"

    def grant(self, push: Push, now: float) -> HttpRequest | None:
        project = self._project(push.app)
        if project is None or project.problem() or not project.wants_token(now):
            return None  # without a project, `request` says so
        account = project.account()
        claims = {"iss": account.email, "scope": SCOPE, "aud": account.token_uri, "iat": int(now)}
        assertion = rs256({"kid": account.key_id}, {**claims, "exp": int(now) + LIFE}, account.key)
        form = {"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "assertion": assertion}
        return HttpRequest(
            "POST",
            project.settings.token_server or account.token_uri,
            (("content-type", "application/x-www-form-urlencoded"),),
            urlencode(form).encode(),
            self._push.timeout,
            self._connection,
        )

    def granted(self, push: Push, response: HttpResponse, now: float) -> Answer:
        project = self._project(push.app)
        if project is None:
            return Answer("credentials", 0, missing(push.app))
        remedy = f"set this host's clock, and check that {project.option} is a key that still exists"
        return grant_answer(project.token, response, now, remedy)

    def request(self, push: Push, now: float) -> HttpRequest:
        project = self._project(push.app)
        problem = missing(push.app) if project is None else project.problem()
        if project is None or problem:
            raise Unsendable(problem)
        token = unquote(push.token)
        if not _TOKEN.fullmatch(token):
            raise Unsendable("pn-prid is no registration token of Firebase")
        name = quote(project.account().project, safe="")
        return HttpRequest(
            "POST",
            f"{project.settings.server.rstrip('/')}/v1/projects/{name}/messages:send",
            (
                ("authorization", f"Bearer {project.token.use(push.id)}"),
                ("content-type", "application/json"),
            ),
            payload(push, token, now),
            self._push.timeout,
            self._connection,
        )

    def answer(self, push: Push, response: HttpResponse, now: float) -> Answer:
        project = self._project(push.app)
        if project is None:
            return Answer("refused", response.status, missing(push.app))
        status = response.status
        if status == 200:
            project.token.accepted(push.id)
            return Answer("accepted", status)
        error = json_object(response.body).get("error")
        error = error if isinstance(error, dict) else {}
        code, text = _code(error), str(error.get("message", "")) or words(response.body)
        if status == 401 and code != "THIRD_PARTY_AUTH_ERROR":
            return _unauthenticated(project, push, text)
        project.token.answered(push.id)
        if not status:
            return unanswered(response)
        return _meaning(project, push, response, now, code, text, error)

    def warnings(self, now: float) -> list[Warned]:
        told = [(project.option, project.problem(latest=True)) for project in self._projects.values()]
        return [Warned(option, text) for option, text in told if text]

    def reload(self) -> None:
        for project in self._projects.values():
            project.look()

    def _project(self, app: str) -> _Project | None:
        """By the name of its table, else by the identifier in its service account."""
        named = self._projects.get(app)
        if named is not None or not app:
            return named
        for project in self._projects.values():
            if not project.problem() and project.account().project == app:
                return project
        return None


class _Project:
    """One project and our access token for it."""

    def __init__(self, name: str, settings: FcmApp, clock: Callable[[], float]) -> None:
        self.table = f'[fcm."{name}"]'
        self.option = f"{self.table} service_account"
        self.settings = settings
        self.token = AccessToken()
        self._file: Watched[ServiceAccount] = Watched(
            settings.service_account, self.option, parse_service_account, clock
        )
        self._version = 0

    def account(self) -> ServiceAccount:
        """Raises CredentialError."""
        return self._file.read()

    def problem(self, latest: bool = False) -> str:
        """Why nothing can be sent; with `latest` also why a new file is not used instead of the old."""
        if not self.settings.service_account:
            return (
                f"{self.table} has no service_account: add the JSON file that the Firebase console gives out"
            )
        try:
            self._file.read()
        except CredentialError as error:
            return str(error)
        return self._file.problem if latest else ""

    def wants_token(self, now: float) -> bool:
        """Another file of keys means another access token, too."""
        if self._version != self._file.version:
            self._version = self._file.version
            self.token.forget()
        return self.token.wanted(now)

    def look(self) -> None:
        if self.settings.service_account:
            self._file.look()


def missing(app: str) -> str:
    """Nothing is configured for that project."""
    if not app:
        return "the Contact names no project: pn-param must be the number of the Firebase project"
    return (
        f'no [fcm."{app}"] in the configuration: add service_account = "FILE", the JSON file of '
        "Firebase console > Project settings > Service accounts"
    )


def _code(error: Mapping[str, Any]) -> str:
    """FCM's own word if it is told, else the general one."""
    for detail in _details(error):
        if isinstance(detail.get("errorCode"), str):
            return str(detail["errorCode"])
    return str(error.get("status", ""))


def _details(error: Mapping[str, Any]) -> list[dict[str, Any]]:
    details = error.get("details")
    return [each for each in details if isinstance(each, dict)] if isinstance(details, list) else []


def _about_token(error: Mapping[str, Any], text: str) -> bool:
    """Whether an invalid argument is the registration token."""
    if "registration token" in text.lower():
        return True
    violations = [each.get("fieldViolations") for each in _details(error)]
    each = [one for many in violations if isinstance(many, list) for one in many]
    return any(isinstance(one, dict) and one.get("field") == "message.token" for one in each)


def _unauthenticated(project: _Project, push: Push, text: str) -> Answer:
    if project.token.refused(push.id) == "renew":
        return Answer("retry", 401, "Google refused the access token: sent again with another")
    remedy = f"check that {project.option} still exists at Google and may send messages"
    return Answer("credentials", 401, f"UNAUTHENTICATED: {text}: {remedy}")


def _meaning(
    project: _Project,
    push: Push,
    response: HttpResponse,
    now: float,
    code: str,
    text: str,
    error: Mapping[str, Any],
) -> Answer:
    status = response.status
    told = f"{code}: {text}" if code else text
    if code == "UNREGISTERED":
        return Answer("dead", status, "UNREGISTERED")
    if code == "INVALID_ARGUMENT":
        return Answer("dead" if _about_token(error, text) else "refused", status, told)
    if code == "SENDER_ID_MISMATCH":
        remedy = f"the token was registered with another project than {push.app}: correct pn-param in the app"
        return Answer("refused", status, f"{code}: {remedy}")
    if code == "THIRD_PARTY_AUTH_ERROR":
        remedy = "upload the APNs key or the VAPID key of the app in the Firebase console"
        return Answer("credentials", status, f"{code}: {remedy}")
    if status == 403:
        remedy = f"enable the Firebase Cloud Messaging API and give the account of {project.option} that role"
        return Answer("credentials", status, f"{told}: {remedy}")
    if status == 429:
        return try_later(response, told or "too many messages", now, WAIT)
    if status >= 500:
        return try_later(response, told or "no reason given", now)
    if status == 404:
        return Answer("refused", status, f"{told}: check pn-param, and server of {project.table}")
    return Answer("refused", status, told or f"HTTP {status}")
