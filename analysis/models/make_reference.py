#!/usr/bin/env python3
"""Write reference.h5 beside each checkpoint: what transformers computes from it, in float32, eager attention.

    make_reference.py MODEL_DIR...             make_reference.py --check MODEL_DIR... compares instead

/tokens (N, T) int32, /lengths (N) int32 where padded, /token_types (N, T) int32 for BERT, and one of
  /logits (N, T, V) of language models and masked language models, /logits (N, classes) of classifiers,
  /embeddings (N, T, D), the last hidden states of plain encoders, with /pooled (N, D) if there is a pooler, and of
  models that label tokens or answer questions.
Tokens and token types after a sequence's length are random on purpose; outputs there are 0 and mean nothing.
A folder with heldout.h5 (a trained model): the start of its first sequences, and /nll (N', T - 1), the negative
log-likelihood of every next held-out token, or /logits of the first 256 held-out sequences for a classifier.
"""
import sys
from pathlib import Path

import h5py
import numpy as np
import torch
import transformers
from safetensors import safe_open

COUNT, LENGTH = 3, 20                  # N and T for tiny checkpoints
TRAINED_COUNT, TRAINED_LENGTH = 2, 16  # for trained language models, whose vocabulary is large
TRAINED_LINES = 256                    # for trained classifiers


def stored_names(folder):
    names = []
    for path in sorted(folder.glob("*.safetensors")):
        with safe_open(path, "pt") as file:
            names += file.keys()
    return names


def find_class(folder, config):
    """The configuration's class; where it names none, the one that the tensors belong to."""
    if config.architectures:
        return getattr(transformers, config.architectures[0])
    heads = {"qa_outputs.weight": "AutoModelForQuestionAnswering", "score.weight": "AutoModelForSequenceClassification"}
    found = [heads[name] for name in stored_names(folder) if name in heads]
    return getattr(transformers, found[0] if found else "AutoModelForCausalLM")


def load(folder):
    """Return the model in float32, as transformers reads the folder, with no custom code."""
    config = transformers.AutoConfig.from_pretrained(folder)
    kind = find_class(folder, config)
    keywords = {}
    if kind is transformers.BertModel:
        keywords["add_pooling_layer"] = any(name.startswith("pooler.") for name in stored_names(folder))
    model, problems = kind.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager",
                                           output_loading_info=True, **keywords)
    missing = set(problems["missing_keys"]) - {"cls.predictions.decoder.bias"}  # taken as 0
    assert not missing and not problems["mismatched_keys"], problems
    return model.eval()


def random_inputs(model, seed=7):
    """Random tokens; for BERT, and for every second other family member, lengths with a 1 among them."""
    random, config = np.random.default_rng(seed), model.config
    inputs = {"tokens": random.integers(0, config.vocab_size, (COUNT, LENGTH))}
    if config.model_type == "bert":
        inputs["token_types"] = random.integers(0, config.type_vocab_size, (COUNT, LENGTH))
    if config.model_type == "bert" or config.tie_word_embeddings or "CausalLM" not in type(model).__name__:
        inputs["lengths"] = np.array([LENGTH, 7, 1])
    return inputs


def held_out_inputs(folder):
    with h5py.File(folder / "heldout.h5") as file:
        held = {name: values[()] for name, values in file.items()}
    if "lengths" in held:
        return {name: values[:TRAINED_LINES] for name, values in held.items()}
    return {"tokens": held["tokens"][:TRAINED_COUNT, :TRAINED_LENGTH]}


def make_arguments(inputs, padding=None):
    """The model's arguments, with a token id behind a sequence's length if one is given, and which (N, T) there are."""
    tokens = torch.from_numpy(inputs["tokens"].astype(np.int64))
    lengths = inputs.get("lengths", np.full(len(tokens), tokens.shape[1]))
    mask = torch.from_numpy(np.arange(tokens.shape[1]) < lengths[:, None])
    if padding is not None:
        tokens = torch.where(mask, tokens, padding)
    arguments = {"input_ids": tokens, "attention_mask": mask.to(torch.int64)}
    if "token_types" in inputs:
        arguments["token_type_ids"] = torch.from_numpy(inputs["token_types"].astype(np.int64))
    return arguments, mask


def run(model, inputs):
    """Return {"logits": ...} or {"embeddings": ..., "pooled": ...}, and which tokens (N, T) there are."""
    is_token_head = type(model).__name__.endswith(("ForTokenClassification", "ForQuestionAnswering"))
    model = model.base_model if is_token_head else model
    arguments, mask = make_arguments(inputs, model.config.pad_token_id)
    output = model(**arguments)
    if "logits" in output:
        return {"logits": output.logits}, mask
    results = {"embeddings": output.last_hidden_state}
    if getattr(output, "pooler_output", None) is not None:
        results["pooled"] = output.pooler_output
    return results, mask


def compute(model, inputs):
    """What run returns, zero after a sequence's length."""
    with torch.no_grad():
        results, mask = run(model, inputs)
    return {name: (values * mask[:, :, None] if values.ndim == 3 else values).numpy() for name, values in results.items()}


def next_token_nll(model, folder):
    with h5py.File(folder / "heldout.h5") as file:
        held = torch.from_numpy(file["tokens"][()].astype(np.int64))
    parts = []
    for tokens in held.split(16):
        with torch.no_grad():
            log_p = model(input_ids=tokens).logits[:, :-1].log_softmax(-1)
        parts.append(-log_p.gather(-1, tokens[:, 1:, None])[..., 0])
    return torch.cat(parts).numpy()


def make_reference(folder):
    model = load(folder)
    trained = (folder / "heldout.h5").exists()
    inputs = held_out_inputs(folder) if trained else random_inputs(model)
    results = compute(model, inputs)
    if trained and results["logits"].ndim == 3:
        results["nll"] = next_token_nll(model, folder)
    assert all(np.isfinite(values).all() for values in results.values())
    return {name: values.astype(np.int32) for name, values in inputs.items()} | results


def write(folder):
    data = make_reference(folder)
    with h5py.File(folder / "reference.h5", "w", libver="earliest") as file:
        for name, values in data.items():
            file.create_dataset(name, data=values)
    return {name: values.shape for name, values in data.items()}


def check(folder):
    """Load the folder afresh and return the maximal difference of each data set, relative to its range."""
    data = make_reference(folder)
    with h5py.File(folder / "reference.h5") as file:
        assert set(file) == set(data), (set(file), set(data))
        differences = {name: float(np.abs(file[name][()] - values).max() / max(np.ptp(values), 1))
                       for name, values in data.items()}
    assert max(differences.values()) < 1e-6, (folder, differences)
    return differences


def main():
    torch.set_num_threads(1)
    folders = [argument for argument in sys.argv[1:] if argument != "--check"]
    for folder in map(Path, folders):
        print(folder.name, check(folder) if "--check" in sys.argv else write(folder))


if __name__ == "__main__":
    main()
