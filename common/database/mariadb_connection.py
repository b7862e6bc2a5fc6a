"""The driver's connection to MariaDB and MySQL, with bounded waits and less work for each result.

The driver is written in Python and takes every column's description apart, for every result. Here they are taken apart
once: the server describes the same columns by the same bytes, which are then compared and skipped.

Each statement waits for its reply, which costs both programs more than most statements do. Those whose replies nobody
waits for are sent together with the next one.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from io import BufferedReader
from typing import TypeAlias, cast

import pymysql.connections
from pymysql.constants import COMMAND
from pymysql.protocol import MysqlPacket

from common.database import wait_budget

CONNECT_SECONDS = 3.0
READ_SECONDS = 30.0
MOST_IDLE_SECONDS = 30
"""How long a transaction may be open with no statement under way. MariaDB then rolls it back and closes its connection:
a process that was stopped amid it, or whose machine is gone, would keep its locks for hours.
"""
_LONGEST_PAUSE_SECONDS = 24 * 3600
_FIRST = 2
"""The number of the packet that describes the first column."""
_MOST_BYTES = 8_000
"""The driver receives no more than 8,192 at once."""
_MOST_KNOWN = 32
_LONGEST_LATER = 2**20
"""Longer statements are sent alone: in the driver's protocol, one of 16 MiB or more has several packets."""
_END_OF_COLUMNS = b"\xfe\x00\x00\x00\x00"


Rows: TypeAlias = Sequence[tuple[object, ...]]
"""What a statement returned; none if it returns nothing."""


ResultCallback: TypeAlias = Callable[[Rows, int], object] | None
"""Called with the rows of a statement and the last id that it made or was told by LAST_INSERT_ID."""


def session_settings(row_wait_seconds: int) -> str:
    """The statement that each connection begins with."""
    return f"SET time_zone='+00:00', innodb_lock_wait_timeout={row_wait_seconds}{_idle_limit(MOST_IDLE_SECONDS)}"


def allow_long_pauses() -> str:
    """The statement after which a connection may be used with long pauses: between statements, also in a transaction,
    and while rows are read.
    """
    return f"SET net_write_timeout={_LONGEST_PAUSE_SECONDS}, wait_timeout={_LONGEST_PAUSE_SECONDS}{_idle_limit(0)}"


def _idle_limit(seconds: int) -> str:
    """The end of a SET. MySQL takes what is for MariaDB alone for a comment."""
    return f" /*M! , idle_transaction_timeout={seconds} */"


@dataclass(frozen=True)
class _QueuedStatement:
    """A statement that is to be sent with the next one."""

    statement: bytes
    then: ResultCallback


