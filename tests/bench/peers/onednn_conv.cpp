#include "tests/bench/peers/onednn.h"

#ifdef SERENADE_WITH_ONEDNN

#include <cstdio>
#include <memory>

#include "tests/bench/peers/onednn_chain.h"

namespace serenade::bench::onednn {

namespace {

using dnnl::memory;
using Tag = memory::format_tag;

// Direct or, for kernels of 3x3, Winograd's: what the library thinks is faster.
constexpr auto kAlgorithm = dnnl::algorithm::convolution_auto;

// The convolution as oneDNN describes it; `any` leaves a layout to the library.
struct Problem {
  memory::dims x, weight, bias, y, stride, before, after;
  memory::dims gaps = {0, 0};  // between the taps of a dilated kernel
  Tag weight_tag = Tag::oihw;

  explicit Problem(const Conv2dShape& s)
      : x{s.N, s.C, s.H, s.W},
        weight{s.K, s.C, s.R, s.S},
        bias{s.K},
        y{s.N, s.K, s.out_h(), s.out_w()},
        stride{s.stride_h, s.stride_w},
        before{s.pad_top, s.pad_left},
        after{s.pad_bottom, s.pad_right} {}

  explicit Problem(const DepthwiseShape& s)
      : x{s.N, s.C, s.H, s.W},
        weight{s.C, s.M, 1, s.R, s.S},
        bias{s.C * s.M},
        y{s.N, s.C * s.M, s.out_h(), s.out_w()},
        stride{s.stride_h, s.stride_w},
        before{s.pad_top, s.pad_left},
        after{s.pad_bottom, s.pad_right},
        gaps{s.dilation_h - 1, s.dilation_w - 1},
        weight_tag(Tag::goihw) {}

  static memory::desc layout(const memory::dims& dims, Tag tag) {
    return {dims, memory::data_type::f32, tag};
  }

