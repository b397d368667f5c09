// The report of apps/capsnet: what its page holds.

#include "apps/capsnet/report.h"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>
#include <set>

#include "apps/capsnet/digits.h"

using namespace serenade;
using namespace serenade::capsnet;
using nlohmann::json;

namespace {

json data_of(const std::string& page) {
  const std::string before = "const data = ";
  const std::size_t begin = page.find(before) + before.size();
  return json::parse(page.substr(begin, page.find(";\n", begin) - begin));
}

}  // namespace

TEST_CASE("report: errors, reconstructions, varied numbers and routing of a network") {
  for (const int overlaid : {1, 2}) {
    CAPTURE(overlaid);
    manual_seed(2);
    CapsNet net({.overlaid = overlaid,
                 .side = overlaid == 1 ? 28 : 36,
                 .channels = 8,
                 .types = 2,
                 .routings = 3});
    const TensorDataset set = made_digits(1, Split::test, 30);
    DataLoaderOptions options = {.batch_size = 8};
    if (overlaid == 2) options.transform = overlay(set);
    const DataLoader loader(set, options);
    const std::vector<EpochMetrics> history = {{.epoch = 1, .train_loss = 0.5}};
    const std::string page = report(net, loader, R"({"mnist":"</script>"})", history);
    CHECK(page.find("DATA;") == std::string::npos);
    CHECK(page.find("\"</script>") == std::string::npos);
    json data = data_of(page);
    CHECK(data["settings"]["mnist"] == "</script>");
    CHECK(data["epochs"][0]["train_loss"] == 0.5);
    CHECK(data["parameters"] == net.parameter_count());
    CHECK(data["error"] == test_error(net, loader));
    if (overlaid == 1) CHECK(data["majority_error"].get<double>() == doctest::Approx(90));
    std::set<std::string> drawn;
    std::size_t pictures = 0;
    for (const char* list : {"right", "wrong"}) {
      for (const json& sample : data.value(list, json::array())) {
        ++pictures;
        CHECK((sample["label"] == sample["guess"]) == (std::string(list) == "right"));
        CHECK(sample["drawn"].size() == std::size_t(overlaid));
        CHECK(sample["lengths"].size() == 10);
        drawn.insert(sample["drawn"][0].get<std::string>());
      }
    }
    CHECK(pictures >= 12);
    CHECK(pictures <= 24);
    // In the middle of each row nothing is varied: what is redrawn of a picture that is shown.
    REQUIRE(data["varied"].size() == 16 * 11);
    CHECK(drawn.count(data["varied"][5]) == 1);
    for (std::size_t k = 0; k < 16; ++k) CHECK(data["varied"][11 * k + 5] == data["varied"][5]);
    CHECK(data["varied"][0] != data["varied"][10]);
    // [iterations, 10, places]: shares of each place, equal ones in the first iteration.
    const std::vector<double> c = data["routing"];
    const std::size_t places = overlaid == 1 ? 36 : 100;
    REQUIRE(c.size() == 3 * 10 * places);
    for (std::size_t place = 0; place < places; ++place) {
      for (std::size_t iteration = 0; iteration < 3; ++iteration) {
        double all = 0;
        for (std::size_t k = 0; k < 10; ++k) all += c[(10 * iteration + k) * places + place];
        CHECK(all == doctest::Approx(1));
      }
      CHECK(c[place] == doctest::Approx(0.1));
    }
    CHECK(c[2 * 10 * places] != doctest::Approx(0.1).epsilon(1e-6));
  }
}
