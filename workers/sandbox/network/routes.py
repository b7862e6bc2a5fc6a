"""Makes networks unreachable in the network namespace that it is started in.

    python3 -I -S routes.py NETWORK ...

NETWORK: such as 169.254.0.0/16. It needs the right to change that namespace, and says on standard error what failed.
"""

import _socket
import sys

_NETLINK, _ROUTE = 16, 0
_NEW_ROUTE = 24
_REQUEST_CREATE_ACKNOWLEDGE = 0x1 | 0x400 | 0x4
_DESTINATION = 1
_MAIN_TABLE, _STATIC, _EVERYWHERE, _UNREACHABLE = 254, 4, 0, 7
_ERROR = 2


def message(network: str, sequence: int) -> bytes:
    """The request of `ip route add unreachable NETWORK`, see rtnetlink(7)."""
    address, _, bits = network.partition("/")
    packed = _socket.inet_aton(address)
    order = sys.byteorder
    route = bytes([_socket.AF_INET, int(bits or 32), 0, 0, _MAIN_TABLE, _STATIC, _EVERYWHERE, _UNREACHABLE]) + bytes(4)
    attribute = (4 + len(packed)).to_bytes(2, order) + _DESTINATION.to_bytes(2, order) + packed
    length = 16 + len(route) + len(attribute)
    head = length.to_bytes(4, order) + _NEW_ROUTE.to_bytes(2, order) + _REQUEST_CREATE_ACKNOWLEDGE.to_bytes(2, order)
    return head + sequence.to_bytes(4, order) + bytes(4) + route + attribute


def main(networks: list[str]) -> int:
    netlink = _socket.socket(_NETLINK, _socket.SOCK_RAW, _ROUTE)
    for sequence, network in enumerate(networks, 1):
        netlink.send(message(network, sequence))
        answer = netlink.recv(4096)
        kind = int.from_bytes(answer[4:6], sys.byteorder)
        error = -int.from_bytes(answer[16:20], sys.byteorder, signed=True)
        if kind == _ERROR and error not in {0, 17}:
            sys.stderr.write(f"{network} can't be made unreachable: error {error}\n")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
