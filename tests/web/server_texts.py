"""The sentences that the server can send to a person, which the page shows in the reader's language.

They are the texts of SPOKEN that read like prose, but for docstrings, what is logged, and what only programs and agents
read. A text with values becomes a pattern: each value is a hole that is named after its expression.
`python -m tests.web.server_texts` lists what a test would refuse.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path

from tests.web.page_texts import catalogue
from web.app import description
from web.page.routes import STATIC

ROOT = Path(__file__).parents[2]
CATALOGUE = STATIC / "app/languages/es-server.mjs"

# Files and folders with texts that a person reads on the page.
SPOKEN = (
    "common/errors.py",
    "common/machine/git/checkout_sizes.py",
    "common/machine/git/limits.py",
    "common/machine/processes/children.py",
    "common/machine/programs/bubblewrap.py",
    "common/machine/programs/search.py",
    "common/models/base.py",
    "common/network/trust.py",
    "common/providers/advisories/__init__.py",
    "common/providers/forge",
    "common/providers/outgoing_webhook.py",
    "common/providers/runtime",
    "common/services/agent_api",
    "common/services/agents",
    "common/services/caps",
    "common/services/changes",
    "common/services/conversation",
    "common/services/delivery",
    "common/services/deployment",
    "common/services/lifecycle",
    "common/services/outgoing_webhook",
    "common/services/people",
    "common/services/project_settings",
    "common/services/projects",
    "common/services/proof",
    "common/services/requests/idempotency.py",
    "common/services/review",
    "common/services/runs",
    "common/services/spend",
    "common/services/tasks",
    "common/values/constraints.py",
    "common/values/delivery",
    "common/values/egress.py",
    "common/values/json_codec.py",
    "common/values/log_line.py",
    "common/values/needs.py",
    "common/values/repository.py",
    "common/values/runs",
    "common/values/service_variables.py",
    "common/values/testing",
    "common/values/variable_set.py",
    "web/api",
    "web/gateway/provider_tests.py",
    "web/gateway/retries.py",
    "web/gateway/upstream.py",
    "web/http/blueprint.py",
    "web/http/errors.py",
    "web/http/fields.py",
    "web/http/idempotency.py",
    "web/http/json_strict.py",
    "workers/checkouts/commits.py",
    "workers/checkouts/pod_start.py",
    "workers/execution/job_run.py",
    "workers/jobs",
    "workers/needs",
    "workers/proof",
    "workers/reports",
    "workers/runner/attempt/attempt.py",
    "workers/runner/attempt/disk_watch.py",
    "workers/runner/drivers/acp.py",
    "workers/runner/drivers/command.py",
    "workers/runner/drivers/offer.py",
    "workers/runner/drivers/refusals.py",
    "workers/runner/drivers/scripted.py",
    "workers/runner/drivers/steps.py",
    "workers/runner/drivers/templates.py",
    "workers/runner/loop.py",
    "workers/runner/programs/driver_work.py",
    "workers/runner/programs/program_run.py",
    "workers/runner/programs/program_turn.py",
    "workers/runner/workspace/preparation.py",
    "workers/runner/workspace/run_git.py",
    "workers/runner/workspace/workspace.py",
    "workers/screenshots/screenshots.py",
    "workers/static_server.py",
    "workers/supervisor",
)
# Files in them whose texts are for agents, programs, chats, logs or the terminal.
UNHEARD_FILES = {
    "web/api/provider_read.py",
    "workers/reports/pod_reports.py",
    "common/providers/forge/gitea/server_examination.py",
    "common/providers/runtime/cluster/examination.py",
    "common/providers/runtime/cluster_objects/network_policy.py",
    "common/providers/runtime/cluster/permissions.py",
    "common/providers/runtime/cluster_objects/preparation.py",
    "common/services/delivery/changelog.py",
    "common/services/outgoing_webhook/notices.py",
    "common/services/runs/prompts.py",
    "common/services/runs/review_prompts.py",
    "common/services/agent_api/run_tools.py",
    "common/services/agent_api/transcript_masking.py",
    "common/services/agent_api/transcripts.py",
    "common/services/tasks/word_search.py",
    "common/values/json_codec.py",
    "common/values/runs/prompt_markers.py",
    "common/values/delivery/starter_files.py",
    "web/api/release_reads.py",
    "web/api/run_tools.py",
    "web/api/runner.py",
    "workers/needs/caches.py",
    "workers/supervisor/traffic/forward.py",
    "workers/supervisor/traffic/gate.py",
    "workers/supervisor/traffic/request_heads.py",
    "workers/supervisor/units/logs.py",
    "workers/supervisor/traffic/ports.py",
    "workers/reports/python_reports.py",
    "workers/supervisor/traffic/requests.py",
    "workers/supervisor/server.py",
    "workers/static_server.py",
    "workers/supervisor/units/units.py",
}
# What is given to these is no sentence, or is never shown: a 404 and a 403 are answered without their message.
UNHEARD_CALLS = {
    "ArgumentParser",
    "AssertionError",
    "BadMessage",
    "Forbidden",
    "KeyReused",
    "Malformed",
    "Misconfigured",
    "NotFound",
    "NotVerified",
    "Permission",
    "RequestError",
    "Rule",
    "RuntimeError",
    "ThreadPoolExecutor",
    "Timer",
    "TypeError",
    "UnsupportedMedia",
    "ValueError",
    "_WrongArgument",
    "_marked",
    "_tell",
    "add_argument",
    "any",
    "bindparam",
    "cast",
    "chat_text",
    "compile",
    "debug",
    "encode",
    "ensure_comment",
    "exception",
    "execute",
    "execution_options",
    "frozenset",
    "identity",
    "info",
    "isinstance",
    "log",
    "look",
    "note",
    "once",
    "page",
    "print",
    "search",
    "span",
    "startswith",
    "text",
    "warning",
    "with_hint",
    "with_name",
}
# Texts that look like sentences: of commands, of other programs' answers, of logs, for agents, and names of programs.
UNHEARD = {
    "(AiWorker project {project_id}, being made)",
    "A small page to try AiWorker with.",
    "AiWorker run {run_id}",
    "CREATE DATABASE {database} CHARACTER SET utf8mb4",
    "CREATE USER '{user}'@'%' IDENTIFIED BY '{password}'",
    "Claude Code",
    "Cloning {branch}",
    "DELETE FROM mysql.global_priv WHERE User <> 'mariadb.sys'",
    "FLUSH PRIVILEGES",
    "Gemini CLI",
    "GRANT ALL ON *.* TO '{user}'@'%' WITH GRANT OPTION",
    "MAP {named}:{port} 127.0.0.1:{door_port}, MAP * ~NOTFOUND",
    "Pushing {branch}",
    "Qwen Code",
    "aiworker drivers install {name}",
    "recipe {folder} {first}",
    "Select[str, datetime, int | None, str, str | None, datetime | None, Barrier | None]",
    "The preview of {commit} as AiWorker's browser saw it, beside what runs without the change.",
    "The setup command is left out of a review, since it runs code of the commit.",
    "The preview of {commit} as AiWorker's browser saw it.",
    "The run took longer than ",
    "The session is not kept, so the next run begins a new one: {error}",
    "The work so far is kept in ",
    "There is no session that {name} can use, so a new one begins.",
    "Too many pods",
    "You were interrupted: {reason} Go on with the task.",
    "Your task is in the file {path}. Read all of it, and do it.",
    '[ ! -r "$0" ] || . "$0"; exec sh -c "$1"',
    '[ "$code" -le 1 ] || exit "$code"',
    "aiworker-reports {hashlib}",
    "an interrupted turn is followed by another",
    "apt-get install bubblewrap slirp4netns",
    "authentication failed",
    "being terminated",
    "bool | int | float | str | list[Json] | dict[str, Json] | None",
    "context deadline exceeded",
    "could not read username",
    "could not resolve",
    "default-src 'none'; frame-ancestors 'none'; sandbox",
    "dict[str, Json]",
    "disk watch",
    "early eof",
    "empty reply",
    "error looking up service account",
    "failed to connect",
    "fields() has found a mapping",
    "git apply --reverse --check {text}",
    "git clone -b {branch} {repository_url}.git",
    "group {id} has no commit with {position} members",
    "group {id} is {state} with the decision {decision}",
    "hung up",
    "if ! {is_done}then git apply {text}fi",
    "import os, sys; os.dup2(int(sys.argv[1]), 3); os.dup2(int(sys.argv[2]), 4); os.execv(sys.argv[3], sys.argv[3:])",
    "import sys; sys.path.insert(0, {checkout}); from workers.runner.acp.client import main; sys.exit(main())",
    "internal server",
    "not found",
    "not yet ready to handle",
    "printf '%s\\n' \"$first\"",
    "printf '\\n{mark} %s\\n' $code",
    "returned error: 40",
    "returned error: 429",
    "returned error: 5",
    "rpc failed",
    "schema is not current",
    "status unknown for quota",
    "the pod's own account (set KUBECONFIG outside a cluster)",
    "the setup command begins",
    "the setup command is done",
    "there is a route, and its reply was refused",
    "timed out",
    "timed out waiting for the condition",
    "too many requests",
    "trap 'exec \"$@\"' TERM; sleep infinity & wait",
    "true: there are more than `total`",
    "unexpected disconnect",
    "{text} (AiWorker project {project_id})",
}
# Too short to be found as prose. They count only where a value in them is a sentence itself.
SHORT = {
    " by {creator}",
    "Gitea's {method} {path}",
    "Waiting: {waits_for}",
    "{context}: missing",
    "at {expected}",
    "git {arguments} in {name}",
    "git {name} {why}: {output}",
    "is at {found}",
    "it {status}",
    "it {words}",
    "Step {number} ({kind}): {message}",
    "Step {number}{value}: {error}",
    "{description} with {status}",
    "{name} in {place}",
    "{scope}'s cap",
    "{value} is not {what}",
    "{what} is {how}",
}
# Words that are values in sentences.
WORDS = {
    "A maintainer",
    "A member",
    "The command",
    "The program",
    "approves",
    "missing",
    "nothing",
    "pending",
    "platform",
    "project",
    "run",
    "runs",
    "secret",
    "secrets",
    "task",
}

_PROSE = re.compile(r"[^\W\d_]{2,},? \S|^ ?[a-z]+ \{|\} [a-z]{2,}")
_ONE_WORD = re.compile(r"[A-Z][a-z]+")
_LETTERS = re.compile(r"[^\W\d_]")
_FEW_LETTERS = 6
_MOST_VARIANTS = 16


def name_of(value: ast.expr) -> str:
    """What a hole is called: the last name in the value's expression."""
    match value:
        case ast.Name():
            return value.id.strip("_").lower()
        case ast.Attribute():
            return value.attr.strip("_")
        case ast.Subscript(slice=ast.Constant(value=str(key))):
            return key
        case ast.Subscript():
            return name_of(value.value)
        case ast.Call():
            return _name_of_call(value)
        case ast.GeneratorExp() | ast.ListComp():
            return name_of(value.elt)
        case ast.BinOp():
            return name_of(value.left)
        case ast.BoolOp():
            return name_of(value.values[0])
        case ast.IfExp():
            return name_of(value.body)
        case ast.List():
            return "list"
    return "value"


