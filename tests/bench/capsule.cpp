// The ladder of the capsule layer at the sizes of the window capsules: 16 utterances of 2 seconds
// are 144 windows, with 1,280 (spectrogram of 1,024 bins) or 80 (64 bins) input capsules.

#include <string>

#include "kernels/capsule/capsule.h"
#include "tensor/random.h"
#include "tensor/tensor.h"
#include "tests/bench/table.h"

using namespace serenade;

namespace {

Tensor random(Shape shape, std::uint64_t step) {
  Tensor tensor = Tensor::empty(std::move(shape));
  fill_normal_(tensor, 0, real(0.3), {1, Purpose::test, step});
  return tensor;
}

/// Operations of v1 beside the softmax. Forward: votes; a sum; agreement and weighted sum of every
/// later iteration. Backward: votes; per later iteration two agreements and a weighted sum for the
/// logits, and two products for the votes' gradient; dW and du.
double flops(const CapsuleShape& p, bool backward) {
  const double votes = double(p.N * p.I * p.J * p.O), D = double(p.D), R = double(p.iterations);
  return votes * (backward ? 6 * D + 10 * (R - 1) + 1 : 2 * D + 4 * (R - 1) + 1);
}

void measure(bench::LadderTable& table, std::int64_t in_capsules) {
  const CapsuleShape p{.N = 144, .I = in_capsules, .D = 8, .J = 8, .O = 8};
  const Tensor u = random({p.N, p.I, p.D}, 1), weight = random({p.I, p.J, p.D, p.O}, 2);
  const Tensor bias = random({p.J, p.O}, 3), dv = random({p.N, p.J, p.O}, 4);
  Tensor v({p.N, p.J, p.O}), s({p.N, p.iterations, p.J, p.O});
  Tensor du(u.shape()), dweight(weight.shape()), dbias(bias.shape());
  const auto forward = [&](auto kernel) {
    return [&, kernel] { kernel(v.data(), s.data(), u.data(), weight.data(), bias.data(), p); };
  };
  const auto backward = [&](auto kernel) {
    return [&, kernel] {
      kernel(du.data(), dweight.data(), dbias.data(), dv.data(), s.data(), u.data(), weight.data(),
             p);
    };
  };
  const std::string shape = "144 x " + std::to_string(in_capsules) + " x 8 to 8 x 8, R = 3";
  table.row(
      shape, "forward", flops(p, false),
      {forward(cpu::capsule_layer_forward_v0_stored_votes), forward(cpu::capsule_layer_forward)},
      1);
  table.row(shape, "backward", flops(p, true),
            {backward(cpu::capsule_layer_backward_v0_stored_votes),
             backward(cpu::capsule_layer_backward)},
            1);
}

}  // namespace

int main(int argc, char** argv) {
  bench::LadderTable table("capsule layer", {"v0 stored votes", "v1 votes recomputed"},
                           argc > 1 ? argv[1] : "");
  measure(table, 1280);
  measure(table, 80);
  table.write_json();
}
