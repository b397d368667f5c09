// Search spaces and genotypes: sizes, hashes, names, numbering, and everything a file can get
// wrong.

#include "nas/search_space.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>

#include "nas/candidates.h"
#include "nas/derive.h"
#include "nas/genotype.h"
#include "tests/nas/toy.h"

using namespace serenade;

namespace {

SearchSpace small_space() {
  return {.choices = {{"conv1", {"2x8", "1x9", "3x5"}},
                      {"conv2", {"5x5", "4x4"}},
                      {"dense", {"32", "64"}}},
          .system = "net"};
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
    paper.choices.push_back({name, {"1", "2", "3", "4", "5", "6"}});
  }
  paper.choices.push_back({"e", {"32", "48", "64", "80"}});
  CHECK(paper.size() == 5184);
  SearchSpace endless;
  for (int i = 0; i < 70; ++i) endless.choices.push_back({std::to_string(i), {"1", "2"}});
  CHECK(contains(message_of([&] { endless.size(); }), "must fit in 63 bits"));
}

TEST_CASE("search space: the hash is stable and sees names, candidates and order") {
  const SearchSpace space = small_space();
  // Written down once: a hash that changed would orphan every genotype file there is.
  CHECK(SearchSpace{.choices = {{"conv1", {"2x8", "1x9"}}}}.hash() == "e5e76fb887ffa5eb");
  CHECK(space.hash() == small_space().hash());
  SearchSpace other = space;
  other.choices[0].name = "conv0";
  CHECK(other.hash() != space.hash());
  other = space;
  std::swap(other.choices[1].candidates[0], other.choices[1].candidates[1]);
  CHECK(other.hash() != space.hash());
  other = space;
  other.choices[0].inputs = {"input"};  // only for drawing
  other.choices[0].kind = "conv";       // how the candidates are made
  other.system = "another";
  CHECK(other.hash() == space.hash());
  const auto hash_of = [](const std::vector<Choice>& choices) {
    return SearchSpace{.choices = choices}.hash();
  };
  CHECK(hash_of({{"a", {"bc"}}}) != hash_of({{"ab", {"c"}}}));
  CHECK(hash_of({{"a", {"b", "c"}}}) != hash_of({{"a", {"b"}}, {"c", {}}}));
}

TEST_CASE("search space: validation names what is wrong") {
  CHECK_NOTHROW(small_space().validate());
  const auto rejected = [](const std::vector<Choice>& choices, const char* part) {
    const std::string message = message_of([&] { SearchSpace{.choices = choices}.validate(); });
    INFO(message);
    CHECK(contains(message, part));
  };
  rejected({}, "at least one choice");
  rejected({{"", {"1"}}}, "must have names");
  rejected({{"conv1", {}}}, "choice 'conv1' has none");
  rejected({{"conv1", {"2x8", "2x8"}}}, "'2x8' twice");
  rejected({{"conv1", {""}}}, "not be empty");
  rejected({{"conv1", {"1"}}, {"conv1", {"1"}}}, "'conv1' again");
  rejected({{"input", {"1"}}}, "'input' again");
  rejected({{"conv1", {"1"}, {"conv2"}}, {"conv2", {"1"}}}, "earlier choices");
}

TEST_CASE("width candidates") {
  CHECK(parse_width("64") == 64);
  CHECK(parse_width("1000000") == 1'000'000);
  for (const char* bad : {"", "0", "-1", "64 ", "6x4", "1000001", "99999999999999999999"}) {
    CHECK(contains(message_of([&] { parse_width(bad); }), "got '" + std::string(bad) + "'"));
  }
}

TEST_CASE("search space: unknown names are answered with the nearest one") {
  const SearchSpace space = small_space();
  CHECK(space.index_of("dense") == 2);
  CHECK(&space.choice("dense") == &space.choices[2]);
  CHECK(contains(message_of([&] { space.index_of("dens"); }), "the nearest is 'dense'"));
  CHECK(contains(message_of([&] { space.choice("dens"); }), "no choice is named 'dens'"));
  CHECK(space.choices[0].index_of("3x5") == 2);
  CHECK(contains(message_of([&] { space.choices[0].index_of("2x9"); }),
                 "choice 'conv1' has no candidate '2x9'; the nearest is '2x8'"));
}

TEST_CASE("search space: the kind completes a candidate's name") {
  CHECK(Choice{.name = "a", .candidates = {"2x8"}}.row_name("2x8") == "2x8");
  CHECK(Choice{.name = "a", .candidates = {"2x8"}, .kind = "conv"}.row_name("2x8") == "conv_2x8");
}

