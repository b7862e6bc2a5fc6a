"""The settings of the cluster: how versions run there, and the agents' pods. Read with AIWORKER_RUNTIME=kubernetes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from common.errors import Misconfigured
from common.settings.environment import Environment
from common.settings.quantities import amount

MOST_PREVIEWS = 20
"""Previews of one project; a new one takes the place of the oldest."""

_LABEL = re.compile(r"([A-Za-z0-9][\w./-]{0,252})=([\w.-]{0,63})", re.ASCII)
_TOLERATION = re.compile(
    r"([A-Za-z0-9][\w./-]{0,252})(?:=([\w.-]{0,63}))?(?::(NoSchedule|PreferNoSchedule|NoExecute))?", re.ASCII
)


@dataclass(frozen=True)
class Toleration:
    """A taint that pods put up with. value: None for any. effect: None for all."""

    key: str
    value: str | None
    effect: str | None


@dataclass(frozen=True)
class KubernetesSettings:
    """What the kubernetes runtime makes of a version. Read only with AIWORKER_RUNTIME=kubernetes."""

    kubeconfig: str | None
    """KUBECONFIG: the file that says where the cluster is and who we are there. None: the account of our own pod."""
    domain: str
    """What the hosts of apps end with (AIWORKER_KUBE_DOMAIN), a wildcard DNS name of the ingress. Needed."""
    image: str
    """Our own image (AIWORKER_KUBE_IMAGE): checks out code, and runs what names no dockerImage. Needed."""
    health: str
    """AIWORKER_KUBE_HEALTH: `http`, an app is live when it answers through its ingress, or `readiness`, when the
    cluster says its pods are ready: for a platform that can't reach the ingress. `http` by default."""
    ingress_url: str | None
    """Where the ingress is, if its hosts don't lead there from here (AIWORKER_KUBE_INGRESS_URL). None: they do."""
    ingress_class: str | None
    """AIWORKER_KUBE_INGRESS_CLASS. None: the cluster's default class."""
    is_tls: bool
    """AIWORKER_KUBE_TLS=1: apps answer with https and the ingress controller's own certificate. http by default."""
    runtime_class: str | None
    """AIWORKER_KUBE_RUNTIME_CLASS, such as `gvisor`. None: the cluster's default."""
    nodes: tuple[tuple[str, str], ...]
    """Labels that a node must have to take pods (AIWORKER_KUBE_NODES, `key=value`, comma-separated). Default: any."""
    tolerations: tuple[Toleration, ...]
    """Taints of nodes that pods put up with (AIWORKER_KUBE_TOLERATIONS, `key[=value][:effect]`, comma-separated), for
    nodes that are kept for them. Default: none."""
    run_as_user: int
    """The user and group of every container (AIWORKER_KUBE_RUN_AS_USER), never root. 10001 by default, our image's."""
    cpu: str
    """A container's CPU limit where the project has none (AIWORKER_KUBE_CPU), `1` by default."""
    memory: str
    """A container's memory limit where the project has none (AIWORKER_KUBE_MEMORY), 512Mi by default."""
    code_size: str
    """Room for the checkout and what the program writes beside it (AIWORKER_KUBE_CODE_SIZE), 2Gi by default."""
    tmp_size: str
    """Room for /tmp (AIWORKER_KUBE_TMP_SIZE), 512Mi by default."""
    quota_cpu: str
    """All CPU limits of a project's staging, production and tests together (AIWORKER_KUBE_QUOTA_CPU), 16 by default."""
    quota_memory: str
    """All memory limits of the same together (AIWORKER_KUBE_QUOTA_MEMORY), 32Gi by default."""
    quota_pods: int
    """Pods of the same (AIWORKER_KUBE_QUOTA_PODS), 50 by default."""
    preview_cpu: str
    """A preview's CPU limit at most (AIWORKER_KUBE_PREVIEW_CPU), 500m by default: few people look at it at a time."""
    previews_cpu: str
    """All CPU limits of a project's previews together (AIWORKER_KUBE_PREVIEWS_CPU), 10 by default: room for as many as
    there may be. It is beside the quota, so that previews never take what staging, production and tests need."""
    previews_memory: str
    """All memory limits of the same together (AIWORKER_KUBE_PREVIEWS_MEMORY), 10Gi by default."""
    egress: tuple[str, ...]
    """Private networks (CIDR, comma-separated) that pods may reach, such as the forge's (AIWORKER_KUBE_EGRESS). By
    default none: names, the public internet and namespaces labelled app.kubernetes.io/part-of=aiworker only."""
    fleet: FleetSettings | None = None
    """None: no agents in pods (AIWORKER_AGENTS_MAX=0, the default); those that register themselves work on."""

    def cpu_of_preview(self, cpu_limit: str | None) -> str:
        """The CPU limit of a preview whose project has this one."""
        return min(cpu_limit or self.cpu, self.preview_cpu, key=amount)

    def most_previews(self, cpu_limit: str | None, memory_limit: str | None) -> int:
        """How many previews a project with these limits may have: what fits the previews' own quota, but one always."""
        by_cpu = amount(self.previews_cpu) / amount(self.cpu_of_preview(cpu_limit))
        by_memory = amount(self.previews_memory) / amount(memory_limit or self.memory)
        return max(1, min(MOST_PREVIEWS, int(by_cpu), int(by_memory)))


