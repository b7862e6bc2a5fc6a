"""Whether an exchange keeps to Gitea's own description of its API (the part of 1.15's that AiWorker uses, MIT licence).

A newer server's description is the same with what has been added since.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from jsonschema import Draft4Validator  # type: ignore[import-untyped]

_DOCUMENT = Path(__file__).with_name("gitea-1.15.swagger.json")
_UNSAID = {301, 307, 401, 403, 404, 409, 422, 429}
"""What any call may be answered with, though the description does not say so of each."""


def describe(version: tuple[int, int, int]) -> dict[str, Any]:
    """The description that a server of this version gives of itself."""
    document: dict[str, Any] = json.loads(_DOCUMENT.read_text())
    definitions = copy.deepcopy(document["definitions"])
    rules = ("CreateBranchProtectionOption", "EditBranchProtectionOption", "BranchProtection")
    if version >= (1, 16, 0):
        _add_timeline(document, definitions)
    if version >= (1, 18, 0):
        _add_comment_files(document, definitions)
    if version >= (1, 19, 0):
        taken = document["paths"]["/users/{username}/tokens"]["post"]["parameters"][0]["schema"]["properties"]
        taken["scopes"] = {"type": "array", "items": {"type": "string"}}
        for name in ("CreateBranchProtectionOption", "BranchProtection"):
            definitions[name]["properties"]["rule_name"] = {"type": "string"}
    if version >= (1, 22, 0):
        _add_jobs(document, definitions)
        document["paths"]["/repos/{owner}/{repo}/pulls/{base}/{head}"] = {
            "get": {"responses": {"200": {"schema": {"$ref": "#/definitions/PullRequest"}}}}
        }
    if version >= (1, 23, 0):
        for name in rules:
            definitions[name]["properties"] |= {
                "enable_force_push": {"type": "boolean"},
                "enable_force_push_allowlist": {"type": "boolean"},
                "force_push_allowlist_usernames": {"type": "array", "items": {"type": "string"}},
            }
        _add_tag_rules(document, definitions)
    return {**document, "definitions": definitions}


def _add_comment_files(document: dict[str, Any], definitions: dict[str, Any]) -> None:
    """Files of comments (routers/api/v1/repo/issue_comment_attachment.go and modules/structs/attachment.go of 1.18)."""
    texts = {name: {"type": "string"} for name in ("name", "uuid", "browser_download_url", "created_at")}
    numbers = {name: {"type": "integer"} for name in ("id", "size", "download_count")}
    definitions["Attachment"] = {"type": "object", "properties": texts | numbers}
    files = {"type": "array", "items": {"$ref": "#/definitions/Attachment"}}
    definitions["Comment"]["properties"]["assets"] = files
    document["paths"]["/repos/{owner}/{repo}/issues/comments/{id}/assets"] = {
        "post": {
            "parameters": [
                {"in": "query", "name": "name", "type": "string"},
                {"in": "formData", "name": "attachment", "type": "file", "required": True},
            ],
            "responses": {"201": {"schema": {"$ref": "#/definitions/Attachment"}}, "400": {}, "413": {}},
        }
    }


def _add_timeline(document: dict[str, Any], definitions: dict[str, Any]) -> None:
    """What happened on an issue (routers/api/v1/repo/issue_comment.go, modules/structs/issue_comment.go of 1.16)."""
    texts = {name: {"type": "string"} for name in ("type", "body", "created_at")}
    user = {"$ref": "#/definitions/User"}
    definitions["TimelineComment"] = {
        "type": "object", "properties": {**texts, "id": {"type": "integer"}, "user": user},
    }  # fmt: skip
    listed = {"type": "array", "items": {"$ref": "#/definitions/TimelineComment"}}
    document["paths"]["/repos/{owner}/{repo}/issues/{index}/timeline"] = {
        "get": {
            "parameters": [{"in": "query", "name": name} for name in ("since", "before", "page", "limit")],
            "responses": {"200": {"schema": listed}},
        }
    }


def _add_jobs(document: dict[str, Any], definitions: dict[str, Any]) -> None:
    """The list of Actions' jobs (routers/api/v1/repo/action.go and modules/structs/repo_actions.go of 1.22)."""
    texts = ("name", "head_branch", "head_sha", "event", "display_title", "status", "workflow_id", "url", "created_at")
    numbers = {name: {"type": "integer"} for name in ("id", "run_number")}
    job = {"type": "object", "properties": {name: {"type": "string"} for name in texts} | numbers}
    definitions["ActionTask"] = job
    listed = {"type": "array", "items": {"$ref": "#/definitions/ActionTask"}}
    answer = {"type": "object", "properties": {"workflow_runs": listed, "total_count": {"type": "integer"}}}
    document["paths"]["/repos/{owner}/{repo}/actions/tasks"] = {
        "get": {
            "parameters": [{"in": "query", "name": name, "type": "integer"} for name in ("page", "limit")],
            "responses": {"200": {"schema": answer}},
        }
    }


