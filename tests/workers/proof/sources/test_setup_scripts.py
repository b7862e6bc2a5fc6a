"""Which files a test command leads to."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence

import pytest

from workers.proof.sources.setup_scripts import Followed, follow

SHELL = "#!/usr/bin/env bash\n"
FILES = {
    "Makefile": "CI = ci\nCHECKS := unit lint\n\nall: deploy\n\ncheck: $(CHECKS) ; ./ci/last.sh\n\n"
    "unit:\n\t@-sh $(CI)/unit.sh\n"
    "lint:\n\tset -e; \\\n\t  $(MAKE) -C web lint\ndeploy:\n\tsh ci/deploy.sh\nrun:\n\t./bin/shop\nsmoke: run\n"
    "page-%:\n\tci/page\ninclude mk/*.mk $(wildcard more/*.mk)\n",
    "mk/more.mk": "more:\n\tbash ci/more\n",
    "web/Makefile": "lint:\n\tsh lint.sh\n",
    "web/lint.sh": "", "web/check": "", "ci/unit.sh": ". ci/common.sh\n", "ci/common.sh": "", "ci/last.sh": "",
    "ci/deploy.sh": "", "ci/more": "", "bin/shop": "\x7fELF\0", "ci/page": SHELL,
    "package.json": json.dumps({"scripts": {"test": "npm run unit", "pretest": "sh ci/unit.sh", "unit": "ci/last.sh"}}),
    "composer.json": json.dumps({"scripts": {"check": ["@lint", "x"], "lint": "sh ci/more"}}),
    "pyproject.toml": "[tool.poe.tasks]\nsmall = {shell = 'sh ci/more'}\n",
    "ci/all.sh": "make smoke\nnpm test\n",
}  # fmt: skip
UNIT = {"ci/unit.sh", "ci/common.sh"}


def followed(command: str, files: Mapping[str, str] = FILES) -> Followed:
    def read(paths: Sequence[str]) -> Mapping[str, bytes]:
        return {path: files[path].encode() for path in paths}

    return follow(command, files, read)


@pytest.mark.parametrize(
    ("command", "paths"),
    [
        ("make check", {*UNIT, "ci/last.sh", "web/lint.sh"}), ("make", {"ci/deploy.sh"}),
        ("make -C web", {"web/lint.sh", "ci/deploy.sh"}),
        ("make smoke", set()),
        ("CI=1 make more page-1 FAST=1", {"ci/more", "ci/page"}), ("cd web && ./check", {"web/check"}),
        ("npm t", {*UNIT, "ci/last.sh"}), ("composer check", {"ci/more"}), ("uv run poe small", {"ci/more"}),
        ("sh ci/all.sh", {"ci/all.sh", *UNIT, "ci/last.sh"}), ("pytest; sh ../x.sh /bin/y", set()),
    ],
)  # fmt: skip
def test_what_a_command_runs_by_recipes_and_scripts(command: str, paths: set[str]) -> None:
    assert {path for path in FILES if path not in ("mk/more.mk",) and followed(command).covers(path)} == paths


def test_what_a_makefile_includes_or_would_include_counts() -> None:
    found = followed("make check")
    covered = [path for path in ("mk/more.mk", "mk/new.mk", "more/new.mk", "mk/x", "x.mk") if found.covers(path)]
    assert covered == ["mk/more.mk", "mk/new.mk", "more/new.mk"]
    assert followed("make -f ci/all.mk check", {"ci/all.mk": "check:\n\tsh x.sh\n", "x.sh": ""}).paths == {
        "ci/all.mk",
        "x.sh",
    }


@pytest.mark.slow
@pytest.mark.parametrize(
    "text",
    [
        "(a=" * 30_000, "include Makefile\n" * 6_000, "A = $(A)$(A)\n" * 7_000 + "check:\n\t$(A)\n",
    ],
)  # fmt: skip
def test_any_text_is_read_in_bounded_time(text: str) -> None:
    files = {f"{'a/' * 20}{n}": "" for n in range(2_000)}
    start = time.process_time()
    for command in ("make check", "sh Makefile"):
        followed(command, {"Makefile": text, **files})
    assert time.process_time() - start < 10
