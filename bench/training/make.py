"""A model of SmolLM2-135M's shape with random weights, and random tokens: make.py FOLDER SEQUENCES LENGTH"""
import sys

import h5py
import numpy
import torch
from transformers import LlamaConfig, LlamaForCausalLM

folder, sequences, length = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
torch.manual_seed(1)
config = LlamaConfig(hidden_size=576, intermediate_size=1536, num_hidden_layers=30, num_attention_heads=9,
                     num_key_value_heads=3, vocab_size=49152, max_position_embeddings=2048, tie_word_embeddings=True)
LlamaForCausalLM(config).save_pretrained(folder + '/model')
with h5py.File(folder + '/tokens.h5', 'w') as file:
    file['tokens'] = numpy.random.default_rng(1).integers(0, 49152, (sequences, length)).astype('i4')
