"""An app of this process, served on a port."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from werkzeug.serving import WSGIRequestHandler, make_server

from tests.long_waits import LONG_WAIT_SECONDS

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication


class _Quiet(WSGIRequestHandler):
    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002 (the base's own name)
        """Nothing: a test's output is the test's."""


@contextlib.contextmanager
def served(app: WSGIApplication, port: int = 0, *, waits: bool = True) -> Iterator[int]:
    """The port on which the app answers; 0 chooses a free one.

    waits: at the end, wait for requests that are still answered. A client that has all it wants is done a moment before
    the app is, which may still write to a database that the next test does not expect it in. False: for browsers,
    which open connections and then send nothing.
    """
    server = make_server("127.0.0.1", port, app, threaded=True, request_handler=_Quiet)
    server.daemon_threads = not waits  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join(LONG_WAIT_SECONDS)
        server.server_close()
