#!/usr/bin/env python3
"""Write a Llama checkpoint with random weights (bf16, one safetensors file) and a random token file.

    make_random_llama.py DIR                        the shape of TinyLlama: 1.1 billion parameters, 2.2 GB
    make_random_llama.py DIR --layers 2 --hidden 64 ...

For memory and time only: what such a model says means nothing. Tensors are written one by one, a block of rows
at a time. Needs NumPy and h5py.
"""
import argparse
import json
import struct
from pathlib import Path

import h5py
import numpy as np

BLOCK_ROWS = 1024


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder")
    for name, value in (("hidden", 2048), ("layers", 22), ("heads", 32), ("kv-heads", 4), ("intermediate", 5632),
                        ("vocabulary", 32000), ("context", 2048), ("sequences", 32), ("length", 256), ("seed", 1)):
        parser.add_argument(f"--{name}", type=int, default=value, help=f"default {value}")
    return parser.parse_args()


def list_shapes(o):
    """Return {name: shape} in the order of the file."""
    head = o.hidden // o.heads
    shapes = {"model.embed_tokens.weight": (o.vocabulary, o.hidden)}
    for layer in range(o.layers):
        at = f"model.layers.{layer}."
        shapes |= {
            at + "input_layernorm.weight": (o.hidden,),
            at + "self_attn.q_proj.weight": (o.heads * head, o.hidden),
            at + "self_attn.k_proj.weight": (o.kv_heads * head, o.hidden),
            at + "self_attn.v_proj.weight": (o.kv_heads * head, o.hidden),
            at + "self_attn.o_proj.weight": (o.hidden, o.heads * head),
            at + "post_attention_layernorm.weight": (o.hidden,),
            at + "mlp.gate_proj.weight": (o.intermediate, o.hidden),
            at + "mlp.up_proj.weight": (o.intermediate, o.hidden),
            at + "mlp.down_proj.weight": (o.hidden, o.intermediate),
        }
    return shapes | {"model.norm.weight": (o.hidden,), "lm_head.weight": (o.vocabulary, o.hidden)}


def make_header(shapes):
    header, offset = {"__metadata__": {"format": "pt"}}, 0
    for name, shape in shapes.items():
        end = offset + 2 * int(np.prod(shape))
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [offset, end]}
        offset = end
    text = json.dumps(header).encode()
    return text + b" " * (-len(text) % 8)


def to_bf16(values):
    return (values.astype(np.float32).view(np.uint32) >> 16).astype(np.uint16)


def write_tensor(file, shape, rng):
    """Norm weights near 1; matrices normal with variance 1 / columns, so that activations keep their size."""
    if len(shape) == 1:
        file.write(to_bf16(1 + 0.1 * rng.standard_normal(shape, np.float32)).tobytes())
        return
    rows, columns = shape
    for first in range(0, rows, BLOCK_ROWS):
        block = rng.standard_normal((min(BLOCK_ROWS, rows - first), columns), np.float32)
        file.write(to_bf16(block * np.float32(columns ** -0.5)).tobytes())


def write_config(o, folder):
    config = {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "torch_dtype": "bfloat16",
        "hidden_size": o.hidden, "num_hidden_layers": o.layers, "num_attention_heads": o.heads,
        "num_key_value_heads": o.kv_heads, "intermediate_size": o.intermediate, "vocab_size": o.vocabulary,
        "max_position_embeddings": o.context, "rope_theta": 10000.0, "rms_norm_eps": 1e-5, "hidden_act": "silu",
        "tie_word_embeddings": False, "attention_bias": False, "mlp_bias": False, "rope_scaling": None,
    }
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")


def main():
    options = parse_arguments()
    folder = Path(options.folder)
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(options.seed)
    write_config(options, folder)
    shapes = list_shapes(options)
    header = make_header(shapes)
    with open(folder / "model.safetensors", "wb") as file:
        file.write(struct.pack("<Q", len(header)) + header)
        for shape in shapes.values():
            write_tensor(file, shape, rng)
    tokens = rng.integers(0, options.vocabulary, (options.sequences, options.length), np.int32)
    with h5py.File(folder / "random.tokens.h5", "w", libver="earliest") as file:
        file.create_dataset("tokens", data=tokens)
    print(f"{folder}: {sum(int(np.prod(s)) for s in shapes.values()):,} parameters, {tokens.size:,} tokens")


main()
