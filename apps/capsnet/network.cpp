#include "apps/capsnet/network.h"

#include <algorithm>

#include "nn/linear.h"

namespace serenade::capsnet {

Indices digits_of(Indices labels, int overlaid, int which) {
  for (auto& label : labels) label = which + 1 == overlaid ? label % kDigits : label / kDigits;
  return labels;
}

CapsNet::CapsNet(const Options& chosen)
    : options(chosen),
      digits({primary.capsule_count(options.side - 8, options.side - 8), kDigits, kPrimaryDim,
              kDigitDim, options.routings, RoutingGradient::full, /*shared=*/false,
              /*bias=*/false}) {
  register_module("conv", conv), register_module("primary", primary);
  register_module("digits", digits), register_module("decoder", decoder);
  if (!options.reconstruction) return;
  const Shape widths = {kDigits * kDigitDim, 512, 1024, options.side * options.side};
  for (std::size_t i = 0; i + 1 < widths.size(); ++i) {
    if (i > 0) decoder.add(std::make_unique<ReLU>());
    decoder.add(std::make_unique<Linear>(Linear::Options{widths[i], widths[i + 1]}));
  }
}

Indices CapsNet::guesses(const Variable& v) const {
  const std::size_t step = std::size_t(options.overlaid);
  const Indices longest = topk(capsule_norm(v), options.overlaid).indices;
  Indices labels;
  for (std::size_t i = 0; i < longest.size(); i += step) {
    const auto [a, b] = std::minmax(longest[i], longest[i + step - 1]);
    labels.push_back(step == 1 ? a : kDigits * a + b);
  }
  return labels;
}

Variable CapsNet::reconstruct(const Variable& v, const Indices& seen) {
  const Tensor mask = one_hot(seen, kDigits).reshape({v.size(0), kDigits, 1}).to(v.device());
  return sigmoid(decoder.forward(flatten(v * mask, 1, 2)));
}

Variable CapsNet::loss(const Batch& batch) {
  const Variable v = digit_capsules(batch.input), lengths = capsule_norm(v);
  Tensor there({batch.size(), kDigits});
  Variable error = Tensor::scalar(0, v.device());
  for (int which = 0; which < options.overlaid; ++which) {
    const Indices seen = digits_of(batch.labels, options.overlaid, which);
    there.add_(one_hot(seen, kDigits));
    if (!options.reconstruction) continue;
    const Tensor picture = options.overlaid == 1 ? batch.input : batch.target.slice(1, which, 1);
    error += mse_loss(reconstruct(v, seen), picture.reshape({batch.size(), -1}), Reduction::sum);
  }
  const Variable present = there.to(v.device());
  const Variable margin = present * square(relu(real(0.9) - lengths)) +
                          real(0.5) * (real(1) - present) * square(relu(lengths - real(0.1)));
  return (sum(margin) + real(0.0005) * error) / real(batch.size());
}

}  // namespace serenade::capsnet
