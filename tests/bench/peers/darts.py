"""A search step of apps/darts in PyTorch: first-order DARTS, one step on alpha, one on the weights.

    python3 tests/bench/peers/darts.py [--channels 8] [--cells 5] [--batch-size 64] [--side 32]
                                       [--threads 2] [--steps 3]

Prints the number of weights, which must be that of the supernet, and milliseconds of each step, by
the clock and of the processors: the second counts where other programs run beside it.
"""
import argparse
import time

import torch
import torch.nn as nn
import torch.nn.functional as F

OPERATIONS = 8


def norm(channels):
    return nn.BatchNorm2d(channels, affine=False)


def separable(c, kernel, stride, dilation=1):
    padding = dilation * (kernel - 1) // 2
    return [nn.ReLU(),
            nn.Conv2d(c, c, kernel, stride, padding, dilation, groups=c, bias=False),
            nn.Conv2d(c, c, 1, bias=False), norm(c)]


def fit(inputs, outputs):
    return nn.Sequential(nn.ReLU(), nn.Conv2d(inputs, outputs, 1, bias=False), norm(outputs))


class FactorizedReduce(nn.Module):
    def __init__(self, inputs, outputs):
        super().__init__()
        self.even = nn.Conv2d(inputs, outputs // 2, 1, 2, bias=False)
        self.odd = nn.Conv2d(inputs, outputs // 2, 1, 2, bias=False)
        self.norm = norm(outputs)

    def forward(self, x):
        x = F.relu(x)
        return self.norm(torch.cat([self.even(x), self.odd(x[:, :, 1:, 1:])], 1))


class Zero(nn.Module):
    def __init__(self, stride):
        super().__init__()
        self.stride = stride

    def forward(self, x):
        return x[:, :, ::self.stride, ::self.stride] * 0


class Mixed(nn.Module):
    def __init__(self, c, stride):
        super().__init__()
        self.ops = nn.ModuleList([
            Zero(stride),
            nn.Sequential(nn.MaxPool2d(3, stride, 1), norm(c)),
            nn.Sequential(nn.AvgPool2d(3, stride, 1, count_include_pad=False), norm(c)),
            nn.Identity() if stride == 1 else FactorizedReduce(c, c),
            nn.Sequential(*separable(c, 3, stride), *separable(c, 3, 1)),
            nn.Sequential(*separable(c, 5, stride), *separable(c, 5, 1)),
            nn.Sequential(*separable(c, 3, stride, 2)),
            nn.Sequential(*separable(c, 5, stride, 2))])

    def forward(self, x, weights):
        return sum(w * op(x) for w, op in zip(weights, self.ops))


class Cell(nn.Module):
    def __init__(self, before, last, c, reduction, after_reduction):
        super().__init__()
        self.reduction = reduction
        self.fit_before = FactorizedReduce(before, c) if after_reduction else fit(before, c)
        self.fit_last = fit(last, c)
        self.edges = nn.ModuleList(Mixed(c, 2 if reduction and source < 2 else 1)
                                   for node in range(2, 6) for source in range(node))

    def forward(self, before, last, weights):
        states, edge = [self.fit_before(before), self.fit_last(last)], 0
        for _ in range(4):
            states.append(sum(self.edges[edge + i](state, weights[edge + i])
                              for i, state in enumerate(states)))
            edge += len(states) - 1
        return torch.cat(states[2:], 1)


class Supernet(nn.Module):
    def __init__(self, c, cells, classes=10):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 3 * c, 3, padding=1, bias=False),
                                  nn.BatchNorm2d(3 * c))
        before = last = 3 * c
        after_reduction = False
        self.cells = nn.ModuleList()
        for i in range(cells):
            reduction = i in (cells // 3, 2 * cells // 3)
            c *= 2 if reduction else 1
            self.cells.append(Cell(before, last, c, reduction, after_reduction))
            before, last, after_reduction = last, 4 * c, reduction
        self.out = nn.Linear(last, classes)
        self.alphas = nn.ParameterList(nn.Parameter(torch.zeros(14, OPERATIONS)) for _ in range(2))

    def forward(self, x):
        before = last = self.stem(x)
        for cell in self.cells:
            weights = F.softmax(self.alphas[int(cell.reduction)], -1)
            before, last = last, cell(before, last, weights)
        return self.out(last.mean((2, 3)))


def main():
    parser = argparse.ArgumentParser()
    for name, value in (("channels", 8), ("cells", 5), ("batch-size", 64), ("side", 32),
                        ("threads", 2), ("steps", 3)):
        parser.add_argument("--" + name, type=int, default=value)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    net = Supernet(options.channels, options.cells)
    alphas = list(net.alphas.parameters())
    weights = [p for name, p in net.named_parameters() if not name.startswith("alphas")]
    print("weights", sum(p.numel() for p in weights))
    sgd = torch.optim.SGD(weights, 0.025, momentum=0.9, weight_decay=3e-4)
    adam = torch.optim.Adam(alphas, 3e-4, (0.5, 0.999), weight_decay=1e-3)
    x = torch.randn(options.batch_size, 3, options.side, options.side)
    y = torch.arange(options.batch_size) % 10

    def update(parameters, optimizer):
        gradients = torch.autograd.grad(F.cross_entropy(net(x), y), parameters)
        for parameter, gradient in zip(parameters, gradients):
            parameter.grad = gradient
        if optimizer is sgd:
            nn.utils.clip_grad_norm_(parameters, 5)
        optimizer.step()

    for step in range(options.steps):
        times = []
        for parameters, optimizer in ((alphas, adam), (weights, sgd)):
            start, processor = time.perf_counter(), time.process_time()
            update(parameters, optimizer)
            times += [1e3 * (time.perf_counter() - start), 1e3 * (time.process_time() - processor)]
        print("step %d  alpha %.0f ms (%.0f of processors)  weights %.0f ms (%.0f)"
              % (step, *times), flush=True)


if __name__ == "__main__":
    main()
