"""The files that people added to a task, as files beside the clone for the agent to read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath

from common.errors import NotFound, ProviderRefused
from common.machine.files import replace_file
from common.values.runs.claimed_run import ClaimedAttachment
from workers.runner.platform_client.client import RunApi


def download(
    api: RunApi, attachments: Sequence[ClaimedAttachment], folder: Path, *, add_text: Callable[[str], None]
) -> None:
    """Write the attachments into the folder. One that the platform no longer has is left out, and said."""
    if attachments:
        folder.mkdir(mode=0o700, exist_ok=True)
    for attachment in attachments:
        try:
            content = api.read_attachment(attachment.id)
        except (NotFound, ProviderRefused) as error:
            add_text(f"The attachment {attachment.name} is missing: {error}")
            continue
        replace_file(folder / file_name(attachment), content, is_synced=False)


def file_name(attachment: ClaimedAttachment) -> str:
    """Its name as a name in a folder: the platform's, unless it would lead elsewhere."""
    name = PurePosixPath(attachment.name.replace("\0", "")).name
    return name if name not in {"", ".", ".."} else f"file-{PurePosixPath(attachment.id).name}"
