// The features of a corpus: in memory, from the cache, after damage, on many threads.

#include "apps/ser/features/feature_cache.h"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <thread>

#include "apps/ser/common/error.h"
#include "apps/ser/common/files.h"
#include "apps/ser/features/device_features.h"
#include "tensor/random.h"
#include "tests/apps/ser/common/files.h"
#include "tests/apps/ser/features/cache_folder.h"

namespace serenade::ser {

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
  CHECK(names_in(cached.cache_folder).size() == 1);  // all five in one pack
  write_wav(paths[2], noise(4000, 9));
  const std::vector<Features> changed = extract_features(corpus, settings, cached);
  CHECK(changed[2].frames == frame_count(4000, settings));
  CHECK(names_in(cached.cache_folder).size() == 2);
  // Other settings share the folder, and keep to themselves.
  CHECK(extract_features(corpus, feature_preset("mel"), cached)[0].bins == 64);
  CHECK(names_in(cached.cache_folder).size() == 3);
}

TEST_CASE("feature cache: a file with new content is seen, though its size and time are the old") {
  const TemporaryFolder folder;
  const std::string path = folder / "a.wav";
  write_wav(path, noise(3000, 1));
  const auto time = std::filesystem::last_write_time(path);
  const FeatureSettings settings = feature_preset("mel");
  const ExtractOptions options{.cache_folder = folder / "cache"};
  const std::vector<float> before =
      values_of(extract_features(corpus_of({path}), settings, options)[0]);
  std::this_thread::sleep_for(
      std::chrono::milliseconds(20));  // the clock of a file system is coarse
  SUBCASE("written over") { write_wav(path, noise(3000, 2)); }
  SUBCASE("another in its place") {
    write_wav(folder / "b.wav", noise(3000, 2));
    std::filesystem::rename(folder / "b.wav", path);
  }
  std::filesystem::last_write_time(path, time);
  const std::vector<float> after =
      values_of(extract_features(corpus_of({path}), settings, options)[0]);
  CHECK(after == values_of(features_of(read_audio(path).samples, settings, path)));
  CHECK(after != before);
}

TEST_CASE("feature cache: damaged cache files are made anew") {
  const TemporaryFolder folder;
  write_wav(folder / "a.wav", noise(3000));
  write_wav(folder / "b.wav", noise(2500, 1));
  const Corpus corpus = corpus_of({folder / "a.wav", folder / "b.wav"});
  const FeatureSettings settings = feature_preset("small");
  const ExtractOptions options{.cache_folder = folder / "cache", .threads = 1};
  const auto extract = [&] {
    const std::vector<Features> features = extract_features(corpus, settings, options);
    return std::pair(values_of(features[0]), values_of(features[1]));
  };
  const auto expected = extract();
  const std::string file = folder / ("cache/" + names_in(folder / "cache").at(0));
  const std::string whole = read_text_file(file);
  const auto check_recovery = [&] {
    CHECK(extract() == expected);  // whatever was whole in it may be used
    CHECK(extract() == expected);
    CHECK(extract() == expected);
    for (const std::string& name : names_in(folder / "cache")) {
      CHECK(name.ends_with(".pack"));
      std::filesystem::remove(folder / ("cache/" + name));
    }
  };
  for (const std::size_t size : {std::size_t{0}, std::size_t{63}, std::size_t{64}, std::size_t{127},
                                 std::size_t{1000}, whole.size() - 4}) {
    CAPTURE(size);
    write_text(file, whole.substr(0, size));
    check_recovery();
  }
  write_text(file, whole + "more");
  check_recovery();
  write_text(file, std::string(whole.size(), 'x'));
  check_recovery();
  // Zeros, or one other bit, at places all over the file.
  for (std::size_t at = 0; at < whole.size(); at = at * 5 / 4 + 1) {
    CAPTURE(at);
    std::string content = whole;
    content[at] ^= 16;
    write_text(file, content);
    check_recovery();
    content.replace(at, 64, std::min<std::size_t>(64, whole.size() - at), '\0');
    write_text(file, content);
    check_recovery();
  }
}

TEST_CASE("feature cache: a pack of an unknown version is left alone") {
  const TemporaryFolder folder;
  write_wav(folder / "a.wav", noise(3000));
  const Corpus corpus = corpus_of({folder / "a.wav"});
  const ExtractOptions options{.cache_folder = folder / "cache"};
  const FeatureSettings settings = feature_preset("mel");
  const std::vector<float> expected = values_of(extract_features(corpus, settings, options)[0]);
  const std::string name = names_in(folder / "cache").at(0);
  const std::string other = name.substr(0, 17) + "0123456789abcdef.pack";
  std::string content = read_text_file(folder / ("cache/" + name));
  content[8] = 99;
  std::filesystem::remove(folder / ("cache/" + name));
  write_text(folder / ("cache/" + other), content);
  CHECK(values_of(extract_features(corpus, settings, options)[0]) == expected);
  CHECK(names_in(folder / "cache").size() == 2);
  CHECK(read_text_file(folder / ("cache/" + other)) == content);
}

