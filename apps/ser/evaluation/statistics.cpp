#include "apps/ser/evaluation/statistics.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <tuple>

#include "tensor/check.h"
#include "tensor/random.h"

namespace serenade::ser {

namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

struct Accuracy {
  double wa = kNan;
  double ua = kNan;
};

// What WA and UA need of a set of predictions: per class, how many there are and how many are
// right.
struct Tally {
  std::vector<std::int64_t> occurring;
  std::vector<std::int64_t> correct;

  explicit Tally(int classes) : occurring(classes, 0), correct(classes, 0) {}

  void add(const Prediction& p) {
    occurring[p.label] += 1;
    correct[p.label] += p.label == p.predicted;
  }
  void add(const Tally& other) {
    for (std::size_t k = 0; k < occurring.size(); ++k) {
      occurring[k] += other.occurring[k];
      correct[k] += other.correct[k];
    }
  }
  Accuracy accuracy() const {
    std::int64_t all = 0, right = 0;
    int classes = 0;
    double recalls = 0;
    for (std::size_t k = 0; k < occurring.size(); ++k) {
      if (occurring[k] == 0) continue;
      all += occurring[k];
      right += correct[k];
      recalls += static_cast<double>(correct[k]) / static_cast<double>(occurring[k]);
      ++classes;
    }
    if (all == 0) return {};
    return {static_cast<double>(right) / static_cast<double>(all), recalls / classes};
  }
};

// For each prediction its cluster: the speaker's index in order of appearance, or, with too few
// speakers, its own index. Returns how many speakers there are.
int assign_clusters(const std::vector<Prediction>& predictions, std::vector<std::size_t>& cluster) {
  std::map<std::string, std::size_t> indices;
  cluster.clear();
  for (const Prediction& p : predictions) {
    cluster.push_back(indices.emplace(p.speaker, indices.size()).first->second);
  }
  if (indices.size() < kMinSpeakers) {
    for (std::size_t i = 0; i < cluster.size(); ++i) cluster[i] = i;
  }
  return static_cast<int>(indices.size());
}

// One tally for each cluster; `count` of them.
std::vector<Tally> tally_clusters(const std::vector<Prediction>& predictions,
                                  const std::vector<std::size_t>& cluster, int classes) {
  const std::size_t count = *std::max_element(cluster.begin(), cluster.end()) + 1;
  std::vector<Tally> tallies(count, Tally(classes));
  for (std::size_t i = 0; i < predictions.size(); ++i) tallies[cluster[i]].add(predictions[i]);
  return tallies;
}

void check_arguments(const char* op, const std::vector<Prediction>& predictions, int classes,
                     const BootstrapOptions& options) {
  check(!predictions.empty(), op, "there must be predictions; got none");
  check(options.resamples >= 100 && options.resamples <= 100000, op,
        "resamples must be in 100 .. 100000; got ", options.resamples);
  check(options.level > 0 && options.level < 1, op, "level must be between 0 and 1; got ",
        options.level);
  for (const Prediction& p : predictions) {
    check(p.label >= 0 && p.label < classes && p.predicted >= 0 && p.predicted < classes, op,
          "class indices must be in 0 .. ", classes - 1, "; got label ", p.label, ", predicted ",
          p.predicted, " for ", p.id);
  }
}

// Two-sided p value of "no difference"; one is added to each count so that it is never 0, which a
// finite number of draws cannot show.
double difference_p_value(const std::vector<double>& differences) {
  double at_most_zero = 1, at_least_zero = 1;
  for (const double d : differences) {
    at_most_zero += d <= 0;
    at_least_zero += d >= 0;
  }
  const double all = static_cast<double>(differences.size()) + 1;
  return std::min(1.0, 2 * std::min(at_most_zero, at_least_zero) / all);
}

using PairKey = std::tuple<std::string, std::string, std::uint64_t>;

PairKey pair_key(const Prediction& p) { return {p.id, p.fold, p.seed}; }

// `second` in the order of `first`.
std::vector<Prediction> aligned(const std::vector<Prediction>& first,
                                const std::vector<Prediction>& second) {
  const char* op = "compare_paired";
  check(first.size() == second.size(), op, "both systems must hold the same recordings; got ",
        first.size(), " and ", second.size());
  std::map<PairKey, const Prediction*> unmatched;
  for (const Prediction& p : second) {
    check(unmatched.emplace(pair_key(p), &p).second, op,
          "a recording must occur once per fold and seed; got ", p.id, " twice");
  }
  std::vector<Prediction> result;
  for (const Prediction& p : first) {
    const auto found = unmatched.find(pair_key(p));
    check(found != unmatched.end(), op, "both systems must hold the same recordings; got ", p.id,
          " (fold '", p.fold, "', seed ", p.seed,
          ") once in the first and not again in the second");
    check(found->second->label == p.label, op, "labels must agree; got ", p.label, " and ",
          found->second->label, " for ", p.id);
    result.push_back(*found->second);
    unmatched.erase(found);
  }
  return result;
}

}  // namespace

double mean(const std::vector<double>& values) {
  if (values.empty()) return kNan;
  double sum = 0;
  for (const double value : values) sum += value;
  return sum / static_cast<double>(values.size());
}

double standard_deviation(const std::vector<double>& values, Deviation stddev) {
  const auto n = static_cast<double>(values.size());
  const double divisor = stddev == Deviation::sample ? n - 1 : n;
  if (divisor < 1) return kNan;
  const double center = mean(values);
  double sum = 0;
  for (const double value : values) sum += (value - center) * (value - center);
  return std::sqrt(sum / divisor);
}

