"""A file server for repositories that are just a website: `python static.py <directory>`, on HOST and PORT.

It is a child like any other, run by its path with an isolated interpreter. It lists no directories and serves nothing
whose name starts with a dot (.git!), but for .well-known, and nothing that a link leads to outside the directory.
"""

from __future__ import annotations

import functools
import http.server
import mimetypes
import os
import sys
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

TYPES = {
    ".js": "text/javascript",
    ".mjs": "text/javascript",
    ".json": "application/json",
    ".map": "application/json",
    ".wasm": "application/wasm",
    ".svg": "image/svg+xml",
    ".webp": "image/webp",
    ".woff2": "font/woff2",
    ".webmanifest": "application/manifest+json",
    ".md": "text/markdown",
}


class Site(http.server.BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    server_version = "aiworker-static"
    sys_version = ""
    timeout = 60
    # Head and body are two writes: with Nagle's algorithm the second would wait some 40 ms for the first one's receipt.
    disable_nagle_algorithm = True

    def __init__(self, *arguments: Any, root: Path) -> None:
        self._root = root
        super().__init__(*arguments)

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def _answer(self, *, with_body: bool) -> None:
        path = unquote(urlsplit(self.path).path)
        names = [name for name in path.split("/") if name]
        if "\0" in path or any(name.startswith(".") and name != ".well-known" for name in names):
            self.send_error(404)
            return
        file = self._root.joinpath(*names).resolve()
        if not file.is_relative_to(self._root):
            self.send_error(404)
            return
        if file.is_dir() and not path.endswith("/"):
            self._redirect("/" + "/".join(urlsplit(self.path).path.strip("/").split("/")) + "/")
            return
        self._send(file / "index.html" if path.endswith("/") else file, with_body)

    def _redirect(self, to: str) -> None:
        self.send_response(301)
        self.send_header("Location", to)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _send(self, file: Path, with_body: bool) -> None:
        try:
            body = file.read_bytes()
        except OSError:
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Type", content_type(file))
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-cache")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.end_headers()
        if with_body:
            self.wfile.write(body)


def content_type(file: Path) -> str:
    """The media type by the name's ending, with the charset where it is text."""
    kind = TYPES.get(file.suffix.lower()) or mimetypes.guess_type(file.name)[0] or "application/octet-stream"
    is_text = kind.startswith("text/") or kind in {"application/json", "image/svg+xml", "application/manifest+json"}
    return f"{kind}; charset=utf-8" if is_text else kind


def main() -> None:
    root = Path(sys.argv[1]).resolve()
    address = (os.environ.get("HOST", "127.0.0.1"), int(os.environ["PORT"]))
    with http.server.ThreadingHTTPServer(address, functools.partial(Site, root=root)) as server:
        server.serve_forever()


if __name__ == "__main__":
    main()
