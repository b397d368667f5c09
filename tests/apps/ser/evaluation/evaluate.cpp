// Answers of a network: whole recordings, long ones in pieces, and none that is not finite.

#include "apps/ser/evaluation/evaluate.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "apps/ser/common/error.h"
#include "tests/apps/ser/common/files.h"

namespace serenade::ser {

namespace {

// The score of class 0 is the first value of the input, of the others 0; remembers the lengths.
class FirstValue : public Recognizer {
 public:
  Variable forward(const Variable& x) override {
    lengths.push_back(x.size(3));
    Tensor scores = Tensor::full({x.size(0), 4}, 0);
    for (std::int64_t n = 0; n < x.size(0); ++n) {
      scores.data()[4 * n] = x.value().at({n, 0, 0, 0});
    }
    return Variable(scores);
  }
  std::vector<std::int64_t> lengths;
};

// Recordings of one row, whose value at frame t is t / 1000.
struct Set {
  explicit Set(const std::vector<std::int64_t>& frames) {
    std::vector<std::int64_t> all;
    std::vector<Features> features;
    for (const std::int64_t count : frames) {
      auto values = std::make_shared<std::vector<float>>();
      for (std::int64_t t = 0; t < count; ++t) values->push_back(static_cast<float>(t) / 1000);
      features.push_back({1, count, values->data(), values});
      all.push_back(static_cast<std::int64_t>(all.size()));
      Recording recording;
      recording.id = "r" + std::to_string(all.size());
      recording.seconds = static_cast<double>(count) / 100;
      corpus.recordings.push_back(recording);
    }
    const std::vector<int> labels(frames.size(), 0);
    data.emplace(features, labels, all, Normalisation{.mean = {0}, .stddev = {1}});
  }
  Corpus corpus;
  std::optional<Dataset> data;
};

double first_probability(double score) { return std::exp(score) / (std::exp(score) + 3); }

}  // namespace

TEST_CASE("evaluate: a recording of minutes is answered in pieces, all others whole") {
  const Set set({100, 8999, 100, 20'000});
  FirstValue network;
  const std::vector<Prediction> predictions = evaluate(network, *set.data, set.corpus);
  CHECK(network.lengths == std::vector<std::int64_t>{100, 8999, 6000, 6000, 8000});
  REQUIRE(predictions.size() == 4);
  for (const int i : {0, 1, 2}) CHECK(predictions[i].probabilities[0] == 0.25);
  const double expected =
      (6000 * first_probability(0) + 6000 * first_probability(6) + 8000 * first_probability(12)) /
      20'000;
  CHECK(predictions[3].probabilities[0] == doctest::Approx(expected));
  CHECK(predictions[3].predicted == 0);
}

TEST_CASE("evaluate: the mean of one piece is that piece, bit for bit") {
  MeanProbabilities mean;
  const std::vector<real> values = {0.1f, 0.2f, 0.3f, 0.4f};
  mean.add(values.data(), 4, 7);
  CHECK(mean.values() == std::vector<double>(values.begin(), values.end()));
  const std::vector<real> others = {0.4f, 0.3f, 0.2f, 0.1f};
  mean.add(others.data(), 4, 21);
  CHECK(mean.values()[0] == doctest::Approx(0.1 * 0.25 + 0.4 * 0.75));
}

TEST_CASE("evaluate: what is not finite is no class") {
  CHECK(most_probable({0.1, 0.6, 0.3}, "x") == 1);
  CHECK(most_probable({0.5, 0.5}, "x") == 0);
  const double inf = std::numeric_limits<double>::infinity();
  for (const double bad : {std::nan(""), inf, -inf}) {
    for (const int place : {0, 1, 2}) {
      std::vector<double> probabilities = {0.2, 0.5, 0.3};
      probabilities[place] = bad;
      const std::string message =
          message_of<NonFiniteError>([&] { most_probable(probabilities, "a.wav"); });
      CHECK(contains(message, "a.wav: the class probabilities"));
    }
  }
  Set set({100});
  class Broken : public Recognizer {
    Variable forward(const Variable& x) override {
      return Variable(Tensor::full({x.size(0), 4}, std::numeric_limits<real>::quiet_NaN()));
    }
  } network;
  CHECK(contains(message_of<NonFiniteError>([&] { evaluate(network, *set.data, set.corpus); }),
                 "r1: the class probabilities"));
}

TEST_CASE("evaluate: a normalisation that is not finite is refused") {
  const auto values = std::make_shared<std::vector<float>>(10, 1.0f);
  const Features features{1, 10, values->data(), values};
  for (const auto& [mean, stddev] : {std::pair(NAN, 1.0f), std::pair(INFINITY, 1.0f),
                                     std::pair(0.0f, NAN), std::pair(0.0f, 0.0f)}) {
    CHECK_THROWS_AS(
        Dataset({features}, {0}, {0}, Normalisation{.mean = {mean}, .stddev = {stddev}}),
        NonFiniteError);
  }
}

}  // namespace serenade::ser
