"""The network of apps/capsnet in PyTorch: what its test errors and the time of its steps are compared with.

    python3 tests/bench/peers/capsnet.py --mnist FOLDER --seeds 0,1,2   one line of JSON per seed
    python3 tests/bench/peers/capsnet.py --steps 5                      milliseconds of a step

The same layers, initial distributions (Xavier uniform, also of each matrix of votes), routing with the
gradient through every iteration, losses, shifts by up to two pixels, batches and Adam with a rate of
0.001 * 0.9^epoch. Other random numbers: weights and batches are drawn by PyTorch.
"""
import argparse
import gzip
import json
import os
import struct
import time

import torch
import torch.nn as nn
import torch.nn.functional as F

DIGITS, PRIMARY_DIM, DIGIT_DIM, EPSILON = 10, 8, 16, 1e-12


def length(s):
    return (s.square().sum(-1) + EPSILON).sqrt()


def squash(s):
    squared = s.square().sum(-1, keepdim=True)
    return s * squared / ((1 + squared) * (squared + EPSILON).sqrt())


class CapsNet(nn.Module):
    def __init__(self, side, channels, types, routings, reconstruction):
        super().__init__()
        self.routings, self.types = routings, types
        places = ((side - 8 - 9) // 2 + 1) ** 2
        self.conv = nn.Conv2d(1, channels, 9)
        self.primary = nn.Conv2d(channels, types * PRIMARY_DIM, 9, stride=2)
        bound = (6 / (PRIMARY_DIM + DIGIT_DIM)) ** 0.5
        weight = torch.empty(types * places, DIGITS, PRIMARY_DIM, DIGIT_DIM)
        self.votes = nn.Parameter(weight.uniform_(-bound, bound))
        self.decoder = nn.Sequential(
            nn.Linear(DIGITS * DIGIT_DIM, 512), nn.ReLU(), nn.Linear(512, 1024), nn.ReLU(),
            nn.Linear(1024, side * side), nn.Sigmoid()) if reconstruction else None
        for layer in self.modules():
            if isinstance(layer, (nn.Conv2d, nn.Linear)):
                nn.init.xavier_uniform_(layer.weight)
                nn.init.zeros_(layer.bias)

    def capsules(self, x):
        y = self.primary(F.relu(self.conv(x)))
        n = y.size(0)
        u = squash(y.reshape(n, self.types, PRIMARY_DIM, -1).transpose(2, 3).reshape(n, -1, PRIMARY_DIM))
        # One matrix product per primary capsule: [I, N, 8] x [I, 8, 10 * 16].
        weight = self.votes.transpose(1, 2).reshape(u.size(1), PRIMARY_DIM, -1)
        u_hat = torch.bmm(u.transpose(0, 1), weight).view(u.size(1), n, DIGITS, DIGIT_DIM)
        u_hat = u_hat.permute(1, 2, 0, 3).contiguous()  # [N, 10, I, 16]
        b = torch.zeros(n, DIGITS, 1, u.size(1))
        for iteration in range(self.routings):
            v = squash(torch.softmax(b, 1) @ u_hat)  # [N, 10, 1, 16]
            if iteration + 1 < self.routings:
                b = b + (u_hat @ v.transpose(2, 3)).transpose(2, 3)
        return v.squeeze(2)

    def loss(self, pictures, present, targets):
        """present: [N, 10]; targets: [N, digits of a picture, side, side], and their digits in order."""
        v = self.capsules(pictures)
        lengths = length(v)
        margin = present * F.relu(0.9 - lengths).square()
        total = (margin + 0.5 * (1 - present) * F.relu(lengths - 0.1).square()).sum()
        if self.decoder is not None:
            for label, target in targets:
                mask = F.one_hot(label, DIGITS).unsqueeze(2)
                drawn = self.decoder((v * mask).flatten(1))
                total = total + 0.0005 * (drawn - target.flatten(1)).square().sum()
        return total / len(pictures)


# Data ---------------------------------------------------------------------------------------------

def read_idx(folder, name):
    path = os.path.join(folder, name)
    opened = gzip.open(path + ".gz") if os.path.exists(path + ".gz") else open(path, "rb")
    with opened as file:
        axes = struct.unpack(">HBB", file.read(4))[2]
        shape = struct.unpack(">" + "I" * axes, file.read(4 * axes))
        return torch.frombuffer(bytearray(file.read()), dtype=torch.uint8).reshape(shape)


def read_mnist(folder, split, count):
    pictures = read_idx(folder, split + "-images-idx3-ubyte")[:count or None]
    labels = read_idx(folder, split + "-labels-idx1-ubyte")[:count or None].long()
    return pictures.unsqueeze(1).float() / 255, labels


def shifted(pictures, room, margin):
    """Each picture somewhere in a frame with `margin` more pixels a side than room for a shift of room."""
    n, _, height, width = pictures.shape
    padded = F.pad(pictures, [room + margin] * 4)
    size = height + 2 * margin
    down, right = (torch.randint(0, 2 * room + 1, (n,)) for _ in range(2))
    return torch.stack([padded[i, :, down[i]:down[i] + size, right[i]:right[i] + size] for i in range(n)])


def make_batch(pictures, labels, indices, multi, train):
    own, own_labels = pictures[indices], labels[indices]
    if not multi:
        shown = shifted(own, 2, 0) if train else own
        return shown, F.one_hot(own_labels, DIGITS).float(), [(own_labels, shown)]
    others = torch.randint(0, len(labels), (len(indices),))
    while (same := labels[others] == own_labels).any():
        others[same] = torch.randint(0, len(labels), (int(same.sum()),))
    parts = [(own_labels, shifted(own, 4, 4)), (labels[others], shifted(pictures[others], 4, 4))]
    present = sum(F.one_hot(label, DIGITS) for label, _ in parts).float()
    return (parts[0][1] + parts[1][1]).clamp(max=1), present, parts


# Training -----------------------------------------------------------------------------------------

def train(options, seed):
    torch.manual_seed(seed)
    pictures, labels = read_mnist(options.mnist, "train", options.train_samples)
    test, test_labels = read_mnist(options.mnist, "t10k", options.test_samples)
    net = new_network(options, pictures.size(3) + 8 * options.multi)
    adam = torch.optim.Adam(net.parameters(), lr=1e-3)
    schedule = torch.optim.lr_scheduler.ExponentialLR(adam, 0.9)
    start = time.perf_counter()
    for _ in range(options.epochs):
        for indices in torch.randperm(len(labels)).split(options.batch_size):
            loss = net.loss(*make_batch(pictures, labels, indices, options.multi, True))
            adam.zero_grad()
            loss.backward()
            adam.step()
        schedule.step()
    seconds, wrong = time.perf_counter() - start, 0
    with torch.no_grad():
        for indices in torch.arange(len(test_labels)).split(options.batch_size):
            shown, present, _ = make_batch(test, test_labels, indices, options.multi, False)
            best = length(net.capsules(shown)).topk(1 + options.multi).indices
            guess = torch.zeros_like(present).scatter(1, best, 1)
            wrong += int((guess != present).any(1).sum())
    error = 100 * wrong / len(test_labels)
    print(json.dumps({"seed": seed, "test_error": error, "seconds": seconds}), flush=True)


def new_network(options, side):
    channels, types = (32, 4) if options.small else (256, 32)
    return CapsNet(side, channels, types, options.routings, not options.no_reconstruction)


def time_steps(options):
    side = 36 if options.multi else 28
    net = new_network(options, side)
    adam = torch.optim.Adam(net.parameters(), lr=1e-3)
    n = options.batch_size
    labels = torch.arange(n) % DIGITS
    pictures = torch.rand(n, 1, side, side)
    for _ in range(options.steps + 1):
        start = time.perf_counter()
        loss = net.loss(pictures, F.one_hot(labels, DIGITS).float(), [(labels, pictures)])
        adam.zero_grad()
        loss.backward()
        adam.step()
        print(f"{1000 * (time.perf_counter() - start):.0f} ms  loss {loss.item():.4f}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mnist", help="folder with MNIST's four files")
    parser.add_argument("--multi", action="store_true")
    parser.add_argument("--routings", type=int, default=3)
    parser.add_argument("--no-reconstruction", action="store_true")
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--batch-size", type=int, default=100)
    parser.add_argument("--train-samples", type=int, default=0)
    parser.add_argument("--test-samples", type=int, default=0)
    parser.add_argument("--seeds", default="0", help="numbers with commas between them")
    parser.add_argument("--steps", type=int, default=0, help="time so many steps of made pictures instead")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.steps > 0:
        time_steps(options)
    elif options.mnist:
        for seed in options.seeds.split(","):
            train(options, int(seed))
    else:
        parser.error("--mnist FOLDER or --steps N")


if __name__ == "__main__":
    main()
