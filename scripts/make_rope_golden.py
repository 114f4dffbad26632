#!/usr/bin/env python3
"""Make tests/fixtures/rope/golden.json: inverse frequencies and magnitudes of every rope scaling, by transformers.

usage: make_rope_golden.py OUT.json   (needs torch and transformers)
"""
import json
import sys

from transformers import LlamaConfig
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

CASES = [
    {"type": "linear", "dim": 64, "theta": 10000.0, "context": 2048, "parameters": {"factor": 4.0}},
    {"type": "dynamic", "dim": 64, "theta": 10000.0, "context": 64, "parameters": {"factor": 2.0}, "length": 200},
    {"type": "dynamic", "dim": 16, "theta": 500000.0, "context": 64, "parameters": {"factor": 8.0}, "length": 65},
    {"type": "dynamic", "dim": 16, "theta": 10000.0, "context": 64, "parameters": {"factor": 8.0}, "length": 20},
    {"type": "llama3", "dim": 128, "theta": 500000.0, "context": 131072,
     "parameters": {"factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
                    "original_max_position_embeddings": 8192}},
    {"type": "llama3", "dim": 64, "theta": 500000.0, "context": 131072,
     "parameters": {"factor": 32.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
                    "original_max_position_embeddings": 8192}},
    {"type": "yarn", "dim": 128, "theta": 1000000.0, "context": 131072,
     "parameters": {"factor": 4.0, "original_max_position_embeddings": 32768}},
    {"type": "yarn", "dim": 80, "theta": 10000.0, "context": 65536,
     "parameters": {"factor": 16.0, "original_max_position_embeddings": 4096, "beta_fast": 24.0, "beta_slow": 2.0,
                    "attention_factor": 1.3}},
    {"type": "yarn", "dim": 64, "theta": 150000.0, "context": 131072,
     "parameters": {"factor": 32.0, "original_max_position_embeddings": 4096, "truncate": False}},
]


def golden(case):
    config = LlamaConfig(hidden_size=case["dim"] * 2, num_attention_heads=2, head_dim=case["dim"],
                         max_position_embeddings=case["context"],
                         rope_parameters={"rope_type": case["type"], "rope_theta": case["theta"],
                                          **case["parameters"]})
    inv_freq, magnitude = ROPE_INIT_FUNCTIONS[case["type"]](config, "cpu", seq_len=case.get("length"))
    return {**case, "inv_freq": inv_freq.float().tolist(), "magnitude": float(magnitude)}


def main():
    with open(sys.argv[1], "w", encoding="utf-8") as out:
        json.dump([golden(case) for case in CASES], out, indent=1)
        out.write("\n")


if __name__ == "__main__":
    main()
