// Folds: every speaker tests as told, and no speaker leaks.

#include "apps/ser/data/protocol.h"

#include <doctest/doctest.h>

#include <set>

#include "apps/ser/common/error.h"
#include "tests/apps/ser/common/files.h"

namespace serenade::ser {

namespace {

// Sessions of the named speakers; each has two recordings of every class.
Corpus make_corpus(const std::vector<std::vector<std::string>>& sessions) {
  Corpus corpus;
  corpus.name = "test";
  corpus.classes = class_names();
  for (std::size_t s = 0; s < sessions.size(); ++s) {
    for (const std::string& speaker : sessions[s]) {
      for (int i = 0; i < 8; ++i) {
        Recording recording;
        recording.relative_path = speaker + std::to_string(i);
        recording.label = i % 4;
        recording.speaker = speaker;
        recording.session = static_cast<int>(s);
        corpus.recordings.push_back(recording);
      }
    }
  }
  return corpus;
}

const std::vector<std::vector<std::string>> kFive = {
    {"1F", "1M"}, {"2F", "2M"}, {"3F", "3M"}, {"4F", "4M"}, {"5F", "5M"}};

std::string refusal(const Corpus& corpus, const Fold& fold) {
  return message_of<InputError>([&] { check_fold(corpus, fold); });
}

}  // namespace

TEST_CASE("protocol: five sessions give ten folds, every speaker tests once") {
  const Corpus corpus = make_corpus(kFive);
  const std::vector<Fold> folds = session_folds(corpus);
  REQUIRE(folds.size() == 10);
  std::multiset<std::int64_t> tested;
  for (const Fold& fold : folds) {
    CHECK(fold.train_speakers.size() == 8);
    CHECK(fold.validation_speakers.size() == 1);
    CHECK(fold.test_speakers.size() == 1);
    CHECK(fold.train.size() == 64);
    CHECK(fold.validation.size() == 8);
    tested.insert(fold.test.begin(), fold.test.end());
    for (const std::int64_t i : fold.train) CHECK(corpus.recordings[i].session != fold.session);
  }
  CHECK(tested.size() == 80);
  CHECK(std::set<std::int64_t>(tested.begin(), tested.end()).size() == 80);
  CHECK(folds[0].name == "session1-test-1F");
  CHECK(folds[0].validation_speakers.front() == "1M");
  CHECK(folds[1].name == "session1-test-1M");
  CHECK(folds[9].session == 4);
}

TEST_CASE("protocol: one direction gives one fold per session") {
  const Corpus corpus = make_corpus(kFive);
  const std::vector<Fold> first = session_folds(corpus, Direction::first);
  const std::vector<Fold> second = session_folds(corpus, Direction::second);
  REQUIRE(first.size() == 5);
  REQUIRE(second.size() == 5);
  CHECK(first[3].test_speakers == std::vector<std::string>{"4F"});
  CHECK(second[3].test_speakers == std::vector<std::string>{"4M"});
  CHECK(parse_setting<Direction>("direction", "both") == Direction::both);
  CHECK(to_string(Direction::second) == "second");
  CHECK_THROWS_AS(parse_setting<Direction>("direction", "left"), InputError);
}

TEST_CASE("protocol: larger and odd sessions are split into two sides") {
  const Corpus corpus = make_corpus({{"a", "b", "c"}, {"d", "e"}, {"f", "g", "h", "i"}});
  const std::vector<Fold> folds = session_folds(corpus);
  REQUIRE(folds.size() == 6);
  CHECK(folds[0].test_speakers == std::vector<std::string>{"a", "c"});
  CHECK(folds[0].validation_speakers == std::vector<std::string>{"b"});
  CHECK(folds[0].name == "session1-test-first");
  CHECK(folds[1].name == "session1-test-b");
  CHECK(folds[5].test_speakers == std::vector<std::string>{"g", "i"});
  CHECK(folds[5].validation.size() == 16);
}

TEST_CASE("protocol: corpora that cannot be folded are refused") {
  const auto message = [](const Corpus& corpus) {
    return message_of<InputError>([&] { session_folds(corpus); });
  };
  CHECK(contains(message(make_corpus({{"a", "b"}})), "1 session"));
  CHECK(contains(message(make_corpus({})), "0 session"));
  CHECK(contains(message(make_corpus({{"a", "b"}, {"c"}})), "only the speaker c"));
  CHECK(contains(message(make_corpus({{"a", "b"}, {}, {"c", "d"}})), "no speaker"));
  // One speaker in two sessions would test twice.
  CHECK(contains(message(make_corpus({{"a", "b"}, {"a", "c"}})), "is in the sessions 1 and 2"));
  Corpus poor = make_corpus({{"a", "b"}, {"c", "d"}});
  for (Recording& recording : poor.recordings) {
    if (recording.session == 1 && recording.label == 3) recording.label = 0;
  }
  CHECK(contains(message(poor), "no training recording of the class sad"));
}

TEST_CASE("protocol: every leak is refused loudly") {
  const Corpus corpus = make_corpus(kFive);
  const Fold good = session_folds(corpus).front();
  CHECK(refusal(corpus, good).empty());
  Fold fold = good;
  fold.train_speakers.push_back("1F");
  CHECK(contains(refusal(corpus, fold), "LEAK: the speaker 1F"));
  fold = good;
  fold.validation_speakers.push_back("2F");
  CHECK(contains(refusal(corpus, fold), "LEAK: the speaker 2F"));
  fold = good;
  fold.train.push_back(good.test.front());
  CHECK(contains(refusal(corpus, fold), "LEAK: the recording 1F0"));
  fold = good;
  fold.train.push_back(good.train.front());
  CHECK(contains(refusal(corpus, fold), "used twice"));
  fold = good;
  fold.test.clear();
  CHECK(contains(refusal(corpus, fold), "the part test has no recording"));
}

}  // namespace serenade::ser
