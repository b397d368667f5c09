#include "apps/ser/corpus/label_choice.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "apps/ser/common/error.h"
#include "apps/ser/common/files.h"
#include "apps/ser/common/json_input.h"
#include "apps/ser/common/names.h"
#include "tensor/text.h"

namespace serenade::ser {

namespace {

using Json = nlohmann::ordered_json;

bool has(const std::vector<std::string>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

void add_once(std::vector<std::string>& names, const std::string& name) {
  if (!name.empty() && !has(names, name)) names.push_back(name);
}

Json label_map_of(const std::string& text, const std::string& source) {
  Json map = json_input<Json>(text, source);
  if (!map.is_object()) {
    throw InputError(source + R"(: a label map is a JSON object such as {"excited": "happy", )" +
                     R"("boredom": null})");
  }
  for (const auto& [label, name] : map.items()) {
    const std::string fault = name.is_null()     ? ""
                              : name.is_string() ? name_fault(name.get<std::string>())
                                                 : "is neither a text nor null";
    if (fault.empty()) continue;
    throw InputError(source + ": what the label '" + shown(label) + "' counts as " + fault +
                     "; give the name of a class, or null to leave it out");
  }
  return map;
}

}  // namespace

std::vector<std::string> label_names(const std::string& text) {
  std::vector<std::string> names;
  for (std::size_t begin = 0; !text.empty() && begin <= text.size();) {
    const std::size_t end = std::min(text.find(',', begin), text.size());
    std::string name = text.substr(begin, end - begin);
    name.erase(0, std::min(name.find_first_not_of(' '), name.size()));
    name.erase(name.find_last_not_of(' ') + 1);
    const std::string fault = name_fault(name);
    if (!fault.empty()) throw InputError("labels: the name '" + shown(name) + "' " + fault);
    if (has(names, name)) throw InputError("labels: " + name + " is named twice");
    names.push_back(name);
    begin = end + 1;
  }
  if (names.size() == 1) {
    throw InputError("labels: at least two classes are needed; got only " + names.front());
  }
  return names;
}

std::string label_map_text(const std::string& given) {
  if (given.empty()) return "";
  const bool is_text = given[given.find_first_not_of(" \t\r\n") % given.size()] == '{';
  return label_map_of(is_text ? given : read_text_file(given), is_text ? "map" : given).dump();
}

LabelChoice::LabelChoice(LabelSet set, const CorpusSpec& spec)
    : set_(std::move(set)),
      classes_(spec.classes),
      open_(set_.open && spec.classes.empty()),
      required_(!spec.classes.empty() && spec.complete) {
  if (!spec.map.empty()) {
    const Json map = label_map_of(spec.map, "map");
    for (const auto& [label, name] : map.items()) {
      map_.push_back({label, std::nullopt});
      if (!name.is_null()) map_.back().second = name.get<std::string>();
    }
  }
  if (classes_.empty()) {
    for (const std::string& name : set_.classes) add_once(classes_, mapped(name));
    for (const auto& [label, name] : map_) add_once(classes_, name.value_or(""));
  }
  if (!open_ && classes_.size() < 2) {
    throw InputError("labels: the map leaves " +
                     (classes_.empty() ? "no class" : "only the class " + classes_.front()) +
                     ", and at least two are needed; name them with --labels, or choose "
                     "--label-set all");
  }
  if (classes_ != set_.classes || !map_.empty()) set_.class_counts.clear();
  if (set_.class_counts.empty()) set_.speaker_counts.clear();
  set_.classes = classes_;
}

const std::optional<std::string>* LabelChoice::find(const std::string& label) const {
  const auto found = std::find_if(map_.begin(), map_.end(),
                                  [&](const auto& entry) { return entry.first == label; });
  return found == map_.end() ? nullptr : &found->second;
}

// "" where the map leaves it out.
std::string LabelChoice::mapped(const std::string& label) const {
  if (const auto* name = find(label)) return name->value_or("");
  const auto merged = set_.merged.find(label);
  if (merged == set_.merged.end()) return label;
  if (const auto* name = find(merged->second)) return name->value_or("");
  return merged->second;
}

std::string LabelChoice::count(Corpus& corpus, const std::string& label) const {
  std::string name = mapped(label);
  if (!open_ && !has(classes_, name)) name.clear();
  FoundLabel& found = corpus.found_labels[label];
  ++found.recordings;
  found.counts_as = name;
  if (name.empty()) ++corpus.left_out[label];
  return name;
}

// "angry 127, boredom 81": by the names that they can be asked for by.
std::string LabelChoice::labels_of(const Corpus& corpus) const {
  std::map<std::string, int> counts;
  for (const auto& [label, found] : corpus.found_labels) {
    const std::string name = mapped(label);
    if (!name.empty()) counts[name] += found.recordings;
  }
  std::vector<std::string> words;
  for (const auto& [name, count] : counts) {
    if (words.size() == kMostClasses) break;
    words.push_back(shown(name) + " " + std::to_string(count));
  }
  if (counts.size() > words.size()) {
    words.push_back("and " + std::to_string(counts.size() - words.size()) + " more");
  }
  return words.empty() ? "none" : join(words, ", ");
}

std::vector<std::string> LabelChoice::classes(Corpus& corpus) const {
  std::set<std::string> present;
  for (const Recording& recording : corpus.recordings) present.insert(recording.label_name);
  for (const auto& [label, name] : map_) {
    if (corpus.found_labels.contains(label)) continue;
    corpus.notes.push_back("The label map names '" + shown(label) +
                           "', which no recording has; there are " + labels_of(corpus) + ".");
  }
  if (!open_) {
    for (const std::string& name : classes_) {
      if (!required_ || present.contains(name)) continue;
      throw InputError(shown(corpus.root) + ": no recording has the label '" + shown(name) +
                       "'; there are " + labels_of(corpus));
    }
    return classes_;
  }
  std::vector<std::string> names;
  for (const std::string& name : classes_) {
    if (present.contains(name)) names.push_back(name);
  }
  for (const std::string& name : present) add_once(names, name);
  if (names.size() > kMostClasses) {
    throw InputError(shown(corpus.root) + ": has " + std::to_string(names.size()) +
                     " different labels, more than " + std::to_string(kMostClasses) +
                     " classes; is the right column called label? Else choose --labels A,B,..");
  }
  if (names.size() == 1) {
    throw InputError(shown(corpus.root) + ": has only the class " + shown(names.front()) +
                     ", and at least two are needed; its labels are " + labels_of(corpus));
  }
  return names;
}

}  // namespace serenade::ser
