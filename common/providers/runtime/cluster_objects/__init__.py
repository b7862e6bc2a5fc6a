"""Kubernetes objects: the manifests that we write, and what the cluster's own objects say.

Nothing here calls a cluster.
"""
