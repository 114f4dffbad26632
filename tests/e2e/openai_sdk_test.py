#!/usr/bin/env python3
"""The Python package `openai` against the real daemon. Skipped where it is not installed."""

import json
import sys
import unittest

from daemon_process import MODEL, DaemonProcess

try:
    import openai
    import pydantic
except ImportError as error:
    print(f"skipped: {error}")
    sys.exit(77)

HELLO = [{"role": "user", "content": "Say hi"}]
WEATHER = [{"role": "user", "content": "What is the weather in Paris?"}]
TOOLS = [{"type": "function", "function": {
    "name": "get_weather", "description": "The weather of a city",
    "parameters": {"type": "object", "properties": {"city": {"type": "string", "maxLength": 20}}, "required": ["city"],
                   "additionalProperties": False}}}]


class Person(pydantic.BaseModel):
    name: str
    happy: bool


class OpenAi(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.daemon = DaemonProcess()
        cls.daemon.__enter__()
        cls.client = openai.OpenAI(base_url=cls.daemon.url + "/v1", api_key="none", max_retries=0)

    @classmethod
    def tearDownClass(cls):
        cls.client.close()
        cls.daemon.__exit__()

    def chat(self, **fields):
        fields = {"model": MODEL, "messages": HELLO, "temperature": 0, "max_tokens": 8, **fields}
        return self.client.chat.completions.create(**fields)

    def test_models(self):
        self.assertIn(MODEL, [model.id for model in self.client.models.list()])
        self.assertEqual(self.client.models.retrieve(MODEL).id, MODEL)

    def test_a_stream_is_the_whole_answer_in_pieces(self):
        whole = self.chat().choices[0].message.content
        pieces = [chunk.choices[0].delta.content or "" for chunk in self.chat(stream=True)]
        self.assertEqual("".join(pieces), whole)
        self.assertGreater(len(pieces), 2)

    def test_tools(self):
        named = {"type": "function", "function": {"name": "get_weather"}}
        for choice in ("required", named):
            answer = self.chat(messages=WEATHER, tools=TOOLS, tool_choice=choice, max_tokens=100).choices[0]
            self.assertEqual(answer.finish_reason, "tool_calls")
            self.assertEqual(answer.message.tool_calls[0].function.name, "get_weather")
            self.assertEqual(list(json.loads(answer.message.tool_calls[0].function.arguments)), ["city"])

    def test_tool_arguments_stream(self):
        with self.client.chat.completions.stream(model=MODEL, messages=WEATHER, tools=TOOLS, tool_choice="required",
                                                 max_tokens=100, temperature=0) as stream:
            kinds = [event.type for event in stream]
            final = stream.get_final_completion().choices[0]
        self.assertGreater(kinds.count("tool_calls.function.arguments.delta"), 1)
        self.assertIn("city", json.loads(final.message.tool_calls[0].function.arguments))

    def test_answers_follow_a_schema(self):
        answer = self.client.chat.completions.parse(model=MODEL, messages=HELLO, response_format=Person,
                                                    max_tokens=200, temperature=0)
        self.assertIsInstance(answer.choices[0].message.parsed, Person)

    def test_log_probabilities(self):
        content = self.chat(logprobs=True, top_logprobs=3).choices[0].logprobs.content
        self.assertEqual([len(entry.top_logprobs) for entry in content], [3] * len(content))
        self.assertEqual(content[0].token, content[0].top_logprobs[0].token)

    def test_choices(self):
        choices = self.chat(n=3, temperature=1.0).choices
        self.assertEqual([choice.index for choice in choices], [0, 1, 2])

    def test_completions(self):
        text = "Once upon a time"
        scored = self.client.completions.create(model=MODEL, prompt=text, max_tokens=0, logprobs=1, echo=True)
        self.assertEqual(scored.choices[0].text, text)
        self.assertIsNone(scored.choices[0].logprobs.token_logprobs[0])
        several = self.client.completions.create(model=MODEL, prompt=["One", "Two"], max_tokens=3)
        self.assertEqual(len(several.choices), 2)
        tokens = self.client.completions.create(model=MODEL, prompt=[1, 2, 3], max_tokens=3)
        self.assertEqual(tokens.usage.prompt_tokens, 3)

    def test_embeddings(self):
        plain = self.client.embeddings.create(model=MODEL, input=["a fox", "a bear"], encoding_format="float")
        packed = self.client.embeddings.create(model=MODEL, input=["a fox", "a bear"])  # base64 on the wire
        for one, other in zip(plain.data, packed.data):
            self.assertLess(max(abs(a - b) for a, b in zip(one.embedding, other.embedding)), 1e-6)
            self.assertAlmostEqual(sum(value * value for value in one.embedding), 1.0, places=4)

    def test_responses_remember(self):
        first = self.client.responses.create(model=MODEL, input="My name is Ada.", max_output_tokens=8)
        second = self.client.responses.create(model=MODEL, input="And now?", previous_response_id=first.id,
                                              max_output_tokens=8)
        self.assertGreater(second.usage.input_tokens, first.usage.input_tokens + first.usage.output_tokens)
        self.assertEqual(self.client.responses.retrieve(second.id).output_text, second.output_text)
        self.client.responses.delete(second.id)
        with self.assertRaises(openai.NotFoundError):
            self.client.responses.retrieve(second.id)

    def test_responses_stream(self):
        with self.client.responses.stream(model=MODEL, input="Say hi", max_output_tokens=8) as stream:
            kinds = [event.type for event in stream]
        self.assertEqual(kinds[:2], ["response.created", "response.in_progress"])
        self.assertIn(kinds[-1], ("response.completed", "response.incomplete"))

    def test_errors_are_those_that_clients_look_for(self):
        long = [{"role": "user", "content": "word " * 4000}]
        for fields, error, code in (({"model": "no-such-model"}, openai.NotFoundError, "model_not_found"),
                                    ({"messages": long}, openai.BadRequestError, "context_length_exceeded"),
                                    ({"temperature": "hot"}, openai.BadRequestError, None)):
            with self.assertRaises(error) as caught:
                self.chat(**fields)
            self.assertEqual(caught.exception.code, code)

    def test_leaving_a_stream_ends_its_work(self):
        stream = self.chat(stream=True, max_tokens=2000, extra_body={"ignore_eos": True})
        next(iter(stream))
        stream.close()
        while self.daemon.request("GET", "/v1/requests")[2]["requests"]:
            pass  # ends: the daemon notices, or the test's own time runs out


if __name__ == "__main__":
    unittest.main()
