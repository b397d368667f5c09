#pragma once
// Primitives of oneDNN that run one after the other on memory of their own. Only for files that are
// compiled with oneDNN.

#include <cstddef>
#include <dnnl.hpp>
#include <unordered_map>
#include <utility>
#include <vector>

namespace serenade::bench::onednn {

inline dnnl::engine& cpu_engine() {
  static dnnl::engine engine(dnnl::engine::kind::cpu, 0);
  return engine;
}

/// Memory of a layout filled with values of either sign, none of them denormal.
inline dnnl::memory filled(const dnnl::memory::desc& desc, float scale = 1) {
  dnnl::memory memory(desc, cpu_engine());
  auto* values = static_cast<float*>(memory.get_data_handle());
  for (std::size_t i = 0; i < desc.get_size() / sizeof(float); ++i) {
    values[i] = scale * (static_cast<float>(i * 7919 % 1009) / 1009 - 0.5f);
  }
  return memory;
}

class Chain {
 public:
  using Arguments = std::unordered_map<int, dnnl::memory>;

  void add(dnnl::primitive primitive, Arguments arguments) {
    steps_.emplace_back(std::move(primitive), std::move(arguments));
  }

  /// Memory of the wanted layout that, at every run, gets what `from` holds; `from` itself where
  /// the layouts agree.
  dnnl::memory reordered(const dnnl::memory& from, const dnnl::memory::desc& wanted) {
    if (from.get_desc() == wanted) return from;
    dnnl::memory to(wanted, cpu_engine());
    add(dnnl::reorder(from, to), {{DNNL_ARG_FROM, from}, {DNNL_ARG_TO, to}});
    return to;
  }

  void run() {
    for (auto& [primitive, arguments] : steps_) primitive.execute(stream_, arguments);
    stream_.wait();
  }

 private:
  dnnl::stream stream_{cpu_engine()};
  std::vector<std::pair<dnnl::primitive, Arguments>> steps_;
};

}  // namespace serenade::bench::onednn
