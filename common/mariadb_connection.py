"""The driver's connection to MariaDB and MySQL, with bounded waits and less work for each result.

The driver is written in Python and takes every column's description apart, for every result. Here they are taken apart
once: the server describes the same columns by the same bytes, which are then compared and skipped.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable
from io import BufferedReader
from typing import TypeAlias

import pymysql.connections
from pymysql.protocol import MysqlPacket

from common.machine import patience

CONNECT_SECONDS = 3.0
READ_SECONDS = 30.0
_FIRST = 2
"""The number of the packet that describes the first column."""
_MOST_BYTES = 8_000
"""The driver receives no more than 8,192 at once."""
_MOST_KNOWN = 32
_END_OF_COLUMNS = b"\xfe\x00\x00\x00\x00"


class PatientConnection(pymysql.connections.Connection):
    """A connection whose waits count towards the caller's bound (common/machine/patience.py)."""

    _is_reading_result = False
    _rfile: BufferedReader
    _next_seq_id: int

    def connect(self, sock: socket.socket | None = None) -> None:
        self.connect_timeout = patience.bounded(CONNECT_SECONDS)
        self._read_timeout = patience.bounded(READ_SECONDS)
        super().connect(sock)

    def _read_query_result(self, unbuffered: bool = False) -> object:
        # A result is a packet for each column and row: counted once for all of them. Of a server that stops in the
        # midst of a result, the one wait that follows has the bound.
        self._read_timeout = patience.bounded(READ_SECONDS)
        self._is_reading_result = True
        try:
            with patience.waiting():
                return super()._read_query_result(True) if unbuffered else self._read_buffered()  # type: ignore[misc]
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
        self._read_timeout = patience.bounded(READ_SECONDS)
        with patience.waiting():
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


class _Told:
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

    connection: PatientConnection | _Told | None  # type: ignore[assignment]

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
        self.connection = _Told(connection, packets)
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
