"""Models of known shapes with random weights, and random tokens: make.py FOLDER [LAYERS]

smollm2: SmolLM2-135M with LAYERS of its 30 layers (4), BF16; gpt2: GPT-2 with 4 of its 12; minilm: MiniLM-L6;
qwen: Qwen2.5-0.5B with 4 of its 24, BF16.
"""
import pathlib
import sys

import h5py
import numpy
import torch
from transformers import (BertConfig, BertModel, GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM, Qwen2Config,
                          Qwen2ForCausalLM)

folder, layers = pathlib.Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 4
torch.manual_seed(1)
llama = LlamaConfig(hidden_size=576, intermediate_size=1536, num_hidden_layers=layers, num_attention_heads=9,
                    num_key_value_heads=3, vocab_size=49152, max_position_embeddings=2048, tie_word_embeddings=True)
LlamaForCausalLM(llama).to(torch.bfloat16).save_pretrained(folder / 'smollm2')
qwen = Qwen2Config(hidden_size=896, intermediate_size=4864, num_hidden_layers=4, num_attention_heads=14,
                   num_key_value_heads=2, vocab_size=151936, max_position_embeddings=2048, tie_word_embeddings=True)
Qwen2ForCausalLM(qwen).to(torch.bfloat16).save_pretrained(folder / 'qwen')
GPT2LMHeadModel(GPT2Config(n_layer=4)).save_pretrained(folder / 'gpt2')
minilm = BertConfig(hidden_size=384, num_hidden_layers=6, num_attention_heads=12, intermediate_size=1536)
BertModel(minilm).save_pretrained(folder / 'minilm')
random = numpy.random.default_rng(1)
for name, sequences, length, vocabulary in (('long', 32, 512, 49152), ('short', 64, 64, 30522)):
    with h5py.File(folder / f'{name}.h5', 'w') as file:  # rare tokens are rarer
        file['tokens'] = (vocabulary * random.random((sequences, length)) ** 3).astype('i4')
