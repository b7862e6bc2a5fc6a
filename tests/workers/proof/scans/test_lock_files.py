"""The package versions that lock files name, in each format that is read."""

from __future__ import annotations

import json
import time

import pytest

from workers.proof.scans.lock_files import packages_in

DIGEST = "sha256:" + "0a" * 32
LOCKS: dict[str, tuple[str, set[str]]] = {
    "requirements.txt": (
        f"# comment\nDjango_Rest==4.2.1 \\\n    --hash={DIGEST}\nrequests[socks]==2.19.0 ; python_version > '3'\n"
        "flask>=2\n-r other.txt\npinned==1.*\n--find-links https://example.org/a==b\nnumpy==1.2.3  # why\n@@ ==1\n",
        {"django-rest 4.2.1 (PyPI)", "requests 2.19.0 (PyPI)", "numpy 1.2.3 (PyPI)"},
    ),
    "pylock.toml": (
        'lock-version = "1.0"\n[[packages]]\nname = "attrs"\nversion = "25.1.0"\n[[packages]]\nname = "own"\n',
        {"attrs 25.1.0 (PyPI)"},
    ),
    "api/poetry.lock": (
        '[[package]]\nname = "Attrs"\nversion = "25.1.0"\n[[package]]\nname = "own"\nversion = "1"\n'
        '[package.source]\ntype = "directory"\nurl = "../own"\n',
        {"attrs 25.1.0 (PyPI)"},
    ),
    "uv.lock": (
        'version = 1\n[[package]]\nname = "own"\nversion = "0.1"\nsource = { editable = "." }\n'
        '[[package]]\nname = "attrs"\nversion = "25.1.0"\nsource = { registry = "https://example.org" }\n',
        {"attrs 25.1.0 (PyPI)"},
    ),
    "Pipfile.lock": (
        json.dumps({"_meta": {}, "default": {"a": {"version": "==1.0"}, "b": {"git": "x"}}, "develop": {}}),
        {"a 1.0 (PyPI)"},
    ),
    "web/package-lock.json": (
        json.dumps(
            {
                "lockfileVersion": 3,
                "packages": {
                    "": {"name": "own", "version": "1.0.0"},
                    "node_modules/@babel/core": {"version": "7.1.0"},
                    "node_modules/a/node_modules/b": {"version": "2.0.0"},
                    "node_modules/short": {"name": "long-name", "version": "1.0.0"},
                    "node_modules/own-part": {"link": True, "resolved": "part"},
                },
            }
        ),
        {"@babel/core 7.1.0 (npm)", "b 2.0.0 (npm)", "long-name 1.0.0 (npm)"},
    ),
    "npm-shrinkwrap.json": (
        json.dumps(
            {
                "lockfileVersion": 1,
                "dependencies": {
                    "a": {"version": "1.0.0", "dependencies": {"b": {"version": "2.0.0"}}},
                    "short": {"version": "npm:@x/long@3.0.0"},
                },
            }
        ),
        {"a 1.0.0 (npm)", "b 2.0.0 (npm)", "@x/long 3.0.0 (npm)"},
    ),
    "pnpm-lock.yaml": (
        "lockfileVersion: '9.0'\npackages:\n\n  '@babel/core@7.1.0(x@1.0.0)':\n    resolution: {}\n  /b/2.0.0:\n"
        "    resolution: {}\n  c@1.2.3-beta.1:\n    resolution: {}\n",
        {"@babel/core 7.1.0 (npm)", "b 2.0.0 (npm)", "c 1.2.3-beta.1 (npm)"},
    ),
    "yarn.lock": (
        '# yarn lockfile v1\n\n"@babel/core@^7.0", "@babel/core@^7.1":\n  version "7.1.0"\n  dependencies:\n    b "1"\n'
        '\n'
        'b@^2.0.0:\n  version "2.0.0"\n\n"short@npm:long@^1":\n  version "1.1.0"\n',
        {"@babel/core 7.1.0 (npm)", "b 2.0.0 (npm)", "long 1.1.0 (npm)"},
    ),
    "web/yarn.lock": (
        '__metadata:\n  version: 8\n\n"@babel/core@npm:^7.0":\n  version: 7.1.0\n  resolution: "x"\n\n'
        '"own@workspace:.":\n  version: 0.0.0-use.local\n\n"short@npm:@x/long@^1.0":\n  version: 1.1.0\n',
        {"@babel/core 7.1.0 (npm)", "@x/long 1.1.0 (npm)"},
    ),
    "Cargo.lock": (
        '[[package]]\nname = "own"\nversion = "0.1.0"\n[[package]]\nname = "time"\nversion = "0.1.40"\n'
        'source = "registry+https://index.example.org/crates"\n',
        {"time 0.1.40 (crates.io)"},
    ),
    "go.mod": (
        "module example.org/own\n\ngo 1.22\n\nrequire (\n\tgolang.org/x/net v0.1.0\n\tgopkg.in/yaml.v2 v2.2.2 // x\n"
        ")\nrequire example.com/a/v3 v3.0.0+incompatible\n\nreplace (\n\texample.com/b => example.com/c v1.0.0\n)\n",
        {"golang.org/x/net 0.1.0 (Go)", "gopkg.in/yaml.v2 2.2.2 (Go)", "example.com/a/v3 3.0.0+incompatible (Go)"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("path", LOCKS)
def test_a_lock_file_names_its_packages(path: str) -> None:
    text, packages = LOCKS[path]
    assert {str(package) for package in packages_in(path, text.encode())} == packages


BROKEN: list[tuple[str, bytes]] = [
    ("package-lock.json", b"{"), ("package-lock.json", b'{"packages": {"node_modules/a": {"version": 5}}}'),
    ("package-lock.json", b"[" * 100_000), ("uv.lock", b"[[package"), ("pnpm-lock.yaml", b"packages: [1, {"),
    ("Pipfile.lock", b'{"default": []}'), ("requirements.txt", b"\xff\xfe\n"),
]  # fmt: skip


@pytest.mark.parametrize(("path", "content"), BROKEN, ids=[f"{n}-{path}" for n, (path, _) in enumerate(BROKEN)])
def test_a_broken_lock_file_is_refused(path: str, content: bytes) -> None:
    with pytest.raises(ValueError, match="is not in its format"):
        packages_in(path, content)


def test_a_yaml_file_that_grows_when_it_is_read_stays_small() -> None:
    levels = [f"a{n}: &a{n}\n  <<: [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 30)]
    start = time.process_time()

    assert packages_in("pnpm-lock.yaml", f"a0: &a0 {{x: y}}\n{''.join(levels)}".encode()) == frozenset()
    assert time.process_time() - start < 5
