"""Confines what agents' programs and repositories start: https://github.com/containers/bubblewrap around each command.

The runner and the supervisor start every such command through `Sandboxes.enclose`.
"""
