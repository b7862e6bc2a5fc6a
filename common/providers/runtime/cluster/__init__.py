"""A Kubernetes cluster as a runtime."""