  dnnl::convolution_forward::primitive_desc forward(bool relu) const {
    dnnl::primitive_attr attributes;
    if (relu) {
      dnnl::post_ops after_sum;
      after_sum.append_eltwise(1, dnnl::algorithm::eltwise_relu, 0, 0);
      attributes.set_post_ops(after_sum);
    }
    return {{dnnl::prop_kind::forward_training, kAlgorithm, layout(x, Tag::any),
             layout(weight, Tag::any), layout(bias, Tag::x), layout(y, Tag::any), stride, gaps,
             before, after},
            attributes,
            cpu_engine()};
  }
};

// Memory that a caller holds: in the primitive's own layout, or plain.
memory held(const memory::desc& best, const memory::dims& dims, Tag tag, Layout layout) {
  return filled(layout == Layout::best ? best : Problem::layout(dims, tag));
}

// A result: computed in the primitive's layout, and handed over in plain form where that is asked.
void hand_over(Chain& chain, const memory& result, const memory::dims& dims, Tag tag,
               Layout layout) {
  if (layout == Layout::plain) chain.reordered(result, Problem::layout(dims, tag));
}

void add_forward(Chain& chain, const Problem& p, bool fused, Layout layout,
                 std::array<std::int64_t, 2> pool) {
  const auto desc = p.forward(fused);
  const memory x = held(desc.src_desc(), p.x, Tag::nchw, layout);
  const memory weight = held(desc.weights_desc(), p.weight, p.weight_tag, layout);
  const memory y(desc.dst_desc(), cpu_engine());
  const memory own_x = chain.reordered(x, desc.src_desc());
  const memory own_weight = chain.reordered(weight, desc.weights_desc());
  chain.add(dnnl::convolution_forward(desc), {{DNNL_ARG_SRC, own_x},
                                              {DNNL_ARG_WEIGHTS, own_weight},
                                              {DNNL_ARG_BIAS, filled(desc.bias_desc())},
                                              {DNNL_ARG_DST, y}});
  if (!fused) return hand_over(chain, y, p.y, Tag::nchw, layout);

  const memory::dims pooled = {p.y[0], p.y[1], p.y[2] / pool[0], p.y[3] / pool[1]};
  const memory::dims window = {pool[0], pool[1]};
  const dnnl::pooling_forward::primitive_desc pooling({dnnl::prop_kind::forward_training,
                                                       dnnl::algorithm::pooling_max,
                                                       desc.dst_desc(),
                                                       Problem::layout(pooled, Tag::any),
                                                       window,
                                                       window,
                                                       {0, 0},
                                                       {0, 0}},
                                                      cpu_engine());
  const memory small(pooling.dst_desc(), cpu_engine());
  chain.add(dnnl::pooling_forward(pooling),
            {{DNNL_ARG_SRC, y},
             {DNNL_ARG_DST, small},
             {DNNL_ARG_WORKSPACE, memory(pooling.workspace_desc(), cpu_engine())}});
  hand_over(chain, small, pooled, Tag::nchw, layout);
}

void add_input_gradient(Chain& chain, const Problem& p, Layout layout) {
  const auto hint = p.forward(false);
  const dnnl::convolution_backward_data::primitive_desc desc(
      {kAlgorithm, Problem::layout(p.x, Tag::any), Problem::layout(p.weight, Tag::any),
       Problem::layout(p.y, Tag::any), p.stride, p.gaps, p.before, p.after},
      cpu_engine(), hint);
  const memory dy = held(desc.diff_dst_desc(), p.y, Tag::nchw, layout);
  const memory weight = held(desc.weights_desc(), p.weight, p.weight_tag, layout);
  const memory dx(desc.diff_src_desc(), cpu_engine());
  const memory own_dy = chain.reordered(dy, desc.diff_dst_desc());
  const memory own_weight = chain.reordered(weight, desc.weights_desc());
  chain.add(dnnl::convolution_backward_data(desc),
            {{DNNL_ARG_DIFF_DST, own_dy}, {DNNL_ARG_WEIGHTS, own_weight}, {DNNL_ARG_DIFF_SRC, dx}});
  hand_over(chain, dx, p.x, Tag::nchw, layout);
}

void add_weight_gradient(Chain& chain, const Problem& p, Layout layout) {
  const auto hint = p.forward(false);
  const dnnl::convolution_backward_weights::primitive_desc desc(
      {kAlgorithm, Problem::layout(p.x, Tag::any), Problem::layout(p.weight, Tag::any),
       Problem::layout(p.y, Tag::any), p.stride, p.gaps, p.before, p.after},
      cpu_engine(), hint);
  const memory x = held(desc.src_desc(), p.x, Tag::nchw, layout);
  const memory dy = held(desc.diff_dst_desc(), p.y, Tag::nchw, layout);
  const memory dweight(desc.diff_weights_desc(), cpu_engine());
  const memory own_x = chain.reordered(x, desc.src_desc());
  const memory own_dy = chain.reordered(dy, desc.diff_dst_desc());
  chain.add(dnnl::convolution_backward_weights(desc),
            {{DNNL_ARG_SRC, own_x}, {DNNL_ARG_DIFF_DST, own_dy}, {DNNL_ARG_DIFF_WEIGHTS, dweight}});
  hand_over(chain, dweight, p.weight, p.weight_tag, layout);
}

std::optional<Contender> contender(Pass pass, const Problem& problem, Layout layout,
                                   std::array<std::int64_t, 2> pool) {
  try {
    const auto chain = std::make_shared<Chain>();
    switch (pass) {
      case Pass::forward:
      case Pass::fused:
        add_forward(*chain, problem, pass == Pass::fused, layout, pool);
        break;
      case Pass::input:
        add_input_gradient(*chain, problem, layout);
        break;
      case Pass::weight:
        add_weight_gradient(*chain, problem, layout);
        break;
    }
    return local(layout == Layout::best ? "oneDNN" : "oneDNN, NCHW", version(),
                 layout == Layout::best ? "its own blocked layout, no reorder counted"
                                        : "reorders from and to NCHW counted",
                 [chain] { chain->run(); });
  } catch (const dnnl::error& error) {
    std::fprintf(stderr, "oneDNN: a convolution left out: %s\n", error.what());
    return std::nullopt;
  }
}

}  // namespace

bool found() { return true; }

std::string version() {
  const dnnl_version_t* v = dnnl_version();
  return std::to_string(v->major) + "." + std::to_string(v->minor) + "." + std::to_string(v->patch);
}

std::optional<Contender> convolution(Pass pass, const Conv2dShape& shape, Layout layout,
                                     std::array<std::int64_t, 2> pool) {
  return contender(pass, Problem(shape), layout, pool);
}

std::optional<Contender> convolution(Pass pass, const DepthwiseShape& shape, Layout layout) {
  return contender(pass, Problem(shape), layout, {});
}

}  // namespace serenade::bench::onednn

#else

namespace serenade::bench::onednn {

bool found() { return false; }
std::string version() { return ""; }
std::optional<Contender> convolution(Pass, const Conv2dShape&, Layout,
                                     std::array<std::int64_t, 2>) {
  return std::nullopt;
}
std::optional<Contender> convolution(Pass, const DepthwiseShape&, Layout) { return std::nullopt; }

}  // namespace serenade::bench::onednn

#endif
