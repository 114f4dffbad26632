#!/usr/bin/env python3
"""Makes tests/fixtures/sampler/distributions.json: what is left of a distribution after each sampling stage.

The cuts and the repetition penalty are the logits processors of transformers, in float64; bias, frequency and presence
penalties are two lines of numpy. Cases whose outcome hangs on less than 1e-5 are left out.
Needs: pip install transformers torch numpy.
"""

import json
import math
import pathlib

import numpy
import torch
from transformers.generation import logits_process

FIXTURE = pathlib.Path(__file__).resolve().parent.parent / "tests" / "fixtures" / "sampler" / "distributions.json"

OFF = {
    "temperature": 1.0, "top_k": 0, "top_p": 1.0, "min_p": 0.0, "typical_p": 1.0, "repetition_penalty": 1.0,
    "frequency_penalty": 0.0, "presence_penalty": 0.0, "penalty_last_n": 64, "logit_bias": {},
}

CASES = [
    {},
    {"temperature": 0.7},
    {"temperature": 2.0},
    {"temperature": 0.05},
    {"top_k": 1},
    {"top_k": 5},
    {"top_k": 40, "temperature": 1.3},
    {"top_k": 100000},
    {"top_p": 0.9},
    {"top_p": 0.5, "temperature": 1.5},
    {"top_p": 0.05},
    {"top_p": 0.997},
    {"min_p": 0.05},
    {"min_p": 0.5, "temperature": 2.0},
    {"min_p": 1.0},
    {"typical_p": 0.9},
    {"typical_p": 0.5},
    {"typical_p": 0.2, "temperature": 0.8},
    {"top_k": 20, "typical_p": 0.8, "top_p": 0.9, "min_p": 0.05, "temperature": 0.8},
    {"top_k": 40, "top_p": 0.95, "min_p": 0.05, "temperature": 0.8},
    {"repetition_penalty": 1.3},
    {"repetition_penalty": 0.8, "top_k": 10},
    {"frequency_penalty": 0.5},
    {"presence_penalty": 1.0},
    {"frequency_penalty": -0.3, "presence_penalty": 0.4, "repetition_penalty": 1.1, "penalty_last_n": 4},
    {"repetition_penalty": 1.2, "penalty_last_n": -1},
    {"repetition_penalty": 1.2, "penalty_last_n": 0},
    {"logit_bias": {"3": 5.0, "7": -100.0, "0": 0.5}},
    {"logit_bias": {"1": 2.0}, "presence_penalty": 0.7, "top_k": 12, "top_p": 0.8, "temperature": 0.6},
]


def cut(processor, scores):
    return processor(None, scores[None, :])[0]


def too_close(scores, params):
    """Whether float32 instead of float64 could change what a stage keeps."""
    probabilities = torch.softmax(scores, -1)
    ordered = torch.sort(probabilities, descending=True).values
    if params["top_p"] < 1 and (torch.cumsum(ordered, 0) - params["top_p"]).abs().min() < 1e-5:
        return True
    if 0 < params["min_p"] < 1 and (ordered / ordered[0] - params["min_p"]).abs().min() < 1e-5:
        return True
    return False


def distribution(logits, history, params):
    """float64 probabilities after every stage, or None for a case that is too close to call."""
    scores = torch.tensor(logits, dtype=torch.float64)
    for token, bias in params["logit_bias"].items():
        scores[int(token)] += bias
    last = params["penalty_last_n"]
    seen = history if last < 0 else history[len(history) - last:] if last > 0 else []
    if seen:
        if params["repetition_penalty"] != 1.0:
            processor = logits_process.RepetitionPenaltyLogitsProcessor(params["repetition_penalty"])
            scores = processor(torch.tensor([seen]), scores[None, :])[0]
        counts = torch.bincount(torch.tensor(seen), minlength=len(logits)).to(torch.float64)
        scores = scores - counts * params["frequency_penalty"] - (counts > 0) * params["presence_penalty"]
    if params["top_k"] > 0:
        scores = cut(logits_process.TopKLogitsWarper(params["top_k"]), scores)
    if params["typical_p"] < 1:
        scores = cut(logits_process.TypicalLogitsWarper(params["typical_p"]), scores)
    if too_close(scores, params):
        return None
    if params["top_p"] < 1:
        scores = cut(logits_process.TopPLogitsWarper(params["top_p"]), scores)
    if params["min_p"] > 0:
        scores = cut(logits_process.MinPLogitsWarper(params["min_p"]), scores)
    if params["temperature"] != 1.0:
        scores = cut(logits_process.TemperatureLogitsWarper(params["temperature"]), scores)
    return torch.softmax(scores, -1).tolist()


def main():
    generator = numpy.random.default_rng(1)
    vectors = {
        "peaked": numpy.concatenate([[9.0, 8.2, 7.9, 5.5], generator.normal(0, 2, 28)]),
        "flat": generator.normal(0, 0.3, 50),
        "wide": generator.normal(0, 3, 200),
    }
    cases = []
    for name, vector in vectors.items():
        logits = [round(float(value), 3) for value in vector]
        history = [int(token) for token in generator.integers(0, min(len(logits), 16), 12)]
        for change in CASES:
            params = OFF | change
            probabilities = distribution(logits, history, params)
            if probabilities is None:
                print(f"left out: {name} {change}")
                continue
            kept = {str(i): float(f"{p:.7g}") for i, p in enumerate(probabilities) if p > 1e-9}
            cases.append({"logits": name, "history": history, "params": params, "probabilities": kept})
    FIXTURE.parent.mkdir(parents=True, exist_ok=True)
    content = {
        "logits": {name: [round(float(value), 3) for value in vector] for name, vector in vectors.items()},
        "cases": cases,
    }
    FIXTURE.write_text(json.dumps(content) + "\n", encoding="utf-8")
    print(f"{FIXTURE}: {len(cases)} cases, {math.ceil(FIXTURE.stat().st_size / 1024)} KiB")


if __name__ == "__main__":
    main()
