#!/usr/bin/env python3
"""Makes tests/fixtures/io with other software (PyPI: gguf, safetensors, numpy), and reads files with it.

    make_io_fixtures.py                 write the fixtures
    make_io_fixtures.py --read FILE...  print what gguf or safetensors reads from files (of mlxr, say)
"""

import argparse
import json
import pathlib
import zlib

import gguf
import numpy as np
import safetensors
import safetensors.numpy

ROOT = pathlib.Path(__file__).resolve().parent.parent / "tests" / "fixtures" / "io"


def ramp(*shape, dtype=np.float32):
    return (np.arange(int(np.prod(shape))) % 97).reshape(shape).astype(dtype)


def q8_0(rows, elements):
    """Rows of Q8_0 blocks: scale 0.5, then 32 int8."""
    blocks = np.zeros((rows, elements // 32, 34), dtype=np.uint8)
    blocks[..., :2] = np.frombuffer(np.float16(0.5).tobytes(), dtype=np.uint8)
    blocks[..., 2:] = (np.arange(rows * elements) % 127).reshape(rows, elements // 32, 32)
    return blocks.reshape(rows, elements // 32 * 34)


def add_tensors(writer):
    writer.add_tensor("token_embd.weight", ramp(5, 32))
    writer.add_tensor("blk.0.attn_q.weight", q8_0(3, 64), raw_dtype=gguf.GGMLQuantizationType.Q8_0)
    writer.add_tensor("blk.0.attn_norm.weight", ramp(7, dtype=np.float16))
    writer.add_tensor("blk.0.exps.weight", ramp(2, 3, 4, dtype=np.int8))


def write_gguf(name, split=0, alignment=None):
    writer = gguf.GGUFWriter(ROOT / name, "llama", split_max_tensors=split)
    kind = gguf.GGUFValueType
    scalars = [
        ("u8", 200, kind.UINT8), ("i8", -100, kind.INT8), ("u16", 60000, kind.UINT16), ("i16", -30000, kind.INT16),
        ("u32", 4000000000, kind.UINT32), ("i32", -2000000000, kind.INT32), ("f32", 0.25, kind.FLOAT32),
        ("u64", 2**63 + 5, kind.UINT64), ("i64", -(2**62), kind.INT64), ("f64", 1e-300, kind.FLOAT64),
        ("true", True, kind.BOOL), ("false", False, kind.BOOL), ("text", "na\u00efve \U0001f600", kind.STRING),
        ("empty", "", kind.STRING),
    ]
    for key, value, vtype in scalars:
        writer.add_key_value("test." + key, value, vtype)
    arrays = [
        ("u8s", [1, 2, 255], kind.UINT8), ("i8s", [-1, 2], kind.INT8), ("u16s", [65535], kind.UINT16),
        ("i16s", [-32768, 7], kind.INT16), ("u32s", [1, 4294967295], kind.UINT32), ("i32s", [-1, 0, 1], kind.INT32),
        ("f32s", [0.5, -2.0, 3.25], kind.FLOAT32), ("u64s", [2**64 - 1], kind.UINT64), ("i64s", [-(2**63)], kind.INT64),
        ("f64s", [0.1], kind.FLOAT64), ("bools", [True, False, True], kind.BOOL),
        ("strings", ["<s>", "", "\u2581the"], kind.STRING),
    ]
    for key, value, vtype in arrays:
        writer.add_key_value("test." + key, value, kind.ARRAY, sub_type=vtype)
    if alignment:
        writer.add_custom_alignment(alignment)
    add_tensors(writer)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def write_safetensors():
    tensors = {
        "a.weight": ramp(3, 4), "b.bias": ramp(5, dtype=np.float16), "c.ids": ramp(2, 2, dtype=np.int64),
        "d.flags": np.array([True, False, True]), "scalar": np.array(2.5),
        "empty": np.zeros((0, 4), dtype=np.float32), "deep": ramp(1, 2, 3, 2, 2, dtype=np.uint8),
    }
    safetensors.numpy.save_file(tensors, ROOT / "types.safetensors", metadata={"format": "np", "note": "na\u00efve"})


def write_folder():
    folder = ROOT / "sharded"
    folder.mkdir(parents=True, exist_ok=True)
    shards = [{"model.embed.weight": ramp(4, 8), "model.norm.weight": ramp(8)}, {"lm_head.weight": ramp(4, 8)}]
    weight_map = {}
    for number, tensors in enumerate(shards, start=1):
        file = f"model-{number:05}-of-{len(shards):05}.safetensors"
        safetensors.numpy.save_file(tensors, folder / file, metadata={"format": "pt"})
        weight_map.update({name: file for name in tensors})
    size = sum(t.nbytes for shard in shards for t in shard.values())
    index = {"metadata": {"total_size": size}, "weight_map": dict(sorted(weight_map.items()))}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index, indent=2) + "\n")
    config = {"model_type": "llama", "hidden_size": 8, "rope_theta": 10000.0, "time_step_limit": [0.0, float("inf")]}
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")


def read(path):
    """One line a tensor: name, type, shape, CRC-32 of the bytes."""
    if path.endswith(".gguf"):
        reader = gguf.GGUFReader(path)
        for key, field in reader.fields.items():
            print(key, [t.name for t in field.types], str(field.contents())[:80])
        for t in reader.tensors:
            print(t.name, t.tensor_type.name, list(reversed(t.shape.tolist())), f"{zlib.crc32(t.data.tobytes()):08x}")
    else:
        with safetensors.safe_open(path, "np") as file:
            print(file.metadata())
            for name in file.keys():
                data = file.get_tensor(name)
                print(name, data.dtype, list(data.shape), f"{zlib.crc32(data.tobytes()):08x}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--read", nargs="+", metavar="FILE")
    args = parser.parse_args()
    if args.read:
        for path in args.read:
            read(path)
        return
    ROOT.mkdir(parents=True, exist_ok=True)
    write_gguf("types.gguf")
    write_gguf("aligned.gguf", alignment=64)
    write_gguf("split.gguf", split=1)
    write_safetensors()
    write_folder()


if __name__ == "__main__":
    main()
