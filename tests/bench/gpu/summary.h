#pragma once
// What was aimed at and what was measured, side by side: the table at the end of `make bench-gpu`.

#include <optional>
#include <string>
#include <vector>

namespace serenade::bench {

/// The items that the summary looks for; ", forward" and ", backward" follow.
inline constexpr char kRecurrenceItem[] =
    "recurrence alone, GRU 64, both directions, T 50, batch 32";
inline constexpr char kGruItem[] = "GRU 64, both directions, T 50, batch 32, input 2048";
inline constexpr char kCapsuleItem[] = "capsules, 144 windows of 1280, votes and routing";

/// A row of the report. An item with several peers has a row for each.
struct MeasuredRow {
  std::string item, mode;
  double microseconds = 0;
  std::string peer;  ///< empty: none
  double peer_microseconds = 0;
};

/// A line of the summary that is one number, met when it is at most `limit`.
struct NamedNumber {
  std::string item;
  std::string target;  ///< the limit in words
  double limit = 0;
  std::string unit;
  std::optional<double> value;  ///< none: not measured
};

struct SummaryLine {
  std::string item, target, measured;
  std::optional<bool> met;  ///< none: not measured
};

/// One line for each target, those of `numbers` last.
std::vector<SummaryLine> summarize(const std::vector<MeasuredRow>& rows,
                                   const std::vector<NamedNumber>& numbers);

/// As a Markdown table.
std::string to_table(const std::vector<SummaryLine>& lines);

}  // namespace serenade::bench
