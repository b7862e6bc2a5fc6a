"""The API's description, as OpenAPI has it."""

from __future__ import annotations

from typing import Any

Document = dict[str, Any]
"""The whole of it or a part: JSON, as the specification of OpenAPI 3 says."""
