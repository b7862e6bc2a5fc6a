"""Client of the platform's runner API over HTTP, with one class per principal: the agent and its run.

Owns paths, tokens and the meaning of statuses. Only RunApi repeats calls. Tokens appear in no message. A Wire is not
thread-safe: every thread has its own.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import quote

import requests

from common.errors import Invalid, NotFound, ProviderRefused, ProviderUnavailable, Unauthenticated
from common.machine.text import camel_case, storable
from common.network.request_deadlines import patient_session
from common.network.trust import describe_tls_failure
from common.telemetry.tracing import trace_headers
from common.values.json_codec import Malformed, decode
from common.values.runs.claimed_run import AskedQuestion, ClaimedRun, Directive
from workers.runner.platform_client.backoff import Backoff
from workers.runner.platform_client.driver_findings import DriverFinding
from workers.runner.platform_client.setup import Setup
from workers.runner.processes.cancellation import Cancellation

Result = TypeVar("Result")
Json = dict[str, Any]

LONG_POLL_SECONDS = 25
MOST_LINES = 500
MOST_SESSION_BYTES = 16 * 2**20
LONGEST_REPORTED = 60_000
"""Most characters of a report's texts, each of which JSON may escape by six. The platform stores fewer."""
_PROCESS = secrets.token_hex(8)
"""Tells this process from others with a copy of its agent's identity."""
_CONNECT_SECONDS = 5.0
_ANSWER_SECONDS = 30.0


class RunOver(Exception):
    """The platform takes no more reports for this run: it has ended, or another agent has it. Stop it at once."""