class PatientConnection(pymysql.connections.Connection):
    """A connection whose waits count towards the caller's bound (common/database/wait_budget.py)."""

    read_seconds: float | None = READ_SECONDS
    """How long to wait for the server at most, each time. None: as long as the connection lasts, also in a request."""
    _is_reading_result = False
    _is_over = False
    """Whether nothing was sent since a COMMIT or ROLLBACK that the server confirmed: there is nothing to roll back."""
    is_commit_sent = False
    """Whether the last call of `commit` came as far as to send COMMIT."""
    at_commit: Callable[[], None] | None = None
    """Called once, when all statements are answered, before COMMIT is sent."""
    _later: Sequence[_QueuedStatement] = ()
    _head = b""
    """What is sent in front of the next bytes."""
    _sock: socket.socket | None
    _rfile: BufferedReader
    _force_close: Callable[[], None]
    _next_seq_id: int

    def connect(self, sock: socket.socket | None = None) -> None:
        self.connect_timeout = wait_budget.bounded(CONNECT_SECONDS)
        self._read_timeout = self._bound()
        super().connect(sock)

    def _bound(self) -> float | None:
        return None if self.read_seconds is None else wait_budget.bounded(self.read_seconds)

    def query_with_next(self, statement: str, then: ResultCallback) -> bool:
        """Send it with the next statement, in front of it, or before COMMIT. Never sent if ROLLBACK comes first.

        then: called before the next statement returns, if all went well; None: nobody wants the reply. If it fails, the
        next statement raises its error, though the server may have executed that: as after any other error, roll
        back. Returns False, and does nothing, if the statement is too long.
        """
        encoded = statement.encode(self.encoding)
        if len(encoded) > _LONGEST_LATER:
            return False
        self._later = [*self._later, _QueuedStatement(encoded, then)]
        return True

    def query(self, sql: str | bytes, unbuffered: bool = False) -> int:
        return self._query_together(sql, unbuffered) if self._later else super().query(sql, unbuffered)

    def commit(self) -> None:
        self.is_commit_sent = False
        try:
            if self._later:
                # Not with COMMIT, which the server would execute even if one of them failed.
                self._query_together()
            act, self.at_commit = self.at_commit, None
            if act is not None:
                act()
        except BaseException:
            # SQLAlchemy takes a COMMIT that fails for the end of a transaction, and rolls nothing back. What was
            # executed before would be committed by whoever gets the connection next.
            self.rollback()
            raise
        self.is_commit_sent = True
        super().commit()
        self._is_over = True

    def rollback(self) -> None:
        """Nothing to do on a closed connection: the server has rolled back what it had not committed."""
        self._later, self.at_commit = (), None
        if self._sock is not None and not self._is_over:
            super().rollback()
            self._is_over = True

    def _query_together(self, sql: str | bytes | None = None, unbuffered: bool = False) -> int:
        """Send what was to be sent later at once, and the statement, if there is one, with it. Relies on the server,
        which executes the packets that it has received one after the other, and replies to each.
        """
        before, self._later = self._later, ()
        try:
            return self._replies_to(before, sql, unbuffered)
        except pymysql.err.MySQLError:
            raise
        except BaseException:
            # As in _read_query_result: replies may be left.
            self._force_close()
            raise

    def _replies_to(self, before: Sequence[_QueuedStatement], sql: str | bytes | None, unbuffered: bool) -> int:
        failed: Exception | None = None
        found: list[tuple[Rows, int]] = []
        first = before if sql is not None else before[:-1]
        self._head = b"".join([_packet(one.statement) for one in first])
        self._execute_command(COMMAND.COM_QUERY, before[-1].statement if sql is None else sql)
        for _one in before:
            try:
                self._read_query_result()
                assert self._result is not None
                found.append((self._result.rows or (), self._result.insert_id or 0))
            except pymysql.err.MySQLError as error:
                failed = failed or error
                if self._sock is None:
                    raise
            # The reply to each statement is counted anew.
            self._next_seq_id = 1
        try:
            if sql is not None:
                self._affected_rows = cast("int", self._read_query_result(unbuffered))
        except pymysql.err.MySQLError:
            if failed is None or self._sock is None:
                raise
        if failed is not None:
            raise failed
        for one, reply in zip(before, found, strict=True):
            if one.then is not None:
                one.then(*reply)
        return self._affected_rows

    def _execute_command(self, command: int, sql: str | bytes) -> None:
        self._is_over = False
        try:
            super()._execute_command(command, sql)  # type: ignore[misc]
        except pymysql.err.MySQLError:
            raise
        except BaseException:
            # It may have been sent: its reply would be taken for that to the next statement.
            self._force_close()
            raise

    def _write_bytes(self, data: bytes) -> None:
        head, self._head = self._head, b""
        super()._write_bytes(head + data)  # type: ignore[misc]

    def _read_query_result(self, unbuffered: bool = False) -> object:
        # A result is a packet for each column and row: counted once for all of them. Of a server that stops in the
        # midst of a result, the one wait that follows has the bound.
        self._read_timeout = self._bound()
        self._is_reading_result = True
        try:
            with wait_budget.waiting():
                return super()._read_query_result(True) if unbuffered else self._read_buffered()  # type: ignore[misc]
        except pymysql.err.MySQLError:
            raise
        except BaseException:
            # Such as the end of a job's time: what was not read would be taken for the reply to the next statement.
            self._force_close()
            raise
        finally:
            self._is_reading_result = False

    def _read_buffered(self) -> object:
        """As the driver's _read_query_result, with another class of results."""
        self._result = None
        result = _Result(self)
        result.read()
        self._result = result
        if result.server_status is not None:
            self.server_status = result.server_status
        return result.affected_rows

    def _read_packet(self, packet_type: type[MysqlPacket] = MysqlPacket) -> object:
        if self._is_reading_result:
            return super()._read_packet(packet_type)  # type: ignore[no-untyped-call]
        self._read_timeout = self._bound()
        with wait_budget.waiting():
            return super()._read_packet(packet_type)  # type: ignore[no-untyped-call]

    def read_descriptions(self, count: int) -> tuple[MysqlPacket, ...]:
        """The packets that describe the columns of a result."""
        return tuple([super(PatientConnection, self)._read_packet() for _ in range(count)])  # type: ignore[no-untyped-call]

    def skip_known(self, count: int) -> _Described | None:
        """Skip the descriptions of so many columns, if what was received begins with known ones; else read nothing."""
        try:
            ahead = self._rfile.peek()
        except OSError:
            # Reading them fails in the same way, which the driver then reports.
            return None
        # After a packet with their number, descriptions have the numbers from 2 on, as nothing else was asked for.
        for received, described in _known.get(count, ()) if self._next_seq_id == _FIRST else ():
            if ahead.startswith(received):
                self._rfile.read(len(received))
                self._next_seq_id = (_FIRST + count) % 256
                return described
        return None


