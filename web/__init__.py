"""What answers to people: the API, the WebSocket, the page, the command."""

VERSION = "1.0.0"
"""As in pyproject.toml: nothing is installed from which it could be read."""
