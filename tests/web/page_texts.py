"""The texts of the page's modules: which go through `t`, which are in the Spanish catalogue, and which do neither.

It reads as much JavaScript as the page's modules use: comments, strings, template literals and regular expressions, and
within the templates of htm tags, attributes and text. `python -m tests.web.page_texts` lists what a test would refuse.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum

from common import states
from tests.web.checks_words import checks_words
from tests.web.page_states import words
from web.bundling.bundles import bundle
from web.page import STATIC

APP = STATIC / "app"
CATALOGUES = APP / "languages/es.mjs", APP / "languages/es-later.mjs"
"""What the first script says, and what only parts say that are loaded later."""

# Attributes and properties of components whose value a person reads or hears.
SHOWN = {
    "alt",
    "aria-label",
    "aria-description",
    "empty",
    "hint",
    "label",
    "lead",
    "placeholder",
    "title",
    "usual",
    "verb",
}
# Elements whose text is the same in every language.
LITERAL = {"code", "kbd", "pre", "samp"}
TRANSLATES = {"t", "tn", "th", "mark"}
# Their arguments are names of classes, keys and the like, never sentences.
NEVER_SHOWN = {
    "closest", "cls", "encodeURIComponent", "getItem", "lazy", "matchMedia", "querySelector", "querySelectorAll",
    "replace", "setDrawing", "setItem", "startsWith",
}  # fmt: skip
# The same in every language, or shown to nobody.
SAME = {
    "1Gi", "AiWorker", "aiworker.draft.", "allow-scripts allow-forms allow-same-origin", "Android", "anthropic",
    "Anthropic", "Anthropic Messages", "API", "Bearer {}", "brought back", "chip label", "Chrome", "claude",
    "claude-sonnet-4-5", "claude-sonnet-4-5 3 15 0.3", "Ctrl+Enter", "Edge", "English", "Enter", "Esc", "Firefox",
    "Gemini", "Gemini generateContent", "https://…", "Linux", "Mac OS X", "main", "NAME, NAME", "NAME=value",
    "node:20-alpine", "node_modules", "noopener noreferrer", "Notification", "npm ci", "old {}", "Opera",
    "packages.example.com", "postgresql:16, redis", "python, node", "python3 -m http.server $PORT",
    "python3 -m unittest", "Safari", "Tab", "taken back", "ui, bug", "Windows",
}  # fmt: skip

_REGEX_BEFORE = re.compile(r"(?:[(,=:\[!&|?{};+]|=>|\breturn|^)\s*$")
_CALLED = re.compile(r"([A-Za-z_$][\w$]*)\s*$")
_COMPARED = re.compile(r"(?:[=!]==|\bcase|\bfrom|\bimport|\bin)\s*$")
_ATTRIBUTE = re.compile(r"([\w:.-]+)\s*=\s*$")
# Selectors, elements and commands.
_CODE = ("[", "<", "git clone ")
_LETTERS = re.compile(r"[^\W\d_]{2,}")
_ENTITY = re.compile(r"&\w+;")
_PROSE = re.compile(r"[^\W\d_]{2,},? \S|^[A-Z][a-z]+[.…!?]?$|\w[.…!?]$|^ ?[a-z]+ \{|\} [a-z]{2,}")


@dataclass(frozen=True)
class Text:
    """A text of a module that a person may read. kind: string, template, between (two tags) or attribute.

    start and end: where it is in the source, without quotes. parts: its pieces in order: text, or the place (start,
    end) of an expression. name: of the attribute that has it as its value, else "". element: in which tag it is, else
    "". call: the function that is called with it, else "". spot: which argument of the call it is, from 0. before: the
    source in front of it. is_key: it is the name of a property. at_load: it is evaluated when the module is loaded.
    """

    kind: str
    start: int
    end: int
    parts: tuple[str | tuple[int, int], ...]
    name: str = ""
    element: str = ""
    call: str = ""
    spot: int = 0
    before: str = ""
    is_key: bool = False
    at_load: bool = False

    @property
    def value(self) -> str:
        return "".join(part if isinstance(part, str) else "{}" for part in self.parts)


@dataclass
class _Reader:
    source: str
    texts: list[Text] = field(default_factory=list)
    calls: list[tuple[str, int]] = field(default_factory=list)
    """The calls around the present place, each with the number of commas so far; "" is a bracket of another kind."""
    at: int = 0
    attribute: str = ""
    """Of which attribute the present expression is the value."""

    def code(self, end: str = "") -> None:
        """Read up to the bracket `end` that belongs to an expression, or to the end of the source."""
        depth = len(self.calls)
        while self.at < len(self.source):
            one = self.source[self.at]
            if one in "\"'":
                self._string(one)
            elif one == "`":
                self._template()
            elif self.source.startswith(("//", "/*"), self.at):
                closing = "\n" if self.source[self.at + 1] == "/" else "*/"
                self.at = self._after(closing)
            elif one == "/" and _REGEX_BEFORE.search(self.source[max(0, self.at - 20) : self.at]):
                self._regex()
            elif one == end and len(self.calls) == depth:
                return
            else:
                self._bracket(one)
                self.at += 1

    def _bracket(self, one: str) -> None:
        if one == "(":
            found = _CALLED.search(self.source, max(0, self.at - 40), self.at)
            self.calls.append((found[1] if found else "", 0))
        elif one in "[{":
            self.calls.append(("", 0))
        elif one in ")]}" and self.calls:
            self.calls.pop()
        elif one == "," and self.calls:
            call, spot = self.calls[-1]
            self.calls[-1] = (call, spot + 1)

    def _after(self, closing: str) -> int:
        found = self.source.find(closing, self.at)
        return len(self.source) if found < 0 else found + len(closing)

    def _regex(self) -> None:
        found = re.compile(r"/(?:[^/\\\[\n]|\\.|\[(?:[^\]\\]|\\.)*\])+/\w*").match(self.source, self.at)
        self.at = found.end() if found else self.at + 1

    def _string(self, quote: str) -> None:
        found = re.compile(rf"{quote}((?:[^{quote}\\\n]|\\.)*){quote}").match(self.source, self.at)
        if not found:
            raise ValueError(f"a string has no end: {self.source[self.at : self.at + 40]!r}")
        self._keep("string", found.start(1), found.end(1), (unescaped(found[1]),))
        self.at = found.end()

    def _template(self) -> None:
        is_html = self.source[: self.at].endswith("html")
        self.at += 1
        if is_html:
            _Markup(self).read()
            return
        start, parts, piece = self.at, list[str | tuple[int, int]](), self.at
        place = len(self.texts)
        while self.source[self.at] != "`":
            if self.source.startswith("${", self.at):
                parts.append(self.source[piece : self.at])
                parts.append(self.expression(self.attribute))
                piece = self.at
            else:
                self.at += 2 if self.source[self.at] == "\\" else 1
        parts.append(self.source[piece : self.at])
        self._keep("template", start, self.at, tuple(part for part in parts if part), place)
        self.at += 1

    def expression(self, attribute: str) -> tuple[int, int]:
        """Read `${…}`. Returns where the expression is."""
        self.at += 2
        start, outer = self.at, self.attribute
        self.attribute = attribute
        self.code("}")
        self.attribute = outer
        place = (start, self.at)
        self.at += 1
        return place

    def _keep(self, kind: str, start: int, end: int, parts: tuple[str | tuple[int, int], ...], at: int = -1) -> None:
        call, spot = self.calls[-1] if self.calls else ("", 0)
        before = self.source[max(0, start - 60) : start - 1].rstrip()
        is_key = before.endswith(("{", ",")) and self.source[end + 1 :].startswith(":")
        text = Text(kind, start, end, parts, self.attribute, "", call, spot, before, is_key, self._at_load(start))
        self.texts.insert(at if at >= 0 else len(self.texts), text)

    def _at_load(self, place: int) -> bool:
        begin = max((found.start() for found in re.finditer(r"^(?=[^\s})\]`/])", self.source[:place], re.M)), default=0)
        return bool(re.match(r"(?:export )?const ", self.source[begin:])) and "=>" not in self.source[begin:place]


@dataclass
class _Markup:
    """One template of htm: its tags, their attributes, and what is between them."""

    reader: _Reader
    elements: list[str] = field(default_factory=list)

    def read(self) -> None:
        reader, source = self.reader, self.reader.source
        while source[reader.at] != "`":
            if source.startswith("<!--", reader.at):
                reader.at = reader._after("-->")
            elif source[reader.at] == "<":
                self._tag()
            else:
                self._between()
        reader.at += 1

    def _between(self) -> None:
        reader, source = self.reader, self.reader.source
        start, parts, piece = reader.at, list[str | tuple[int, int]](), reader.at
        place = len(reader.texts)
        while source[reader.at] not in "<`":
            if source.startswith("${", reader.at):
                parts.append(source[piece : reader.at])
                parts.append(reader.expression(""))
                piece = reader.at
            else:
                reader.at += 1
        parts.append(source[piece : reader.at])
        element = self.elements[-1] if self.elements else ""
        kept = tuple(part for part in parts if part)
        reader.texts.insert(place, Text("between", start, reader.at, kept, element=element))

    def _tag(self) -> None:
        reader, source = self.reader, self.reader.source
        reader.at += 1
        is_end = source[reader.at] == "/"
        name = re.compile(r"/?([\w-]*)").match(source, reader.at)
        assert name is not None
        reader.at = name.end()
        if source.startswith("${", reader.at):
            start, end = reader.expression("")
            tag = source[start:end]
        else:
            tag = name[1]
        while source[reader.at] != ">":
            self._in_tag(tag)
        is_empty = source[reader.at - 1] == "/"
        reader.at += 1
        if is_end and self.elements:
            self.elements.pop()
        elif not is_end and not is_empty:
            self.elements.append(tag)

    def _in_tag(self, tag: str) -> None:
        reader, source = self.reader, self.reader.source
        if source.startswith("${", reader.at):
            found = _ATTRIBUTE.search(source, max(0, reader.at - 60), reader.at)
            reader.expression(found[1] if found else "")
        elif source[reader.at] == '"':
            found = _ATTRIBUTE.search(source, max(0, reader.at - 60), reader.at)
            end = source.index('"', reader.at + 1)
            kept = (source[reader.at + 1 : end],)
            name = found[1] if found else ""
            reader.texts.append(Text("attribute", reader.at + 1, end, kept, name=name, element=tag))
            reader.at = end + 1
        else:
            reader.at += 1


def unescaped(text: str) -> str:
    """What a string of JavaScript says; of escapes only those of quotes, backslashes and line ends."""
    return re.sub(r"\\(.)", lambda found: {"n": "\n"}.get(found[1], found[1]), text)


def read_texts(source: str) -> list[Text]:
    """Every string and template of a module, and every text between tags, in order."""
    reader = _Reader(source)
    reader.code()
    return reader.texts


def is_shown(text: Text) -> bool:
    """Whether a person would read this text, and it goes through no function of language.mjs."""
    if " ".join(text.value.split()) in SAME or text.value.startswith(_CODE):
        return False
    if text.kind == "between":
        if text.element in LITERAL:
            return False
        return any(isinstance(part, str) and _LETTERS.search(_ENTITY.sub("", part)) for part in text.parts)
    if text.kind == "attribute":
        return text.name in SHOWN and bool(_LETTERS.search(text.value))
    if text.kind == "template" and text.call in TRANSLATES and text.spot == 0:
        return True  # It cannot be found in a catalogue.
    if text.call in TRANSLATES | NEVER_SHOWN or text.name in {"class", "testid", "data-testid", "href", "key", "name"}:
        return False
    if text.is_key or _COMPARED.search(text.before):
        return False
    if text.name in SHOWN and text.kind == "template":
        return bool(_LETTERS.search("".join(part for part in text.parts if isinstance(part, str))))
    return bool(_PROSE.search(text.value)) and bool(_LETTERS.search(text.value.replace("{}", "")))


def used_keys(source: str) -> Iterator[str]:
    """The English texts that a module gives to `t`, `tn`, `th` and `mark`."""
    joined = ""
    for text in read_texts(source):
        if text.kind != "string" or text.call not in TRANSLATES or text.before.endswith("["):
            continue
        goes_on = re.match(r"[\"']\s*\+\s*[\"']", source[text.end :])
        joined += text.parts[0] if isinstance(text.parts[0], str) else ""
        if goes_on:
            continue
        if text.spot in ({1, 2} if text.call == "tn" else {0}):
            yield joined
        joined = ""


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
    quoted = r""""(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'"""
    pair = re.compile(rf"\s*({quoted}|[A-Za-z]\w*):\s*({quoted}),\n?")
    pairs, at = [], 0
    while body[at:].strip():
        found = pair.match(body, at)
        if not found:
            raise ValueError(f"no pair of texts: {body[at : at + 80]!r}")
        pairs.append((unescaped(found[1][1:-1] if found[1][0] in "\"'" else found[1]), unescaped(found[2][1:-1])))
        at = found.end()
    return pairs


def placeholders(text: str) -> set[str]:
    """The names in braces."""
    return set(re.findall(r"\{(\w+)\}", text))


def said_at_load(source: str) -> list[str]:
    """The texts that are translated when a module is loaded, when the language may be another one than later."""
    return [text.value for text in read_texts(source) if text.at_load and text.call in TRANSLATES - {"mark"}]


def shown_texts(source: str) -> Iterator[tuple[int, str]]:
    """The line and the text of each that `is_shown` finds."""
    for text in read_texts(source):
        if is_shown(text):
            yield source.count("\n", 0, text.start) + 1, " ".join(text.value.split())


def said(word: str) -> str:
    """How `say` of words.mjs writes a word of the API."""
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
    tones = re.findall(r"const TONES = \{(.*?)\n\};", found["words.mjs"], re.DOTALL)[0]
    events = re.findall(r'^  "([\w-]+:\w+)"', found["parts/event-words.mjs"], re.MULTILINE)
    return {said(word) for word in {*of_platform, *re.findall(r'"(\w+)"', tones), *events, *checks_words()}}


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
        for line, found in shown_texts(source):
            print(f"{name}:{line}: not translated: {found}")
