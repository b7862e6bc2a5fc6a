"""Reads source files without running them: tests, their bodies, and what defines how tests run."""
