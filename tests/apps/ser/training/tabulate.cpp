// Tables of trainings: what is in them, going on after a break, and what is refused.

#include "apps/ser/training/tabulate.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <csignal>
#include <functional>
#include <nlohmann/json.hpp>

#include "apps/ser/common/error.h"
#include "apps/ser/common/files.h"
#include "nn/training/interrupt.h"
#include "tests/apps/ser/training/tones.h"

using namespace serenade;
using namespace serenade::ser;

namespace {

Config table_config(const std::string& corpus) {
  Config config = small_config(corpus, kGruAtt, "none");
  config.direction = Direction::both;
  return config;
}

std::string refusal(const std::string& path, const Config& config, const Fingerprint& fingerprint) {
  try {
    open_results(path, config, fingerprint);
  } catch (const InputError& error) {
    return error.what();
  }
  return "";
}

std::string why_unread(const std::string& path) {
  return message_of<InputError>([&] { read_results(path); });
}

// RFC 1952 around one stored block (RFC 1951, 3.2.4).
std::string gzipped(const std::string& text) {
  const auto little_endian = [](std::uint64_t value, int bytes) {
    std::string written;
    for (int i = 0; i < bytes; ++i) written += static_cast<char>(value >> (8 * i) & 0xFF);
    return written;
  };
  std::uint32_t crc = 0xFFFFFFFF;
  for (const char c : text) {
    crc ^= static_cast<unsigned char>(c);
    for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ (crc & 1 ? 0xEDB88320 : 0);
  }
  return std::string("\x1f\x8b\x08\0\0\0\0\0\0\xff\x01", 11) + little_endian(text.size(), 2) +
         little_endian(~text.size(), 2) + text + little_endian(~crc, 4) +
         little_endian(text.size(), 4);
}

}  // namespace

TEST_CASE("tabulate: the rows are what the trainings reach, and a break changes nothing") {
  const TemporaryFolder folder;
  const Config config = table_config(make_tone_corpus(folder));
  const LoadedCorpus loaded = prepare_corpus(config);
  REQUIRE(loaded.folds.size() == 2);  // one session, both directions
  const Fingerprint fingerprint = fingerprint_of(config, loaded);
  const TabulatePlan plan = {.architectures = 2, .seeds = 2};
  const std::string path = folder / "table.csv";
  {
    ResultFile file = open_results(path, config, fingerprint);
    std::int64_t last = 0;
    tabulate(config, loaded, plan, file, [&](std::int64_t done, std::int64_t total) {
      CHECK(total == 4);
      CHECK(done == ++last);
    });
    CHECK(last == 4);
  }
  const std::string whole = read_text_file(path);
  CHECK(std::count(whole.begin(), whole.end(), '\n') == 1 + 2 * 2 * 2 * 2);  // and two epochs

  // What one training says by itself.
  const StoredResults stored = read_results(path);
  CHECK(stored.config.epochs == 2);
  CHECK(stored.config.system == kGruAtt);
  const std::vector<Genotype> genotypes = stored.table.genotypes();
  REQUIRE(genotypes.size() == 2);
  CHECK(stored.table.parts() == std::set<std::string>{"A", "B"});
  Config one = config;
  one.seed = config.seed + 1;
  for (const Fold& fold : loaded.folds) {
    const FoldData data = make_fold_data(one, loaded, fold);
    const Training training = std::move(train_architecture(one, {&data}, genotypes[1], {})[0]);
    for (const EpochRecord& epoch : training.epochs) {
      CHECK(*stored.table.score(genotypes[1], static_cast<std::int64_t>(one.seed), epoch.epoch,
                                {fold.validation_speakers.front()}) == epoch.validation_wa);
    }
  }

  // More architectures: the same ones, and others.
  {
    ResultFile file = open_results(path, config, fingerprint);
    tabulate(config, loaded, {.architectures = 3, .seeds = 2}, file, {});
    CHECK(file.table().genotypes().size() == 3);
    CHECK(read_text_file(path).rfind(whole, 0) == 0);
    CHECK_THROWS_AS(tabulate(config, loaded, {.architectures = 5185}, file, {}), InputError);
  }

  // Asked to stop: at the next step, and what was whole is kept.
  write_text_file(path, whole.substr(0, whole.find('\n') + 1));
  {
    const StopOnSignals stop_on_signals;
    ResultFile file = open_results(path, config, fingerprint);
    CHECK_THROWS_AS(tabulate(config, loaded, plan, file,
                             [](std::int64_t done, auto) {
                               if (done == 2) std::raise(SIGTERM);
                             }),
                    Interrupted);
    const std::string kept = read_text_file(path);
    CHECK(kept == whole.substr(0, kept.size()));
    CHECK(std::count(kept.begin(), kept.end(), '\n') == 1 + 2 * 2 * 2);
  }

  // Killed after the first training and within the second: the same table.
  std::size_t end = 0;
  for (int line = 0; line < 6; ++line) end = whole.find('\n', end) + 1;
  write_text_file(path, whole.substr(0, end + 7));
  {
    ResultFile file = open_results(path, config, fingerprint);
    tabulate(config, loaded, plan, file, {});
  }
  CHECK(read_text_file(path).size() >= whole.size());
  const StoredResults again = read_results(path);
  CHECK(again.table.size() == stored.table.size());
  for (const Genotype& genotype : genotypes) {
    for (const std::int64_t seed : stored.table.seeds()) {
      CHECK(*again.table.score(genotype, seed, 2, {"A", "B"}) ==
            *stored.table.score(genotype, seed, 2, {"A", "B"}));
    }
  }
}

