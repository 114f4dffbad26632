#!/usr/bin/env python3
"""Writes what the Python package tokenizers makes of hard strings to tests/fixtures/tokenizer.

usage: make_tokenizer_golden.py            (pip install tokenizers sentencepiece)

sprout/golden.json   ids of the starter model's tokenizer, special tokens recognised and not, and the decoded text
bytelevel/*.json     the same for the tiny byte-level tokenizer of the model fixtures
metaspace/*.json     a tokenizer with SentencePiece's conventions, trained here, and its ids
spm-*/*              SentencePiece models trained here, and the ids of the package sentencepiece
steps.json           pieces of every pre-tokenizer (ours by name too) and output of every normalizer
"""
import io
import json
import pathlib
import random
import re

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

ROOT = pathlib.Path(__file__).resolve().parent.parent
OUT = ROOT / "tests/fixtures/tokenizer"
DEF = ROOT / "core/runtime/tokenizer/pretokenizers.def"

HAND = [
    "", " ", "   ", "\n", " \n \n\n  x", "\t\ttabs\tand  spaces ", "One day, a dog said: \"I'll go!\" They'd LEFT; we'Re here.",
    "1 22 333 4444 55555 3.14 1e-9 0xFF 1,000,000", "def f(a, b=2):\n    return a**b  # power\n\n\n", "{\"k\": [1, null, \"v\\n\"]}",
    "na\u00efve \u00e9t\u00e9 e\u0301te\u0301 \ufb01n \u212bngstr\u00f6m \u1e9b\u0323", "\u041f\u0440\u0438\u0432\u0435\u0442, \u043c\u0438\u0440! \u0391\u0392\u0393 \u03b1\u03b2\u03b3",
    "\u4f60\u597d\uff0c\u4e16\u754c\u3002 \u3053\u3093\u306b\u3061\u306f \uc548\ub155\ud558\uc138\uc694", "\u0645\u0631\u062d\u0628\u0627 \u05e9\u05dc\u05d5\u05dd \u0928\u092e\u0938\u094d\u0924\u0947 \u0e20\u0e32\u0e29\u0e32\u0e44\u0e17\u0e22",
    "\U0001f468\u200d\U0001f469\u200d\U0001f467 \U0001f44d\U0001f3fd \U0001f1e9\U0001f1ea", "a\u00a0b\u2003c\u3000d\u1680e\u180ef\u0085g\u2028h\u200bi",
    "\u00b2\u00b3\u00b9 \u00bd \u2460 \u2163 \u0663 \uff15 \u0f33", "'s 'S 's's '\u017f \u2019s ''ll don''t", "x" * 60, "!" * 40 + "?", "  " * 20 + "y",
    "<|im_start|>user\nhi<|im_end|>\n<|endoftext|> <s> </s> <unk> <|begin|>", "A\u0000B\u0007C\u007f", "\u01c5 \u00df \u1e9e \u0130 \u0131 \u017f \u212a",
    "snake_case CamelCase kebab-case UPPER", "https://a.example/x?y=1&z=%20#frag me@example.org", "$5 \u20ac6 \u00a37 50% #1 @me ^_^ ~/`x` |y|",
    "\u0301\u0316\u0301 lone marks", "\u1100\u1161\u11a8 \uac01", "\ud7a3\u11a8 \u0958 \u0915\u093c", "word\r\nnext\rlast\n", "\u2581 \u2581\u2581x\u2581",
    "1234567890123456789012", " 7", "a1b2 c3", "\u4e00\u9fa5\u9fff\u3400 \u30fc\u3006", "... -- ,,; \u2014\u2026 \u300c\u300d", "\U00010348\U0001d4b3 \U0002070e",
]
WORDS = "once upon a time there was little girl who liked to play with her red ball in the park and said hello we're can't don't".split()
SPACES = [" ", " ", " ", "  ", "\n", "\t", "\n\n", " \n", "\r\n", "\u00a0", "\u3000"]
BLOCKS = [(0x21, 0x7E), (0xA1, 0x17F), (0x300, 0x32F), (0x391, 0x3C9), (0x410, 0x44F), (0x5D0, 0x5EA), (0x621, 0x64A), (0x660, 0x669),
          (0x904, 0x94D), (0xE01, 0xE3A), (0x1100, 0x1112), (0x2010, 0x2044), (0x20A0, 0x20BF), (0x2150, 0x218B), (0x3041, 0x30FE),
          (0x4E00, 0x4FFF), (0xAC00, 0xACFF), (0xFF01, 0xFF5E), (0x1D400, 0x1D4FF), (0x1F300, 0x1F64F)]


