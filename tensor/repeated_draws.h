#pragma once
// Work that is done several times, and draws the same random numbers each time.

#include <cstdint>
#include <optional>

namespace serenade {

/// For losses of networks with dropout, whose layers draw from the default generator (random.h):
///
///   RepeatedDraws same;
///   const Variable first = same([&] { return loss(); });
///   const Variable again = same([&] { return loss(); });   the same elements dropped
///
/// What comes afterwards goes on behind all that has been drawn.
class RepeatedDraws {
 public:
  template <class Work>
  auto operator()(const Work& work) {
    const Rewound from(begin_);
    return work();
  }

 private:
  // Sets the default generator to `begin`, or `begin` to where it is; then it goes on.
  class Rewound {
   public:
    explicit Rewound(std::optional<std::uint64_t>& begin);
    ~Rewound();
    Rewound(const Rewound&) = delete;
    Rewound& operator=(const Rewound&) = delete;

   private:
    std::uint64_t furthest_;
  };

  std::optional<std::uint64_t> begin_;
};

}  // namespace serenade
