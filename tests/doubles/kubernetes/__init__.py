"""A Kubernetes API server of our own, for tests: see cluster.py."""

from tests.doubles.kubernetes.cluster import ClusterDouble, Outcome

__all__ = ["ClusterDouble", "Outcome"]
