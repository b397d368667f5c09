"""PyTorch as a peer of `make bench`: a child process that times what it is asked for.

    python3 pytorch_peer.py THREADS            JSON lines in, JSON lines out
    python3 pytorch_peer.py THREADS --memory ITEM ARGUMENTS
                                               three calls of an item, then the peak memory in KiB

Requests and answers:
    {"do": "hello", "processor_time"}          versions and settings; true: this thread's time counts
    {"do": "prepare", "item", "arguments"}     builds an item; answers its number, for each pass the
                                               fastest form of those tried, and facts to compare
    {"do": "round", "number", "pass", "calls"} milliseconds per call, mean of the calls
    {"do": "drop"}                             forgets all items

The settings that make PyTorch fastest here come from the parent's environment (heap kept, AVX-512)
and from the items (channels_last, fused Adam). Where there is more than one way to write an item,
each is tried at `prepare` and the fastest is kept. torch.compile takes part for the capsules; for
whole systems it made each step slower (its code for pooling), and for these, other networks and
separable convolutions it is tried only where the environment has TORCH_COMPILE=1.
"""
import json
import os
import struct
import sys
import time
import warnings

import torch
import torch.nn.functional as F

import pytorch_functions as functions
import pytorch_models as models

warnings.filterwarnings("ignore")
LAST = torch.channels_last
LAYOUTS = {"channels_last": LAST, "NCHW": torch.contiguous_format}
now = time.perf_counter
COMPILE_ALL = os.environ.get("TORCH_COMPILE") == "1"


def clock(work, calls):
    start = now()
    for _ in range(calls):
        work()
    return (now() - start) * 1e3 / calls


def clock_backward(forward, gradient, leaves, calls):
    """Only the backward passes count; each needs a forward before it."""
    total = 0.0
    for _ in range(calls):
        for leaf in leaves:
            leaf.grad = None
        y = forward()
        start = now()
        y.backward(gradient)
        total += now() - start
    return total * 1e3 / calls


class Item:
    """passes: name to a function of a number of calls that returns milliseconds per call. form: how
    it is written, one text for all passes or one for each."""

    def __init__(self, passes, form="eager", facts=None):
        self.passes, self.facts = passes, facts or {}
        self.forms = form if isinstance(form, dict) else {name: form for name in passes}

    def time(self):
        return sum(run(1) for run in self.passes.values())


def fastest(builders):
    """Builds each form, keeps the one with the smallest time of three tries, or of one that takes
    seconds."""
    best, best_time = None, float("inf")
    for build in builders:
        try:
            item = build()
            taken = item.time()
            if taken < 2000:
                taken = min(item.time() for _ in range(3))
        except Exception as error:  # a form that cannot run here (no compiler) is no candidate
            print(f"pytorch_peer: a form was left out: {str(error)[:200]}", file=sys.stderr)
            continue
        if taken < best_time:
            best, best_time = item, taken
    if best is None:
        raise RuntimeError("no form of this item runs")
    return best


# Single operations --------------------------------------------------------------------------------

