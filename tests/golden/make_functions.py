#!/usr/bin/env python3
"""Writes the golden values of functions.h that PyTorch 2.15 gives, in float64.

  python3 tests/golden/make_functions.py

arithmetic, activations, reductions, indexing, products, losses, norms, pools, convolutions,
attention_products, transformer_layers, recurrent and basics (.safetensors) hold many cases each:
case "pow" has pow.a and pow.b, its inputs, pow.y, pow.dy (a random gradient) and pow.d_a, pow.d_b.
The inputs hold the points at which conventions differ: zeros, bounds, equal pairs. optimisers holds,
for each of them, the parameter after every step with the same gradients. searches holds two epochs
of the search strategies joint, sampling and dropout on a small supernet.
"""
import json
import pathlib
import struct

import torch
import torch.nn.functional as F

torch.set_default_dtype(torch.float64)
torch.set_num_threads(1)
torch.manual_seed(13)


def write(name, tensors):
    header, data = {}, b""
    for key, tensor in tensors.items():
        values = tensor.detach().contiguous().flatten().tolist()
        packed = struct.pack(f"<{len(values)}d", *values)
        header[key] = {"dtype": "F64", "shape": list(tensor.shape),
                       "data_offsets": [len(data), len(data) + len(packed)]}
        data += packed
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path = pathlib.Path(__file__).parent / (name + ".safetensors")
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


def add_case(tensors, case, function, **inputs):
    inputs = {name: value.clone().requires_grad_() for name, value in inputs.items()}
    y = function(*inputs.values())
    dy = torch.randn(y.shape)
    gradients = torch.autograd.grad((y * dy).sum(), list(inputs.values()))
    tensors.update({f"{case}.{name}": value for name, value in inputs.items()})
    tensors[f"{case}.y"], tensors[f"{case}.dy"] = y, dy
    tensors.update({f"{case}.d_{name}": g for name, g in zip(inputs, gradients)})


any_sign = torch.cat([torch.tensor([0.0, -1, 1, 6, -3, 25]), 3 * torch.randn(14)])
positive = any_sign.abs() + 0.1
rows, row = torch.randn(4, 5), torch.randn(5)
rows[1] = row  # equal pairs
mask = torch.randn(4, 1) > 0

arithmetic = {"where.mask": mask.double()}
for case, function, x in [
        ("sqrt", torch.sqrt, positive), ("rsqrt", torch.rsqrt, positive),
        ("square", torch.square, any_sign), ("abs", torch.abs, any_sign),
        ("sign", torch.sign, any_sign), ("erf", torch.erf, any_sign),
        ("clamp", lambda v: torch.clamp(v, -1, 1), any_sign),
        ("pow_0", lambda v: torch.pow(v, 0), any_sign),
        ("pow_3", lambda v: torch.pow(v, 3), any_sign),
        ("pow_-1.5", lambda v: torch.pow(v, -1.5), positive),
        ("right_sub", lambda v: 2 - v, any_sign), ("right_div", lambda v: 1 / v, positive),
        ("div", lambda v: v / 3, any_sign)]:
    add_case(arithmetic, case, function, x=x)
add_case(arithmetic, "pow", torch.pow, a=rows.abs(), b=row)
add_case(arithmetic, "pow_of_0", torch.pow, a=torch.zeros(3), b=torch.tensor([0.0, 1, 2.5]))
add_case(arithmetic, "maximum", torch.maximum, a=rows, b=row)
add_case(arithmetic, "minimum", torch.minimum, a=rows, b=row)
add_case(arithmetic, "where", lambda a, b: torch.where(mask, a, b), a=rows, b=row)
add_case(arithmetic, "masked_fill", lambda x: x.masked_fill(mask, -2.5), x=rows)
write("arithmetic", arithmetic)

activations = {}
for case, function in [
        ("leaky_relu", F.leaky_relu), ("leaky_relu_0.2", lambda v: F.leaky_relu(v, 0.2)),
        ("elu", F.elu), ("elu_1.5", lambda v: F.elu(v, 1.5)), ("gelu", F.gelu),
        ("gelu_tanh", lambda v: F.gelu(v, approximate="tanh")), ("silu", F.silu),
        ("softplus", F.softplus), ("softplus_2_5", lambda v: F.softplus(v, 2, 5)),
        ("hardtanh", F.hardtanh), ("relu6", F.relu6)]:
    add_case(activations, case, function, x=any_sign)
