"""nginx before a registry, as a process of the test's own: it asks for a user and password by itself."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.conftest import skip_or_fail
from tests.fakes.docker_registry import free_port, wait_until_ready

CONFIG = """
daemon off; worker_processes 1; pid {folder}/pid; error_log stderr;
events {{ worker_connections 64; }}
http {{
    access_log off; client_max_body_size 0;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port};
        location / {{
            auth_basic "registry"; auth_basic_user_file {passwords};
            proxy_pass http://{upstream}; proxy_set_header Host $http_host; proxy_set_header Authorization "";
        }}
    }}
}}
"""


@contextmanager
def nginx(folder: Path, upstream: str, passwords: Path) -> Iterator[str]:
    """Yield the `host:port` of an nginx that lets the users of a password file through to another server."""
    program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if program is None:
        skip_or_fail("nginx is not installed; it is in Debian's package nginx-light")
    folder.mkdir()
    folder.chmod(0o711)
    address = f"127.0.0.1:{free_port()}"
    config = folder / "nginx.conf"
    config.write_text(
        CONFIG.format(folder=folder, port=address.rpartition(":")[2], upstream=upstream, passwords=passwords)
    )
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen(
            [program, "-p", str(folder), "-c", str(config), "-g", "user root;" if is_root() else ""],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    try:
        wait_until_ready(f"http://{address}/", process)
        yield address
    finally:
        process.terminate()
        process.wait()


def is_root() -> bool:
    """Whether nginx would give its rights up, and with them the right to read the test's files."""
    return os.geteuid() == 0
