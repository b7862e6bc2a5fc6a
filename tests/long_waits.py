"""How long a test waits for what has to come before it says that it did not.

It is far more than a busy machine needs: nothing that waits so measures speed.
"""

from __future__ import annotations

LONG_WAIT_SECONDS = 240.0
LONG_WAIT_MS = LONG_WAIT_SECONDS * 1000
"""The same for a browser."""
