"""What the expressions of function_case.h are written with on PyTorch's side: torch, F, and functions
that PyTorch has no name for. And inputs that are the same numbers on both sides, so that results can
be compared: numbers, spread and mask are those of function_case.cpp.
"""
from functools import lru_cache

import torch
import torch.nn.functional as F

from pytorch_models import append_norms, capsules_by_products, squash


# The same numbers on both sides -------------------------------------------------------------------

def scrambled(count, first):
    """`count` integers below 2^32, from the numbers first, first + 1, .."""
    h = (torch.arange(count) + first) * 2654435761 & 0xFFFFFFFF
    h = (h ^ h >> 15) * 2246822519 & 0xFFFFFFFF
    return h ^ h >> 13


def numbers(shape, first, low, high):
    share = scrambled(torch.Size(shape).numel(), first).double() / 2**32
    return (low + (high - low) * share).float().view(shape)


@lru_cache(None)
def spread(count, bound):
    return scrambled(count, 0) % bound


@lru_cache(None)
def mask(*shape):
    return numbers(shape, 0, -1, 1) > 0


def weights_like(t):
    return numbers(t.shape, 900_000_001, -1, 1)


def facts_of(name, t):
    """The mean size of the elements, and a weighted sum as a part of their sizes, which also tells
    one order of them from another."""
    t = torch.zeros(1) if t is None else t.detach().double()
    size = t.abs().sum().item()
    share = (t * weights_like(t)).sum().item() / size if size > 0 else 0.0
    return {name: share, "size of " + name: size / t.numel()}


# Functions that PyTorch has no name for -----------------------------------------------------------

def attention_pooling(h, weight, bias, bottom_up, top_down, top_down_bias):
    z = F.relu(F.linear(h, weight, bias))
    share = torch.softmax(z @ bottom_up, 1)
    return F.linear((share.unsqueeze(1) @ z).squeeze(1), top_down, top_down_bias)


def capsule_norm(v):
    return torch.sqrt((v * v).sum(-1) + 1e-12)


def margin_loss(norms, labels):
    own = F.one_hot(labels, norms.shape[1])
    return (own * F.relu(0.9 - norms)**2 + 0.5 * (1 - own) * F.relu(norms - 0.1)**2).sum(1).mean()


def mixed_kernel(kernels, c):
    height, width = (max(k.shape[axis] for k in kernels) for axis in (2, 3))

    def placed(k):
        top, left = (height - 1) // 2 - (k.shape[2] - 1) // 2, (width - 1) // 2 - (k.shape[3] - 1) // 2
        return F.pad(k, (left, width - k.shape[3] - left, top, height - k.shape[2] - top))
    return sum(c[i] * placed(k) for i, k in enumerate(kernels))


def routing(votes, bias):
    """The capsules after three iterations, and the coefficients of each."""
    logits, shares = torch.zeros(votes.shape[:3]), []
    for iteration in range(3):
        shares.append(torch.softmax(logits, 2))
        v = squash(torch.einsum("nij,nijo->njo", shares[-1], votes) + bias)
        if iteration < 2:
            logits = logits + torch.einsum("nijo,njo->nij", votes, v)
    return v, torch.stack(shares)
