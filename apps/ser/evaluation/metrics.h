#pragma once
// How good a set of predictions is: confusion counts and the metrics that follow from them.
//
//   WA (weighted accuracy)   = correct predictions / all predictions
//   UA (unweighted accuracy) = mean over the classes of the recall of each class
//
// WA follows the large classes, UA counts each class the same. Every figure is a fraction in 0 ..
// 1; the views turn it into per cent. The names are those of the paper and of the field: Han et
// al., "Speech emotion recognition using deep neural network and extreme learning machine",
// Interspeech 2014.

#include <cstdint>
#include <string>
#include <vector>

namespace serenade::ser {

/// What a system said about one recording.
struct Prediction {
  std::string id;                          ///< the recording's
  std::string speaker;                     ///< who speaks; intervals are clustered by it
  int label = 0;                           ///< true class index
  int predicted = 0;                       ///< class index of the largest probability
  std::vector<double> probabilities = {};  ///< one per class; may be empty
  std::string fold = {};                   ///< name of the fold whose model said it; may be empty
  std::uint64_t seed = 0;                  ///< of the run
};

/// Counts of (true class, predicted class): rows are true, columns predicted.
class ConfusionMatrix {
 public:
  ConfusionMatrix() = default;
  explicit ConfusionMatrix(std::vector<std::string> classes);

  /// Throws std::invalid_argument where a class index is out of range or a count is negative.
  void add(int label, int predicted, std::int64_t count = 1);
  /// Adds the counts of another matrix of the same classes: pooling over folds and seeds.
  void add(const ConfusionMatrix& other);

  int size() const { return static_cast<int>(classes_.size()); }
  const std::vector<std::string>& classes() const { return classes_; }
  std::int64_t count(int label, int predicted) const;
  std::int64_t row_total(int label) const;         ///< recordings of the true class
  std::int64_t column_total(int predicted) const;  ///< predictions of the class
  std::int64_t total() const;

  // Fractions; NaN where there is nothing to divide by.
  double wa() const;
  double ua() const;                       ///< over the classes that occur
  double macro_f1() const;                 ///< over the classes that occur
  std::vector<double> recalls() const;     ///< NaN for a class that does not occur
  std::vector<double> precisions() const;  ///< NaN for a class that is never predicted

  int majority_class()
      const;  ///< the class with the most recordings; the first of equals; -1: none
  /// WA of always answering the majority class. Its UA is 1 / (classes that occur).
  double majority_baseline() const;
  double majority_baseline_ua() const;

  bool operator==(const ConfusionMatrix&) const = default;

 private:
  std::vector<std::string> classes_;
  std::vector<std::int64_t> counts_;  // [true][predicted]
};

/// Counts predictions; throws std::invalid_argument where a class index is out of range.
ConfusionMatrix confusion(const std::vector<Prediction>& predictions,
                          const std::vector<std::string>& classes);

/// The sum of matrices of the same classes.
ConfusionMatrix pooled(const std::vector<ConfusionMatrix>& matrices);

}  // namespace serenade::ser
