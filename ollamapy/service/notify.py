"""What a daemon and the supervisor that started it say to each other: readiness, and sockets that are open already."""

from __future__ import annotations

import os
import socket

from ollamapy.errors import ServiceError

FIRST_SOCKET = 3  # SD_LISTEN_FDS_START


def notify(address: str, *lines: str) -> None:
    """Tell the supervisor at this address, such as `READY=1`; does nothing where there is none.

    A supervisor that is gone is no reason to fail. `address` is NOTIFY_SOCKET: a path, or `@` and an abstract name.
    """
    if not address:
        return
    target = "\0" + address[1:] if address.startswith("@") else address
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        try:
            sender.sendto("\n".join(lines).encode(), target)
        except OSError:
            return


def inherited_sockets(process_id: int, n_sockets: int) -> list[socket.socket]:
    """Return the listening sockets that the supervisor opened for the process of that id, none for another's.

    Raises ServiceError for one that is no listening stream socket.
    """
    if process_id != os.getpid():
        return []
    return [_listener(number) for number in range(FIRST_SOCKET, FIRST_SOCKET + n_sockets)]


def _listener(number: int) -> socket.socket:
    try:
        found = socket.socket(fileno=number)
        listens = found.type == socket.SOCK_STREAM and found.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    except OSError as exc:
        raise ServiceError(f"file {number}, which the supervisor passed on, is no socket ({exc.strerror})") from exc
    if not listens:
        found.close()
        raise ServiceError(f"file {number}, which the supervisor passed on, does not listen; use ListenStream=")
    found.set_inheritable(False)
    found.setblocking(False)
    return found
