"""Git notes: a text on a commit that is kept beside the history, so that adding it changes no commit."""

from __future__ import annotations

import tempfile
from pathlib import Path

from common.errors import ProviderUnavailable
from common.providers.forge import git, history
from common.values.names import RECEIPTS_REF


def with_note(path: Path, *, head: str | None, commit: str, text: str) -> str:
    """Return a commit of notes in which `text` is the note of `commit`: head itself if that is so there.

    head: the present commit of notes; None: there are no notes yet. Moves no ref.
    """
    blob = git.run(path, "hash-object", "-w", "--stdin", stdin=text.encode()).line
    with tempfile.TemporaryDirectory(prefix="aiworker-notes-") as folder:
        index = Path(folder, "index")
        if head is not None:
            git.run(path, "read-tree", head, index_path=index)
        # git spreads notes over folders in its own way when it writes them: the note may be at any of these paths.
        others = "".join(
            f"0 {git.ZERO_SHA}\t{place}\n" for place in (commit, f"{commit[:2]}/{commit[2:4]}/{commit[4:]}")
        )
        entry = f"100644 {blob}\t{commit[:2]}/{commit[2:]}\n"
        git.run(path, "update-index", "--add", "--index-info", stdin=(others + entry).encode(), index_path=index)
        tree = git.run(path, "write-tree", index_path=index).line
    if head is not None and history.tree_of(path, head) == tree:
        return head
    parents = () if head is None else ("-p", head)
    return git.run(path, "commit-tree", tree, *parents, stdin=b"Notes added by AiWorker\n").line


def concurrent_write() -> ProviderUnavailable:
    """The error for notes that somebody else has just written: they are to be read again."""
    return ProviderUnavailable(f"{RECEIPTS_REF} was written by somebody else at the same time")
