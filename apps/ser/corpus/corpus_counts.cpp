// How many recordings each corpus should have, so that a wrong download shows before training.
// IEMOCAP: recomputed from the published labels; the others from their publishers' descriptions.

#include <map>

#include "apps/ser/corpus/corpus_reader.h"

namespace serenade::ser {

namespace {

using Counts = std::vector<int>;  // neutral, angry, happy, sad

const std::map<CorpusKind, std::map<LabelSet, Counts>>& class_counts() {
  static const std::map<CorpusKind, std::map<LabelSet, Counts>> counts = {
      {CorpusKind::iemocap,
       {{LabelSet::impro4, {1099, 289, 284, 608}},                          // 2,280
        {LabelSet::impro4exc, {1099, 289, 284 + 663, 608}},                 // 2,943
        {LabelSet::all4exc, {1708, 1103, 595 + 1041, 1084}}}},              // 5,531
      {CorpusKind::emodb, {{LabelSet::four, {79, 127, 71, 62}}}},           // 339 of 535
      {CorpusKind::urdu, {{LabelSet::four, {100, 100, 100, 100}}}},         // 400
      {CorpusKind::ravdess, {{LabelSet::four, {96, 192, 192, 192}}}},       // 672 of 1,440
      {CorpusKind::cremad, {{LabelSet::four, {1087, 1271, 1271, 1271}}}}};  // 4,900 of 7,442
  return counts;
}

const std::map<std::string, int>& iemocap_impro4_speakers() {
  static const std::map<std::string, int> counts = {
      {"Ses01F", 217}, {"Ses01M", 205}, {"Ses02F", 185}, {"Ses02M", 208}, {"Ses03F", 264},
      {"Ses03M", 274}, {"Ses04F", 149}, {"Ses04M", 221}, {"Ses05F", 298}, {"Ses05M", 259}};
  return counts;
}

const std::map<std::string, int>& emodb_speakers() {
  static const std::map<std::string, int> counts = {{"03", 39}, {"08", 42}, {"09", 30}, {"10", 21},
                                                    {"11", 35}, {"12", 22}, {"13", 36}, {"14", 41},
                                                    {"15", 34}, {"16", 39}};
  return counts;
}

int lookup(const std::map<std::string, int>& counts, const std::string& name) {
  const auto found = counts.find(name);
  return found == counts.end() ? -1 : found->second;
}

}  // namespace

int expected_class_count(CorpusKind kind, LabelSet labels, int label) {
  const auto corpus = class_counts().find(kind);
  if (corpus == class_counts().end()) return -1;
  const auto set = corpus->second.find(labels);
  return set == corpus->second.end() ? -1 : set->second.at(label);
}

int expected_speaker_count(CorpusKind kind, LabelSet labels, const std::string& speaker) {
  if (kind == CorpusKind::iemocap && labels == LabelSet::impro4) {
    return lookup(iemocap_impro4_speakers(), speaker);
  }
  if (kind == CorpusKind::emodb) return lookup(emodb_speakers(), speaker);
  if (kind == CorpusKind::ravdess) return 4 + 3 * 8;  // neutral has one intensity, the others two
  return -1;
}

}  // namespace serenade::ser
