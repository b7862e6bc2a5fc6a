"""What looks like a secret in a text, and what does not although it looks random."""

from __future__ import annotations

import base64
import json
import string
import time
import uuid

import pytest

from tests.made_secrets import LETTERS, aws_key_id, github_token, password, private_key, random_text
from workers.proof.scans.secret_texts import RANDOM_VALUE, FoundSecret, find_secrets

DIGEST = random_text("0123456789abcdef", 64)
LONG = random_text(LETTERS + "+/", 400)


def found_in(text: str, path: str = "src/app.py") -> list[FoundSecret]:
    lines = text.split("\n")
    return list(find_secrets(path, lines, [True] * len(lines)))


def kinds_in(text: str, path: str = "src/app.py") -> set[str]:
    return {found.kind for found in found_in(text, path)}


def web_token() -> str:
    parts = ({"alg": "HS256", "typ": "JWT"}, {"sub": "max", "role": "maintainer"})
    encoded = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts]
    return ".".join([*encoded, random_text(LETTERS, 43)])


SECRETS: list[tuple[str, str, str]] = [
    (f'KEY = "{aws_key_id()}"', "src/app.py", "AWS Access Key"),
    (f"aws_secret_access_key = {random_text(LETTERS, 40)}", "credentials", "AWS Access Key"),
    (f"fetch(url, {{headers: {{token: '{github_token()}'}}}})", "web/a.js", "GitHub Token"),
    (f"git clone https://max:{password()}@git.corp.io/a/b", "setup.sh", "Basic Auth Credentials"),
    (f"curl -H 'Authorization: Bearer {random_text(LETTERS, 40)}' x", "README.md", "Authorization Header"),
    (f"token = '{web_token()}'", "a.rb", "JSON Web Token"),
    (private_key(), "deploy/id_rsa", "Private Key"),
    (f'DB_PASSWORD = "{password()}"', "src/app.py", RANDOM_VALUE),
    (f'{{"client_secret": "{random_text("0123456789abcdef", 40)}"}}', "a.json", RANDOM_VALUE),
    (f"SECRET_TOKEN={password()}", ".env", RANDOM_VALUE),
    ("TOKEN = 'glpat" + f"-{random_text(string.ascii_letters, 20)}'", "a.py", "GitLab Token"),
    (f'KEY = "{aws_key_id()}"  # pragma: allowlist secret', "src/app.py", "AWS Access Key"),
]


@pytest.mark.parametrize(("text", "path", "kind"), SECRETS, ids=[f"{path}-{kind}" for _, path, kind in SECRETS])
def test_a_secret_is_found(text: str, path: str, kind: str) -> None:
    assert kind in kinds_in(f"# first\n{text}\n# last", path)


HARMLESS: list[tuple[str, str]] = [
    (f'"integrity": "sha512-{LONG[:86]}=="', "package-lock.json"),
    (f'    {{ url = "https://files.example.org/a.whl", hash = "sha256:{DIGEST}", size = 1 }},', "uv.lock"),
    (f'password_hash = "{DIGEST}"\nSHA256 = "{DIGEST}"\ncommit = "{DIGEST[:40]}"', "src/app.py"),
    (f'TOKEN_ID = "{uuid.UUID(int=2**127 + 2**65 + 98765432123456789)}"', "src/app.py"),
    (f'<path d="M{" ".join(f"{n}.{n * 7919 % 997}" for n in range(300))}z"/>', "logo.svg"),
    ('password = os.environ["DB_PASSWORD"]\ntoken = get_token("first")\nsecret: ${{ secrets.TOKEN }}', "app.py"),
    ('api_key = "your-api-key-goes-here-12345"\npassword: "changeme-changeme-99"', "docs/setup.md"),
    ("key id AKIA" + "IOSFODNN7EXAMPLE, token gh" + "p_" + "x" * 36, "docs/setup.md"),
    ("postgres://postgres:postgres@localhost:5432/app redis://:pa55word@redis:6379", "docker-compose.yml"),
    ("https://user:password@example.com/path and https://${USER}:${TOKEN}@git.corp.io/a", "README.md"),
    ('if "-----BEGIN PRIVATE' + ' KEY-----" in text:\n    raise ValueError("a key")', "src/app.py"),
    ("secret = 'myApplicationSecretName1'; token = 'oauth2ClientSecretKeyName'", "src/app.js"),
    ('"sub": "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZG1pbiJ9."', "tests/test_a.py"),
]


@pytest.mark.parametrize(("text", "path"), HARMLESS, ids=[f"{n}-{path}" for n, (_, path) in enumerate(HARMLESS)])
def test_what_only_looks_random_is_no_secret(text: str, path: str) -> None:
    assert found_in(text, path) == []


def test_only_added_lines_count() -> None:
    lines = [f'OLD = "{aws_key_id()}"', f'NEW = "{github_token()}"', *private_key().split("\n")]

    assert [one.kind for one in find_secrets("a.py", lines, [False, True, *[False] * 10])] == ["GitHub Token"]
    # A new body below an old first line is a new key.
    (key,) = find_secrets("a.py", lines, [False, False, False, True, *[False] * 8])
    assert (key.kind, key.line) == ("Private Key", 2)


@pytest.mark.parametrize(
    "line",
    [
        "password" * 5000,
        "://a:" * 50_000,
        ("-----BEGIN PRIVATE" + " KEY-----\n") * 30_000,
        "token: '" + "a1" * 60_000,
    ],
    ids=lambda line: line[:12],
)
def test_a_hostile_text_takes_linear_time(line: str) -> None:
    def seconds(text: str) -> float:
        start = time.process_time()
        found_in(text, ".env")
        return time.process_time() - start

    seconds(line[: len(line) // 8])
    assert seconds(line) < max(1.0, 40 * seconds(line[: len(line) // 8]))


def test_a_finding_does_not_show_its_secret() -> None:
    (found,) = found_in(f'KEY = "{aws_key_id()}"')
    assert aws_key_id() not in repr(found)
