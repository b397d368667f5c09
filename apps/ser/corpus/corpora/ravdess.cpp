// RAVDESS (Livingstone and Russo, PLoS ONE 2018): 03-01-05-01-02-01-12.wav is modality, vocal
// channel, emotion, intensity, statement, repetition and actor. Actors of odd numbers are men.

#include "apps/ser/corpus/named_files.h"

namespace serenade::ser {

namespace {

constexpr int kActors = 24;

NameFields fields_of(const std::smatch& match) {
  static const std::vector<std::string> emotions = {"neutral", "calm", "happy",   "sad",
                                                    "angry",   "fear", "disgust", "surprise"};
  NameFields fields{.speaker = match[7],
                    .group = "statement" + match[5].str(),
                    .session = (std::stoi(match[7]) - 1) / 2};
  if (match[1] == "01" || match[1] == "02") {
    fields.left_out = "video";
  } else if (match[2] == "02") {
    fields.left_out = "song";
  } else {
    fields.label = emotions.at(std::stoi(match[3]) - 1);
  }
  return fields;
}

// Neutral is spoken with one intensity, the others with two.
std::map<std::string, int> speaker_counts() {
  std::map<std::string, int> counts;
  for (int actor = 1; actor <= kActors; ++actor) {
    counts[(actor < 10 ? "0" : "") + std::to_string(actor)] = 4 + 3 * 8;
  }
  return counts;
}

}  // namespace

CorpusRow ravdess_corpus() {
  CorpusRow row;
  row.name = "ravdess";
  row.title = "RAVDESS";
  row.speakers = kActors;
  row.about = "its speech; Zenodo; CC BY-NC-SA 4.0";
  row.label_sets = {
      {.name = "four",
       .class_counts = {96, 192, 192, 192},  // 672 of 1,440
       .speaker_counts = speaker_counts()},
      {.name = "all",
       .classes = {"neutral", "angry", "happy", "sad", "calm", "disgust", "fear", "surprise"},
       .open = true,
       .class_counts = {96, 192, 192, 192, 192, 192, 192, 192}}};  // 1,440
  row.sign = "file is named as in RAVDESS (03-01-05-01-02-01-12.wav)";
  return with_named_files(
      row, {.pattern = R"((0[123])-(0[12])-(0[1-8])-(0[12])-(0[12])-(0[12])-([01]\d|2[0-4]))",
            .fields = fields_of});
}

}  // namespace serenade::ser
