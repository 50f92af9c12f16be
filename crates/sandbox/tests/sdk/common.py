"""What every trial needs: its configuration, a merchant's notification endpoint, a shopper."""

import json
import queue
import sys
import threading
import urllib.error
import urllib.parse
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

with open(sys.argv[1], encoding="utf-8") as file:
    CONFIG = json.load(file)
BASE = CONFIG["base_url"]


class Shop:
    """A merchant's endpoint: keeps what it is told, and answers what `acks` says, then `ack`."""

    def __init__(self, ack=(200, b"success")):
        self.told = queue.Queue()
        self.ack, self.acks = ack, []
        shop = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                shop.told.put((self.headers, body))
                status, answer = shop.acks.pop(0) if shop.acks else shop.ack
                self.send_response(status)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = "http://127.0.0.1:%d/notify" % self.server.server_address[1]

    def next(self):
        return self.told.get(timeout=20)


def control(method, path, body=None):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(BASE + path, data=data, method=method)
    request.add_header("Content-Type", "application/json")
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def shopper(**what):
    status, result = control("POST", "/sandbox/pay", what)
    assert status == 200, (status, result)
    return result


def post_form(url, **fields):
    """Presses a button on a shopper page."""
    data = urllib.parse.urlencode(fields).encode()
    with urllib.request.urlopen(url, data=data, timeout=20) as answer:
        return answer.read().decode()


def get(url, language="en"):
    request = urllib.request.Request(url, headers={"Accept-Language": language})
    with urllib.request.urlopen(request, timeout=20) as answer:
        return answer.read().decode()


def same(got, want, what=""):
    assert got == want, "%s: got %r, want %r" % (what, got, want)
