"""Attacks that once worked against the running product, each kept shut by a test."""
