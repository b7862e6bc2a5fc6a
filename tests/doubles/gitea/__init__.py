"""A Gitea for tests: its API as its own description has it, real repositories, and faults by script."""

from tests.doubles.gitea.server import Fault, GiteaDouble, basic

__all__ = ["Fault", "GiteaDouble", "basic"]
