"""Finds what looks like a secret in the lines that a commit adds to a file.

Keys of a known format are those of `key_formats`. Values without a format count only where the name that they are given
to says that they are secret, and where they look random. Names and most of what tells a sample from a secret are those
of detect-secrets; its own patterns for them take quadratic time on hostile lines. Its marker in a comment, which lets a
line go, counts for nothing here: whoever adds a secret could add the marker too.
"""

from __future__ import annotations

import functools
import importlib
import re
from base64 import urlsafe_b64decode
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, pairwise
from urllib.parse import unquote

from common.secrets.key_formats import find_kinds, needed_in
from common.secrets.masking import PRIVATE_KEY_BEGINS, PRIVATE_KEY_ENDS

BASIC_AUTH = "Basic Auth Credentials"
ARTIFACTORY = "Artifactory Credentials"
AWS_KEY = "AWS Access Key"
JSON_WEB_TOKEN = "JSON Web Token"  # noqa: S105 (a kind)
FREE_FORMS = frozenset({"npm Token", "Authorization Header"})
"""Known by what stands before them: of any form, so only random ones count."""
RANDOM_VALUE = "Random Value of a Secret Name"
LONGEST_GUESSED_LINE = 2000
"""In longer lines, which programs write, only known formats are searched."""
LONGEST_PRIVATE_KEY = 20_000
LEAST_ENTROPY, LEAST_HEX_ENTROPY = 3.5, 3.0
"""Bits a character. A word has less; a random value of 16 characters has 3.8 at an average, in hexadecimal 3.2."""
LEAST_DIGITS = 2
LEAST_CASE_CHANGES = 0.35
SHORTEST_RANDOM, SHORTEST_SIGNATURE = 16, 20
RUN = 6
"""So many characters in a row that are equal, or follow one another in the alphabet, do not occur in random values."""

_KEY_BODY = re.compile(r"[A-Za-z0-9+/]{40}")
_SAMPLE_WORDS = re.compile(
    r"(?i)example|sample|dummy|fake|placeholder|redacted|change.?me|your[_-]|x{5}|\*{3}|\.{3}|not.?a.?real|test.?test"
)
_NOT_SECRET = re.compile(
    r"(?i)hash|digest|sha\d|sha_|md5|checksum|integrity|fingerprint|public|etag|revision|commit|nonce"
    r"|(?:file|path|url|uri|id|name|type|pattern|regexp?|label|length|count)$"
)
"""Names of values that are no secret, though another part of the name says so, such as `password_hash`."""
_IN_BASE64 = re.compile(r"[A-Za-z0-9+/]{3}$")
_AWS_KEY_ID_CHARACTERS = 20
_CONFIGURATION = re.compile(r"(?i)(?:^|/)(?:\.env[^/]*|[^/]*\.(?:env|ini|cfg|conf|properties|ya?ml|toml|sh))$")
_LOCAL_HOST = re.compile(
    r"(?i)(?:localhost|127\.[\d.]+|0\.0\.0\.0|\[::1\]|[a-z][a-z0-9_-]*|(?:[\w-]+\.)*example\.(?:com|org|net)"
    r"|(?:[\w-]+\.)+(?:test|invalid|example|localhost|local|internal))(?=[:/?#\s\"'`),;\]}>\\]|$)"
)
"""Hosts of samples: reserved names, this machine, and names without a dot, as services of a compose file have."""


@dataclass(frozen=True)
class FoundSecret:
    """line: counted from 0. value: the secret itself, never shown."""

    line: int
    kind: str
    value: str = field(repr=False)


def reading_of(path: str) -> tuple[bool, bool]:
    """What a path decides: whether values without a known format are guessed at, and whether they need no quotes.

    In the same lines, `find_secrets` finds the same for all paths that have the same.
    """
    return not _is_written_by_a_program(path), bool(_CONFIGURATION.search(path))


