#!/usr/bin/env python3
"""Writes tests/fixtures/ops/attention.bin: causal attention computed in float64 by torch.

The file (little endian): the number of cases; for each case
  i32 heads, kv_heads, key_dim, value_dim, tokens, window (0: none); f32 scale, softcap (0: none);
  f32 q [tokens, heads, key_dim], k [tokens, kv_heads, key_dim], v [tokens, kv_heads, value_dim],
  f32 out [tokens, heads, value_dim].
scaled_dot_product_attention computes all cases but those with a soft cap, which it does not know.
"""

import pathlib
import struct

import torch

CASES = [
    # heads, kv_heads, key_dim, value_dim, tokens, window, scale, softcap
    (2, 2, 16, 16, 70, 0, 0.25, 0.0),
    (4, 1, 64, 64, 20, 0, 0.125, 0.0),
    (3, 1, 20, 12, 40, 9, 0.2, 0.0),
    (2, 1, 80, 80, 10, 0, 0.1118, 0.0),
    (2, 1, 16, 16, 40, 0, 0.25, 1.5),
    (2, 1, 16, 16, 40, 11, 0.25, 3.0),
]


def attend(q, k, v, window, scale, softcap):
    tokens, heads, _ = q.shape
    group = heads // k.shape[1]
    q = q.double().transpose(0, 1)
    k = k.double().transpose(0, 1).repeat_interleave(group, 0)
    v = v.double().transpose(0, 1).repeat_interleave(group, 0)
    row = torch.arange(tokens)[:, None]
    column = torch.arange(tokens)[None, :]
    seen = column <= row
    if window:
        seen &= column > row - window
    if softcap:
        scores = softcap * torch.tanh(q @ k.transpose(1, 2) * scale / softcap)
        weights = torch.softmax(scores.masked_fill(~seen, float("-inf")), -1)
        out = weights @ v
    else:
        out = torch.nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=seen, scale=scale)
    return out.transpose(0, 1)


def main():
    torch.manual_seed(5)
    data = struct.pack("<i", len(CASES))
    for heads, kv_heads, key_dim, value_dim, tokens, window, scale, softcap in CASES:
        q = torch.randn(tokens, heads, key_dim).clamp(-5, 5)
        k = torch.randn(tokens, kv_heads, key_dim).clamp(-5, 5)
        v = torch.randn(tokens, kv_heads, value_dim).clamp(-5, 5)
        scale, softcap = struct.unpack("<ff", struct.pack("<ff", scale, softcap))
        data += struct.pack("<6i2f", heads, kv_heads, key_dim, value_dim, tokens, window, scale, softcap)
        for tensor in (q, k, v, attend(q, k, v, window, scale, softcap)):
            data += tensor.float().contiguous().numpy().astype("<f4").tobytes()
    path = pathlib.Path(__file__).parent.parent / "tests/fixtures/ops/attention.bin"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


if __name__ == "__main__":
    main()
