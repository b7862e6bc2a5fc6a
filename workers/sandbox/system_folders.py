"""Which of this machine's own files a confined command sees: programs, libraries, and settings without secrets.

Everything is read-only. Of a user's home only the toolchains that PATH names are shown, never their settings, since a
package manager keeps its login beside them.
"""

from __future__ import annotations

import functools
import os
import stat
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from common.machine.homes import user_home

SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/opt", "/nix/store", "/snap/bin")
"""Links among them, as of a merged /usr, are made again as links."""
ETC = (
    "alternatives",
    "ca-certificates",
    "ca-certificates.conf",
    "chromium",
    "chromium.d",
    "debian_version",
    "default/locale",
    "fonts",
    "ghostscript",
    "gitconfig",
    "gradle",
    "host.conf",
    "ImageMagick-6",
    "ImageMagick-7",
    "inputrc",
    "java",
    "java-11-openjdk",
    "java-17-openjdk",
    "java-21-openjdk",
    "java-25-openjdk",
    "ld.so.cache",
    "ld.so.conf",
    "ld.so.conf.d",
    "ld-musl-x86_64.path",
    "locale.alias",
    "locale.conf",
    "localtime",
    "login.defs",
    "magic",
    "magic.mime",
    "maven",
    "mime.types",
    "mke2fs.conf",
    "mysql/conf.d",
    "mysql/mariadb.conf.d",
    "mysql/my.cnf",
    "mysql/mariadb.cnf",
    "npmrc",
    "nsswitch.conf",
    "openssl",
    "os-release",
    "perl",
    "php",
    "pip.conf",
    "pki/ca-trust",
    "pki/tls/certs",
    "pki/tls/cert.pem",
    "profile",
    "protocols",
    "python3",
    "redhat-release",
    "rpc",
    "services",
    "shells",
    "ssl/certs",
    "ssl/cert.pem",
    "ssl/openssl.cnf",
    "terminfo",
    "timezone",
    "xdg/pip",
)
"""Below /etc. Not among them: anything with passwords, keys or the names of others, such as shadow and ssl/private."""
CACHES = ("/var/cache/fontconfig", "/var/lib/ghc", "/var/lib/dpkg/status")

LARGEST_COPY_BYTES = 2**18

CODE = Path(__file__).parents[2]
"""The directory of AiWorker's own code."""

_TOOLCHAINS = {
    ".asdf",
    ".bun",
    ".deno",
    ".dotnet",
    ".fnm",
    ".ghcup",
    ".nodenv",
    ".nvm",
    ".pyenv",
    ".rbenv",
    ".rustup",
    ".sdkman",
    ".volta",
    "fnm",
    "mise",
    "miniconda3",
    "miniforge3",
    "anaconda3",
}
"""Folders of version managers: each is shown as a whole, because its programs look for each other."""


def is_system(path: Path) -> bool:
    """Whether a path lies in a folder that every confined command sees."""
    return _contains_path(SYSTEM, str(path))


@functools.cache
def interpreter_folders() -> list[Path]:
    """The folders of the Python that runs this process: where it is installed, and its virtual environment."""
    places = {Path(sys.base_prefix), Path(sys.base_prefix).resolve(), Path(sys.prefix)}
    return sorted(place for place in places if not is_system(place))


def own_programs() -> tuple[Path, ...]:
    """AiWorker's packages, which hold no secret. The Python that runs them is in every sandbox."""
    return (CODE / "workers", CODE / "common")


@functools.lru_cache(maxsize=64)
def toolchains(search_path: str, hidden: tuple[Path, ...]) -> list[Path]:
    """The folders outside of the system's that the entries of a PATH need. hidden: none of them contains one of these.

    A folder of a version manager is shown as a whole, an installed tree (`<tree>/bin` beside `<tree>/lib`) too, and
    of any other entry itself alone. A home is never shown. An answer is kept: a folder that is made later is not seen.
    """
    own = user_home()
    homes = {Path("/root"), Path("/")} | ({own} if own else set())
    never = [*hidden, *homes, *(home / ".local" for home in homes)]
    found: set[Path] = set()
    for entry in filter(os.path.isabs, search_path.split(os.pathsep)):
        for place in {Path(os.path.normpath(entry)), Path(entry).resolve()}:
            tree = _tree(place)
            chosen = tree if not _contains(tree, never) else place
            if os.path.isdir(place) and not is_system(chosen) and not _contains(chosen, never):
                found.add(chosen)
    if own and own / ".cargo" / "bin" in found:
        rustup = own / ".rustup"
        if rustup.is_dir() and not _contains(rustup, never):
            found.add(rustup)
    return sorted(found)


def _tree(place: Path) -> Path:
    for parent in (place, *place.parents):
        if parent.name in _TOOLCHAINS:
            return parent
    # Not Path.is_dir, which raises an error for what lies in a folder that this user may not look into: after
    # `su user`, PATH still names folders of root's home.
    is_installed = place.name in {"bin", "sbin"} and os.path.isdir(place.parent / "lib")
    return place.parent if is_installed else place


def _contains(folder: Path, others: Sequence[Path]) -> bool:
    return any(_contains_path([str(folder)], str(other)) for other in others)


def _contains_path(folders: Iterable[str], path: str) -> bool:
    """As `Path.is_relative_to`, which takes a millisecond for a few dozens."""
    return any(path == folder or path.startswith(f"{folder.rstrip('/')}/") for folder in folders)


def etc() -> tuple[list[str], list[str]]:
    """Those of ETC that are there and that everybody may read, as what only root may is not for root's commands either:
    small files, and the others.

    To copy a small file into a sandbox takes a tenth of the time that showing it there takes.
    """
    small: list[str] = []
    others: list[str] = []
    for name in ETC:
        try:
            found = os.stat(f"/etc/{name}")
        except OSError:
            continue
        if found.st_mode & stat.S_IROTH:
            is_small = stat.S_ISREG(found.st_mode) and found.st_size <= LARGEST_COPY_BYTES
            (small if is_small else others).append(name)
    return small, others
