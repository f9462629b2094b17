#!/usr/bin/env python3
"""Write tiny, randomly initialised Hugging Face checkpoints that together use every option Espalier reads.

    make_tiny.py OUTPUT_DIR [NAME...]      then make_reference.py OUTPUT_DIR/*/

Each has odd sizes, random norms and biases, and weights large enough that attention is far from uniform.
`v4` and `hub` checkpoints are rewritten to look like the files of older transformers versions.
"""
import json
import sys
import zlib
from pathlib import Path

import torch
import transformers as tf
from safetensors import safe_open
from safetensors.torch import save_file

LLAMA = dict(vocab_size=61, hidden_size=24, intermediate_size=40, num_hidden_layers=2, num_attention_heads=4,
             num_key_value_heads=2, max_position_embeddings=128, rms_norm_eps=1e-5, bos_token_id=1, eos_token_id=2)
LLAMA3 = dict(rope_type="llama3", rope_theta=500000.0, factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
              original_max_position_embeddings=64)   # wavelengths fall in all three bands
GPT2 = dict(vocab_size=61, n_positions=20, n_embd=24, n_layer=2, n_head=4, bos_token_id=1, eos_token_id=2)
BERT = dict(vocab_size=61, hidden_size=24, intermediate_size=40, num_hidden_layers=2, num_attention_heads=3,
            max_position_embeddings=20, type_vocab_size=2, pad_token_id=0)
CLASSES = dict(id2label={0: "no", 1: "perhaps", 2: "yes"}, label2id={"no": 0, "perhaps": 1, "yes": 2})


def rope(theta=10000.0, **scaling):
    return dict(rope_type="default", rope_theta=theta) | scaling


def rewrite_config(folder, change):
    path = folder / "config.json"
    config = json.loads(path.read_text())
    change(config)
    path.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")


