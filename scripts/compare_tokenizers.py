#!/usr/bin/env python3
"""Compares the tokenizer with other software on random strings.

usage: compare_tokenizers.py build/dev/bin/tokenize_lines FILE [--count 10000] [--seed 1] [--pre NAME] [--plain] [--bench TEXT]

FILE is a tokenizer.json (compared with the Python package tokenizers), a SentencePiece .model (package sentencepiece) or,
with --pre, a tiktoken file (compared with the tokenizer.json beside it). Exits 1 when any string differs.
"""
import argparse
import json
import pathlib
import random
import subprocess
import sys
import time

from make_tokenizer_golden import random_text

CONTROL = ["<|endoftext|>", "<|im_start|>", "<s>", "</s>", "<unk>", "\u2581", "<0x41>", "\u0000", "\u200d", "\ufeff", "'", "'re", "\r\n"]


def any_character(rng):
    while True:
        code = rng.choice([rng.randint(0, 0x7F), rng.randint(0, 0x7FF), rng.randint(0, 0xFFFF), rng.randint(0, 0x10FFFF)])
        if not 0xD800 <= code <= 0xDFFF:
            return chr(code)


def wild_text(rng):
    kind = rng.random()
    if kind < 0.5:
        return random_text(rng)
    if kind < 0.7:
        return "".join(any_character(rng) for _ in range(rng.randint(1, 30)))
    if kind < 0.85:
        return "".join(rng.choice([random_text(rng)[:8], rng.choice(CONTROL), " "]) for _ in range(rng.randint(1, 8)))
    return rng.choice([" ", "a", "\n", "!", "1", "\u4e2d", "e\u0301", "=-", "'s", "\t "]) * rng.randint(1, 120) + rng.choice(["", "x", " y", "\n"])


def reference(path, plain):
    if path.name.endswith(".json"):
        from tokenizers import Tokenizer

        tokenizer = Tokenizer.from_file(str(path))
        tokenizer.encode_special_tokens = plain
        return lambda text: tokenizer.encode(text, add_special_tokens=False).ids
    import sentencepiece

    processor = sentencepiece.SentencePieceProcessor(model_file=str(path))
    return lambda text: processor.encode(text)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("driver")
    parser.add_argument("file", type=pathlib.Path)
    parser.add_argument("--count", type=int, default=10000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--pre")
    parser.add_argument("--plain", action="store_true", help="special tokens in the text stay text")
    parser.add_argument("--bench", help="a text file to measure both on")
    args = parser.parse_args()

    rng = random.Random(args.seed)
    texts = [wild_text(rng) for _ in range(args.count)]
    command = [args.driver, str(args.file)] + (["--pre", args.pre] if args.pre else []) + (["--plain"] if args.plain else [])
    encode = reference(args.file.parent / "tokenizer.json" if args.pre else args.file, args.plain)

    if args.bench:
        ours = subprocess.run(command + ["--bench", args.bench], capture_output=True, text=True, check=True).stdout.strip()
        text = pathlib.Path(args.bench).read_text()
        start, rounds = time.process_time(), 0
        while time.process_time() - start < 2:
            tokens = len(encode(text))
            rounds += 1
        theirs = len(text.encode()) * rounds / (time.process_time() - start) / 1e6
        print(f"{args.file}: {ours}; reference {theirs:.2f} MB/s, {tokens} tokens")
        return 0

    lines = "".join(json.dumps(text) + "\n" for text in texts)
    result = subprocess.run(command, input=lines, capture_output=True, text=True, check=True)
    ours = [json.loads(line) for line in result.stdout.splitlines()]
    assert len(ours) == len(texts), (len(ours), len(texts))
    different = 0
    for text, ids in zip(texts, ours):
        wanted = encode(text)
        if ids != wanted:
            different += 1
            if different <= 5:
                print(f"{text!r}\n  ours   {ids}\n  theirs {wanted}")
    print(f"{args.file}: {different} of {len(texts)} strings differ ({result.stderr.strip()})")
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
