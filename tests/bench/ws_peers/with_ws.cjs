// See the package. With `ws`, on node.
const net = require("node:net");
const { createInterface } = require("node:readline");
const { WebSocketServer } = require("ws");

const [port, publisherPort] = process.argv.slice(2).map(Number);
const server = new WebSocketServer({ host: "127.0.0.1", port, perMessageDeflate: false, backlog: 2048 });
const clients = new Set();

server.on("connection", (socket) => {
  let heard = 0;
  socket.on("message", (text) => {
    JSON.parse(text);
    heard += 1;
    if (heard === 2) {
      clients.add(socket);
      socket.send('{"event":"subscribed"}');
    }
  });
  socket.on("close", () => clients.delete(socket));
  socket.on("error", () => clients.delete(socket));
});

net
  .createServer((publisher) => {
    publisher.on("error", () => {});
    createInterface({ input: publisher }).on("line", (line) => {
      const frame = Buffer.from(line);
      for (const socket of clients) {
        socket.send(frame, { binary: false });
      }
    });
  })
  .listen(publisherPort, "127.0.0.1");
