"""CPU seconds of a step of PyTorch, micro-batches of one sequence: step.py FOLDER SEQUENCES"""
import sys
import time

import h5py
import torch
from transformers import LlamaForCausalLM

folder, sequences = sys.argv[1], int(sys.argv[2])
torch.set_num_threads(1)
model = LlamaForCausalLM.from_pretrained(folder + '/model', dtype=torch.float32).train(False)
tokens = torch.tensor(h5py.File(folder + '/tokens.h5')['tokens'][:].astype('i8'))
optimiser = torch.optim.AdamW(model.parameters(), lr=1e-5, weight_decay=0.01)


def step():
    optimiser.zero_grad()
    for s in range(sequences):
        (model(tokens[s:s + 1], labels=tokens[s:s + 1], use_cache=False).loss / sequences).backward()
    optimiser.step()


step()
begin = time.process_time()
for _ in range(2):
    step()
print((time.process_time() - begin) / 2)
