"""The cluster's controllers and its one simulated node: rollouts, pods, Jobs and the end of namespaces.

Pods of Deployments do as the test scripted for the image or command that they name; without a script they are healthy.
A Job's container is run for real, as a process. The cluster's clock runs `speed` times as fast as ours, and slower on a
busy machine: it never goes further than STEP_SECONDS at once, so that what is scripted happens in its order.
"""

from __future__ import annotations

import copy
import hashlib
import json
import os
import signal
import subprocess
import tempfile
import time
from typing import IO, Any, NamedTuple

from tests.doubles.kubernetes import rollouts
from tests.doubles.kubernetes.expansion import expanded
from tests.doubles.kubernetes.node import Node, exit_code_of
from tests.doubles.kubernetes.quotas import exceeded_by
from tests.doubles.kubernetes.statuses import (
    HEALTHY,
    Outcome,
    condition,
    job_pod_status,
    kept_times,
    pod_status,
    since_when,
)
from tests.doubles.kubernetes.store import Object, Store, now_text

STEP_SECONDS = 2.0


class _Process(NamedTuple):
    """A Job's container. began: when, as the API says it."""

    process: subprocess.Popen[bytes]
    output: IO[bytes]
    began: str


class Controllers:
    """`tick()` lets everything go one step further. Not for several threads at once."""

    def __init__(self, store: Store, *, speed: float, node: Node | None = None) -> None:
        self._store = store
        self._node = node
        self._speed = speed
        self._clock = 0.0
        self._ticked = time.monotonic()
        self._born: dict[str, float] = {}
        self._marks: dict[tuple[str, int], str] = {}
        """By a Deployment's uid and generation."""
        self._progress: dict[str, tuple[Any, float]] = {}
        self._processes: dict[str, _Process] = {}
        self.outcomes: list[tuple[str, Outcome]] = []
        self.logs: dict[str, str] = {}

    def tick(self) -> None:
        with self._store.lock:
            now = time.monotonic()
            self._clock += min((now - self._ticked) * self._speed, STEP_SECONDS)
            self._ticked = now
            for namespace in self._store.all("namespaces"):
                self._end_namespace(namespace)
            for deployment in self._store.all("deployments"):
                self._roll_out(deployment)
            for job in self._store.all("jobs"):
                self._run_job(job)
            for pod in self._store.all("pods"):
                self._live(pod)
            self._reap()

    def close(self) -> None:
        for uid in list(self._processes):
            self._kill(uid)
        if self._node is not None:
            self._node.close()

    def log_of(self, pod: Object, container: str) -> str:
        if self._node is not None and self._is_nodes(pod):
            return self._node.log(pod, container)
        if pod["metadata"]["uid"] in self._processes:
            # Nowhere is it set back: the process writes where the file's one position is.
            file = self._processes[pod["metadata"]["uid"]].output.fileno()
            return os.pread(file, os.fstat(file).st_size, 0).decode(errors="replace")
        return self.logs.get(pod["metadata"]["uid"], self._outcome(pod).log)

    def address_of(self, pod: Object) -> str | None:
        """Where the pod's own program answers; None where none really runs."""
        return self._node.address(pod) if self._node is not None else None

    def _is_nodes(self, pod: Object) -> bool:
        """Whether the node says how the pod does: what the test scripted goes before."""
        return self._node is not None and self._node.takes(pod) and self._outcome(pod) is HEALTHY

    def _now(self) -> float:
        return self._clock

    def _outcome(self, pod: Object) -> Outcome:
        if not self.outcomes:
            return HEALTHY
        text = json.dumps(pod["spec"]) + json.dumps(pod["metadata"].get("labels", {}))
        return next((outcome for needle, outcome in reversed(self.outcomes) if needle in text), HEALTHY)

    def _end_namespace(self, namespace: Object) -> None:
        name = namespace["metadata"]["name"]
        if "deletionTimestamp" not in namespace["metadata"]:
            return
        if self._age(namespace["metadata"]["uid"] + "-end") < 20:
            return
        for key in [key for key in self._store.objects if key[1] == name]:
            self._store.remove(*key)
        self._store.remove("namespaces", "", name)

    def _age(self, uid: str) -> float:
        return self._now() - self._born.setdefault(uid, self._now())

    def _roll_out(self, deployment: Object) -> None:
        about, spec = deployment["metadata"], deployment["spec"]
        sets = self._sets(deployment)
        mark = self._mark_of(deployment)
        name = f"{about['name']}-{mark}"
        new = next((one for one in sets if one["metadata"]["name"] == name), None)
        revisions = [int(one["metadata"]["annotations"][rollouts.REVISION]) for one in sets]
        if new is None:
            new = self._store.put("replicasets", rollouts.replica_set(deployment, name, mark))
            revisions.append(0)
        # Only the newest set takes the Deployment's gate on; what an older one has in service stays in service.
        gate = spec.get("minReadySeconds", 0)
        if new["spec"].get("minReadySeconds") != gate:
            new = copy.deepcopy(new)
            new["spec"]["minReadySeconds"] = gate
            new = self._store.put("replicasets", new)
        old = [one for one in sets if one["metadata"]["name"] != name]
        revision = int(new["metadata"]["annotations"].get(rollouts.REVISION, 0))
        if revision < max(revisions) or revision == 0:
            revision = max(revisions) + 1
            new = copy.deepcopy(new)
            new["metadata"]["annotations"][rollouts.REVISION] = str(revision)
            self._store.put("replicasets", new)
        if about.get("annotations", {}).get(rollouts.REVISION) != str(revision):
            deployment = copy.deepcopy(deployment)
            deployment["metadata"].setdefault("annotations", {})[rollouts.REVISION] = str(revision)
            deployment = self._store.put("deployments", deployment)
        there = [rollouts.Pods(one["spec"]["replicas"], self._fill(one)) for one in [*old, new]]
        fresh, kept = rollouts.step(spec.get("replicas", 1), there[-1], there[:-1])
        for one, replicas in zip([*old, new], [*kept, fresh], strict=True):
            self._scale(one, replicas)
        self._report(deployment, name)
        for one in [*old, new]:
            self._fill(one)

    def _mark_of(self, deployment: Object) -> str:
        """What the name of its newest replica set ends with: the same for the same template."""
        about = deployment["metadata"]
        key = about["uid"], about["generation"]
        if key not in self._marks:
            template = json.dumps(deployment["spec"]["template"], sort_keys=True)
            self._marks[key] = hashlib.sha256(template.encode()).hexdigest()[:10]
        return self._marks[key]

    def _sets(self, deployment: Object) -> list[Object]:
        uid = deployment["metadata"]["uid"]
        return [
            one
            for one in self._store.all("replicasets", deployment["metadata"]["namespace"])
            if one["metadata"]["ownerReferences"][0]["uid"] == uid
        ]

    def _scale(self, replica_set: Object, replicas: int) -> None:
        current = self._store.get("replicasets", replica_set["metadata"]["namespace"], replica_set["metadata"]["name"])
        assert current is not None
        if current["spec"]["replicas"] != replicas:
            self._store.update("replicasets", current, lambda one: one["spec"].update(replicas=replicas))

    def _fill(self, replica_set: Object) -> int:
        """As many pods as it wants; returns how many of them are available."""
        namespace, name = replica_set["metadata"]["namespace"], replica_set["metadata"]["name"]
        current = self._store.get("replicasets", namespace, name)
        assert current is not None
        pods = self._pods_of(current)
        wanted = current["spec"]["replicas"]
        # Those that are not ready go first, as with a real one: their names are random.
        for pod in sorted(pods, key=_is_ready)[: max(0, len(pods) - wanted)]:
            self._store.remove("pods", namespace, pod["metadata"]["name"])
        refusal = None
        for number in range(len(pods), wanted):
            pod = _pod(current, f"{name}-{os.urandom(3).hex()}", number)
            if refusal := self.admission_refusal(namespace, pod):
                break
            self._store.put("pods", pod)
        pods = self._pods_of(current)
        ready = [pod for pod in pods if _is_ready(pod)]
        available = [pod for pod in ready if self._ready_for(pod) >= current["spec"].get("minReadySeconds", 0)]
        status: Object = {
            "replicas": len(pods),
            "readyReplicas": len(ready),
            "availableReplicas": len(available),
            "observedGeneration": current["metadata"]["generation"],
        }
        if refusal:
            found = [condition("ReplicaFailure", "True", "FailedCreate", refusal)]
            status["conditions"] = since_when(current.get("status", {}), found)
        self._store.report("replicasets", current, status)
        return len(available)

    def admission_refusal(self, namespace: str, pod: Object) -> str | None:
        """What quotas have against the pod, in the API's words; None if they let it in."""
        words = f'pods "{pod["metadata"]["name"]}" is forbidden'
        if self._outcome(pod).kind == "quota":
            return f"{words}: exceeded quota: aiworker, requested: pods=1"
        quotas = self._store.all("resourcequotas", namespace)
        exceeded = exceeded_by(pod, quotas, there=self._store.all("pods", namespace))
        return None if exceeded is None else f"{words}: {exceeded}"

    def _ready_for(self, pod: Object) -> float:
        return self._age(pod["metadata"]["uid"] + "-ready")

    def _pods_of(self, owner: Object) -> list[Object]:
        uid = owner["metadata"]["uid"]
        return [
            pod
            for pod in self._store.all("pods", owner["metadata"]["namespace"])
            if any(one["uid"] == uid for one in pod["metadata"].get("ownerReferences", []))
        ]

    def _report(self, deployment: Object, new_name: str) -> None:
        sets = self._sets(deployment)
        new = next(one for one in sets if one["metadata"]["name"] == new_name)
        wanted, generation = deployment["spec"].get("replicas", 1), deployment["metadata"]["generation"]
        total = {
            count: sum(one.get("status", {}).get(count, 0) for one in sets)
            for count in ("replicas", "readyReplicas", "availableReplicas")
        }
        updated = new.get("status", {}).get("replicas", 0)
        is_complete = updated == total["replicas"] == new.get("status", {}).get("availableReplicas", 0) == wanted
        uid = deployment["metadata"]["uid"]
        seen = (new_name, updated, *total.values())
        if self._progress.get(uid, (None, 0))[0] != seen:
            self._progress[uid] = (seen, self._now())
        is_late = self._now() - self._progress[uid][1] > deployment["spec"].get("progressDeadlineSeconds", 600)
        if is_complete:
            progress = condition("Progressing", "True", "NewReplicaSetAvailable", "")
        elif is_late:
            progress = condition("Progressing", "False", "ProgressDeadlineExceeded", "timed out progressing")
        else:
            progress = condition("Progressing", "True", "ReplicaSetUpdated", "")
        status = {
            "observedGeneration": generation,
            "updatedReplicas": updated,
            **{name: count for name, count in total.items() if count},
            "conditions": [
                *since_when(deployment.get("status", {}), [progress]),
                *new.get("status", {}).get("conditions", []),
            ],
        }
        self._store.report("deployments", deployment, status)

    def _live(self, pod: Object) -> None:
        if any(one["kind"] == "Job" for one in pod["metadata"].get("ownerReferences", [])):
            return
        outcome = self._outcome(pod)
        age = self._age(pod["metadata"]["uid"])
        if self._node is not None and self._is_nodes(pod):
            status = self._node.status(pod)
        else:
            status = pod_status(pod, outcome, age, is_once=pod["spec"].get("restartPolicy") == "Never")
        status = kept_times(pod.get("status", {}), status)
        if (status["conditions"][0]["status"] == "True") != _is_ready(pod):
            self._born.pop(pod["metadata"]["uid"] + "-ready", None)
            self._ready_for(pod)
        self._store.report("pods", pod, status)

    def _run_job(self, job: Object) -> None:
        final = {"Complete", "Failed"}
        if any(one["type"] in final and one["status"] == "True" for one in job.get("status", {}).get("conditions", [])):
            return
        pods = self._pods_of(job)
        if not pods:
            name = f"{job['metadata']['name']}-{os.urandom(3).hex()}"
            made = _pod({**job, "kind": "Job"}, name, 0)
            if self.admission_refusal(job["metadata"]["namespace"], made):
                self._store.report("jobs", job, {"active": 0})
                return
            pods = [self._store.put("pods", made)]
        pod = pods[0]
        outcome = self._outcome(pod)
        if outcome.kind in {"evicted", "checkout", "oom", "image_pull", "no_room"}:
            status = pod_status(pod, outcome, self._age(pod["metadata"]["uid"]), is_once=True)
            code = None if status["phase"] == "Pending" else 1
        elif self._node is not None and self._is_nodes(pod):
            status = self._node.status(pod)
            code = exit_code_of(status)
        else:
            code = self._run(pod)
            status = job_pod_status(pod, code, self._processes[pod["metadata"]["uid"]].began)
        self._store.report("pods", pod, status)
        if code is None:
            done = []
        elif code == 0:
            done = [condition("SuccessCriteriaMet", "True", "", ""), condition("Complete", "True", "", "")]
        else:
            done = [condition("Failed", "True", "BackoffLimitExceeded", "Job has reached the specified backoff limit")]
        finished = {"active": int(code is None), "conditions": done}
        self._store.report("jobs", job, finished)

    def _run(self, pod: Object) -> int | None:
        """Run the Job's container; its exit code when it has ended."""
        uid = pod["metadata"]["uid"]
        if uid not in self._processes:
            output = tempfile.TemporaryFile()  # noqa: SIM115 (open as long as the process)
            container = pod["spec"]["containers"][0]
            env = {"PATH": os.environ["PATH"]} | {one["name"]: one["value"] for one in container.get("env", [])}
            command = [expanded(part, env) for part in container["command"]]
            process = subprocess.Popen(
                command, stdout=output, stderr=subprocess.STDOUT, cwd="/tmp", env=env, start_new_session=True
            )
            self._processes[uid] = _Process(process, output, now_text())
        return self._processes[uid].process.poll()

    def _reap(self) -> None:
        present = {pod["metadata"]["uid"] for pod in self._store.all("pods")}
        for uid in set(self._processes) - present:
            self._kill(uid)
        if self._node is not None:
            self._node.keep(present)

    def _kill(self, uid: str) -> None:
        process, output, _began = self._processes.pop(uid)
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        output.close()


def _is_ready(pod: Object) -> bool:
    return any(
        one["type"] == "Ready" and one["status"] == "True" for one in pod.get("status", {}).get("conditions", [])
    )


def _pod(owner: Object, name: str, number: int) -> Object:
    template = copy.deepcopy(owner["spec"]["template"])
    about = {
        "name": name,
        "namespace": owner["metadata"]["namespace"],
        "labels": template["metadata"].get("labels", {}),
        "ownerReferences": [rollouts.owner_of(owner, owner["kind"])],
    }
    return {"apiVersion": "v1", "kind": "Pod", "metadata": about, "spec": template["spec"], "status": {}}