def _add_tag_rules(document: dict[str, Any], definitions: dict[str, Any]) -> None:
    """Rules of protection for tags (routers/api/v1/repo/tag.go and modules/structs/repo_tag.go of 1.23)."""
    names = {"type": "array", "items": {"type": "string"}}
    option = {
        "type": "object",
        "properties": {"name_pattern": {"type": "string"}, "whitelist_usernames": names, "whitelist_teams": names},
    }
    definitions["CreateTagProtectionOption"] = definitions["EditTagProtectionOption"] = option
    definitions["TagProtection"] = {**option, "properties": {**option["properties"], "id": {"type": "integer"}}}
    one = {"schema": {"$ref": "#/definitions/TagProtection"}}
    many = {"schema": {"type": "array", "items": {"$ref": "#/definitions/TagProtection"}}}

    def taken(name: str) -> list[dict[str, Any]]:
        return [{"in": "body", "name": "body", "schema": {"$ref": f"#/definitions/{name}"}}]

    path = "/repos/{owner}/{repo}/tag_protections"
    document["paths"][path] = {
        "get": {"responses": {"200": many}},
        "post": {"parameters": taken("CreateTagProtectionOption"), "responses": {"201": one}},
    }
    document["paths"][f"{path}/{{id}}"] = {
        "patch": {"parameters": taken("EditTagProtectionOption"), "responses": {"200": one}}
    }


class Contract:
    def __init__(self, document: dict[str, Any]) -> None:
        self._document = document
        routes = [
            (re.compile(re.sub(r"\\\{\w+\\\}", "([^/]+)", re.escape(document["basePath"] + path))), path, operations)
            for path, operations in document["paths"].items()
        ]
        self._routes = sorted(routes, key=lambda route: route[1].count("{"))

    def violations(
        self, method: str, path: str, *, query: Iterable[str], body: Any, status: int, answer: Any
    ) -> list[str]:
        """What is wrong with the exchange; path as it was sent, with its escapes."""
        found = next(
            (ops[method.lower()] for pattern, _, ops in self._routes
             if pattern.fullmatch(path) and method.lower() in ops), None,
        )  # fmt: skip
        if found is None:
            return [f"there is no {method} {path} in the description"]
        parameters = [self._resolved(parameter) for parameter in found.get("parameters", [])]
        is_form = any(parameter["in"] == "formData" for parameter in parameters)
        known = {parameter["name"] for parameter in parameters if parameter["in"] == "query"}
        wrong = [f"the query parameter {name} is not known" for name in query if name not in known]
        if is_form:
            known_files = {parameter["name"] for parameter in parameters if parameter["in"] == "formData"}
            wrong += [] if set(body or {}) == known_files else [f"the form has {sorted(body or {})}"]
        elif body is not None:
            wrong += self._of_body(parameters, body)
        if status < 500:
            wrong += self._of_answer(found["responses"], status, answer)
        return [f"{method} {path}: {text}" for text in wrong]

    def _of_body(self, parameters: list[dict[str, Any]], body: Any) -> list[str]:
        taken = next((parameter for parameter in parameters if parameter["in"] == "body"), None)
        if taken is None:
            return ["it takes no body"]
        known = self._resolved(taken["schema"]).get("properties", {})
        return self._errors(body, taken["schema"]) + [
            f"the field {name} is not known" for name in body if name not in known
        ]

    def _of_answer(self, responses: dict[str, Any], status: int, answer: Any) -> list[str]:
        said = responses.get(str(status))
        if said is None:
            return [] if status in _UNSAID else [f"the status {status} is not described"]
        schema = self._resolved(said).get("schema")
        return self._errors(_without_nulls(answer), schema) if schema and answer is not None else []

    def _errors(self, value: Any, schema: dict[str, Any]) -> list[str]:
        whole = {**schema, "definitions": self._document["definitions"]}
        return [
            f"{'/'.join(map(str, error.path))}: {error.message}" for error in Draft4Validator(whole).iter_errors(value)
        ]

    def _resolved(self, node: dict[str, Any]) -> dict[str, Any]:
        while "$ref" in node:
            kind, name = node["$ref"].removeprefix("#/").split("/")
            node = self._document[kind][name]
        return node


def _without_nulls(value: Any) -> Any:
    """Go's pointers are null where there is nothing, which a description of Swagger 2.0 has no word for."""
    if isinstance(value, dict):
        return {key: _without_nulls(inner) for key, inner in value.items() if inner is not None}
    return [_without_nulls(inner) for inner in value] if isinstance(value, list) else value
