// Counting a corpus against what its publishers say.

#include <algorithm>
#include <iomanip>
#include <nlohmann/json.hpp>
#include <sstream>

#include "apps/ser/common/names.h"
#include "apps/ser/common/text_table.h"
#include "apps/ser/corpus/activity.h"
#include "apps/ser/corpus/corpus.h"
#include "tensor/text.h"

namespace serenade::ser {

namespace {

void count_rows(const Corpus& corpus, CorpusCheck& check) {
  check.total = {"total", 0, static_cast<int>(corpus.recordings.size())};
  std::map<std::string, int> published;
  for (std::size_t k = 0; k < corpus.labels.class_counts.size(); ++k) {
    published[corpus.labels.classes.at(k)] = corpus.labels.class_counts[k];
  }
  // Those of an open set that are not there are no classes, and yet were published.
  std::vector<std::string> classes = corpus.classes;
  for (const std::string& name : corpus.labels.classes) {
    if (std::find(classes.begin(), classes.end(), name) == classes.end()) classes.push_back(name);
  }
  for (std::size_t k = 0; k < classes.size(); ++k) {
    const bool is_class = k < corpus.classes.size();
    const auto count = published.find(classes[k]);
    if (!is_class && count == published.end()) continue;
    const int label = static_cast<int>(k);
    CountRow row{classes[k], count == published.end() ? -1 : count->second, 0};
    for (const Recording& recording : corpus.recordings) row.found += recording.label == label;
    if (row.expected < 0 || check.total.expected < 0) {
      check.total.expected = -1;
    } else {
      check.total.expected += row.expected;
    }
    check.classes.push_back(row);
  }
  for (const std::string& speaker : corpus.speakers()) {
    const auto count = corpus.labels.speaker_counts.find(speaker);
    CountRow row{speaker, count == corpus.labels.speaker_counts.end() ? -1 : count->second, 0};
    for (const Recording& recording : corpus.recordings) row.found += recording.speaker == speaker;
    check.speakers.push_back(row);
  }
}

void measure(const Corpus& corpus, CorpusCheck& check) {
  for (const Recording& recording : corpus.recordings) {
    const bool first = check.hours == 0;
    check.hours += recording.seconds / 3600;
    check.shortest_seconds =
        first ? recording.seconds : std::min(check.shortest_seconds, recording.seconds);
    check.longest_seconds = std::max(check.longest_seconds, recording.seconds);
    check.silence += recording.silent_seconds / 3600;
    check.silent_edges += recording.edge_seconds / 3600;
  }
  for (double* part : {&check.silence, &check.silent_edges}) {
    *part = check.hours > 0 ? std::min(1.0, *part / check.hours) : 0;
  }
}

bool as_expected(const CountRow& row) { return row.expected < 0 || row.expected == row.found; }

// Every label that there is, beside the classes where the two are not the same.
void write_labels(std::ostream& out, const CorpusCheck& check) {
  const bool alike = std::all_of(check.labels.begin(), check.labels.end(), [](const auto& label) {
    return label.first == label.second.counts_as;
  });
  if (alike) return;
  TextTable table({{"label", Align::left}, {"recordings"}, {"counts as", Align::left}});
  for (const auto& [label, found] : check.labels) {
    table.add_row(
        {label, std::to_string(found.recordings), found.counts_as.empty() ? "-" : found.counts_as});
  }
  out << "Labels that there are (--label-set, --labels and --map say what counts):\n"
      << table.to_text();
}

void write_row(std::ostream& out, const CountRow& row) {
  out << "  " << std::left << std::setw(12) << row.name << std::right << std::setw(8) << row.found
      << std::setw(10) << (row.expected < 0 ? "-" : std::to_string(row.expected))
      << (as_expected(row) ? "" : "   differs") << "\n";
}

template <class Item>
nlohmann::json rows_json(const std::vector<Item>& rows) {
  nlohmann::json list = nlohmann::json::array();
  for (const CountRow& row : rows) {
    list.push_back(
        {{"name", row.name},
         {"expected", row.expected < 0 ? nlohmann::json() : nlohmann::json(row.expected)},
         {"found", row.found}});
  }
  return list;
}

}  // namespace

bool CorpusCheck::ok() const {
  return skipped.empty() && duplicates.empty() && as_expected(total) &&
         std::all_of(classes.begin(), classes.end(), as_expected) &&
         std::all_of(speakers.begin(), speakers.end(), as_expected);
}

CorpusCheck check_corpus(const Corpus& corpus) {
  CorpusCheck check;
  check.corpus = corpus.name;
  check.label_set = corpus.labels.name;
  check.root = shown(corpus.root);
  check.synthetic = corpus.synthetic;
  check.skipped = corpus.skipped;
  check.labels = corpus.found_labels;
  check.left_out = corpus.left_out;
  check.notes = corpus.notes;
  count_rows(corpus, check);
  measure(corpus, check);
  for (int session = 0; session < corpus.session_count(); ++session) {
    check.sessions.push_back(corpus.session_speakers(session));
  }
  check.duplicates = corpus.duplicates;
  check.leaks = corpus.leaks;
  return check;
}

std::string to_text(const CorpusCheck& check) {
  std::ostringstream out;
  out << check.corpus << " (label set " << check.label_set << ") in " << check.root << "\n";
  for (const std::string& note : check.notes) out << "Note: " << note << "\n";
  out << "  " << std::left << std::setw(12) << "class" << std::right << std::setw(8) << "found"
      << std::setw(10) << "expected"
      << "\n";
  for (const CountRow& row : check.classes) write_row(out, row);
  write_row(out, check.total);
  out << "  " << std::left << std::setw(12) << "speaker"
      << "\n";
  for (const CountRow& row : check.speakers) write_row(out, row);
  out << std::fixed << std::setprecision(2) << "Length: " << check.hours << " h, from "
      << check.shortest_seconds << " s to " << check.longest_seconds << " s\n"
      << std::setprecision(1) << "Silence: " << 100 * check.silence << " % of the time lies "
      << std::setprecision(0) << kSilenceDecibels
      << " dB or more below a recording's loudest 10 ms, " << std::setprecision(1)
      << 100 * check.silent_edges << " % at its edges\n";
  for (std::size_t i = 0; i < check.sessions.size(); ++i) {
    out << "Session " << i + 1 << ":";
    for (const std::string& speaker : check.sessions[i]) out << " " << speaker;
    out << "\n";
  }
  write_labels(out, check);
  if (!check.left_out.empty()) {
    out << "Left out by the label set:";
    for (const auto& [label, count] : check.left_out) out << " " << label << " " << count;
    out << "\n";
  }
  for (const SkippedFile& file : check.skipped) {
    out << "Skipped, " << to_string(file.why) << ": " << file.path << ": " << file.reason << "\n";
  }
  for (const std::vector<std::string>& names : check.duplicates) {
    out << "Same content: " << join(names, " ") << "\n";
  }
  for (const std::vector<std::string>& names : check.leaks) {
    out << "Same content for different speakers, so training hears what is tested: "
        << join(names, " ") << "\n";
  }
  const bool counted = check.total.expected >= 0;
  if (check.ok()) {
    out << (counted ? "All counts are as published, every file can be read.\n"
                    : "Every file can be read; no published counts to compare with.\n");
  } else {
    out << "The corpus is not as expected; see the lines above.\n";
  }
  return out.str();
}

std::string to_json(const CorpusCheck& check) {
  nlohmann::json skipped = nlohmann::json::array();
  for (const SkippedFile& file : check.skipped) {
    skipped.push_back({{"why", to_string(file.why)}, {"path", file.path}, {"reason", file.reason}});
  }
  nlohmann::json labels = nlohmann::json::array();
  for (const auto& [label, found] : check.labels) {
    labels.push_back({{"name", label},
                      {"recordings", found.recordings},
                      {"counts_as", found.counts_as.empty() ? nlohmann::json()
                                                            : nlohmann::json(found.counts_as)}});
  }
  const nlohmann::json document = {{"corpus", check.corpus},
                                   {"label_set", check.label_set},
                                   {"root", check.root},
                                   {"synthetic", check.synthetic},
                                   {"ok", check.ok()},
                                   {"classes", rows_json(check.classes)},
                                   {"speakers", rows_json(check.speakers)},
                                   {"total", rows_json(std::vector<CountRow>{check.total})[0]},
                                   {"sessions", check.sessions},
                                   {"skipped", skipped},
                                   {"duplicates", check.duplicates},
                                   {"leaks", check.leaks},
                                   {"labels", labels},
                                   {"left_out", check.left_out},
                                   {"notes", check.notes},
                                   {"hours", check.hours},
                                   {"shortest_seconds", check.shortest_seconds},
                                   {"longest_seconds", check.longest_seconds},
                                   {"silence",
                                    {{"decibels", kSilenceDecibels},
                                     {"share", check.silence},
                                     {"at_edges", check.silent_edges}}}};
  return document.dump(2, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace serenade::ser
