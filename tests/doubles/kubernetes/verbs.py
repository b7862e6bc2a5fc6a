"""What requests do to the objects of the cluster double: read, list, create, apply, delete, logs."""

from __future__ import annotations

import copy
import json
from dataclasses import dataclass

from tests.doubles.kubernetes.apply import ApplyConflict, apply
from tests.doubles.kubernetes.controllers import Controllers
from tests.doubles.kubernetes.discovery import CLUSTER_WIDE, KINDS, VERSIONS
from tests.doubles.kubernetes.paths import Refusal
from tests.doubles.kubernetes.schemas import why_invalid
from tests.doubles.kubernetes.store import Object, Store, is_chosen, now_text


@dataclass(frozen=True)
class ApiRequest:
    """One request. name: empty for all of a kind; part: of the object, such as `log`."""

    method: str
    plural: str
    namespace: str
    name: str
    part: str
    query: dict[str, str]
    content_type: str
    body: bytes


class Verbs:
    """The objects of a double. sent: every manifest that was written, in its order."""

    def __init__(self, store: Store, controllers: Controllers, sent: list[Object]) -> None:
        self._store = store
        self._controllers = controllers
        self._sent = sent

    def serve(self, asked: ApiRequest) -> Object | str:
        """Raises Refusal."""
        with self._store.lock:
            match asked.method, asked.part:
                case "GET", "log":
                    return self._log(asked.namespace, asked.name, asked.query)
                case "GET", _:
                    return self._found(asked) if asked.name else self._list(asked)
                case "PATCH", _:
                    return self._apply(asked)
                case "POST", _:
                    return self._create(asked, is_trial=asked.query.get("dryRun") == "All")
                case "DELETE", _:
                    return self._delete(asked)
        raise Refusal(405, "MethodNotAllowed", f"{asked.method} is not served by the double")

    def _found(self, asked: ApiRequest) -> Object:
        return self._read(asked.plural, asked.namespace, asked.name)

    def _read(self, plural: str, namespace: str, name: str) -> Object:
        found = self._store.get(plural, namespace, name)
        if found is None:
            raise Refusal(404, "NotFound", f'{plural} "{name}" not found')
        return copy.deepcopy(found)

    def _list(self, asked: ApiRequest) -> Object:
        items = [one for one in self._store.all(asked.plural, asked.namespace or None) if is_chosen(one, asked.query)]
        start, limit = int(asked.query.get("continue", "0")), int(asked.query.get("limit", "0")) or len(items)
        about = {"resourceVersion": str(self._store.version)}
        if start + limit < len(items):
            about["continue"] = str(start + limit)
        page = copy.deepcopy(items[start : start + limit])
        kind, version = f"{KINDS[asked.plural]}List", VERSIONS[asked.plural]
        return {"kind": kind, "apiVersion": version, "metadata": about, "items": page}

    def _require_namespace(self, plural: str, namespace: str) -> None:
        if plural in CLUSTER_WIDE:
            return
        found = self._read("namespaces", "", namespace)
        if "deletionTimestamp" in found["metadata"]:
            message = f"unable to create new content in namespace {namespace} because it is being terminated"
            raise Refusal(403, "Forbidden", message)

    def _apply(self, asked: ApiRequest) -> Object:
        if asked.content_type != "application/apply-patch+yaml":
            raise Refusal(415, "UnsupportedMediaType", f"the double knows no {asked.content_type}")
        manifest = json.loads(asked.body)
        key = (asked.plural, asked.namespace, asked.name)
        current = self._store.get(*key)
        if current is None:
            self._require_namespace(asked.plural, asked.namespace)
        wanted_version = manifest["metadata"].pop("resourceVersion", None)
        if wanted_version and (current is None or current["metadata"]["resourceVersion"] != wanted_version):
            raise Refusal(409, "Conflict", "the object has been modified")
        try:
            merged, owners = apply(
                current, manifest, self._store.owners.get(key, {}), manager=asked.query["fieldManager"],
                force=asked.query.get("force") == "true",
            )  # fmt: skip
        except ApplyConflict as conflict:
            raise Refusal(409, "Conflict", f"Apply failed with 1 conflict: {conflict}") from conflict
        self._check(merged)
        self._require_mutable(asked.plural, current, merged)
        merged["metadata"]["managedFields"] = [
            {"manager": manager, "operation": "Apply", "apiVersion": merged["apiVersion"], "fieldsType": "FieldsV1"}
            for manager in sorted(owners)
        ]
        self._store.owners[key] = owners
        self._sent.append(copy.deepcopy(manifest))
        return copy.deepcopy(self._store.put(asked.plural, merged))

    def _require_mutable(self, plural: str, current: Object | None, changed: Object) -> None:
        if current is not None and plural == "jobs" and current["spec"] != changed["spec"]:
            raise Refusal(422, "Invalid", "spec.template: field is immutable")

    def _create(self, asked: ApiRequest, *, is_trial: bool) -> Object:
        manifest = self._manifest(asked)
        plural, namespace, name = asked.plural, asked.namespace, manifest["metadata"]["name"]
        self._require_namespace(plural, namespace)
        if plural == "pods" and (denial := self._controllers.admission_refusal(namespace, manifest)):
            raise Refusal(403, "Forbidden", denial)
        if self._store.get(plural, namespace, name) is not None:
            raise Refusal(409, "AlreadyExists", f'{plural} "{name}" already exists')
        self._check(manifest)
        if is_trial:
            return manifest
        self._sent.append(copy.deepcopy(manifest))
        return copy.deepcopy(self._store.put(plural, manifest))

    def _manifest(self, asked: ApiRequest) -> Object:
        manifest: Object = json.loads(asked.body)
        if asked.plural not in CLUSTER_WIDE:
            manifest["metadata"].setdefault("namespace", asked.namespace)
        return manifest

    def _check(self, manifest: Object) -> None:
        if reason := why_invalid(manifest):
            raise Refusal(422, "Invalid", reason)

    def _delete(self, asked: ApiRequest) -> Object:
        found = self._found(asked)
        if asked.plural == "namespaces":

            def end(thing: Object) -> None:
                thing["metadata"]["deletionTimestamp"] = now_text()
                thing["status"] = {"phase": "Terminating"}

            if "deletionTimestamp" not in found["metadata"]:
                self._store.update(asked.plural, found, end)
        else:
            self._store.remove(asked.plural, asked.namespace, asked.name)
        details = {"name": asked.name, "kind": asked.plural, "uid": found["metadata"]["uid"]}
        return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}

    def _log(self, namespace: str, name: str, query: dict[str, str]) -> str:
        pod = self._read("pods", namespace, name)
        statuses = pod.get("status", {}).get("initContainerStatuses", []) + pod["status"].get("containerStatuses", [])
        container = next((one for one in statuses if one["name"] == query["container"]), None)
        if container is None or ("waiting" in container["state"] and query.get("previous") != "true"):
            raise Refusal(400, "BadRequest", f'container "{query["container"]}" in pod "{name}" is waiting to start')
        lines = self._controllers.log_of(pod, query["container"]).splitlines(keepends=True)
        lines = lines[-int(query.get("tailLines", "1000000")) :]
        if query.get("timestamps") == "true":
            lines = [f"2026-01-01T00:00:{number:02}.0Z {line}" for number, line in enumerate(lines)]
        return "".join(lines)
