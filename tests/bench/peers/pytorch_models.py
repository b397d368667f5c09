"""The two recognisers and their supernets in PyTorch, as fast as eager PyTorch runs them here, and
other networks with their training steps.

The same networks as apps/ser/models/systems.h, written for speed: parameters carry the same dotted names
(parameters_by_our_names maps the few that differ), so that weights can be handed over and losses
compared. Spectrograms are (N, 1, F, T), class scores (N, 4).

A supernet has two forms: naive runs every candidate of a mixed layer and adds the results, as
published search programs do; merged adds the kernels first and runs one convolution, the strongest
form there is, since convolution is linear in its kernel.
"""
import torch
import torch.nn as nn
import torch.nn.functional as F

import capsnet
import darts

SYSTEMS = ("CNN_GRU_att", "CNN_SeqCap")
WIDE = [(2, 8), (2, 7), (2, 6), (1, 9), (1, 10), (3, 5)]
TALL = [(w, h) for h, w in WIDE]
BODY = [(5, 5), (5, 4), (4, 5), (4, 4), (4, 6), (6, 4)]
WIDTHS = [32, 48, 64, 80]
CLASSES, CELLS = 4, 64
WINDOW, SHIFT = 10, 5
EPSILON = 1e-12


def matrix(*shape, fan):
    bound = (6.0 / fan) ** 0.5
    return nn.Parameter(torch.empty(*shape).uniform_(-bound, bound))


def dense(inputs, outputs):
    layer = nn.Linear(inputs, outputs)
    nn.init.xavier_uniform_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


# Mixtures -----------------------------------------------------------------------------------------

class Mixed(nn.Module):
    """sum_i c_i op_i(x); c from softmax(alpha) and, in dropout mode, the candidate left out."""

    def __init__(self, ops):
        super().__init__()
        self.ops = nn.ModuleList(ops)
        self.alpha = nn.Parameter(torch.zeros(len(ops)))
        self.masked = None       # number of the candidate left out
        self.merged = False      # convolutions: one kernel in place of all

    def active(self):
        weights = torch.softmax(self.alpha, 0)
        count = len(self.ops)
        if self.masked is not None:
            weights = weights * (count / (count - 1))
        return [(op, weights[i]) for i, op in enumerate(self.ops) if i != self.masked]

    def combine(self, result):
        total = None
        for op, weight in self.active():
            term = result(op) * weight
            total = term if total is None else total + term
        return total

    def forward(self, x):
        return self.combine(lambda op: op(x))


class Convolution(nn.Module):
    """Stride 1, size kept, the odd extra zero behind; PyTorch's 'same'."""

    def __init__(self, inputs, outputs, kernel):
        super().__init__()
        taps = kernel[0] * kernel[1]
        self.kernel = kernel
        self.weight = matrix(outputs, inputs, *kernel, fan=(inputs + outputs) * taps)
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, x):
        return F.conv2d(x, self.weight, self.bias, padding="same")


class MixedConvolution(Mixed):
    """merged: candidate i lies at offset (K - 1) // 2 - (k_i - 1) // 2 of the union kernel."""

    def __init__(self, inputs, outputs, kernels):
        super().__init__([Convolution(inputs, outputs, kernel) for kernel in kernels])
        self.union = [max(kernel[axis] for kernel in kernels) for axis in (0, 1)]

    def forward(self, x):
        if not self.merged:
            return super().forward(x)

        def placed(op):
            pads = []
            for size, own in zip(reversed(self.union), reversed(op.kernel)):
                before = (size - 1) // 2 - (own - 1) // 2
                pads += [before, size - own - before]
            return F.pad(op.weight, pads)

        return F.conv2d(x, self.combine(placed), self.combine(lambda op: op.bias), padding="same")


class Attention(nn.Module):
    """Weights over time from one map, class scores from another; z is pooled first, which is the
    same and less work."""

    def __init__(self, inputs, channels):
        super().__init__()
        self.proj = dense(inputs, channels)
        self.bottom_up = matrix(channels, fan=channels + 1)
        self.top_down = dense(channels, CLASSES)

    def forward(self, h):
        z = torch.relu(self.proj(h))
        a = torch.softmax(z @ self.bottom_up, 1)
        return self.top_down(torch.bmm(a.unsqueeze(1), z).squeeze(1))


