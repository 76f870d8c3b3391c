"""A complete receiver of dealreg's webhooks, with nothing but Python's standard library.

It keeps in memory what you would keep in a database.
"""

import base64
import binascii
import hashlib
import hmac
import json
import os
import queue
import threading
import time
import urllib.parse
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

API = os.environ["DEALREG_URL"]
KEY = os.environ["DEALREG_KEY"]
SECRETS = [base64.b64decode(s.removeprefix("whsec_")) for s in os.environ["DEALREG_WEBHOOK_SECRETS"].split()]
TOLERANCE_SECONDS = 5 * 60
MAX_BODY = 64 * 1024
CATCH_UP = object()

inbox = queue.Queue()  # a table in your database, so that nothing is lost when you restart
received = set()  # a unique column of that table
received_lock = threading.Lock()
revisions = {}  # of the deals that you know
sequence = 0  # up to which you know all of them


def verified(headers, body):
    """Tells whether one of our secrets signed the body, as it came, within the last five minutes."""
    webhook_id, timestamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    if not webhook_id or not timestamp.isascii() or not timestamp.isdigit():
        return False
    if abs(time.time() - int(timestamp)) > TOLERANCE_SECONDS:
        return False
    content = f"{webhook_id}.{timestamp}.".encode("latin-1") + body
    expected = [hmac.new(secret, content, hashlib.sha256).digest() for secret in SECRETS]
    for signature in headers.get("webhook-signature", "").split():
        scheme, _, encoded = signature.partition(",")
        try:
            given = base64.b64decode(encoded, validate=True)
        except (binascii.Error, ValueError):
            continue
        if scheme == "v1" and any(hmac.compare_digest(given, e) for e in expected):
            return True
    return False


class Receiver(BaseHTTPRequestHandler):
    """Verifies, keeps, answers: nothing that takes long."""

    protocol_version = "HTTP/1.1"
    timeout = 10  # seconds for a request to come in

    def do_POST(self):
        length = self.headers.get("content-length", "")
        if self.path != "/webhooks" or not length.isdigit() or int(length) > MAX_BODY:
            self.close_connection = True
            return self.answer(404 if self.path != "/webhooks" else 413)
        body = self.rfile.read(int(length))
        if not verified(self.headers, body):
            return self.answer(401)
        webhook_id = self.headers["webhook-id"]
        with received_lock:
            if webhook_id not in received:  # once, however often it comes
                received.add(webhook_id)
                inbox.put(json.loads(body))
        return self.answer(204)

    def answer(self, status):
        self.send_response(status)
        if status != 204:
            self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


def work():
    """Fetches what changed, one after the other."""
    while True:
        job = inbox.get()
        try:
            if job is CATCH_UP:
                catch_up()
            else:
                handle(job)
        except Exception as error:  # the worker must go on, whatever comes
            print(f"{error}; the next catching up will find it", flush=True)


def handle(event):
    data = event["data"]
    if not event["type"].startswith("dealreg.deal."):
        return
    if revisions.get(data["deal_id"], 0) >= data["revision"]:  # events may overtake each other
        return
    changed(get("/v1/deals/" + urllib.parse.quote(data["deal_id"], safe="")))


def catch_up():
    """Fetches every deal that changed behind the sequence that was read last."""
    global sequence
    query = {"after_sequence": sequence, "limit": 200}
    as_of = None
    while True:
        page = get("/v1/deals?" + urllib.parse.urlencode(query))
        for deal in page["items"]:
            changed(deal)
        if as_of is None:
            as_of = page["as_of_sequence"]  # of the first page: what changed during the others comes again
        if not page.get("next_cursor"):
            break
        query["cursor"] = page["next_cursor"]
    sequence = as_of


def changed(deal):
    """This is where your own work begins."""
    if deal["revision"] <= revisions.get(deal["id"], 0):
        return
    revisions[deal["id"]] = deal["revision"]
    print(f"deal {deal['id']} is {deal['status']} at revision {deal['revision']}", flush=True)


def get(path):
    request = urllib.request.Request(API + path, headers={"Authorization": "Bearer " + KEY})
    with urllib.request.urlopen(request, timeout=30) as response:
        return json.load(response)


def catch_up_now_and_then():
    while True:
        inbox.put(CATCH_UP)
        time.sleep(15 * 60)


if __name__ == "__main__":
    threading.Thread(target=work, daemon=True).start()
    threading.Thread(target=catch_up_now_and_then, daemon=True).start()
    host, _, port = os.environ["LISTEN"].partition(":")
    ThreadingHTTPServer((host, int(port)), Receiver).serve_forever()
