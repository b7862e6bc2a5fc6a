"""The program of a hostile repository: it looks for all that it must not find, and says what it found.

    python3 hostile_program.py WANTED

WANTED: a JSON file with `paths` to read, `sockets` (Unix) and `addresses` to connect to, and `pids` to kill. It prints
one line `{"environ": …, "found": [what it reached]}` and goes on as an honest program: `serve` answers with that line,
anything else exits with 0. It runs alone in a checkout, so it imports only the standard library.
"""

from __future__ import annotations

import http.server
import json
import os
import signal
import socket
import sys
from pathlib import Path

CONNECT_SECONDS = 3.0


def read(path: str) -> list[str]:
    """What lies at the path, also behind a link that is made to it."""
    found = []
    link = Path("way")
    link.unlink(missing_ok=True)
    link.symlink_to(path)
    for place in (Path(path), link, Path("/proc/1/root") / path.lstrip("/"), Path("/proc/self/cwd/..") / path):
        try:
            content = os.listdir(place) if place.is_dir() else place.read_bytes().decode("utf-8", "replace")
        except OSError:
            continue
        found.append(f"read {path}: {content}")
    return found


def connect(address: list[object]) -> list[str]:
    host, port = str(address[0]), int(str(address[1]))
    try:
        socket.create_connection((host, port), CONNECT_SECONDS).close()
    except OSError:
        return []
    return [f"connected to {host}:{port}"]


def open_socket(path: str) -> list[str]:
    found = []
    for name in (path, "\0" + path):
        with socket.socket(socket.AF_UNIX) as client:
            try:
                client.connect(name)
            except OSError:
                continue
            found.append(f"opened {name!r}")
    return found


def kill(pid: int) -> list[str]:
    """Its number may be one of the sandbox's own processes: only one that is not ours counts."""
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
        if "workers.supervisor" not in command:
            return []
        os.kill(pid, signal.SIGKILL)
    except OSError:
        return []
    return [f"killed {pid}"]


def neighbours() -> list[str]:
    """Whatever of other processes can be read."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        for name in ("environ", "cmdline"):
            try:
                found.append((folder / name).read_bytes().replace(b"\0", b" ").decode("utf-8", "replace"))
            except OSError:
                continue
    return found


def main() -> None:
    wanted = json.loads(Path(sys.argv[1]).read_text())
    found = [line for path in wanted["paths"] for line in read(path)]
    found += [line for path in wanted["sockets"] for line in open_socket(path)]
    found += [line for address in wanted["addresses"] for line in connect(address)]
    found += [line for pid in wanted["pids"] for line in kill(pid)]
    answer = json.dumps({"environ": dict(os.environ), "found": found, "neighbours": neighbours()})
    print(answer, flush=True)
    if sys.argv[2:] != ["serve"]:
        return

    class Honest(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(answer.encode())

        def log_message(self, *arguments: object) -> None:
            """Nothing is logged."""

    http.server.ThreadingHTTPServer(("0.0.0.0", int(os.environ["PORT"])), Honest).serve_forever()


if __name__ == "__main__":
    main()
