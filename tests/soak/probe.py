"""Runs as an agent's command in one of many runs at once: leaves traces of its own, and looks for those of the others.

`python3 probe.py TOKEN SECONDS`. Standard library only: it is copied into the task's repository. Exits 1 and says what
it saw if another run's token can be seen; leaves a process behind that nobody asked to end.
"""

import glob
import http.server
import os
import re
import subprocess
import sys
import threading
import time
import urllib.request

PORT = 18080
"""The same in all runs: each has a loopback of its own."""
TOKEN = re.compile(rb"many-runs-[0-9]+-[0-9a-f]{16}")
SHARED = "/tmp/many-runs"


class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(sys.argv[1].encode())

    def log_message(self, *_arguments: object) -> None:
        """Nobody reads it."""


def read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read(200_000)
    except OSError:
        return b""


def strangers() -> set[str]:
    """Where tokens of other runs can be seen: processes, files in reach, the common port."""
    seen = {f"http://127.0.0.1:{PORT}": urllib.request.urlopen(f"http://127.0.0.1:{PORT}", timeout=30).read()}
    places = ["/proc/[0-9]*/cmdline", "/proc/[0-9]*/environ", SHARED, os.path.expanduser("~/many-runs")]
    # The work directory of the agent, with the clones of its other runs.
    above = os.path.dirname(os.path.dirname(os.getcwd()))
    places += [f"{above}{'/*' * depth}/own-*.txt" for depth in range(5)]
    seen |= {path: read(path) for place in places for path in glob.glob(place)}
    own = sys.argv[1].encode()
    return {path for path, content in seen.items() if set(TOKEN.findall(content)) - {own}}


def main() -> int:
    token, seconds = sys.argv[1], float(sys.argv[2])
    for path in (SHARED, os.path.expanduser("~/many-runs")):
        with open(path, "w", encoding="utf-8") as file:
            file.write(token)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", PORT), Answer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    subprocess.Popen(["sh", "-c", f"sleep 100000; : {token}"], start_new_session=True, stdin=subprocess.DEVNULL,
                     stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # fmt: skip
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        crossed = strangers()
        if crossed:
            print(f"another run can be seen: {sorted(crossed)}")
            return 1
        time.sleep(0.5)
    print("no other run can be seen")
    return 0


if __name__ == "__main__":
    sys.exit(main())
