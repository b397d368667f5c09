// Packs and the folder of them: what is found again, what is refused, what is cleaned up.

#include "apps/ser/features/feature_store.h"

#include <doctest/doctest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <limits>
#include <numeric>

#include "apps/ser/common/error.h"
#include "apps/ser/common/files.h"
#include "tensor/checksum.h"
#include "tests/apps/ser/common/files.h"
#include "tests/apps/ser/features/cache_folder.h"
#include "tests/ordinary_user.h"

namespace serenade::ser {

TEST_CASE("feature store: what is not finite is no feature, even with the right checksum") {
  const TemporaryFolder folder;
  const FeatureSettings settings = feature_preset("mel");
  const std::vector<float> good(64 * 3, 1.0f);
  for (const float bad : {NAN, INFINITY, -INFINITY}) {
    std::vector<float> values = good;
    values[77] = bad;
    CHECK(all_finite(good.data(), 64 * 3));
    CHECK_FALSE(all_finite(values.data(), 64 * 3));
    const std::string pack = folder / (settings_key(settings) + "-0123456789abcdef.pack");
    write_pack(pack, 64,
               {{.key = 5, .frames = 3, .values = values.data()},
                {.key = 6, .frames = 3, .values = good.data()}});
    FeatureStore store(folder.path(), settings);
    CHECK(store.find(6));
    CHECK_FALSE(store.find(5));
    CHECK_FALSE(std::filesystem::exists(pack));
    CHECK(values_of(*store.find(6)) == good);  // still mapped
    CHECK_FALSE(store.find(7));
  }
  const std::string message = message_of<InputError>(
      [&] { features_of(std::vector<float>(2000, NAN), settings, "loud.wav"); });
  CHECK(contains(message, "loud.wav"));
}

TEST_CASE("feature store: 70,000 recordings take few files and few maps") {
  const TemporaryFolder folder;
  const auto maps = [] {
    std::ifstream file("/proc/self/maps");
    return std::count(std::istreambuf_iterator<char>(file), {}, '\n');
  };
  constexpr std::int64_t kCount = 70'000;
  const FeatureSettings settings{.n_fft = 4, .bins = 2, .window = 4, .hop_length = 4};
  const auto before = maps();
  std::vector<Features> made(kCount), found(kCount);
  std::vector<float> values(2 * kCount);
  std::iota(values.begin(), values.end(), 0.0f);
  {
    FeatureStore store(folder.path(), settings);
    for (std::int64_t i = 0; i < kCount; ++i) {
      made[i] = {2, 1, &values[2 * i], nullptr};
      store.add(i * 0x9e3779b97f4a7c15ULL, made[i]);
    }
    store.write();
  }
  FeatureStore store(folder.path(), settings);
  std::int64_t right = 0;
  for (std::int64_t i = 0; i < kCount; ++i) {
    const std::optional<Features> features = store.find(i * 0x9e3779b97f4a7c15ULL);
    if (features) found[i] = *features;
    right += values_of(made[i]) == std::vector<float>{values[2 * i], values[2 * i + 1]} &&
             features && values_of(found[i]) == values_of(made[i]);
  }
  CHECK(right == kCount);
  CHECK(made[0].values != values.data());  // what was computed can leave the memory
  CHECK(names_in(folder.path()).size() == 1);
  CHECK(maps() < before + 100);
}

TEST_CASE("feature store: what a killed writer left is removed, a living one's is not") {
  const TemporaryFolder folder;
  const pid_t child = fork();
  if (child == 0) _exit(0);
  waitpid(child, nullptr, 0);  // its number belongs to nobody now
  const std::string name = "0123456789abcdef-0123456789abcdef.pack.";
  const std::string dead = name + std::to_string(child) + ".0.partial";
  const std::string living = name + std::to_string(getpid()) + ".7.partial";
  // Its writer may live on another computer, where its number belongs to somebody.
  const std::string fresh = name + std::to_string(child) + ".1.partial";
  // The system's first process is another user's, nobody's number is none, and what no writer of
  // packs has named, or what is no file any more, says nothing of a writer.
  const std::string others = name + "1.0.partial", nobodys = name + "x.0.partial";
  const std::string whole = name + std::to_string(child) + ".2.whole";
  const std::string lost = name + std::to_string(child) + ".3.partial";
  const auto now = std::filesystem::file_time_type::clock::now();
  for (const std::string& file :
       {dead, living, fresh, others, nobodys, whole, std::string("mine.partial")}) {
    write_text(folder / file, "x");
    if (file != fresh) {
      std::filesystem::last_write_time(folder / file, now - std::chrono::hours(2));
    }
  }
  std::filesystem::create_symlink("nowhere", folder / lost);
  {
    // For whom the first process is another user's, and the folder closed where root runs this.
    const OrdinaryUser user(folder.path());
    FeatureStore store(folder.path(), feature_preset("mel"));
  }
  FeatureStore store(folder.path(), feature_preset("mel"));
  std::vector<std::string> kept = {living, fresh, others, nobodys, whole, lost, "mine.partial"};
  std::sort(kept.begin(), kept.end());
  CHECK(names_in(folder.path()) == kept);
}

TEST_CASE(
    "feature store: a pack whose numbers cannot be is damaged, even with the right checksum") {
  const TemporaryFolder folder;
  const std::vector<float> values(64 * 3, 1.0f);
  const std::string path = folder / "a.pack";
  write_pack(path, 64, {{.key = 5, .frames = 3, .values = values.data()}});
  const std::string whole = read_text_file(path);
  constexpr std::size_t kSum = 32, kHeader = 64;  // bytes from the beginning of the file
  FeaturePack::Entry good;
  std::memcpy(&good, whole.data() + kHeader, sizeof good);
  const auto damaged = [&](const FeaturePack::Entry& entry) {
    std::string bytes = whole;
    std::memcpy(bytes.data() + kHeader, &entry, sizeof entry);
    std::uint64_t sum = checksum(&entry, sizeof entry);
    std::memcpy(bytes.data() + kSum, &sum, sizeof sum);
    sum = checksum(bytes.data(), kHeader);
    std::memcpy(bytes.data() + kSum, &sum, sizeof sum);
    write_text(path, bytes);
    const FeaturePack pack(path, 64);
    CHECK(pack.entries().size() == (pack.damaged() ? 0 : 1));
    return pack.damaged();
  };
  const auto with = [&](std::uint64_t offset, std::int64_t frames) {
    return damaged({good.key, offset, frames, good.checksum});
  };
  CHECK_FALSE(damaged(good));
  CHECK_FALSE(with(128, 3));
  CHECK(with(128 + 4, 2));
  CHECK(with(std::uint64_t{1} << 40, 1));
  CHECK(with(128, 4));
  CHECK(with(128, 0));
  CHECK(with(128, -1));
  CHECK(with(128, std::numeric_limits<std::int64_t>::max()));
}

TEST_CASE("feature store: what is no file, or no longer the file that was opened, gives nothing") {
  const TemporaryFolder folder;
  const FeatureSettings settings = feature_preset("mel");
  const std::string path = folder / (settings_key(settings) + "-0123456789abcdef.pack");
  const std::vector<float> values(64 * 3, 1.0f);
  const auto write = [&](const std::string& name, std::uint64_t key) {
    write_pack(name, 64, {{.key = key, .frames = 3, .values = values.data()}});
  };
  REQUIRE(mkfifo(path.c_str(), 0600) == 0);
  CHECK_FALSE(FeatureStore(folder.path(), settings).find(5));
  CHECK(std::filesystem::is_fifo(path));
  std::filesystem::remove(path);
  CHECK(FeaturePack(path, 64).entries().empty());
  struct Change {
    const char* name;
    std::function<void()> make;
    bool stays;
  };
  const Change changes[] = {{"removed", [&] { std::filesystem::remove(path); }, false},
                            {"longer", [&] { std::ofstream(path, std::ios::app) << "more"; }, true},
                            {"another",
                             [&] {
                               write(folder / "b", 6);
                               std::filesystem::rename(folder / "b", path);
                             },
                             true}};
  for (const Change& change : changes) {
    CAPTURE(change.name);
    write(path, 5);
    FeatureStore before(folder.path(), settings);
    FeatureStore after(folder.path(), settings);
    CHECK(before.find(5));
    change.make();
    CHECK(before.find(5));  // what is mapped stays
    CHECK_FALSE(after.find(5));
    CHECK(std::filesystem::exists(path) == change.stays);
  }
}

TEST_CASE("feature store: what fills a pack is written at once") {
  const TemporaryFolder folder;
  const FeatureSettings settings{.n_fft = 4, .bins = 2, .window = 4, .hop_length = 4};
  constexpr std::int64_t kFrames = 1 << 23;  // 64 MiB of two bins
  const auto values = std::make_shared<std::vector<float>>(2 * kFrames, 0.5f);
  const float* computed = values->data();
  Features small{2, 3, computed, values}, large{2, kFrames - 3, computed, values};
  FeatureStore store(folder.path(), settings);
  store.add(1, small);
  CHECK(names_in(folder.path()).empty());
  CHECK(small.values == computed);
  store.add(2, large);
  CHECK(names_in(folder.path()).size() == 1);
  CHECK(small.values != computed);
  CHECK(large.values[2 * kFrames - 7] == 0.5f);
  store.write();  // nothing is left
  CHECK(names_in(folder.path()).size() == 1);
}

TEST_CASE("feature store: a pack that the system refuses to read is absent, not damaged") {
  // A file of the system whose first bytes no process can read: that is an EIO.
  constexpr const char* kUnreadable = "/proc/self/mem";
  std::ifstream file(kUnreadable, std::ios::binary);
  if (!file || file.get() != EOF) return;  // not on this system
  const TemporaryFolder folder;
  const FeatureSettings settings = feature_preset("mel");
  const FeaturePack pack(kUnreadable, 64);
  CHECK_FALSE(pack.damaged());
  CHECK(pack.entries().empty());
  const std::string link = folder / (settings_key(settings) + "-0123456789abcdef.pack");
  std::filesystem::create_symlink(kUnreadable, link);
  FeatureStore store(folder.path(), settings);
  CHECK_FALSE(store.find(5));
  CHECK(std::filesystem::is_symlink(link));
}

TEST_CASE("feature store: a cache file that is cut short in use ends the program with a line") {
  const TemporaryFolder folder;
  write_wav(folder / "a.wav", noise(200'000));
  const ExtractOptions options{.cache_folder = folder / "cache"};
  const std::vector<Features> features =
      extract_features(corpus_of({folder / "a.wav"}), feature_preset("mel"), options);
  std::filesystem::resize_file(folder / ("cache/" + names_in(folder / "cache").at(0)), 4096);
  const pid_t child = fork();
  if (child == 0) {
    std::freopen((folder / "said").c_str(), "w", stderr);
    _exit(values_of(features[0])[60'000] == 0 ? 90 : 91);
  }
  int status = 0;
  waitpid(child, &status, 0);
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 5);
  CHECK(contains(read_text_file(folder / "said"), "feature cache"));
  // A bus error from elsewhere is left to the system, which ends the program at the next one.
  struct sigaction watching = {}, left = {};
  REQUIRE(sigaction(SIGBUS, nullptr, &watching) == 0);
  std::raise(SIGBUS);
  REQUIRE(sigaction(SIGBUS, &watching, &left) == 0);
  CHECK((left.sa_handler == SIG_DFL));
}
}  // namespace serenade::ser
