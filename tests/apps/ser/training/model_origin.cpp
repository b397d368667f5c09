// What a model says of its making, and which recordings it has heard.

#include "apps/ser/training/model_origin.h"

#include <doctest/doctest.h>

#include "tests/apps/ser/common/files.h"

namespace serenade::ser {

namespace {

// Six speakers, two recordings each; the sound of recording i is i + 1.
Corpus six_speakers() {
  Corpus corpus;
  corpus.kind = "manifest";
  corpus.name = "mine";
  corpus.classes = {"a", "b"};
  for (int i = 0; i < 12; ++i) {
    Recording recording;
    recording.id = recording.relative_path = "r" + std::to_string(i) + ".wav";
    recording.speaker = "s" + std::to_string(i / 2);
    recording.session = i / 4;
    recording.label = i % 2;
    recording.content = static_cast<std::uint64_t>(i + 1);
    corpus.recordings.push_back(recording);
  }
  return corpus;
}

std::vector<std::int64_t> all_of(const Corpus& corpus) {
  std::vector<std::int64_t> all;
  for (std::size_t i = 0; i < corpus.recordings.size(); ++i) {
    all.push_back(static_cast<std::int64_t>(i));
  }
  return all;
}

std::vector<std::int64_t> heard_in(const ModelOrigin& origin, const Corpus& corpus) {
  std::vector<std::int64_t> indices;
  for (const HeardRecording& heard : heard_recordings(origin, corpus, all_of(corpus))) {
    indices.push_back(heard.recording);
  }
  return indices;
}

using Indices = std::vector<std::int64_t>;

}  // namespace

TEST_CASE("model origin: speakers per role, and all of them for a final model, in JSON and back") {
  const Corpus corpus = six_speakers();
  const Fold fold = session_folds(corpus, Direction::first).front();
  const ModelOrigin origin = origin_of(corpus, fold);
  CHECK(origin.train_speakers == std::vector<std::string>{"s2", "s3", "s4", "s5"});
  CHECK(origin.validation_speakers == std::vector<std::string>{"s1"});
  CHECK(origin.test_speakers == std::vector<std::string>{"s0"});
  CHECK(origin.heard.size() == 10);
  const std::string text = to_json(origin);
  CHECK(contains(text, R"("speakers":{"train":["s2","s3","s4","s5"],"validation":["s1"])"));
  CHECK(to_json(origin_from_json(text)) == text);
  const std::string whole = to_json(origin_of(corpus, final_fold(corpus)));
  CHECK(contains(whole, R"("speakers":{"all":["s0","s1","s2","s3","s4","s5"]})"));
  CHECK(to_json(origin_from_json(whole)) == whole);
  for (const char* bad : {"{}", "[1]", "{\"version\": 3}"}) {
    CHECK_THROWS_AS(origin_from_json(bad), std::exception);
  }
}

TEST_CASE("model origin: what trained or chose it was heard, what tested it was not") {
  const Corpus corpus = six_speakers();
  const ModelOrigin origin =
      origin_from_json(to_json(origin_of(corpus, session_folds(corpus, Direction::first).front())));
  CHECK(heard_in(origin, corpus) == Indices{2, 3, 4, 5, 6, 7, 8, 9, 10, 11});
  const auto first = heard_recordings(origin, corpus, {3, 4});
  CHECK(first[0].why == "is of the speaker s1, who chose its epoch");
  CHECK(first[1].why == "is of the speaker s2, who trained it");
  CHECK(heard_recordings(origin, corpus, {0, 1}).empty());
  CHECK(heard_in(origin_of(corpus, final_fold(corpus)), corpus).size() == 12);
}

TEST_CASE("model origin: names count within a corpus and among manifests, sounds everywhere") {
  Corpus corpus = six_speakers();
  const ModelOrigin origin = origin_of(corpus, session_folds(corpus, Direction::first).front());
  Corpus other = corpus;
  for (Recording& recording : other.recordings) recording.content += 100;
  other.name = "yours";
  CHECK(heard_in(origin, other).size() == 10);  // another manifest, the same names
  other.kind = "emodb";
  CHECK(heard_in(origin, other).empty());  // other people
  other.recordings[7].content = 8;         // but one sound of the training
  CHECK(heard_in(origin, other) == Indices{7});
  CHECK(heard_recordings(origin, other, {7})[0].why ==
        "has the sound of a recording that trained it");
  other.recordings[7].content = 1;  // that of the test speaker
  CHECK(heard_in(origin, other).empty());
}

TEST_CASE("model origin: of one file, the parts that were heard") {
  Corpus corpus = six_speakers();
  for (Recording& recording : corpus.recordings) recording.content = 7;  // one long file
  for (int i = 0; i < 12; ++i) corpus.recordings[i].range = {10.0 * i, 10.0 * i + 10};
  const ModelOrigin origin =
      origin_from_json(to_json(origin_of(corpus, session_folds(corpus, Direction::first).front())));
  corpus.kind = "emodb";
  corpus.name = "other";
  CHECK(heard_in(origin, corpus) == Indices{2, 3, 4, 5, 6, 7, 8, 9, 10, 11});
  corpus.recordings[1].range = {16, 24};  // half of it is of recording 2, and no more
  CHECK(heard_recordings(origin, corpus, {1}).empty());
  corpus.recordings[1].range = {16, 25};
  CHECK(heard_recordings(origin, corpus, {1}).size() == 1);
  corpus.recordings[1].range = {0, -1};  // the whole file, with all that was heard
  CHECK(heard_recordings(origin, corpus, {1}).size() == 1);
}

}  // namespace serenade::ser
