"""A small app with the real hub, the real page, and a long poll: what gunicorn serves in the tests of the sockets."""

from __future__ import annotations

from flask import Flask

from web.page.routes import page
from web.websocket.long_poll import Waiter
from web.websocket.protocol import init_feed

app = Flask(__name__, static_folder=None)
app.register_blueprint(page)
init_feed(app)


@app.get("/poll/<key>")
def poll(key: str) -> dict[str, bool]:
    """Whether `key` was waked within 10 s."""
    with Waiter(key, 10) as waiter:
        looks = 0
        while waiter.wait():
            looks += 1
            if waiter.was_woken:
                return {"woken": True}
    return {"woken": False}
