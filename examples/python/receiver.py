"""Takes events of identwatch, and keeps them until its worker has handled them. Either may be killed at any moment.

The receiver is `uvicorn receiver:app`, with as many workers of uvicorn's as you like; the worker is `python3 receiver.py`.
"""

import base64
import hashlib
import hmac
import json
import logging
import os
import re
import sqlite3
import time
from contextlib import closing, contextmanager

from fastapi import FastAPI, Request, Response
from fastapi.concurrency import run_in_threadpool

MAX_BODY = 9 << 20  # bytes: the longest event
TOLERANCE = 300  # seconds
KEEP_IDS = 30 * 86400  # seconds; identwatch may repeat an event for 13 days, by default

# An event with a body waits to be handled. One without was handled: the id stays so that a repeat is known, and the
# person in it is gone.
SCHEMA = """
PRAGMA journal_mode = WAL;
CREATE TABLE IF NOT EXISTS events (id TEXT PRIMARY KEY, body BLOB, stored_at INTEGER NOT NULL, handled_at INTEGER);
CREATE INDEX IF NOT EXISTS waiting ON events (stored_at) WHERE body IS NOT NULL;
CREATE INDEX IF NOT EXISTS handled ON events (handled_at);
CREATE TABLE IF NOT EXISTS results (token TEXT PRIMARY KEY, reference TEXT, decision TEXT, reason TEXT);
"""

log = logging.getLogger("uvicorn.error")


def connect() -> sqlite3.Connection:
    db = sqlite3.connect(os.environ.get("INBOX", "inbox.db"), timeout=5, isolation_level=None)
    db.execute("PRAGMA synchronous = FULL")  # what is committed survives a power cut
    return db


def prepare() -> None:
    os.umask(0o077)
    with closing(connect()) as db:
        db.executescript(SCHEMA)


def store(event_id: str, body: bytes) -> bool:
    """Keeps an event and says whether it is new."""
    with closing(connect()) as db:
        insert = "INSERT INTO events (id, body, stored_at) VALUES (?, ?, ?) ON CONFLICT (id) DO NOTHING"
        return db.execute(insert, (event_id, body, int(time.time()))).rowcount == 1


# --- The receiver: it answers 204 once an event is on disk, and does nothing else ---


def parse_secrets(text: str) -> list[bytes]:
    keys = [base64.b64decode(secret.strip().removeprefix("whsec_"), validate=True) for secret in text.split(",")]
    if any(len(key) < 24 for key in keys):
        raise ValueError("WEBHOOK_SECRETS holds no secret, or a bad one")  # an empty key would let everybody in
    return keys


def fault(keys: list[bytes], headers, body: bytes) -> str | None:
    """Says why a request is refused, or None if it is identwatch's. It quotes nothing of the request."""
    for name in ("webhook-id", "webhook-timestamp", "webhook-signature"):
        if not headers.get(name):
            return f"{name} is missing"
    event_id, timestamp = headers["webhook-id"], headers["webhook-timestamp"]
    if not re.fullmatch("[0-9]{1,11}", timestamp) or abs(time.time() - int(timestamp)) > TOLERANCE:
        return "webhook-timestamp is too far from now: check the clock"
    message = f"{event_id}.{timestamp}.".encode("latin-1") + body
    expected = [b"v1," + base64.b64encode(hmac.digest(key, message, hashlib.sha256)) for key in keys]
    given = headers["webhook-signature"].encode("latin-1").split(b" ")
    if any(hmac.compare_digest(e, g) for e in expected for g in given):
        return None
    return "no signature matches: compare WEBHOOK_SECRETS with that of identwatch"


async def read(request: Request) -> bytes | None:
    """Returns the bytes as they came, for they are what is signed; None where there are too many."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY:
            return None
    return bytes(body)


app = FastAPI(openapi_url=None)


@app.post("/webhooks/identwatch")  # other methods get 405
async def receive(request: Request) -> Response:
    body = await read(request)
    if body is None:
        return Response(status_code=413)
    if why := fault(app.state.keys, request.headers, body):
        log.warning("refused: %s", why)
        return Response(status_code=401)
    event_id = request.headers["webhook-id"]
    if await run_in_threadpool(store, event_id, body):  # an exception is answered with 500, and it is posted again
        log.info("stored %s", event_id)
    return Response(status_code=204)


# --- The worker ---


def decide(event: dict) -> str | None:
    """Where your own rules go. Only "clear" is a clearance; "hit" and "unknown" are for a human to look at."""
    data = event["data"]
    match event["type"]:
        case "identification.completed":
            clear = data["peps"]["result"] == data["sanctions"]["result"] == "clear"
            return "identified" if clear else "review"
        case "identification.refused" | "identification.expired" | "identification.failed":
            return "not_identified"
    return None  # a type of a later version: acknowledged, and left alone


@contextmanager
def transaction(db: sqlite3.Connection):
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        db.execute("ROLLBACK")
        raise


def handle(db: sqlite3.Connection, event_id: str) -> None:
    """Does the work of an event and notes that it is done, in one transaction: both happen, or neither."""
    with transaction(db):
        row = db.execute("SELECT body FROM events WHERE id = ? AND body IS NOT NULL", (event_id,)).fetchone()
        if row is None:
            return  # another worker was faster
        event = json.loads(row[0])
        if decision := decide(event):
            data = event["data"]
            values = data["token"], data["reference"], decision, (data["error"] or {}).get("reason")
            db.execute("INSERT INTO results (token, reference, decision, reason) VALUES (?, ?, ?, ?)", values)
        db.execute("UPDATE events SET body = NULL, handled_at = ? WHERE id = ?", (int(time.time()), event_id))


def work() -> None:
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    prepare()
    with closing(connect()) as db:
        while True:
            for (event_id,) in db.execute("SELECT id FROM events WHERE body IS NOT NULL ORDER BY stored_at").fetchall():
                try:
                    handle(db, event_id)
                    log.info("handled %s", event_id)
                except Exception as error:
                    log.error("cannot handle %s: %s", event_id, type(error).__name__)  # it stays, and is tried again
            db.execute("DELETE FROM events WHERE body IS NULL AND handled_at < ?", (int(time.time()) - KEEP_IDS,))
            time.sleep(0.25)


if __name__ == "__main__":
    work()
else:  # uvicorn imports it
    app.state.keys = parse_secrets(os.environ.get("WEBHOOK_SECRETS", ""))
    prepare()
