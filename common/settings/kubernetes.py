"""Settings of the Kubernetes runtime and of agents in pods. Read only with AIWORKER_RUNTIME=kubernetes."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from decimal import Decimal
from urllib.parse import urlsplit

from common.errors import Misconfigured
from common.settings.agents import DRIVER_NAMES
from common.settings.environment import Environment, web_address

MOST_PREVIEWS = 20
"""Most previews of one project; a new one replaces the oldest."""
PREVIEW_CPU = "500m"
"""Highest CPU limit of a preview, as previews have few users."""
TMP_SIZE = "512Mi"
"""Size limit of /tmp."""
FLEET_START_SECONDS = 300
"""How long an agent's pod may take until its agent's first heartbeat."""
FLEET_LIFETIME_SECONDS = 12 * 3600
"""The cluster ends an agent's pod after this time, even at work. A pod that waits for work is replaced after half of
it."""

_QUANTITY = re.compile(r"([0-9]+(?:\.[0-9]+)?)(m|[kKMGTPE]|[KMGTPE]i)?")
_POWERS = {unit: power for power, unit in enumerate("KMGTPE", start=1)}
_LABEL = re.compile(r"([A-Za-z0-9][\w./-]{0,252})=([\w.-]{0,63})", re.ASCII)
_TOLERATION = re.compile(
    r"([A-Za-z0-9][\w./-]{0,252})(?:=([\w.-]{0,63}))?(?::(NoSchedule|PreferNoSchedule|NoExecute))?", re.ASCII
)


@dataclass(frozen=True)
class Toleration:
    """A taint that pods tolerate. value: None for any. effect: None for all."""

    key: str
    value: str | None
    effect: str | None


@dataclass(frozen=True)
class KubernetesSettings:
    """How the Kubernetes runtime runs apps and checks."""

    kubeconfig: str | None
    """The kubeconfig file with the cluster's address and our credentials (KUBECONFIG). None: the service account of
    the platform's own pod."""
    domain: str
    """The domain of apps' hosts (AIWORKER_KUBE_DOMAIN), whose wildcard DNS record points at the ingress. Required."""
    image: str
    """AiWorker's image (AIWORKER_KUBE_IMAGE): checks out code, and runs projects without a dockerImage. Required."""
    health: str
    """How an app's health is checked (AIWORKER_KUBE_HEALTH). `http`, the default: by requests through its ingress.
    `readiness`: by the readiness of its pods, for a platform that can't reach the ingress."""
    ingress_url: str | None
    """The ingress's URL, if apps' hosts do not resolve to it here (AIWORKER_KUBE_INGRESS_URL). None: they do."""
    ingress_class: str | None
    """AIWORKER_KUBE_INGRESS_CLASS. None: the cluster's default class."""
    is_tls: bool
    """AIWORKER_KUBE_TLS=1: apps answer with https and the ingress controller's own certificate. http by default."""
    runtime_class: str | None
    """AIWORKER_KUBE_RUNTIME_CLASS, such as `gvisor`. None: the cluster's default."""
    nodes: tuple[tuple[str, str], ...]
    """Labels that a node must have to take pods (AIWORKER_KUBE_NODES, `key=value`, comma-separated). Default: any."""
    tolerations: tuple[Toleration, ...]
    """Taints that pods tolerate (AIWORKER_KUBE_TOLERATIONS, `key[=value][:effect]`, comma-separated), for nodes that
    are reserved for them. Default: none."""
    run_as_user: int
    """User and group id of every container (AIWORKER_KUBE_RUN_AS_USER), never root. 10001 by default, as in AiWorker's
    image."""
    cpu: str
    """A container's CPU limit if the project sets none (AIWORKER_KUBE_LIMITS: cpu), `1` by default."""
    memory: str
    """A container's memory limit if the project sets none (AIWORKER_KUBE_LIMITS: memory), 512Mi by default."""
    code_size: str
    """Size limit of the checkout's volume, including files that the program writes there (AIWORKER_KUBE_LIMITS: disk),
    2Gi by default."""
    quota_cpu: str
    """Sum of the CPU limits of a project's staging, production and checks (AIWORKER_KUBE_QUOTA: cpu), 16 by default."""
    quota_memory: str
    """Sum of the memory limits of a project's staging, production and checks (AIWORKER_KUBE_QUOTA: memory), 32Gi by
    default."""
    quota_pods: int
    """Number of pods of a project's staging, production and checks (AIWORKER_KUBE_QUOTA: pods), 50 by default."""
    previews_cpu: str
    """Sum of the CPU limits of a project's previews (AIWORKER_KUBE_PREVIEWS: cpu), 10 by default, enough for
    MOST_PREVIEWS. It is separate from quota_cpu, so previews take nothing from staging, production and checks."""
    previews_memory: str
    """Sum of the memory limits of a project's previews (AIWORKER_KUBE_PREVIEWS: memory), 10Gi by default."""
    egress: tuple[str, ...]
    """Private networks that pods may reach, such as the forge's (AIWORKER_KUBE_EGRESS, CIDR, comma-separated). Default:
    none; pods reach only DNS, the public internet and namespaces labelled app.kubernetes.io/part-of=aiworker."""
    forge_url: str | None = None
    """GITEA_URL, which pods clone from, whatever their project may reach besides."""
    egress_proxy: str | None = None
    """An HTTP proxy that knows which hosts are allowed (AIWORKER_EGRESS_PROXY, an http or https URL without a
    password): all that agents and pods of projects with egress `registries` reach of the internet. None: those pods
    reach every public address, and agents none."""
    fleet: FleetSettings | None = None
    """None: no agents in pods (AIWORKER_AGENTS_MAX=0, the default), only agents that register themselves."""

    def cpu_of_preview(self, cpu_limit: str | None) -> str:
        """The CPU limit of a preview. cpu_limit: the project's; None if it sets none."""
        return min(cpu_limit or self.cpu, PREVIEW_CPU, key=amount)

    def most_previews(self, cpu_limit: str | None, memory_limit: str | None) -> int:
        """How many previews a project with these limits may have: as many as fit the previews' quota, at least one."""
        by_cpu = amount(self.previews_cpu) / amount(self.cpu_of_preview(cpu_limit))
        by_memory = amount(self.previews_memory) / amount(memory_limit or self.memory)
        return max(1, min(MOST_PREVIEWS, int(by_cpu), int(by_memory)))


