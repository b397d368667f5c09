#include "apps/darts/network.h"

#include <utility>

#include "apps/darts/genotype.h"
#include "nas/cell_candidates.h"
#include "nn/conv.h"
#include "tensor/check.h"

namespace serenade::darts {

Cell::Cell(Builder& builder, const Options& options)
    : fit_before_(options.after_reduction
                      ? factorized_reduce(options.before, options.channels, options.affine)
                      : relu_conv_norm(options.before, options.channels, options.affine)),
      fit_last_(relu_conv_norm(options.last, options.channels, options.affine)) {
  register_module("fit_before", *fit_before_);
  register_module("fit_last", *fit_last_);
  const CellSpace& space = cell_space();
  for (std::int64_t node = space.inputs; node < space.inputs + space.nodes; ++node) {
    nodes_.emplace_back();
    for (std::int64_t input = 0; input < node; ++input) {
      const std::string name = CellSpace::edge_name(space.cells[options.reduction], input, node);
      if (builder.decided(name) == "none") continue;  // cut
      const std::int64_t stride = options.reduction && input < space.inputs ? 2 : 1;
      nodes_.back().push_back({input, builder.choose(name, {.in_channels = options.channels,
                                                            .out_channels = options.channels,
                                                            .stride = {stride, stride}})});
      register_module(name, *nodes_.back().back().layer);
    }
  }
}

Variable Cell::forward(const Variable& before, const Variable& last, DropPath& drop) {
  std::vector<Variable> states = {fit_before_->forward(before), fit_last_->forward(last)};
  for (const std::vector<Edge>& edges : nodes_) {
    Variable sum;
    for (const Edge& edge : edges) {
      Variable y = edge.layer->forward(states[static_cast<std::size_t>(edge.input)]);
      if (dynamic_cast<Identity*>(edge.layer.get()) == nullptr) y = drop(y);
      sum = sum.defined() ? add(sum, y) : y;
    }
    states.push_back(sum);
  }
  return concat({states.begin() + cell_space().inputs, states.end()}, 1);
}

CellNetwork::CellNetwork(Builder& builder, const Options& options)
    : stem_(conv_norm(3, 3 * options.channels, 3, 1)) {
  const std::int64_t cells = options.cells, head_window = options.side / 4 - 3;
  check(options.channels % 2 == 0 && cells >= 3, "CellNetwork",
        "channels must be even, and cells at least 3; got ", options.channels, " and ", cells);
  check(!options.auxiliary || head_window > 0, "CellNetwork",
        "an auxiliary head needs images of 16 x 16 at least; got a side of ", options.side);
  register_module("stem", *stem_);
  std::int64_t channels = options.channels, before = 3 * channels, last = before;
  for (std::int64_t i = 0; i < cells; ++i) {
    const auto reduces = [&](std::int64_t cell) {
      return cell == cells / 3 || cell == 2 * cells / 3;
    };
    if (reduces(i)) channels *= 2;
    const Cell::Options cell = {before, last, channels, reduces(i), reduces(i - 1), options.affine};
    cells_.push_back(std::make_unique<Cell>(builder, cell));
    register_module("cell" + std::to_string(i), *cells_.back());
    before = std::exchange(last, cell_space().nodes * channels);
    if (!options.auxiliary || i != 2 * cells / 3) continue;
    auxiliary_.add(std::make_unique<ReLU>());  // then means over 5 x 5 of 8 x 8 make 2 x 2
    auxiliary_.add(std::make_unique<AvgPool2d>(
        AvgPool2d::Options{.window = {head_window, head_window}, .stride = {3, 3}}));
    auxiliary_.add(conv_norm(last, 128, 1, 0));
    auxiliary_.add(std::make_unique<ReLU>());
    auxiliary_.add(conv_norm(128, 768, 2, 0));
    auxiliary_.add(std::make_unique<ReLU>());
    auxiliary_out_ = std::make_unique<Linear>(Linear::Options{768, options.classes});
    register_module("auxiliary", auxiliary_);
    register_module("auxiliary_out", *auxiliary_out_);
  }
  out_ = std::make_unique<Linear>(Linear::Options{last, options.classes});
  register_module("out", *out_);
}

Scores CellNetwork::forward(const Variable& x, DropPath drop) {
  Scores scores;
  Variable before = stem_->forward(x), last = before;
  for (std::size_t i = 0; i < cells_.size(); ++i) {
    before = std::exchange(last, cells_[i]->forward(before, last, drop));
    if (auxiliary_out_ && training() && i == 2 * cells_.size() / 3) {
      scores.auxiliary = auxiliary_out_->forward(flatten(auxiliary_.forward(last), 1));
    }
  }
  scores.classes = out_->forward(mean(last, {2, 3}));
  return scores;
}

}  // namespace serenade::darts
