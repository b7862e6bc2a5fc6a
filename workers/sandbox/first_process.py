"""The first program in a sandbox. It opens the ports that lead out, hands them out, and becomes the command.

    python3 -I -S first_process.py CONTROL ENVIRON PORTS PROCESSES FILE_BYTES DIALS COMMAND ...

CONTROL: number of a Unix socket (SOCK_SEQPACKET) to the process outside. ENVIRON: number of a file with the command's
environment, so that no variable of it, such as LD_PRELOAD, acts on a program outside. PORTS: ports of loopback to
listen on, separated by commas. PROCESSES, FILE_BYTES: resource limits; 0: none. DIALS: 1 or 0.

It sends `+` and the listening sockets (or `-` and a reason), and starts the command on `+`; after anything else it ends
with FAILED. With DIALS it stays as the command's parent and answers each `d` with unconnected
sockets of this network. It imports only small modules in C, because it delays every command.
"""

import _signal  # type: ignore[import-not-found]  # signal itself loads much more
import _socket
import posix
import resource
import select
import sys

FAILED = 125
SOCKETS_AT_ONCE = 16
_RESET = (_signal.SIGHUP, _signal.SIGINT, _signal.SIGQUIT, _signal.SIGTERM, _signal.SIGUSR1, _signal.SIGUSR2,
          _signal.SIGPIPE, _signal.SIGXFSZ)  # fmt: skip
_BACKLOG = 128


def main(arguments: list[str]) -> None:
    control_fd, environ_fd, ports, processes, file_bytes, dials, *command = arguments
    control = _socket.socket(_socket.AF_UNIX, _socket.SOCK_SEQPACKET, 0, int(control_fd))
    posix.set_inheritable(control.fileno(), False)
    environ = _read_environ(int(environ_fd))
    _hand_out(control, [int(port) for port in ports.split(",") if port])
    _limit(int(processes), int(file_bytes))
    if dials == "1":
        _stay(control, command, environ)
    _become(command, environ)


def _read_environ(descriptor: int) -> dict[bytes, bytes]:
    text = b""
    while piece := posix.pread(descriptor, 1 << 20, len(text)):
        text += piece
    posix.close(descriptor)
    return dict(pair.split(b"=", 1) for pair in text.split(b"\0") if pair)


def _hand_out(control: _socket.socket, ports: list[int]) -> None:
    listening = []
    for port in ports:
        listener = _socket.socket(_socket.AF_INET, _socket.SOCK_STREAM)
        try:
            listener.setsockopt(_socket.SOL_SOCKET, _socket.SO_REUSEADDR, 1)
            listener.bind(("127.0.0.1", port))
        except OSError as error:
            reason = f"port {port} can't be opened in the sandbox: {error.strerror}"
            control.send(b"-" + reason.encode())
            _fail(reason)
        listener.listen(_BACKLOG)
        listening.append(listener)
    try:
        _send(control, b"+", listening)
        answer = control.recv(4096)
    except OSError as error:
        answer = f"-{error.strerror}".encode()
    if answer != b"+":
        _fail(answer[1:].decode("utf-8", "replace") or "the process that started it has gone")
    for listener in listening:
        listener.close()


def _send(control: _socket.socket, message: bytes, sockets: list[_socket.socket]) -> None:
    numbers = b"".join(one.fileno().to_bytes(4, sys.byteorder) for one in sockets)
    control.sendmsg([message], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, numbers)] if sockets else [])


def _limit(processes: int, file_bytes: int) -> None:
    if not processes and not file_bytes:
        return
    for kind, number in ((resource.RLIMIT_NPROC, processes), (resource.RLIMIT_FSIZE, file_bytes)):
        hard = resource.getrlimit(kind)[1]
        if number and (hard == resource.RLIM_INFINITY or number < hard):
            resource.setrlimit(kind, (number, number))


def _stay(control: _socket.socket, command: list[str], environ: dict[bytes, bytes]) -> None:
    """Start the command as a child and answer requests for sockets until it ends."""
    # The signals that are ignored since before bwrap stay ignored here: they are the command's.
    wakes, wake = posix.pipe2(posix.O_CLOEXEC | posix.O_NONBLOCK)
    _signal.set_wakeup_fd(wake)
    _signal.signal(_signal.SIGCHLD, lambda *_: None)
    child = posix.fork()
    if child == 0:
        _signal.set_wakeup_fd(-1)
        _signal.signal(_signal.SIGCHLD, _signal.SIG_DFL)
        _become(command, environ)
    watched = select.poll()
    watched.register(wakes, select.POLLIN)
    watched.register(control.fileno(), select.POLLIN)
    while True:
        ready = [descriptor for descriptor, _ in watched.poll()]
        if wakes in ready:
            posix.read(wakes, 4096)
            ended, status = posix.waitpid(child, posix.WNOHANG)
            if ended:
                code = posix.waitstatus_to_exitcode(status)
                posix._exit(code if code >= 0 else 128 - code)
        elif not _answer(control):
            watched.unregister(control.fileno())


def _answer(control: _socket.socket) -> bool:
    """Answer one request. False: nobody asks any more."""
    sockets: list[_socket.socket] = []
    try:
        if not control.recv(16):
            return False
        sockets = [_socket.socket(_socket.AF_INET, _socket.SOCK_STREAM) for _ in range(SOCKETS_AT_ONCE)]
        _send(control, b"d", sockets)
    except OSError:
        return False
    finally:
        for one in sockets:
            one.close()
    return True


def _become(command: list[str], environ: dict[bytes, bytes]) -> None:
    """Replace this program by the command; its name is looked for in its own PATH. 127: it was not found."""
    for number in _RESET:
        _signal.signal(number, _signal.SIG_DFL)
    name = command[0]
    folders = environ.get(b"PATH", b"/usr/local/bin:/usr/bin:/bin").decode("utf-8", "surrogateescape").split(":")
    places = [name] if "/" in name else [f"{folder or '.'}/{name}" for folder in folders]
    why, status = "not found", 127
    for place in places:
        try:
            posix.execve(place, command, environ)
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            why, status = error.strerror or "can't be started", 126
            if not isinstance(error, PermissionError):
                break
    _fail(f"{name}: {why}", status)


def _fail(reason: str, status: int = FAILED) -> None:
    posix.write(2, f"sandbox: {reason}\n".encode("utf-8", "surrogateescape"))
    posix._exit(status)


if __name__ == "__main__":
    main(sys.argv[1:])
