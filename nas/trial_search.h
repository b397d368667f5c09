#pragma once
// TrialSearch: a black-box strategy written as one function, from all that has been told to the
// next trial. Asking, telling, saving, resuming and the answer are the same for all of them.
//
//   class Mine : public TrialSearch {
//     std::optional<Trial> next(const std::vector<Told>& told) const override { .. }
//   };
//
// Because next() is a pure function, a stop after any outcome changes nothing: the state is the
// list of what has been told.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "nas/strategy.h"

namespace serenade {

/// A trial, and how it went.
struct Told {
  Trial trial;
  std::vector<std::int64_t> indices;  ///< of its candidates, per choice
  Outcome outcome;
};

class TrialSearch : public BlackBox {
 public:
  std::string name() const override { return name_; }
  std::int64_t planned_steps() const override { return trials_; }

  std::optional<Trial> ask() final;
  /// Throws std::invalid_argument unless it is about the trial that was asked for, and the score
  /// and the cost are finite; then nothing has changed.
  void tell(const Trial& trial, const Outcome& outcome) final;

  /// The best of all that has been told, not of those that a strategy still goes by; the first of
  /// several. Short trainings say less than long ones: only those trained longest are compared.
  /// Before anything is told, the first that is asked for.
  Genotype recommend() const override;

  SafetensorsFile save_state() final;
  void load_state(const SafetensorsFile& state) final;

 protected:
  /// trials: how many next() gives at most. settings: what a resumed search must have in common
  /// beside the name, the space and the number of trials, in words. Throws std::invalid_argument
  /// where there are no trials.
  TrialSearch(std::string name, const SearchSpace& space, std::int64_t trials,
              const std::string& settings);

  /// The trial after these, or none at the end; its id is filled in. Asked for at most `trials`
  /// times.
  virtual std::optional<Trial> next(const std::vector<Told>& told) const = 0;

  const SearchSpace& space() const { return space_; }

 private:
  std::string name_;
  SearchSpace space_;
  std::int64_t trials_;
  std::string fingerprint_;
  std::vector<Told> told_;
  std::optional<Trial> asked_;  // after told_
};

/// The `trials` distinct random architectures that a strategy begins with. Throws
/// std::invalid_argument, beginning with `name`, where the space has fewer.
std::vector<Genotype> first_genotypes(const char* name, const SearchSpace& space,
                                      const StrategyOptions& options);

}  // namespace serenade
