#include "apps/ser/training/model_origin.h"

#include <algorithm>
#include <charconv>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>

#include "tensor/check.h"
#include "tensor/fnv.h"
#include "tensor/json.h"

namespace serenade::ser {

namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kManifest = "manifest";

std::uint64_t from_hex(const std::string& text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, 16);
  check(error == std::errc() && end == text.data() + 16 && text.size() == 16, "a heard sound",
        "must be 16 hexadecimal digits; got ", json_quoted(text));
  return value;
}

bool is_whole(const TimeRange& range) { return range.start <= 0 && range.end < 0; }

// Whether two parts of one sound are mostly the same, as corpus_survey.h has it for duplicates.
bool mostly_the_same(const TimeRange& a, const TimeRange& b) {
  constexpr double kEnd = std::numeric_limits<double>::infinity();
  const auto end = [](const TimeRange& range) { return range.end < 0 ? kEnd : range.end; };
  const double shared = std::min(end(a), end(b)) - std::max(a.start, b.start);
  const double shorter = std::min(end(a) - a.start, end(b) - b.start);
  return shared > 0 && (shorter == kEnd || 2 * shared > shorter);
}

}  // namespace

std::string corpus_fingerprint(const Corpus& corpus) {
  Fnv all;
  for (const Recording& recording : corpus.recordings) {
    for (const std::string& text : {recording.id, recording.label_name, recording.speaker}) {
      all.add_text(text);
    }
    for (const double number : {recording.range.start, recording.range.end}) {
      all.add(&number, sizeof number);
    }
    all.add(&recording.session, sizeof recording.session);
    all.add(&recording.content, sizeof recording.content);
  }
  return std::to_string(corpus.recordings.size()) + " recordings, " + all.hex();
}

ModelOrigin origin_of(const Corpus& corpus, const Fold& fold) {
  ModelOrigin origin{.version = SERENADE_VERSION,
                     .corpus = corpus.name,
                     .kind = corpus.kind,
                     .corpus_fingerprint = corpus_fingerprint(corpus),
                     .train_speakers = fold.train_speakers,
                     .validation_speakers = fold.validation_speakers,
                     .test_speakers = fold.test_speakers,
                     .heard = {}};
  for (const auto* part : {&fold.train, &fold.validation}) {
    for (const std::int64_t i : *part) {
      const Recording& recording = corpus.recordings.at(static_cast<std::size_t>(i));
      origin.heard.push_back({recording.content, recording.range});
    }
  }
  return origin;
}

std::string to_json(const ModelOrigin& origin) {
  Json speakers = Json::object();
  if (origin.validation_speakers.empty() && origin.test_speakers.empty()) {
    speakers["all"] = origin.train_speakers;
  } else {
    speakers = {{"train", origin.train_speakers},
                {"validation", origin.validation_speakers},
                {"test", origin.test_speakers}};
  }
  Json heard = Json::array();
  for (const ModelOrigin::Sound& sound : origin.heard) {
    if (is_whole(sound.range)) {
      heard.push_back(hex_digits(sound.content));
    } else {
      heard.push_back(Json::array({hex_digits(sound.content), sound.range.start, sound.range.end}));
    }
  }
  return Json{{"version", origin.version},  {"corpus", origin.corpus},
              {"corpus_kind", origin.kind}, {"corpus_fingerprint", origin.corpus_fingerprint},
              {"speakers", speakers},       {"heard", heard}}
      .dump();
}

ModelOrigin origin_from_json(const std::string& text) {
  const auto document = parse_json<Json>(text, "what the model was made from");
  ModelOrigin origin;
  document.at("version").get_to(origin.version);
  document.at("corpus").get_to(origin.corpus);
  document.at("corpus_kind").get_to(origin.kind);
  document.at("corpus_fingerprint").get_to(origin.corpus_fingerprint);
  const Json& speakers = document.at("speakers");
  if (speakers.contains("all")) {
    speakers.at("all").get_to(origin.train_speakers);
  } else {
    speakers.at("train").get_to(origin.train_speakers);
    speakers.at("validation").get_to(origin.validation_speakers);
    speakers.at("test").get_to(origin.test_speakers);
  }
  for (const Json& sound : document.at("heard")) {
    if (sound.is_string()) {
      origin.heard.push_back({from_hex(sound.get<std::string>()), {}});
    } else {
      origin.heard.push_back(
          {from_hex(sound.at(0).get<std::string>()),
           {.start = sound.at(1).get<double>(), .end = sound.at(2).get<double>()}});
    }
  }
  return origin;
}

std::vector<HeardRecording> heard_recordings(const ModelOrigin& origin, const Corpus& corpus,
                                             const std::vector<std::int64_t>& recordings) {
  std::map<std::string, std::string> roles;
  const bool same_people =
      origin.corpus == corpus.name || (origin.kind == kManifest && corpus.kind == kManifest);
  if (same_people) {
    for (const std::string& name : origin.validation_speakers) roles[name] = "chose its epoch";
    for (const std::string& name : origin.train_speakers) roles[name] = "trained it";
  }
  std::multimap<std::uint64_t, TimeRange> sounds;
  for (const ModelOrigin::Sound& sound : origin.heard) sounds.insert({sound.content, sound.range});
  std::vector<HeardRecording> heard;
  for (const std::int64_t i : recordings) {
    const Recording& recording = corpus.recordings.at(static_cast<std::size_t>(i));
    const auto role = roles.find(recording.speaker);
    if (role != roles.end()) {
      heard.push_back({i, "is of the speaker " + recording.speaker + ", who " + role->second});
      continue;
    }
    const auto [begin, end] = sounds.equal_range(recording.content);
    const bool same = std::any_of(begin, end, [&](const auto& sound) {
      return mostly_the_same(sound.second, recording.range);
    });
    if (same) heard.push_back({i, "has the sound of a recording that trained it"});
  }
  return heard;
}

}  // namespace serenade::ser
