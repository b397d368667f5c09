// CREMA-D (Cao et al., IEEE Transactions on Affective Computing 2014): 1001_DFA_ANG_XX.wav is
// speaker, sentence, emotion and level.

#include "apps/ser/corpus/named_files.h"

namespace serenade::ser {

namespace {

NameFields fields_of(const std::smatch& match) {
  static const std::map<std::string, std::string> words = {{"NEU", "neutral"}, {"ANG", "angry"},
                                                           {"HAP", "happy"},   {"SAD", "sad"},
                                                           {"DIS", "disgust"}, {"FEA", "fear"}};
  return {.speaker = match[1], .group = match[2], .label = words.at(match[3])};
}

}  // namespace

CorpusRow cremad_corpus() {
  CorpusRow row;
  row.name = "cremad";
  row.title = "CREMA-D";
  row.speakers = 91;
  row.about = "ODbL 1.0; fetch the audio with git-lfs";
  row.label_sets = {{.name = "four", .class_counts = {1087, 1271, 1271, 1271}},
                    {.name = "all",
                     .classes = {"neutral", "angry", "happy", "sad", "disgust", "fear"},
                     .open = true,
                     .class_counts = {1087, 1271, 1271, 1271, 1271, 1271}}};  // 7,442
  row.sign = "file is named as in CREMA-D (1001_DFA_ANG_XX.wav)";
  return with_named_files(
      row, {.pattern = R"((1\d\d\d)_([A-Z]{3})_(ANG|DIS|FEA|HAP|NEU|SAD)_(LO|MD|HI|XX|X))",
            .fields = fields_of});
}

}  // namespace serenade::ser
