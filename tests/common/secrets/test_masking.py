"""What is masked and, as important, what stays readable."""

from __future__ import annotations

import base64
import json
import subprocess
import uuid
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.secrets.masking import IN_KEY, KNOWN_FORMATS, MARGIN, MASK, Mask, is_same_when_masked

ROOT = Path(__file__).parents[3]
SECRET = "p$ss wörd/+&=canary-41c"
JWT = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U"
KEYS = [
    "AKIAIOSFODNN7EXAMPLE", "ghp_" + "a1B2" * 9, "glpat-" + "x1" * 10, "xoxb-123456789012-abcdefghijkl",
    "sk_" + "live_" + "4eC39HqLyjWDarjtT1zdp7dc", "SG." + "a" * 22 + "." + "b" * 43, "AIza" + "S" * 35, JWT,
    "sk-ant-api03-" + "k9" * 20, "sk-proj-" + "k9" * 20, "github_pat_" + "a" * 40, "npm_" + "a1" * 18,
    "awr_" + "t" * 43, "aiw_" + "t" * 43, "hf_" + "a" * 34, "12345678:" + "a" * 35, "1234567890:" + "A-" * 17 + "b",
    "M" + "a1" * 12 + "." + "b" * 6 + "." + "c" * 27, "O" + "a" * 23 + "." + "b" * 6 + "." + "c" * 27,
]  # fmt: skip


@pytest.fixture(scope="module")
def pem() -> str:
    made = subprocess.run(["openssl", "genrsa", "1024"], capture_output=True, text=True, check=True)
    return made.stdout


def forms_of(secret: str) -> list[str]:
    raw = secret.encode()
    return [
        secret, quote(secret), quote(secret, safe=""), quote_plus(secret), json.dumps(secret)[1:-1],
        *(encode(b"\x07" * shift + raw + b"tail").decode() for shift in range(3)
          for encode in (base64.b64encode, base64.urlsafe_b64encode)),
    ]  # fmt: skip


@pytest.mark.parametrize("form", forms_of(SECRET))
def test_a_value_is_masked_in_every_form(form: str) -> None:
    masked = Mask([SECRET])(f"before {form} after")

    assert MASK in masked
    assert masked.startswith("before ")
    assert masked.endswith(" after")
    # Of base64 only what the neighbours take part in may stay.
    assert len(masked) <= len("before  after") + len(MASK) + 12


def test_a_value_is_found_across_the_border_of_two_lines() -> None:
    mask = Mask(["canary-secret-41c"])

    assert mask.lines(["xx canary-s", "ecret-41c yy", "zz"]) == [f"xx {MASK}", " yy", "zz"]
    assert mask.lines(["a canary-sec"]) == [f"a {MASK}"]
    assert mask.lines(["ary-secret-41c b"], after=f"a {MASK}") == [f"{MASK} b"]
    assert mask.lines(["ary-secret-41c b"]) == ["ary-secret-41c b"]


def test_a_value_of_several_lines_is_masked_line_by_line(pem: str) -> None:
    mask = Mask([pem])
    for line in pem.splitlines()[1:-2]:
        assert mask(f"10:00:00 {line}") == f"10:00:00 {MASK}"
    assert pem.splitlines()[3] not in mask(json.dumps({"key": pem}))
    assert pem.splitlines()[3] not in mask(quote(pem))


@pytest.mark.parametrize("prefix", ["", "10:00:01 INFO "])
def test_a_private_key_is_masked_though_nobody_knows_it(pem: str, prefix: str) -> None:
    text = "\n".join(["first", *(prefix + line for line in pem.splitlines()), "last words here"])
    masked = KNOWN_FORMATS(text)

    assert masked.startswith("first\n")
    assert masked.endswith("\nlast words here")
    assert not any(line in masked for line in pem.splitlines())
    assert pem.splitlines()[2] not in KNOWN_FORMATS(json.dumps({"key": pem}))


