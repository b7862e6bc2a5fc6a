"""The names by which signed statements say what they are. They are a promise to whoever checks one."""

from __future__ import annotations

STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
"""Of in-toto: the form of each statement."""
RECEIPT_TYPE = "urn:aiworker:receipt:1"
"""What led to a version in production."""
AUDIT_TYPE = "urn:aiworker:audit:1"
"""A range of the audit's events, or that old ones were deleted."""