def find_secrets(path: str, lines: Sequence[str], added: Sequence[bool]) -> Iterator[FoundSecret]:
    """Yield what looks like a secret in the added lines, unordered; the same one may be found twice.

    lines: of the whole file. added: for each line, whether it counts. Takes time linear in the text's length.
    """
    yield from _private_keys(lines, added)
    fresh = [(number, line) for number, line in enumerate(lines) if added[number]]
    patterns = needed_in("\n".join(line for _number, line in fresh))
    guesses, is_configuration = reading_of(path)
    for number, line in fresh:
        keys = list(find_kinds(line, patterns)) if patterns or "eyJ" in line else []
        for kind, start, end in keys:
            if not _is_sample(kind, line, start, end):
                yield FoundSecret(number, kind, line[start:end])
        if guesses and len(line) <= LONGEST_GUESSED_LINE:
            for value in _guesses(line, is_configuration=is_configuration):
                if not any(line[start:end] in value or value in line[start:end] for _kind, start, end in keys):
                    yield FoundSecret(number, RANDOM_VALUE, value)


def _private_keys(lines: Sequence[str], added: Sequence[bool]) -> Iterator[FoundSecret]:
    """Private keys with a body, of which any line was added."""
    if not any("PRIVATE KEY" in line or "PuTTY-User-Key" in line for line in lines):
        return
    text = "\n".join(lines)
    starts = list(accumulate((len(line) + 1 for line in lines), initial=0))
    begins = [match.span() for match in PRIVATE_KEY_BEGINS.finditer(text)]
    nexts = [*(start for start, _ in begins[1:]), len(text)]
    for (start, at), next_start in zip(begins, nexts, strict=False):
        limit = min(next_start, at + LONGEST_PRIVATE_KEY)
        end = PRIVATE_KEY_ENDS.search(text, at, limit)
        body = _KEY_BODY.search(text, at, end.start() if end else limit)
        if body is None or _has_run(body[0].lstrip("A")[-20:]):
            continue
        first = bisect_right(starts, start) - 1
        last = bisect_right(starts, (end or body).end() - 1)
        if any(added[first:last]):
            yield FoundSecret(first, "Private Key", body[0])


def _is_sample(kind: str, line: str, start: int, end: int) -> bool:
    """Whether a key of a known format is surely none that opens anything: of a manual, a test or a template."""
    value = line[start:end]
    if kind == BASIC_AUTH:
        return _is_sample_login(line, start, end)
    if _is_filtered(value) or _SAMPLE_WORDS.search(value) or _has_run(value):
        return True
    if kind == JSON_WEB_TOKEN:
        return _is_sample_web_token(value)
    if kind in FREE_FORMS:
        return not _is_random(value)
    if kind == AWS_KEY and value[:_AWS_KEY_ID_CHARACTERS].isupper():
        # Pictures and programs in base64 contain the same characters by chance.
        return end - start > _AWS_KEY_ID_CHARACTERS or _IN_BASE64.search(line[max(start - 3, 0) : start]) is not None
    if kind == ARTIFACTORY:
        # Its pattern also matches names in capitals.
        return _count_digits(value) < LEAST_DIGITS
    return not _count_digits(value) and (value.islower() or value.isupper())


def _is_sample_web_token(value: str) -> bool:
    """Whether it has no signature, or is about a person of a manual (`"sub": "1234567890"`)."""
    _head, payload, signature = [*value.split("."), "", ""][:3]
    known = urlsafe_b64decode(payload + "=" * (-len(payload) % 4)).decode("utf-8", "replace")
    return len(signature) < SHORTEST_SIGNATURE or _has_run(known) or _SAMPLE_WORDS.search(known) is not None


def _is_sample_login(line: str, start: int, end: int) -> bool:
    """Whether `user:password@host` in a URL is a sample. The end may lie behind the @ and the host."""
    address = line[line.rfind("://", 0, start + 3) + 3 : start + 1000]
    login, _, rest = re.split(r"[\s\"'`<>]", address, maxsplit=1)[0].partition("@")
    user, _, password = login.partition(":")
    password = unquote(password)
    host = rest.rpartition("@")[2]
    if not password or not host or _LOCAL_HOST.match(host) or _is_filtered(password):
        return True
    is_word = password.isalpha() and password.islower()
    return (
        is_word or password == user or bool(_SAMPLE_WORDS.search(address)) or bool(set("{}$%*<>()[]|\\") & set(login))
    )


