"""A git repository that exists already, with a history, served over HTTP as any static host serves it."""

from __future__ import annotations

import contextlib
import functools
import http.server
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

from tests.providers.git_work_tree import git

APP = '''\
"""A page that says what greeting.txt says."""
import http.server, os, pathlib


class Page(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self):
        body = pathlib.Path(__file__).with_name("greeting.txt").read_bytes()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    server = http.server.ThreadingHTTPServer((os.environ["HOST"], int(os.environ["PORT"])), Page)
    server.serve_forever()
'''
TESTS = """\
import pathlib, unittest


class Greeting(unittest.TestCase):
    def test_it_greets(self):
        self.assertTrue(pathlib.Path("greeting.txt").read_text().strip())
"""
HISTORY: list[tuple[str, Mapping[str, str]]] = [
    ("Say hello", {"greeting.txt": "hello\n"}),
    ("Serve it", {"app.py": APP, "Procfile": "web: python3 app.py\n"}),
    ("Test it", {"test_greeting.py": TESTS, ".gitignore": "__pycache__/\n"}),
]


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_arguments: object) -> None:
        """Nobody reads it."""


@contextlib.contextmanager
def served_repository(folder: Path, more: Mapping[str, str] | None = None) -> Iterator[str]:
    """The address of a repository with HISTORY, for as long as the context lasts. more: files of one more commit."""
    tree = folder / "origin"
    git("init", "--quiet", "--initial-branch=main", str(tree))
    for message, files in [*HISTORY, *([("Add more", more)] if more else [])]:
        for name, text in files.items():
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            (tree / name).write_text(text)
        git("add", "--all", at=tree)
        git("commit", "--quiet", "--message", message, at=tree)
    git("clone", "--quiet", "--bare", str(tree), str(folder / "origin.git"))
    git("update-server-info", at=folder / "origin.git")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/origin.git"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
