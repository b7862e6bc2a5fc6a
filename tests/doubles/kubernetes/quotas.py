"""What the quotas of a namespace count, and which of them a new pod would exceed."""

from __future__ import annotations

from collections.abc import Iterable

from tests.doubles.kubernetes.store import Object

_COUNTED = {"pods", "limits.cpu", "limits.memory", "requests.cpu", "requests.memory"}


def exceeded_by(pod: Object, quotas: Iterable[Object], *, there: Iterable[Object]) -> str | None:
    """The quota that the pod would exceed, in the API's words; None if it fits. there: the namespace's pods."""
    counted = [one for one in there if _counts(one)]
    for quota in quotas:
        for what, most in quota["spec"]["hard"].items():
            used = sum(_use_of(one, what) for one in counted)
            if what in _COUNTED and used + _use_of(pod, what) > _amount(most):
                asked = f"requested: {what}={_use_of(pod, what):g}, used: {what}={used:g}, limited: {what}={most}"
                return f"exceeded quota: {quota['metadata']['name']}, {asked}"
    return None


def _counts(pod: Object) -> bool:
    """Whether quotas count it: not once it has ended."""
    return pod.get("status", {}).get("phase") not in {"Succeeded", "Failed"}


def _use_of(pod: Object, what: str) -> float:
    """What of a quota's kind the pod takes: its containers together, or one first container if that takes more."""
    if what == "pods":
        return 1
    kind, _, resource = what.partition(".")

    def of(container: Object) -> float:
        return _amount(container.get("resources", {}).get(kind, {}).get(resource, "0"))

    firsts = [of(one) for one in pod["spec"].get("initContainers", [])]
    return max(sum(of(one) for one in pod["spec"]["containers"]), *firsts, 0)


def _amount(quantity: str) -> float:
    """A quantity, such as 512Mi or 500m."""
    if quantity.endswith("m"):
        return float(quantity[:-1]) / 1000
    for power, unit in enumerate("KMGT", start=1):
        for suffix, base in ((f"{unit}i", 1024), (unit, 1000)):
            if quantity.endswith(suffix):
                return float(quantity.removesuffix(suffix)) * base**power
    return float(quantity)
