// The synthetic corpus: IEMOCAP's tree, the same files for the same options, marked as synthetic.

#include "apps/ser/corpus/demo_corpus.h"

#include <doctest/doctest.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>

#include "apps/ser/common/error.h"
#include "apps/ser/corpus/corpus.h"
#include "apps/ser/data/protocol.h"
#include "tensor/files.h"
#include "tests/apps/ser/common/files.h"

namespace serenade::ser {

namespace {

namespace fs = std::filesystem;

// Puts back the search path for programs at the end of the scope.
class SearchPath {
 public:
  explicit SearchPath(const char* value) : old_(std::getenv("PATH")) { setenv("PATH", value, 1); }
  ~SearchPath() { setenv("PATH", old_.c_str(), 1); }

 private:
  std::string old_;
};

// Makes the corpus, or says that espeak-ng is not there and returns false.
bool make(const std::string& folder, const DemoOptions& options) {
  try {
    make_demo_corpus(folder, options);
    return true;
  } catch (const InputError& error) {
    if (!contains(error.what(), "not installed")) throw;
    MESSAGE("skipped: " << error.what());
    return false;
  }
}

double loudness(const std::string& path) {
  double sum = 0;
  const Audio audio = read_audio(path);
  for (const float sample : audio.samples) sum += double(sample) * sample;
  return std::sqrt(sum / static_cast<double>(audio.samples.size()));
}

}  // namespace

TEST_CASE("demo corpus: a small one is a whole IEMOCAP tree, the same each time") {
  const TemporaryFolder folder;
  DemoOptions options;
  options.utterances = 1;
  std::int64_t last = 0;
  options.progress = [&](std::int64_t done, std::int64_t total) {
    CHECK(total == 40);
    last = done;
  };
  if (!make(folder / "one", options)) return;
  CHECK(last == 40);
  const Corpus corpus = load_corpus({.root = folder / "one"});
  CHECK(corpus.kind == "iemocap");
  CHECK(corpus.synthetic);
  CHECK(corpus.recordings.size() == 40);
  CHECK(corpus.session_count() == 5);
  CHECK(corpus.speakers().size() == 10);
  CHECK(corpus.skipped.empty());
  CHECK(session_folds(corpus).size() == 10);
  const CorpusCheck check = check_corpus(corpus);
  CHECK(check.ok());
  CHECK(check.synthetic);
  CHECK(contains(to_text(check), "SYNTHETIC"));
  CHECK(contains(read_file(folder / "one/README.txt"), "SYNTHETIC"));
  std::vector<double> mean(4);
  for (const Recording& recording : corpus.recordings) {
    CHECK(recording.seconds > 0.8);
    CHECK(recording.seconds < 4.5);
    const AudioInfo info = survey_audio(recording.path).info;
    CHECK(info.sample_rate == 16000);
    CHECK(info.channels == 1);
    mean[recording.label] += loudness(recording.path) / 10;
  }
  CHECK(mean[1] > mean[0]);  // angry louder than neutral, sad softer
  CHECK(mean[3] < mean[0]);

  options.threads = 1;
  REQUIRE(make(folder / "two", options));
  for (const Recording& recording : corpus.recordings) {
    CHECK(read_file(recording.path) == read_file(folder / ("two/" + recording.relative_path)));
  }
  options.seed = 1;
  REQUIRE(make(folder / "two", options));  // replaces the earlier one
  int equal = 0;
  for (const Recording& recording : corpus.recordings) {
    equal += read_file(recording.path) == read_file(folder / ("two/" + recording.relative_path));
  }
  CHECK(equal == 0);
}

TEST_CASE("demo corpus: never touches a folder that holds something else") {
  const TemporaryFolder folder;
  write_text(folder / "precious.txt", "data");
  const std::string message = message_of<InputError>([&] { make_demo_corpus(folder.path()); });
  CHECK_FALSE(message.empty());
  CHECK(read_file(folder / "precious.txt") == "data");
}

TEST_CASE("demo corpus: says so when espeak-ng is not installed") {
  const TemporaryFolder folder;
  const SearchPath path("/nonexistent");
  const std::string message = message_of<InputError>([&] { make_demo_corpus(folder / "demo"); });
  CHECK(contains(message, "espeak-ng is not installed"));
  CHECK_FALSE(fs::exists(folder / "demo"));
  DemoOptions none;
  none.utterances = 0;
  CHECK_THROWS_AS(make_demo_corpus(folder / "demo", none), InputError);
}

}  // namespace serenade::ser