write("activations", activations)

# Over axes that are neighbours (12), that are not (02), and one alone.
reductions, x = {}, torch.randn(2, 3, 4)
x[0, 1, 2] = 0
for tag, axes in [("02", (0, 2)), ("12", (1, 2)), ("1", (1,))]:
    for case, function in [
            ("sum", torch.sum), ("mean", torch.mean), ("var", torch.var), ("stddev", torch.std),
            ("var_0", lambda v, a: torch.var(v, a, correction=0)), ("max", torch.amax),
            ("min", torch.amin), ("logsumexp", torch.logsumexp),
            ("norm_1", lambda v, a: torch.linalg.vector_norm(v, 1, a)),
            ("norm_2", lambda v, a: torch.linalg.vector_norm(v, 2, a)),
            ("norm_3", lambda v, a: torch.linalg.vector_norm(v, 3, a)),
            ("norm_inf", lambda v, a: torch.linalg.vector_norm(v, float("inf"), a))]:
        add_case(reductions, case + "_" + tag, lambda v: function(v, axes), x=x)
add_case(reductions, "norm_of_0", lambda v: torch.linalg.vector_norm(v, 2, (1,)), x=torch.zeros(2, 3))
for axis in range(3):
    add_case(reductions, f"cumsum_{axis}", lambda v: torch.cumsum(v, axis), x=x)
write("reductions", reductions)

# Choosing by number, and what moves elements.
indexing, x, source = {}, torch.randn(3, 4, 2), torch.randn(3, 5, 2)
rows, columns = torch.tensor([2, 0, 2, 3, 2]), torch.randint(0, 4, (3, 5, 2))
indexing["columns"] = columns.double()
add_case(indexing, "index_select", lambda v: torch.index_select(v, 1, rows), x=x)
add_case(indexing, "gather", lambda v: torch.gather(v, 1, columns), x=x)
add_case(indexing, "scatter_add", lambda v, s: torch.scatter_add(v, 1, columns, s), x=x, source=source)
add_case(indexing, "flip", lambda v: torch.flip(v, (0, 2)), x=x)
add_case(indexing, "topk", lambda v: torch.topk(v, 2, 1).values, x=x)
add_case(indexing, "stack", lambda a, b: torch.stack((a, b), 1), a=x[0], b=x[1])
add_case(indexing, "split", lambda v: torch.split(v, 3, 1)[1], x=x)
add_case(indexing, "chunk", lambda v: torch.chunk(v, 3, 1)[0], x=x)
add_case(indexing, "expand", lambda v: v.expand(5, 3, 4, 2), x=x[:, :1].contiguous())
add_case(indexing, "repeat", lambda v: v.repeat(2, 1, 3, 2), x=x)
write("indexing", indexing)

products = {}
for case, a, b in [("vectors", (4,), (4,)), ("row", (4,), (4, 3)), ("column", (2, 4), (4,)),
                   ("row_batch", (3,), (2, 3, 2)), ("one_right", (2, 3, 4), (4, 2)),
                   ("one_left", (3, 4), (2, 4, 2)), ("both", (2, 1, 3, 2), (3, 2, 2))]:
    add_case(products, case, torch.matmul, a=torch.randn(a), b=torch.randn(b))
add_case(products, "bmm", torch.bmm, a=torch.randn(2, 3, 4), b=torch.randn(2, 4, 2))
add_case(products, "outer", torch.outer, a=torch.randn(3), b=torch.randn(4))
write("products", products)