def test_a_private_key_is_followed_over_the_border_of_two_batches(pem: str) -> None:
    lines = pem.splitlines()
    first = KNOWN_FORMATS.lines(lines[:4])
    second = KNOWN_FORMATS.lines([*lines[4:], "last words here"], after=first[-1])
    only_its_end = KNOWN_FORMATS.lines([*lines[4:], "last words here"])

    assert first[-1] == IN_KEY
    for masked in (second, only_its_end):
        assert masked[-1] == "last words here"
        assert all(line.startswith(MASK) for line in masked[:-1])


@pytest.mark.parametrize("key", KEYS)
def test_a_key_of_a_known_format_is_masked(key: str) -> None:
    for text in (f"token={key} x", f'"{key}"', f"see {key}", key):
        assert key not in KNOWN_FORMATS(text)
        assert key[-12:] not in KNOWN_FORMATS(text)


def test_a_password_in_an_address_is_masked_and_the_address_is_not() -> None:
    assert KNOWN_FORMATS("https://max:hunter2hunter2@git.example/x") == f"https://max:{MASK}@git.example/x"


def test_a_variable_is_masked_behind_its_name_however_short() -> None:
    assert Mask([], {"PIN": "1234"})("PIN=1234 and 1234") == f"PIN={MASK} and 1234"


def test_digests_and_ids_stay_readable() -> None:
    """Never by entropy: commits, UUIDs, and the digests of lock files are no secrets."""
    locks = (ROOT / "requirements-dev.lock").read_text()
    commits = subprocess.run(["git", "log", "--format=%H %h %T"], cwd=ROOT, capture_output=True, text=True, check=True)
    ids = "\n".join(str(uuid.UUID(int=number * 0x1234567890ABCDEF1234567)) for number in range(200))
    npm = (
        '"integrity": "sha512-v2kDEe57lecTulaDIuNTPy3Ry4gLGJ6Z1O3vE1krgXZNrsQ+LFTGHVxVjcXPs17LhbZVGedAJv8XZ1tvj5FvSg=="'
    )
    go = "golang.org/x/sys v0.1.0 h1:kunALQeHf1/185U1i0GOB/fy1IPRDDpuoOOqRReG57U="
    image = "ghcr.io/example/app@sha256:" + "4f" * 32
    for text in (locks, commits.stdout, ids, npm, go, image, "token count: 12345678", "key: pip-" + "ab" * 20):
        assert Mask([SECRET, "canary-secret-41c"])(text) == text


@pytest.mark.parametrize(
    "unit", ["eyJhbGciOi.", "://a:", "-----BEGIN PRIVATE KEY-----", "canary-s", "secret_access_key = "]
)
def test_chosen_input_takes_no_more_than_its_length(unit: str) -> None:
    """A megabyte that would take a quadratic search hours ends within the test's time limit."""
    text = unit * (2**19 // len(unit))
    assert len(Mask(["canary-secret-41c"])(f"-----BEGIN PRIVATE KEY-----\n{text}!\n{text}")) <= 2 * len(text) + 2**17


@pytest.mark.parametrize("key", [KEYS[0], JWT, "canary-secret-41c", f"canary-{'7' * 2 * MARGIN}"])
def test_a_secret_where_a_long_text_is_cut_is_masked_as_in_the_whole_text(key: str) -> None:
    mask, longest = Mask([key] if key.startswith("canary") else []), 1000
    for end in ("\n", " "):
        for begins_at in (longest - 8, longest - len(key) // 2, longest - len(key), longest):
            before = ("a word " * longest)[: max(0, begins_at - 1)] + end
            text = f"{before}{key} {'and so on ' * MARGIN}"

            expected = (mask(text)[: len(before) + 3] if begins_at < longest else text[:longest]).rstrip("*")
            for shown, left_out in (mask.beginning(text, longest), *mask.beginnings([text, "next"], longest)[:1]):
                assert (shown[: len(expected)], shown[len(expected) :][:3]) in {(expected, MASK), (expected, "")}
                assert key[:8] not in shown
                assert left_out == len(text) - longest


@settings(max_examples=40)
@given(st.text(max_size=60), st.text(max_size=60))
def test_masking_twice_changes_nothing_more(before: str, after: str) -> None:
    mask = Mask([SECRET])
    once = mask(before + SECRET + after)

    assert SECRET not in once
    assert mask(once) == once
    assert is_same_when_masked(once, before + SECRET + after)
