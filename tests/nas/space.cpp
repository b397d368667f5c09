// Search spaces and genotypes: sizes, hashes, names, numbering, and everything a file can get
// wrong.

#include "nas/search_space.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>
#include <set>

#include "nas/derive.h"
#include "nas/genotype.h"

using namespace serenade;

namespace {

SearchSpace small_space() {
  return {{{"conv1", {"2x8", "1x9", "3x5"}}, {"conv2", {"5x5", "4x4"}}, {"dense", {"32", "64"}}}};
}

// The message of the exception that `f` throws; "" if it throws none.
template <class Exception = std::invalid_argument>
std::string message_of(const std::function<void()>& f) {
  try {
    f();
  } catch (const Exception& error) {
    return error.what();
  }
  return "";
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

// Parses the text and expects one line that names the file and holds `part`.
void check_rejected(const std::string& text, const std::string& part) {
  const std::string message = message_of([&] { genotype_from_json(text, "best.json"); });
  INFO("text: " << text << "\nmessage: " << message);
  CHECK(contains(message, "best.json: "));
  CHECK(contains(message, part));
  CHECK_FALSE(contains(message, "\n"));
}

}  // namespace

TEST_CASE("search space: size is the product of the candidates") {
  CHECK(small_space().size() == 12);
  SearchSpace paper;
  for (const char* name : {"a", "b", "c", "d"}) {
    paper.layers.push_back({name, {"1", "2", "3", "4", "5", "6"}});
  }
  paper.layers.push_back({"e", {"32", "48", "64", "80"}});
  CHECK(paper.size() == 5184);
}

TEST_CASE("search space: the hash is stable and sees names, candidates and order") {
  const SearchSpace space = small_space();
  // Written down once: a hash that changed would orphan every genotype file there is.
  CHECK(SearchSpace{{{"conv1", {"2x8", "1x9"}}}}.hash() == "e5e76fb887ffa5eb");
  CHECK(space.hash() == small_space().hash());
  SearchSpace other = space;
  other.layers[0].name = "conv0";
  CHECK(other.hash() != space.hash());
  other = space;
  std::swap(other.layers[1].candidates[0], other.layers[1].candidates[1]);
  CHECK(other.hash() != space.hash());
  other = space;
  other.layers[0].inputs = {"input"};  // only for drawing
  CHECK(other.hash() == space.hash());
  CHECK(SearchSpace{{{"a", {"bc"}}}}.hash() != SearchSpace{{{"ab", {"c"}}}}.hash());
  CHECK(SearchSpace{{{"a", {"b", "c"}}}}.hash() != SearchSpace{{{"a", {"b"}}, {"c", {}}}}.hash());
}

TEST_CASE("search space: validation names what is wrong") {
  CHECK_NOTHROW(small_space().validate());
  const auto rejected = [](SearchSpace space, const char* part) {
    const std::string message = message_of([&] { space.validate(); });
    INFO(message);
    CHECK(contains(message, part));
  };
  rejected({}, "at least one layer");
  rejected({{{"", {"1"}}}}, "must have names");
  rejected({{{"conv1", {}}}}, "layer 'conv1' has none");
  rejected({{{"conv1", {"2x8", "2x8"}}}}, "'2x8' twice");
  rejected({{{"conv1", {""}}}}, "not be empty");
  rejected({{{"conv1", {"1"}}, {"conv1", {"1"}}}}, "'conv1' again");
  rejected({{{"input", {"1"}}}}, "'input' again");
  rejected({{{"conv1", {"1"}, {"conv2"}}, {"conv2", {"1"}}}}, "earlier layers");
}

TEST_CASE("kernel and width candidates") {
  CHECK(parse_kernel("2x8") == std::array<std::int64_t, 2>{2, 8});
  CHECK(parse_kernel("10x1") == std::array<std::int64_t, 2>{10, 1});
  CHECK(kernel_name({10, 1}) == "10x1");
  for (const char* bad : {"", "2", "x8", "2x", "2x8 ", " 2x8", "2X8", "2x-8", "2x8x1", "0x3", "3x0",
                          "1000x1", "99999999999999999999x1", "2.0x8"}) {
    CHECK(contains(message_of([&] { parse_kernel(bad); }), "got '" + std::string(bad) + "'"));
  }
  CHECK(parse_width("64") == 64);
  for (const char* bad : {"", "0", "-1", "64 ", "6x4", "1000001", "99999999999999999999"}) {
    CHECK(contains(message_of([&] { parse_width(bad); }), "got '" + std::string(bad) + "'"));
  }
}

TEST_CASE("nearest name and unknown names") {
  CHECK(nearest_name("conv3", {"conv1x", "conv", "cnv3"}) == "conv");
  CHECK(nearest_name("choice", {"schema", "system", "choices"}) == "choices");
  CHECK(nearest_name("x", {}).empty());
  const SearchSpace space = small_space();
  CHECK(space.choice_index("dense") == 2);
  CHECK(contains(message_of([&] { space.choice_index("dens"); }), "the nearest is 'dense'"));
  CHECK(candidate_index(space.choices[0], "3x5") == 2);
  CHECK(contains(message_of([&] { candidate_index(space.choices[0], "2x9"); }),
                 "layer 'conv1' has no candidate '2x9'; the nearest is '2x8'"));
}

TEST_CASE("genotype: numbering is a bijection") {
  const SearchSpace space = small_space();
  const std::vector<Genotype> all = enumerate_genotypes(space);
  REQUIRE(all.size() == 12);
  std::set<std::string> distinct;
  for (std::int64_t i = 0; i < 12; ++i) {
    const Genotype& genotype = all[static_cast<std::size_t>(i)];
    CHECK(genotype_index(genotype, space) == i);
    CHECK(genotype == genotype_at(space, i));
    CHECK(make_genotype(space, choice_indices(genotype, space)) == genotype);
    distinct.insert(genotype.summary());
  }
  CHECK(distinct.size() == 12);
  CHECK(all[0].summary() == "conv1=2x8 conv2=5x5 dense=32");
  CHECK(all[1].summary() == "conv1=2x8 conv2=5x5 dense=64");
  CHECK_THROWS_AS(genotype_at(space, 12), std::invalid_argument);
  CHECK_THROWS_AS(genotype_at(space, -1), std::invalid_argument);
  CHECK_THROWS_AS(make_genotype(space, {0, 0}), std::invalid_argument);
  CHECK_THROWS_AS(make_genotype(space, {0, 2, 0}), std::invalid_argument);
}

TEST_CASE("genotype: random ones are uniform, distinct and reproducible") {
  const SearchSpace space = small_space();
  std::vector<int> counts(12, 0);
  constexpr int kDraws = 2400;
  for (std::uint64_t seed = 0; seed < kDraws; ++seed) {
    const RandomKey key{seed, Purpose::architecture, 0};
    const Genotype genotype = random_genotype(space, key);
    CHECK(genotype == random_genotype(space, key));
    ++counts[static_cast<std::size_t>(genotype_index(genotype, space))];
  }
  double chi_square = 0;
  for (const int count : counts) chi_square += (count - 200.0) * (count - 200.0) / 200.0;
  CHECK(chi_square < 31.3);  // 11 degrees of freedom, p = 0.001

  for (const std::int64_t count : {0, 1, 5, 12}) {
    std::set<std::string> distinct;
    const auto drawn = random_genotypes(space, count, {7, Purpose::architecture, 0});
    for (const Genotype& genotype : drawn) distinct.insert(genotype.summary());
    CHECK(static_cast<std::int64_t>(distinct.size()) == count);
  }
  CHECK_THROWS_AS(random_genotypes(space, 13, {}), std::invalid_argument);
}

TEST_CASE("genotype: JSON there and back") {
  const SearchSpace space = small_space();
  const Genotype genotype = make_genotype("my \"net\"\n", space, {2, 1, 0});
  CHECK(genotype_from_json(to_json(genotype)) == genotype);

  const auto path = std::filesystem::temp_directory_path() / "serenade_genotype_test.json";
  write_genotype(path.string(), genotype);
  CHECK(read_genotype(path.string(), space) == genotype);
  CHECK_FALSE(std::filesystem::exists(path.string() + ".partial"));
  std::filesystem::remove(path);

  const Genotype by_hand = genotype_from_json(
      R"({"schema": "serenade-genotype-1", "system": "net", "choices": [
          {"layer": "dense", "candidate": "64"}, {"layer": "conv1", "candidate": "1x9"},
          {"layer": "conv2", "candidate": "5x5"}]})");
  CHECK_NOTHROW(check_genotype(by_hand, space));  // any order, no hash
  CHECK(choice_indices(by_hand, space) == std::vector<std::int64_t>{1, 0, 1});
  CHECK(genotype_from_json(to_json(by_hand)) == by_hand);
}