@dataclass(frozen=True)
class FleetSettings:
    """Agents as pods: one pod for one run, and some that wait for work."""

    least: int
    """How many agents wait for work at least, so that a run need not wait for a pod (AIWORKER_AGENTS_MIN), 0."""
    most: int
    """How many pods of agents there are at most (AIWORKER_AGENTS_MAX)."""
    url: str
    """Where their pods reach the API: AIWORKER_INTERNAL_URL, which must not be this machine's own address."""
    namespace: str
    """AIWORKER_AGENTS_NAMESPACE, `<instance>-agents` by default. It is made, and must be nobody else's."""
    image: str
    """What they run (AIWORKER_AGENTS_IMAGE): AiWorker's own image, or one built on it that holds a coding CLI."""
    driver: str
    """AIWORKER_AGENTS_DRIVER, `scripted` by default."""
    capabilities: tuple[str, ...]
    """What tasks may require of them (AIWORKER_AGENTS_CAPABILITIES, comma-separated). Default: nothing."""
    cpu: str
    """AIWORKER_AGENTS_CPU, 2 by default."""
    memory: str
    """AIWORKER_AGENTS_MEMORY, 2Gi by default."""
    disk: str
    """Room for the clone and what is built in it (AIWORKER_AGENTS_DISK), 8Gi by default."""
    start_seconds: int
    """How long a pod may take until its agent is heard of (AIWORKER_AGENTS_START_SECONDS), 300 by default."""
    lifetime_seconds: int
    """The cluster ends a pod after this long, whatever it does (AIWORKER_AGENTS_LIFETIME_SECONDS), 12 h by default;
    one that waits for work is replaced after half of it."""
    egress: tuple[str, ...]
    """Networks (CIDR, comma-separated) that they may reach beside AiWorker's and the forge's own namespaces, such as
    the model proxy's (AIWORKER_AGENTS_EGRESS). Default: none, also not the internet."""