def convolution(shape, kernel, padding, passes, pool=None, stride=1, dilation=1, groups=1):
    """shape: N, C, H, W, K. Even kernels are padded by k // 2 on both sides (one row and column too
    many), which spares PyTorch the padded copy of 'same'."""
    N, C, H, W, K = shape

    def build(layout):
        x = torch.randn(N, C, H, W).to(memory_format=layout)
        weight = torch.randn(K, C // groups, *kernel).to(memory_format=layout)
        bias = torch.randn(K)

        def forward():
            with torch.no_grad():
                return F.conv2d(x, weight, bias, stride, padding, dilation, groups)
        dy = torch.randn_like(forward())

        def fused():
            with torch.no_grad():
                return F.max_pool2d(forward().relu_(), pool, return_indices=True)

        def gradient(mask):
            return torch.ops.aten.convolution_backward(
                dy, x, weight, None, [stride] * 2, padding, [dilation] * 2, False, [0, 0], groups,
                mask)

        works = {"forward": forward, "fused": fused,
                 "input": lambda: gradient([True, False, False]),
                 "weight": lambda: gradient([False, True, False])}
        return {name: (lambda calls, work=work: clock(work, calls)) for name, work in works.items()}

    forms = {name: build(layout) for name, layout in LAYOUTS.items()}
    fastest_passes, chosen = {}, {}
    for name in set(passes):
        times = {form: min(runs[name](1) for _ in range(3)) for form, runs in forms.items()}
        chosen[name] = min(times, key=times.get)
        fastest_passes[name] = forms[chosen[name]][name]
    return Item(fastest_passes, chosen)


def gru(batch, steps, inputs):
    net = models.make_gru(inputs)
    x = torch.randn(batch, steps, inputs, requires_grad=True)
    leaves = [x] + [p for p in net.parameters()]
    dy = torch.randn(batch, steps, 2 * models.CELLS)
    return Item({"forward": lambda calls: clock(lambda: net(x), calls),
                 "backward": lambda calls: clock_backward(lambda: net(x)[0], dy, leaves, calls)})


def capsules(windows, inputs):
    u = torch.randn(windows, inputs, 8, requires_grad=True)
    weight = (0.2 * torch.randn(inputs, 8, 8, 8)).requires_grad_()
    bias = torch.zeros(8, 8, requires_grad=True)
    dv = torch.randn(windows, 8, 8)

    def build(function, form):
        def both():
            for leaf in (u, weight, bias):
                leaf.grad = None
            function(u, weight, bias).backward(dv)
        return Item({"both": lambda calls: clock(both, calls)}, form)

    builders = []
    for name, function in models.CAPSULE_FORMS.items():
        builders.append(lambda f=function, n=name: build(f, n))
        builders.append(lambda f=function, n=name: build(torch.compile(f), n + ", compiled"))
    return fastest(builders)


def elementwise(count):
    x = torch.linspace(-4, 4, count)
    rows = x.view(-1, 64)
    y = torch.empty_like(x)

    def adam(**options):
        parameter = torch.zeros(count, requires_grad=True)
        parameter.grad = torch.linspace(-1, 1, count)
        optimizer = torch.optim.Adam([parameter], lr=1e-3, **options)
        return Item({"adam": lambda calls: clock(optimizer.step, calls)}, ", ".join(options))

    best = fastest([lambda: adam(fused=True), lambda: adam(foreach=True)])
    passes = {"exp": lambda calls: clock(lambda: torch.exp(x, out=y), calls),
              "softmax": lambda calls: clock(lambda: torch.softmax(rows, 1), calls)}
    return Item(passes | best.passes, {"exp": "eager", "softmax": "eager"} | best.forms)


def function(shapes, expression, images, low, high):
    """An expression of the inputs x, w, b, c, d, e: its value, and with the gradients of its sum.
    Facts: what the value and each gradient of a weighted sum are like. Where there are images and
    kernels, channels_last is tried too."""
    names = "xwbcde"[:len(shapes)]
    plain = eval(f"lambda {', '.join(names)}: {expression}", vars(functions))

    def build(f, form, layout):
        inputs = [functions.numbers(shape, i * 10_000_019, low, high) for i, shape in enumerate(shapes)]
        inputs = [(x.to(memory_format=layout) if x.dim() == 4 else x).requires_grad_() for x in inputs]

        def gradients(loss):
            return torch.autograd.grad(loss, inputs, allow_unused=True)

        def forward():
            with torch.no_grad():
                f(*inputs)
        passes, y = {"forward": lambda calls: clock(forward, calls)}, f(*inputs)
        facts = functions.facts_of("value", y)
        if y.requires_grad:
            passes["with gradients"] = lambda calls: clock(lambda: gradients(f(*inputs).sum()), calls)
            for i, g in enumerate(gradients((y * functions.weights_like(y)).sum())):
                facts |= functions.facts_of(f"gradient {i}", g)
        return Item(passes, form, facts)

    if not images:
        return build(plain, "eager", torch.contiguous_format)
    builders = []
    for name, layout in LAYOUTS.items():
        builders.append(lambda n=name, l=layout: build(plain, "eager, " + n, l))
        if COMPILE_ALL:
            builders.append(lambda n=name, l=layout: build(torch.compile(plain), "compiled, " + n, l))
    return fastest(builders)


# Whole systems ------------------------------------------------------------------------------------

def read_safetensors(path):
    with open(path, "rb") as file:
        size, = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(size))
        body = bytearray(file.read())
    header.pop("__metadata__", None)
    tensors = {}
    for name, entry in header.items():
        first, last = entry["data_offsets"]
        count = (last - first) // 4
        tensors[name] = torch.frombuffer(body, dtype=torch.float32, count=count,
                                         offset=first).reshape(entry["shape"]).clone()
    return tensors


def load(own, file):
    """Takes over the weights; returns the input that came with them, and the labels or the target."""
    tensors = read_safetensors(file)
    x = tensors.pop("input")
    y = tensors.pop("labels").long() if "labels" in tensors else tensors.pop("target")
    if own.keys() != tensors.keys():
        raise RuntimeError(f"parameters differ: {sorted(own.keys() ^ tensors.keys())[:4]}")
    with torch.no_grad():
        for name, parameter in own.items():
            parameter.copy_(tensors[name])
    return x, y


def system(name, bins, batch, supernet, weights=None):
    model = models.make_system(name, bins, supernet)
    if weights:
        x, labels = load(models.parameters_by_our_names(model), weights)
    else:
        x, labels = torch.randn(batch, 1, bins, 200), torch.arange(batch) % models.CLASSES
    return model.to(memory_format=LAST), x.to(memory_format=LAST), labels