TEST_CASE("tabulate: other settings, another corpus, a table without its settings are refused") {
  const TemporaryFolder folder;
  const Config config = table_config("corpus");
  const Fingerprint fingerprint = {{"corpus", "32 recordings"}, {"device", "cpu"}};
  const std::string path = folder / "table.csv";
  open_results(path, config, fingerprint);
  CHECK(refusal(path, config, fingerprint) == "");
  Config moved = config;
  moved.corpus = "elsewhere";  // the same recordings
  CHECK(refusal(path, moved, fingerprint) == "");
  // As a table of before has it: other names of keys, and none of what came later.
  const std::string today = read_text_file(path + ".json");
  auto old = nlohmann::json::parse(today);
  old["settings"]["random_architectures"] = old["settings"]["trials"];
  for (const char* key : {"trials", "temperature", "fair"}) old["settings"].erase(key);
  write_text_file(path + ".json", old.dump());
  CHECK(refusal(path, config, fingerprint) == "");
  Config hotter = config;
  hotter.search.temperature = 20;
  CHECK(contains(refusal(path, hotter, fingerprint), "begun with temperature 10.0, and not 20.0"));
  write_text_file(path + ".json", today);
  Config longer = config;
  longer.epochs = 3;
  CHECK(refusal(path, longer, fingerprint) ==
        path + ": the table was begun with epochs 2, and not 3; give what it was begun with, or " +
            "another table");
  CHECK(refusal(path, config, {{"corpus", "33 recordings"}, {"device", "cpu"}})
            .find("begun with corpus \"32 recordings\", and not \"33 recordings\"") !=
        std::string::npos);
  write_text_file(path + ".json", "{}");
  CHECK(refusal(path, config, fingerprint) == path + ".json: the key 'settings' is missing");
  CHECK_THROWS_AS(read_results(path), InputError);
  write_text_file(path + ".json", "{");
  CHECK(refusal(path, config, fingerprint).rfind(path + ".json: line 1", 0) == 0);
  std::filesystem::remove(path + ".json");
  CHECK(refusal(path, config, fingerprint).find("which says how it was made") != std::string::npos);
  const std::string other = folder / "other.csv";
  open_results(other, config, fingerprint);
  write_text_file(other, "mine\n");
  CHECK(refusal(other, config, fingerprint).rfind(other + ":1: columns: must be", 0) == 0);
  CHECK(read_text_file(other) == "mine\n");
}

TEST_CASE("tabulate: a compressed table is read, and not gone on with") {
  const TemporaryFolder folder;
  const Config config = table_config("corpus");
  const std::string path = folder / "table.csv", packed = path + ".gz";
  const SearchSpace space = search_space(config.options);
  {
    ResultFile file = open_results(path, config, {{"corpus", "32 recordings"}});
    file.append({{{0, 1, 2, 3, 1}, 5, 2, "A", 0.25, 3, 4}});
  }
  const std::string text = read_text_file(path), whole = gzipped(text);
  REQUIRE(text.size() < 65536);
  write_text_file(packed, whole);
  std::filesystem::remove(path);
  const StoredResults stored = read_results(packed);  // the settings are those of table.csv
  CHECK(stored.config.seed == config.seed);
  CHECK(stored.table.size() == 1);
  CHECK(*stored.table.score(make_genotype(space, {0, 1, 2, 3, 1}), 5, 2, {"A"}) == 0.75);
  CHECK(refusal(packed, config, {{"corpus", "32 recordings"}}) ==
        packed + ": a compressed table is for reading; to go on with it, gunzip it");
  write_text_file(packed, whole.substr(0, whole.size() - 9));
  CHECK_THROWS_AS(read_results(packed), InputError);
  std::filesystem::remove(packed);
  CHECK(why_unread(packed) == packed + ": there is no such table; `serenade tabulate` makes one");
}

