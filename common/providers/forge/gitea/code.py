"""Branches, tags, notes and merges of a repository on Gitea: computed in its mirror, published by one atomic push."""

from __future__ import annotations

from common.errors import ProviderRefused, ProviderUnavailable
from common.providers.forge import history, notes
from common.providers.forge.forge_protocol import MergeConflict, Merged
from common.providers.forge.gitea.mirror import Mirror
from common.providers.forge.gitea.protection import Protection
from common.values.names import RECEIPTS_REF, is_platform_branch


class Code:
    """The methods of the Forge protocol that move refs, on full refs. See the protocol for what they guarantee."""

    def __init__(self, mirror: Mirror, protection: Protection) -> None:
        self._mirror = mirror
        self._protection = protection

    def ensure_branch(self, ref: str, *, at: str) -> str:
        head = self._mirror.read_head(ref)
        if head is not None:
            return head
        commit = self._mirror.commit(at)
        head = commit if self._mirror.move(ref, new=commit, old=None) else self._mirror.read_head(ref)
        if head is None:
            raise ProviderUnavailable(f"the branch {_name(ref)} was deleted while it was being created")
        return head

    def advance(self, ref: str, *, old: str | None, new: str, force: bool, is_default: bool) -> None:
        new = self._mirror.commit(new)
        head = self._mirror.read_head(ref)
        if head == new:
            return
        if force and is_default:
            raise ProviderRefused(f"the default branch {_name(ref)} can't be moved by force", code="not_fast_forward")
        if head != old:
            raise history.head_moved(_name(ref), head, old)
        is_forward = head is None or self._has(ancestor=head, head=new)
        if not is_forward and not force:
            raise ProviderRefused(f"{new} does not contain {head}, the head of {_name(ref)}", code="not_fast_forward")
        if not self._move(ref, new=new, old=head):
            found = self._mirror.read_head(ref)
            if found != new:
                raise history.head_moved(_name(ref), found, old)

    def ensure_tag(self, ref: str, *, at: str) -> None:
        commit = self._mirror.commit(at)
        found = self._mirror.read_head(ref)
        if found is None and not self._mirror.move(ref, new=commit, old=None):
            found = self._mirror.read_head(ref)
        if found not in {None, commit}:
            raise ProviderRefused(f"the tag {_name(ref)} points at {found}, not at {commit}", code="tag_moved")

    def ensure_note(self, *, commit: str, text: str) -> None:
        commit, head = self._mirror.commit(commit), self._mirror.read_head(RECEIPTS_REF)
        if head is not None:
            self._mirror.commit(head)
        new = notes.with_note(self._mirror.path, head=head, commit=commit, text=text)
        if new != head and not self._mirror.move(RECEIPTS_REF, new=new, old=head):
            raise notes.concurrent_write()

    def merge(self, ref: str, *, commit: str, expected_head: str, message: str) -> Merged | MergeConflict:
        path, commit = self._mirror.path, self._mirror.commit(commit)
        head = self._mirror.commit(self._mirror.required_head(ref))
        made = history.merge(
            path, branch=_name(ref), head=head, commit=commit, expected_head=expected_head, message=message
        )
        if not isinstance(made, str):
            return made
        if not self._mirror.move(ref, new=made, old=head):
            raise history.head_moved(_name(ref), self._mirror.read_head(ref), expected_head)
        return Merged(made)

    def _has(self, *, ancestor: str, head: str) -> bool:
        return history.contains(self._mirror.path, ancestor=self._mirror.commit(ancestor), head=head)

    def _move(self, ref: str, *, new: str, old: str | None) -> bool:
        """As Mirror.move. If a protection rule of the platform's own forbids the push, it is removed for the push."""
        try:
            return self._mirror.move(ref, new=new, old=old)
        except ProviderRefused as error:
            if error.code != "protected" or not is_platform_branch(_name(ref)):
                raise
        self._protection.lift(_name(ref))
        try:
            return self._mirror.move(ref, new=new, old=old)
        finally:
            self._protection.ensure_platform_rules((_name(ref),))


def _name(ref: str) -> str:
    return ref.removeprefix("refs/heads/").removeprefix("refs/tags/")
