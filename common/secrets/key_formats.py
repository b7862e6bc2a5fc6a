"""Finds keys that have a recognisable format, anywhere in a text: cloud keys, tokens, JSON web tokens.

The patterns are those of detect-secrets, compiled once; its plugin machinery is not used, as it costs milliseconds per
line. Its detectors for entropy, for variable names and for IP addresses are left out: they match commit SHAs and
digests. Three of its patterns take quadratic time on hostile input and are replaced here. Formats that it lacks
(AiWorker's own tokens, newer keys of model providers) are added. Private keys span lines: `masking` finds them.
"""

from __future__ import annotations

import functools
import importlib
import re
from collections.abc import Iterator
from typing import Any

LEAST_CHARACTERS = 8
"""A shorter captured group only names the kind of key; then the whole match is the key."""

_DETECTORS: tuple[tuple[str, str], ...] = (
    ("artifactory.ArtifactoryDetector", "A"),
    ("aws.AWSKeyDetector", "A"),
    ("aws.AWSKeyDetector", "aws"),
    ("aws.AWSKeyDetector", "AWS"),
    ("azure_storage_key.AzureStorageKeyDetector", "AccountKey="),
    ("basic_auth.BasicAuthDetector", "://"),
    ("discord.DiscordBotTokenDetector", "."),
    ("github_token.GitHubTokenDetector", "gh"),
    ("gitlab_token.GitLabTokenDetector", "gl"),
    ("gitlab_token.GitLabTokenDetector", "GR1348941"),
    ("mailchimp.MailchimpDetector", "-us"),
    ("pypi_token.PypiTokenDetector", "pypi-"),
    ("sendgrid.SendGridDetector", "SG."),
    ("slack.SlackDetector", "xox"),
    ("slack.SlackDetector", "XOX"),
    ("slack.SlackDetector", "slack"),
    ("square_oauth.SquareOAuthDetector", "sq0csp-"),
    ("stripe.StripeDetector", "k_live_"),
    ("telegram_token.TelegramBotTokenDetector", ":"),
    ("twilio.TwilioKeyDetector", "AC"),
    ("twilio.TwilioKeyDetector", "SK"),
)
"""Each detector with a text that its matches contain. Searching for that text first is about 100 times faster."""

_WEB_TOKENS = "jwt.JwtTokenDetector"

_AWS = "AWS Access Key"
_AWS_ASSIGNED = r"(?i)secret_?access_?key[\"']?\s{0,8}[:=]\s{0,8}[\"']?([A-Za-z0-9/+]{40})(?![A-Za-z0-9/+=])"
_BEARER = r"(?i)authorization[\"']?\s{0,8}[:=]\s{0,8}[\"']?(?:basic|bearer|token)\s{1,8}([\w.~+/=-]{8,})"
_ADDED: tuple[tuple[str, str, str], ...] = (
    ("AiWorker Token", r"a(?:iw|wa|we|wm|wr)_[A-Za-z0-9_-]{43}", "_"),
    ("Model Provider Key", r"sk-(?:ant|proj|svcacct|admin|or)-[A-Za-z0-9_-]{20,}", "sk-"),
    ("Model Provider Key", r"(?<![A-Za-z0-9_-])sk-[A-Za-z0-9]{32,}", "sk-"),
    ("GitHub Token", r"github_pat_[A-Za-z0-9_]{22,}", "github_pat_"),
    ("Google API Key", r"AIza[A-Za-z0-9_-]{35}", "AIza"),
    ("Hugging Face Token", r"hf_[A-Za-z0-9]{34,}", "hf_"),
    ("npm Token", r"npm_[A-Za-z0-9]{36}", "npm_"),
    ("npm Token", r":_authToken=\s{0,8}([^\s\"']{8,})", ":_authToken="),
    (_AWS, _AWS_ASSIGNED, "key"),
    (_AWS, _AWS_ASSIGNED, "KEY"),
    (_AWS, _AWS_ASSIGNED, "Key"),
    ("Authorization Header", _BEARER, "uthorization"),
)


@functools.cache
def _by_need() -> dict[str, list[re.Pattern[str]]]:
    """The patterns by the text that their matches contain."""
    by_need: dict[str, list[re.Pattern[str]]] = {}
    for detector, needs in _DETECTORS:
        by_need.setdefault(needs, []).extend(_detector(detector).denylist)
    for _kind, pattern, needs in _ADDED:
        by_need.setdefault(needs, []).append(re.compile(pattern))
    return by_need