# Differences at 0, at the bounds, and beyond; probabilities of 0.
losses, x, target = {}, 2 * torch.randn(3, 4), torch.randn(3, 4)
x[0, 0], x[1, 1], x[2, 2] = target[0, 0], target[1, 1] + 1, target[2, 2] - 0.5
chance, pos_weight, weight = torch.rand(3, 4), torch.rand(4) + 0.5, torch.rand(3, 1)
chance[0, :2] = torch.tensor([0.0, 1])
losses.update({"pos_weight": pos_weight, "weight": weight})
bce = F.binary_cross_entropy_with_logits
for reduction in ["mean", "sum", "none"]:
    for case, function in [
            ("mse", F.mse_loss), ("l1", F.l1_loss), ("smooth_l1", F.smooth_l1_loss),
            ("smooth_l1_0.5", lambda a, b, reduction: F.smooth_l1_loss(a, b, beta=0.5, reduction=reduction)),
            ("huber_0.5", lambda a, b, reduction: F.huber_loss(a, b, delta=0.5, reduction=reduction))]:
        add_case(losses, f"{case}_{reduction}", lambda a, b: function(a, b, reduction=reduction), x=x, target=target)
    add_case(losses, f"bce_{reduction}", lambda a, b: bce(a, b, reduction=reduction), x=20 * x, target=chance)
    add_case(losses, f"bce_weighted_{reduction}",
             lambda a, b: bce(a, b, weight, pos_weight=pos_weight, reduction=reduction), x=x, target=chance)
    add_case(losses, f"kl_div_{reduction}", lambda a, b: F.kl_div(a, b, reduction=reduction), x=x, target=chance.clamp(0.01))
    add_case(losses, f"kl_div_log_{reduction}", lambda a, b: F.kl_div(a, b, reduction=reduction, log_target=True),
             x=x, target=target)
class_weights, rows, image = torch.tensor([2, 0, 0.5, 1]), torch.randn(5, 4), torch.randn(2, 4, 3)
labels, places = torch.tensor([2, 0, 1, 3, 2]), torch.tensor([[3, 0, 2], [1, 2, 2]])
losses["class_weights"] = class_weights
for reduction in ["mean", "sum", "none"]:
    for tag, w, ignored, smoothing in [("", None, -100, 0.0), ("_ignored", class_weights, 2, 0.0),
                                       ("_smooth", class_weights, 0, 0.1)]:
        def nll(v, l):
            return F.nll_loss(v, l, w, reduction=reduction, ignore_index=ignored)

        def ce(v, l):
            return F.cross_entropy(v, l, w, reduction=reduction, ignore_index=ignored, label_smoothing=smoothing)
        for case, function, v, l in [("rows", ce, rows, labels), ("image", ce, image, places),
                                     ("nll", nll, image, places)]:
            add_case(losses, f"{case}{tag}_{reduction}", lambda a: function(a, l), x=v)
    add_case(losses, f"shares_{reduction}",
             lambda a, b: F.cross_entropy(a, b, class_weights, reduction=reduction, label_smoothing=0.2),
             x=image, target=torch.rand(2, 4, 3))
write("losses", losses)

# Over channels, groups of them and rows; the running statistics that training leaves behind.
norms, x, matrix = {}, 3 * torch.randn(3, 4, 2, 3) + 5, torch.randn(5, 4)
scale, shift, row_scale, row_shift = torch.randn(4), torch.randn(4), torch.randn(2, 3), torch.randn(2, 3)
for case, v in [("batch", x), ("batch_matrix", matrix)]:
    mean, var = torch.linspace(-1, 1, 4), torch.linspace(0.5, 2, 4)
    norms.update({f"{case}.mean_before": mean.clone(), f"{case}.var_before": var.clone()})
    add_case(norms, case + "_given", lambda a, w, b: F.batch_norm(a, mean, var, w, b, False, 0.1, 1e-3),
             x=v, weight=scale, bias=shift)
    add_case(norms, case, lambda a, w, b: F.batch_norm(a, mean, var, w, b, True, 0.3, 1e-3),
             x=v, weight=scale, bias=shift)
    norms.update({f"{case}.mean_after": mean, f"{case}.var_after": var})
add_case(norms, "batch_plain", lambda a: F.batch_norm(a, None, None, None, None, True), x=x)
add_case(norms, "layer", lambda a, w, b: F.layer_norm(a, (2, 3), w, b), x=x, weight=row_scale, bias=row_shift)
add_case(norms, "layer_plain", lambda a: F.layer_norm(a, (3,)), x=x)
add_case(norms, "rms", lambda a, w: F.rms_norm(a, (2, 3), w, 1e-6), x=x, weight=row_scale)
add_case(norms, "group", lambda a, w, b: F.group_norm(a, 2, w, b), x=x, weight=scale, bias=shift)
add_case(norms, "group_one", lambda a: F.group_norm(a, 1), x=x)
add_case(norms, "instance", lambda a, w, b: F.instance_norm(a, None, None, w, b), x=x, weight=scale, bias=shift)
write("norms", norms)

