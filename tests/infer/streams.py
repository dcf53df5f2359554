"""Streams on this machine: what a camera on the network would send, from a thread."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@contextmanager
def sent_over_tcp(content: bytes, seconds: float = 0.0, stays: bool = False) -> Iterator[str]:
    """The address of a stream of these bytes, sent within so many seconds; `stays`: it is silent then."""
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(100)  # a process of its own imports torch first

        def send() -> None:
            connection, _ = server.accept()
            with connection:
                parts = 50 if seconds else 1
                size = -(-len(content) // parts)
                try:
                    for start in range(0, len(content), size):
                        connection.sendall(content[start : start + size])
                        time.sleep(seconds / parts)
                except OSError:  # whoever listened has gone
                    return
                if stays:
                    over.wait(30)

        thread = threading.Thread(target=send, daemon=True)
        thread.start()
        yield f"tcp://127.0.0.1:{server.getsockname()[1]}"
        over.set()
        thread.join(5)


@contextmanager
def sent_over_http(content: bytes, known: bool) -> Iterator[str]:
    """The address of a server that sends these bytes to everybody; `known`: it says how many there are."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            if known:
                self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *words: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join(5)
