"""Kubernetes quantities (`512Mi`, `500m`): parsing, for comparing, and adding."""

from __future__ import annotations

import math
import re
from decimal import Decimal

_QUANTITY = re.compile(r"([0-9]+(?:\.[0-9]+)?)(m|[kKMGTPE]|[KMGTPE]i)?")
_POWERS = {unit: power for power, unit in enumerate("KMGTPE", start=1)}


def amount(text: str) -> Decimal:
    """The number that a quantity stands for. ValueError if the text is not a quantity."""
    found = _QUANTITY.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is not a quantity such as 512Mi or 500m")
    number, unit = Decimal(found[1]), found[2] or ""
    if unit == "m":
        return number / 1000
    if not unit:
        return number
    return number * Decimal(1024 if unit.endswith("i") else 1000) ** _POWERS[unit[0].upper()]


def total(*quantities: str) -> str:
    """The sum, as a quantity. A single quantity is returned unchanged."""
    if len(quantities) == 1:
        return quantities[0]
    together = sum(map(amount, quantities), Decimal(0))
    return str(int(together)) if together == int(together) else f"{math.ceil(together * 1000)}m"
