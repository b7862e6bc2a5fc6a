"""See the package. The limit: nothing but one system call for each delivery, on sockets without a library."""

import base64
import hashlib
import selectors
import socket
import sys

KEY_END = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
"""Of a handshake: RFC 6455, 1.3."""

waiting = selectors.DefaultSelector()
clients: list[socket.socket] = []


def frame(text: bytes) -> bytes:
    length = bytes([len(text)]) if len(text) < 126 else b"\x7e" + len(text).to_bytes(2, "big")
    return b"\x81" + length + text


class Client:
    """Opens with a handshake and two short messages."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.data = b""
        self.is_open = False
        self.messages = 0

    def read(self) -> None:
        found = self.connection.recv(65_536)
        self.data += found
        if not found:
            waiting.unregister(self.connection)
            if self.connection in clients:
                clients.remove(self.connection)
        elif not self.is_open and b"\r\n\r\n" in self.data:
            head, self.data = self.data.split(b"\r\n\r\n", 1)
            self.shake_hands(head)
        while self.is_open and self.messages < 2 and len(self.data) > 1 and len(self.data) >= 6 + self.data[1] % 128:
            self.data = self.data[6 + self.data[1] % 128 :]
            self.messages += 1
            if self.messages == 2:
                clients.append(self.connection)
                self.connection.send(frame(b'{"event":"subscribed"}'))

    def shake_hands(self, head: bytes) -> None:
        lines = (line.split(b": ", 1) for line in head.split(b"\r\n")[1:])
        key = next(line[1] for line in lines if line[0].lower() == b"sec-websocket-key")
        accepted = base64.b64encode(hashlib.sha1(key.strip() + KEY_END).digest())
        reply = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        self.connection.send(reply + b"Sec-WebSocket-Accept: " + accepted + b"\r\n\r\n")
        self.is_open = True


class Publisher:
    """Sends events, each a line."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.rest = b""

    def read(self) -> None:
        found = self.connection.recv(1_000_000)
        if not found:
            waiting.unregister(self.connection)
        *events, self.rest = (self.rest + found).split(b"\n")
        for event in events:
            written = frame(event)
            for client in clients:
                client.send(written)


def main(port: int, publisher_port: int) -> None:
    kinds = {}
    for number, kind in ((port, Client), (publisher_port, Publisher)):
        listener = socket.create_server(("127.0.0.1", number), backlog=2048)
        waiting.register(listener, selectors.EVENT_READ)
        kinds[listener] = kind
    while True:
        for ready, _events in waiting.select():
            if ready.data is None:
                connection, _address = ready.fileobj.accept()
                waiting.register(connection, selectors.EVENT_READ, kinds[ready.fileobj](connection))
            else:
                ready.data.read()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
