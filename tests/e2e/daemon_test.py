#!/usr/bin/env python3
"""The daemon as a whole: what no test of one part sees. Standard library only."""

import http.client
import json
import os
import signal
import stat
import subprocess
import sys
import tempfile
import unittest

from daemon_process import MODEL, ROOT, DaemonProcess

PROMPT = [{"role": "user", "content": "Tell me a story about a fox and a bear."}]


def chat(**fields):
    return {"model": MODEL, "messages": PROMPT, "max_tokens": 8, "temperature": 0, **fields}


class OneDaemon(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.daemon = DaemonProcess()
        cls.daemon.__enter__()

    @classmethod
    def tearDownClass(cls):
        cls.daemon.__exit__()

    def answer(self, *arguments, **keywords):
        status, _, body = self.daemon.request(*arguments, **keywords)
        self.assertEqual(status, 200, body)
        return body

    def test_the_socket_is_for_its_owner_alone(self):
        self.assertEqual(stat.S_IMODE(os.stat(self.daemon.socket_path).st_mode), 0o600)

    def test_stream_and_whole_answer_are_the_same(self):
        whole = self.answer("POST", "/v1/chat/completions", chat())
        stream = self.answer("POST", "/v1/chat/completions", chat(stream=True))
        chunks = [json.loads(line[6:]) for line in stream.splitlines()
                  if line.startswith("data: ") and line != "data: [DONE]"]
        text = "".join(choice["delta"].get("content", "") for chunk in chunks for choice in chunk["choices"])
        self.assertEqual(text, whole["choices"][0]["message"]["content"])
        self.assertEqual(stream.splitlines()[-2], "data: [DONE]")

    def test_what_is_not_honoured_is_said(self):
        status, fields, body = self.daemon.request("POST", "/v1/chat/completions", chat(sparkle=1))
        self.assertEqual(status, 200)
        self.assertTrue(any("sparkle" in warning for warning in body["warnings"]), body)
        self.assertIn("sparkle", fields["X-MLXR-Warning"])

    def test_llama_servers_routes(self):
        self.answer("POST", "/v1/chat/completions", chat())  # the one that is loaded needs no name
        self.assertEqual(self.answer("GET", "/health"), {"status": "ok"})
        whole = self.answer("POST", "/completion", {"prompt": "The fox", "n_predict": 8, "temperature": 0, "n_probs": 2,
                                                    "return_tokens": True})
        self.assertEqual((whole["tokens_predicted"], whole["stop_type"], whole["prompt"]), (8, "limit", "The fox"))
        self.assertEqual([entry["id"] for entry in whole["completion_probabilities"]], whole["tokens"])
        back = self.answer("POST", "/detokenize", {"tokens": whole["tokens"]})
        self.assertEqual(back["content"], whole["content"])
        stream = self.answer("POST", "/completion", {"prompt": "The fox", "n_predict": 8, "temperature": 0,
                                                     "stream": True})
        events = [json.loads(line[6:]) for line in stream.splitlines() if line.startswith("data: ")]
        self.assertEqual("".join(event["content"] for event in events), whole["content"])
        self.assertEqual([event["stop"] for event in events], [False] * (len(events) - 1) + [True])
        tokens = self.answer("POST", "/tokenize", {"content": "The fox", "with_pieces": True})["tokens"]
        self.assertEqual("".join(token["piece"] for token in tokens).strip(), "The fox")
        prompt = self.answer("POST", "/apply-template", {"messages": PROMPT})["prompt"]
        self.assertIn(PROMPT[0]["content"], prompt)
        self.assertEqual(self.answer("GET", "/props")["model_alias"].split(":")[0], MODEL)
        self.assertTrue(all(not slot["is_processing"] for slot in self.answer("GET", "/slots")))
        vectors = self.answer("POST", "/embedding", {"content": ["a fox", "a bear"]})
        self.assertAlmostEqual(sum(x * x for x in vectors[1]["embedding"][0]), 1.0, places=4)
        status, _, body = self.daemon.request("POST", "/infill", {"input_prefix": "a", "input_suffix": "b"})
        self.assertEqual((status, body["error"]["code"]), (400, 400), body)
        self.assertEqual(self.daemon.request("GET", "/lora-adapters")[0], 501)

    def test_too_long_a_prompt_is_refused_with_numbers(self):
        long = [{"role": "user", "content": "word " * 4000}]
        status, _, body = self.daemon.request("POST", "/v1/chat/completions", chat(messages=long))
        self.assertEqual((status, body["error"]["code"]), (400, "context_length_exceeded"))
        self.assertEqual(body["error"]["n_ctx"], 2048)

    def test_a_request_can_be_traced(self):
        _, fields, _ = self.daemon.request("POST", "/v1/chat/completions", chat())
        trace = self.answer("GET", f"/v1/requests/{fields['X-Request-Id']}/trace")
        names = [span["name"] for span in trace["spans"]]
        for name in ("load", "queued", "prefill", "decode", "first_token"):
            self.assertIn(name, names)
        self.assertEqual(trace["attributes"]["generated_tokens"], 8)

    def test_a_stream_can_be_cancelled_by_another_connection(self):
        connection = self.daemon.connection()
        endless = chat(stream=True, max_tokens=2000, ignore_eos=True)
        connection.request("POST", "/v1/chat/completions", json.dumps(endless))
        response = connection.getresponse()
        response.readline()
        identity = response.getheader("X-Request-Id")
        listed = self.answer("GET", "/v1/requests")["requests"]
        self.assertIn(identity, [entry["id"] for entry in listed])
        self.answer("DELETE", f"/v1/requests/{identity}")
        self.assertIn(b"finish_reason", response.read())
        connection.close()
        status, _, _ = self.daemon.request("DELETE", f"/v1/requests/{identity}")
        self.assertEqual(status, 404)

    def test_health_looks_at_the_model(self):
        self.answer("POST", "/v1/models/load", {"model": MODEL})
        health = self.answer("GET", "/health/deep")
        self.assertEqual([entry["model"] for entry in health["models"]], [MODEL])
        self.assertTrue(health["models"][0]["ok"])

    def test_memory_is_planned_before_loading(self):
        small = self.answer("POST", "/v1/memory/plan", {"model": MODEL, "context": 512})
        large = self.answer("POST", "/v1/memory/plan", {"model": MODEL, "context": 2048})
        self.assertLess(small["memory"]["kv_bytes"], large["memory"]["kv_bytes"])
        self.assertTrue(large["fits"])

    def test_metrics_have_the_names_of_vllm(self):
        self.answer("POST", "/v1/chat/completions", chat())
        self.daemon.request("POST", "/v1/chat/completions", chat(model="no-such-model"))
        page = self.answer("GET", "/metrics")
        self.assertIn('vllm:time_to_first_token_seconds_count{model_name="sprout"', page)
        self.assertNotIn("no-such-model", page)

    def test_own_routes_keep_the_contract(self):
        before = len(self.daemon.answers)
        _, fields, _ = self.daemon.request("POST", "/v1/chat/completions", chat())
        for method, path, body in (
                ("POST", "/v1/models/load", {"model": MODEL}), ("POST", "/v1/models/pin", {"model": MODEL}),
                ("POST", "/v1/models/pin", {"model": MODEL, "pinned": False}), ("GET", "/v1/running", None),
                ("GET", "/v1/server", None), ("GET", "/health/deep", None), ("GET", "/metrics", None),
                ("POST", "/v1/memory/plan", {"model": MODEL}), ("POST", "/v1/memory/plan", {"model": 7}),
                ("POST", "/v1/memory/plan", {"model": MODEL, "sparkle": 1}), ("GET", "/v1/requests", None),
                ("GET", f"/v1/requests/{fields['X-Request-Id']}/trace", None), ("DELETE", "/v1/requests/none", None),
                ("POST", "/v1/keys", {"name": "contract"}), ("POST", "/v1/keys", {"name": "contract"}),
                ("GET", "/v1/keys", None), ("DELETE", "/v1/keys/contract", None), ("GET", "/v1/usage?days=2", None),
                ("GET", "/v1/usage?days=none", None), ("POST", "/v1/models/unload", {"model": MODEL}),
                ("POST", "/v1/replay", b"{}")):
            status, _, answer = self.daemon.request(method, path, body)
            self.assertLess(status, 500, answer)
        with tempfile.NamedTemporaryFile("w", suffix=".jsonl") as records:
            records.writelines(json.dumps(answer) + "\n" for answer in self.daemon.answers[before:])
            records.flush()
            checked = subprocess.run(
                [sys.executable, str(ROOT / "scripts/check_openapi.py"), str(ROOT / "api/openapi.yaml"), records.name],
                capture_output=True, text=True, check=False)
        if checked.returncode == 77:
            self.skipTest(checked.stdout.strip())
        self.assertEqual(checked.returncode, 0, checked.stdout)

    def test_a_host_of_another_site_is_refused(self):
        connection = http.client.HTTPConnection(self.daemon.url[len("http://"):], timeout=60)
        connection.request("GET", "/v1/models", headers={"Host": "evil.example"})
        self.assertEqual(connection.getresponse().status, 403)
        connection.close()


class Keys(unittest.TestCase):
    def test_keys_limit_what_their_holders_may_do(self):
        with DaemonProcess("--uds-requires-key", "true") as daemon:
            token = (daemon.folder / "config/mlxrunner/token").read_text().strip()
            owner = {"Authorization": "Bearer " + token}
            self.assertEqual(daemon.request("GET", "/v1/models")[0], 401)
            status, _, key = daemon.request("POST", "/v1/keys", {"name": "bob", "requests_per_minute": 2}, owner)
            self.assertEqual(status, 201, key)
            bob = {"Authorization": "Bearer " + key["key"]}
            self.assertEqual(daemon.request("GET", "/v1/keys", headers=bob)[0], 403)
            statuses = [daemon.request("POST", "/v1/chat/completions", chat(), bob)[0] for _ in range(3)]
            self.assertEqual(statuses, [200, 200, 429])
            usage = daemon.request("GET", "/v1/usage", headers=owner)[2]["usage"]
            self.assertEqual([(row["key"], row["requests"]) for row in usage], [("bob", 2)])
            self.assertEqual(daemon.request("DELETE", f"/v1/keys/{key['id']}", headers=owner)[0], 200)
            self.assertEqual(daemon.request("POST", "/v1/chat/completions", chat(), bob)[0], 401)
            self.assertNotIn(key["key"], (daemon.folder / "log.jsonl").read_text())


class Lifecycle(unittest.TestCase):
    def test_a_recorded_request_replays_to_the_same_tokens(self):
        with DaemonProcess("--record-file", "/dev/null") as probe:
            path = probe.folder / "records.jsonl"
            probe.stop()
            probe.flags = ["--record-file", str(path)]
            probe.start()
            probe.request("POST", "/v1/chat/completions", chat(temperature=1.0))
            probe.request("GET", "/v1/models")  # behind it, so that the record is written
            record = json.loads(path.read_text().splitlines()[0])
            status, _, again = probe.request("POST", "/v1/replay", record)
            self.assertEqual(status, 200, again)
            self.assertEqual(again["choices"][0]["tokens"], record["choices"][0]["tokens"])
            # A record is no way around a key's scope.
            for route in ("/v1/keys", "/api/pull", "/v1/replay", "/nowhere"):
                forged = {**record, "route": route, "body": json.dumps({"name": "mallory"})}
                self.assertEqual(probe.request("POST", "/v1/replay", forged)[0], 400, route)
            self.assertEqual(probe.request("GET", "/v1/keys")[2]["keys"], [])

    def test_settings_are_reloaded_and_the_end_is_clean(self):
        with DaemonProcess(settings="log_level: info\n") as daemon:
            (daemon.folder / "config/mlxrunner/server.yaml").write_text("default_model: sprout\nhttp_threads: 3\n")
            daemon.process.send_signal(signal.SIGHUP)
            body = {key: value for key, value in chat().items() if key != "model"}
            # The reload happens beside the requests; each is answered by one set of settings or the other.
            statuses = set()
            while 200 not in statuses and len(statuses) < 2:
                statuses.add(daemon.request("POST", "/v1/chat/completions", {**body, "model": ""})[0])
            while not any(line["event"] == "settings.needs_restart" for line in daemon.log()):
                daemon.request("GET", "/v1/models")
            self.assertEqual(daemon.stop(), 0)

    def test_a_prefix_survives_the_daemon(self):
        long = [{"role": "user", "content": "The fox and the bear went to the river. " * 40}]
        with DaemonProcess() as daemon:
            first = daemon.request("POST", "/v1/chat/completions", chat(messages=long))[2]
            self.assertEqual(first["usage"]["prompt_tokens_details"]["cached_tokens"], 0)
            daemon.stop()
            daemon.start()
            again = daemon.request("POST", "/v1/chat/completions", chat(messages=long))[2]
            self.assertGreater(again["usage"]["prompt_tokens_details"]["cached_tokens"], 200)
            self.assertEqual(again["choices"], first["choices"])


if __name__ == "__main__":
    unittest.main()