pools, x = {}, torch.randn(2, 2, 5, 7)
x[0, 0, 1:4, 1:4] = 2.0  # ties
for case, function in [
        ("max", lambda v: F.max_pool2d(v, 3, 1, 1)), ("max_stride", lambda v: F.max_pool2d(v, (3, 2), (2, 1), (1, 0))),
        ("max_dilation", lambda v: F.max_pool2d(v, (2, 3), (1, 2), (1, 1), 2)),
        ("avg", lambda v: F.avg_pool2d(v, 3, 1, 1)),
        ("avg_inside", lambda v: F.avg_pool2d(v, (3, 2), 2, 1, count_include_pad=False)),
        ("avg_blocks", lambda v: F.avg_pool2d(v, (2, 3))),
        ("adaptive_avg", lambda v: F.adaptive_avg_pool2d(v, (3, 4))),
        ("adaptive_max", lambda v: F.adaptive_max_pool2d(v, (4, 3)))]:
    add_case(pools, case, function, x=x)
write("pools", pools)

convolutions, x, seq = {}, torch.randn(1, 4, 5, 6), torch.randn(2, 4, 9)
conv, up = F.conv2d, F.conv_transpose2d
for case, function, v, w in [
        ("groups", lambda a, b, c: conv(a, b, c, 1, 1, 1, 2), x, (6, 2, 3, 3)),
        ("depthwise", lambda a, b, c: conv(a, b, c, 2, 1, 1, 4), x, (4, 1, 3, 2)),
        ("dilation", lambda a, b, c: conv(a, b, c, 1, 2, 2), x, (3, 4, 3, 2)),
        ("dilated_groups", lambda a, b, c: conv(a, b, c, (1, 2), (2, 0), (2, 3), 2), x, (4, 2, 2, 2)),
        ("conv1d", lambda a, b, c: F.conv1d(a, b, c, 2, 2, 2), seq, (3, 4, 3)),
        ("conv1d_groups", lambda a, b, c: F.conv1d(a, b, c, 1, 1, 1, 4), seq, (8, 1, 3)),
        ("transpose", lambda a, b, c: up(a, b, c), x, (4, 3, 3, 2)),
        ("transpose_stride", lambda a, b, c: up(a, b, c, 2, 1, 1), x, (4, 3, 3, 4)),
        ("transpose_groups", lambda a, b, c: up(a, b, c, (2, 1), 1, (1, 0), 2, (1, 2)), x, (4, 2, 3, 3))]:
    groups = {"transpose_groups": 2}.get(case, 1)
    out = w[1] * groups if case.startswith("transpose") else w[0]
    add_case(convolutions, case, function, x=v, weight=torch.randn(w), bias=torch.randn(out))
table, words = torch.randn(5, 3), torch.tensor([[0, 4, 2], [2, 2, 1]])
add_case(convolutions, "embedding", lambda t: F.embedding(words, t), table=table)
add_case(convolutions, "embedding_padding", lambda t: F.embedding(words, t, padding_idx=2), table=table)
image = torch.randn(1, 2, 4, 5)
for case, size, options in [("nearest", (7, 3), {}), ("bilinear", (7, 9), {"mode": "bilinear"}),
                            ("bilinear_small", (3, 2), {"mode": "bilinear"}),
                            ("bilinear_corners", (7, 9), {"mode": "bilinear", "align_corners": True})]:
    add_case(convolutions, case, lambda v: F.interpolate(v, size, **options), x=image)
write("convolutions", convolutions)

