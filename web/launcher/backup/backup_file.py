"""The file of a backup: one line that says what it is, and an encrypted stream.

    AIWORKER-BACKUP\\n
    {"format": 1, "version": …, "schema": …, "created_at": …, "database": …,
     "salt": …, "check": …}\\n
    chunks: 4 bytes of length (big-endian), then the chunk, encrypted by AES-256-GCM

The key is derived from the passphrase by scrypt with the salt. A chunk's nonce is its number and whether it is the last
one, and the first two lines are authenticated with each: a file that was changed, cut or put together anew is refused.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from dataclasses import asdict, dataclass
from typing import IO

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from common.errors import Misconfigured

FORMAT = 1
SHORTEST_PASSPHRASE = 8
CHUNK_BYTES = 2**20
_MAGIC = b"AIWORKER-BACKUP\n"
_LONGEST_HEADER = 65536
_TAG_BYTES = 16


@dataclass(frozen=True)
class Heading:
    """What a backup says of itself. schema: the database's revision. created_at: ISO 8601, UTC. database: the kind."""

    version: str
    schema: str
    created_at: str
    database: str


class BackupWriter:
    """Encrypts what is written to it. Call `close` at the end: without it, the file counts as cut.

    size: how many bytes are in the file so far.
    """

    def __init__(self, file: IO[bytes], heading: Heading, passphrase: str) -> None:
        salt = secrets.token_bytes(16)
        key, check = _derived(passphrase, salt)
        header = {"format": FORMAT, **asdict(heading), "salt": salt.hex(), "check": check}
        self._first = _MAGIC + json.dumps(header).encode() + b"\n"
        self._file, self._cipher, self._number, self._waiting = file, AESGCM(key), 0, bytearray()
        file.write(self._first)
        self.size = len(self._first)

    def write(self, content: bytes) -> int:
        self._waiting += content
        while len(self._waiting) > CHUNK_BYTES:
            self._put(bytes(self._waiting[:CHUNK_BYTES]), is_last=False)
            del self._waiting[:CHUNK_BYTES]
        return len(content)

    def close(self) -> None:
        self._put(bytes(self._waiting), is_last=True)

    def _put(self, chunk: bytes, *, is_last: bool) -> None:
        sealed = self._cipher.encrypt(_nonce(self._number, is_last=is_last), chunk, self._first)
        self._file.write(len(sealed).to_bytes(4, "big") + sealed)
        self.size += 4 + len(sealed)
        self._number += 1


class BackupReader:
    """Decrypts a backup from its beginning. Raises Misconfigured for a file that is none, and a wrong passphrase."""

    def __init__(self, file: IO[bytes], passphrase: str) -> None:
        file.seek(0)
        self.heading, self._first, salt, check = _read_header(file)
        key, right = _derived(passphrase, salt)
        if not hmac.compare_digest(check, right):
            raise Misconfigured("the passphrase is not the one of this backup")
        self._file, self._cipher, self._number = file, AESGCM(key), 0
        self._waiting, self._is_over = b"", False

    def read(self, size: int) -> bytes:
        """Up to `size` bytes; none at the end. Misconfigured if the file is damaged or cut."""
        while not self._waiting and not self._is_over:
            self._waiting = self._next()
        content, self._waiting = self._waiting[:size], self._waiting[size:]
        return content

    def require_end(self) -> None:
        """Read the rest. Misconfigured if the file is damaged, cut, or goes on after its end."""
        while self.read(CHUNK_BYTES):
            pass
        if self._file.read(1):
            raise _damaged()

    def _next(self) -> bytes:
        length = int.from_bytes(self._exactly(4), "big")
        if not _TAG_BYTES <= length <= CHUNK_BYTES + _TAG_BYTES:
            raise _damaged()
        sealed = self._exactly(length)
        for is_last in (False, True):
            try:
                chunk = self._cipher.decrypt(_nonce(self._number, is_last=is_last), sealed, self._first)
            except InvalidTag:
                continue
            self._number, self._is_over = self._number + 1, is_last
            return chunk
        raise _damaged()

    def _exactly(self, size: int) -> bytes:
        content = self._file.read(size)
        if len(content) < size:
            raise Misconfigured("the backup is cut: its end is missing; copy it again, or take an older one")
        return content


def read_heading(file: IO[bytes]) -> Heading:
    """What the file says of itself, which is not checked without the passphrase. Raises Misconfigured."""
    return _read_header(file)[0]


def _read_header(file: IO[bytes]) -> tuple[Heading, bytes, bytes, str]:
    """The heading, the first two lines, the salt, and the check of the passphrase."""
    magic, line = file.read(len(_MAGIC)), file.readline(_LONGEST_HEADER)
    if magic != _MAGIC:
        raise Misconfigured("this is no backup of AiWorker")
    try:
        header = json.loads(line)
        made_by, number = str(header.get("version")), header["format"]
    except (ValueError, KeyError, AttributeError) as error:
        raise _damaged() from error
    if number != FORMAT:
        raise Misconfigured(f"the backup has format {number} of version {made_by}; this version reads format {FORMAT}")
    try:
        heading = Heading(**{name: str(header[name]) for name in Heading.__dataclass_fields__})
        return heading, magic + line, bytes.fromhex(header["salt"]), str(header["check"])
    except (ValueError, KeyError, TypeError) as error:
        raise _damaged() from error


def _derived(passphrase: str, salt: bytes) -> tuple[bytes, str]:
    """The key, and what shows that the passphrase is right without telling the key."""
    both = hashlib.scrypt(passphrase.encode(), salt=salt, n=2**15, r=8, p=1, maxmem=2**26, dklen=64)
    return both[:32], both[32:].hex()


def _nonce(number: int, *, is_last: bool) -> bytes:
    return number.to_bytes(11, "big") + bytes([is_last])


def _damaged() -> Misconfigured:
    return Misconfigured("the backup is damaged; copy it again, or take an older one")
