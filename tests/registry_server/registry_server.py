#!/usr/bin/env python3
"""A registry for tests: Ollama's protocol and the Hugging Face hub's, on loopback, with faults on demand.

    registry_server.py ROOT

Prints one line of JSON, {"port": N, "storage_port": M}, and serves until its standard input closes. ROOT holds

    blobs/sha256-HEX              what /v2/NS/MODEL/blobs/ serves; uploads arrive here
    manifests/NS/MODEL/TAG        what /v2/NS/MODEL/manifests/ serves
    hub/USER/REPO/REVISION/...    repositories; files over 1 KiB are "LFS" files

The second port is another host as far as clients can tell: redirects go there, and it wants no authorization.

POST /_control takes {"rules": [...], "auth": {...}, "hub": {...}} and replaces what was set before. GET /_log gives
{"requests": [...], "body_bytes": {...}} since then. A rule is
    {"match": TEXT IN THE PATH, "method": "GET", "server": "main" | "storage", "skip": 0, "times": 1 (-1: always),
     "fault": NAME, ...}
and the first that matches acts:
    truncate {"after": N}         the body ends after N bytes, the length says otherwise
    corrupt {"at": N}             the byte at offset N of the file is another one
    status {"status": N, "headers": {}, "body": ""}
    stall {"after": N, "seconds": S}   silence after N bytes of the body, at most S seconds
    drop                          the connection closes without an answer
    slow {"bytes_per_s": N}
    no_ranges                     Range is ignored
    etag {"etag": TEXT}           another validator
    redirect {"location": URL}    307; without a location to the same path on the second port
auth: {"token": true} asks for a bearer token; "key": "ssh-ed25519 ..." wants the request for it signed by that key,
    "realm": URL sends elsewhere, "uses": N lets a token run out, "basic": "user:password" is another way in.
hub: {"token": TEXT} wants that token, {"page_size": N} lists in pages, {"gated": true}.
"""

import base64
import hashlib
import json
import os
import re
import select
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

CHUNK = 16 << 10
LFS_BYTES = 1024


class State:
    """Everything that requests share; guarded by `lock`."""

    def __init__(self, root):
        self.root = root
        self.lock = threading.Lock()
        self.ports = {}
        self.uploads = {}
        self.generation = 0
        self.reset({})

    def reset(self, control):
        self.rules = [dict(rule) for rule in control.get("rules", [])]
        self.auth = control.get("auth", {})
        self.hub = control.get("hub", {})
        self.log = []
        self.body_bytes = {}
        self.tokens = {}
        self.num_uploads = 0
        self.generation += 1

    def fault_for(self, server, method, path):
        with self.lock:
            for rule in self.rules:
                if rule["match"] not in path or rule.get("method", method) != method:
                    continue
                if rule.get("server", server) != server:
                    continue
                if rule.get("skip", 0) > 0:
                    rule["skip"] -= 1
                    continue
                times = rule.get("times", 1)
                if times == 0:
                    continue
                rule["times"] = times - 1 if times > 0 else -1
                return rule
        return None

    def count(self, generation, path, num_bytes):
        """Bytes of a body; those of requests from before the last reset are forgotten."""
        with self.lock:
            if generation != self.generation:
                return
            self.body_bytes[path] = self.body_bytes.get(path, 0) + num_bytes


def sha256_of(path):
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


