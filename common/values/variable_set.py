"""The environment variables that a program is given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from common.values.constraints import Text, VariableName


@dataclass(frozen=True)
class Variables:
    """values: all of them, secrets included. secret_names: those of values that are secret; their values are masked."""

    values: Mapping[VariableName, Text] = field(default_factory=dict, repr=False)
    secret_names: tuple[str, ...] = ()
