// Folds over sessions, and the check that no speaker leaks.

#include "apps/ser/data/protocol.h"

#include <algorithm>
#include <map>
#include <set>

#include "apps/ser/common/error.h"

namespace serenade::ser {

namespace {

enum Part { kTrain, kValidation, kTest, kParts };
constexpr const char* kPartNames[kParts] = {"train", "validation", "test"};

const std::vector<std::string>& speakers_of(const Fold& fold, int part) {
  return part == kTrain        ? fold.train_speakers
         : part == kValidation ? fold.validation_speakers
                               : fold.test_speakers;
}

const std::vector<std::int64_t>& recordings_of(const Fold& fold, int part) {
  return part == kTrain ? fold.train : part == kValidation ? fold.validation : fold.test;
}

Fold make_fold(const Corpus& corpus, int session, const std::vector<std::string>& validation,
               const std::vector<std::string>& test, const std::string& side) {
  Fold fold;
  fold.session = session;
  fold.name =
      "session" + std::to_string(session + 1) + "-test-" + (test.size() == 1 ? test.front() : side);
  fold.validation_speakers = validation;
  fold.test_speakers = test;
  const std::set<std::string> validating(validation.begin(), validation.end());
  const std::set<std::string> testing(test.begin(), test.end());
  for (const std::string& speaker : corpus.speakers()) {
    if (!validating.contains(speaker) && !testing.contains(speaker)) {
      fold.train_speakers.push_back(speaker);
    }
  }
  for (std::size_t i = 0; i < corpus.recordings.size(); ++i) {
    const std::string& speaker = corpus.recordings[i].speaker;
    auto& part = validating.contains(speaker) ? fold.validation
                 : testing.contains(speaker)  ? fold.test
                                              : fold.train;
    part.push_back(static_cast<std::int64_t>(i));
  }
  return fold;
}

[[noreturn]] void refuse(const Fold& fold, const std::string& problem) {
  throw InputError("fold " + fold.name + ": " + problem);
}

// Such a speaker would test twice, and the pooled counts would be wrong.
void check_sessions(const Corpus& corpus) {
  std::map<std::string, int> session_of;
  for (const Recording& recording : corpus.recordings) {
    const auto [found, fresh] = session_of.emplace(recording.speaker, recording.session);
    if (fresh || found->second == recording.session) continue;
    throw InputError(corpus.name + ": the speaker " + recording.speaker + " is in the sessions " +
                     std::to_string(found->second + 1) + " and " +
                     std::to_string(recording.session + 1) + "; a speaker belongs to one session");
  }
}

void check_classes(const Corpus& corpus, const Fold& fold) {
  std::vector<int> counts(corpus.classes.size());
  for (const std::int64_t i : fold.train) ++counts.at(corpus.recordings[i].label);
  for (std::size_t k = 0; k < counts.size(); ++k) {
    if (counts[k] > 0) continue;
    refuse(fold,
           "no training recording of the class " + corpus.classes[k] +
               "; use a corpus whose speakers show every emotion, or choose others with --labels");
  }
}

}  // namespace

std::vector<Fold> session_folds(const Corpus& corpus, Direction direction) {
  const int sessions = corpus.session_count();
  if (sessions < 2) {
    throw InputError(corpus.name + ": has " + std::to_string(sessions) +
                     " session of speakers, and a fold holds one out and trains on the others; "
                     "give at least four speakers");
  }
  check_sessions(corpus);
  std::vector<Fold> folds;
  for (int session = 0; session < sessions; ++session) {
    std::vector<std::string> first, second;
    const std::vector<std::string> speakers = corpus.session_speakers(session);
    for (std::size_t i = 0; i < speakers.size(); ++i) {
      (i % 2 == 0 ? first : second).push_back(speakers[i]);
    }
    if (second.empty()) {
      throw InputError(corpus.name + ": session " + std::to_string(session + 1) + " has " +
                       (first.empty() ? "no speaker" : "only the speaker " + first.front()) +
                       ", and a held-out session needs one to validate and one to test; join it "
                       "with another session (a manifest's group column does this)");
    }
    if (direction != Direction::second) {
      folds.push_back(make_fold(corpus, session, second, first, "first"));
    }
    if (direction != Direction::first) {
      folds.push_back(make_fold(corpus, session, first, second, "second"));
    }
  }
  for (const Fold& fold : folds) check_fold(corpus, fold);
  return folds;
}

Fold final_fold(const Corpus& corpus) {
  Fold fold;
  fold.name = kFinalFold;
  fold.session = -1;
  fold.train_speakers = corpus.speakers();
  for (std::size_t i = 0; i < corpus.recordings.size(); ++i) {
    fold.train.push_back(static_cast<std::int64_t>(i));
  }
  return fold;
}

void check_fold(const Corpus& corpus, const Fold& fold) {
  std::map<std::string, int> part_of;
  std::set<std::int64_t> used;
  for (int part = 0; part < kParts; ++part) {
    if (recordings_of(fold, part).empty()) {
      refuse(fold, std::string("the part ") + kPartNames[part] + " has no recording");
    }
    for (const std::string& speaker : speakers_of(fold, part)) {
      const auto [found, fresh] = part_of.emplace(speaker, part);
      if (!fresh) {
        refuse(fold, "LEAK: the speaker " + speaker + " is in " + kPartNames[found->second] +
                         " and in " + kPartNames[part] + "; results would be worthless");
      }
    }
  }
  for (int part = 0; part < kParts; ++part) {
    for (const std::int64_t i : recordings_of(fold, part)) {
      const Recording& recording = corpus.recordings.at(i);
      const auto found = part_of.find(recording.speaker);
      if (found == part_of.end() || found->second != part) {
        refuse(fold, "LEAK: the recording " + recording.relative_path + " of speaker " +
                         recording.speaker + " is in " + kPartNames[part] +
                         ", where this speaker does not belong");
      }
      if (!used.insert(i).second) {
        refuse(fold, "LEAK: the recording " + recording.relative_path + " is used twice");
      }
    }
  }
  check_classes(corpus, fold);
}

}  // namespace serenade::ser
