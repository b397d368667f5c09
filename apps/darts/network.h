#pragma once
// Networks of cells (Liu, Simonyan & Yang, ICLR 2019), searched or trained, as the builder says.

#include <memory>
#include <vector>

#include "nas/builder.h"
#include "nn/dropout.h"
#include "nn/linear.h"

namespace serenade::darts {

class Cell : public Module {
 public:
  struct Options {
    std::int64_t before = 0, last = 0;  ///< channels of the two cells before it
    std::int64_t channels = 0;          ///< of each node
    bool reduction = false;             ///< edges from its inputs have stride 2
    bool after_reduction = false;       ///< the cell before it is a reduction
    bool affine = true;                 ///< false in a search
  };

  Cell(Builder& builder, const Options& options);
  /// Result [N, 4 channels, H, W]: its nodes. Edges that are not identities are dropped.
  Variable forward(const Variable& before, const Variable& last, DropPath& drop);

 private:
  struct Edge {
    std::int64_t input = 0;
    std::unique_ptr<Layer> layer;
  };
  std::unique_ptr<Layer> fit_before_, fit_last_;
  std::vector<std::vector<Edge>> nodes_;
};

struct Scores {
  Variable classes;    ///< [N, classes]
  Variable auxiliary;  ///< the same; undefined in evaluation, and without that head
};

/// A convolution to three times the channels, cells, a mean over the map. Those at one and two
/// thirds of the cells are reductions: half the map, twice the channels.
class CellNetwork : public Module {
 public:
  struct Options {
    std::int64_t channels = 16, cells = 8, classes = 10;
    std::int64_t side = 32;  ///< of the images: a multiple of 4, at least 16 with an auxiliary head
    bool affine = true;
    bool auxiliary = false;  ///< a second classifier, after the second reduction
  };

  CellNetwork(Builder& builder, const Options& options);
  /// x: [N, 3, side, side].
  Scores forward(const Variable& x, DropPath drop = {});

 private:
  std::unique_ptr<Layer> stem_;
  std::vector<std::unique_ptr<Cell>> cells_;
  Sequential auxiliary_;
  std::unique_ptr<Linear> out_, auxiliary_out_;
};

}  // namespace serenade::darts
