"""A real mlxrunnerd in a folder of its own, for tests: started, spoken to, stopped.

    with DaemonProcess() as daemon:
        status, fields, body = daemon.request("POST", "/v1/chat/completions", {...})

MLXR_BIN names the folder with the programs; the starter model is that of the repository.
"""

import http.client
import json
import os
import pathlib
import queue
import shutil
import signal
import socket
import subprocess
import tempfile
import threading

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get("MLXR_BIN", ROOT / "build/dev/bin"))
MODEL = "sprout"
START_SECONDS = 60


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path, timeout=60):
        super().__init__("localhost", timeout=timeout)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class DaemonProcess:
    """Listens on a Unix socket and on a TCP port of the system's choice, without a key unless `flags` say otherwise."""

    def __init__(self, *flags, settings="", folder=None):
        self.folder = pathlib.Path(folder or tempfile.mkdtemp(prefix="mlxr-e2e-"))
        self.owns_folder = folder is None
        self.flags = list(flags)
        self.settings = settings
        self.process = None
        self.answers = []  # of request(), as scripts/check_openapi.py reads them

    def __enter__(self):
        for name in ("run", "config/mlxrunner", "data", "cache", "state"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        (self.folder / "config/mlxrunner/server.yaml").write_text(self.settings)
        self.environment = {
            "PATH": os.environ["PATH"], "HOME": str(self.folder), "XDG_RUNTIME_DIR": str(self.folder / "run"),
            "XDG_CONFIG_HOME": str(self.folder / "config"), "XDG_DATA_HOME": str(self.folder / "data"),
            "XDG_CACHE_HOME": str(self.folder / "cache"), "XDG_STATE_HOME": str(self.folder / "state"),
            "MLXR_MODELS": str(ROOT / "models"),
        }
        for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS", "LSAN_OPTIONS"):
            if name in os.environ:
                self.environment[name] = os.environ[name]
        self.start()
        return self

    def __exit__(self, *_):
        self.stop()
        if self.owns_folder:
            shutil.rmtree(self.folder, ignore_errors=True)

    def start(self):
        command = [str(BIN / "mlxrunnerd"), "--http", "127.0.0.1:0", "--http-requires-key", "false",
                   "--log-format", "json", "--log-file", str(self.folder / "log.jsonl"), *self.flags]
        self.process = subprocess.Popen(command, env=self.environment, stderr=subprocess.PIPE, text=True)
        self.lines = queue.Queue()
        threading.Thread(target=self._read, args=(self.process.stderr, self.lines), daemon=True).start()
        self.socket_path = self._await("listening on unix:")
        self.url = "http://" + self._await("listening on http://")

    @staticmethod
    def _read(stream, lines):
        for line in stream:
            lines.put(line.rstrip("\n"))
        lines.put(None)

    def _await(self, mark):
        seen = []
        while True:
            line = self.lines.get(timeout=START_SECONDS)
            if line is None:
                raise RuntimeError("mlxrunnerd did not start: " + " | ".join(seen))
            seen.append(line)
            if mark in line:
                return line.split(mark, 1)[1].strip()

    def stop(self, how=signal.SIGTERM):
        if self.process is None:
            return None
        self.process.send_signal(how)
        status = self.process.wait(timeout=60)
        self.process.stderr.close()
        self.process = None
        return status

    def connection(self, timeout=60):
        return UnixConnection(self.socket_path, timeout)

    def request(self, method, path, body=None, headers=None, timeout=60):
        """Status, header fields and the body: parsed when it is JSON, else text. `body`: bytes, or what becomes JSON."""
        connection = self.connection(timeout)
        try:
            data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
            connection.request(method, path, body=data, headers=headers or {})
            response = connection.getresponse()
            text = response.read().decode()
            fields = dict(response.getheaders())
            kind = fields.get("Content-Type", "")
            self.answers.append({"method": method, "path": path, "request": (data or b"").decode(errors="replace"),
                                 "status": response.status, "content_type": kind, "body": text})
            answer = json.loads(text) if kind.startswith("application/json") and text else text
            return response.status, fields, answer
        finally:
            connection.close()

    def log(self):
        return [json.loads(line) for line in (self.folder / "log.jsonl").read_text().splitlines()]

    def resident_bytes(self):
        for line in pathlib.Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
        return 0
