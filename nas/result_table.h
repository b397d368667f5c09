#pragma once
// ResultTable: what trainings of architectures gave, so that strategies can be replayed on them in
// seconds (the idea of NAS-Bench-101, Ying et al., ICML 2019).
//
// A row is what one training had reached on one part of the data (a speaker, a fold) after one
// epoch. On disk it is CSV that a person can read, a column per choice:
//   conv1,conv2,dense,seed,epoch,part,loss,right,total
//   2x8,8x2,64,0,1,Ses01F,1.25,31,62

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "nas/genotype.h"
#include "nas/search_space.h"
#include "tensor/descriptor.h"

namespace serenade {

struct ResultRow {
  ChoiceIndices architecture;  ///< the candidate's index per choice
  std::int64_t seed = 0;       ///< of the training
  std::int64_t epoch = 0;      ///< from 1
  std::string part = {};       ///< of the data
  double loss = 0;             ///< mean on that part
  std::int64_t right = 0;      ///< recordings that were recognised
  std::int64_t total = 0;      ///< of so many
};

class ResultTable {
 public:
  /// Throws std::invalid_argument where the space makes no sense, or one of its names could not
  /// stand in a table: it holds a comma, a quote or a line end.
  explicit ResultTable(const SearchSpace& space);

  const SearchSpace& space() const { return space_; }
  /// Takes the place of the row of the same architecture, seed, epoch and part, if there is one.
  /// Throws std::invalid_argument where it does not fit the space or its numbers make no sense.
  void add(const ResultRow& row);

  std::size_t size() const { return results_.size(); }
  const std::set<std::int64_t>& seeds() const { return seeds_; }
  const std::set<std::string>& parts() const { return parts_; }
  /// Of the rows that there are; 0 without any.
  std::int64_t last_epoch() const { return last_epoch_; }
  /// In the order of their indices.
  std::vector<Genotype> genotypes() const;
  /// How many rows one training has.
  std::int64_t rows_of(const Genotype& genotype, std::int64_t seed) const;

  struct Counts {
    std::int64_t right = 0, total = 0;
  };
  /// One row; none where the table has no such.
  std::optional<Counts> counts(const ChoiceIndices& architecture, std::int64_t seed,
                               std::int64_t epoch, const std::string& part) const;
  /// right / total over these parts, pooled; none where a row is missing or the total is 0.
  std::optional<double> score(const Genotype& genotype, std::int64_t seed, std::int64_t epoch,
                              const std::set<std::string>& parts) const;

  // CSV.
  std::string header() const;                    ///< the first line
  std::string line(const ResultRow& row) const;  ///< one of the others; both end in \n
  /// Throws std::invalid_argument, one line "source:line: what is wrong": a row that stands twice
  /// may not say two things.
  static ResultTable from_csv(const std::string& text, const SearchSpace& space,
                              const std::string& source);

 private:
  /// Architecture, seed, epoch, part.
  using Key = std::tuple<ChoiceIndices, std::int64_t, std::int64_t, std::string>;
  struct Result {
    double loss;
    std::int64_t right, total;
  };

  SearchSpace space_;
  std::map<Key, Result> results_;
  std::set<std::int64_t> seeds_;
  std::set<std::string> parts_;
  std::int64_t last_epoch_ = 0;
};

/// A table that grows on disk, by one writer at a time. Whoever is killed loses at most what
/// append() was writing.
class ResultFile {
 public:
  /// Reads the file, or begins it. A last line without an end is what a kill has left: dropped.
  /// Throws as ResultTable::from_csv() does; std::invalid_argument where another ResultFile, in
  /// this process or another, has it; std::runtime_error naming the file where it cannot be read or
  /// written.
  ResultFile(std::string path, const SearchSpace& space);

  const ResultTable& table() const { return table_; }
  /// Adds the rows, all of them checked before the first is written, and brings them to the disk.
  void append(const std::vector<ResultRow>& rows);

 private:
  std::string path_;
  Descriptor held_;  ///< locked; the system lets go when the process ends, however it ends
  ResultTable table_;
};

}  // namespace serenade