@functools.cache
def _kinds() -> dict[re.Pattern[str], str]:
    """What the matches of each pattern are, in the words of detect-secrets."""
    kinds = {re.compile(pattern): kind for kind, pattern, _needs in _ADDED}
    for name, _needs in _DETECTORS:
        kinds |= dict.fromkeys(_detector(name).denylist, str(_detector(name).secret_type))
    return kinds


@functools.cache
def _detector(name: str) -> Any:
    """A class of detect-secrets, imported when first needed: the package also loads an HTTP client."""
    module, _, detector = name.rpartition(".")
    return getattr(importlib.import_module(f"detect_secrets.plugins.{module}"), detector)


def load() -> None:
    """Load and compile everything now instead of with the first text. Takes some tenths of a second, once."""
    _by_need()
    _detector(_WEB_TOKENS)


_SEGMENT = re.compile(r"[A-Za-z0-9_=-]*")
_REST = re.compile(r"[A-Za-z0-9_.+/=-]*")
_MORE = re.compile(r"[A-Za-z0-9_.+/=-]{0,512}")
_MOST_STARTS = 8


def needed_in(text: str) -> list[re.Pattern[str]]:
    """The patterns that could match in a line of the text."""
    return [
        pattern
        for needs, patterns in _by_need().items()
        if needs in text
        for pattern in patterns
        # One search of the whole text is far faster than one in each line. A line's beginning and end count as such.
        if _in_lines(pattern).search(text)
    ]


_QUICKER = {
    r"\d{8,10}:[0-9A-Za-z_-]{35}": r":(?<=\d{8}:)[0-9A-Za-z_-]{35}",
    r"[MNO][a-zA-Z\d_-]{23,25}\.[a-zA-Z\d_-]{6}\.[a-zA-Z\d_-]{27}": r"\.[a-zA-Z\d_-]{6}\.[a-zA-Z\d_-]{27}",
}
"""Patterns of detect-secrets, each with one that matches in every text in which it does, and is searched for faster."""


@functools.cache
def _in_lines(pattern: re.Pattern[str]) -> re.Pattern[str]:
    """For whether the pattern matches somewhere in a text, not for where."""
    return re.compile(_QUICKER.get(pattern.pattern, pattern.pattern), pattern.flags | re.MULTILINE)


def find_keys(text: str, patterns: list[re.Pattern[str]]) -> Iterator[tuple[int, int]]:
    """Yield the positions of keys in one line as (start, end), unordered. Takes time linear in the text's length.

    patterns: from `needed_in` of this text or of a longer one that contains it.
    """
    for pattern in patterns:
        yield from _matches(text, pattern)
    if "eyJ" in text:
        yield from _web_tokens(text)


def find_kinds(text: str, patterns: list[re.Pattern[str]]) -> Iterator[tuple[str, int, int]]:
    """Like find_keys, with what each key is, such as `GitHub Token`."""
    for pattern in patterns:
        yield from ((_kinds()[pattern], start, end) for start, end in _matches(text, pattern))
    if "eyJ" in text:
        yield from (("JSON Web Token", start, end) for start, end in _web_tokens(text))


def _matches(text: str, pattern: re.Pattern[str]) -> Iterator[tuple[int, int]]:
    for match in pattern.finditer(text):
        group = 1 if pattern.groups and len(match[1] or "") >= LEAST_CHARACTERS else 0
        # A key may be longer than its pattern: characters that follow without a break are part of it.
        yield match.start(group), _MORE.match(text, match.end(group)).end()  # type: ignore[union-attr]


def _web_tokens(text: str) -> Iterator[tuple[int, int]]:
    """Positions of JSON web tokens: two segments of base64 JSON, and the segments that follow them."""
    at = 0
    while (start := text.find("eyJ", at)) >= 0:
        head = _SEGMENT.match(text, start).end()  # type: ignore[union-attr]
        at = head + 1
        if text[head : head + 1] != ".":
            continue
        payload = _SEGMENT.match(text, at).end()  # type: ignore[union-attr]
        for _ in range(_MOST_STARTS):
            if _detector(_WEB_TOKENS).is_formally_valid(text[start:payload]):
                at = _REST.match(text, payload).end()  # type: ignore[union-attr]
                yield start, at
                break
            if (start := text.find("eyJ", start + 1, head)) < 0:
                break
