#pragma once
// CellSpace: architectures that are made of repeated cells (DARTS: Liu, Simonyan & Yang, ICLR 2019,
// section 2.1; NAS-Bench-201 with other numbers).
//
// States of a cell are numbered: first its inputs, then its nodes. A node is the sum of edges from
// earlier states, each with an operation. While it is searched, every earlier state has an edge to
// every node, and an edge is a choice of the space; in the end a node keeps a few.

#include <cstdint>
#include <string>
#include <vector>

#include "nas/genotype.h"
#include "nas/history.h"
#include "nas/search_space.h"
#include "tensor/random.h"

namespace serenade {

struct CellEdge {
  std::string op;
  std::int64_t input = 0;  ///< a state
  bool operator==(const CellEdge&) const = default;
};

/// The edges that a cell keeps, node by node.
using CellEdges = std::vector<CellEdge>;

struct CellSpace {
  std::string system = {};
  std::vector<std::string> cells = {"normal", "reduce"};
  std::int64_t inputs = 2, nodes = 4;
  std::int64_t kept = 2;  ///< edges per node, at most `inputs`
  /// Of every edge; the first cuts it and is called "none".
  std::vector<std::string> candidates = {};

  /// The choice of an edge: "normal_0_2".
  static std::string edge_name(const std::string& cell, std::int64_t from, std::int64_t to);
  /// Cell by cell, node by node, edge by edge.
  SearchSpace space() const;

  /// What DARTS reads from the alphas, one list per choice of space(): of each edge the candidate
  /// with the largest softmax(alpha) but "none"; per node the edges where that is largest, the
  /// largest first. The first on ties.
  std::vector<CellEdges> derive(const std::vector<std::vector<double>>& alphas) const;

  /// The same from what a search recorded of an epoch.
  std::vector<CellEdges> derive(const SearchRecord& epoch) const;

  /// As decisions of space(): "none" on the edges that are cut. Throws std::invalid_argument unless
  /// each node has `kept` edges, from different states before it, with operations that there are.
  Genotype to_genotype(const std::vector<CellEdges>& cells) const;

  /// Inputs of every node, and operations but "none", all equally likely.
  std::vector<CellEdges> random(const RandomKey& key) const;
};

}  // namespace serenade
