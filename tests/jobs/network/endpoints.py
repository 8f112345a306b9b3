"""A local endpoint that answers as such endpoints do, and a run against it that is killed."""

import json
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

ROOT = Path(__file__).parents[3]
SECRET = "sk-not-to-be-seen-anywhere"
MODEL = "large-model"


def completion(text="magnets\nalloys", *, model=MODEL, finish="stop", choices=None) -> bytes:
    choice = {
        "index": 0,
        "finish_reason": finish,
        "message": {"role": "assistant", "content": text},
    }
    body = {
        "id": "1",
        "object": "chat.completion",
        "created": 1_790_000_000,
        "model": model,
        "choices": [choice] if choices is None else choices,
        "usage": {"prompt_tokens": 90, "completion_tokens": 10, "total_tokens": 100},
    }
    return json.dumps(body).encode()


def vectors(body, *, model=MODEL, backwards=False) -> bytes:
    """Return vectors as an endpoint does: of a text, how often it has each letter from a to z."""
    letters = "abcdefghijklmnopqrstuvwxyz"
    rows = [
        {"object": "embedding", "index": n, "embedding": [1.0 * text.count(c) for c in letters]}
        for n, text in enumerate(body["input"])
    ]
    usage = {"prompt_tokens": 5, "total_tokens": 5}
    data = rows[::-1] if backwards else rows
    return json.dumps({"object": "list", "data": data, "model": model, "usage": usage}).encode()


class Service:
    """A local endpoint; `script(body, number)` returns status, headers and content of a request."""

    def __init__(self, script):
        self.script, self.asked = script, []
        service = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                asked = body["messages"][-1]["content"] if "messages" in body else body["input"]
                service.asked.append(asked)
                status, headers, content = service.script(body, len(service.asked))
                self.send_response(status)
                for name, value in {"content-type": "application/json", **headers}.items():
                    self.send_header(name, value)
                if "content-length" not in headers:
                    self.send_header("content-length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)
                self.close_connection = True

            def log_message(self, *_):
                pass

        class Quiet(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_):  # a client that gave up closed the connection
                pass

        self.server = Quiet(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/v1"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


def first_then_good(status, headers=None, content=b"{}"):
    """Answer the first request so, all others well."""
    return lambda _, number: (
        (status, headers or {}, content) if number == 1 else (200, {}, completion())
    )


def slow_then_good(_, number):
    if number == 1:
        time.sleep(1.0)
    return 200, {}, completion()


def killed_while_asking(program, service, saved, *, after=5):
    """Run a program with the arguments URL and PATH, and kill it once so many answers are saved."""
    run = subprocess.Popen(
        [sys.executable, "-c", program, service.url, str(saved.path)],
        env={"PYTHONPATH": str(ROOT), "OPENAI_API_KEY": SECRET},
    )
    deadline = time.monotonic() + 120
    while len(saved.read()) < after and time.monotonic() < deadline:
        time.sleep(0.02)
    run.kill()
    run.wait()
