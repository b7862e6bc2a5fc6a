"""What a push over HTTP may cost, and what git does after it."""

from __future__ import annotations

import os
import time
import zlib
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from common.providers.forge import BareForge
from tests.providers.git_tree import WorkTree, git
from tests.providers.test_forge_http import SHOP, Server, get, running

pytestmark = pytest.mark.slow


@pytest.fixture
def forge(tmp_path: Path) -> BareForge:
    forge = BareForge(tmp_path / "root", public_url="http://x", internal_url="http://x", import_allow=())
    forge.ensure_repository(SHOP, default_branch="main", description="A shop", import_url=None)
    return forge


@pytest.fixture(params=["threads", "gevent"])
def server(request: pytest.FixtureRequest, forge: BareForge, tmp_path: Path) -> Iterator[Server]:
    with running(request.param, tmp_path, max_bytes=100 * 2**20) as (process, port):
        yield Server(process, port, tmp_path.name)


def test_a_small_push_that_unpacks_to_gibibytes_is_unpacked_up_to_the_limit(server: Server, forge: BareForge) -> None:
    """Its pack is 8 GiB of zeros. The server takes 100 MiB, so it needs little of the CPU that unpacking all takes."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    command = f"{'0' * 40} {'1' * 40} refs/heads/x\0report-status side-band-64k".encode()
    start = packer.compress(f"{len(command) + 4:04x}".encode() + command + b"0000") + packer.flush(zlib.Z_FULL_FLUSH)
    # The blocks are alike from the second on: each refers to nothing before it.
    _, zeros = (packer.compress(bytes(2**26)) + packer.flush(zlib.Z_FULL_FLUSH) for _ in range(2))

    began = time.process_time()
    unpacker = zlib.decompressobj(31)
    unpacker.decompress(start)
    for _ in range(8):
        unpacker.decompress(zeros)
    all_seconds = (time.process_time() - began) * 128 / 8

    def used_seconds() -> float:
        process = psutil.Process(server.process.pid)
        return sum(sum(each.cpu_times()[:2]) for each in {process, *process.children()} - set(server.backends()))

    assert get(server.url("judged") + "/info/refs?service=git-receive-pack")[0] == 200
    before = used_seconds()

    status, _answer = get(
        server.url("judged") + "/git-receive-pack",
        body=start + zeros * 128,
        headers={"Content-Type": "application/x-git-receive-pack-request", "Content-Encoding": "gzip"},
    )

    assert status == 200
    assert used_seconds() - before < all_seconds / 3
    assert forge.read_head(SHOP, "x") is None


def test_packing_after_a_push_removes_no_object(server: Server, forge: BareForge, tmp_path: Path) -> None:
    """A backup may still be copying what a branch named that has gone since."""
    repository = forge.repository_path(SHOP)
    work = WorkTree(tmp_path / "work", server.url("person"))
    gone = work.commit({"a": "a"}, on="feature")
    work.push("feature")
    git("update-ref", "-d", "refs/heads/feature", at=repository)
    for number in range(2):
        git("repack", "--quiet", at=repository)
        work.commit({"b": str(number)}, on="main")
        work.push("main")
    git("repack", "--quiet", at=repository)
    git("config", "gc.autoPackLimit", "1", at=repository)
    git("config", "gc.autoDetach", "false", at=repository)
    for path in repository.glob("objects/**/*"):
        os.utime(path, (1, 1))
    last = work.commit({"b": "2"}, on="main")

    work.push("main")

    assert not (repository / "objects" / last[:2] / last[2:]).exists()  # it is packed
    git("cat-file", "-e", f"{gone}^{{tree}}", at=repository)