class MixedLinear(Mixed):
    """Widths padded with zeros to the widest."""

    def __init__(self, inputs):
        super().__init__([dense(inputs, width) for width in WIDTHS])

    def forward(self, x):
        widest = max(WIDTHS)
        return self.combine(lambda op: F.pad(op(x), (0, widest - op.out_features)))


# Capsules -----------------------------------------------------------------------------------------

def squash(s):
    square = (s * s).sum(-1, keepdim=True)
    return s * (square / ((1 + square) * torch.sqrt(square + EPSILON)))


def append_norms(v):
    return torch.cat([v.flatten(-2), torch.sqrt((v * v).sum(-1) + EPSILON)], -1)


def capsules_by_einsum(u, weight, bias):
    """Votes as (N, I, J, O); a weight of one input capsule serves them all."""
    if weight.shape[0] == 1:
        votes = torch.einsum("nid,jdo->nijo", u, weight[0])
    else:
        votes = torch.einsum("nid,ijdo->nijo", u, weight)
    logits = None
    for iteration in range(3):
        if logits is None:
            s = votes.sum(1) / votes.shape[2]
        else:
            s = torch.einsum("nij,nijo->njo", torch.softmax(logits, 2), votes)
        v = squash(s + bias)
        if iteration < 2:
            step = torch.einsum("nijo,njo->nij", votes, v)
            logits = step if logits is None else logits + step
    return v


def capsules_by_products(u, weight, bias):
    """Votes as (N * J, I, O), so that every sum is a batched matrix product."""
    votes = torch.einsum("nid,ijdo->njio", u, weight).contiguous()
    N, J, I, O = votes.shape
    flat = votes.view(N * J, I, O)
    logits = None
    for iteration in range(3):
        if logits is None:
            s = votes.sum(2) / J
        else:
            s = torch.bmm(torch.softmax(logits, 1).reshape(N * J, 1, I), flat).view(N, J, O)
        v = squash(s + bias)
        if iteration < 2:
            step = torch.bmm(flat, v.reshape(N * J, O, 1)).view(N, J, I)
            logits = step if logits is None else logits + step
    return v


def capsules_elementwise(u, weight, bias):
    """Votes as (N, J, I, O), products and sums one by one: what a compiler can fuse."""
    votes = torch.einsum("nid,ijdo->njio", u, weight)
    logits = None
    for iteration in range(3):
        if logits is None:
            s = votes.sum(2) / votes.shape[1]
        else:
            s = (torch.softmax(logits, 1).unsqueeze(-1) * votes).sum(2)
        v = squash(s + bias)
        if iteration < 2:
            step = (votes * v.unsqueeze(2)).sum(-1)
            logits = step if logits is None else logits + step
    return v


CAPSULE_FORMS = {"einsum": capsules_by_einsum, "batched products": capsules_by_products,
                 "elementwise": capsules_elementwise}


class CapsuleLayer(nn.Module):
    """shared: one matrix per output capsule for all inputs."""

    def __init__(self, inputs, outputs, size_in, size_out, shared=False):
        super().__init__()
        self.weight = matrix(1 if shared else inputs, outputs, size_in, size_out,
                             fan=size_in + size_out)
        self.bias = nn.Parameter(torch.zeros(outputs, size_out))
        self.form = capsules_by_einsum if shared else capsules_by_products

    def forward(self, u):
        return self.form(u, self.weight, self.bias)