def _has_run(value: str) -> bool:
    """Whether RUN characters in a row are equal or follow one another."""
    equal = ascending = 1
    for one, next_one in pairwise(value):
        equal = equal + 1 if next_one == one else 1
        ascending = ascending + 1 if ord(next_one) - ord(one) == 1 else 1
        if RUN in (equal, ascending):
            return True
    return False


@functools.cache
def _detect(module: str) -> object:
    """A module of detect-secrets, imported when first needed: the package also loads an HTTP client."""
    return importlib.import_module(f"detect_secrets.{module}")


@functools.cache
def _filters() -> tuple[Callable[[str], bool], ...]:
    names = (
        "is_templated_secret",
        "is_prefixed_with_dollar_sign",
        "is_sequential_string",
        "is_not_alphanumeric_string",
        "is_potential_uuid",
    )
    return tuple(getattr(_detect("filters.heuristic"), name) for name in names)


def _is_filtered(value: str) -> bool:
    return any(is_sample(value) for is_sample in _filters())


def _is_written_by_a_program(path: str) -> bool:
    """Lock files, pictures and styles: full of random values that are not secret."""
    names = ("is_lock_file", "is_non_text_file", "is_swagger_file")
    return any(getattr(_detect("filters.heuristic"), name)(path) for name in names)


def _keywords() -> tuple[str, ...]:
    known: tuple[str, ...] = vars(_detect("plugins.keyword"))["DENYLIST"]
    return known


@functools.cache
def _secret_names() -> tuple[str, ...]:
    """What names of secrets contain, in small letters."""
    names = (*_keywords(), "token")
    return tuple(name.replace("_?", link) for name in names for link in ({"_", ""} if "_?" in name else {""}))


@functools.cache
def _guessed(*, is_configuration: bool) -> tuple[re.Pattern[str], ...]:
    """Patterns of a value that is given to a secret name. In configuration it needs no quotes."""
    name = rf"(?P<name>(?:{'|'.join(_secret_names())})[\w-]{{0,30}})[\"'\]]{{0,2}}"
    name += r"\s{0,8}(?::=|=>|={1,3}|:)\s{0,8}"
    value = rf"(?P<value>[A-Za-z0-9+/=_\-.~!@#%^&*]{{{SHORTEST_RANDOM},200}})"
    quoted = re.compile(rf"(?i){name}[\"'`]{value}[\"'`]")
    plain = re.compile(rf"(?i){name}{value}\s{{0,8}}(?:#|$)")
    return (quoted, plain) if is_configuration else (quoted,)


def _guesses(line: str, *, is_configuration: bool) -> Iterator[str]:
    """Yield the random values that the line gives to secret names."""
    lowered = line.lower()
    if not any(name in lowered for name in _secret_names()):
        return
    for pattern in _guessed(is_configuration=is_configuration):
        for match in pattern.finditer(line):
            name = re.split(r"[\s,;({]", line[max(match.start() - 40, 0) : match.start()])[-1] + match["name"]
            if not _NOT_SECRET.search(name) and _is_random(match["value"]):
                yield match["value"]


@functools.cache
def _entropy(detector: str) -> Callable[[str], float]:
    """Bits a character, in the characters that the detector knows."""
    made = getattr(_detect("plugins.high_entropy_strings"), detector)()
    measure: Callable[[str], float] = made.calculate_shannon_entropy
    return measure


def _is_random(value: str) -> bool:
    if len(value) < SHORTEST_RANDOM or _is_filtered(value) or _SAMPLE_WORDS.search(value) or _has_run(value):
        return False
    if not re.search(r"[A-Za-z]", value) or (_count_digits(value) < LEAST_DIGITS and not _mixes_cases(value)):
        return False
    if re.fullmatch(r"[0-9a-fA-F]+", value):
        return _entropy("HexHighEntropyString")(value) >= LEAST_HEX_ENTROPY
    return _entropy("Base64HighEntropyString")(value) >= LEAST_ENTROPY


def _mixes_cases(value: str) -> bool:
    """Whether capital and small letters change places as often as in a random text, where every second pair differs.
    In `camelCaseWords` every fourth may."""
    pairs = sum(one.isupper() != other.isupper() for one, other in pairwise(value) if one.isalpha() and other.isalpha())
    return pairs >= LEAST_CASE_CHANGES * len(value)


def _count_digits(value: str) -> int:
    return sum(map(str.isdigit, value))
