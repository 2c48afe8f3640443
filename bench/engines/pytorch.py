#!/usr/bin/env python3
"""PyTorch as an engine of `npm run bench`: `pytorch.py MOST_THREADS`. Speaks the protocol of serve.ts.

    apt-get install python3-torch        (or: pip install torch)
    pip install schedulefree             (optional)

With the package `schedulefree` its optimizers are measured; without it, the same arithmetic written with PyTorch's
multi-tensor operations, and the answer to "about" says so. Every work is tried with each number of threads, with
and without oneDNN, and measured with what was fastest.
"""
import json
import resource
import sys
import time

import torch
from torch import nn
from torch.nn import functional

from pytorch_models import CREATE, data
from pytorch_optimizers import SOURCE, create_optimizer

WARM_UP = 0.1
PATIENCE = 0.2  # calls that take longer are not repeated to see which setting is fastest
UNDERFLOW_SCALE = 1e-39


def gemm(work):
    form, m, n, k = work["form"], work["m"], work["n"], work["k"]
    a = torch.rand(k, m).t() if form == "tn" else torch.rand(m, k)
    b = torch.rand(n, k).t() if form == "nt" else torch.rand(k, n)
    return lambda: torch.mm(a, b)


def conv(work):
    s = work["shape"]
    x = (torch.rand(s["n"], s["c"], s["h"], s["h"]) * 2 - 1).requires_grad_(work["pass"] == "data")
    weight = torch.rand(s["o"], s["c"] // s["groups"], s["k"], s["k"]) * 2 - 1
    weight.requires_grad_(work["pass"] == "weights")

    def forward():
        return functional.conv2d(x, weight, None, s["stride"], s["padding"], 1, s["groups"])

    if work["pass"] == "forward":
        return forward
    y = forward()
    dy = torch.rand_like(y) * 2 - 1
    leaf = x if work["pass"] == "data" else weight
    return lambda: torch.autograd.grad(y, leaf, dy, retain_graph=True)


def step(work):
    p = nn.Parameter(torch.rand(work["parameters"]))
    p.grad = torch.full_like(p, 0.1)
    optimizer = create_optimizer(work["optimizer"], [p], lr=0.001)
    optimizer.train()
    return optimizer.step


def training(work):
    model, batch, underflow = work["model"], work["batch"], work.get("underflow")
    net = CREATE[model["name"]](model)
    net.train()
    optimizer = create_optimizer("AdamWScheduleFree", net.parameters(), lr=0.0025)
    optimizer.train()
    x, y = data(model, batch)
    if underflow == "input":
        x = x * UNDERFLOW_SCALE
    loss_of = functional.mse_loss if model.get("loss") == "mse" else functional.cross_entropy

    def run():
        optimizer.zero_grad()
        output = net(x)
        loss = loss_of(output.flatten(0, 1) if output.dim() == 3 else output, y)
        (loss * UNDERFLOW_SCALE if underflow == "loss" else loss).backward()
        optimizer.step()

    return run


WORKS = {"gemm": gemm, "conv": conv, "step": step, "train": training}


def elapsed(run, calls=1):
    start = time.perf_counter()
    for _ in range(calls):
        run()
    return time.perf_counter() - start


class Engine:
    """Answers to requests; `run` is the work prepared last."""

    def __init__(self, threads):
        self.threads = sorted({1, threads})
        self.run_once = None
        self.calls_per_sample = 1

    def configure(self, threads, onednn):
        torch.set_num_threads(threads)
        torch._C._set_mkldnn_enabled(onednn)

    def choose(self, first):
        """The fastest setting, tried in turns; where calls take a while, without those that need twice as long; where
        they take long, after one call each. `first` is what the very first call took, with the last setting: beside
        seconds, what it prepares once does not count."""
        settings = [(t, d) for t in self.threads for d in (False, True)]
        best = {settings[-1]: first} if first > 10 * PATIENCE else {}
        rest = [setting for setting in settings if setting not in best]
        for _ in range(3):
            for setting in rest:
                self.configure(*setting)
                took = elapsed(self.run_once)
                best[setting] = min(took, best.get(setting, took))
            least = min(best.values())
            if least > PATIENCE:
                break
            if least > PATIENCE / 10:
                rest = [setting for setting in settings if best[setting] < 2 * least]
            else:
                rest = settings
        setting = min(best, key=best.get)
        self.configure(*setting)
        return setting, best[setting]

    def about(self, _):
        return {"torch": torch.__version__, "schedulefree": SOURCE}

    def prepare(self, request):
        work = request["work"]
        if work["kind"] not in WORKS:
            raise ValueError("no " + work["kind"])
        self.configure(self.threads[-1], True)
        self.run_once = WORKS[work["kind"]](work)
        self.calls_per_sample = 1
        if not request["warm"]:
            return {"call": 0}
        (threads, onednn), call = self.choose(elapsed(self.run_once))
        end = time.perf_counter() + WARM_UP
        while call < WARM_UP and time.perf_counter() < end:
            self.run_once()
        name = f"{threads} threads, oneDNN {'on' if onednn else 'off'}, denormals flushed"
        return {"call": call, "settings": name}

    def run(self, request):
        seconds, samples = request["seconds"], []
        end = time.perf_counter() + seconds
        while not samples or time.perf_counter() < end:
            took = elapsed(self.run_once, self.calls_per_sample)
            if took < seconds / 8:
                self.calls_per_sample *= 2
            else:
                samples.append(took / self.calls_per_sample)
        return {"samples": samples}

    def calls(self, request):
        start, done, after = time.perf_counter(), 0, []
        for until in request["until"]:
            while done < until:
                self.run_once()
                done += 1
            after.append(time.perf_counter() - start)
        return {"after": after}

    def memory(self, _):
        with open("/proc/self/statm") as file:
            pages = int(file.read().split()[1])
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        return {"rss": pages * resource.getpagesize(), "peakRss": peak}

    def release(self, _):
        self.run_once = None
        return {}


def main():
    torch.set_flush_denormal(True)
    torch.set_num_interop_threads(1)
    engine = Engine(int(sys.argv[1]))
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = getattr(engine, request["op"])(request)
        except (RuntimeError, ValueError) as error:
            answer = {"cannot": str(error).split("\n")[0]}
        print("@" + json.dumps(answer), flush=True)


main()
