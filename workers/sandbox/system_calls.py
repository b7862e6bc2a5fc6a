"""The filter of system calls for confined commands: what reaches past namespaces is refused.

Namespaces do not cover the sockets between a virtual machine and its host (AF_VSOCK), the kernel's keyrings, nor typing
into somebody's terminal; io_uring makes sockets past every filter; and a command could take the socket to the process
outside from the sandbox's first program. Everything else is allowed, nested sandboxes included. On an architecture that
is not listed there is no filter.
"""

from __future__ import annotations

import functools
import platform
import struct
from dataclasses import dataclass

_LOAD, _EQUAL, _AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000
_NUMBER_AT, _ARCHITECTURE_AT, _ARGUMENTS_AT = 0, 4, 16
_NOT_PERMITTED, _NO_SUCH_CALL, _NO_SUCH_FAMILY = 1, 38, 97
_VSOCK = 40
_TYPE_INTO_TERMINAL, _CONSOLE = 0x5412, 0x541C
_IO_URING = (425, 426, 427)
_TAKE_DESCRIPTOR = (438,)
_X32 = 0x40000000


@dataclass(frozen=True)
class _Calls:
    """Numbers of system calls of one architecture."""

    architecture: int
    socket: tuple[int, ...]
    ioctl: int
    keys: tuple[int, ...]
    hidden_sockets: tuple[int, ...] = ()


_X86_64 = _Calls(0xC000003E, (41,), 16, (248, 249, 250))
_I386 = _Calls(0x40000003, (359,), 54, (286, 287, 288), (102,))
_ARM64 = _Calls(0xC00000B7, (198,), 29, (217, 218, 219))
_ARM = _Calls(0x40000028, (281,), 54, (309, 310, 311))
_OF_MACHINES = {"x86_64": (_X86_64, _I386), "aarch64": (_ARM64, _ARM)}


@functools.cache
def program() -> bytes | None:
    """The filter for this machine, as an array of `struct sock_filter`; None: there is none for it."""
    known = _OF_MACHINES.get(platform.machine())
    if known is None:
        return None
    code = b""
    for calls in known:
        block = _block(calls)
        code += _step(_LOAD, _ARCHITECTURE_AT) + _step(_EQUAL, calls.architecture, if_not=len(block) // 8) + block
    return code + _step(_RETURN, _ERRNO | _NO_SUCH_CALL)


def _block(calls: _Calls) -> bytes:
    """The rules of one architecture; the last allows."""
    code = _step(_LOAD, _NUMBER_AT)
    if calls is _X86_64:
        code += _step(_AT_LEAST, _X32, if_not=1) + _refuse(_NO_SUCH_CALL)
    for numbers, error in (
        (calls.keys, _NO_SUCH_CALL),
        (_IO_URING, _NO_SUCH_CALL),
        (_TAKE_DESCRIPTOR, _NO_SUCH_CALL),
        (calls.hidden_sockets, _NO_SUCH_CALL),
    ):
        for number in numbers:
            code += _step(_EQUAL, number, if_not=1) + _refuse(error)
    for number in calls.socket:
        code += _on_argument(number, 0, (_VSOCK,), _NO_SUCH_FAMILY)
    code += _on_argument(calls.ioctl, 1, (_TYPE_INTO_TERMINAL, _CONSOLE), _NOT_PERMITTED)
    return code + _step(_RETURN, _ALLOW)


def _on_argument(number: int, position: int, values: tuple[int, ...], error: int) -> bytes:
    """Refuse a call if the lower half of an argument, all that the kernel looks at, is one of the values."""
    checks = b"".join(_step(_EQUAL, value, if_not=1) + _refuse(error) for value in values)
    inner = _step(_LOAD, _ARGUMENTS_AT + 8 * position) + checks + _step(_LOAD, _NUMBER_AT)
    return _step(_EQUAL, number, if_not=len(inner) // 8) + inner


def _refuse(error: int) -> bytes:
    return _step(_RETURN, _ERRNO | error)


def _step(code: int, value: int, *, if_not: int = 0) -> bytes:
    """One instruction. if_not: how many to leave out if a comparison fails."""
    return struct.pack("=HBBI", code, 0, if_not, value)
