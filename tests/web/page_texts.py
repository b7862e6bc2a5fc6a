"""The texts of the page's modules: which go through `t`, and which are in the Spanish catalogues.

`python -m tests.web.page_texts` lists what a test would refuse.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import Enum

from common.values import states
from tests.web.check_texts import words_of_checks
from tests.web.page_states import words
from web.page.bundles import bundle
from web.page.routes import STATIC

APP = STATIC / "app"
CATALOGUES = APP / "languages/es.mjs", APP / "languages/es-later.mjs"
"""What the first script says, and what only parts say that are loaded later."""

# The same in every language.
SAME = {"AiWorker", "aiworker drivers install claude", "API", "Ctrl+Enter", "git clone"}

_COMMENT = re.compile(r"^\s*(?://|/?\*).*$", re.MULTILINE)
_CALL = re.compile(r"(?<![\w.$])(t|tn|th|mark)\(")
_TOKEN = re.compile(
    r""""(?P<double>(?:[^"\\\n]|\\.)*)"|'(?P<single>(?:[^'\\\n]|\\.)*)'|`(?:[^`\\]|\\.)*`"""
    r"""|[()\[\]{},+]|[^\s"'`()\[\]{},+]+|\s+"""
)
_BETWEEN_TAGS = re.compile(r"(?<!=)>\s*([^<>{}`$=;()&|]*[A-Za-z]{3,}[^<>{}`$=;()&|]*?)\s*<")
_ATTRIBUTE = re.compile(r'\b(?:alt|aria-label|empty|hint|label|lead|title|verb)="([^"$]*[A-Za-z]{3,}[^"$]*)"')
_CONSTANT = re.compile(r"[A-Z_]+|\.\w+")


def unescaped(text: str) -> str:
    """What a string of JavaScript says; of escapes only those of quotes, backslashes and line ends."""
    return re.sub(r"\\(.)", lambda found: {"n": "\n"}.get(found[1], found[1]), text)


def used_keys(source: str) -> Iterator[str]:
    """The English texts that a module gives to `t`, `tn`, `th` and `mark`."""
    for call in _CALL.finditer(source := _COMMENT.sub("", source)):
        yield from _texts_of(source, call.end(), {1, 2} if call[1] == "tn" else {0})


def _texts_of(source: str, at: int, spots: set[int]) -> Iterator[str]:
    """The strings in these arguments of the call whose arguments begin here; joined ones are one."""
    depth, spot, text, before = 0, 0, "", ""
    while depth >= 0 and (token := _TOKEN.match(source, at)):
        at = token.end()
        if token[0].isspace():
            continue
        string = token["double"] or token["single"]
        if text and string is None and token[0] != "+":
            yield unescaped(text)
            text = ""
        if token[0] in "([{":
            depth += 1
        elif token[0] in ")]}":
            depth -= 1
        elif token[0] == "," and depth == 0:
            spot += 1
        elif string is not None and depth == 0 and spot in spots and not before.endswith("=="):
            text += string
        before = token[0]


def untranslated(source: str) -> list[str]:
    """Texts between tags and in attributes that a person reads, and that go through no function."""
    source = _COMMENT.sub("", source)
    found = [one[1] for pattern in (_BETWEEN_TAGS, _ATTRIBUTE) for one in pattern.finditer(source)]
    return [text for text in found if text not in SAME and not _CONSTANT.fullmatch(text)]


def catalogues() -> list[tuple[str, str]]:
    """The pairs of both."""
    return [pair for path in CATALOGUES for pair in catalogue(path.read_text("utf-8"))]


def first_keys() -> set[str]:
    """What the first catalogue has to have, and no more: a visit waits for it."""
    (script,) = [text for name, text in bundle(STATIC).files.items() if name.startswith("bundled/main-")]
    return spoken_words() | set(used_keys(script.decode()))


def catalogue(source: str) -> list[tuple[str, str]]:
    """The pairs of a catalogue in its order. Raises ValueError for a line of another form."""
    body = source.partition("= {\n")[2].rpartition("};")[0]
    quoted = r"""(?:"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')"""
    # A text longer than a line is joined of several; as a key it is in brackets then.
    joined = rf"{quoted}(?:\s*\+\s*{quoted})*"
    pair = re.compile(rf"\s*(\[{joined}\]|{quoted}|[A-Za-z]\w*):\s*({joined}),\n?")
    pairs, at = [], 0
    while body[at:].strip():
        found = pair.match(body, at)
        if not found:
            raise ValueError(f"no pair of texts: {body[at : at + 80]!r}")
        key, text = ("".join(unescaped(one[1:-1]) for one in re.findall(quoted, side)) for side in found.groups())
        pairs.append((key or found[1], text))
        at = found.end()
    return pairs


def placeholders(text: str) -> set[str]:
    """The names in braces."""
    return set(re.findall(r"\{(\w+)\}", text))


def said(word: str) -> str:
    """How `labelOf` of words.mjs writes a word of the API."""
    return re.sub(r"[_:-]", " ", word).capitalize()


def spoken_words() -> set[str]:
    """The labels of all states, roles, priorities, tones, events and checks that the page names."""
    of_platform = {
        word
        for of in vars(states).values()
        if isinstance(of, type) and issubclass(of, Enum) and of.__module__ == states.__name__ and of is not states.By
        for word in words(of)
    }
    found = modules()
    tones = re.findall(r"const TONES = \{(.*?)\n\};", found["words/words.mjs"], re.DOTALL)[0]
    events = re.findall(r'^  "([\w-]+:\w+)"', found["words/event-sentences.mjs"], re.MULTILINE)
    return {said(word) for word in {*of_platform, *re.findall(r'"(\w+)"', tones), *events, *words_of_checks()}}


def wanted_keys() -> set[str]:
    """What a catalogue has to have."""
    return spoken_words() | {key for source in modules().values() for key in used_keys(source)}


def modules() -> dict[str, str]:
    """The page's own modules by their path below `app`, without the catalogues."""
    found = sorted(path for path in APP.rglob("*.mjs") if path.parent.name != "languages")
    return {path.relative_to(APP).as_posix(): path.read_text("utf-8") for path in found}


if __name__ == "__main__":
    first = first_keys()
    for path, wanted in zip(CATALOGUES, (first, wanted_keys() - first), strict=True):
        known = dict(catalogue(path.read_text("utf-8")))
        for missing in sorted(wanted - set(known)):
            print(f"not in {path.name}: {missing!r}")
        for unused in sorted(set(known) - wanted):
            print(f"not for {path.name}: {unused!r}")
    for name, source in modules().items():
        for text in untranslated(source):
            print(f"{name}: not translated: {text}")
