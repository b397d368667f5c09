"""PyTorch as a peer of `make bench-gpu`: whole training steps on the same GPU.

    python3 pytorch_gpu.py        one JSON line per step and form: {"item", "form", "ms", "version"}

The models are those of the CPU's benchmark (../peers/pytorch_models.py), TF32 allowed, cuDNN's search
for the fastest algorithm on. Eager and torch.compile are both timed, a supernet naive and merged.
"""
import json
import pathlib
import sys
import warnings

import torch
import torch.nn.functional as F

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "peers"))
import pytorch_models as models  # noqa: E402

warnings.filterwarnings("ignore")
FRAMES = 200
PRESETS = {"small": 200, "paper": 4096}


def median_milliseconds(work, rounds=30):
    for _ in range(5):
        work()
    times = []
    for _ in range(rounds):
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        begin.record()
        work()
        end.record()
        end.synchronize()
        times.append(begin.elapsed_time(end))
    return sorted(times)[rounds // 2]


def training_step(name, bins, batch, mode, merged, compiled):
    model = models.make_system(name, bins, mode != "none").cuda()
    trained = models.parameters_by_our_names(model)
    mixed = [m for m in model.modules() if isinstance(m, models.Mixed)]
    for layer in mixed:
        layer.merged = merged
        if mode == "dropout":
            layer.alpha.requires_grad_(False)
    optimizer = torch.optim.Adam([p for p in trained.values() if p.requires_grad], lr=1e-3,
                                 fused=True)
    x = torch.randn(batch, 1, bins, FRAMES, device="cuda")
    labels = torch.arange(batch, device="cuda") % models.CLASSES
    call = torch.compile(model) if compiled else model

    def one():
        if mode == "dropout":
            for layer in mixed:
                layer.masked = int(torch.randint(len(layer.ops), (1,)))
        optimizer.zero_grad(set_to_none=True)
        F.cross_entropy(call(x), labels).backward()
        optimizer.step()

    return one


def main():
    if not torch.cuda.is_available():
        sys.exit("PyTorch finds no GPU")
    torch.backends.cuda.matmul.allow_tf32 = True
    torch.backends.cudnn.allow_tf32 = True
    torch.backends.cudnn.benchmark = True
    for name in models.SYSTEMS:
        for preset, bins in PRESETS.items():
            for mode, merged, compiled in [("none", False, False), ("none", False, True),
                                           ("joint", False, False), ("joint", True, True),
                                           ("dropout", False, False), ("dropout", True, True)]:
                form = "compiled" if compiled else "eager"
                if mode != "none":
                    form += ", merged" if merged else ", naive"
                try:
                    ms = median_milliseconds(training_step(name, bins, 16, mode, merged, compiled))
                except Exception as error:
                    print(f"pytorch_gpu: {name} {preset} {mode} {form}: {str(error)[:200]}",
                          file=sys.stderr)
                    continue
                print(json.dumps({"item": f"{name}, {mode}, {preset}, batch 16", "form": form,
                                  "ms": ms, "version": torch.__version__}), flush=True)


main()
