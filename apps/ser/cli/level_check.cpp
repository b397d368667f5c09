#include "apps/ser/cli/level_check.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>
#include <sstream>

#include "apps/ser/common/decibels.h"
#include "apps/ser/common/text_table.h"
#include "apps/ser/evaluation/evaluate.h"
#include "apps/ser/features/level_change.h"
#include "nn/training/progress.h"

namespace serenade::ser {

namespace {

// Recordings are scored together until their spectrograms in memory have so many values:
// 256 MB.
constexpr std::int64_t kMostValues = std::int64_t{1} << 26;

Features at_level(const Features& recorded, const FeatureSettings& settings, float gain) {
  const std::int64_t count = recorded.bins * recorded.frames;
  auto values = std::make_shared<std::vector<float>>(recorded.values, recorded.values + count);
  change_level(values->data(), count, settings, gain);
  return {recorded.bins, recorded.frames, values->data(), values};
}

// recorded: features of the corpus' recordings.
std::vector<Prediction> answers_at(ModelFile& model, const Corpus& corpus,
                                   const std::vector<Features>& recorded, float gain) {
  const FeatureSettings& settings = model.config.features;
  std::vector<Features> features;
  if (gain == 1) {
    features = recorded;
  } else if (can_change_level(settings) && settings.level == RecordingLevel::recorded) {
    for (const Features& one : recorded) features.push_back(at_level(one, settings, gain));
  } else {
    features = extract_features(corpus, settings, {.gain = gain});
  }
  std::vector<int> labels;
  std::vector<std::int64_t> all;
  for (const Recording& recording : corpus.recordings) {
    all.push_back(std::ssize(labels));
    labels.push_back(recording.label);
  }
  const Dataset data(features, labels, all, model.normalisation, model.config.segments);
  return evaluate(*model.recognizer, data, corpus);
}

bool level_dependent(const std::vector<LevelScore>& scores) {
  return std::any_of(scores.begin(), scores.end(),
                     [](const LevelScore& score) { return score.changed > 0; });
}

}  // namespace

void LevelOptions::add_to(CLI::App& command) {
  command
      .add_option("--levels", decibels,
                  "also score so many dB louder or softer, separated by commas; default: -6,6")
      ->delimiter(',')
      ->check(CLI::Range(-100.0, 100.0))
      ->type_name("DB,..");
  command.add_flag("--no-level-check", off,
                   "score at the recorded level only, two to five times as fast");
}

std::string level_name(double decibels) {
  std::ostringstream text;
  text << (decibels > 0 ? "+" : "") << decibels << " dB";
  return text.str();
}

std::vector<LevelScore> score_levels(ModelFile& model, const Corpus& corpus,
                                     const std::vector<Features>& features,
                                     const std::vector<std::int64_t>& wanted,
                                     const std::vector<Prediction>& predictions,
                                     const std::vector<double>& levels) {
  std::vector<LevelScore> scores;
  ProgressBar bar("levels", std::ssize(wanted) * std::ssize(levels));
  std::int64_t done = 0;
  for (const double decibels : levels) {
    std::vector<Prediction> answers;
    for (std::size_t next = 0; next < wanted.size();) {
      Corpus part;
      std::vector<Features> recorded;
      part.name = corpus.name;
      part.classes = corpus.classes;
      for (std::int64_t values = 0; next < wanted.size() && values < kMostValues; ++next) {
        part.recordings.push_back(corpus.recordings.at(wanted[next]));
        recorded.push_back(features.at(wanted[next]));
        values += recorded.back().bins * recorded.back().frames;
      }
      for (Prediction& answer : answers_at(model, part, recorded, gain_of(decibels))) {
        answers.push_back(std::move(answer));
      }
      bar.update(done += std::ssize(part.recordings));
    }
    std::sort(answers.begin(), answers.end(),
              [](const Prediction& a, const Prediction& b) { return a.id < b.id; });
    std::int64_t changed = 0;
    for (std::size_t i = 0; i < answers.size(); ++i) {
      changed += answers[i].predicted != predictions.at(i).predicted;
    }
    scores.push_back({decibels, confusion(answers, corpus.classes),
                      static_cast<double>(changed) / static_cast<double>(answers.size())});
  }
  bar.finish();
  return scores;
}

std::string to_text(const std::vector<LevelScore>& scores) {
  if (scores.empty()) return "";
  std::ostringstream text;
  for (const LevelScore& score : scores) {
    text << "at " << level_name(score.decibels) << ": WA " << percent(score.matrix.wa(), 1)
         << " %, UA " << percent(score.matrix.ua(), 1) << " %; " << percent(score.changed, 1)
         << " % of the answers change\n";
  }
  text << (level_dependent(scores)
               ? "The answers are level-dependent: they change with the volume.\n"
               : "No answer changes with the volume.\n");
  return text.str();
}

std::string to_json(const std::vector<LevelScore>& scores) {
  nlohmann::ordered_json levels = nlohmann::ordered_json::array();
  for (const LevelScore& score : scores) {
    nlohmann::ordered_json counts = nlohmann::ordered_json::array();
    for (int row = 0; row < score.matrix.size(); ++row) {
      nlohmann::ordered_json line = nlohmann::ordered_json::array();
      for (int column = 0; column < score.matrix.size(); ++column) {
        line.push_back(score.matrix.count(row, column));
      }
      counts.push_back(line);
    }
    levels.push_back({{"decibels", score.decibels},
                      {"wa", score.matrix.wa()},
                      {"ua", score.matrix.ua()},
                      {"changed", score.changed},
                      {"confusion", counts}});
  }
  const nlohmann::ordered_json document = {{"level_dependent", level_dependent(scores)},
                                           {"levels", levels}};
  return document.dump();
}

}  // namespace serenade::ser