def _name_of_call(call: ast.Call) -> str:
    method = call.func if isinstance(call.func, ast.Attribute) else None
    if isinstance(call.func, ast.Name) and call.func.id == "len":
        return "count"
    if call.args and not isinstance(call.args[0], ast.Constant):
        is_of_receiver = method is not None and method.attr != "join" and not isinstance(method.value, ast.Constant)
        return name_of(method.value if method is not None and is_of_receiver else call.args[0])
    return name_of(method.value if method is not None else call.func)


Parts = list[str | ast.expr]


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str))


def _may_be_text(node: ast.expr) -> bool:
    return _is_text(node) or (isinstance(node, ast.IfExp) and (_is_text(node.body) or _is_text(node.orelse)))


def _variants(node: ast.expr) -> list[Parts]:
    """What an expression can say: texts and values in order, once for each way that it can turn out."""
    match node:
        case ast.Constant(value=str(text)):
            return [[text]]
        case ast.JoinedStr():
            inner = [_variants(one.value if isinstance(one, ast.FormattedValue) else one) for one in node.values]
            return [[part for parts in chosen for part in parts] for chosen in product(*inner)][:_MOST_VARIANTS]
        case ast.BinOp(op=ast.Add()):
            pairs = product(_variants(node.left), _variants(node.right))
            return [[*left, *right] for left, right in pairs][:_MOST_VARIANTS]
        case ast.IfExp() if _may_be_text(node):
            return [*_variants(node.body), *_variants(node.orelse)]
    return [[node]]