def random_text(rng):
    out = []
    low, high = rng.choice(BLOCKS)
    for _ in range(rng.randint(1, 24)):
        kind = rng.random()
        if kind < 0.4:
            out.append(rng.choice(WORDS))
        elif kind < 0.55:
            out.append(str(rng.randint(0, 10 ** rng.randint(1, 8))))
        else:
            out.append("".join(chr(rng.randint(low, high)) for _ in range(rng.randint(1, 4))))
        if rng.random() < 0.75:
            out.append(rng.choice(SPACES))
    return "".join(out)


def texts(count, seed):
    rng = random.Random(seed)
    return HAND + [random_text(rng) for _ in range(count)]


def save(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w") as f:
        json.dump(value, f, ensure_ascii=True, separators=(",", ":"))
        f.write("\n")
    print(path.relative_to(ROOT), path.stat().st_size)


def cases(tokenizer, strings):
    out = []
    for text in strings:
        tokenizer.encode_special_tokens = False
        ids = tokenizer.encode(text, add_special_tokens=False).ids
        tokenizer.encode_special_tokens = True
        plain = tokenizer.encode(text, add_special_tokens=False).ids
        decoded = tokenizer.decode(ids, skip_special_tokens=False)
        out.append({"text": text, "ids": ids, "plain_ids": plain, "decoded": decoded})
    tokenizer.encode_special_tokens = False
    return {"source": "tokenizers, add_special_tokens=False; plain_ids with encode_special_tokens", "cases": out}


def metaspace_tokenizer():
    """Character BPE as converters write it for Llama 2: U+2581 for spaces, byte fallback, fused unknowns."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("\u2581"), normalizers.Replace(" ", "\u2581")])
    tokenizer.decoder = decoders.Sequence([decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    rng = random.Random(5)
    corpus = [" ".join(rng.choice(WORDS) for _ in range(12)) for _ in range(300)] + HAND[5:12]
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()  # for training only: words
    specials = ["<unk>", "<s>", "</s>"] + [f"<0x{b:02X}>" for b in range(256)]
    tokenizer.train_from_iterator(corpus, trainers.BpeTrainer(vocab_size=520, special_tokens=specials, show_progress=False))
    value = json.loads(tokenizer.to_str())
    value["pre_tokenizer"] = None
    value["added_tokens"] = [t for t in value["added_tokens"] if t["id"] < 3]
    return value


def sentencepiece_model(name, **options):
    """A SentencePiece BPE model trained here, and the ids of the package sentencepiece."""
    import sentencepiece

    rng = random.Random(7)
    path = OUT / name
    path.mkdir(parents=True, exist_ok=True)
    corpus = [" ".join(rng.choice(WORDS) for _ in range(12)) for _ in range(300)]
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(corpus), model_writer=model, model_type="bpe", normalization_rule_name="identity",
        hard_vocab_limit=False, minloglevel=2, **options)
    (path / "tokenizer.model").write_bytes(model.getvalue())
    processor = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())
    strings = texts(30, 4) + ["<sep> a<sep>b  <sep>", "say hello   to   the ball", "<unk> <s> hello</s>", "<sep>", "a  b "]
    cases = [{"text": t, "plain_ids": processor.encode(t), "decoded": processor.decode(processor.encode(t))} for t in strings]
    save(path / "golden.json", {"source": "sentencepiece", "cases": cases})


def step_goldens():
    rows = []
    source = DEF.read_text()
    splits = {}
    for name, body in re.findall(r"^MLXR_SPLIT\((\w+),(.*?)\)\n(?=\n|MLXR|//)", source, re.S | re.M):
        literals = re.findall(r'R"re\((.*?)\)re"(\s*,)?', body, re.S)
        patterns, current = [], ""
        for literal, comma in literals:
            current += literal
            if comma:
                patterns.append(current)
                current = ""
        splits[name] = patterns + ([current] if current else [])
    for split, patterns in splits.items():
        name = re.search(r'^MLXR_PRE\("([^"]+)", %s,' % split, source, re.M).group(1)
        config = pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(p), "isolated") for p in patterns])
        rows.append((f"name:{name}", None, config))

    P = pre_tokenizers
    behaviors = ["removed", "isolated", "merged_with_previous", "merged_with_next", "contiguous"]
    configs = [P.ByteLevel(add_prefix_space=p, use_regex=r) for p in (False, True) for r in (False, True)]
    configs += [P.Digits(individual_digits=i) for i in (False, True)]
    configs += [P.Punctuation(b) for b in behaviors]
    configs += [P.Split(Regex(r"\s|[aeiou]"), b, invert=i) for b in behaviors for i in (False, True)]
    configs += [P.Split(" ", "merged_with_previous"), P.Split(".", "isolated"), P.Split(Regex(r"(?m:a.b)|\h+|\S\s"), "isolated")]
    configs += [P.Split(Regex(r"[\p{L}&&[^aeiou]]+|[^\S\n]|[\W&&\p{ASCII}]|^x|y$"), "isolated"), P.Split(Regex(r"(?=\d)|(?<=[A-Z])"), "isolated")]
    configs += [P.Whitespace(), P.WhitespaceSplit()]
    configs += [P.Metaspace(prepend_scheme=s, split=c) for s in ("always", "first", "never") for c in (False, True)]
    configs += [P.Sequence([P.Punctuation("contiguous"), P.ByteLevel(add_prefix_space=False), P.Digits(False), P.Split(Regex("[0-9][0-9][0-9]"), "isolated")])]
    configs += [P.Sequence([P.Digits(True), P.ByteLevel(add_prefix_space=False)])]
    for config in configs:
        rows.append((config.__class__.__name__, json.loads(config.__getstate__().decode()), config))

    strings = texts(10, 11)
    pre = []
    for name, config, tokenizer in rows:
        pieces = []
        for text in strings:
            # Offsets of the pieces are dropped: what counts is the text that the model sees.
            pieces.append([piece for piece, _ in tokenizer.pre_tokenize_str(text)])
        pre.append({"name": name, "config": config, "pieces": pieces})
    N = normalizers
    norm = []
    for config in [N.NFC(), N.NFD(), N.NFKC(), N.NFKD(), N.Lowercase(), N.Strip(), N.Strip(left=False), N.Prepend("\u2581"), N.Replace(" ", "\u2581"),
                   N.Replace(Regex(r"\s+"), "_"), N.Sequence([N.NFKC(), N.Lowercase(), N.Replace("a", "")])]:
        norm.append({"config": json.loads(config.__getstate__().decode()), "outputs": [config.normalize_str(t) for t in strings]})
    return {"source": "tokenizers", "texts": strings, "pre_tokenizers": pre, "normalizers": norm}


def main():
    sprout = Tokenizer.from_file(str(OUT / "sprout/tokenizer.json"))
    save(OUT / "sprout/golden.json", cases(sprout, texts(80, 1)))
    byte_level = Tokenizer.from_file(str(OUT / "bytelevel/tokenizer.json"))
    save(OUT / "bytelevel/golden.json", cases(byte_level, texts(10, 2)))
    value = metaspace_tokenizer()
    save(OUT / "metaspace/tokenizer.json", value)
    save(OUT / "metaspace/golden.json", cases(Tokenizer.from_file(str(OUT / "metaspace/tokenizer.json")), texts(40, 3)))
    # Byte fallback as in Llama 2; a model that drops extra spaces and knows no bytes; one without a space in front.
    sentencepiece_model("spm-bytes", vocab_size=420, byte_fallback=True, remove_extra_whitespaces=False, user_defined_symbols=["<sep>", "ball"])
    sentencepiece_model("spm-collapse", vocab_size=120, user_defined_symbols=["<sep>"], pad_id=3)
    sentencepiece_model("spm-bare", vocab_size=420, byte_fallback=True, remove_extra_whitespaces=False, add_dummy_prefix=False, split_by_whitespace=False)
    save(OUT / "steps.json", step_goldens())


if __name__ == "__main__":
    main()
