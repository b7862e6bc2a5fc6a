"""The least that a WebSocket server has to do in the benchmark, with other libraries.

Each takes two ports: clients' and the publisher's. Every line that the publisher sends goes to all clients; a client's
messages are answered by `{"event":"subscribed"}` when there are two of them, whatever they say. That is less than the
platform does: no token is verified, and nothing comes through Redis or from a database.
"""