class PrimaryCapsules(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = matrix(64, 16, 5, 5, fan=(16 + 64) * 25)
        self.bias = nn.Parameter(torch.zeros(64))

    def forward(self, x):                                   # (windows, 16, F', 10)
        pads = []
        for size, stride in ((x.shape[3], 2), (x.shape[2], 4)):
            total = max((-(-size // stride) - 1) * stride + 5 - size, 0)
            pads += [total // 2, total - total // 2]
        y = F.conv2d(F.pad(x, pads), self.weight, self.bias, stride=(4, 2))
        y = y.reshape(y.shape[0], 8, 8, y.shape[2] * y.shape[3])     # type, component, place
        return squash(y.permute(0, 1, 3, 2).flatten(1, 2))


class SequentialCapsules(nn.Module):
    def __init__(self, bins):
        super().__init__()
        inputs = 8 * -(-bins // 4) * 5
        self.primary = PrimaryCapsules()
        self.window_caps = CapsuleLayer(inputs, 8, 8, 8)
        self.utterance_caps = CapsuleLayer(1, CLASSES, 72, 16, shared=True)

    def forward(self, x):                                   # (N, 16, F', T')
        count = 1 + max(0, -(-(x.shape[3] - WINDOW) // SHIFT))
        x = F.pad(x, (0, WINDOW + (count - 1) * SHIFT - x.shape[3])).unfold(3, WINDOW, SHIFT)
        each = x.permute(0, 3, 1, 2, 4).flatten(0, 1)
        vectors = append_norms(self.window_caps(self.primary(each)))
        return self.utterance_caps(vectors.view(x.shape[0], count, -1))


# Systems ------------------------------------------------------------------------------------------

class Cnn(nn.Module):
    def __init__(self, supernet):
        super().__init__()
        layers = {"conv1": (1, 8, WIDE), "conv2": (1, 8, TALL), "conv3": (16, 16, BODY),
                  "conv4": (16, 16, BODY)}
        for name, (inputs, outputs, kernels) in layers.items():
            self.add_module(name, MixedConvolution(inputs, outputs, kernels) if supernet
                            else Convolution(inputs, outputs, kernels[0]))

    def forward(self, x):
        y = torch.cat([self.conv1(x), self.conv2(x)], 1)
        y = F.max_pool2d(torch.relu(y), (2, 1))
        y = F.max_pool2d(torch.relu(self.conv3(y)), 2)
        y = F.max_pool2d(torch.relu(self.conv4(y)), 2)
        return F.max_pool2d(y, (4, 1))


class GruAttention(nn.Module):
    def __init__(self, bins, supernet=False):
        super().__init__()
        self.cnn = Cnn(supernet)
        self.gru = make_gru(16 * (bins // 32))
        channels = 2 * CELLS
        self.attention = (Mixed([Attention(channels, width) for width in WIDTHS]) if supernet
                          else Attention(channels, 64))

    def forward(self, x):
        y = self.cnn(x)
        return self.attention(self.gru(y.permute(0, 3, 1, 2).flatten(2))[0])


class SequentialCapsuleSystem(nn.Module):
    def __init__(self, bins, supernet=False):
        super().__init__()
        self.cnn = Cnn(supernet)
        self.capsules = SequentialCapsules(bins // 32)
        features = CLASSES * 17
        self.dense = MixedLinear(features) if supernet else dense(features, 64)
        self.out = dense(max(WIDTHS) if supernet else 64, CLASSES)

    def forward(self, x):
        utterance = self.capsules(self.cnn(x))
        return self.out(torch.relu(self.dense(append_norms(utterance))))


def make_gru(inputs):
    """One bias per gate counts, as in ours: PyTorch's second is zero and not trained."""
    gru = nn.GRU(inputs, CELLS, batch_first=True, bidirectional=True)
    for name, parameter in gru.named_parameters():
        if name.startswith("bias"):
            nn.init.zeros_(parameter)
        if name.startswith("bias_hh"):
            parameter.requires_grad_(False)
    return gru


def make_system(name, bins, supernet=False):
    return (GruAttention if name == "CNN_GRU_att" else SequentialCapsuleSystem)(bins, supernet)


def parameters_by_our_names(model):
    """Trainable parameters under the names that Serenade gives them."""
    named = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            named[name.replace("_l0", "")] = parameter
    return named


# Networks beside the two systems ------------------------------------------------------------------

class Network:
    """A network and its training step. named: its parameters under the names that Serenade gives them.
    shape: of the input; make_y: of an input, what else the loss needs. updates, one after the other:
    parameters, their optimizer, and the norm that their gradients are scaled down to, or None."""

    def __init__(self, model, named, shape, make_y, loss, updates):
        self.model, self.named, self.shape = model, named, shape
        self.make_y, self.loss, self.updates = make_y, loss, updates

    def step(self, x, y):
        for parameters, optimizer, largest in self.updates:
            gradients = torch.autograd.grad(self.loss(x, y), parameters)
            for parameter, gradient in zip(parameters, gradients):
                parameter.grad = gradient
            del gradients
            if largest is not None:
                nn.utils.clip_grad_norm_(parameters, largest)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)


def ten_classes(x):
    return torch.arange(len(x)) % 10


def capsnet_network():
    net = capsnet.CapsNet(28, 256, 32, 3, True)
    named = {name.replace("votes", "digits.weight"): p for name, p in net.named_parameters()}
    adam = torch.optim.Adam(net.parameters(), lr=1e-3, fused=True)
    return Network(net, named, (100, 1, 28, 28), ten_classes,
                   lambda x, y: net.loss(x, F.one_hot(y, 10).float(), [(y, x)]),
                   [(list(net.parameters()), adam, None)])


class ResidualBlock(nn.Module):
    def __init__(self, inputs, outputs):
        super().__init__()
        stride = 1 if inputs == outputs else 2

        def conv(channels, kernel, step):
            return [nn.Conv2d(channels, outputs, kernel, step, kernel // 2, bias=False),
                    nn.BatchNorm2d(outputs)]
        self.way = nn.Sequential(*conv(inputs, 3, stride), nn.ReLU(inplace=True),
                                 *conv(outputs, 3, 1))
        self.shortcut = nn.Sequential(*(conv(inputs, 1, stride) if stride == 2 else []))

    def forward(self, x):
        return F.relu(self.way(x) + self.shortcut(x), inplace=True)


class ResidualNetwork(nn.Module):
    """ResNet-20 for small images, with 1x1 convolutions where the shortcuts change size."""

    def __init__(self):
        super().__init__()
        widths = [16] * 4 + [32] * 3 + [64] * 3
        self.body = nn.Sequential(nn.Conv2d(3, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16),
                                  nn.ReLU(inplace=True),
                                  *(ResidualBlock(a, b) for a, b in zip(widths, widths[1:])))
        self.out = nn.Linear(64, 10)

    def forward(self, x):
        return self.out(self.body(x).mean((2, 3)))


def resnet_network():
    net = ResidualNetwork()
    named = {name.replace("body.", ""): p for name, p in net.named_parameters()}
    sgd = torch.optim.SGD(net.parameters(), 0.1, momentum=0.9, weight_decay=1e-4, fused=True)
    return Network(net, named, (128, 3, 32, 32), ten_classes,
                   lambda x, y: F.cross_entropy(net(x), y), [(list(net.parameters()), sgd, None)])


def darts_network():
    net = darts.Supernet(8, 5)
    kinds = ["reduce" if cell.reduction else "normal" for cell in net.cells]
    edges = [f"{source}_{node}" for node in range(2, 6) for source in range(node)]
    named, weights = {}, []
    for name, parameter in net.named_parameters():
        first, *rest = name.split(".")
        if first == "alphas":       # a row for each edge, which ours has in the first cell of the kind
            kind = ("normal", "reduce")[int(rest[0])]
            for edge, row in zip(edges, parameter):
                named[f"cell{kinds.index(kind)}.{kind}_{edge}.alpha"] = row
            continue
        weights.append(parameter)
        if first == "cells":
            cell = int(rest.pop(0))
            first = f"cell{cell}"
            if rest[0] == "edges":
                rest[:2] = [f"{kinds[cell]}_{edges[int(rest[1])]}"]
        named[".".join([first, *rest])] = parameter
    alphas = list(net.alphas.parameters())
    adam = torch.optim.Adam(alphas, 3e-4, (0.5, 0.999), weight_decay=1e-3, fused=True)
    sgd = torch.optim.SGD(weights, 0.025, momentum=0.9, weight_decay=3e-4, fused=True)
    return Network(net, named, (64, 3, 32, 32), ten_classes, lambda x, y: F.cross_entropy(net(x), y),
                   [(alphas, adam, None), (weights, sgd, 5)])


def transformer_network():
    net = nn.TransformerEncoderLayer(512, 8, dropout=0, batch_first=True)
    adam = torch.optim.Adam(net.parameters(), lr=1e-4, fused=True)
    return Network(net, dict(net.named_parameters()), (16, 128, 512), torch.randn_like,
                   lambda x, y: F.mse_loss(net(x), y), [(list(net.parameters()), adam, None)])


NETWORKS = {"capsnet": capsnet_network, "resnet": resnet_network, "darts": darts_network,
            "transformer": transformer_network}
