// Mixed operations of architecture search: candidates merged into one kernel
// (kernels/mixed/mixed.h).

#include <algorithm>
#include <vector>

#include "autograd/engine.h"
#include "autograd/functions.h"
#include "kernels/mixed/mixed.h"
#include "tensor/check.h"

namespace serenade {

namespace {

// Height and width of the box that kernels are merged into.
struct Box {
  std::int64_t height = 0;
  std::int64_t width = 0;
};

bool takes_part(const std::vector<bool>& active, std::size_t i) {
  return active.empty() || active[i];
}

void check_mixture(const char* op, std::size_t count, const char* parts,
                   const Variable& coefficients, const std::vector<bool>& active) {
  check_defined(op, coefficients);
  check(count > 0, op, "needs at least one candidate; got none");
  check(coefficients.dim() == 1 && coefficients.size(0) == static_cast<std::int64_t>(count), op,
        "needs one coefficient per candidate; got coefficients ", coefficients.shape(), " and ",
        count, " ", parts);
  check(active.empty() || active.size() == count, op,
        "`active` must be empty or have one entry per candidate; got ", active.size(),
        " entries and ", count, " ", parts);
  check(active.empty() || std::find(active.begin(), active.end(), true) != active.end(), op,
        "at least one candidate must be active; got ", count, " ", parts, ", none active");
}

void check_kernels(const char* op, const std::vector<Variable>& weights,
                   const Variable& coefficients, const std::vector<bool>& active) {
  check_mixture(op, weights.size(), "weights", coefficients, active);
  for (const Variable& weight : weights) {
    check_defined(op, weight);
    check(weight.dim() == 4 && weight.numel() > 0, op, "weights must be [out, in, KH, KW]; got ",
          weight.shape());
    check(weight.size(0) == weights[0].size(0) && weight.size(1) == weights[0].size(1), op,
          "weights must agree in output and input channels; got ", weights[0].shape(), " and ",
          weight.shape());
  }
}

// The smallest box that holds the kernels of all candidates, whichever take part.
Box union_box(const std::vector<Variable>& weights) {
  Box box;
  for (const Variable& weight : weights) {
    box.height = std::max(box.height, weight.size(2));
    box.width = std::max(box.width, weight.size(3));
  }
  return box;
}

// The gradients of merge(), written with functions: each part's is its place in the box.
void add_gradients(Gradients& d, const std::vector<MixedCandidate>& candidates,
                   const std::vector<Tensor>& numbers, const Tensor& c, std::int64_t planes,
                   Box box) {
  const std::size_t last = numbers.size();
  const Variable whole = reshape(d.dy(), {planes, box.height, box.width});
  const Variable coefficients = d.input(last, c);
  std::vector<Variable> by_coefficient(last, Variable(Tensor({1}, c.device())));
  for (const MixedCandidate& candidate : candidates) {
    const auto i = static_cast<std::size_t>(candidate.coefficient);
    const Variable place = slice(slice(whole, 1, candidate.offset_h, candidate.kernel_h), 2,
                                 candidate.offset_w, candidate.kernel_w);
    const Variable dy = reshape(place, numbers[i].shape());
    if (d.wants(i)) d.add(i, dy * slice(coefficients, 0, candidate.coefficient, 1));
    if (d.wants(last)) {
      by_coefficient[i] = reshape(sum(dy * d.input(i, numbers[i])), {1});
    }
  }
  if (d.wants(last)) d.add(last, concat(by_coefficient, 0));
}

// Merges `parts`, each [planes, height_i, width_i] as the candidate list says, into [.., box].
// candidates[q].coefficient is the index into parts. Gradients reach only parts in the list.
Variable merge(const char* op, const std::vector<Variable>& parts, const Variable& coefficients,
               std::vector<MixedCandidate> candidates, Shape shape, std::int64_t planes, Box box) {
  for (const Variable& part : parts) check_same_device(op, coefficients, part);
  std::vector<Tensor> numbers(parts.size());
  for (MixedCandidate& candidate : candidates) {
    Tensor& weight = numbers[candidate.coefficient];
    weight = parts[candidate.coefficient].value().contiguous();
    candidate.weight = weight.data();
  }
  const Tensor c = coefficients.value().contiguous();
  Tensor merged = Tensor::empty(std::move(shape), c.device());
  const auto count = static_cast<std::int64_t>(candidates.size());
  KERNEL(c.device(), mixed_kernel_forward, merged.data(), candidates.data(), count, c.data(),
         planes, box.height, box.width);

  std::vector<Variable> inputs = parts;
  inputs.push_back(coefficients);
  return make_result(op, merged, inputs,
                     [candidates, numbers, c, planes, box](const Tensor& dmerged, Gradients& d) {
                       if (d.create_graph()) {
                         return add_gradients(d, candidates, numbers, c, planes, box);
                       }
                       std::vector<MixedCandidate> wanted = candidates;
                       for (MixedCandidate& candidate : wanted) {
                         const auto i = static_cast<std::size_t>(candidate.coefficient);
                         if (d.wants(i)) candidate.dweight = d[i].data();
                       }
                       const std::size_t last = numbers.size();
                       KERNEL(dmerged.device(), mixed_kernel_backward,
                              d.wants(last) ? d[last].data() : nullptr, wanted.data(),
                              static_cast<std::int64_t>(wanted.size()), dmerged.data(), c.data(),
                              planes, box.height, box.width);
                     });
}

// Candidates stand so that the centres of their 'same' padding meet: a kernel of k taps reads
// (k - 1) / 2 elements before the output's, so in a box of K taps it starts at (K - 1) / 2 - (k -
// 1) / 2. The centred crop (K - k) / 2 would be wrong for K odd and k even.
std::vector<MixedCandidate> place_in_box(const std::vector<Variable>& weights,
                                         const std::vector<bool>& active, Box box) {
  std::vector<MixedCandidate> candidates;
  for (std::size_t i = 0; i < weights.size(); ++i) {
    if (!takes_part(active, i)) continue;
    const std::int64_t height = weights[i].size(2);
    const std::int64_t width = weights[i].size(3);
    candidates.push_back({.kernel_h = height,
                          .kernel_w = width,
                          .offset_h = (box.height - 1) / 2 - (height - 1) / 2,
                          .offset_w = (box.width - 1) / 2 - (width - 1) / 2,
                          .coefficient = static_cast<std::int64_t>(i)});
  }
  return candidates;
}

}  // namespace

Variable mixed_kernel(const std::vector<Variable>& weights, const Variable& coefficients,
                      const std::vector<bool>& active) {
  check_kernels("mixed_kernel", weights, coefficients, active);
  const Box box = union_box(weights);
  const std::int64_t out = weights[0].size(0), in = weights[0].size(1);
  element_count({out, in, box.height, box.width}, "mixed_kernel");
  return merge("mixed_kernel", weights, coefficients, place_in_box(weights, active, box),
               {out, in, box.height, box.width}, out * in, box);
}

std::uint64_t unused_taps(const std::vector<Variable>& weights, const std::vector<bool>& active) {
  check(!weights.empty(), "unused_taps", "needs at least one candidate; got none");
  check(active.empty() || active.size() == weights.size(), "unused_taps",
        "`active` must be empty or have one entry per candidate; got ", active.size(),
        " entries and ", weights.size(), " weights");
  for (const Variable& weight : weights) {
    check_defined("unused_taps", weight);
    check(weight.dim() == 4, "unused_taps", "weights must be [out, in, KH, KW]; got ",
          weight.shape());
  }
  const Box box = union_box(weights);
  const std::int64_t taps = element_count({box.height, box.width}, "unused_taps");
  if (taps > 64) return 0;
  std::uint64_t unused = taps == 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << taps) - 1;
  for (const MixedCandidate& candidate : place_in_box(weights, active, box)) {
    for (std::int64_t r = 0; r < candidate.kernel_h; ++r) {
      for (std::int64_t s = 0; s < candidate.kernel_w; ++s) {
        unused &=
            ~(std::uint64_t{1} << ((candidate.offset_h + r) * box.width + candidate.offset_w + s));
      }
    }
  }
  return unused;
}

Variable mixed_bias(const std::vector<Variable>& biases, const Variable& coefficients,
                    const std::vector<bool>& active) {
  check_mixture("mixed_bias", biases.size(), "biases", coefficients, active);
  // A bias is a kernel of one row: the same merge, aligned at the first number.
  Box box = {.height = 1, .width = 0};
  std::vector<MixedCandidate> candidates;
  for (std::size_t i = 0; i < biases.size(); ++i) {
    check_defined("mixed_bias", biases[i]);
    check(biases[i].dim() == 1 && biases[i].numel() > 0, "mixed_bias",
          "biases must be vectors; got ", biases[i].shape());
    box.width = std::max(box.width, biases[i].size(0));
    if (!takes_part(active, i)) continue;
    candidates.push_back(
        {.kernel_w = biases[i].size(0), .coefficient = static_cast<std::int64_t>(i)});
  }
  return merge("mixed_bias", biases, coefficients, std::move(candidates), {box.width}, 1, box);
}

}  // namespace serenade
