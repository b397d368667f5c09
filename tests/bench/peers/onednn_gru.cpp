#include "tests/bench/peers/onednn.h"

#ifdef SERENADE_WITH_ONEDNN

#include <cstdio>
#include <memory>

#include "tests/bench/peers/onednn_chain.h"

namespace serenade::bench::onednn {

namespace {

using dnnl::memory;
using Tag = memory::format_tag;

// One layer, two directions, no initial and no final state: what a recogniser trains with.
struct Problem {
  memory::desc x, weight_x, weight_h, bias, y, none;

  explicit Problem(const GruSizes& s)
      : x({s.steps, s.batch, s.inputs}, memory::data_type::f32, Tag::tnc),
        weight_x({1, 2, s.inputs, 3, s.hidden}, memory::data_type::f32, Tag::any),
        weight_h({1, 2, s.hidden, 3, s.hidden}, memory::data_type::f32, Tag::any),
        bias({1, 2, 4, s.hidden}, memory::data_type::f32, Tag::ldgo),
        y({s.steps, s.batch, 2 * s.hidden}, memory::data_type::f32, Tag::tnc) {}

  dnnl::lbr_gru_forward::primitive_desc forward() const {
    return {{dnnl::prop_kind::forward_training, dnnl::rnn_direction::bidirectional_concat, x, none,
             weight_x, weight_h, bias, y, none},
            cpu_engine()};
  }
};

}  // namespace

std::optional<Contender> gru(bool backward, const GruSizes& sizes) {
  try {
    const Problem p(sizes);
    const auto desc = p.forward();
    const auto chain = std::make_shared<Chain>();
    const memory x = filled(p.x), y(p.y, cpu_engine()), bias = filled(p.bias, 0.1f);
    const memory workspace(desc.workspace_desc(), cpu_engine());
    const Chain::Arguments forward = {
        {DNNL_ARG_SRC_LAYER, x},
        {DNNL_ARG_WEIGHTS_LAYER, filled(desc.weights_layer_desc(), 0.1f)},
        {DNNL_ARG_WEIGHTS_ITER, filled(desc.weights_iter_desc(), 0.1f)},
        {DNNL_ARG_BIAS, bias},
        {DNNL_ARG_DST_LAYER, y},
        {DNNL_ARG_WORKSPACE, workspace}};
    if (!backward) {
      chain->add(dnnl::lbr_gru_forward(desc), forward);
    } else {
      Chain once;  // fills the workspace that the backward pass reads
      once.add(dnnl::lbr_gru_forward(desc), forward);
      once.run();
      const dnnl::lbr_gru_backward::primitive_desc back(
          {dnnl::prop_kind::backward, dnnl::rnn_direction::bidirectional_concat, p.x, p.none,
           p.weight_x, p.weight_h, p.bias, p.y, p.none, p.x, p.none, p.weight_x, p.weight_h, p.bias,
           p.y, p.none},
          cpu_engine(), desc);
      chain->add(dnnl::lbr_gru_backward(back),
                 {{DNNL_ARG_SRC_LAYER, x},
                  {DNNL_ARG_WEIGHTS_LAYER, filled(back.weights_layer_desc(), 0.1f)},
                  {DNNL_ARG_WEIGHTS_ITER, filled(back.weights_iter_desc(), 0.1f)},
                  {DNNL_ARG_BIAS, bias},
                  {DNNL_ARG_DST_LAYER, y},
                  {DNNL_ARG_WORKSPACE, workspace},
                  {DNNL_ARG_DIFF_DST_LAYER, filled(p.y, 0.01f)},
                  {DNNL_ARG_DIFF_SRC_LAYER, memory(p.x, cpu_engine())},
                  {DNNL_ARG_DIFF_WEIGHTS_LAYER, filled(back.diff_weights_layer_desc(), 0.1f)},
                  {DNNL_ARG_DIFF_WEIGHTS_ITER, filled(back.diff_weights_iter_desc(), 0.1f)},
                  {DNNL_ARG_DIFF_BIAS, filled(p.bias, 0.1f)}});
    }
    return local("oneDNN", version(), "lbr_gru, weights in its best layout",
                 [chain] { chain->run(); });
  } catch (const dnnl::error& error) {
    std::fprintf(stderr, "oneDNN: a GRU left out: %s\n", error.what());
    return std::nullopt;
  }
}

}  // namespace serenade::bench::onednn

#else

namespace serenade::bench::onednn {

std::optional<Contender> gru(bool, const GruSizes&) { return std::nullopt; }

}  // namespace serenade::bench::onednn

#endif
