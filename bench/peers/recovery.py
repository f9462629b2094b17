"""Training after the cut in plain PyTorch, by the defaults of `espalier recover` (docs/method/training.md): distillation from
the dense model, AdamW, every eighth micro-batch held out, measured 16 times, the best weights kept."""
import copy
import math

import torch

from network import compute_loss

STEPS, POINTS, HOLD_OUT, PATIENCE = 256, 16, 8, 4
LEAST_TOKENS, MOST_TOKENS, MICRO_TOKENS = 1024, 32768, 1024
MOST_RATE, RATE_OF_WIDTH, WARMUP, DECAY, CLIP = 1e-3, 0.08, 0.05, 0.01, 1.0


def split_data(tokens, epochs):
    """Samples to train on, samples held out, and the samples of a step."""
    width = tokens.shape[1]
    step_tokens = min(max(epochs * tokens.numel() // STEPS, LEAST_TOKENS), MOST_TOKENS)
    micro = max(1, min(step_tokens // 4, MICRO_TOKENS) // width)
    batch = max(micro, step_tokens // width // micro * micro)
    held = torch.arange(tokens.shape[0]) // micro % HOLD_OUT == HOLD_OUT - 1
    return tokens[~held], tokens[held], batch


def compute_rate(step, steps, peak):
    at, warm = step + 0.5, WARMUP * steps
    if at < warm:
        return peak * at / warm
    return peak * 0.5 * (1 + math.cos(math.pi * (at - warm) / (steps - warm)))


def make_optimizer(model):
    matrices = [weight for weight in model.parameters() if weight.dim() > 1]
    others = [weight for weight in model.parameters() if weight.dim() <= 1]
    return torch.optim.AdamW([{'params': matrices, 'weight_decay': DECAY}, {'params': others, 'weight_decay': 0.0}],
                             betas=(0.9, 0.999), eps=1e-8)


def compute_divergence(model, teacher, sample):
    with torch.no_grad():
        wanted = teacher(sample, use_cache=False).logits[:, :-1].flatten(0, 1).log_softmax(-1)
    found = model(sample, use_cache=False).logits[:, :-1].flatten(0, 1).log_softmax(-1)
    return torch.nn.functional.kl_div(found, wanted, reduction='batchmean', log_target=True)


def make_step(model, teacher, optimizer, sample, rate):
    for group in optimizer.param_groups:
        group['lr'] = rate
    optimizer.zero_grad()
    compute_divergence(model, teacher, sample).backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP)
    optimizer.step()


class Best:
    """The weights with the least held-out loss."""

    def __init__(self, model, held):
        self.model, self.held, self.loss, self.without = model, held, math.inf, 0
        self.measure(0)

    def measure(self, step):
        loss = compute_loss(self.model, self.held)
        self.without += 1
        if loss < self.loss:
            self.loss, self.step, self.without = loss, step, 0
            self.weights = copy.deepcopy(self.model.state_dict())

    def restore(self):
        self.model.load_state_dict(self.weights)


def list_steps(count, batch, epochs, seed):
    """The samples of every step."""
    generator = torch.Generator().manual_seed(seed)
    return [part for _ in range(epochs) for part in torch.randperm(count, generator=generator).split(batch)]


def recover(model, teacher, tokens, epochs, seed=1):
    """Trains the model in place."""
    train, held, batch = split_data(tokens, epochs)
    peak = min(MOST_RATE, RATE_OF_WIDTH / model.config.hidden_size)
    parts = list_steps(len(train), batch, epochs, seed)
    optimizer, best = make_optimizer(model), Best(model, held)
    for step, part in enumerate(parts):
        make_step(model, teacher, optimizer, train[part], compute_rate(step, len(parts), peak))
        if (step + 1) % max(1, len(parts) // POINTS) == 0 or step + 1 == len(parts):
            best.measure(step + 1)
        if best.without >= PATIENCE:
            break
    best.restore()
    return {'best_step': best.step, 'steps': len(parts)}
