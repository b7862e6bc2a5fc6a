"""What README, docs/ and deploy/ show to be copied: fenced blocks with their language, and the commands in them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from markdown_it import MarkdownIt

ROOT = Path(__file__).parents[3]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")), *sorted((ROOT / "deploy").rglob("*.md"))]
SCRIPTS = {"bash", "sh"}

_MARKDOWN = MarkdownIt("commonmark").enable("table")
_HEREDOC = re.compile(r"<<-?\s*'?(\w+)'?(.*)\n((?:.*\n)*?)\s*\1\n")
_ENDS = re.compile(r"[();|&]+|[{}!]")
_REDIRECTION = re.compile(r"[<>]+&?")
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=")


@dataclass(frozen=True)
class Block:
    """where: the file and its line. language: the first word after the fence, empty if there is none."""

    where: str
    language: str
    marks: frozenset[str]
    text: str

    @property
    def page(self) -> str:
        return self.where.partition(":")[0]


def blocks() -> list[Block]:
    """Every fenced block, those inside of others and of here documents included."""
    return [block for path in PAGES for block in _blocks(path.relative_to(ROOT).as_posix(), path.read_text("utf-8"))]


def _blocks(page: str, text: str, above: int = 0) -> Iterator[Block]:
    for token in _MARKDOWN.parse(text):
        line = above + (token.map[0] + 1 if token.map else 0)
        if token.type == "code_block":
            yield Block(f"{page}:{line}", "", frozenset(), token.content)
        elif token.type == "fence":
            language, *marks = token.info.split() or [""]
            yield Block(f"{page}:{line}", language, frozenset(marks), token.content)
            if language == "markdown":
                yield from _blocks(page, token.content, line)
            elif language in SCRIPTS:
                for _end, _rest, inside in _HEREDOC.findall(token.content):
                    yield from _blocks(page, inside, line)


def inline_codes() -> Iterator[tuple[str, str]]:
    """The page and the text of each code within a sentence or a cell. Decisions speak of their own time."""
    for path in (path for path in PAGES if path.parent.name != "decisions"):
        for token in _MARKDOWN.parse(path.read_text("utf-8")):
            for child in token.children or ():
                if child.type == "code_inline":
                    yield path.relative_to(ROOT).as_posix(), child.content


def commands(script: str) -> Iterator[list[str]]:
    """The words of every simple command: those before and after a pipe, and those inside of `$(…)`, are their own."""
    joined = _HEREDOC.sub(r"\2\n", script if script.endswith("\n") else f"{script}\n").replace("\\\n", " ")
    lexer = shlex.shlex(_one_line(joined), posix=True, punctuation_chars=True)
    lexer.whitespace_split, lexer.commenters = True, ""
    words: list[str] = []
    is_file = False
    for word in lexer:
        if _ENDS.fullmatch(word):
            if words:
                yield words
            words = []
        elif not is_file and not _REDIRECTION.fullmatch(word):
            words.append(word)
        is_file = _REDIRECTION.fullmatch(word) is not None


def _one_line(script: str) -> str:
    """The script without comments, a semicolon for each end of a line that is not within quotes."""
    kept: list[str] = []
    quote = ""
    is_comment = False
    for before, sign in zip(f"\n{script}", script, strict=False):
        is_comment = (is_comment and sign != "\n") or (sign == "#" and not quote and before.isspace())
        if is_comment:
            continue
        if sign in {"'", '"'}:
            quote = "" if quote == sign else quote or sign
        kept.append(" ; " if sign == "\n" and not quote else sign)
    assert not quote, script
    return "".join(kept)


def program(words: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    """The variables that are set in front of a command, and the command."""
    count = next((at for at, word in enumerate(words) if not _ASSIGNMENT.match(word)), len(words))
    return dict(word.split("=", 1) for word in words[:count]), list(words[count:])