TEST_CASE("genotype: the schema names the keys that are written") {
  const auto schema = nlohmann::json::parse(genotype_schema());
  const auto written = nlohmann::json::parse(to_json(make_genotype(small_space(), {0, 0, 0})));
  CHECK(schema["properties"]["schema"]["const"] == written["schema"]);
  for (const auto& [key, value] : written.items()) CHECK(schema["properties"].contains(key));
  for (const auto& key : schema["required"]) CHECK(written.contains(key));
  const auto& item = schema["properties"]["choices"]["items"]["properties"];
  for (const auto& [key, value] : written["choices"][0].items()) CHECK(item.contains(key));
}

TEST_CASE("genotype: every error of a file is one line that says where") {
  const std::string head = R"({"schema": "serenade-genotype-1", "system": "net", )";
  check_rejected("", "line 1: not valid JSON");
  check_rejected("{\"schema\":\n\n oops}", "line 3: not valid JSON");
  check_rejected("[]", "must be an object; got array");
  check_rejected("{}", "key 'schema' is missing");
  check_rejected(R"({"schema": "serenade-genotype-1"})", "key 'system' is missing");
  check_rejected(R"({"schema": "2", "system": "net", "choices": []})",
                 "must be 'serenade-genotype-1'; got '2'");
  check_rejected(R"({"schema": "serenade-genotype-1", "system": 3, "choices": []})",
                 "key 'system' must be a text that is not empty; got 3");
  check_rejected(head + R"("choice": []})",
                 "unknown key 'choice'; the nearest known one is 'choices'");
  check_rejected(head + R"("choices": []})", "'choices' must be a list that is not empty");
  check_rejected(head + R"("choices": {"conv1": "2x8"}})", "'choices' must be a list");
  check_rejected(head + R"("choices": [{"layer": "conv1"}]})",
                 "choices[0]: key 'candidate' is missing");
  check_rejected(head + R"("choices": [{"layer": "conv1", "candidate": ""}]})",
                 "choices[0]: key 'candidate' must be a text");
  check_rejected(head + R"("choices": [{"layer": "a", "candidate": "b", "extra": 1}]})",
                 "choices[0]: unknown key 'extra'");
  check_rejected(head + R"("choices": [4]})", "choices[0]: must be an object; got number");
  check_rejected(head + R"("space_hash": "xyz", "choices": [{"layer": "a", "candidate": "b"}]})",
                 "'space_hash' must be 16 hexadecimal digits; got 'xyz'");
}

