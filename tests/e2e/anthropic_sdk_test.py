#!/usr/bin/env python3
"""The Python package `anthropic` against the real daemon. Skipped where it is not installed."""

import sys
import unittest

from daemon_process import MODEL, DaemonProcess

try:
    import anthropic
except ImportError as error:
    print(f"skipped: {error}")
    sys.exit(77)

GREEDY = {"temperature": 0}  # not among the named arguments of every version of the package
HELLO = [{"role": "user", "content": "Say hi"}]
WEATHER = [{"role": "user", "content": "What is the weather in Paris?"}]
TOOLS = [{"name": "get_weather", "description": "The weather of a city",
          "input_schema": {"type": "object", "properties": {"city": {"type": "string", "maxLength": 20}},
                           "required": ["city"], "additionalProperties": False}}]


class Anthropic(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.daemon = DaemonProcess()
        cls.daemon.__enter__()
        cls.client = anthropic.Anthropic(base_url=cls.daemon.url, api_key="none", max_retries=0)

    @classmethod
    def tearDownClass(cls):
        cls.client.close()
        cls.daemon.__exit__()

    def send(self, **fields):
        return self.client.messages.create(**{"model": MODEL, "messages": HELLO, "max_tokens": 8, "extra_body": GREEDY,
                                              **fields})

    def test_a_stream_is_the_whole_answer_in_pieces(self):
        whole = self.send().content[0].text
        with self.client.messages.stream(model=MODEL, messages=HELLO, max_tokens=8, extra_body=GREEDY) as stream:
            self.assertEqual("".join(stream.text_stream), whole)
            self.assertGreater(stream.get_final_message().usage.output_tokens, 0)

    def test_tools(self):
        for choice in ({"type": "any"}, {"type": "tool", "name": "get_weather"}):
            answer = self.send(messages=WEATHER, tools=TOOLS, tool_choice=choice, max_tokens=100)
            self.assertEqual(answer.stop_reason, "tool_use")
            self.assertEqual(list(answer.content[-1].input), ["city"])

    def test_tool_arguments_stream(self):
        with self.client.messages.stream(model=MODEL, messages=WEATHER, tools=TOOLS, tool_choice={"type": "any"},
                                         max_tokens=100, extra_body=GREEDY) as stream:
            kinds = {event.type for event in stream}
            self.assertIn("city", stream.get_final_message().content[-1].input)
        self.assertLessEqual({"message_start", "content_block_start", "input_json", "message_stop"}, kinds)

    def test_a_stop_sequence_is_named(self):
        answer = self.send(messages=[{"role": "user", "content": "Tell me a story"}], max_tokens=100,
                           stop_sequences=["the"])
        self.assertEqual((answer.stop_reason, answer.stop_sequence), ("stop_sequence", "the"))

    def test_count_tokens_is_what_a_message_takes(self):
        counted = self.client.messages.count_tokens(model=MODEL, messages=HELLO).input_tokens
        self.assertEqual(counted, self.send().usage.input_tokens)

    def test_errors_have_their_kinds(self):
        for fields, error in (({"model": "no-such-model"}, anthropic.NotFoundError),
                              ({"max_tokens": -4}, anthropic.BadRequestError)):
            with self.assertRaises(error) as caught:
                self.send(**fields)
            self.assertEqual(caught.exception.body["type"], "error")


if __name__ == "__main__":
    unittest.main()
