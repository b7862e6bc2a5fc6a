"""See the package. With picows, on uvloop."""

import asyncio
import json
import sys

import uvloop
from picows import WSFrame, WSListener, WSMsgType, WSTransport, WSUpgradeRequest, ws_create_server

clients: set[WSTransport] = set()


class Client(WSListener):
    def on_ws_connected(self, transport: WSTransport) -> None:
        self.heard = 0

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type != WSMsgType.TEXT:
            return
        json.loads(frame.get_payload_as_utf8_text())
        self.heard += 1
        if self.heard == 2:
            clients.add(transport)
            transport.send(WSMsgType.TEXT, b'{"event":"subscribed"}')

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        clients.discard(transport)


def client(_request: WSUpgradeRequest) -> Client:
    return Client()


async def publish(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    while line := await reader.readline():
        text = line[:-1]
        for transport in clients:
            transport.send(WSMsgType.TEXT, text)


async def main(port: int, publisher_port: int) -> None:
    await asyncio.start_server(publish, "127.0.0.1", publisher_port)
    server = await ws_create_server(client, "127.0.0.1", port, backlog=2048)
    await server.serve_forever()


uvloop.run(main(int(sys.argv[1]), int(sys.argv[2])))
