#pragma once
// The paper's Figure 3: (a) training loss of the supernet per epoch for joint, sampling and dropout
// search; (b) training loss per epoch of one randomly selected child of the supernet, under the
// three. Where steps train a part of the mixture, the loss of (a) is that of the part; that of the
// whole stands beside. The child of (b) has coefficients of 1, as in the paper; beside it stands
// one at the mixture's scale.

#include <string>
#include <vector>

namespace serenade::ser {

struct Figure3 {
  struct Curve {
    std::string mode;          ///< "joint", "sampling", "dropout"
    std::vector<double> loss;  ///< mean training loss of each epoch, the first epoch first
  };
  std::string system;           ///< "CNN_GRU_att" or "CNN_SeqCap"
  std::vector<Curve> supernet;  ///< (a)
  std::vector<Curve> child;     ///< (b)
  std::string child_summary;    ///< the child's choices, "conv1=2x8 conv2=8x2 .."
  /// (a): of the whole mixture, in modes whose steps leave candidates out.
  std::vector<Curve> mixture = {};
  /// (b): of the child, each layer brought to the mixture's root mean square.
  std::vector<Curve> matched_child = {};

  bool empty() const { return supernet.empty() && child.empty(); }
};

std::string draw_figure3a(const Figure3& figure, bool standalone = false);
std::string draw_figure3b(const Figure3& figure, bool standalone = false);

/// "part,mode,epoch,loss" and one line per point.
std::string to_csv(const Figure3& figure);

/// Writes <stem>_a.svg, <stem>_b.svg and <stem>.csv; throws IoError naming the file.
void write_figure3(const std::string& stem, const Figure3& figure);

}  // namespace serenade::ser
