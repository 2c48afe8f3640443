#!/usr/bin/env python3
"""The training steps of `npm run bench` in PyTorch, for comparison on the same machine.

    apt-get install python3-torch        (or: pip install torch)
    pip install schedulefree             (optional, see below)
    python3 bench/pytorch.py [threads]   (default: all cores)

Run it alternately with `npm run bench -- --only train` and compare medians. With the package
`schedulefree` its AdamWScheduleFree is timed; without it, the same arithmetic written with PyTorch's
multi-tensor operations, and the output says so.
"""
import os
import statistics
import sys
import time

import torch
from torch import nn

try:
    from schedulefree import AdamWScheduleFree

    SOURCE = "schedulefree package"
except ImportError:
    SOURCE = "multi-tensor stand-in for schedulefree, which is not installed"

    class AdamWScheduleFree:
        """y, z and the second moment; the step of arXiv 2405.15682 in multi-tensor operations."""

        def __init__(self, params, lr=0.0025, betas=(0.9, 0.999), eps=1e-8):
            self.params = list(params)
            self.lr, self.betas, self.eps = lr, betas, eps
            self.z = [p.detach().clone() for p in self.params]
            self.v = [torch.zeros_like(p) for p in self.params]
            self.k, self.weight_sum = 0, 0.0

        def train(self):
            pass

        def zero_grad(self):
            for p in self.params:
                p.grad = None

        @torch.no_grad()
        def step(self):
            beta1, beta2 = self.betas
            self.k += 1
            weight = self.lr**2
            self.weight_sum += weight
            c = weight / self.weight_sum
            grads = [p.grad for p in self.params]
            torch._foreach_mul_(self.v, beta2)
            torch._foreach_addcmul_(self.v, grads, grads, value=1 - beta2)
            denominators = torch._foreach_sqrt(torch._foreach_div(self.v, 1 - beta2**self.k))
            torch._foreach_add_(denominators, self.eps)
            directions = torch._foreach_div(grads, denominators)
            torch._foreach_mul_(self.params, 1 - c)
            torch._foreach_add_(self.params, self.z, alpha=c)
            torch._foreach_add_(self.params, directions, alpha=self.lr * (beta1 * (1 - c) - 1))
            torch._foreach_add_(self.z, directions, alpha=-self.lr)


def cnn():
    return nn.Sequential(
        nn.Conv2d(1, 32, 3), nn.ReLU(), nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2),
        nn.Dropout(0.25), nn.Flatten(), nn.Linear(9216, 128), nn.ReLU(), nn.Dropout(0.5),
        nn.Linear(128, 10),
    )


def layers(*sizes):
    parts = []
    for i, (a, b) in enumerate(zip(sizes, sizes[1:])):
        parts += [nn.Linear(a, b)] if i + 2 == len(sizes) else [nn.Linear(a, b), nn.ReLU()]
    return nn.Sequential(*parts)


def training_step(model, shape, classes):
    optimizer = AdamWScheduleFree(model.parameters(), lr=0.0025)
    model.train()
    optimizer.train()
    x = torch.rand(shape)
    y = torch.rand(shape[0], 1) if classes is None else torch.randint(0, classes, (shape[0],))
    loss = nn.MSELoss() if classes is None else nn.CrossEntropyLoss()

    def run():
        optimizer.zero_grad()
        loss(model(x), y).backward()
        optimizer.step()

    return run


class LastOutput(nn.Module):
    """The last output of a recurrent layer over [batch, time, in], classified."""

    def __init__(self, recurrent, classes):
        super().__init__()
        self.recurrent = recurrent
        self.head = nn.Linear(recurrent.hidden_size, classes)

    def forward(self, x):
        return self.head(self.recurrent(x)[0][:, -1])


def normalisation(shape, channels, function):
    leaves = [torch.rand(s, requires_grad=True) for s in (shape, (channels,), (channels,))]
    dy = torch.rand(shape)

    def run():
        function(*leaves).backward(dy)
        for leaf in leaves:
            leaf.grad = None

    return run


def fused_step(n):
    p = nn.Parameter(torch.rand(n))
    p.grad = torch.rand(n)
    optimizer = AdamWScheduleFree([p], lr=0.001)
    optimizer.train()

    def run():
        p.grad.fill_(0.1)  # schedulefree overwrites gradients
        optimizer.step()

    return run


def measure(name, run):
    for _ in range(5):
        run()
    times, end = [], time.perf_counter() + 2
    while time.perf_counter() < end or len(times) < 20:
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    print(f"  {name:42} {statistics.median(times) * 1e3:10.4f} ms")


def main():
    threads = int(sys.argv[1]) if len(sys.argv) > 1 else os.cpu_count()
    torch.set_num_threads(threads)
    torch.set_flush_denormal(True)
    print(f"PyTorch {torch.__version__}, {threads} threads, optimizer: {SOURCE}")
    measure("train mnist cnn, batch 64", training_step(cnn(), (64, 1, 28, 28), 10))
    measure("train mlp 784-128-10, batch 64", training_step(layers(784, 128, 10), (64, 784), 10))
    measure("train toy 16-32-1, batch 32", training_step(layers(16, 32, 1), (32, 16), None))
    for kind in (nn.LSTM, nn.GRU):
        model = LastOutput(kind(64, 128, batch_first=True), 10)
        name = f"train {kind.__name__.lower()} 64-128, time 64, batch 32"
        measure(name, training_step(model, (32, 64, 64), 10))
    functional = nn.functional
    measure(
        "layerNorm 4096x256 forward + backward",
        normalisation((4096, 256), 256, lambda x, w, b: functional.layer_norm(x, (256,), w, b)),
    )
    measure(
        "batchNorm 64x32x26x26 forward + backward",
        normalisation(
            (64, 32, 26, 26), 32, lambda x, w, b: functional.batch_norm(x, None, None, w, b, True)
        ),
    )
    for n, label in ((10**3, "1k"), (10**5, "100k"), (10**6, "1M"), (10**7, "10M")):
        measure(f"AdamWScheduleFree step, {label}", fused_step(n))


main()
