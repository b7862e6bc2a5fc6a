// See the package. With uWebSockets.js, on node; its own topics distribute the events.
const net = require("node:net");
const { createInterface } = require("node:readline");
const { App, DISABLED } = require("@trufflesuite/uws-js-unofficial");

const [port, publisherPort] = process.argv.slice(2).map(Number);
const server = App();

server
  .ws("/ws", {
    compression: DISABLED,
    maxBackpressure: 4 * 1024 * 1024,
    idleTimeout: 0,
    open: (socket) => {
      socket.heard = 0;
    },
    message: (socket, text) => {
      JSON.parse(Buffer.from(text).toString());
      socket.heard += 1;
      if (socket.heard === 2) {
        socket.subscribe("events");
        socket.send('{"event":"subscribed"}');
      }
    },
  })
  .listen("127.0.0.1", port, () => {});

net
  .createServer((publisher) => {
    publisher.on("error", () => {});
    createInterface({ input: publisher }).on("line", (line) => server.publish("events", line));
  })
  .listen(publisherPort, "127.0.0.1");