def read_kubernetes(env: Environment, *, instance: str, internal_url: str) -> KubernetesSettings:
    domain, image = env.text("AIWORKER_KUBE_DOMAIN"), env.text("AIWORKER_KUBE_IMAGE")
    if not domain or not image:
        raise Misconfigured("AIWORKER_RUNTIME=kubernetes needs AIWORKER_KUBE_DOMAIN and AIWORKER_KUBE_IMAGE")
    ingress_url = env.text("AIWORKER_KUBE_INGRESS_URL")
    return KubernetesSettings(
        kubeconfig=env.text("AIWORKER_KUBECONFIG", "KUBECONFIG"),
        domain=domain.strip(".").lower(),
        image=image,
        health=env.choice("AIWORKER_KUBE_HEALTH", default="http", of=("http", "readiness")),
        ingress_url=ingress_url.rstrip("/") if ingress_url else None,
        ingress_class=env.text("AIWORKER_KUBE_INGRESS_CLASS"),
        is_tls=env.flag("AIWORKER_KUBE_TLS"),
        runtime_class=env.text("AIWORKER_KUBE_RUNTIME_CLASS"),
        nodes=_nodes(env),
        tolerations=_tolerations(env),
        run_as_user=env.number("AIWORKER_KUBE_RUN_AS_USER", default=10001, least=1),
        cpu=_quantity(env, "AIWORKER_KUBE_CPU", default="1"),
        memory=_quantity(env, "AIWORKER_KUBE_MEMORY", default="512Mi"),
        code_size=env.string("AIWORKER_KUBE_CODE_SIZE", default="2Gi"),
        tmp_size=env.string("AIWORKER_KUBE_TMP_SIZE", default="512Mi"),
        quota_cpu=_quantity(env, "AIWORKER_KUBE_QUOTA_CPU", default="16"),
        quota_memory=_quantity(env, "AIWORKER_KUBE_QUOTA_MEMORY", default="32Gi"),
        quota_pods=env.number("AIWORKER_KUBE_QUOTA_PODS", default=50, least=1),
        preview_cpu=_quantity(env, "AIWORKER_KUBE_PREVIEW_CPU", default="500m"),
        previews_cpu=_quantity(env, "AIWORKER_KUBE_PREVIEWS_CPU", default="10"),
        previews_memory=_quantity(env, "AIWORKER_KUBE_PREVIEWS_MEMORY", default="10Gi"),
        egress=env.names("AIWORKER_KUBE_EGRESS"),
        fleet=_fleet(env, image=image, instance=instance, internal_url=internal_url),
    )


def _quantity(env: Environment, name: str, *, default: str) -> str:
    text = env.string(name, default=default)
    try:
        is_some = amount(text) > 0
    except ValueError as error:
        raise Misconfigured(f"{name}: {error}") from error
    if not is_some:
        raise Misconfigured(f"{name}={text}: a cluster takes 0 for no limit at all; write what is wanted")
    return text


def _nodes(env: Environment) -> tuple[tuple[str, str], ...]:
    name, found = "AIWORKER_KUBE_NODES", []
    for text in env.names(name):
        label = _LABEL.fullmatch(text)
        if label is None:
            raise Misconfigured(f"{name}: {text!r} is not a label of nodes; write key=value")
        found.append((label[1], label[2]))
    return tuple(found)


def _tolerations(env: Environment) -> tuple[Toleration, ...]:
    name, found = "AIWORKER_KUBE_TOLERATIONS", []
    for text in env.names(name):
        taint = _TOLERATION.fullmatch(text)
        if taint is None:
            raise Misconfigured(f"{name}: {text!r} is not a taint; write key, key=value or key=value:NoSchedule")
        found.append(Toleration(taint[1], taint[2], taint[3]))
    return tuple(found)


def _fleet(env: Environment, *, image: str, instance: str, internal_url: str) -> FleetSettings | None:
    most = env.number("AIWORKER_AGENTS_MAX", default=0, most=1000)
    least = env.number("AIWORKER_AGENTS_MIN", default=0, most=1000)
    if least > most:
        raise Misconfigured(f"AIWORKER_AGENTS_MIN={least} is more than AIWORKER_AGENTS_MAX={most}")
    if most == 0:
        return None
    if urlsplit(internal_url).hostname in {"localhost", "127.0.0.1", "::1"}:
        raise Misconfigured(
            f"AIWORKER_AGENTS_MAX={most} needs AIWORKER_INTERNAL_URL: where pods reach this API, not {internal_url}"
        )
    return FleetSettings(
        least=least,
        most=most,
        url=internal_url,
        namespace=env.string("AIWORKER_AGENTS_NAMESPACE", default=f"{instance}-agents"),
        image=env.string("AIWORKER_AGENTS_IMAGE", default=image),
        driver=env.string("AIWORKER_AGENTS_DRIVER", default="scripted"),
        capabilities=env.names("AIWORKER_AGENTS_CAPABILITIES"),
        cpu=env.string("AIWORKER_AGENTS_CPU", default="2"),
        memory=env.string("AIWORKER_AGENTS_MEMORY", default="2Gi"),
        disk=env.string("AIWORKER_AGENTS_DISK", default="8Gi"),
        start_seconds=env.number("AIWORKER_AGENTS_START_SECONDS", default=300, least=10),
        lifetime_seconds=env.number("AIWORKER_AGENTS_LIFETIME_SECONDS", default=12 * 3600, least=600),
        egress=env.names("AIWORKER_AGENTS_EGRESS"),
    )