optimisers, gradients = {"start": torch.randn(3)}, torch.randn(6, 3)
gradients[3] = 0
optimisers["gradients"] = gradients
for case, make in [
        ("adamw", lambda p: torch.optim.AdamW(p, lr=0.1, betas=(0.8, 0.9), eps=1e-3, weight_decay=0.2)),
        ("adam_decay", lambda p: torch.optim.Adam(p, lr=0.1, weight_decay=0.2)),
        ("sgd", lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.2)),
        ("rmsprop", lambda p: torch.optim.RMSprop(p, lr=0.1)),
        ("rmsprop_momentum", lambda p: torch.optim.RMSprop(p, lr=0.1, alpha=0.9, momentum=0.8, weight_decay=0.2)),
        ("rmsprop_centered", lambda p: torch.optim.RMSprop(p, lr=0.1, alpha=0.8, eps=1e-3, centered=True)),
        ("rmsprop_all", lambda p: torch.optim.RMSprop(p, lr=0.1, alpha=0.8, eps=1e-3, weight_decay=0.2, momentum=0.5,
                                                      centered=True))]:
    parameter = torch.nn.Parameter(optimisers["start"].clone())
    optimiser, values = make([parameter]), []
    for gradient in gradients:
        parameter.grad = gradient.clone()
        optimiser.step()
        values.append(parameter.detach().clone())
    optimisers[case] = torch.stack(values)
write("optimisers", optimisers)

products = {"mask": (torch.rand(2, 1, 3, 5) > 0.4).double(), "bias": torch.randn(3, 5)}
products["mask"][0, 0, 1] = 0  # a query that sees nothing
q, k, v = torch.randn(2, 2, 3, 4), torch.randn(2, 2, 5, 4), torch.randn(2, 2, 5, 3)
for case, options in [("plain", {}), ("causal", {"is_causal": True}), ("mask", {"attn_mask": products["mask"] > 0}),
                      ("bias", {"attn_mask": products["bias"], "scale": 0.7})]:
    add_case(products, case, lambda *x: F.scaled_dot_product_attention(*x, **options), q=q, k=k, v=v)
write("attention_products", products)

# One layer of a transformer, all its parameters inputs.
layers, x = {}, torch.randn(2, 3, 4)
for case, options, causal in [("post", {}, False), ("pre", {"norm_first": True, "activation": "gelu"}, True)]:
    layer = torch.nn.TransformerEncoderLayer(4, 2, 5, 0.0, batch_first=True, **options)
    names = [name for name, _ in layer.named_parameters()]
    mask = torch.nn.Transformer.generate_square_subsequent_mask(3) if causal else None

    def run(v, *parameters):
        return torch.func.functional_call(layer, dict(zip(names, parameters)), (v,), {"src_mask": mask})
    add_case(layers, case, run, x=x, **{name: torch.randn(p.shape) for name, p in layer.named_parameters()})
write("transformer_layers", layers)


def recurrent_case(tensors, case, layer, names, lengths=None):
    """A layer by its parameters, in PyTorch's order; y: output, h_n and, of an LSTM, c_n, flat."""
    def function(x, *rest):
        states, weights = rest[:len(names)], rest[len(names):]
        start = states if len(states) == 2 else (states[0] if states else None)
        given = x if lengths is None else torch.nn.utils.rnn.pack_padded_sequence(x, lengths, True, False)
        values = dict(zip([name for name, _ in layer.named_parameters()], weights))
        output, last = torch.func.functional_call(layer, values, (given, start))
        if lengths is not None:
            output = torch.nn.utils.rnn.pad_packed_sequence(output, True, total_length=x.shape[1])[0]
        last = last if isinstance(last, tuple) else (last,)
        return torch.cat([v.flatten() for v in (output, *last)])
    inputs = {"x": torch.randn(3, 4, 2)}
    directions = 2 if layer.bidirectional else 1
    inputs.update({name: torch.randn(directions * layer.num_layers, 3, 2) for name in names})
    inputs.update({name: torch.randn(p.shape) for name, p in layer.named_parameters()})
    add_case(tensors, case, function, **inputs)


recurrent, nn = {}, torch.nn
recurrent_case(recurrent, "lstm", nn.LSTM(2, 2, batch_first=True), [])
recurrent_case(recurrent, "lstm_bi", nn.LSTM(2, 2, batch_first=True, bidirectional=True), ["h0", "c0"], [3, 1, 4])
recurrent_case(recurrent, "lstm_layers", nn.LSTM(2, 2, 2, batch_first=True, bidirectional=True), ["h0", "c0"], [4, 2, 3])
recurrent_case(recurrent, "tanh_bi", nn.RNN(2, 2, batch_first=True, bidirectional=True), ["h0"], [3, 1, 4])
recurrent_case(recurrent, "relu", nn.RNN(2, 2, 1, "relu", batch_first=True), ["h0"])
write("recurrent", recurrent)


