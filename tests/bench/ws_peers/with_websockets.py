"""See the package. With `websockets`, on asyncio."""

import asyncio
import json
import sys

from websockets.asyncio.server import ServerConnection, broadcast, serve

clients: set[ServerConnection] = set()


async def hear(client: ServerConnection) -> None:
    for _message in range(2):
        json.loads(await client.recv())
    clients.add(client)
    await client.send('{"event":"subscribed"}')
    try:
        await client.wait_closed()
    finally:
        clients.discard(client)


async def publish(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    while line := await reader.readline():
        broadcast(clients, line[:-1].decode())


async def main(port: int, publisher_port: int) -> None:
    await asyncio.start_server(publish, "127.0.0.1", publisher_port)
    async with serve(hear, "127.0.0.1", port, compression=None, ping_interval=None, backlog=2048) as server:
        await server.serve_forever()


asyncio.run(main(int(sys.argv[1]), int(sys.argv[2])))
