#!/usr/bin/env python3
"""Train one of the small models of tests/models and write its Hugging Face directory and token files.

    fetch_data.sh DATA;  OMP_NUM_THREADS=1 train.py llama|gpt2|bert DATA OUTPUT_DIR [--steps N] [--seed S]

One thread, float32, 10 to 15 minutes each; stored as bfloat16. The language models learn English novels
(public domain), the classifier learns the section of a Debian package from its one-line description.
"""
import argparse
import json
import math
import time
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import (BertConfig, BertForSequenceClassification, GPT2Config, GPT2LMHeadModel, LlamaConfig,
                          LlamaForCausalLM, PreTrainedTokenizerFast)

import corpus
from tokenize_text import cut_windows, pad_lines, write_tokens

CONTEXT = 128        # T of the language models
LINE_LENGTH = 48     # T of the classifier: one description in a thousand is longer
HELD_OUT_LINES, CALIBRATION_LINES = 2048, 1024
HELD_OUT_WINDOWS, CALIBRATION_WINDOWS = 192, 256


def make_llama(vocabulary):
    return LlamaForCausalLM(LlamaConfig(
        vocab_size=vocabulary, hidden_size=192, intermediate_size=512, num_hidden_layers=4, num_attention_heads=6,
        num_key_value_heads=2, max_position_embeddings=512, rms_norm_eps=1e-5, tie_word_embeddings=True,
        bos_token_id=0, eos_token_id=0, initializer_range=0.05))


def make_gpt2(vocabulary):
    return GPT2LMHeadModel(GPT2Config(
        vocab_size=vocabulary, n_positions=CONTEXT, n_embd=144, n_layer=6, n_head=6, bos_token_id=0, eos_token_id=0,
        resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0, initializer_range=0.05))


def make_bert(vocabulary, names):
    return BertForSequenceClassification(BertConfig(
        vocab_size=vocabulary, hidden_size=128, num_hidden_layers=4, num_attention_heads=4, intermediate_size=512,
        max_position_embeddings=64, pad_token_id=0, initializer_range=0.05, hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0, id2label=dict(enumerate(names)),
        label2id={name: i for i, name in enumerate(names)}))