# Searches -----------------------------------------------------------------------------------------

# Two epochs of three steps over two choices: kernels of a convolution, and the width of a dense layer.
# The candidate that each weight step draws, of each choice: that of nas/strategies for the seed 3.
KERNELS, WIDTHS = [(3, 3), (2, 3), (1, 4)], [2, 3]
PICKS = [[1, 0], [2, 0], [2, 0], [0, 0], [0, 1], [1, 1]]


def search_parameters():
    weights = {}
    for i, (high, wide) in enumerate(KERNELS):
        weights[f"conv.ops.{i}.weight"] = torch.randn(2, 1, high, wide)
        weights[f"conv.ops.{i}.bias"] = torch.randn(2)
    for i, width in enumerate(WIDTHS):
        weights[f"dense.ops.{i}.weight"] = torch.randn(width, 24) / 5
        weights[f"dense.ops.{i}.bias"] = torch.randn(width)
    weights["out.weight"], weights["out.bias"] = torch.randn(3, max(WIDTHS)), torch.randn(3)
    weights["conv.alpha"], weights["dense.alpha"] = torch.zeros(3), torch.zeros(2)
    return weights


def search_loss(p, batch, conv_c, dense_c):
    """c: one coefficient per candidate, None for those that take no part."""
    x, labels = batch
    h = 0
    for i, (high, wide) in enumerate(KERNELS):
        if conv_c[i] is None:
            continue
        padded = F.pad(x, ((wide - 1) // 2, wide // 2, (high - 1) // 2, high // 2))
        h = h + conv_c[i] * F.conv2d(padded, p[f"conv.ops.{i}.weight"], p[f"conv.ops.{i}.bias"])
    h, y = torch.relu(h).flatten(1), 0
    for i, width in enumerate(WIDTHS):
        if dense_c[i] is None:
            continue
        part = F.linear(h, p[f"dense.ops.{i}.weight"], p[f"dense.ops.{i}.bias"])
        y = y + dense_c[i] * F.pad(part, (0, max(WIDTHS) - width))
    return F.cross_entropy(F.linear(torch.relu(y), p["out.weight"], p["out.bias"]), labels)


def search_coefficients(mode, alpha, pick):
    """Of a weight step; mode "alpha": of a step of the alphas."""
    n, a = len(alpha), torch.softmax(alpha, 0)
    if mode == "sampling":
        return [torch.ones(()) if i == pick else None for i in range(n)]
    if mode == "dropout":
        return [None if i == pick else a[i] * n / (n - 1) for i in range(n)]
    return list(a)


def search(tensors, mode, start, training, validation):
    p = {name: value.clone().requires_grad_() for name, value in start.items()}
    alphas = [p["conv.alpha"], p["dense.alpha"]]
    weights = [v for name, v in p.items() if not name.endswith("alpha")]
    step_w = torch.optim.Adam(weights + (alphas if mode == "joint" else []), lr=0.01)
    step_a = torch.optim.Adam(alphas, lr=0.02)
    weight_losses, alpha_losses, course = [], [], []
    for step in range(6):
        for optimizer, batch, kind, losses in [
                (step_a, validation[step % 2], "alpha", alpha_losses),
                (step_w, training[step % 3], mode, weight_losses)]:
            if kind == "alpha" and mode == "joint":
                continue
            c = [search_coefficients(kind, a, pick) for a, pick in zip(alphas, PICKS[step])]
            loss = search_loss(p, batch, *c)
            for value in p.values():
                value.grad = None
            loss.backward()
            optimizer.step()
            losses.append(loss.detach())
        course.append(torch.cat([a.detach() for a in alphas]))
    tensors[f"{mode}.weight_losses"] = torch.stack(weight_losses)
    if alpha_losses:
        tensors[f"{mode}.alpha_losses"] = torch.stack(alpha_losses)
    tensors[f"{mode}.alphas"] = torch.stack(course)
    for name, value in p.items():
        if not name.endswith("alpha"):
            tensors[f"{mode}.{name}"] = value


def search_batch():
    return torch.randn(4, 1, 4, 3), torch.randint(3, (4,))


searches, start = {"picks": torch.tensor(PICKS).double()}, search_parameters()
batches = [search_batch() for _ in range(5)]
for i, (inputs, classes) in enumerate(batches):
    searches[f"x{i}"], searches[f"labels{i}"] = inputs, classes.double()
for name, value in start.items():
    searches["start." + name] = value
for mode in ["joint", "sampling", "dropout"]:
    search(searches, mode, start, batches[:3], batches[3:])
write("searches", searches)


# The rest -----------------------------------------------------------------------------------------

torch.manual_seed(1)
# What has no file of its own: arithmetic, what moves elements, capsules and branches. Masks and
# places have a y, and no gradient.
basics, x = {}, torch.randn(2, 3, 4)
rows, row = torch.randn(4, 5), torch.randn(5)
rows[1] = row
for case, function in [("add", torch.add), ("sub", torch.sub), ("mul", torch.mul), ("div", torch.div)]:
    add_case(basics, case, function, a=rows, b=row)
for case, function, v in [
        ("neg", torch.neg, x), ("affine", lambda v: -1.5 * v + 2, x), ("exp", torch.exp, x),
        ("log", torch.log, x.abs()), ("sigmoid", torch.sigmoid, x), ("tanh", torch.tanh, x),
        ("reshape", lambda v: v.reshape(4, 6), x), ("flatten", lambda v: v.flatten(1), x),
        ("permute", lambda v: v.permute(2, 0, 1), x), ("transpose", lambda v: v.transpose(0, 2), x),
        ("slice", lambda v: v[:, :, 1:3], x), ("pad", lambda v: F.pad(v, (0, 0, 1, 2)), x)]:
    add_case(basics, case, function, x=v)
own = F.one_hot(labels, 4)
add_case(basics, "margin_loss", lambda v: (own * F.relu(0.9 - v)**2 + 0.5 * (1 - own) * F.relu(v - 0.1)**2)
         .sum(1).mean(), norms=torch.rand(5, 4))
add_case(basics, "capsule_votes", lambda u, w: torch.einsum("nid,ijdo->nijo", u, w),
         u=torch.randn(2, 3, 4), weight=torch.randn(3, 2, 4, 5))
add_case(basics, "conv2d_relu_maxpool_branches",
         lambda v, w, b, c, d: F.max_pool2d(F.relu(torch.cat((
             F.conv2d(v, w, b, padding=1), F.conv2d(F.pad(v, (0, 1, 0, 0)), c, d)), 1)), (2, 1)),
         x=torch.randn(2, 2, 4, 5), weight_0=torch.randn(3, 2, 3, 3), bias_0=torch.randn(3),
         weight_1=torch.randn(2, 2, 1, 2), bias_1=torch.randn(2))


def add_value(case, function, **inputs):
    basics.update({f"{case}.{name}": value for name, value in inputs.items()})
    basics[case + ".y"] = function(*inputs.values()).double()


for case, function in [("lt", torch.lt), ("le", torch.le), ("gt", torch.gt), ("ge", torch.ge),
                       ("eq", torch.eq), ("ne", torch.ne)]:
    add_value(case, function, a=rows, b=row)
add_value("argmax", lambda v: v.argmax(1).flatten(), x=x)
add_value("one_hot", lambda: F.one_hot(torch.tensor([2, 0, 3]), 4))
add_value("tril_mask", lambda: torch.ones(3, 4).tril(1))
add_value("triu_mask", lambda: torch.ones(3, 4).triu(1))


def shares(votes, bias):
    """Dynamic routing; the coefficients of its two iterations."""
    first = torch.full(votes.shape[:3], 1 / votes.shape[2])
    s = torch.einsum("nij,nijo->njo", first, votes) + bias
    square = (s * s).sum(-1, keepdim=True)
    v = s * square / ((1 + square) * torch.sqrt(square + 1e-12))
    return torch.stack([first, torch.softmax(torch.einsum("nijo,njo->nij", votes, v), 2)])


add_value("routing_coefficients", shares, u_hat=torch.randn(2, 4, 3, 5), bias=torch.randn(3, 5))
write("basics", basics)
