"""The environment variables of a program."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from common.values.constraints import Text, VariableName


@dataclass(frozen=True)
class Variables:
    """values: all variables, including secret ones. secret_names: those whose values are masked in logs."""

    values: Mapping[VariableName, Text] = field(default_factory=dict, repr=False)
    secret_names: tuple[str, ...] = ()
