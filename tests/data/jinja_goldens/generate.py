"""Records what llama.cpp's own server makes of chats, for each of its chat templates.

Run: python generate.py LLAMA_SERVER TEMPLATES_FOLDER MODEL.gguf [NAME…], where MODEL is any small model: only its
`<s>` and `</s>` are used. The recording in prompts.jsonl.gz, beside this file, was made with the llama.cpp tree within
llama-cpp-python 0.3.36.

The first line is {"llama_server": its version}, each other one {"template": name, "now": time, "prompts": {case:
prompt, or null where llama.cpp refuses the chat}}.
"""

from __future__ import annotations

import gzip
import json
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def ask(port: int, path: str, body: bytes | None) -> Any:
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", body, {"Content-Type": "application/json"})
    with OPENER.open(request, timeout=20) as response:
        return json.load(response)


def wait_until_ready(port: int, server: subprocess.Popen[bytes]) -> None:
    while server.poll() is None:
        try:
            ask(port, "/health", None)
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise SystemExit("llama-server has ended; see its output above")


def prompt_of(port: int, case: dict[str, Any]) -> str | None:
    try:
        return str(ask(port, "/apply-template", json.dumps(case).encode())["prompt"])
    except urllib.error.HTTPError:
        return None


def record(llama_server: str, template: Path, model: str, cases: dict[str, Any]) -> dict[str, Any]:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    options = [
        "-m",
        model,
        "--jinja",
        "--chat-template-file",
        str(template),
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
    ]
    sizes = ["-np", "1", "-c", "256", "-t", "1", "--no-warmup", "--no-reasoning-preserve", "--log-verbosity", "0"]
    with subprocess.Popen([llama_server, *options, *sizes], stdout=subprocess.DEVNULL) as server:
        try:
            wait_until_ready(port, server)
            prompts = {name: prompt_of(port, case) for name, case in cases.items()}
        finally:
            server.terminate()
    now = datetime.now(UTC).replace(microsecond=0).isoformat()
    return {"template": template.stem, "now": now, "prompts": prompts}


def main(llama_server: str, folder: str, model: str, *names: str) -> None:
    cases = json.loads((HERE / "cases.json").read_text())
    templates = [path for path in sorted(Path(folder).glob("*.jinja")) if not names or path.stem in names]
    told = subprocess.run([llama_server, "--version"], capture_output=True, text=True, check=True)
    lines = [json.dumps({"llama_server": (told.stdout + told.stderr).splitlines()[0]})]
    lines += [json.dumps(record(llama_server, path, model, cases), ensure_ascii=False) for path in templates]
    with (HERE / "prompts.jsonl.gz").open("wb") as file, gzip.GzipFile("", "wb", 9, file, mtime=0) as packed:
        packed.write("".join(f"{line}\n" for line in lines).encode())


if __name__ == "__main__":
    main(*sys.argv[1:])
