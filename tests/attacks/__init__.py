"""Attacks that were tried on the running product, kept shut: each hole with its payload, and who may call what."""