def train_byte_pairs(texts, size):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(texts, trainers.BpeTrainer(
        vocab_size=size, special_tokens=["<|endoftext|>"], show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    return tokenizer


def train_word_pieces(texts, size):
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    tokenizer.train_from_iterator(texts, trainers.WordPieceTrainer(
        vocab_size=size, special_tokens=special, show_progress=False))
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
    return tokenizer


class NovelTask:
    """Next-token prediction on windows of the novels."""

    def __init__(self, options):
        training, held = corpus.split_novels(options.data)
        tokenizer = train_byte_pairs(training, 2048)
        self.ids = np.concatenate([[0] + tokenizer.encode(text).ids for text in training])
        held_windows = np.concatenate([cut_windows(tokenizer.encode(text).ids, CONTEXT) for text in held])
        self.held = held_windows[_spread(len(held_windows), HELD_OUT_WINDOWS)]
        windows = cut_windows(self.ids, CONTEXT)
        self.calibration = windows[_spread(len(windows), CALIBRATION_WINDOWS)]
        self.model = (make_llama if options.model == "llama" else make_gpt2)(tokenizer.get_vocab_size())
        self.tokenizer = PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<|endoftext|>",
                                                 eos_token="<|endoftext|>", model_max_length=CONTEXT)

    def batch(self, random):
        starts = random.integers(0, len(self.ids) - CONTEXT, 16)
        return torch.from_numpy(np.stack([self.ids[s:s + CONTEXT] for s in starts]).astype(np.int64))

    def loss(self, tokens):
        logits = self.model(input_ids=tokens, use_cache=False).logits[:, :-1]
        return torch.nn.functional.cross_entropy(logits.reshape(-1, logits.shape[-1]), tokens[:, 1:].reshape(-1))

    def evaluate(self):
        losses = [self.loss(torch.from_numpy(part.astype(np.int64))).item() for part in np.split(self.held, 12)]
        return {"perplexity": math.exp(sum(losses) / len(losses)), "context": CONTEXT}

    def write_data(self, folder):
        write_tokens(folder / "calibration.h5", self.calibration)
        write_tokens(folder / "heldout.h5", self.held)


class DescriptionTask:
    """Classification of one-line package descriptions by section. The vocabulary is small on purpose: words in
    pieces make the layers work; with whole words a bag of embeddings does, and neurons are hardly missed."""

    def __init__(self, options):
        pairs, self.names = corpus.read_descriptions(options.data)
        texts, labels = [text for text, _ in pairs], np.array([label for _, label in pairs])
        tokenizer = train_word_pieces(texts[HELD_OUT_LINES:], 512)
        self.tokens, self.lengths = pad_lines([e.ids for e in tokenizer.encode_batch(texts)], LINE_LENGTH, 0)
        self.labels, self.order = labels, []
        self.model = make_bert(tokenizer.get_vocab_size(), self.names)
        self.tokenizer = PreTrainedTokenizerFast(
            tokenizer_object=tokenizer, unk_token="[UNK]", pad_token="[PAD]", cls_token="[CLS]", sep_token="[SEP]",
            mask_token="[MASK]", model_max_length=LINE_LENGTH)

    def batch(self, random):
        if len(self.order) < 64:
            self.order = random.permutation(np.arange(HELD_OUT_LINES, len(self.labels)))
        rows, self.order = self.order[:64], self.order[64:]
        return rows

    def logits(self, rows):
        lengths = self.lengths[rows]
        width = lengths.max()
        mask = np.arange(width) < lengths[:, None]
        return self.model(input_ids=torch.from_numpy(self.tokens[rows, :width].astype(np.int64)),
                          attention_mask=torch.from_numpy(mask.astype(np.int64))).logits

    def loss(self, rows):
        return torch.nn.functional.cross_entropy(self.logits(rows), torch.from_numpy(self.labels[rows]))

    def evaluate(self):
        hits = [(self.logits(rows).argmax(1).numpy() == self.labels[rows]).sum()
                for rows in np.split(np.arange(HELD_OUT_LINES), 16)]
        return {"accuracy": float(sum(hits) / HELD_OUT_LINES), "classes": len(self.names)}

    def write_data(self, folder):
        for name, rows in (("heldout.h5", slice(HELD_OUT_LINES)),
                           ("calibration.h5", slice(HELD_OUT_LINES, HELD_OUT_LINES + CALIBRATION_LINES))):
            write_tokens(folder / name, self.tokens[rows], self.lengths[rows], self.labels[rows])


#        task              steps  peak learning rate
MODELS = {
    "llama": (NovelTask, 1800, 4e-3),
    "gpt2": (NovelTask, 1400, 3e-3),
    "bert": (DescriptionTask, 2200, 1.5e-3),
}


def _spread(total, count):
    return np.arange(count) * total // count


def _groups(model):
    matrices = [p for p in model.parameters() if p.ndim >= 2]
    vectors = [p for p in model.parameters() if p.ndim < 2]
    return [{"params": matrices, "weight_decay": 0.1}, {"params": vectors, "weight_decay": 0.0}]


def train(task, steps, peak, seed):
    """AdamW, warm-up over a twentieth, then cosine down to a twentieth of the peak."""
    optimiser = torch.optim.AdamW(_groups(task.model), lr=peak, betas=(0.9, 0.95))
    warm = steps // 20
    rate = lambda s: min((s + 1) / warm, 0.525 + 0.475 * math.cos(math.pi * max(s - warm, 0) / (steps - warm)))
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, rate)
    random, start = np.random.default_rng(seed), time.time()
    task.model.train()
    for step in range(1, steps + 1):
        loss = task.loss(task.batch(random))
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(task.model.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        if step % 50 == 0 or step == steps:
            print(f"step {step} loss {loss.item():.3f} {time.time() - start:.0f} s", flush=True)


def evaluate(task):
    task.model.eval()
    with torch.no_grad():
        return task.evaluate()


def write(task, folder):
    """Store as bfloat16, then evaluate what was stored, in float32."""
    folder.mkdir(parents=True, exist_ok=True)
    task.model.to(torch.bfloat16).save_pretrained(folder)
    task.tokenizer.save_pretrained(folder)
    (folder / "model.safetensors").chmod(0o644)
    task.write_data(folder)
    task.model = type(task.model).from_pretrained(folder, dtype=torch.float32)
    result = evaluate(task)
    result["parameters"] = sum(p.numel() for p in task.model.parameters())
    (folder / "dense.json").write_text(json.dumps(result, indent=1) + "\n")
    print(result)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", choices=MODELS)
    parser.add_argument("data", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--steps", type=int)
    parser.add_argument("--seed", type=int, default=1, help="of the first weights and the order of the data")
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(options.seed)
    make_task, steps, peak = MODELS[options.model]
    task = make_task(options)
    print(sum(p.numel() for p in task.model.parameters()), "parameters", flush=True)
    train(task, options.steps or steps, peak, options.seed)
    write(task, options.output)


if __name__ == "__main__":
    main()
