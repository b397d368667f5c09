// EmoDB (Burkhardt et al., Interspeech 2005): 03a01Fa.wav is speaker 03, text a01, emotion F and
// version a. The emotion letters are German: Wut, Freude, Trauer, Neutral; Langeweile, Ekel, Angst.

#include "apps/ser/corpus/named_files.h"

namespace serenade::ser {

namespace {

// A man and a woman of about the same number of recordings each.
int session_of(const std::string& speaker) {
  static const std::vector<std::pair<std::string, std::string>> pairs = {
      {"03", "08"}, {"10", "09"}, {"11", "13"}, {"12", "14"}, {"15", "16"}};
  for (std::size_t i = 0; i < pairs.size(); ++i) {
    if (speaker == pairs[i].first || speaker == pairs[i].second) return static_cast<int>(i);
  }
  return -1;
}

NameFields fields_of(const std::smatch& match) {
  static const std::map<std::string, std::string> words = {
      {"N", "neutral"}, {"W", "angry"},   {"F", "happy"}, {"T", "sad"},
      {"L", "boredom"}, {"E", "disgust"}, {"A", "fear"}};
  return {.speaker = match[1],
          .group = match[2],
          .label = words.at(match[3]),
          .session = session_of(match[1])};
}

}  // namespace

CorpusRow emodb_corpus() {
  CorpusRow row;
  row.name = "emodb";
  row.title = "EmoDB";
  row.speakers = 10;
  row.about = "2005 edition; free download; research";
  row.label_sets = {{.name = "four",
                     .class_counts = {79, 127, 71, 62},  // 339 of 535
                     .speaker_counts = {{"03", 39},
                                        {"08", 42},
                                        {"09", 30},
                                        {"10", 21},
                                        {"11", 35},
                                        {"12", 22},
                                        {"13", 36},
                                        {"14", 41},
                                        {"15", 34},
                                        {"16", 39}}},
                    {.name = "all",
                     .classes = {"neutral", "angry", "happy", "sad", "boredom", "disgust", "fear"},
                     .open = true,
                     .class_counts = {79, 127, 71, 62, 81, 46, 69}}};  // 535
  row.sign = "file is named as in EmoDB (03a01Fa.wav)";
  return with_named_files(
      row, {.pattern = R"((\d\d)([ab]\d\d)([WLEAFTN])[a-z]?)",
            .fields = fields_of,
            .remark = [](Corpus& corpus, std::size_t names) {
              if (names <= 535) return;
              corpus.notes.push_back(
                  "More than EmoDB's 535 recordings: release 2.0 adds 281 that listeners "
                  "disagreed on.");
            }});
}

}  // namespace serenade::ser
