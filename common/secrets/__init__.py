"""Secrets and signatures: stored encrypted, kept out of texts, and statements that others can check."""
