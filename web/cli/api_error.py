"""How a command that calls the API fails. Apart from the client, so that catching it loads no HTTP library."""

from __future__ import annotations


class ApiError(Exception):
    """The platform refused the request or did not answer. The message is shown to the user."""


class Unanswered(ApiError):
    """The platform did not answer, or is away behind a proxy: it may be restarting."""