AccuracyIntervals bootstrap_intervals(const std::vector<Prediction>& predictions, int classes,
                                      const BootstrapOptions& options) {
  check_arguments("bootstrap_intervals", predictions, classes, options);
  std::vector<std::size_t> cluster;
  const int speakers = assign_clusters(predictions, cluster);
  const std::vector<Tally> tallies = tally_clusters(predictions, cluster, classes);

  Tally all(classes);
  for (const Tally& tally : tallies) all.add(tally);
  std::vector<double> wa, ua;
  for (int r = 0; r < options.resamples; ++r) {
    const RandomKey key{options.seed, Purpose::bootstrap, static_cast<std::uint64_t>(r)};
    Tally drawn(classes);
    for (std::size_t i = 0; i < tallies.size(); ++i) {
      drawn.add(tallies[random_integer(key, i, static_cast<std::int64_t>(tallies.size()))]);
    }
    const Accuracy accuracy = drawn.accuracy();
    wa.push_back(accuracy.wa);
    ua.push_back(accuracy.ua);
  }
  const Accuracy estimate = all.accuracy();
  return {percentile_interval(estimate.wa, std::move(wa), options.level),
          percentile_interval(estimate.ua, std::move(ua), options.level), speakers};
}

McNemar mcnemar_exact(std::int64_t only_first, std::int64_t only_second) {
  check(only_first >= 0 && only_second >= 0, "mcnemar_exact", "counts must not be negative; got ",
        only_first, " and ", only_second);
  // Under "no difference" the smaller count is Binomial(n, 1/2): p = 2 P(X <= smaller).
  const auto n = static_cast<double>(only_first + only_second);
  const std::int64_t smaller = std::min(only_first, only_second);
  double tail = 0;
  for (std::int64_t k = 0; k <= smaller; ++k) {
    const auto x = static_cast<double>(k);
    const double log_choose = std::lgamma(n + 1) - std::lgamma(x + 1) - std::lgamma(n - x + 1);
    tail += std::exp(log_choose - n * std::log(2.0));
  }
  return {only_first, only_second, std::min(1.0, 2 * tail)};
}

PairedComparison compare_paired(const std::string& first_name, const std::vector<Prediction>& first,
                                const std::string& second_name,
                                const std::vector<Prediction>& second_in_any_order, int classes,
                                const BootstrapOptions& options) {
  check_arguments("compare_paired", first, classes, options);
  check_arguments("compare_paired", second_in_any_order, classes, options);
  const std::vector<Prediction> second = aligned(first, second_in_any_order);
  std::vector<std::size_t> cluster;
  assign_clusters(first, cluster);
  const std::vector<Tally> tallies_1 = tally_clusters(first, cluster, classes);
  const std::vector<Tally> tallies_2 = tally_clusters(second, cluster, classes);

  std::vector<double> wa, ua;
  for (int r = 0; r < options.resamples; ++r) {
    const RandomKey key{options.seed, Purpose::bootstrap, static_cast<std::uint64_t>(r)};
    Tally drawn_1(classes), drawn_2(classes);
    for (std::size_t i = 0; i < tallies_1.size(); ++i) {
      const auto c = random_integer(key, i, static_cast<std::int64_t>(tallies_1.size()));
      drawn_1.add(tallies_1[c]);
      drawn_2.add(tallies_2[c]);
    }
    wa.push_back(drawn_2.accuracy().wa - drawn_1.accuracy().wa);
    ua.push_back(drawn_2.accuracy().ua - drawn_1.accuracy().ua);
  }

  Tally all_1(classes), all_2(classes);
  for (const Tally& tally : tallies_1) all_1.add(tally);
  for (const Tally& tally : tallies_2) all_2.add(tally);
  std::int64_t only_first = 0, only_second = 0;
  for (std::size_t i = 0; i < first.size(); ++i) {
    const bool right_1 = first[i].predicted == first[i].label;
    const bool right_2 = second[i].predicted == second[i].label;
    only_first += right_1 && !right_2;
    only_second += right_2 && !right_1;
  }
  PairedComparison result;
  result.first = first_name;
  result.second = second_name;
  result.pairs = static_cast<std::int64_t>(first.size());
  result.wa_p_value = difference_p_value(wa);
  result.ua_p_value = difference_p_value(ua);
  const Accuracy of_1 = all_1.accuracy(), of_2 = all_2.accuracy();
  result.wa_difference = percentile_interval(of_2.wa - of_1.wa, std::move(wa), options.level);
  result.ua_difference = percentile_interval(of_2.ua - of_1.ua, std::move(ua), options.level);
  result.mcnemar = mcnemar_exact(only_first, only_second);
  return result;
}

std::string interval_note(const AccuracyIntervals& intervals) {
  const std::string speakers =
      std::to_string(intervals.speakers) + (intervals.speakers == 1 ? " speaker" : " speakers");
  if (intervals.speakers < kMinSpeakers) {
    return "Intervals draw single recordings, since only " + speakers +
           (intervals.speakers == 1 ? " was" : " were") +
           " tested: how speakers differ is left out of them.";
  }
  return "Intervals draw whole speakers; with " + speakers + " they are, if anything, too narrow.";
}

}  // namespace serenade::ser
