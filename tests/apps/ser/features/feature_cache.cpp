// The features of a corpus: in memory, from the cache, after damage, on many threads.

#include "apps/ser/features/feature_cache.h"

#include <doctest/doctest.h>

#include <filesystem>

#include "apps/ser/common/error.h"
#include "tensor/random.h"
#include "tests/apps/ser/common/files.h"

namespace serenade::ser {

namespace {

Corpus corpus_of(const std::vector<std::string>& paths) {
  Corpus corpus;
  for (const std::string& path : paths) {
    Recording recording;
    recording.path = path;
    corpus.recordings.push_back(recording);
  }
  return corpus;
}

std::vector<float> values_of(const Features& features) {
  return {features.values, features.values + features.bins * features.frames};
}

}  // namespace

TEST_CASE("feature cache: the cache gives the same values, and sees changed files") {
  const TemporaryFolder folder;
  std::vector<std::string> paths;
  for (int i = 0; i < 5; ++i) {
    paths.push_back(folder / (std::to_string(i) + ".wav"));
    write_wav(paths.back(), noise(2000 + 300 * i, i));
  }
  const Corpus corpus = corpus_of(paths);
  const FeatureSettings settings = feature_preset("small");
  ExtractOptions cached;
  cached.cache_folder = folder / "deep/cache";
  std::vector<std::int64_t> steps;
  cached.progress = [&](std::int64_t done, std::int64_t total) {
    steps.push_back(done);
    CHECK(total == 5);
  };
  const std::vector<Features> fresh = extract_features(corpus, settings);
  for (int run = 0; run < 2; ++run) {  // the first writes, the second reads
    const std::vector<Features> stored = extract_features(corpus, settings, cached);
    for (int i = 0; i < 5; ++i) {
      CHECK(stored[i].bins == 200);
      CHECK(stored[i].frames == frame_count(2000 + 300 * i, settings));
      CHECK(values_of(stored[i]) == values_of(fresh[i]));
    }
  }
  CHECK(steps == std::vector<std::int64_t>{1, 2, 3, 4, 5, 1, 2, 3, 4, 5});
  const auto files = [&] {
    std::size_t count = 0;
    for (const auto& entry : std::filesystem::directory_iterator(cached.cache_folder)) {
      CHECK(entry.path().extension() == ".features");
      ++count;
    }
    return count;
  };
  CHECK(files() == 5);
  write_wav(paths[2], noise(4000, 9));
  const std::vector<Features> changed = extract_features(corpus, settings, cached);
  CHECK(changed[2].frames == frame_count(4000, settings));
  CHECK(files() == 6);
}

TEST_CASE("feature cache: damaged cache files are made anew") {
  const TemporaryFolder folder;
  write_wav(folder / "a.wav", noise(3000));
  const Corpus corpus = corpus_of({folder / "a.wav"});
  const FeatureSettings settings = feature_preset("small");
  ExtractOptions options;
  options.cache_folder = folder / "cache";
  const std::vector<float> expected = values_of(extract_features(corpus, settings, options)[0]);
  const auto file = std::filesystem::directory_iterator(options.cache_folder)->path().string();
  const auto whole = std::filesystem::file_size(file);
  for (const std::uintmax_t size : {std::uintmax_t{0}, std::uintmax_t{63}, std::uintmax_t{64},
                                    std::uintmax_t{1000}, whole - 4, whole + 4}) {
    CAPTURE(size);
    std::filesystem::resize_file(file, size);
    CHECK(values_of(extract_features(corpus, settings, options)[0]) == expected);
    CHECK(std::filesystem::file_size(file) == whole);
  }
  write_text(file, std::string(whole, 'x'));
  CHECK(values_of(extract_features(corpus, settings, options)[0]) == expected);
}

TEST_CASE("feature cache: threads change nothing, and the first failure is the one reported") {
  const TemporaryFolder folder;
  std::vector<std::string> paths;
  for (int i = 0; i < 9; ++i) {
    paths.push_back(folder / (std::to_string(i) + ".wav"));
    write_wav(paths.back(), noise(1000 + i, i));
  }
  ExtractOptions one, many;
  one.threads = 1;
  many.threads = 4;
  const FeatureSettings settings = feature_preset("mel");
  const std::vector<Features> a = extract_features(corpus_of(paths), settings, one);
  const std::vector<Features> b = extract_features(corpus_of(paths), settings, many);
  for (int i = 0; i < 9; ++i) CHECK(values_of(a[i]) == values_of(b[i]));
  std::filesystem::remove(paths[3]);
  std::filesystem::remove(paths[6]);
  const std::string message =
      message_of<InputError>([&] { extract_features(corpus_of(paths), settings, many); });
  CHECK(contains(message, "3.wav"));
}

TEST_CASE("feature cache: a cache that cannot be written is an I/O error") {
  const TemporaryFolder folder;
  write_wav(folder / "a.wav", noise(3000));
  ExtractOptions options;
  options.cache_folder = folder / "a.wav/cache";
  CHECK_THROWS_AS(extract_features(corpus_of({folder / "a.wav"}), feature_preset("small"), options),
                  IoError);
}

}  // namespace serenade::ser