@dataclass(frozen=True)
class FleetSettings:
    """Agents in pods: one pod per run, and some pods that wait for work."""

    least: int
    """Number of agents that wait for work, so that a run need not wait for a pod (AIWORKER_AGENTS_MIN), 0 by
    default."""
    most: int
    """Highest number of agents' pods (AIWORKER_AGENTS_MAX)."""
    url: str
    """URL at which agents' pods reach the API (AIWORKER_INTERNAL_URL). It can't be a loopback address."""
    namespace: str
    """Namespace of the pods (AIWORKER_AGENTS_NAMESPACE), `<instance>-agents` by default. The platform creates it and
    must be its only user."""
    image: str
    """Image of the pods (AIWORKER_AGENTS_IMAGE): AiWorker's, or one that is built on it and contains a coding CLI."""
    drivers: tuple[str, ...]
    """Drivers of the agents, the preferred one first (AIWORKER_AGENTS_DRIVER, comma-separated), `scripted` by
    default. The image must contain their programs."""
    capabilities: tuple[str, ...]
    """Capabilities that tasks may require of the agents (AIWORKER_AGENTS_CAPABILITIES, comma-separated). Default:
    none."""
    cpu: str
    """CPU limit of a pod (AIWORKER_AGENTS_LIMITS: cpu), 2 by default."""
    memory: str
    """Memory limit of a pod (AIWORKER_AGENTS_LIMITS: memory), 2Gi by default."""
    disk: str
    """Size limit of the volume with the clone and its build (AIWORKER_AGENTS_LIMITS: disk), 8Gi by default."""
    egress: tuple[str, ...]
    """Networks that agents may reach in addition to AiWorker's and the forge's namespaces, such as the model proxy's
    (AIWORKER_AGENTS_EGRESS, CIDR, comma-separated). Default: none, not even the internet."""

    @property
    def driver(self) -> str:
        return self.drivers[0]


def read_kubernetes(env: Environment, *, instance: str, internal_url: str) -> KubernetesSettings:
    domain, image = env.text("AIWORKER_KUBE_DOMAIN"), env.text("AIWORKER_KUBE_IMAGE")
    if not domain or not image:
        raise Misconfigured("AIWORKER_RUNTIME=kubernetes needs AIWORKER_KUBE_DOMAIN and AIWORKER_KUBE_IMAGE")
    ingress_url = env.address("AIWORKER_KUBE_INGRESS_URL", such_as="http://ingress.example:8080")
    limits = _quantities(env, "AIWORKER_KUBE_LIMITS", cpu="1", memory="512Mi", disk="2Gi")
    quota = _quantities(env, "AIWORKER_KUBE_QUOTA", cpu="16", memory="32Gi", pods="50")
    if not quota["pods"].isdigit():
        raise Misconfigured(f"AIWORKER_KUBE_QUOTA: pods={quota['pods']} is not a whole number")
    previews = _quantities(env, "AIWORKER_KUBE_PREVIEWS", cpu="10", memory="10Gi")
    return KubernetesSettings(
        kubeconfig=env.text("KUBECONFIG"),
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
        cpu=limits["cpu"],
        memory=limits["memory"],
        code_size=limits["disk"],
        quota_cpu=quota["cpu"],
        quota_memory=quota["memory"],
        quota_pods=int(amount(quota["pods"])),
        previews_cpu=previews["cpu"],
        previews_memory=previews["memory"],
        egress=env.networks("AIWORKER_KUBE_EGRESS", strict=False),
        forge_url=env.text("GITEA_URL"),
        egress_proxy=_egress_proxy(env),
        fleet=_fleet(env, image=image, instance=instance, internal_url=internal_url),
    )