TEST_CASE("feature cache: two processes may use a folder at once") {
  const TemporaryFolder folder;
  std::vector<std::string> paths;
  for (int i = 0; i < 12; ++i) {
    paths.push_back(folder / (std::to_string(i) + ".wav"));
    write_wav(paths.back(), noise(1000 + i, i));
  }
  const FeatureSettings settings = feature_preset("mel");
  const std::vector<Features> expected = extract_features(corpus_of(paths), settings);
  const ExtractOptions options{.cache_folder = folder / "cache", .threads = 2};
  const auto right = [&] {
    bool all = true;
    const std::vector<Features> got = extract_features(corpus_of(paths), settings, options);
    for (std::size_t i = 0; i < paths.size(); ++i) {
      all = all && values_of(got[i]) == values_of(expected[i]);
    }
    return all;
  };
  std::vector<std::thread> users;
  std::atomic<int> wrong = 0;
  for (int user = 0; user < 4; ++user) {
    users.emplace_back([&] {
      for (int round = 0; round < 10; ++round) {
        wrong += !right();
        std::error_code ignored;  // and one of them is a vandal
        for (const auto& entry : std::filesystem::directory_iterator(folder / "cache", ignored)) {
          if (round % 3 == 1 && entry.path().extension() == ".pack") {
            std::filesystem::remove(entry.path(), ignored);
          }
        }
      }
    });
  }
  for (std::thread& user : users) user.join();
  CHECK(wrong == 0);
  CHECK(right());
}

TEST_CASE("feature cache: a damaged recording is left out and listed, a lost one stops it") {
  const TemporaryFolder folder;
  std::vector<std::string> paths;
  for (int i = 0; i < 6; ++i) {
    paths.push_back(folder / (std::to_string(i) + ".wav"));
    write_wav(paths.back(), noise(1000 + 160 * i, i));
  }
  for (const int i : {1, 4}) write_text(paths[i], "no sound");
  for (const bool on_device : {false, true}) {
    Corpus corpus = corpus_of(paths);
    std::vector<DamagedRecording> damaged;
    const ExtractOptions options{.damaged = &damaged};
    const FeatureSettings settings = feature_preset("mel");
    std::vector<Features> features =
        on_device ? extract_features_on(Device::cpu, corpus, settings, options)
                  : extract_features(corpus, settings, options);
    REQUIRE(damaged.size() == 2);
    CHECK(damaged[0].recording == 1);
    leave_out_damaged(corpus, features, damaged);
    REQUIRE(corpus.recordings.size() == 4);
    REQUIRE(features.size() == 4);
    for (std::size_t i = 0; i < 4; ++i) {
      const std::int64_t samples =
          1000 + 160 * std::stoi(corpus.recordings[i].path.substr(folder.path().size() + 1, 1));
      CHECK(features[i].frames == frame_count(samples, settings));
    }
    REQUIRE(corpus.skipped.size() == 2);
    CHECK(contains(corpus.skipped[1].path, "4.wav"));
    CHECK_FALSE(contains(corpus.skipped[1].reason, "4.wav"));
    CHECK_FALSE(corpus.skipped[1].reason.empty());
  }
  Corpus only = corpus_of({paths[1]});
  std::vector<DamagedRecording> damaged;
  std::vector<Features> features =
      extract_features(only, feature_preset("mel"), {.damaged = &damaged});
  CHECK_THROWS_AS(leave_out_damaged(only, features, damaged), InputError);
  std::filesystem::remove(paths[2]);
  const std::string message = message_of<InputError>(
      [&] { extract_features(corpus_of(paths), feature_preset("mel"), {.damaged = &damaged}); });
  CHECK(contains(message, "2.wav"));
}

TEST_CASE("feature cache: what cannot be found again is not kept") {
  const TemporaryFolder folder;
  const FeatureSettings settings = feature_preset("mel");
  const ExtractOptions options{.cache_folder = folder / "cache"};
  CHECK(message_of<InputError>([&] {
          extract_features(corpus_of({folder / "absent.wav"}), settings, options);
        }) == folder / "absent.wav: no such file; check the path, or get the recording");
  // A pipe is another one after it was written to.
  const std::string pipe = folder / "pipe.wav";
  REQUIRE(mkfifo(pipe.c_str(), 0600) == 0);
  write_wav(folder / "a.wav", noise(3000));
  std::thread writer([&] {
    std::ofstream out(pipe, std::ios::binary);
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    out << read_text_file(folder / "a.wav");
  });
  const std::vector<Features> features = extract_features(corpus_of({pipe}), settings, options);
  writer.join();
  CHECK(features[0].frames == frame_count(3000, settings));
  CHECK(names_in(folder / "cache").empty());
}

TEST_CASE("feature cache: what is listed of a recording is what the error says of it") {
  const TemporaryFolder folder;
  write_text(folder / "a.wav", "no sound");
  const Corpus corpus = corpus_of({folder / "a.wav"});
  std::vector<DamagedRecording> damaged;
  for (const std::string& message : {folder / "a.wav: is odd", std::string("all is odd")}) {
    try {
      throw InputError(message);
    } catch (const InputError& error) {
      list_damaged({.damaged = &damaged}, corpus, 0, error);
    }
  }
  REQUIRE(damaged.size() == 2);
  CHECK(damaged[0].reason == "is odd");
  CHECK(damaged[1].reason == "all is odd");
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
