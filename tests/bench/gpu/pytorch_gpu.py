"""PyTorch as a peer of `make bench-gpu`: capsules and whole training steps on the same GPU.

    python3 pytorch_gpu.py        one JSON line per item and form: {"item", "form", "ms", "version"}
    python3 pytorch_gpu.py --device cpu --quick
                                  the same with small sizes and few rounds, to check this file alone:
                                  its times mean nothing; the capsules are compared with a definition

The models are those of the CPU's benchmark (../peers/pytorch_models.py), TF32 allowed, cuDNN's search
for the fastest algorithm on. Eager and torch.compile are both timed, a supernet naive and merged.
"""
import argparse
import json
import pathlib
import sys
import time
import warnings

import torch
import torch.nn.functional as F

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "peers"))
import pytorch_models as models  # noqa: E402

warnings.filterwarnings("ignore")
FRAMES = 200
PRESETS = {"small": 200, "paper": 4096}


class Clock:
    """Medians of several rounds, on the device's own clock."""

    def __init__(self, device, quick):
        self.device = device
        self.warm_up, self.rounds = (1, 3) if quick else (5, 30)

    def milliseconds(self, work):
        """Per call, of several in a row: launching one is hidden behind others, as in our rows."""
        for _ in range(self.warm_up):
            work()
        calls = int(min(100, max(1, 2 / self.round(work, 1))))
        times = [self.round(work, calls) for _ in range(self.rounds)]
        return sorted(times)[self.rounds // 2]

    def round(self, work, calls):
        if self.device == "cpu":
            begin = time.perf_counter()
            for _ in range(calls):
                work()
            return 1e3 * (time.perf_counter() - begin) / calls
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        begin.record()
        for _ in range(calls):
            work()
        end.record()
        end.synchronize()
        return begin.elapsed_time(end) / calls


def answer(item, form, ms):
    print(json.dumps({"item": item, "form": form, "ms": ms, "version": torch.__version__}),
          flush=True)


def attempt(name, work):
    """A form that does not run here is told of, and is no reason to stop."""
    try:
        work()
    except Exception as error:
        print(f"pytorch_gpu: {name}: {str(error)[:200]}", file=sys.stderr)


# Capsules -----------------------------------------------------------------------------------------

def capsules_by_definition(u, weight, bias):
    """Procedure 1 of Sabour, Frosst & Hinton (2017), line by line, in double."""
    u, weight, bias = (x.detach().double() for x in (u, weight, bias))
    results = []
    for sample in u:
        votes = (sample[:, None, :, None] * weight).sum(2)                      # (I, J, O)
        logits = torch.zeros(votes.shape[:2], dtype=torch.double, device=u.device)
        for _ in range(3):
            c = torch.softmax(logits, 1)
            s = (c[:, :, None] * votes).sum(0) + bias
            square = (s * s).sum(1, keepdim=True)
            v = square / (1 + square) * s / torch.sqrt(square + models.EPSILON)
            logits = logits + (votes * v).sum(2)
        results.append(v)
    return torch.stack(results)


class CapsuleProblem:
    def __init__(self, device, windows, inputs):
        self.u = torch.randn(windows, inputs, 8, device=device, requires_grad=True)
        self.weight = (0.2 * torch.randn(inputs, 8, 8, 8, device=device)).requires_grad_()
        self.bias = torch.full((8, 8), 0.1, device=device, requires_grad=True)
        self.dv = torch.randn(windows, 8, 8, device=device)

    def check(self, form):
        wanted = capsules_by_definition(self.u, self.weight, self.bias)
        error = (form(self.u, self.weight, self.bias) - wanted).abs().max().item()
        if not error < (1e-4 if self.u.device.type == "cpu" else 1e-2):  # TF32 on a GPU
            sys.exit(f"pytorch_gpu: capsules differ from their definition by {error}")

    def time(self, clock, form):
        """Forward without a graph; backward as what it adds to a forward with one."""
        leaves = (self.u, self.weight, self.bias)

        def alone():
            with torch.no_grad():
                form(*leaves)

        def both():
            for leaf in leaves:
                leaf.grad = None
            form(*leaves).backward(self.dv)

        recorded = clock.milliseconds(lambda: form(*leaves))
        return clock.milliseconds(alone), clock.milliseconds(both) - recorded


def time_capsules(clock, quick):
    problem = CapsuleProblem(clock.device, *((4, 40) if quick else (144, 1280)))

    def run(form, name):
        if quick:
            problem.check(form)
        forward, backward = problem.time(clock, form)
        answer("capsules, 144 windows of 1280, votes and routing, forward", name, forward)
        answer("capsules, 144 windows of 1280, votes and routing, backward", name, backward)

    for way, form in models.CAPSULE_FORMS.items():
        attempt(f"capsules, {way}", lambda: run(form, f"eager, {way}"))
        attempt(f"capsules, {way}, compiled",
                lambda: run(torch.compile(form), f"compiled, {way}"))


# Training steps -----------------------------------------------------------------------------------


def training_step(device, name, bins, batch, mode, merged, compiled):
    model = models.make_system(name, bins, mode != "none").to(device)
    trained = models.parameters_by_our_names(model)
    mixed = [m for m in model.modules() if isinstance(m, models.Mixed)]
    for layer in mixed:
        layer.merged = merged
        if mode == "dropout":
            layer.alpha.requires_grad_(False)
    # Compiled, a masked candidate has the weight 0, exp(-inf): a number in Python would be compiled in,
    # and after eight different ones torch.compile gives up.
    masks = [[torch.zeros(len(layer.ops), device=device).index_fill_(
                  0, torch.tensor([masked], device=device), -torch.inf)
              for masked in range(len(layer.ops))] for layer in mixed]
    optimizer = torch.optim.Adam([p for p in trained.values() if p.requires_grad], lr=1e-3,
                                 fused=True)
    x = torch.randn(batch, 1, bins, FRAMES, device=device)
    labels = torch.arange(batch, device=device) % models.CLASSES
    call = torch.compile(model) if compiled else model

    def one():
        if mode == "dropout":
            for layer, mask in zip(mixed, masks):
                masked = int(torch.randint(len(layer.ops), (1,)))
                if compiled:
                    layer.alpha.data = mask[masked]
                else:
                    layer.masked = masked
        optimizer.zero_grad(set_to_none=True)
        F.cross_entropy(call(x), labels).backward()
        optimizer.step()

    return one


def time_steps(clock, quick):
    presets = {"small": PRESETS["small"]} if quick else PRESETS
    batch = 2 if quick else 16
    forms = [("none", False, False), ("none", False, True), ("joint", False, False),
             ("joint", True, True), ("dropout", False, False), ("dropout", True, True)]
    for name in models.SYSTEMS:
        for preset, bins in presets.items():
            for mode, merged, compiled in forms:
                form = "compiled" if compiled else "eager"
                if mode != "none":
                    form += ", merged" if merged else ", naive"
                if quick and compiled:
                    continue  # minutes of compiling

                def run():
                    torch._dynamo.reset()  # it keeps eight versions of a function, of all models
                    work = training_step(clock.device, name, bins, batch, mode, merged, compiled)
                    answer(f"{name}, {mode}, {preset}, batch 16", form, clock.milliseconds(work))

                attempt(f"{name} {preset} {mode} {form}", run)


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    options.add_argument("--quick", action="store_true")
    chosen = options.parse_args()
    if chosen.device == "cuda" and not torch.cuda.is_available():
        sys.exit("PyTorch finds no GPU")
    torch.manual_seed(1)
    torch.backends.cuda.matmul.allow_tf32 = True
    torch.backends.cudnn.allow_tf32 = True
    torch.backends.cudnn.benchmark = True
    clock = Clock(chosen.device, chosen.quick)
    time_capsules(clock, chosen.quick)
    time_steps(clock, chosen.quick)


main()
