#include "apps/ser/evaluation/metrics.h"

#include <algorithm>
#include <limits>
#include <numeric>

#include "tensor/check.h"

namespace serenade::ser {

namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

double ratio(std::int64_t part, std::int64_t whole) {
  return whole > 0 ? static_cast<double>(part) / static_cast<double>(whole) : kNan;
}

}  // namespace

ConfusionMatrix::ConfusionMatrix(std::vector<std::string> classes)
    : classes_(std::move(classes)), counts_(classes_.size() * classes_.size(), 0) {}

void ConfusionMatrix::add(int label, int predicted, std::int64_t count) {
  check(label >= 0 && label < size() && predicted >= 0 && predicted < size(), "confusion matrix",
        "class indices must be in 0 .. ", size() - 1, "; got label ", label, ", predicted ",
        predicted);
  check(count >= 0, "confusion matrix", "a count must not be negative; got ", count);
  counts_[label * classes_.size() + predicted] += count;
}

void ConfusionMatrix::add(const ConfusionMatrix& other) {
  check(classes_ == other.classes_, "confusion matrix", "both must have the same classes; got ",
        size(), " and ", other.size(), " classes or other names");
  for (std::size_t i = 0; i < counts_.size(); ++i) counts_[i] += other.counts_[i];
}

std::int64_t ConfusionMatrix::count(int label, int predicted) const {
  return counts_.at(label * classes_.size() + predicted);
}

std::int64_t ConfusionMatrix::row_total(int label) const {
  std::int64_t sum = 0;
  for (int k = 0; k < size(); ++k) sum += count(label, k);
  return sum;
}

std::int64_t ConfusionMatrix::column_total(int predicted) const {
  std::int64_t sum = 0;
  for (int k = 0; k < size(); ++k) sum += count(k, predicted);
  return sum;
}

std::int64_t ConfusionMatrix::total() const {
  return std::accumulate(counts_.begin(), counts_.end(), std::int64_t{0});
}

double ConfusionMatrix::wa() const {
  std::int64_t correct = 0;
  for (int k = 0; k < size(); ++k) correct += count(k, k);
  return ratio(correct, total());
}

double ConfusionMatrix::ua() const {
  double sum = 0;
  int occurring = 0;
  for (int k = 0; k < size(); ++k) {
    if (row_total(k) == 0) continue;
    sum += ratio(count(k, k), row_total(k));
    ++occurring;
  }
  return occurring > 0 ? sum / occurring : kNan;
}

double ConfusionMatrix::macro_f1() const {
  double sum = 0;
  int occurring = 0;
  for (int k = 0; k < size(); ++k) {
    if (row_total(k) == 0) continue;
    // F1 = 2 P R / (P + R) = 2 hits / (true + predicted): defined, and 0, without any hit.
    sum += ratio(2 * count(k, k), row_total(k) + column_total(k));
    ++occurring;
  }
  return occurring > 0 ? sum / occurring : kNan;
}

std::vector<double> ConfusionMatrix::recalls() const {
  std::vector<double> values;
  for (int k = 0; k < size(); ++k) values.push_back(ratio(count(k, k), row_total(k)));
  return values;
}

std::vector<double> ConfusionMatrix::precisions() const {
  std::vector<double> values;
  for (int k = 0; k < size(); ++k) values.push_back(ratio(count(k, k), column_total(k)));
  return values;
}

int ConfusionMatrix::majority_class() const {
  int best = -1;
  for (int k = 0; k < size(); ++k) {
    if (row_total(k) > (best < 0 ? 0 : row_total(best))) best = k;
  }
  return best;
}

double ConfusionMatrix::majority_baseline() const {
  const int k = majority_class();
  return k < 0 ? kNan : ratio(row_total(k), total());
}

double ConfusionMatrix::majority_baseline_ua() const {
  std::int64_t occurring = 0;
  for (int k = 0; k < size(); ++k) occurring += row_total(k) > 0;
  return ratio(1, occurring);
}

ConfusionMatrix confusion(const std::vector<Prediction>& predictions,
                          const std::vector<std::string>& classes) {
  ConfusionMatrix matrix(classes);
  for (const Prediction& p : predictions) matrix.add(p.label, p.predicted);
  return matrix;
}

ConfusionMatrix pooled(const std::vector<ConfusionMatrix>& matrices) {
  ConfusionMatrix sum;
  for (const ConfusionMatrix& matrix : matrices) {
    if (sum.size() == 0) {
      sum = matrix;
    } else {
      sum.add(matrix);
    }
  }
  return sum;
}

}  // namespace serenade::ser