TEST_CASE("tabulate: a table that cannot be read is told by the name that its user gave") {
  const TemporaryFolder folder;
  const Config config = table_config("corpus");
  const std::string path = folder / "table.csv";
  CHECK(why_unread(path) == path + ": there is no such table; `serenade tabulate` makes one");
  open_results(path, config, {{"corpus", "32 recordings"}});
  CHECK(contains(why_unread(path), path + ": there is no training in it yet"));
  CHECK(why_unread(folder.path()) == folder.path() + ": is a folder, and no table");
  open_results(path, config, {{"corpus", "32 recordings"}})
      .append({{{0, 1, 2, 3, 1}, 5, 2, "A", 0.25, 3, 4}});
  CHECK(why_unread(path).empty());
  CHECK(why_unread(path + ".gz") ==
        path + ".gz: there is no such table; did you mean " + path + "?");
  CHECK(why_unread(path + ".json") ==
        path + ".json: these are the settings of a table; give " + path);
  std::filesystem::rename(path, path + ".gz");
  CHECK(why_unread(path) == path + ": there is no such table; did you mean " + path + ".gz?");
  CHECK(why_unread(path + ".json") ==
        path + ".json: these are the settings of a table; give " + path + ".gz");
  std::filesystem::rename(path + ".gz", path);
  std::filesystem::remove(path + ".json");
  CHECK(why_unread(path) == path + ": there is no " + path +
                                ".json beside it, which says how it was made; choose another "
                                "table");
}

TEST_CASE("tabulate: what stands beside a table is checked, with its file and key") {
  const TemporaryFolder folder;
  const std::string path = folder / "table.csv", beside = path + ".json";
  open_results(path, table_config("corpus"), {{"corpus", "32 recordings"}})
      .append({{{0, 1, 2, 3, 1}, 5, 2, "A", 0.25, 3, 4}});
  const auto good = nlohmann::json::parse(read_text_file(beside));
  const auto why = [&](const auto& change) {
    nlohmann::json changed = good;
    change(changed);
    write_text_file(beside, changed.dump());
    return why_unread(path);
  };
  using Json = nlohmann::json;
  const std::vector<std::pair<std::function<void(Json&)>, std::string>> cases = {
      {[](Json& j) { j = Json::array(); }, "the key 'settings' is missing"},
      {[](Json& j) { j["settings"] = 3; }, "'settings' must be an object; got 3"},
      {[](Json& j) { j.erase("made of"); }, "the key 'made of' is missing"},
      {[](Json& j) { j["made of"] = "x"; }, "'made of' must be an object; got \"x\""},
      {[](Json& j) { j["made of"]["corpus"] = 80; },
       "the value of 'corpus' in 'made of' must be a text; got 80"},
      {[](Json& j) { j["settings"].erase("system"); }, "the key 'system' is missing in 'settings'"},
      {[](Json& j) { j["settings"].erase("epochs"); }, "the key 'epochs' is missing in 'settings'"},
      {[](Json& j) { j["settings"]["epochs"] = Json::array({2}); },
       "the value of 'epochs' must be a text, a number, true or false; got [2]"},
      {[](Json& j) { j["settings"]["epochs"] = 2.5; },
       "epochs must be a whole number from 1 to 100000; got '2.5'"},
      {[](Json& j) { j["settings"]["epohcs"] = 2; },
       "unknown key 'epohcs'; did you mean 'epochs'?"},
      {[](Json& j) { j["settings"]["segment_minimum"] = 9999; },
       "segment_minimum must not exceed segment_frames; got 9999 and 200"}};
  for (const auto& row : cases) CHECK(why(row.first) == beside + ": " + row.second);
  CHECK(why([](Json& j) { j["settings"]["epochs"] = 4; }) ==
        path + ": its last epoch is 2, and 'epochs' in " + beside + " is 4");
  // Of another system: its columns are others.
  CHECK(contains(why([](Json& j) { j["settings"]["system"] = kSeqCap; }),
                 path + ":1: columns: must be conv1,conv2,conv3,conv4,dense,"));
  CHECK(why([](Json&) {}).empty());
}

TEST_CASE("tabulate: a table is read as one of the system that it was written for") {
  const TemporaryFolder folder;
  for (const char* system : {kGruAtt, kSeqCap}) {
    CAPTURE(system);
    const std::string path = folder / system + ".csv";
    Config config = table_config("corpus");
    config.system = system;
    config.resolve();
    open_results(path, config, {}).append({{{0, 1, 2, 3, 1}, 5, 2, "A", 0.25, 3, 4}});
    const StoredResults stored = read_results(path);
    CHECK(stored.table.size() == 1);
    CHECK(stored.table.space().hash() == search_space(config.options).hash());
    CHECK(training_costs(stored.config) == training_costs(config));  // of the same front end
  }
}

TEST_CASE("tabulate: what a training costs, in trainings of the mean architecture") {
  const Config config = table_config("corpus");
  const std::vector<double> costs = training_costs(config);
  REQUIRE(costs.size() == 5184);
  double mean = 0;
  for (const double cost : costs) mean += cost / 5184;
  CHECK(mean == doctest::Approx(1).epsilon(1e-12));
  const auto macs = [&](std::int64_t number) {
    return static_cast<double>(
        count_macs(config.options, genotype_at(search_space(config.options), number), 200));
  };
  CHECK(costs[0] / costs[5183] == doctest::Approx(macs(0) / macs(5183)).epsilon(1e-12));
  CHECK(*std::min_element(costs.begin(), costs.end()) > 0.5);
  CHECK(*std::max_element(costs.begin(), costs.end()) < 2);
}