def verify_signature(key_line, data, authorization):
    """Whether `authorization` is PUBLICKEY:SIGNATURE of `data` by the key of the line; OpenSSL decides."""
    public_text, _, signature_text = authorization.partition(":")
    if public_text != key_line.split()[1]:
        return False
    point = base64.b64decode(public_text)[-32:]
    spki = bytes.fromhex("302a300506032b6570032100") + point
    with tempfile.TemporaryDirectory() as folder:
        names = {}
        for name, content in (("key", spki), ("sig", base64.b64decode(signature_text)), ("data", data)):
            names[name] = os.path.join(folder, name)
            with open(names[name], "wb") as file:
                file.write(content)
        done = subprocess.run(["openssl", "pkeyutl", "-verify", "-pubin", "-keyform", "DER", "-inkey", names["key"],
                               "-rawin", "-in", names["data"], "-sigfile", names["sig"]], capture_output=True)
        return done.returncode == 0


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    state = None
    server_name = "main"

    def log_message(self, *args):
        pass

    # --- plumbing ---------------------------------------------------------------------------------------------------

    def setup(self):
        super().setup()
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def reply(self, status, body=b"", headers=None):
        if isinstance(body, (dict, list)):
            body = json.dumps(body).encode()
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def body(self):
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def url_of(self, server, path):
        return f"http://127.0.0.1:{self.state.ports[server]}{path}"

    def wait_silently(self, seconds):
        """Until the other side hangs up, but not for longer."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            readable, _, _ = select.select([self.connection], [], [], 0.05)
            if readable and not self.connection.recv(1, socket.MSG_PEEK):
                return

    def send_bytes(self, path, data, fault):
        """The body, as the fault would have it. False: the connection is of no more use."""
        kind = fault["fault"] if fault else None
        end = min(len(data), fault["after"]) if kind in ("truncate", "stall") else len(data)
        rate = fault["bytes_per_s"] if kind == "slow" else None
        generation = self.state.generation
        for offset in range(0, end, CHUNK):
            chunk = data[offset:min(offset + CHUNK, end)]
            self.wfile.write(chunk)
            self.state.count(generation, path, len(chunk))
            if rate:
                time.sleep(len(chunk) / rate)
        if kind == "stall":
            self.wait_silently(fault["seconds"])
        return kind not in ("truncate", "stall")

    def serve_file(self, file_path, fault):
        with open(file_path, "rb") as file:
            data = file.read()
        kind = fault["fault"] if fault else None
        path = self.path.split("?")[0]
        etag = fault["etag"] if kind == "etag" else '"' + hashlib.md5(data).hexdigest() + '"'
        headers = {"Content-Type": "application/octet-stream", "ETag": etag}
        if kind == "corrupt":
            at = fault["at"]
            data = data[:at] + bytes([data[at] ^ 0xFF]) + data[at + 1:]
        wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range") or "")
        status = 200
        if wanted and kind != "no_ranges":
            first = int(wanted[1])
            last = min(int(wanted[2]) if wanted[2] else len(data) - 1, len(data) - 1)
            if first >= len(data):
                return self.reply(416, b"", {"Content-Range": f"bytes */{len(data)}"})
            headers["Content-Range"] = f"bytes {first}-{last}/{len(data)}"
            data = data[first:last + 1]
            status = 206
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD" and not self.send_bytes(path, data, fault):
            self.close_connection = True

    def handle_request(self):
        url = urllib.parse.urlsplit(self.path)
        path = urllib.parse.unquote(url.path)
        query = {name: values[0] for name, values in urllib.parse.parse_qs(url.query).items()}
        if path == "/_control":
            with self.state.lock:
                self.state.reset(json.loads(self.body()))
            return self.reply(200)
        if path == "/_log":
            with self.state.lock:
                answer = {"requests": self.state.log, "body_bytes": self.state.body_bytes}
            return self.reply(200, answer)
        with self.state.lock:
            self.state.log.append({"server": self.server_name, "method": self.command, "path": path,
                                   "query": url.query, "headers": dict(self.headers)})
        fault = self.state.fault_for(self.server_name, self.command, path)
        kind = fault["fault"] if fault else None
        if kind == "status":
            self.body()
            return self.reply(fault["status"], fault.get("body", "").encode(), fault.get("headers"))
        if kind == "drop":
            self.close_connection = True
            return None
        if kind == "redirect":
            return self.reply(307, b"", {"Location": fault.get("location") or
                                         self.url_of("storage", url.path + "?signature=secret")})
        return self.route(path, query, fault)

    def do_any(self):
        try:
            self.handle_request()
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_any

    # --- routes -----------------------------------------------------------------------------------------------------

    def route(self, path, query, fault):
        if self.server_name == "main" and path.startswith("/v2/") and not self.let_in():
            return None
        if path == "/token":
            return self.give_token(query)
        if match := re.fullmatch(r"/v2/([^/]+/[^/]+)/manifests/([^/]+)", path):
            return self.manifest(*match.groups(), fault)
        if match := re.fullmatch(r"/v2/([^/]+/[^/]+)/blobs/uploads/(\d*)", path):
            return self.upload(*match.groups(), query)
        if match := re.fullmatch(r"/v2/([^/]+/[^/]+)/blobs/sha256:([0-9a-f]{64})", path):
            blob = os.path.join(self.state.root, "blobs", "sha256-" + match[2])
            return self.serve_file(blob, fault) if os.path.exists(blob) else self.reply(404, b"no such blob")
        if match := re.fullmatch(r"/storage/(\d+)/(\d+)", path):
            return self.store_part(int(match[1]), int(match[2]))
        if match := re.fullmatch(r"/api/models/([^/]+/[^/]+)/(revision|tree)/([^/]+)", path):
            return self.hub_api(*match.groups(), query)
        if match := re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path):
            return self.hub_file(*match.groups(), fault)
        return self.reply(404, b"no such route")

    def let_in(self):
        auth = self.state.auth
        given = self.headers.get("Authorization", "")
        if not auth:
            return True
        if "basic" in auth and given == "Basic " + base64.b64encode(auth["basic"].encode()).decode():
            return True
        token = given.removeprefix("Bearer ")
        with self.state.lock:
            left = self.state.tokens.get(token, 0)
            if left != 0:
                self.state.tokens[token] = left - 1 if left > 0 else left
                return True
        self.body()
        realm = auth.get("realm") or self.url_of("main", "/token")
        self.reply(401, b"", {"WWW-Authenticate":
                              f'Bearer realm="{realm}",service="test registry",scope="repository:a:pull repository:b:x"'})
        return False

    def give_token(self, query):
        key = self.state.auth.get("key")
        if key:
            empty = base64.b64encode(hashlib.sha256(b"").hexdigest().encode()).decode()
            signed = f"GET,{self.url_of('main', self.path)},{empty}".encode()
            authorization = self.headers.get("Authorization", "")
            if ":" not in authorization or not verify_signature(key, signed, authorization):
                return self.reply(403, b"bad signature")
        if not query.get("nonce") or abs(int(query.get("ts", 0)) - time.time()) > 300:
            return self.reply(400, b"no nonce or an old time")
        token = os.urandom(12).hex()
        with self.state.lock:
            self.state.tokens[token] = self.state.auth.get("uses", -1)
        return self.reply(200, {"token": token})

    def manifest(self, repository, tag, fault):
        path = os.path.join(self.state.root, "manifests", repository, tag)
        if self.command == "PUT":
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as file:
                file.write(self.body())
            return self.reply(201)
        if not os.path.exists(path):
            return self.reply(404, {"errors": [{"code": "MANIFEST_UNKNOWN"}]})
        return self.serve_file(path, fault)

    def upload(self, repository, number, query):
        blobs = os.path.join(self.state.root, "blobs")
        place = f"/v2/{repository}/blobs/uploads/"
        if self.command == "POST":
            digest = query.get("mount", "").replace(":", "-")
            if query.get("from") and os.path.exists(os.path.join(blobs, digest)):
                return self.reply(201)
            with self.state.lock:
                self.state.num_uploads += 1
                number = self.state.num_uploads
                self.state.uploads[number] = {"data": bytearray(), "sums": b""}
            return self.reply(202, b"", {"Location": f"{place}{number}"})
        entry = self.state.uploads.get(int(number or 0))
        if entry is None:
            return self.reply(404, b"no such upload")
        if self.command == "PATCH":
            first = int(self.headers["Content-Range"].split("-")[0])
            if self.state.hub.get("redirect_uploads"):
                self.body()
                return self.reply(307, b"", {"Location": self.url_of("storage", f"/storage/{number}/{first}"),
                                             "Docker-Upload-Location": f"{place}{number}"})
            data = self.body()
            if first != len(entry["data"]):
                return self.reply(416, b"not where the last part ended")
            entry["data"] += data
            entry["sums"] += hashlib.md5(data).digest()
            return self.reply(202, b"", {"Location": f"{place}{number}"})
        name = query["digest"].replace(":", "-")
        data = bytes(entry["data"])
        sums = entry["sums"]
        if "sha256-" + hashlib.sha256(data).hexdigest() != name:
            return self.reply(400, b"digest mismatch")
        if query["etag"] != f"{hashlib.md5(sums).hexdigest()}-{len(sums) // 16}":
            return self.reply(400, b"etag mismatch")
        os.makedirs(blobs, exist_ok=True)
        with open(os.path.join(blobs, name), "wb") as file:
            file.write(data)
        return self.reply(201)

    def store_part(self, number, first):
        entry = self.state.uploads[number]
        data = self.body()
        if first != len(entry["data"]):
            return self.reply(400, b"not where the last part ended")
        entry["data"] += data
        entry["sums"] += hashlib.md5(data).digest()
        return self.reply(200)

    # --- the hub ----------------------------------------------------------------------------------------------------

    def hub_let_in(self):
        hub = self.state.hub
        if hub.get("gated"):
            self.reply(403, b"gated", {"X-Error-Code": "GatedRepo"})
            return False
        if "token" in hub and self.headers.get("Authorization") != "Bearer " + hub["token"]:
            self.reply(401, b"who are you")
            return False
        return True

    def revisions(self, repository):
        folder = os.path.join(self.state.root, "hub", repository)
        names = sorted(os.listdir(folder)) if os.path.isdir(folder) else []
        return {hashlib.sha1(name.encode()).hexdigest(): os.path.join(folder, name) for name in names}, names

    def hub_api(self, repository, what, revision, query):
        if not self.hub_let_in():
            return None
        folders, names = self.revisions(repository)
        if revision in names:
            revision = hashlib.sha1(revision.encode()).hexdigest()
        if revision not in folders:
            return self.reply(404, b"no such repository or revision")
        if what == "revision":
            return self.reply(200, {"id": repository, "sha": revision})
        entries = []
        for folder, _, files in sorted(os.walk(folders[revision])):
            for name in sorted(files):
                full = os.path.join(folder, name)
                with open(full, "rb") as file:
                    data = file.read()
                entry = {"type": "file", "path": os.path.relpath(full, folders[revision]), "size": len(data),
                         "oid": hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()}
                if len(data) > LFS_BYTES:
                    entry["lfs"] = {"oid": hashlib.sha256(data).hexdigest(), "size": len(data), "pointerSize": 130}
                entries.append(entry)
        page = int(self.state.hub.get("page_size", 1000))
        start = int(query.get("cursor", 0))
        headers = {}
        if start + page < len(entries):
            here = self.url_of("main", f"/api/models/{repository}/tree/{revision}")
            headers["Link"] = f'<{here}?recursive=1&cursor={start + page}>; rel="next"'
        return self.reply(200, entries[start:start + page], headers)

    def hub_file(self, repository, revision, name, fault):
        if self.server_name == "main" and not self.hub_let_in():
            return None
        folders, _ = self.revisions(repository)
        path = os.path.join(folders.get(revision, "/nowhere"), name)
        if not os.path.exists(path):
            return self.reply(404, b"no such file")
        if os.path.getsize(path) > LFS_BYTES and self.server_name == "main":
            where = self.url_of("storage", urllib.parse.quote(f"/{repository}/resolve/{revision}/{name}"))
            return self.reply(302, b"", {"Location": where + "?signature=secret", "X-Linked-Etag": sha256_of(path)})
        return self.serve_file(path, fault)


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request, client_address):
        if not isinstance(sys.exc_info()[1], (ConnectionError, BrokenPipeError)):
            super().handle_error(request, client_address)


def main():
    state = State(sys.argv[1])
    servers = {}
    for name in ("main", "storage"):
        handler = type(name + "Handler", (Handler,), {"state": state, "server_name": name})
        servers[name] = Server(("127.0.0.1", 0), handler)
        state.ports[name] = servers[name].server_address[1]
        threading.Thread(target=servers[name].serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    print(json.dumps({"port": state.ports["main"], "storage_port": state.ports["storage"]}), flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