def rewrite_tensors(folder, change):
    path = folder / "model.safetensors"
    with safe_open(path, "pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}
    save_file(change(tensors), path, metadata={"format": "pt"})


def as_v4(config):
    """transformers 4: torch_dtype, rope_theta beside rope_scaling."""
    config["torch_dtype"] = config.pop("dtype")
    config["transformers_version"] = "4.40.0"
    scaling = config.pop("rope_parameters", None)
    if scaling:
        config["rope_theta"] = scaling.pop("rope_theta")
        config["rope_scaling"] = None if scaling["rope_type"] == "default" else scaling


def as_first_llama(config):
    """The earliest Llama configs: `type` for `rope_type`, and fields that are simply absent."""
    as_v4(config)
    config["rope_scaling"]["type"] = config["rope_scaling"].pop("rope_type")
    for absent in ("head_dim", "num_key_value_heads", "attention_bias", "mlp_bias", "tie_word_embeddings", "rope_theta"):
        del config[absent]


def as_hub_qwen2(config):
    as_v4(config)
    config.pop("layer_types")
    config.update(sliding_window=32768, use_sliding_window=False, max_window_layers=2)


def make_v4_llama3(folder):
    rewrite_config(folder, as_v4)


def make_first_llama(folder):
    rewrite_config(folder, as_first_llama)


def make_hub_qwen2(folder):
    rewrite_config(folder, as_hub_qwen2)


def make_hub_gpt2(folder):
    """As on the hub: no `transformer.` prefix, and the causal mask stored as h.N.attn.bias."""
    mask = torch.tril(torch.ones(GPT2["n_positions"], GPT2["n_positions"]))[None, None]
    masks = {f"h.{i}.attn.bias": mask.clone() for i in range(GPT2["n_layer"])}
    rewrite_tensors(folder, lambda old: {n.removeprefix("transformer."): t for n, t in old.items()} | masks)
    rewrite_config(folder, as_v4)


def make_hub_encoder(folder):
    """As many sentence encoders: an int64 tensor embeddings.position_ids."""
    positions = torch.arange(BERT["max_position_embeddings"])[None]
    rewrite_tensors(folder, lambda old: old | {"embeddings.position_ids": positions})


def make_hub_bert(folder):
    """As the first BERTs: gamma and beta for the norms' weight and bias, and a next-sentence head."""
    head = {"cls.seq_relationship.weight": torch.ones(2, BERT["hidden_size"]), "cls.seq_relationship.bias": torch.ones(2)}
    name = lambda n: n.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta")
    rewrite_tensors(folder, lambda old: {name(n): t for n, t in old.items()} | head)
    rewrite_config(folder, as_v4)


def make_hub_window(folder):
    """As the first Qwen2s: windows from max_window_layers on, no layer_types."""
    def change(config):
        as_v4(config)
        config.pop("layer_types")
    rewrite_config(folder, change)


def make_aliases(folder):
    """GPT2Config's other names of its members, which win, and members that are absent."""
    def change(config):
        config.update(hidden_size=config["n_embd"], num_hidden_layers=config["n_layer"], n_embd=768, n_layer=12)
        for absent in ("n_inner", "activation_function", "layer_norm_epsilon", "tie_word_embeddings", "architectures"):
            config.pop(absent, None)
    rewrite_config(folder, change)


def make_without_architecture(folder):
    rewrite_config(folder, lambda config: config.pop("architectures"))


def make_without_bias(folder):
    """An untied decoder whose own bias is not stored."""
    rewrite_tensors(folder, lambda old: {n: t for n, t in old.items() if n != "cls.predictions.decoder.bias"})


F32, F16, BF16 = torch.float32, torch.float16, torch.bfloat16
WHOLE, SHARD = "1GB", "12KB"
#   name: class, config, stored as, shard size, keywords of the class, rewriting
CHECKPOINTS = {
    "llama-mha-f32": (tf.LlamaForCausalLM, tf.LlamaConfig(**LLAMA | dict(num_key_value_heads=4)), F32),
    "llama-gqa-linear-bf16": (tf.LlamaForCausalLM, tf.LlamaConfig(
        **LLAMA, tie_word_embeddings=True, rope_parameters=rope(rope_type="linear", factor=2.5)), BF16),
    "llama-llama3-sharded-bf16": (tf.LlamaForCausalLM, tf.LlamaConfig(
        **LLAMA | dict(num_attention_heads=3, num_key_value_heads=1, head_dim=16), rope_parameters=LLAMA3), BF16, SHARD),
    "llama-bias-f16": (tf.LlamaForCausalLM, tf.LlamaConfig(
        **LLAMA, tie_word_embeddings=True, attention_bias=True, mlp_bias=True, rope_parameters=rope(50000.0)), F16),
    "llama-v4-llama3-bf16": (tf.LlamaForCausalLM, tf.LlamaConfig(
        **LLAMA, tie_word_embeddings=True, rope_parameters=LLAMA3 | dict(factor=4.0)), BF16, WHOLE, {}, make_v4_llama3),
    "llama-v4-linear-f16": (tf.LlamaForCausalLM, tf.LlamaConfig(
        **LLAMA | dict(num_key_value_heads=4), rope_parameters=rope(rope_type="linear", factor=4.0)), F16, WHOLE, {},
        make_first_llama),
    "mistral-bf16": (tf.MistralForCausalLM, tf.MistralConfig(
        **LLAMA, head_dim=10, sliding_window=None, rope_parameters=rope(1e6)), BF16),
    "qwen2-bf16": (tf.Qwen2ForCausalLM, tf.Qwen2Config(
        **LLAMA, tie_word_embeddings=True, rope_parameters=rope(1e6)), BF16),
    "qwen2-v4-f32": (tf.Qwen2ForCausalLM, tf.Qwen2Config(**LLAMA, rope_parameters=rope(1e6)), F32, WHOLE, {},
                     make_hub_qwen2),
    "mistral-window-bf16": (tf.MistralForCausalLM, tf.MistralConfig(
        **LLAMA, tie_word_embeddings=True, sliding_window=5, rope_parameters=rope()), BF16),
    "mistral-bidirectional-bf16": (tf.MistralModel, tf.MistralConfig(
        **LLAMA, sliding_window=4, is_causal=False, rope_parameters=rope()), BF16),
    "qwen2-window-v4-bf16": (tf.Qwen2ForCausalLM, tf.Qwen2Config(
        **LLAMA, use_sliding_window=True, sliding_window=7, max_window_layers=1, rope_parameters=rope()), BF16, WHOLE,
        {}, make_hub_window),
    "qwen3-window-types-bf16": (tf.Qwen3ForCausalLM, tf.Qwen3Config(
        **LLAMA, head_dim=8, tie_word_embeddings=True, use_sliding_window=True, sliding_window=3,
        layer_types=["sliding_attention", "full_attention"], rope_parameters=rope()), BF16),
    "llama-yarn-bf16": (tf.LlamaForCausalLM, tf.LlamaConfig(**LLAMA | dict(head_dim=16), rope_parameters=rope(
        rope_type="yarn", factor=4.0, original_max_position_embeddings=32, mscale=1.0, mscale_all_dim=0.7)), BF16),
    "llama-v4-yarn-bf16": (tf.LlamaForCausalLM, tf.LlamaConfig(**LLAMA | dict(head_dim=16), rope_parameters=rope(
        rope_type="yarn", factor=2.0, original_max_position_embeddings=64, attention_factor=0.9, beta_fast=16,
        beta_slow=2, truncate=False)), BF16, WHOLE, {}, make_v4_llama3),
    "llama-dynamic-bf16": (tf.LlamaForCausalLM, tf.LlamaConfig(**LLAMA | dict(max_position_embeddings=16),
                           rope_parameters=rope(rope_type="dynamic", factor=2.0)), BF16),
    "llama-longrope-bf16": (tf.LlamaForCausalLM, tf.LlamaConfig(**LLAMA, rope_parameters=rope(
        rope_type="longrope", original_max_position_embeddings=16, short_factor=[1.0, 1.1, 1.2],
        long_factor=[1.0, 2.5, 4.0])), BF16),
    "llama-v4-longrope-bf16": (tf.LlamaForCausalLM, tf.LlamaConfig(**LLAMA, rope_parameters=rope(
        rope_type="longrope", original_max_position_embeddings=64, factor=3.0, short_factor=[1.0, 1.1, 1.2],
        long_factor=[1.0, 2.5, 4.0])), BF16, WHOLE, {}, make_v4_llama3),
    "llama-encoder-bf16": (tf.LlamaModel, tf.LlamaConfig(**LLAMA), BF16),
    "llama-reward-bf16": (tf.LlamaForSequenceClassification, tf.LlamaConfig(**LLAMA, num_labels=1, pad_token_id=0), BF16),
    "llama-tokens-bf16": (tf.LlamaForTokenClassification, tf.LlamaConfig(**LLAMA, **CLASSES), BF16),
    "llama-answers-bf16": (tf.LlamaForQuestionAnswering, tf.LlamaConfig(**LLAMA), BF16, WHOLE, {},
                           make_without_architecture),
    "qwen2-classifier-bf16": (tf.Qwen2ForSequenceClassification, tf.Qwen2Config(
        **LLAMA, **CLASSES, tie_word_embeddings=True, pad_token_id=3), BF16),
    "qwen3-f32": (tf.Qwen3ForCausalLM, tf.Qwen3Config(**LLAMA, head_dim=8, rope_parameters=rope(1e6)), F32),
    "qwen3-bias-tied-bf16": (tf.Qwen3ForCausalLM, tf.Qwen3Config(
        **LLAMA, head_dim=12, tie_word_embeddings=True, attention_bias=True, rope_parameters=rope(1e6)), BF16),
    "gpt2-f32": (tf.GPT2LMHeadModel, tf.GPT2Config(**GPT2), F32),
    "gpt2-inner-sharded-bf16": (tf.GPT2LMHeadModel, tf.GPT2Config(**GPT2, n_inner=40), BF16, SHARD),
    "gpt2-aliases-bf16": (tf.GPT2LMHeadModel, tf.GPT2Config(**GPT2), BF16, WHOLE, {}, make_aliases),
    "gpt2-encoder-bf16": (tf.GPT2Model, tf.GPT2Config(**GPT2, tie_word_embeddings=False), BF16),
    "gpt2-classifier-bf16": (tf.GPT2ForSequenceClassification, tf.GPT2Config(**GPT2, **CLASSES, pad_token_id=2), BF16,
                             WHOLE, {}, make_without_architecture),
    "gpt2-tokens-bf16": (tf.GPT2ForTokenClassification, tf.GPT2Config(**GPT2, **CLASSES), BF16),
    "gpt2-hub-f16": (tf.GPT2LMHeadModel, tf.GPT2Config(**GPT2), F16, WHOLE, {}, make_hub_gpt2),
    "bert-encoder-pooler-f32": (tf.BertModel, tf.BertConfig(**BERT), F32, WHOLE, {}, make_hub_encoder),
    "bert-encoder-bf16": (tf.BertModel, tf.BertConfig(**BERT, layer_norm_eps=1e-5), BF16, WHOLE,
                          dict(add_pooling_layer=False)),
    "bert-classifier-f32": (tf.BertForSequenceClassification, tf.BertConfig(**BERT, **CLASSES), F32),
    "bert-classifier-sharded-f16": (tf.BertForSequenceClassification, tf.BertConfig(**BERT), F16, SHARD),
    "bert-tokens-bf16": (tf.BertForTokenClassification, tf.BertConfig(**BERT, **CLASSES), BF16),
    "bert-answers-bf16": (tf.BertForQuestionAnswering, tf.BertConfig(**BERT), BF16, WHOLE, {},
                          make_without_architecture),
    "bert-mlm-unbiased-bf16": (tf.BertForMaskedLM, tf.BertConfig(**BERT, tie_word_embeddings=False), BF16, WHOLE, {},
                               make_without_bias),
    "bert-regression-f32": (tf.BertForSequenceClassification, tf.BertConfig(**BERT, num_labels=1), F32),
    "bert-multi-label-bf16": (tf.BertForSequenceClassification, tf.BertConfig(
        **BERT, **CLASSES, problem_type="multi_label_classification"), BF16),
    "bert-mlm-f16": (tf.BertForMaskedLM, tf.BertConfig(**BERT), F16),
    "bert-mlm-untied-bf16": (tf.BertForMaskedLM, tf.BertConfig(**BERT, tie_word_embeddings=False), BF16),
    "bert-mlm-hub-f32": (tf.BertForMaskedLM, tf.BertConfig(**BERT), F32, WHOLE, {}, make_hub_bert),
}


def randomise(model, name):
    """Norm weights around 1, biases around 0, matrices with gain above 1."""
    generator = torch.Generator().manual_seed(zlib.crc32(name.encode()))
    with torch.no_grad():
        for key, values in model.named_parameters():
            noise = torch.randn(values.shape, generator=generator)
            if values.ndim == 2:
                embedding = "embed" in key or ".wte." in key or ".wpe." in key
                values.copy_(noise * (0.5 if embedding else 1.5 / 24 ** 0.5))
            else:
                values.copy_(0.3 * noise + (1.0 if key.endswith("weight") else 0.0))


def make(folder, name, kind, config, dtype, shard=WHOLE, keywords={}, change=None):
    """Write one checkpoint into folder/name; what was there is removed."""
    model = kind(config, **keywords)
    randomise(model, name)
    target = folder / name
    target.mkdir(parents=True, exist_ok=True)
    for old in target.iterdir():
        old.unlink()
    model.to(dtype).save_pretrained(target, max_shard_size=shard)
    (target / "generation_config.json").unlink(missing_ok=True)
    if change:
        change(target)
    for path in target.iterdir():
        path.chmod(0o644)


def main():
    folder, names = Path(sys.argv[1]), sys.argv[2:] or CHECKPOINTS
    for name in names:
        make(folder, name, *CHECKPOINTS[name])
        print(name, sum(p.stat().st_size for p in (folder / name).iterdir()))


if __name__ == "__main__":
    main()
