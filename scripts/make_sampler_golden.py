#!/usr/bin/env python3
"""Makes tests/fixtures/sampler/distributions.json: what is left of a distribution after each sampling stage.

The usual cuts, the repetition penalty and bad words are the logits processors of transformers, in float64. The rest is
written here from the definitions, without regard to speed: bias, frequency and presence penalties, DRY, top-n-sigma,
XTC (of probability 1), dynamic temperature and the first step of Mirostat. Cases whose outcome hangs on less than 1e-5
are left out.
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
    "top_n_sigma": -1.0, "xtc_probability": 0.0, "xtc_threshold": 0.1, "dynatemp_range": 0.0, "dynatemp_exponent": 1.0,
    "dry_multiplier": 0.0, "dry_base": 1.75, "dry_allowed_length": 2, "dry_penalty_last_n": -1,
    "mirostat": 0, "mirostat_tau": 5.0, "mirostat_eta": 0.1, "bad_token_sequences": [],
    "samplers": ["penalties", "dry", "top_n_sigma", "top_k", "typ_p", "top_p", "min_p", "xtc", "temperature"],
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
    {"top_n_sigma": 1.0},
    {"top_n_sigma": 0.3, "temperature": 3.0},
    {"top_n_sigma": 2.5, "top_k": 20},
    {"xtc_probability": 1.0},
    {"xtc_probability": 1.0, "xtc_threshold": 0.02, "top_k": 30},
    {"xtc_probability": 1.0, "xtc_threshold": 0.5},
    {"xtc_probability": 1.0, "xtc_threshold": 0.6},
    {"xtc_probability": 1.0, "xtc_threshold": 0.01, "temperature": 0.5},
    {"temperature": 1.0, "dynatemp_range": 0.7},
    {"temperature": 0.5, "dynatemp_range": 0.5, "dynatemp_exponent": 2.0},
    {"temperature": 0.8, "dynatemp_range": 1.5, "dynatemp_exponent": 0.5, "top_k": 15},
    {"mirostat": 2},
    {"mirostat": 2, "mirostat_tau": 1.0},
    {"mirostat": 2, "mirostat_tau": 0.2, "top_k": 2, "temperature": 1.5},
    {"mirostat": 1, "mirostat_tau": 1.5},
    {"mirostat": 1, "mirostat_tau": 2.0, "temperature": 0.7},
    {"bad_token_sequences": [[3], [1, 2], [5, 7, 9]], "history": [1, 5, 7]},
    {"bad_token_sequences": [[4, 1], [1, 1, 0]], "history": [1, 1]},
    {"dry_multiplier": 0.8, "history": [1, 2, 3, 4, 5, 1, 2, 3]},
    {"dry_multiplier": 0.8, "history": [1, 2, 3, 4, 5, 1, 2, 3], "dry_penalty_last_n": 6},
    {"dry_multiplier": 0.5, "dry_base": 1.2, "dry_allowed_length": 1, "history": [7, 7, 7, 7, 7, 7]},
    {"dry_multiplier": 0.5, "dry_allowed_length": 0, "history": [1, 2, 3, 1, 4, 1, 2]},
    {"dry_multiplier": 1.1, "dry_allowed_length": 3,
     "history": [4, 1, 2, 3, 9, 0, 1, 2, 3, 8, 4, 1, 2, 3, 9, 6, 4, 1, 2, 3]},
    {"dry_multiplier": 2.0, "top_k": 5, "history": [0, 1] * 20 + [0]},
    {"samplers": ["temperature", "top_p"], "temperature": 2.0, "top_p": 0.8},
    {"samplers": ["top_k", "penalties"], "top_k": 8, "frequency_penalty": 2.0, "temperature": 0.5},
    {"samplers": ["min_p", "temperature", "top_k", "dry"], "min_p": 0.1, "temperature": 1.4, "top_k": 6,
     "dry_multiplier": 3.0, "history": [1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3]},
    {"samplers": ["top_k", "xtc", "temperature", "penalties", "typ_p", "top_p"], "top_k": 30, "xtc_probability": 1.0,
     "xtc_threshold": 0.03, "temperature": 1.2, "presence_penalty": 1.5, "typical_p": 0.95, "top_p": 0.9},
    {"samplers": [], "temperature": 0.3, "top_k": 3},
]


NEVER = float("-inf")


class TooClose(Exception):
    """float32 instead of float64 could change what a stage keeps."""


def check_gap(values, limit):
    if len(values) > 0 and (values - limit).abs().min() < 1e-5:
        raise TooClose


def cut(processor, scores):
    return processor(None, scores[None, :])[0]


def ordered_probabilities(scores):
    return torch.sort(torch.softmax(scores, -1), descending=True).values


def penalties(scores, history, params):
    last = params["penalty_last_n"]
    seen = history if last < 0 else history[len(history) - last:] if last > 0 else []
    if not seen:
        return scores
    possible = scores > NEVER
    changed = scores
    if params["repetition_penalty"] != 1.0:
        processor = logits_process.RepetitionPenaltyLogitsProcessor(params["repetition_penalty"])
        changed = processor(torch.tensor([seen]), scores[None, :])[0]
    counts = torch.bincount(torch.tensor(seen), minlength=len(scores)).to(torch.float64)
    changed = changed - counts * params["frequency_penalty"] - (counts > 0) * params["presence_penalty"]
    return torch.where(possible, changed, torch.tensor(NEVER, dtype=torch.float64))


def dry(scores, history, params):
    if params["dry_multiplier"] <= 0:
        return scores
    last = params["dry_penalty_last_n"]
    window = history if last < 0 else history[max(len(history) - last, 0):]
    longest = {}
    for place in range(1, len(window)):  # would window[place] lengthen a repetition of the end?
        length = 0
        while length < place and window[place - 1 - length] == window[len(window) - 1 - length]:
            length += 1
        longest[window[place]] = max(longest.get(window[place], 0), length)
    scores = scores.clone()
    for token, length in longest.items():
        if length >= params["dry_allowed_length"]:
            excess = length - params["dry_allowed_length"]
            scores[token] -= params["dry_multiplier"] * params["dry_base"] ** excess
    return scores


def top_n_sigma(scores, _, params):
    if params["top_n_sigma"] <= 0:
        return scores
    finite = scores[scores > NEVER]
    lowest = finite.max() - params["top_n_sigma"] * finite.std(correction=0)
    check_gap(finite, lowest)
    return scores.masked_fill(scores < lowest, NEVER)


def top_k(scores, _, params):
    return cut(logits_process.TopKLogitsWarper(params["top_k"]), scores) if params["top_k"] > 0 else scores


def typical(scores, _, params):
    return cut(logits_process.TypicalLogitsWarper(params["typical_p"]), scores) if params["typical_p"] < 1 else scores


def top_p(scores, _, params):
    if params["top_p"] >= 1:
        return scores
    check_gap(torch.cumsum(ordered_probabilities(scores), 0), params["top_p"])
    return cut(logits_process.TopPLogitsWarper(params["top_p"]), scores)


def min_p(scores, _, params):
    if params["min_p"] <= 0:
        return scores
    ordered = ordered_probabilities(scores)
    if params["min_p"] < 1:
        check_gap(ordered / ordered[0], params["min_p"])
    return cut(logits_process.MinPLogitsWarper(params["min_p"]), scores)


def xtc(scores, _, params):
    if params["xtc_probability"] <= 0:
        return scores
    probabilities = torch.softmax(scores, -1)
    check_gap(probabilities[scores > NEVER], params["xtc_threshold"])
    likely = [int(i) for i in (probabilities >= params["xtc_threshold"]).nonzero()]
    if len(likely) < 2:
        return scores
    scores = scores.clone()
    stays = min(likely, key=lambda token: probabilities[token])
    for token in likely:
        if token != stays:
            scores[token] = NEVER
    return scores


def temperature(scores, _, params):
    value = params["temperature"]
    spread = params["dynatemp_range"]
    if spread > 0:
        probabilities = torch.softmax(scores[scores > NEVER], -1)
        if len(probabilities) < 2:
            return scores
        entropy = -(probabilities * torch.log(probabilities)).sum() / math.log(len(probabilities))
        low = max(value - spread, 0)
        value = float(low + (value + spread - low) * entropy ** params["dynatemp_exponent"])
    return cut(logits_process.TemperatureLogitsWarper(value), scores) if value != 1.0 else scores


def mirostat(scores, params):
    limit = 2 * params["mirostat_tau"]
    probabilities = torch.softmax(scores, -1)
    if params["mirostat"] == 2:
        surprise = -torch.log2(probabilities)
        check_gap(surprise, limit)
        kept = surprise <= limit
        kept[int(torch.argmax(scores))] = True
        return scores.masked_fill(~kept, NEVER)
    ordered = torch.sort(probabilities, descending=True).values[:100]
    ranks = torch.arange(1, len(ordered), dtype=torch.float64)
    x = torch.log((ranks + 1) / ranks)
    y = torch.log(ordered[:-1] / ordered[1:])
    slope = float((x * y).sum() / (x * x).sum())
    excess = slope - 1
    count = ((excess * 2 ** limit) / (1 - len(scores) ** -excess)) ** (1 / slope)
    if abs(count - round(count)) < 1e-3:
        raise TooClose
    return top_k(scores, None, {"top_k": min(max(int(count), 1), len(scores))})


STAGES = {"penalties": penalties, "dry": dry, "top_n_sigma": top_n_sigma, "top_k": top_k, "typ_p": typical,
          "top_p": top_p, "min_p": min_p, "xtc": xtc, "temperature": temperature}


def distribution(logits, history, params):
    """float64 probabilities after every stage; raises TooClose."""
    scores = torch.tensor(logits, dtype=torch.float64)
    for token, bias in params["logit_bias"].items():
        scores[int(token)] += bias
    if params["bad_token_sequences"]:
        processor = logits_process.NoBadWordsLogitsProcessor(params["bad_token_sequences"])
        scores = processor(torch.tensor([history]), scores[None, :])[0]
    for name in params["samplers"]:
        if params["mirostat"] == 0 or name in ("penalties", "dry", "temperature"):
            scores = STAGES[name](scores, history, params)
    if params["mirostat"] != 0:
        scores = mirostat(scores, params)
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
            change = dict(change)
            seen = change.pop("history", history)
            params = OFF | change
            try:
                probabilities = distribution(logits, seen, params)
            except TooClose:
                print(f"left out: {name} {change}")
                continue
            kept = {str(i): float(f"{p:.7g}") for i, p in enumerate(probabilities) if p > 1e-9}
            cases.append({"logits": name, "history": seen, "params": change, "probabilities": kept})
    FIXTURE.parent.mkdir(parents=True, exist_ok=True)
    content = {
        "logits": {name: [round(float(value), 3) for value in vector] for name, vector in vectors.items()},
        "cases": cases,
    }
    FIXTURE.write_text(json.dumps(content) + "\n", encoding="utf-8")
    print(f"{FIXTURE}: {len(cases)} cases, {math.ceil(FIXTURE.stat().st_size / 1024)} KiB")


if __name__ == "__main__":
    main()
