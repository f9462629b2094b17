"""Open an exported model in transformers, also one that its class cannot express.

    from load_pruned import load_pruned
    model, is_plain = load_pruned(FOLDER)

A uniform Llama, and a GPT-2 or BERT with all its heads, need none of this: from_pretrained opens them. Otherwise
(layers of different sizes in "per_layer_config"; GPT-2 and BERT heads whose sizes don't add up to the hidden size,
told in "head_dim"; Llamas with biases whose heads do not divide it) the class is built as if it had one head, then every parameter takes the shape of its tensor and
every attention module the number of heads that follows. In float32. A sub-layer that was removed whole gives the bias of
its last matrix; a model without some layer's attention generates without cache.
"""
import json
from pathlib import Path

import torch
import transformers
from safetensors.torch import load_file

HEADS = {"gpt2": "n_head", "bert": "num_attention_heads"}  # classes that derive the head size from the number of heads


def load_state(folder):
    state = {}
    for path in sorted(Path(folder).glob("*.safetensors")):
        state |= load_file(path)
    return state


def find_writer(module):
    """The last matrix of an attention or feed-forward module and the units it reads, or None."""
    for name, axis in (("c_proj", 0), ("o_proj", 1), ("down_proj", 1)):
        if hasattr(module, name):
            writer = getattr(module, name)
            return writer, writer.weight.shape[axis]
    return None, module.query.weight.shape[0] if type(module).__name__ == "BertSelfAttention" else None


def silence(module, writer):
    """Let a module without units return what is left of it."""
    is_attention = type(module).__name__.endswith("Attention")

    def forward(hidden_states, *_, **__):
        if writer is None:  # BERT's, whose last matrix is in a module of its own
            result = hidden_states[..., :0]
        else:
            result = torch.zeros_like(hidden_states) + (0 if writer.bias is None else writer.bias)
        return (result, None) if is_attention else result

    module.forward = forward
    return is_attention


def set_heads(module, size):
    """Numbers that an attention module derives from its configuration."""
    kind = type(module).__name__
    if kind == "GPT2Attention":
        module.split_size, module.head_dim, module.scaling = module.c_proj.weight.shape[0], size, size ** -0.5
        module.num_heads = module.split_size // size
    elif kind == "BertSelfAttention":
        module.all_head_size = module.query.weight.shape[0]
        module.attention_head_size, module.scaling = size, size ** -0.5
        module.num_attention_heads = module.all_head_size // size
    elif kind.endswith("Attention") and hasattr(module, "num_key_value_groups"):
        module.num_key_value_groups = module.q_proj.weight.shape[0] // module.k_proj.weight.shape[0]


def take_parameters(model, state):
    for name, old in list(model.named_parameters()):
        tensor = state.get(name, state.get(name.removeprefix(model.base_model_prefix + ".")))
        assert tensor is not None, f"{name} is not in the files"
        module = model.get_submodule(name.rpartition(".")[0])
        setattr(module, name.rpartition(".")[2], torch.nn.Parameter(tensor.to(old.dtype)))
        if hasattr(module, "nf"):  # GPT-2's Conv1D
            module.nf = module.weight.shape[1]


def build(kind, folder, sizes):
    sizes = dict(sizes)
    heads_key = HEADS.get(sizes["model_type"])
    hidden = sizes.get("hidden_size", sizes.get("n_embd"))
    head_size = sizes.get("head_dim") or hidden // sizes[heads_key or "num_attention_heads"]
    sizes.pop("per_layer_config", None)
    if is_indivisible(sizes):
        sizes["num_attention_heads"] = sizes["num_key_value_heads"] = 1
    if heads_key:
        sizes.pop("head_dim", None)
        sizes[heads_key] = 1
    config = kind.config_class.from_dict(sizes)
    config._attn_implementation = "eager"
    model = kind(config).float()
    take_parameters(model, load_state(folder))
    model.tie_weights()
    for module in model.modules():
        writer, units = find_writer(module)
        if units != 0:
            set_heads(module, head_size)
        elif silence(module, writer):
            model.config.use_cache = False
    return model.eval()


def is_indivisible(sizes):
    """LlamaConfig refuses heads that do not divide the hidden size, whatever head_dim says."""
    return sizes["model_type"] == "llama" and sizes["num_attention_heads"] and \
        sizes["hidden_size"] % sizes["num_attention_heads"] != 0


def load_pruned(folder):
    """Return (model, whether from_pretrained alone opened it)."""
    sizes = json.loads((Path(folder) / "config.json").read_text())
    kind = getattr(transformers, sizes["architectures"][0])
    if "per_layer_config" in sizes or ("head_dim" in sizes and sizes["model_type"] in HEADS) or is_indivisible(sizes):
        return build(kind, folder, sizes), False
    extra = {} if kind is not transformers.BertModel else {"add_pooling_layer": False}
    return kind.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager", **extra).eval(), True
