// Tables of trainings: what is in them, going on after a break, and what is refused.

#include "apps/ser/training/tabulate.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "apps/ser/common/error.h"
#include "apps/ser/common/files.h"
#include "nas/replay.h"
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
  CHECK(contains(refusal(path, hotter, fingerprint), "begun with another temperature"));
  write_text_file(path + ".json", today);
  Config longer = config;
  longer.epochs = 3;
  CHECK(refusal(path, longer, fingerprint) ==
        path + ".json: the table was begun with another epochs; give what it was begun with, or " +
            "another table");
  CHECK(refusal(path, config, {{"corpus", "33 recordings"}, {"device", "cpu"}})
            .find("begun with another corpus") != std::string::npos);
  write_text_file(path + ".json", "{}");
  CHECK(refusal(path, config, fingerprint) == path + ".json: the key 'settings' is missing");
  CHECK_THROWS_AS(read_results(path), InputError);
  write_text_file(path + ".json", "{");
  CHECK(refusal(path, config, fingerprint).rfind(path + ".json: line 1", 0) == 0);
  std::filesystem::remove(path + ".json");
  CHECK(refusal(path, config, fingerprint).find("which says how it was made") != std::string::npos);
  CHECK_THROWS_AS(read_results(path), IoError);
  const std::string other = folder / "other.csv";
  open_results(other, config, fingerprint);
  write_text_file(other, "mine\n");
  CHECK(refusal(other, config, fingerprint).rfind(other + ":1: columns: must be", 0) == 0);
  CHECK(read_text_file(other) == "mine\n");
}
