// URDU (Latif et al., FIT 2018): SM1_F01_A01.wav is speaker SM1, file 01 and emotion A, H, N or S.

#include "apps/ser/corpus/named_files.h"

namespace serenade::ser {

namespace {

NameFields fields_of(const std::smatch& match) {
  static const std::map<std::string, std::string> words = {
      {"N", "neutral"}, {"A", "angry"}, {"H", "happy"}, {"S", "sad"}};
  return {.speaker = match[1], .label = words.at(match[2])};
}

}  // namespace

CorpusRow urdu_corpus() {
  CorpusRow row;
  row.name = "urdu";
  row.title = "URDU";
  row.speakers = 29;
  row.about = "research only; 26 speakers have one emotion each, so results mislead";
  row.label_sets = {{.name = "four", .class_counts = {100, 100, 100, 100}}};
  row.sign = "file is named as in URDU (SM1_F01_A01.wav)";
  return with_named_files(
      row, {.pattern = R"((S[MF]\d+)_F\d+_([AHNS])\d+)",
            .fields = fields_of,
            .remark = [](Corpus& corpus, std::size_t) {
              corpus.notes.push_back(
                  "In URDU most speakers have a single emotion, so that knowing the speaker nearly "
                  "gives the emotion: never use it alone as evidence of emotion recognition.");
            }});
}

}  // namespace serenade::ser
