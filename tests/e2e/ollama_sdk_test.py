#!/usr/bin/env python3
"""The Python package `ollama` against the real daemon. Skipped where it is not installed."""

import hashlib
import json
import sys
import unittest

from daemon_process import MODEL, ROOT, DaemonProcess

try:
    import ollama
except ImportError as error:
    print(f"skipped: {error}")
    sys.exit(77)

HELLO = [{"role": "user", "content": "Say hi"}]
SHORT = {"num_predict": 8, "temperature": 0}
DRAFT = ROOT / "models/sprout/sprout-draft-3m-q8_0.gguf"


class Ollama(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.daemon = DaemonProcess()
        cls.daemon.__enter__()
        token = (cls.daemon.folder / "config/mlxrunner/token").read_text().strip()
        cls.client = ollama.Client(host=cls.daemon.url, headers={"Authorization": "Bearer " + token})

    @classmethod
    def tearDownClass(cls):
        cls.daemon.__exit__()

    def test_streams_are_whole_answers_in_pieces(self):
        whole = self.client.chat(model=MODEL, messages=HELLO, options=SHORT).message.content
        pieces = self.client.chat(model=MODEL, messages=HELLO, options=SHORT, stream=True)
        self.assertEqual("".join(piece.message.content or "" for piece in pieces), whole)
        whole = self.client.generate(model=MODEL, prompt="Once", options=SHORT)
        pieces = self.client.generate(model=MODEL, prompt="Once", options=SHORT, stream=True)
        self.assertEqual("".join(piece.response for piece in pieces), whole.response)
        self.assertEqual((whole.done_reason, whole.eval_count), ("length", 8))

    def test_answers_follow_a_format(self):
        schema = {"type": "object", "properties": {"ok": {"type": "boolean"}}, "required": ["ok"],
                  "additionalProperties": False}
        answer = self.client.chat(model=MODEL, messages=HELLO, format=schema, options={"num_predict": 50})
        self.assertEqual(list(json.loads(answer.message.content)), ["ok"])

    def test_embeddings(self):
        vectors = self.client.embed(model=MODEL, input=["a fox", "a bear"]).embeddings
        self.assertEqual([len(vector) for vector in vectors], [512, 512])
        self.assertEqual(len(self.client.embeddings(model=MODEL, prompt="a fox").embedding), 512)

    def test_models_are_made_shown_copied_and_deleted(self):
        self.client.create(model="kind", from_=MODEL, system="Be kind.", parameters={"temperature": 0.1})
        self.assertIn("Be kind.", self.client.show("kind").modelfile)
        self.assertIn("temperature", self.client.show("kind").parameters)
        self.client.copy("kind", "gentle")
        names = {model.model for model in self.client.list().models}
        self.assertLessEqual({"kind:latest", "gentle:latest"}, names)
        self.assertTrue(self.client.chat(model="gentle", messages=HELLO, options=SHORT).message.content)
        for name in ("kind", "gentle"):
            self.client.delete(name)
        self.assertFalse({"kind:latest", "gentle:latest"} & {model.model for model in self.client.list().models})
        with self.assertRaises(ollama.ResponseError) as caught:
            self.client.delete("kind")
        self.assertEqual(caught.exception.status_code, 404)

    def test_a_model_is_made_of_an_uploaded_file(self):
        digest = self.client.create_blob(DRAFT)
        self.assertEqual(digest, "sha256:" + hashlib.sha256(DRAFT.read_bytes()).hexdigest())
        statuses = [part.status for part in self.client.create(model="draft", files={"draft.gguf": digest}, stream=True)]
        self.assertEqual(statuses[-1], "success")
        self.assertTrue(self.client.generate(model="draft", prompt="Once", options=SHORT).response)
        self.assertIn("draft:latest", [model.model for model in self.client.ps().models])
        self.client.delete("draft")

    def test_loading_and_unloading(self):
        self.assertEqual(self.client.generate(model=MODEL, prompt="").done_reason, "load")
        self.assertIn(MODEL, [model.model for model in self.client.ps().models])
        self.assertEqual(self.client.generate(model=MODEL, prompt="", keep_alive=0).done_reason, "unload")

    def test_errors_are_told(self):
        for fields, status, words in (({"model": "no-such-model"}, 404, "not found"),
                                      ({"options": {"num_predict": "many"}}, 400, "must be of type integer")):
            with self.assertRaises(ollama.ResponseError) as caught:
                self.client.chat(**{"model": MODEL, "messages": HELLO, **fields})
            self.assertEqual(caught.exception.status_code, status)
            self.assertIn(words, caught.exception.error)


if __name__ == "__main__":
    unittest.main()
