// A search's history read back: every number is checked before anything is indexed by it.

#include "nas/history.h"

#include <doctest/doctest.h>

#include <limits>
#include <nlohmann/json.hpp>

#include "nas/diagnostics.h"

using namespace serenade;
using Json = nlohmann::ordered_json;

namespace {

// Two epochs of one choice between two candidates.
std::vector<SearchRecord> history() {
  std::vector<SearchRecord> records;
  for (std::int64_t epoch = 0; epoch < 2; ++epoch) {
    records.push_back({.epoch = epoch,
                       .weight_steps = 5 * (epoch + 1),
                       .weight_loss = 0.1 + 0.2,
                       .choices = {{.name = "conv",
                                    .candidates = {"3x3", "5x5"},
                                    .alphas = {0.5, -0.25},
                                    .probabilities = {0.68, 0.32},
                                    .entropy = 0.63,
                                    .best = 0,
                                    .updates = {3, 2}}}});
  }
  return records;
}

void check_refused(const Json& changed, const std::string& message) {
  CAPTURE(changed.dump());
  CHECK_THROWS_WITH_AS(history_from_json(changed.dump()), doctest::Contains(message.c_str()),
                       std::invalid_argument);
}

}  // namespace

TEST_CASE("a history is read back exactly") {
  const std::string text = history_json(history());
  CHECK(history_json(history_from_json(text)) == text);
  CHECK(history_from_json("[]").empty());
  Json before = Json::parse(text);  // of a search that did not look at steps of alpha
  for (Json& epoch : before) epoch["layers"][0].erase("architecture_activation_rms");
  CHECK(history_json(history_from_json(before.dump())) == text);
}

TEST_CASE("a history keeps what a strategy measured, which must be finite") {
  std::vector<SearchRecord> records = history();
  records[1].values = {{"a", 0.1 + 0.2}, {"b", -3}};
  const std::string text = history_json(records);
  CHECK(history_from_json(text)[1].values == records[1].values);
  CHECK(history_from_json(text)[0].values.empty());
  CHECK(history_json(history_from_json(text)) == text);
  CHECK(history_json(history()).find("values") == std::string::npos);
  records[1].values["b"] = std::numeric_limits<double>::infinity();
  CHECK_THROWS_WITH_AS(check_history(records), doctest::Contains("epoch 1: \"b\" must be finite"),
                       std::invalid_argument);
}

TEST_CASE("a history whose lists differ in length or whose numbers are out of range is refused") {
  const Json good = Json::parse(history_json(history()));
  const char* lengths = "one value of each per candidate";
  Json bad = good;
  for (const char* list : {"alphas", "probabilities", "updates"}) {
    bad = good;
    bad[1]["layers"][0][list].erase(0);
    check_refused(bad, lengths);
    bad[1]["layers"][0][list] = {1, 1, 1};
    check_refused(bad, lengths);
    bad[1]["layers"][0][list] = Json::array();
    check_refused(bad, lengths);
  }
  for (const Json& choice : {Json(-1), Json(2), Json(INT64_MAX), Json(INT64_MIN)}) {
    bad = good;
    bad[0]["layers"][0]["choice"] = choice;
    check_refused(bad, lengths);
  }
  bad = good;
  for (const Json& p : {Json(-0.1), Json(1.5)}) {
    bad[0]["layers"][0]["probabilities"][1] = p;
    check_refused(bad, "probabilities must be in 0 .. 1");
  }
  bad = good;
  bad[0]["layers"][0]["updates"][0] = -1;
  check_refused(bad, "updates must not be negative");
  bad = good;
  for (const char* norm : {"gradient_norm", "architecture_activation_rms"}) {
    bad = good;
    bad[0]["layers"][0][norm] = -1;
    check_refused(bad, "must be finite and not negative");
  }
  for (const char* count : {"epoch", "weight_steps", "architecture_steps"}) {
    bad = good;
    bad[1][count] = -1;
    check_refused(bad, "search history: epochs and steps must not be negative; got epoch " +
                           bad[1]["epoch"].dump());
  }
  for (const Json& number :
       {Json(1e300), Json(0.5), Json("1"), Json(), Json(std::uint64_t{1} << 63)}) {
    bad = good;
    bad[1]["weight_steps"] = number;
    check_refused(bad, "weight_steps must be a whole number");
    bad = good;
    bad[1]["layers"][0]["updates"][1] = number;
    check_refused(bad, "updates must be a whole number");
  }
}

TEST_CASE("a history whose epochs have different choices is refused") {
  const Json good = Json::parse(history_json(history()));
  Json bad = good;
  bad[1]["layers"] = Json::array();
  check_refused(bad, "epoch 1: must have as many choices as the first epoch, 1; got 0");
  bad = good;
  bad[1]["layers"].push_back(good[1]["layers"][0]);
  check_refused(bad, "as many choices");
  bad = good;
  bad[1]["layers"][0]["name"] = "dense";
  const std::string others = "must be of the same choice and candidates as in the first epoch";
  check_refused(bad, "search history: epoch 1, choice \"dense\": " + others);
  bad = good;
  bad[1]["layers"][0]["candidates"][1] = "7x7";
  check_refused(bad, "search history: epoch 1, choice \"conv\": " + others);
  bad = good;
  bad[0]["layers"][0]["candidates"].push_back("7x7");
  check_refused(bad, "one value of each per candidate");
}

TEST_CASE("a history that is no history is refused in one line without the library's words") {
  for (const std::string& text :
       {std::string(), std::string("{}"), std::string("[1]"), std::string("[[]]"),
        std::string("[{}]"), std::string("[{\"epoch\": null}]"), std::string(2'000'000, '['),
        history_json(history()).substr(0, 100)}) {
    try {
      history_from_json(text);
      FAIL_CHECK("was not refused");
    } catch (const std::invalid_argument& error) {
      const std::string what = error.what();
      CAPTURE(what);
      CHECK(what.starts_with("search history"));
      CHECK(what.find("json.exception") == std::string::npos);
      CHECK(what.find('\n') == std::string::npos);
    }
  }
}

TEST_CASE("warnings look at the same history as closely") {
  std::vector<SearchRecord> records = history();
  records[1].choices[0].probabilities = {0.5, 0.499};
  records[1].choices[0].best = 1;  // not the largest: the search for the runner-up must still end
  const std::vector<std::string> warnings = search_warnings(records);
  REQUIRE(warnings.size() == 1);
  CHECK(warnings[0].find("is nearly a tie: 5x5 has probability 0.499, 3x3 has 0.5") !=
        std::string::npos);
  records[1].choices[0].probabilities = {0.4, std::numeric_limits<double>::quiet_NaN()};
  CHECK_THROWS_AS(search_warnings(records), std::invalid_argument);
  records[1].choices[0].probabilities = {0.4};
  CHECK_THROWS_AS(search_warnings(records), std::invalid_argument);
  // JSON has no word for these, so only the program itself can bring them.
  const double endless = std::numeric_limits<double>::infinity();
  for (double SearchRecord::*loss :
       {&SearchRecord::weight_loss, &SearchRecord::architecture_loss}) {
    records = history();
    records[1].*loss = endless;
    CHECK_THROWS_WITH_AS(check_history(records), "search history: epoch 1: losses must be finite",
                         std::invalid_argument);
  }
  records = history();
  for (const double alpha : {endless, -endless}) {
    records[0].choices[0].alphas[1] = alpha;
    CHECK_THROWS_WITH_AS(check_history(records),
                         "search history: epoch 0, choice \"conv\": alphas must be finite",
                         std::invalid_argument);
  }
}