def _egress_proxy(env: Environment) -> str | None:
    url = env.text("AIWORKER_EGRESS_PROXY")
    if url is None:
        return None
    parts = web_address(url)
    if parts is None or "@" in parts.netloc or parts.path.strip("/") or parts.query:
        raise Misconfigured("AIWORKER_EGRESS_PROXY must be an http or https address such as http://proxy.example:3128")
    return url.rstrip("/")


def _quantities(env: Environment, name: str, **defaults: str) -> dict[str, str]:
    """What a variable such as `cpu=1,memory=512Mi` sets of the defaults."""
    given = env.pairs(name, of=defaults, such_as=",".join(f"{key}={value}" for key, value in defaults.items()))
    for key, text in given.items():
        try:
            is_some = amount(text) > 0
        except ValueError as error:
            raise Misconfigured(f"{name}: {error}") from error
        if not is_some:
            raise Misconfigured(f"{name}: {key}={text}: Kubernetes treats 0 as no limit; set the wanted limit")
    return defaults | given


def _nodes(env: Environment) -> tuple[tuple[str, str], ...]:
    name, found = "AIWORKER_KUBE_NODES", []
    for text in env.names(name):
        label = _LABEL.fullmatch(text)
        if label is None:
            raise Misconfigured(f"{name}: {text!r} is not a node label; write key=value")
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


def _drivers(env: Environment) -> tuple[str, ...]:
    name = "AIWORKER_AGENTS_DRIVER"
    drivers = env.names(name) or ("scripted",)
    for driver in drivers:
        # A runner takes `auto` too, alone: every driver that works.
        if driver not in DRIVER_NAMES and drivers != ("auto",):
            raise Misconfigured(f"{name}: {driver!r} is not one of {', '.join(DRIVER_NAMES)}")
    return drivers


def _fleet(env: Environment, *, image: str, instance: str, internal_url: str) -> FleetSettings | None:
    most = env.number("AIWORKER_AGENTS_MAX", default=0, most=1000)
    least = env.number("AIWORKER_AGENTS_MIN", default=0, most=1000)
    if least > most:
        raise Misconfigured(f"AIWORKER_AGENTS_MIN={least} is more than AIWORKER_AGENTS_MAX={most}")
    if most == 0:
        return None
    if urlsplit(internal_url).hostname in {"localhost", "127.0.0.1", "::1"}:
        raise Misconfigured(
            f"AIWORKER_AGENTS_MAX={most} needs an AIWORKER_INTERNAL_URL that pods can reach, not {internal_url}"
        )
    limits = _quantities(env, "AIWORKER_AGENTS_LIMITS", cpu="2", memory="2Gi", disk="8Gi")
    return FleetSettings(
        least=least,
        most=most,
        url=internal_url,
        namespace=env.string("AIWORKER_AGENTS_NAMESPACE", default=f"{instance}-agents"),
        image=env.string("AIWORKER_AGENTS_IMAGE", default=image),
        drivers=_drivers(env),
        capabilities=env.names("AIWORKER_AGENTS_CAPABILITIES"),
        cpu=limits["cpu"],
        memory=limits["memory"],
        disk=limits["disk"],
        egress=env.networks("AIWORKER_AGENTS_EGRESS", strict=False),
    )


def amount(text: str) -> Decimal:
    """The number that a quantity of Kubernetes (`512Mi`, `500m`) is. ValueError if the text is not one."""
    found = _QUANTITY.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is not a quantity such as 512Mi or 500m")
    number, unit = Decimal(found[1]), found[2] or ""
    if unit == "m":
        return number / 1000
    if not unit:
        return number
    return number * Decimal(1024 if unit.endswith("i") else 1000) ** _POWERS[unit[0].upper()]


def total(*quantities: str) -> str:
    """The sum, as a quantity. A single quantity is returned unchanged."""
    if len(quantities) == 1:
        return quantities[0]
    together = sum(map(amount, quantities), Decimal(0))
    return str(int(together)) if together == int(together) else f"{math.ceil(together * 1000)}m"