def patterns(node: ast.expr) -> Iterator[str]:
    """The texts of an expression, with a named hole for each value. The second hole of a name ends in 2."""
    for parts in _variants(node):
        seen: dict[str, int] = {}
        text = ""
        for part in parts:
            if isinstance(part, str):
                text += part
                continue
            name = name_of(part)
            seen[name] = seen.get(name, 0) + 1
            text += f"{{{name}{seen[name] if seen[name] > 1 else ''}}}"
        yield text


@dataclass
class _Sentences(ast.NodeVisitor):
    """The texts of a module, and whether each is prose."""

    found: dict[str, bool] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)

    def visit_Expr(self, node: ast.Expr) -> None:
        if not isinstance(node.value, ast.Constant):
            self.generic_visit(node)

    def visit_Compare(self, node: ast.Compare) -> None:
        """What is compared is not said."""

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            self.visit(node.value)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        defaults = [one for one in (*node.args.defaults, *node.args.kw_defaults) if one is not None]
        for part in (*defaults, *node.body):
            self.visit(part)

    def visit_Call(self, node: ast.Call) -> None:
        is_log = isinstance(node.func, ast.Attribute) and ast.unparse(node.func.value).endswith(("log", "logger"))
        name = getattr(node.func, "attr", getattr(node.func, "id", ""))
        if name in UNHEARD_CALLS or (is_log and name == "error"):
            return
        self.calls.append(name)
        self.generic_visit(node)
        self.calls.pop()

    def visit_Constant(self, node: ast.Constant) -> None:
        if isinstance(node.value, str):
            self._take(node)

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        self._take(node)
        self._visit_within(node)

    def visit_BinOp(self, node: ast.BinOp) -> None:
        sides = (node.left, node.right)
        if not isinstance(node.op, ast.Add) or not any(_may_be_text(side) for side in sides):
            self.generic_visit(node)
            return
        self._take(node)
        for side in sides:
            self._visit_within(side)

    def _visit_within(self, node: ast.expr) -> None:
        """Go on in what is a part of a text that was taken."""
        if isinstance(node, ast.IfExp) and _may_be_text(node):
            for branch in (node.body, node.orelse):
                self._visit_within(branch)
        elif isinstance(node, ast.JoinedStr):
            for part in node.values:
                if isinstance(part, ast.FormattedValue):
                    self._visit_within(part.value)
        elif not _is_text(node):
            self.visit(node)

    def _take(self, node: ast.expr) -> None:
        is_of_field = bool(self.calls) and self.calls[-1] in {"Invalid", "ValidationError"}
        for text in patterns(node):
            letters = len(_LETTERS.findall(re.sub(r"\{\w+\}", "", text)))
            is_prose = bool(_PROSE.search(text)) and letters >= _FEW_LETTERS and not {"\n", "\r"} & set(text)
            self.found[text] = self.found.get(text, False) or is_prose or (is_of_field and _is_word(text))


