#pragma once
// The report: one HTML file that shows a run, or a table of runs, to a person. No outside resource,
// and no script but that of a slider (nas/epoch_slider.h), without which nothing is missing but the
// epochs before the last; it can be mailed, archived and printed, and follows the reader's light or
// dark mode.
//
// The structs below are what a report can show; whatever is left empty is left out. Accuracies are
// fractions, NaN where not measured.

#include <cstdint>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "apps/ser/evaluation/metrics.h"
#include "apps/ser/evaluation/statistics.h"
#include "apps/ser/report/figure3.h"
#include "apps/ser/report/table2_view.h"

namespace serenade::ser {

inline constexpr double kNotMeasured = std::numeric_limits<double>::quiet_NaN();

struct NamedText {
  std::string name;
  std::string value;
};

struct ParameterPart {
  std::string name;  ///< "conv1", "gru", ..
  std::int64_t count = 0;
};

/// One training: the search, or the training of one architecture.
struct TrainingCurve {
  struct Epoch {
    double loss = kNotMeasured;  ///< mean training loss
    double validation_loss = kNotMeasured;
    double validation_wa = kNotMeasured;
    double validation_ua = kNotMeasured;
    double learning_rate = kNotMeasured;
  };
  std::string name;           ///< "search", "retraining", or a fold's name
  std::vector<Epoch> epochs;  ///< the first epoch first
  int kept_epoch = 0;         ///< 1-based epoch whose weights were kept; 0: none marked
};

/// The course of one searched layer.
struct LayerSearch {
  std::string layer;
  std::vector<std::string> candidates;
  std::vector<std::vector<double>> probabilities;  ///< [epoch][candidate]: softmax(alpha)
  std::vector<double> entropy;                     ///< [epoch], nats; may be empty
  std::vector<std::int64_t> updates;             ///< weight updates of each candidate; may be empty
  int chosen = -1;                               ///< index of the chosen candidate
  std::vector<std::vector<double>> alphas = {};  ///< [epoch][candidate]; may be empty
};

/// A training that a strategy asked for, and the best of what it had been told by then.
struct TrialPoint {
  std::string architecture;
  std::int64_t epochs = 0;
  double score = 0;       ///< best validation WA
  double cost = 0;        ///< of all trials so far, in whole trainings
  double best_score = 0;  ///< the incumbent's
  bool is_best = false;   ///< this one is the new incumbent
};

/// An architecture that a strategy has scored without a training.
struct ScoredPoint {
  std::string architecture;
  double score = 0;
  std::int64_t trial = 0;  ///< in which it was trained, from 1; 0: it was not
};

/// A number that a strategy has measured after epochs: a temperature, an eigenvalue.
struct MeasuredValue {
  std::string name;
  std::vector<double> values;  ///< [epoch]; NaN where it was not measured
};

/// The test result of one fold and seed.
struct FoldResult {
  std::string name;  ///< "session1-test-Ses01F", with the seed where there are several
  std::int64_t recordings = 0;
  double wa = kNotMeasured;
  double ua = kNotMeasured;
  double majority = kNotMeasured;  ///< WA of always answering the largest class
  std::string genotype;            ///< summary; may be empty
};

struct RunReport {
  std::string title;
  std::string system;
  std::string mode;
  std::string corpus;
  bool synthetic = false;  ///< machine-made voices: a notice heads the report
  std::string preset;
  std::string device;
  std::string command;
  std::string date;
  std::string model;  ///< which one the run's model file is
  std::uint64_t seed = 0;
  std::vector<NamedText> settings;  ///< the resolved configuration
  std::vector<ParameterPart> parameters;
  std::vector<TrainingCurve> searches;
  std::vector<TrainingCurve> trainings;
  std::string searched_fold;              ///< of the next five
  std::vector<std::string> search_facts;  ///< sentences
  std::vector<TrialPoint> trials;
  std::vector<ScoredPoint> scored = {};  ///< the best first
  std::vector<MeasuredValue> measured;
  std::vector<LayerSearch> layers;
  std::string genotype;      ///< summary of the chosen architecture
  std::string supernet_svg;  ///< from nas/draw.h; our own markup, placed as it is
  std::string child_svg;
  ConfusionMatrix confusion;  ///< test recordings; empty: not evaluated
  AccuracyIntervals intervals;
  bool has_intervals = false;
  std::vector<FoldResult> folds;
  Figure3 figure3;
  std::vector<std::string> warnings;
};

struct TableReport {
  std::string title;
  std::string date;
  Table2 table;
  std::vector<NamedText> settings;
  std::vector<Figure3> figures;  ///< one per system
  std::vector<std::string> warnings;
};

std::string render_run_report(const RunReport& report);
std::string render_table_report(const TableReport& report);

}  // namespace serenade::ser