TEST_CASE("genotype: a space too large to be numbered is drawn from choice by choice") {
  SearchSpace large;
  for (int i = 0; i < 40; ++i) large.choices.push_back({"c" + std::to_string(i), {"a", "b", "c"}});
  CHECK_FALSE(large.is_countable());
  CHECK(small_space().is_countable());
  CHECK_THROWS_AS(large.size(), std::invalid_argument);
  const RandomKey key{3, Purpose::architecture, 0};
  CHECK(random_genotype(large, key) == random_genotype(large, key));
  CHECK_NOTHROW(check_genotype(random_genotype(large, key), large));
  std::set<std::string> distinct;
  for (const Genotype& genotype : random_genotypes(large, 20, key)) {
    distinct.insert(genotype.summary());
  }
  CHECK(distinct.size() == 20);
  CHECK(random_genotypes(large, 0, key).empty());
  CHECK_THROWS_WITH_AS(random_genotypes(large, -1, key),
                       "random_genotypes: the number must not be negative; got -1",
                       std::invalid_argument);
  // By chance no two of them are ever alike. They are where names stand twice, which validate()
  // refuses: of these 2^70 architectures only two can be told apart.
  SearchSpace alike{.choices = {{"c", {"a", "b"}}}};
  for (int i = 0; i < 69; ++i) alike.choices.push_back({"c" + std::to_string(i), {"a", "a"}});
  for (std::uint64_t seed = 0; seed < 10; ++seed) {
    const auto both = random_genotypes(alike, 2, {seed, Purpose::architecture, 0});
    REQUIRE(both.size() == 2);
    CHECK(both[0].decisions[0].candidate != both[1].decisions[0].candidate);
  }
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
  for (const std::int64_t candidate : {-1, 2}) {
    const std::string message = "make_genotype: the candidate for choice 'conv2' must be 0 .. 1; " +
                                ("got " + std::to_string(candidate));
    CHECK_THROWS_WITH_AS(make_genotype(space, {0, candidate, 0}), message.c_str(),
                         std::invalid_argument);
  }
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

  // Of several, too, each place: a search by chance that stops early has seen a random sample.
  for (const std::int64_t count : {5, 12}) {
    for (const std::int64_t place : {std::int64_t{0}, count / 2, count - 1}) {
      std::fill(counts.begin(), counts.end(), 0);
      for (std::uint64_t seed = 0; seed < kDraws; ++seed) {
        const auto drawn = random_genotypes(space, count, {seed, Purpose::architecture, 0});
        ++counts[static_cast<std::size_t>(
            genotype_index(drawn[static_cast<std::size_t>(place)], space))];
      }
      chi_square = 0;
      for (const int n : counts) chi_square += (n - 200.0) * (n - 200.0) / 200.0;
      CAPTURE(count);
      CAPTURE(place);
      CHECK(chi_square < 31.3);
    }
  }

  for (const std::int64_t count : {0, 1, 5, 12}) {
    std::set<std::string> distinct;
    const auto drawn = random_genotypes(space, count, {7, Purpose::architecture, 0});
    for (const Genotype& genotype : drawn) distinct.insert(genotype.summary());
    CHECK(static_cast<std::int64_t>(distinct.size()) == count);
  }
  CHECK_THROWS_WITH_AS(random_genotypes(space, 13, {}),
                       "random_genotypes: there must be that many architectures; got 13 of 12",
                       std::invalid_argument);
}

TEST_CASE("genotype: JSON there and back") {
  const SearchSpace space = small_space();
  Genotype genotype = make_genotype(space, {2, 1, 0});
  CHECK(genotype.system == "net");
  genotype.system = "my \"net\"\n";
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
  check_rejected("", "line 1, column 1: not valid JSON");
  check_rejected("{\"schema\":\n\n oops}", "line 3, column 2: not valid JSON");
  check_rejected("[]", "must be an object; got array");
  check_rejected("{}", "key 'schema' is missing");
  check_rejected(R"({"schema": "serenade-genotype-1"})", "key 'system' is missing");
  check_rejected(R"({"schema": "2", "system": "net", "choices": []})",
                 "must be 'serenade-genotype-1'; got \"2\"");
  check_rejected(R"({"schema": "serenade-genotype-1", "system": 3, "choices": []})",
                 "key 'system' must be a text that is not empty; got number");
  check_rejected(head + R"("choice": []})",
                 "unknown key \"choice\"; the nearest known one is 'choices'");
  check_rejected(head + R"("choices": []})", "'choices' must be a list that is not empty");
  check_rejected(head + R"("choices": {"conv1": "2x8"}})", "'choices' must be a list");
  check_rejected(head + R"("choices": [{"layer": "conv1"}]})",
                 "choices[0]: key 'candidate' is missing");
  check_rejected(head + R"("choices": [{"layer": "conv1", "candidate": ""}]})",
                 "choices[0]: key 'candidate' must be a text");
  check_rejected(head + R"("choices": [{"layer": "a", "candidate": "b", "extra": 1}]})",
                 "choices[0]: unknown key \"extra\"");
  check_rejected(head + R"("choices": [4]})", "choices[0]: must be an object; got number");
  for (const char* hash : {"xyz", "0123456789ABCDEF", "0123456789abcdef0"}) {
    check_rejected(
        head + "\"space_hash\": \"" + hash + R"(", "choices": [{"layer": "a", "candidate": "b"}]})",
        "'space_hash' must be 16 hexadecimal digits; got \"" + std::string(hash) + "\"");
  }
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
  bad.decisions[1].choice = "conv22";
  rejected(bad, "unknown layer 'conv22'; the nearest is 'conv2'");
  bad = good;
  bad.decisions[1].candidate = "4x5";
  rejected(bad, "layer 'conv2' has no candidate '4x5'; the nearest is");
  bad = good;
  bad.decisions.pop_back();
  rejected(bad, "no choice for layer 'dense'");
  bad = good;
  bad.decisions.push_back(bad.decisions[0]);
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
  CHECK(best_candidates({{0, 0, 0}, {-1, 2}, {0.5, 0.1}}) == std::vector<std::int64_t>{0, 1, 0});
  CHECK_THROWS_AS(best_candidates({{}}), std::invalid_argument);
  CHECK_THROWS_AS(best_candidates({{0, std::nan("")}}), std::invalid_argument);
  const Genotype genotype = derive_genotype(small_space(), {{0, 0, 1}, {0, 1}, {1, 0}});
  CHECK(genotype.summary() == "conv1=3x5 conv2=4x4 dense=32");
  CHECK_THROWS_AS(derive_genotype(small_space(), {{0, 0, 1}, {0, 1}}), std::invalid_argument);
  CHECK_THROWS_AS(derive_genotype(small_space(), {{0, 0}, {0, 1}, {1, 0}}), std::invalid_argument);
}