def step(name, bins, batch, mode, merged, weights=None):
    """A training step: gradients dropped, forward, cross-entropy, backward, Adam. mode: none for a
    single architecture; joint; dropout (weights only, one candidate of every layer left out)."""
    supernet = mode != "none"

    def build(form, function=None, whole=False):
        model, x, labels = system(name, bins, batch, supernet, weights)
        if function is not None:
            model.capsules.window_caps.form = function
        trained = models.parameters_by_our_names(model)
        mixed = [m for m in model.modules() if isinstance(m, models.Mixed)]
        for layer in mixed:
            layer.merged = merged
        with torch.no_grad():
            facts = {"parameters": sum(p.numel() for p in trained.values()),
                     "loss": F.cross_entropy(model(x), labels).item()}
        if mode == "dropout":
            for layer in mixed:
                layer.alpha.requires_grad_(False)
        optimizer = torch.optim.Adam([p for p in trained.values() if p.requires_grad], lr=1e-3,
                                     fused=True)
        call = torch.compile(model) if whole else model

        def one():
            if mode == "dropout":
                for layer in mixed:
                    layer.masked = int(torch.randint(len(layer.ops), (1,)))
            optimizer.zero_grad(set_to_none=True)
            F.cross_entropy(call(x), labels).backward()
            optimizer.step()

        return Item({"step": lambda calls: clock(one, calls)}, form, facts)

    builders = [lambda: build("eager")]
    if name == "CNN_SeqCap" and mode == "none":
        for form, function in models.CAPSULE_FORMS.items():
            if function is not models.capsules_by_products:
                builders.append(lambda f=function, n=form: build("eager, " + n, f))
        builders.append(lambda: build("eager, capsules compiled",
                                      torch.compile(models.capsules_by_products)))
    if COMPILE_ALL and mode == "none":
        builders.append(lambda: build("compiled", None, True))
    return builders[0]() if len(builders) == 1 else fastest(builders)


def network(name, weights=None, layout=None):
    """A training step of one of the other networks, in the faster layout unless one is given."""
    def build(layout, compiled=False):
        net, facts = models.NETWORKS[name](), {}
        if weights:
            x, y = load(net.named, weights)
        else:
            x = torch.rand(net.shape)
            y = net.make_y(x)
        if x.dim() == 4:
            x = x.to(memory_format=LAYOUTS[layout])
            for module in net.model.modules():
                if isinstance(module, torch.nn.Conv2d):
                    module.to(memory_format=LAYOUTS[layout])

        def loss():
            with torch.no_grad():
                return net.loss(x, y).item()
        if weights:                 # else there is nothing to compare with
            facts = {"parameters": sum(p.numel() for p in net.named.values()), "loss": loss()}
            net.step(x, y)
            facts["loss after a step"] = loss()
        if compiled:
            net.loss = torch.compile(net.loss)
        form = ("compiled" if compiled else "eager") + (", " + layout if x.dim() == 4 else "")
        return Item({"step": lambda calls: clock(lambda: net.step(x, y), calls)}, form, facts)

    if layout:
        return build(layout)
    builders = [lambda n=n: build(n) for n in LAYOUTS]
    if COMPILE_ALL:
        builders += [lambda n=n: build(n, True) for n in LAYOUTS]
    return fastest(builders)


def predict(name, bins, frames):
    """The model call alone: no audio, no features, no start of the program."""
    model = models.make_system(name, bins).to(memory_format=LAST).eval()
    x = torch.randn(1, 1, bins, frames).to(memory_format=LAST)

    def build(call, form):
        def one():
            with torch.inference_mode():
                return call(x)
        return Item({"call": lambda calls: clock(one, calls)}, form)

    def frozen():
        with torch.no_grad():
            return build(torch.jit.freeze(torch.jit.trace(model, x)), "traced and frozen")

    return fastest([lambda: build(model, "eager"), frozen])


ITEMS = {"convolution": convolution, "gru": gru, "capsules": capsules, "elementwise": elementwise,
         "function": function, "step": step, "network": network, "predict": predict}


# The conversation ---------------------------------------------------------------------------------

def answer(request, items):
    global now
    kind = request["do"]
    if kind == "hello":
        now = time.thread_time if request["processor_time"] else time.perf_counter
        return {"version": torch.__version__, "capability": torch.backends.cpu.get_cpu_capability(),
                "threads": torch.get_num_threads()}
    if kind == "prepare":
        item = ITEMS[request["item"]](**request["arguments"])
        items.append(item)
        return {"number": len(items) - 1, "forms": item.forms, "facts": item.facts}
    if kind == "round":
        item = items[request["number"]]
        return {"ms": item.passes[request["pass"]](request["calls"])}
    if kind == "drop":
        items.clear()
        return {}
    raise ValueError(f"no request {kind}")


def peak_kib():
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmHWM"))


def main():
    torch.set_num_threads(int(sys.argv[1]))
    torch.manual_seed(1)
    if len(sys.argv) > 3 and sys.argv[2] == "--memory":
        if sys.argv[3] != "nothing":
            ITEMS[sys.argv[3]](**json.loads(sys.argv[4])).passes["step"](3)
        print(peak_kib())
        return
    talk = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)                # whatever else prints must not disturb the conversation
    items = []
    for line in sys.stdin:
        try:
            reply = answer(json.loads(line), items)
        except Exception as error:  # the parent prints it and leaves the item out
            reply = {"error": f"{type(error).__name__}: {error}"[:300]}
        talk.write(json.dumps(reply) + "\n")


if __name__ == "__main__":
    main()