TEST_CASE("genotype: what does not fit the space is named") {
  const SearchSpace space = small_space();
  const Genotype good = make_genotype(space, {0, 0, 0});
  const auto rejected = [&](const Genotype& genotype, const std::string& part) {
    const std::string message = message_of([&] { check_genotype(genotype, space, "best.json"); });
    INFO(message);
    CHECK(contains(message, "best.json: "));
    CHECK(contains(message, part));
  };
  Genotype bad = good;
  bad.choices[1].layer = "conv22";
  rejected(bad, "unknown layer 'conv22'; the nearest is 'conv2'");
  bad = good;
  bad.choices[1].candidate = "4x5";
  rejected(bad, "layer 'conv2' has no candidate '4x5'; the nearest is");
  bad = good;
  bad.choices.pop_back();
  rejected(bad, "no choice for layer 'dense'");
  bad = good;
  bad.choices.push_back(bad.choices[0]);
  rejected(bad, "layer 'conv1' is chosen for twice");
  bad = good;
  bad.space_hash = "0123456789abcdef";
  rejected(bad, "another search space (0123456789abcdef)");
  CHECK(contains(message_of([&] { good.candidate("conv"); }), "the nearest is 'conv"));
}

TEST_CASE("genotype: files that cannot be read or written are named") {
  const std::string missing = "/nonexistent/folder/best.json";
  CHECK(contains(message_of<std::runtime_error>([&] { read_genotype(missing); }), missing));
  CHECK(contains(message_of<std::runtime_error>([&] { read_genotype("/"); }), "cannot be read"));
  const Genotype genotype = make_genotype(small_space(), {0, 0, 0});
  CHECK(contains(message_of<std::runtime_error>([&] { write_genotype(missing, genotype); }),
                 "cannot be written"));
}

TEST_CASE("derive: the largest alpha, the first on ties") {
  CHECK(best_choices({{0, 0, 0}, {-1, 2}, {0.5, 0.1}}) == std::vector<std::int64_t>{0, 1, 0});
  CHECK_THROWS_AS(best_choices({{}}), std::invalid_argument);
  CHECK_THROWS_AS(best_choices({{0, std::nan("")}}), std::invalid_argument);
  const Genotype genotype = derive_genotype(small_space(), {{0, 0, 1}, {0, 1}, {1, 0}});
  CHECK(genotype.summary() == "conv1=3x5 conv2=4x4 dense=32");
  CHECK_THROWS_AS(derive_genotype(small_space(), {{0, 0, 1}, {0, 1}}), std::invalid_argument);
  CHECK_THROWS_AS(derive_genotype(small_space(), {{0, 0}, {0, 1}, {1, 0}}), std::invalid_argument);
}