def _packet(statement: bytes) -> bytes:
    """The statement as the driver sends it."""
    return struct.pack("<iB", len(statement) + 1, COMMAND.COM_QUERY) + statement


class _PacketReplay:
    """Stands for the connection while the driver takes descriptions apart that were read already."""

    def __init__(self, connection: PatientConnection, packets: Iterable[bytes]) -> None:
        self.use_unicode = connection.use_unicode
        self.encoding = connection.encoding
        self.decoders = connection.decoders
        self._packets = iter((*packets, _END_OF_COLUMNS))

    def _read_packet(self, packet_type: type[MysqlPacket] = MysqlPacket) -> MysqlPacket:
        return packet_type(next(self._packets), self.encoding)


class _Result(pymysql.connections.MySQLResult):
    """A result whose columns may be known already."""

    connection: PatientConnection | _PacketReplay | None  # type: ignore[assignment]

    def _get_descriptions(self) -> None:
        connection = self.connection
        assert isinstance(connection, PatientConnection)
        known = connection.skip_known(self.field_count)
        # Nobody changes them: the driver makes new ones for each result.
        self.fields, self.converters, self.description = known or self._described(connection)
        connection._read_packet()

    def _described(self, connection: PatientConnection) -> _Described:
        """Read the descriptions, and keep what they say with the bytes that said it."""
        first = connection._next_seq_id
        packets = [packet.get_all_data() for packet in connection.read_descriptions(self.field_count)]  # type: ignore[no-untyped-call]
        self.connection = _PacketReplay(connection, packets)
        super()._get_descriptions()  # type: ignore[misc]
        self.connection = connection
        described = self.fields, self.converters, self.description
        received = b"".join(
            len(data).to_bytes(3, "little") + (number % 256).to_bytes() + data
            for number, data in enumerate(packets, start=first)
        )
        if first == _FIRST and len(received) <= _MOST_BYTES:
            # A new tuple, as another thread may be going through the present one. It may be known: skip_known sees
            # what has arrived.
            earlier = [one for one in _known.get(self.field_count, ()) if one[0] != received]
            _known[self.field_count] = ((received, described), *earlier[: _MOST_KNOWN - 1])
        return described


_Described: TypeAlias = tuple[object, object, object]
"""What the driver makes of descriptions of columns. As all connections have the same settings, nothing else counts."""
_known: dict[int, tuple[tuple[bytes, _Described], ...]] = {}
"""By the number of columns: what was received, and what it says. The newest come first."""
