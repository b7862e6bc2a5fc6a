"""The drivers that there are: their names, the model APIs that they speak, and the packages of their programs."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from common.errors import Misconfigured
from common.machine.programs.search import ProgramFinding, WantedProgram, find_program
from common.settings.environment import Environment


@dataclass(frozen=True)
class Package:
    """An npm package that holds a program. integrity: npm's, of its archive. program: its path in the package.

    needs_node: the program is run by Node.js; otherwise it is a native one.
    """

    name: str
    version: str
    integrity: str
    program: str
    needs_node: bool = False


@dataclass(frozen=True)
class KnownDriver:
    """name: as people choose it. api: the model API that it speaks; None: any, or none. title: for people.

    apis: all that it can speak, the preferred one first. tried, oldest: the version that was tried and is installed,
    and the first that will do; empty without a program of its own. packages: platform (`x86_64`, `aarch64`; `any`) →
    package.
    """

    name: str
    api: str | None
    title: str
    apis: tuple[str, ...] = ()
    tried: str = ""
    oldest: str = ""
    packages: Mapping[str, Package] = field(default_factory=dict)

    @property
    def wanted(self) -> WantedProgram:
        """What to look for. Only for a driver with a program of its own."""
        needs_node = any(package.needs_node for package in self.packages.values())
        remedy = f"aiworker drivers install {self.name}"
        return WantedProgram(self.name, self.oldest, f"{PROGRAMS_SETTING}: {self.name}", remedy, needs_node)


PROGRAMS_SETTING = "AIWORKER_AGENT_PROGRAMS"
"""Paths of the user's own programs: `claude=/path,codex=/path`."""
_CLAUDE = "2.1.332"
_CODEX = "0.171.0"
_GEMINI = "0.61.0"
_OPENCODE = "1.18.33"
_QWEN = "0.15.10"

KNOWN_DRIVERS: tuple[KnownDriver, ...] = (
    KnownDriver(
        "claude",
        "anthropic",
        "Claude Code",
        apis=("anthropic",),
        tried=_CLAUDE,
        oldest="2.1.300",
        packages={
            "x86_64": Package(
                "@anthropic-ai/claude-code-linux-x64",
                _CLAUDE,
                "sha512-f4JWhzwYutJIHScC7/dYOPX6s28tt7ZADhsOi8zwOHq5fFPEuUeChh2NMfinSg0GrUckYxaeebC4h0DqiKzLcw==",
                "claude",
            ),
            "aarch64": Package(
                "@anthropic-ai/claude-code-linux-arm64",
                _CLAUDE,
                "sha512-BlHNEtK38KBPWU31F4lUSS9sHclCyfWbThT1CErvxxH8+XcljYLZlQwdyXBkTD62rw1TgfE1u1a+quMWS0NSJg==",
                "claude",
            ),
        },
    ),
    KnownDriver(
        "codex",
        "openai",
        "Codex",
        apis=("openai",),
        tried=_CODEX,
        oldest="0.160.0",
        packages={
            "x86_64": Package(
                "@openai/codex",
                f"{_CODEX}-linux-x64",
                "sha512-l66NZkQgdk2C3pbcfULDz42yEUB581MVA6I+Y43Wp4OIqEy73HCdmZ0GTjeAHY2ycuH4N00d9VsLrwT1jxshTw==",
                "vendor/x86_64-unknown-linux-musl/bin/codex",
            ),
            "aarch64": Package(
                "@openai/codex",
                f"{_CODEX}-linux-arm64",
                "sha512-9z17t4bbUJ9UCIb49O4PoA+ki+45q3rd8nZ8PeH6sYnlKkBld/Xpo/OS3h3Ti954+foshX4o7k5TCU8N7zzqQA==",
                "vendor/aarch64-unknown-linux-musl/bin/codex",
            ),
        },
    ),
    KnownDriver(
        "gemini",
        "gemini",
        "Gemini CLI",
        apis=("gemini",),
        tried=_GEMINI,
        oldest="0.60.0",
        packages={
            "any": Package(
                "@google/gemini-cli",
                _GEMINI,
                "sha512-dbQ9A0qBtFJNi6XBkHvfZ6Azpn6PNgH/P8h2MZ67RLlX8hSAVjup39CRWqdRxZv7YXIuhrFaytr8y0jKnkoxnQ==",
                "bundle/gemini.js",
                needs_node=True,
            )
        },
    ),
    KnownDriver(
        "opencode",
        "openai",
        "OpenCode",
        apis=("openai", "anthropic"),
        tried=_OPENCODE,
        oldest="1.18.0",
        packages={
            "x86_64": Package(
                "opencode-linux-x64",
                _OPENCODE,
                "sha512-q/t/3p2CTxOT9y2kvjesb/LZab2+1eqlhhWA02Be6mjTtmYtNBcBsrI5yDo4Fw7ZSPBW2oyMIGMNRqiKQjiAWw==",
                "bin/opencode",
            ),
            "x86_64-baseline": Package(
                "opencode-linux-x64-baseline",
                _OPENCODE,
                "sha512-1KQGBiiDDeL/VHHbHkOvvFo8Jr97WT5+C1tear+p7IcDTnXgVHXqIjU4O4jM4mHQzykTP2i884FCnW5LDa+zCA==",
                "bin/opencode",
            ),
        },
    ),
    KnownDriver(
        "qwen",
        "openai",
        "Qwen Code",
        apis=("openai",),
        tried=_QWEN,
        oldest="0.15.0",
        packages={
            "any": Package(
                "@qwen-code/qwen-code",
                _QWEN,
                "sha512-A1rAUg7TTO62yuwogzEstMWLVxQ4n4JO26k9t6s93Ed14svp7W+7WEAAZhUMmxPf/q9xQQW7LwX48cuQcgKDBQ==",
                "cli.js",
                needs_node=True,
            )
        },
    ),
    KnownDriver("acp", None, "A command that speaks the Agent Client Protocol"),
    KnownDriver("command", None, "Another command"),
    KnownDriver("scripted", None, "Steps in the task's description, without a model"),
)


def known_driver(name: str) -> KnownDriver | None:
    """The driver of that name; None if there is none."""
    return next((one for one in KNOWN_DRIVERS if one.name == name), None)


def find_driver(known: KnownDriver, *, folder: Path | None) -> ProgramFinding:
    """Look for the program of a driver that has one, first at the path in AIWORKER_AGENT_PROGRAMS; see `find_program`.

    Never raises: a setting whose file can't be read is a finding, too.
    """
    try:
        chosen = Environment(os.environ).pairs(
            PROGRAMS_SETTING, of=[one.name for one in KNOWN_DRIVERS if one.packages], such_as="claude=/opt/claude"
        )
    except Misconfigured as error:
        return ProgramFinding(False, str(error))
    return find_program(known.wanted, folder=folder, chosen=chosen.get(known.name, ""))
