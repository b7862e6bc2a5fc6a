"""What people and agents' programs call: the API, the WebSocket, git over HTTP, the page and the command."""

VERSION = "1.0.0"
"""The same as in pyproject.toml: the package is not installed, so its metadata can't be read."""
