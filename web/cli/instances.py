"""The platforms that this user is logged in to: addresses and tokens in the user's config folder.

One file, closed to other users. A command never writes it, except `login`, `logout` and `use`. Loads no HTTP library.
"""

from __future__ import annotations

import json
import os
import stat
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from common.errors import Misconfigured
from common.machine.files import replace_file
from common.machine.homes import user_home

FILE_MODE = 0o600
FOLDER_MODE = 0o700
_OTHERS = 0o077


@dataclass(frozen=True)
class Instance:
    """A platform with the user's token on it. token_id: None if the token was made elsewhere, so logout leaves it."""

    url: str
    token: str
    username: str
    token_id: str | None


@dataclass(frozen=True)
class SavedLogins:
    """What the file holds. current: the name of the instance that commands use; None if there is none."""

    current: str | None = None
    instances: dict[str, Instance] = field(default_factory=dict)

    def named(self, name_or_url: str) -> tuple[str, Instance] | None:
        """The name and the instance with this name or address."""
        wanted = name_or_url.rstrip("/")
        for name, instance in self.instances.items():
            if wanted in {name, instance.url}:
                return name, instance
        return None

    def with_instance(self, name: str, instance: Instance) -> SavedLogins:
        """With this instance as the current one; another name of the same address is dropped."""
        others = {other: one for other, one in self.instances.items() if one.url != instance.url}
        return SavedLogins(name, {**others, name: instance})

    def without(self, name: str) -> SavedLogins:
        """Without this instance. The first of the others is current if it was."""
        others = {other: one for other, one in self.instances.items() if other != name}
        return SavedLogins(next(iter(others), None) if self.current == name else self.current, others)

    def with_current(self, name: str) -> SavedLogins:
        return replace(self, current=name)


def saved_logins_path() -> Path:
    """The file, whether or not it exists. Raises Misconfigured if this user has no place for it."""
    path = _path()
    if path is None:
        raise Misconfigured("this user has no home, so no login can be kept: set HOME or XDG_CONFIG_HOME")
    return path


def _path() -> Path | None:
    # The specification says that a relative path is to be ignored.
    if (base := Path(os.environ.get("XDG_CONFIG_HOME") or "")).is_absolute():
        return base / "aiworker" / "instances.json"
    own = user_home()
    return None if own is None else own / ".config" / "aiworker" / "instances.json"


def read_saved_logins() -> SavedLogins:
    """What the file holds; nothing if there is none. Raises Misconfigured if it can't be used."""
    path = _path()
    if path is None:
        return SavedLogins()
    try:
        if path.stat().st_mode & _OTHERS:
            raise Misconfigured(f"other users can read the tokens in {path}; close it with: chmod 600 {path}")
        content = json.loads(path.read_text(encoding="utf-8"))
        instances = {name: Instance(**one) for name, one in content["instances"].items()}
        return SavedLogins(content["current"] if content["current"] in instances else None, instances)
    except (FileNotFoundError, NotADirectoryError):
        return SavedLogins()
    except OSError as error:
        raise Misconfigured(f"{path} can't be read: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Misconfigured(f"{path} is damaged; remove it and log in again: aiworker login") from error


def write_saved_logins(kept: SavedLogins) -> None:
    """Replace the file as a whole. Raises Misconfigured if it can't be written."""
    path = saved_logins_path()
    content = {"current": kept.current, "instances": {name: asdict(one) for name, one in kept.instances.items()}}
    try:
        path.parent.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
        if stat.S_IMODE(path.parent.stat().st_mode) & _OTHERS:
            path.parent.chmod(FOLDER_MODE)
        replace_file(path, json.dumps(content, indent=2).encode(), mode=FILE_MODE, has_rivals=True)
    except OSError as error:
        raise Misconfigured(f"{path} can't be written: {error.strerror}") from error