def _is_word(text: str) -> bool:
    return _ONE_WORD.fullmatch(text) is not None


def said_in(source: str) -> dict[str, bool]:
    """The texts of a module by whether they are prose."""
    sentences = _Sentences()
    sentences.visit(ast.parse(source))
    return sentences.found


def spoken_sources() -> Iterator[str]:
    """The modules of SPOKEN."""
    for name in SPOKEN:
        place = ROOT / name
        for path in [place] if place.is_file() else sorted(place.rglob("*.py")):
            if path.relative_to(ROOT).as_posix() not in UNHEARD_FILES:
                yield path.read_text("utf-8")


def all_texts() -> dict[str, bool]:
    """Every text of the modules of SPOKEN by whether it is prose."""
    found: dict[str, bool] = {}
    for source in spoken_sources():
        for text, is_prose in said_in(source).items():
            found[text] = found.get(text, False) or is_prose
    return found


def wanted_sentences() -> set[str]:
    """What a catalogue has to have."""
    return {text for text, is_prose in all_texts().items() if is_prose} - UNHEARD | SHORT | WORDS


def wanted_fields() -> set[str]:
    """The names of what a person can send: of bodies and of queries."""
    document = description()
    found: set[str] = set()
    for path, operations in document["paths"].items():
        if path.startswith(("/api/runner/", "/api/webhooks/")):
            continue
        for operation in (one for one in operations.values() if isinstance(one, Mapping)):
            found |= {one["name"] for one in operation.get("parameters", []) if one["in"] == "query"}
            for content in operation.get("requestBody", {}).get("content", {}).values():
                found |= _names(content.get("schema", {}), document["components"]["schemas"], set())
    return found


def _names(schema: Mapping[str, object], named: Mapping[str, object], seen: set[str]) -> set[str]:
    found: set[str] = set()
    for key, below in schema.items():
        if key == "$ref" and isinstance(below, str) and below not in seen:
            seen.add(below)
            found |= _below(named[below.rpartition("/")[2]], named, seen)
        elif key == "properties" and isinstance(below, Mapping):
            found |= set(below)
            for one in below.values():
                found |= _below(one, named, seen)
        elif key in {"items", "additionalProperties", "allOf", "anyOf", "oneOf"}:
            found |= _below(below, named, seen)
    return found


def _below(schema: object, named: Mapping[str, object], seen: set[str]) -> set[str]:
    if isinstance(schema, Mapping):
        return _names(schema, named, seen)
    return {name for one in schema for name in _below(one, named, seen)} if isinstance(schema, list) else set()


def translations() -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """The pairs of the Spanish catalogue: sentences, and fields."""
    sentences, _, fields = CATALOGUE.read_text("utf-8").partition("export const FIELDS")
    return catalogue(sentences), catalogue(fields)


if __name__ == "__main__":
    for kind, wanted, pairs in zip(
        ("sentence", "field"), (wanted_sentences(), wanted_fields()), translations(), strict=True
    ):
        known = dict(pairs)
        for missing in sorted(wanted - set(known)):
            print(f"{kind} not in {CATALOGUE.name}: {missing!r}")
        for unused in sorted(set(known) - wanted):
            print(f"{kind} said nowhere: {unused!r}")
