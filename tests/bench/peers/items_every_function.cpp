// Every function of autograd/functions.h beside PyTorch's, one size each. What of PyTorch returns a
// view without a copy is asked for a contiguous result, as ours is. PyTorch's masks are booleans.

#include <map>
#include <string>
#include <vector>

#include "autograd/functions.h"
#include "tests/bench/peers/function_case.h"
#include "tests/bench/peers/items.h"

namespace serenade::bench {

namespace {

const Shape kSquare = {1024, 1024}, kHalf = {1024, 512}, kScores = {4096, 1000}, kVector = {4096};
const Shape kImages = {32, 64, 56, 56}, kMap = {16, 64, 32, 32}, kHeads = {4, 8, 512, 64};
const CaseOptions kPositive = {.range = {0.1, 2}}, kShares = {.range = {0.01, 1}};
const CaseOptions kSmall = {.range = {-0.1, 0.1}}, kLayer = {.images = true, .range = {-0.1, 0.1}};

Variable numbers_of(const Indices& indices) {
  Tensor result = Tensor::empty({static_cast<std::int64_t>(indices.size())});
  for (std::size_t i = 0; i < indices.size(); ++i) {
    result.data()[i] = static_cast<real>(indices[i]);
  }
  return result;
}

const std::vector<Case>& elementwise() {
  static const std::vector<Case> all = {
      {"add", {kSquare, kSquare}, OURS(add(x, w)), "x + w"},
      {"sub", {kSquare, kSquare}, OURS(sub(x, w)), "x - w"},
      {"mul", {kSquare, kSquare}, OURS(mul(x, w)), "x * w"},
      {"div", {kSquare, kSquare}, OURS(div(x, w)), "x / w", kPositive},
      {"neg", {kSquare}, OURS(neg(x)), "-x"},
      {"affine", {kSquare}, OURS(affine(x, 3, 2)), "x * 3 + 2"},
      {"pow", {kSquare, kSquare}, OURS(pow(x, w)), "x ** w", kPositive},
      {"maximum", {kSquare, kSquare}, OURS(maximum(x, w)), "torch.maximum(x, w)"},
      {"minimum", {kSquare, kSquare}, OURS(minimum(x, w)), "torch.minimum(x, w)"},
      {"lt", {kSquare, kSquare}, OURS(lt(x, w)), "x < w"},
      {"le", {kSquare, kSquare}, OURS(le(x, w)), "x <= w"},
      {"gt", {kSquare, kSquare}, OURS(gt(x, w)), "x > w"},
      {"ge", {kSquare, kSquare}, OURS(ge(x, w)), "x >= w"},
      {"eq", {kSquare, kSquare}, OURS(eq(x, w)), "x == w"},
      {"ne", {kSquare, kSquare}, OURS(ne(x, w)), "x != w"},
      {"where",
       {kSquare, kSquare},
       OURS(where(mask(kSquare), x, w)),
       "torch.where(mask(1024, 1024), x, w)"},
      {"masked_fill",
       {kSquare},
       OURS(masked_fill(x, mask(kSquare), 3)),
       "x.masked_fill(mask(1024, 1024), 3)"},
      {"exp", {kSquare}, OURS(exp(x)), "torch.exp(x)"},
      {"log", {kSquare}, OURS(log(x)), "torch.log(x)", kPositive},
      {"sqrt", {kSquare}, OURS(sqrt(x)), "torch.sqrt(x)", kPositive},
      {"rsqrt", {kSquare}, OURS(rsqrt(x)), "torch.rsqrt(x)", kPositive},
      {"square", {kSquare}, OURS(square(x)), "torch.square(x)"},
      {"abs", {kSquare}, OURS(abs(x)), "torch.abs(x)"},
      {"sign", {kSquare}, OURS(sign(x)), "torch.sign(x)"},
      {"clamp", {kSquare}, OURS(clamp(x, -1, 1)), "torch.clamp(x, -1, 1)"},
      {"erf", {kSquare}, OURS(erf(x)), "torch.erf(x)"},
      {"dropout",
       {kSquare},
       OURS(dropout(x, 0.5, {1, Purpose::dropout, 1})),
       "F.dropout(x, 0.5)",
       {.random = true}},
      {"relu", {kSquare}, OURS(relu(x)), "F.relu(x)"},
      {"sigmoid", {kSquare}, OURS(sigmoid(x)), "torch.sigmoid(x)"},
      {"tanh", {kSquare}, OURS(tanh(x)), "torch.tanh(x)"},
      {"leaky_relu", {kSquare}, OURS(leaky_relu(x)), "F.leaky_relu(x)"},
      {"elu", {kSquare}, OURS(elu(x)), "F.elu(x)"},
      {"gelu", {kSquare}, OURS(gelu(x)), "F.gelu(x)"},
      {"silu", {kSquare}, OURS(silu(x)), "F.silu(x)"},
      {"softplus", {kSquare}, OURS(softplus(x)), "F.softplus(x)"},
      {"hardtanh", {kSquare}, OURS(hardtanh(x)), "F.hardtanh(x)"},
      {"relu6", {kSquare}, OURS(relu6(x)), "F.relu6(x)"},
  };
  return all;
}

const std::vector<Case>& reductions() {
  static const std::vector<Case> all = {
      {"sum", {kSquare}, OURS(sum(x, 1)), "x.sum(1)"},
      {"mean", {kSquare}, OURS(mean(x, 1)), "x.mean(1)"},
      {"max", {kSquare}, OURS(max(x, 1)), "x.max(1).values"},
      {"min", {kSquare}, OURS(min(x, 1)), "x.min(1).values"},
      {"var", {kSquare}, OURS(var(x, 1)), "x.var(1)"},
      {"stddev", {kSquare}, OURS(stddev(x, 1)), "x.std(1)"},
      {"logsumexp", {kSquare}, OURS(logsumexp(x, 1)), "x.logsumexp(1)"},
      {"norm", {kSquare}, OURS(norm(x, 1)), "torch.linalg.vector_norm(x, 2, 1)"},
      {"cumsum", {kSquare}, OURS(cumsum(x, 1)), "x.cumsum(1)"},
      {"argmax", {kSquare}, OURS(numbers_of(argmax(x, 1))), "x.argmax(1)"},
  };
  return all;
}

const std::vector<Case>& shapes() {
  const Shape thin = {1024, 1, 64}, quarter = {256, 512}, frames = {32, 16, 64, 100};
  static const std::vector<Case> all = {
      {"reshape", {kSquare}, OURS(reshape(x, {512, 2048})), "x.reshape(512, 2048)"},
      {"flatten", {kImages}, OURS(flatten(x, 1)), "x.flatten(1)"},
      {"permute", {kImages}, OURS(permute(x, {0, 2, 3, 1})), "x.permute(0, 2, 3, 1).contiguous()"},
      {"transpose", {kSquare}, OURS(transpose(x, 0, 1)), "x.transpose(0, 1).contiguous()"},
      {"slice", {kSquare}, OURS(slice(x, 1, 256, 512)), "x[:, 256:768].contiguous()"},
      {"concat", {kHalf, kHalf}, OURS(concat({x, w}, 1)), "torch.cat((x, w), 1)"},
      {"stack", {kHalf, kHalf}, OURS(stack({x, w}, 1)), "torch.stack((x, w), 1)"},
      {"split", {kSquare}, OURS(concat(split(x, 256, 1), 0)), "torch.cat(x.split(256, 1), 0)"},
      {"chunk", {kSquare}, OURS(concat(chunk(x, 4, 1), 0)), "torch.cat(x.chunk(4, 1), 0)"},
      {"expand", {thin}, OURS(expand(x, {1024, 16, 64})), "x.expand(1024, 16, 64).contiguous()"},
      {"repeat", {quarter}, OURS(repeat(x, {4, 2})), "x.repeat(4, 2)"},
      {"flip", {kSquare}, OURS(flip(x, 1)), "x.flip(1)"},
      {"pad", {kSquare}, OURS(pad(x, 1, 16, 16)), "F.pad(x, (16, 16))"},
      {"unfold",
       {frames},
       OURS(unfold(x, 10, 5)),
       "x.unfold(3, 10, 5).permute(0, 3, 1, 2, 4).contiguous()"},
  };
  return all;
}

const std::vector<Case>& indexing() {
  const Shape rows = {1024, 256}, table = {10000, 256};
  static const std::vector<Case> all = {
      {"index_select",
       {{4096, 256}},
       OURS(index_select(x, 0, spread(4096, 4096))),
       "x.index_select(0, spread(4096, 4096))"},
      {"embedding",
       {table},
       OURS(embedding(x, spread(8192, 10000))),
       "F.embedding(spread(8192, 10000), x)"},
      {"gather",
       {rows},
       OURS(gather(x, 1, spread(262144, 256), {1024, 256})),
       "x.gather(1, spread(262144, 256).view(1024, 256))"},
      {"scatter_add",
       {rows, rows},
       OURS(scatter_add(x, 1, spread(262144, 256), w)),
       "x.scatter_add(1, spread(262144, 256).view(1024, 256), w)"},
      {"topk", {kScores}, OURS(topk(x, 10).values), "x.topk(10).values"},
      {"one_hot",
       {},
       OURS(one_hot(spread(4096, 1000), 1000)),
       "F.one_hot(spread(4096, 1000), 1000)"},
      {"tril_mask", {}, OURS(tril_mask(1024, 1024)), "torch.ones(1024, 1024).tril()"},
      {"triu_mask", {}, OURS(triu_mask(1024, 1024)), "torch.ones(1024, 1024).triu()"},
  };
  return all;
}

const std::vector<Case>& products() {
  const Shape matrices = {64, 128, 128}, queries = {16, 8, 128, 64}, wide = {512, 512};
  static const std::vector<Case> all = {
      {"matmul", {queries, {64, 128}}, OURS(matmul(x, w)), "x @ w"},
      {"bmm", {matrices, matrices}, OURS(bmm(x, w)), "torch.bmm(x, w)"},
      {"outer", {{1024}, {1024}}, OURS(outer(x, w)), "torch.outer(x, w)"},
      {"linear", {{4096, 512}, wide, {512}}, OURS(linear(x, w, b)), "F.linear(x, w, b)"},
      {"scaled_dot_product_attention",
       {kHeads, kHeads, kHeads},
       OURS(scaled_dot_product_attention(x, w, b)),
       "F.scaled_dot_product_attention(x, w, b)"},
  };
  return all;
}

const std::vector<Case>& losses() {
  static const std::vector<Case> all = {
      {"softmax", {kScores}, OURS(softmax(x, 1)), "x.softmax(1)"},
      {"log_softmax", {kScores}, OURS(log_softmax(x, 1)), "x.log_softmax(1)"},
      {"mse_loss", {kSquare, kSquare}, OURS(mse_loss(x, w)), "F.mse_loss(x, w)"},
      {"l1_loss", {kSquare, kSquare}, OURS(l1_loss(x, w)), "F.l1_loss(x, w)"},
      {"smooth_l1_loss", {kSquare, kSquare}, OURS(smooth_l1_loss(x, w)), "F.smooth_l1_loss(x, w)"},
      {"huber_loss", {kSquare, kSquare}, OURS(huber_loss(x, w)), "F.huber_loss(x, w)"},
      {"binary_cross_entropy_with_logits",
       {kSquare, kSquare},
       OURS(binary_cross_entropy_with_logits(x, w)),
       "F.binary_cross_entropy_with_logits(x, w)",
       kShares},
      {"kl_div", {kSquare, kSquare}, OURS(kl_div(x, w)), "F.kl_div(x, w)", kShares},
      {"nll_loss",
       {kScores},
       OURS(nll_loss(x, spread(4096, 1000))),
       "F.nll_loss(x, spread(4096, 1000))"},
      {"cross_entropy",
       {kScores},
       OURS(cross_entropy(x, spread(4096, 1000))),
       "F.cross_entropy(x, spread(4096, 1000))"},
      {"margin_loss",
       {{4096, 10}},
       OURS(margin_loss(x, spread(4096, 10))),
       "margin_loss(x, spread(4096, 10))",
       kShares},
  };
  return all;
}

const std::vector<Case>& images() {
  const Padding one = {1, 1, 1, 1};
  static const Conv2dOptions three = {.padding = one}, five = {.padding = {2, 2, 2, 2}};
  static const ConvTranspose2dOptions twice = {.stride = {2, 2}, .padding = one};
  const Shape map = {16, 32, 64, 64};
  static const std::vector<Case> all = {
      {"conv2d",
       {kMap, {64, 64, 3, 3}, {64}},
       OURS(conv2d(x, w, b, three)),
       "F.conv2d(x, w, b, padding=1)",
       kLayer},
      {"conv1d",
       {{32, 64, 256}, {64, 64, 5}, {64}},
       OURS(conv1d(x, w, b, {.padding = {2, 2}})),
       "F.conv1d(x, w, b, padding=2)",
       kSmall},
      {"conv_transpose2d",
       {{16, 64, 16, 16}, {64, 32, 4, 4}, {32}},
       OURS(conv_transpose2d(x, w, b, twice)),
       "F.conv_transpose2d(x, w, b, 2, 1)",
       kLayer},
      {"conv2d_relu_maxpool",
       {map, {32, 32, 5, 5}, {32}},
       OURS(conv2d_relu_maxpool(x, w, b, five, {2, 2})),
       "F.max_pool2d(F.relu(F.conv2d(x, w, b, padding=2)), 2)",
       kLayer},
      {"conv2d_relu_maxpool_branches",
       {map, {16, 32, 5, 5}, {16}, {16, 32, 3, 3}, {16}},
       OURS(conv2d_relu_maxpool_branches(x, {{w, b}, {c, d}}, {2, 2})),
       "F.max_pool2d(F.relu(torch.cat((F.conv2d(x, w, b, padding=2), "
       "F.conv2d(x, c, d, padding=1)), 1)), 2)",
       kLayer},
      {"max_pool2d",
       {kImages},
       OURS(max_pool2d(x, {3, 3}, {{2, 2}, {1, 1}})),
       "F.max_pool2d(x, 3, 2, 1)",
       {.images = true}},
      {"avg_pool2d",
       {kImages},
       OURS(avg_pool2d(x, {3, 3}, {{2, 2}, {1, 1}})),
       "F.avg_pool2d(x, 3, 2, 1)",
       {.images = true}},
      {"adaptive_avg_pool2d",
       {kImages},
       OURS(adaptive_avg_pool2d(x, {7, 7})),
       "F.adaptive_avg_pool2d(x, 7)",
       {.images = true}},
      {"adaptive_max_pool2d",
       {kImages},
       OURS(adaptive_max_pool2d(x, {7, 7})),
       "F.adaptive_max_pool2d(x, 7)",
       {.images = true}},
      {"interpolate",
       {kMap},
       OURS(interpolate(x, {64, 64}, {Interpolation::bilinear})),
       "F.interpolate(x, (64, 64), mode='bilinear')",
       {.images = true}},
      {"batch_norm",
       {kImages, {64}, {64}},
       OURS(batch_norm(x, {}, {}, w, b, {.training = true})),
       "F.batch_norm(x, None, None, w, b, True)",
       {.images = true}},
      {"layer_norm",
       {{32, 512, 256}, {256}, {256}},
       OURS(layer_norm(x, {256}, w, b)),
       "F.layer_norm(x, (256,), w, b)"},
      {"rms_norm",
       {{32, 512, 256}, {256}},
       OURS(rms_norm(x, {256}, w)),
       "F.rms_norm(x, (256,), w)"},
      {"group_norm",
       {kImages, {64}, {64}},
       OURS(group_norm(x, 8, w, b)),
       "F.group_norm(x, 8, w, b)",
       {.images = true}},
      {"instance_norm",
       {kImages, {64}, {64}},
       OURS(instance_norm(x, w, b)),
       "F.instance_norm(x, None, None, w, b)",
       {.images = true}},
  };
  return all;
}

const std::vector<Case>& recurrent() {
  const Shape sequence = {32, 100, 256}, kernels = {64, 64, 5, 5}, square = {256, 256};
  static const std::vector<Case> all = {
      {"gru",
       {sequence, {768, 256}, {768, 256}, {768}, {768}},
       OURS(gru(x, {{w, b, c, d}})),
       "torch.gru(x, x.new_zeros(1, 32, 256), [w, b, c, d], True, 1, 0, True, False, True)[0]",
       kSmall},
      {"gru_last_state",
       {{64, 100, 256}},
       OURS(gru_last_state(x, 2)),
       "torch.stack((x[:, -1, :128], x[:, 0, 128:]))"},
      {"lstm",
       {sequence, {1024, 256}, {1024, 256}, {1024}, {1024}},
       OURS(lstm(x, {{w, b, c, d}}).output),
       "torch.lstm(x, [x.new_zeros(1, 32, 256)] * 2, [w, b, c, d], True, 1, 0, True, False, "
       "True)[0]",
       kSmall},
      {"rnn",
       {sequence, square, square, {256}, {256}},
       OURS(rnn(x, {{w, b, c, d}}).output),
       "torch.rnn_tanh(x, x.new_zeros(1, 32, 256), [w, b, c, d], True, 1, 0, True, False, "
       "True)[0]",
       kSmall},
      {"attention_pooling",
       {sequence, square, {256}, {256}, {10, 256}, {10}},
       OURS(attention_pooling(x, {w, b, c, d, e})),
       "attention_pooling(x, w, b, c, d, e)",
       kSmall},
      {"mixed_kernel",
       {kernels, {64, 64, 4, 6}, {64, 64, 6, 4}, {3}},
       OURS(mixed_kernel({x, w, b}, c)),
       "mixed_kernel((x, w, b), c)"},
      {"mixed_bias",
       {kVector, kVector, kVector, {3}},
       OURS(mixed_bias({x, w, b}, c)),
       "c @ torch.stack((x, w, b))"},
  };
  return all;
}

const std::vector<Case>& capsules() {
  const Shape votes = {64, 72, 8, 16}, outputs = {65536, 16};
  static const std::vector<Case> all = {
      {"squash", {outputs}, OURS(squash(x)), "squash(x)"},
      {"capsule_norm", {outputs}, OURS(capsule_norm(x)), "capsule_norm(x)"},
      {"append_norms", {{8192, 8, 16}}, OURS(append_norms(x)), "append_norms(x)"},
      {"capsule_votes",
       {{64, 72, 8}, {72, 8, 8, 16}},
       OURS(capsule_votes(x, w)),
       "torch.einsum('nid,ijdo->nijo', x, w)"},
      {"capsule_routing",
       {votes, {8, 16}},
       OURS(capsule_routing(x, w)),
       "routing(x, w)[0]",
       kSmall},
      {"capsule_layer",
       {{64, 72, 8}, {72, 8, 8, 16}, {8, 16}},
       OURS(capsule_layer(x, w, b)),
       "capsules_by_products(x, w, b)",
       {.range = {-0.5, 0.5}}},
      {"routing_coefficients",
       {votes, {8, 16}},
       OURS(routing_coefficients(x.value(), w.value())),
       "routing(x, w)[1].detach()",
       kSmall},
  };
  return all;
}

}  // namespace

void every_function_items(const Setting& setting, const std::string& family) {
  const std::map<std::string, const std::vector<Case>& (*)()> families = {
      {"elementwise", elementwise},
      {"reduction", reductions},
      {"shape", shapes},
      {"index", indexing},
      {"product", products},
      {"loss", losses},
      {"image", images},
      {"recurrent", recurrent},
      {"capsule", capsules}};
  std::vector<Case> cases = families.at(family)();
  for (Case& one : cases) {
    for (const Shape& shape : one.shapes) one.name += " " + to_string(shape);
  }
  run_cases(setting, "Every function, " + family, cases);
}

}  // namespace serenade::bench