class Wire:
    """HTTP client of one platform. Ignores this machine's proxies and ~/.netrc, and follows no redirects."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/").removesuffix("/api")
        self._http = patient_session(_ANSWER_SECONDS)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    def call(
        self,
        method: str,
        path: str,
        *,
        token: str,
        json: Json | None = None,
        content: bytes | None = None,
        wait_seconds: int | None = None,
        query: Mapping[str, str] | None = None,
        agent_token: str | None = None,
    ) -> requests.Response:
        """Send one request and return its 2xx reply.

        wait_seconds: how long the platform may hold the reply. query: more parameters. agent_token: with which a run
        asks for its agent's next one. Raises ProviderUnavailable (no connection, 5xx, 429, a proxy's 404),
        Unauthenticated (401), NotFound (404), RunOver (409) and ProviderRefused (any other, and what JSON can't hold).
        """
        headers = {"Authorization": f"Bearer {token}", "Accept": "application/json", "AiWorker-Process": _PROCESS}
        headers |= trace_headers()
        if content is not None:
            headers["Content-Type"] = "application/octet-stream"
        if agent_token is not None:
            headers["AiWorker-Agent-Token"] = agent_token
        try:
            reply = self._http.request(
                method,
                f"{self.url}/api{path}",
                params=dict(query or {}) | ({} if wait_seconds is None else {"wait": str(wait_seconds)}),
                json=json,
                data=content,
                headers=headers,
                timeout=(_CONNECT_SECONDS, _ANSWER_SECONDS + (wait_seconds or 0)),
                allow_redirects=False,
            )
        except (requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema) as error:
            raise ProviderRefused(f"{self.url} is not an http or https address") from error
        except requests.exceptions.InvalidJSONError as error:
            raise ProviderRefused(f"{method} {path} holds what JSON can't: {error}") from error
        except requests.exceptions.SSLError as error:
            raise ProviderUnavailable(f"{self.url} does not answer: {describe_tls_failure(error, self.url)}") from error
        except requests.RequestException as error:
            raise ProviderUnavailable(f"{self.url} does not answer ({type(error).__name__})") from error
        _raise_for_status(reply, f"{method} {path}")
        return reply

    def call_json(
        self,
        method: str,
        path: str,
        *,
        token: str,
        json: Json | None = None,
        wait_seconds: int | None = None,
        query: Mapping[str, str] | None = None,
        agent_token: str | None = None,
    ) -> Json:
        """As `call`, for a reply that must be a JSON object. Raises ProviderUnavailable for a proxy's reply."""
        reply = self.call(
            method, path, token=token, json=json, wait_seconds=wait_seconds, query=query, agent_token=agent_token
        )
        if reply.status_code == 204:
            return {}
        try:
            body = reply.json()
        except requests.exceptions.JSONDecodeError as error:
            raise ProviderUnavailable(f"the answer of {self.url} to {method} {path} is not JSON") from error
        if not isinstance(body, dict):
            raise ProviderUnavailable(f"the answer of {self.url} to {method} {path} is not a JSON object")
        return body


@dataclass(frozen=True)
class DriverReport:
    """What an agent says of its drivers, and of what confines them. usable: those that can work, the preferred one
    first. sandbox: whether it confines, and a sentence about it; None: nothing is said.
    """

    usable: tuple[str, ...]
    findings: tuple[DriverFinding, ...]
    sandbox: tuple[bool, str] | None = None

    @property
    def body(self) -> Json:
        findings = [{"name": it.name, "canWork": it.can_work, "says": it.says[:2000],
                     "version": it.version and " ".join(it.version.split())[:100]}
                    for it in self.findings]  # fmt: skip
        body: Json = {"drivers": list(self.usable), "findings": findings}
        if self.sandbox is not None:
            body["sandbox"] = {"isConfining": self.sandbox[0], "says": self.sandbox[1][:2000]}
        return body


@dataclass(frozen=True)
class PersonMessage:
    """A person's message to a run. seq: rises in each run. interrupts: it is to stop what the agent is doing."""

    id: str
    seq: int
    text: str
    author: str = ""
    interrupts: bool = False


class AgentApi:
    """The calls that an agent makes with its own token."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def register(
        self, enrolment_token: str, *, driver: str, drivers: DriverReport, setup: Setup, enrolment_id: str
    ) -> tuple[str, str]:  # fmt: skip
        """Enrol; returns the agent's id and its token. driver: the first of its drivers, for older platforms.

        Repeating it with the same enrolment_id is safe.
        """
        body = {"driver": driver, "enrolmentId": enrolment_id, **drivers.body, **setup.body}
        reply = self._wire.call_json("POST", "/runner/register", token=enrolment_token, json=body)
        return str(reply["agent"]["id"]), str(reply["token"])

    def heartbeat(
        self, token: str, run_ids: Sequence[str], *, drivers: DriverReport | None, error: str | None,
        setup: Setup | None, is_draining: bool,
    ) -> tuple[Directive, ...]:  # fmt: skip
        """Report which runs this agent has; returns the platform's directives. is_draining: it was told to drain.

        drivers: what changed since the last heartbeat; None: nothing. error: why the agent can't work; None: it can.
        setup: None: as before.
        """
        body: Json = {"runIds": list(run_ids), "error": error, "isDraining": is_draining}
        body |= (drivers.body if drivers else {}) | (setup.body if setup else {})
        reply = self._wire.call_json("POST", "/runner/heartbeat", token=token, json=fit(body))
        return _read(tuple[Directive, ...], reply.get("directives", []))

    def claim(self, token: str) -> ClaimedRun | None:
        """Wait up to 25 s for a run; None if there was none. Raises Malformed if the reply is incomplete."""
        reply = self._wire.call_json("POST", "/runner/claim", token=token, json={}, wait_seconds=LONG_POLL_SECONDS)
        return decode(ClaimedRun, reply, key_of=camel_case) if reply else None


@dataclass
class RunToken:
    """A run's token. It is replaced when the platform hands the same run out again."""

    value: str = field(repr=False)


class RunApi:
    """The reports and questions of one run, with the run's token.

    Every call repeats while the platform is unavailable, without a time limit. It raises RunOver if the run has ended,
    and Cancelled if the run is cancelled meanwhile. Repeating is safe.
    """

    def __init__(self, url: str, run_id: str, token: RunToken, cancellation: Cancellation) -> None:
        self.url = url
        self.run_id = run_id
        self.token = token
        self._cancellation = cancellation

    def send_logs(self, lines: Sequence[Json]) -> None:
        self._with_retries(lambda wire: self._post(wire, "/logs", {"lines": list(lines)}))

    def send_progress(self, message: str, done: int | None, total: int | None) -> None:
        body = {"message": message, "done": done, "total": total}
        self._with_retries(lambda wire: self._post(wire, "/progress", _without_nones(body)))

    def send_usage(self, *, input_tokens: int, output_tokens: int, cached_tokens: int, cost_usd: float) -> None:
        """Report the run's totals so far."""
        body = {
            "inputTokens": input_tokens,
            "outputTokens": output_tokens,
            "cachedTokens": cached_tokens,
            "costUsd": cost_usd,
        }
        self._with_retries(lambda wire: self._post(wire, "/usage", body))

    def ask(self, question: str, context: str | None, options: Sequence[str]) -> AskedQuestion:
        """Ask and return the stored question. If it was asked before, returns that one with its answer, if any."""
        body = _without_nones({"question": question, "context": context, "options": list(options) or None})
        return self._with_retries(lambda wire: _question(self._post(wire, "/questions", body)))

    def read_question(self, question_id: str, *, wait_seconds: int) -> AskedQuestion:
        """Return the question once it is answered, or after wait_seconds. A cancellation ends the wait at once."""
        path = f"{self._path}/questions/{question_id}"

        def read(wire: Wire) -> AskedQuestion:
            return _question(wire.call_json("GET", path, token=self.token.value, wait_seconds=wait_seconds))

        return self._cancellation.abandonable(lambda: self._with_retries(read))

    def read_messages(self, after: int, *, wait_seconds: int = LONG_POLL_SECONDS) -> tuple[PersonMessage, ...]:
        """Return people's messages with a seq greater than `after`, waiting for one. A cancellation ends the wait."""
        path = f"{self._path}/messages"

        def read(wire: Wire) -> tuple[PersonMessage, ...]:
            reply = wire.call_json(
                "GET", path, token=self.token.value, wait_seconds=wait_seconds, query={"after": str(after)}
            )
            return _read(tuple[PersonMessage, ...], reply.get("messages", []))

        return self._cancellation.abandonable(lambda: self._with_retries(read))

    def read_attachment(self, attachment_id: str) -> bytes:
        """Return the bytes of a file that people added to the task. NotFound if it was removed."""
        path = f"{self._path}/attachments/{quote(attachment_id, safe='')}"
        return self._with_retries(lambda wire: wire.call("GET", path, token=self.token.value).content)

    def put_session(self, archive: bytes) -> None:
        """Store the session on the platform. Raises Invalid if it is larger than MOST_SESSION_BYTES."""
        if len(archive) > MOST_SESSION_BYTES:
            raise Invalid("session", f"{len(archive)} bytes is more than the limit of {MOST_SESSION_BYTES}")
        self._with_retries(
            lambda wire: wire.call("PUT", f"{self._path}/session", token=self.token.value, content=archive).close()
        )

    def get_session(self) -> bytes | None:
        """Return the stored session; None if there is none."""

        def read(wire: Wire) -> bytes | None:
            try:
                return wire.call("GET", f"{self._path}/session", token=self.token.value).content
            except NotFound:
                return None

        return self._with_retries(read)

    def finish(
        self, outcome: str, *, commit_sha: str | None, summary: str, reason: str | None, cut_short: bool = False,
        agent_token: str | None = None,
    ) -> ClaimedRun | None:  # fmt: skip
        """Report the end of the run, which invalidates its token. cut_short: the machine ended it, not the task.

        agent_token: the agent takes another run; returns that if the platform has one now.
        """
        texts = {"summary": summary[:LONGEST_REPORTED], "reason": reason and reason[:LONGEST_REPORTED]}
        body = _without_nones({"outcome": outcome, "commitSha": commit_sha, **texts, "cutShort": cut_short or None})
        reply = self._with_retries(lambda wire: self._post(wire, "/finish", body, agent_token))
        try:
            return decode(ClaimedRun, reply["next"], key_of=camel_case) if reply.get("next") else None
        except Malformed:
            return None  # the platform hands it out again at the agent's next claim, which logs what is wrong with it

    def call(self, method: str, path: str, *, json: Json | None = None) -> Json:
        """Make a call below the run's own path, such as `/feedback`, and return its reply."""
        body = None if json is None else fit(json)
        return self._with_retries(
            lambda wire: wire.call_json(method, self._path + path, token=self.token.value, json=body)
        )

    @property
    def _path(self) -> str:
        return f"/runner/runs/{self.run_id}"

    def _post(self, wire: Wire, path: str, body: Json, agent_token: str | None = None) -> Json:
        path = self._path + path
        return wire.call_json("POST", path, token=self.token.value, json=fit(body), agent_token=agent_token)

    def _with_retries(self, send: Callable[[Wire], Result]) -> Result:
        backoff = Backoff()
        with Wire(self.url) as wire:
            while True:
                self._cancellation.check()
                token = self.token.value
                try:
                    return send(wire)
                except ProviderUnavailable as error:
                    self._cancellation.sleep(backoff.next_seconds(error))
                except Unauthenticated as error:
                    # The run may have got a new token meanwhile, because it was handed out again after a lost answer.
                    if token == self.token.value:
                        raise RunOver(f"the token of run {self.run_id} is no longer valid") from error


def fit(value: Json) -> Json:
    """Return the value with characters removed that no database stores; the output of commands may contain them.

    NUL is dropped, lone surrogates become question marks; everything else stays.
    """
    if isinstance(value, str):
        return storable(value)
    if isinstance(value, dict):
        return {storable(key): fit(item) for key, item in value.items()}
    if isinstance(value, list):
        return [fit(item) for item in value]
    return value


def _raise_for_status(reply: requests.Response, call: str) -> None:
    status = reply.status_code
    if 200 <= status < 300:
        return
    body = _error_of(reply)
    message = f"{call}: {status} {_reason(body) or reply.reason}"
    reply.close()
    # A proxy says 404, too, while the platform behind it restarts.
    if status >= 500 or status in {408, 425, 429} or (status == 404 and not body):
        asked = reply.headers.get("Retry-After", "")
        raise ProviderUnavailable(message, retry_after_seconds=float(asked) if asked.isdecimal() else None)
    kinds: dict[int, type[Exception]] = {401: Unauthenticated, 404: NotFound, 409: RunOver}
    raise kinds.get(status, ProviderRefused)(message)


def _error_of(reply: requests.Response) -> Json:
    """The body of the platform's error; empty if somebody else answered."""
    try:
        body = reply.json()
    except (requests.exceptions.JSONDecodeError, UnicodeDecodeError):
        return {}
    return body if isinstance(body, dict) and "error" in body else {}


def _reason(body: Json) -> str:
    """Return the platform's error message, at most 300 characters."""
    details = body.get("details")
    found = details if isinstance(details, dict) else {}
    said = ": ".join(str(found[name]) for name in ("field", "message") if found.get(name))
    return (said if found.get("message") else str(body.get("error") or ""))[:300]


def _question(reply: Json) -> AskedQuestion:
    return _read(AskedQuestion, reply.get("question"))


def _read(kind: type[Result], body: object) -> Result:
    """Decode part of a reply. Raises ProviderUnavailable for an unexpected shape, which may come from a proxy."""
    try:
        return decode(kind, body, key_of=camel_case)
    except Malformed as error:
        raise ProviderUnavailable(f"the platform's answer has an unexpected shape: {error}") from error


def _without_nones(body: Mapping[str, Any]) -> Json:
    return {key: value for key, value in body.items() if value is not None}
