"""`docker` where there is none: takes the calls that the documentation shows, and refuses what docker's parser would.

It shows that the command, its options and its files are right. It shows nothing of what docker makes of them: that is
seen only where the image is built.
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

import yaml

TAG = re.compile(r"([a-z0-9.-]+(:\d+)?/)?[a-z0-9]+([._/-][a-z0-9]+)*(:[\w][\w.-]{0,127})?")


def main(arguments: list[str]) -> str:
    """What is said, one line. SystemExit(2) for what docker would not take."""
    parser = argparse.ArgumentParser(prog="docker", allow_abbrev=False)
    commands = parser.add_subparsers(required=True, dest="command")
    build = commands.add_parser("build", allow_abbrev=False)
    build.add_argument("-t", "--tag", type=_tag, action="append", required=True)
    build.add_argument("-f", "--file", type=Path)
    build.add_argument("--target")
    build.add_argument("context", type=_folder)
    push = commands.add_parser("push", allow_abbrev=False)
    push.add_argument("tag", type=_tag)
    _add_compose(commands.add_parser("compose", allow_abbrev=False))
    asked = parser.parse_args(arguments)
    if asked.command == "push":
        return f"pushed {asked.tag}"
    if asked.command == "compose":
        return _compose(asked, parser)
    file = asked.file or asked.context / "Dockerfile"
    if not _has_stage(file, asked.target):
        build.error(f"there is no {asked.target or 'stage'} in {file}")
    return f"built {' '.join(asked.tag)}"


def _add_compose(compose: argparse.ArgumentParser) -> None:
    compose.add_argument("--profile", action="append", default=[])
    commands = compose.add_subparsers(required=True, dest="verb")
    up = commands.add_parser("up", allow_abbrev=False)
    up.add_argument("-d", "--detach", action="store_true")
    up.add_argument("--build", action="store_true")
    logs = commands.add_parser("logs", allow_abbrev=False)
    logs.add_argument("-f", "--follow", action="store_true")
    logs.add_argument("service")
    execute = commands.add_parser("exec", allow_abbrev=False)
    execute.add_argument("-e", "--env", action="append", default=[])
    execute.add_argument("service")
    execute.add_argument("words", nargs=argparse.REMAINDER)
    copy = commands.add_parser("cp", allow_abbrev=False)
    copy.add_argument("source")
    copy.add_argument("target")


def _compose(asked: argparse.Namespace, parser: argparse.ArgumentParser) -> str:
    """What the file of the present folder makes of the command, as `docker compose` reads it."""
    file = Path("compose.yaml")
    if not file.is_file():
        parser.error("no configuration file provided: not found")
    services = yaml.safe_load(file.read_text())["services"]
    profiles = {profile for service in services.values() for profile in service.get("profiles", [])}
    if unknown := set(asked.profile) - profiles:
        parser.error(f"no service has the profile {sorted(unknown)}")
    started = [name for name, one in services.items() if set(one.get("profiles", asked.profile)) <= set(asked.profile)]
    named = asked.source.partition(":")[0] if asked.verb == "cp" else getattr(asked, "service", started[0])
    if named not in services:
        parser.error(f"no such service: {named}")
    if asked.verb == "exec" and not asked.words:
        parser.error("requires a command")
    for name in started if asked.verb == "up" else ():
        about = services[name].get("build")
        if about and not _has_stage(Path(about["context"]) / "Dockerfile", about.get("target")):
            parser.error(f"the build of {name} has no such stage")
    return f"{asked.verb} {' '.join(started if asked.verb == 'up' else [named])}"


def _has_stage(file: Path, target: str | None) -> bool:
    stages = re.findall(r"^FROM \S+ AS (\S+)$", file.read_text(), re.MULTILINE) if file.is_file() else []
    return bool(stages) and (target is None or target in stages)


def _tag(text: str) -> str:
    if not TAG.fullmatch(text):
        raise argparse.ArgumentTypeError(f"invalid reference format: {text}")
    return text


def _folder(text: str) -> Path:
    if not Path(text).is_dir():
        raise argparse.ArgumentTypeError(f"path {text!r} not found")
    return Path(text)


if __name__ == "__main__":
    print(main(sys.argv[1:]))
