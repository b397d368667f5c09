#include "tests/bench/gpu/summary.h"

#include <algorithm>
#include <cstdio>

#include "apps/ser/models/recognizer.h"

namespace serenade::bench {

namespace {

using Number = std::optional<double>;

const char* const kExact = "float32";
const char* const kFast = "tf32";

std::string with_decimals(double value, int decimals) {
  char text[64];
  std::snprintf(text, sizeof text, "%.*f", decimals, value);
  return text;
}

// A number beside what it should be.
struct Part {
  Number value;
  double limit;
  bool at_least;

  bool met() const { return at_least ? *value >= limit : *value <= limit; }
};

Part at_most(Number value, double limit) { return {value, limit, false}; }
Part at_least(Number value, double limit) { return {value, limit, true}; }

// The line of several parts, met when all are; a part without a value leaves that open, unless
// another has failed.
SummaryLine line(const std::string& item, const std::string& target, const std::vector<Part>& parts,
                 int decimals, const std::string& unit) {
  SummaryLine result{item, target, "", std::nullopt};
  bool any = false, all = true, met = true;
  for (const Part& part : parts) {
    if (!result.measured.empty()) result.measured += " / ";
    result.measured += part.value ? with_decimals(*part.value, decimals) : "not measured";
    any = any || part.value.has_value();
    all = all && part.value.has_value();
    if (part.value) met = met && part.met();
  }
  if (!any) {
    result.measured = "not measured";
    return result;
  }
  if (!unit.empty()) result.measured += " " + unit;
  if (all || !met) result.met = met;
  return result;
}

Number operator+(Number a, Number b) { return a && b ? Number(*a + *b) : std::nullopt; }
Number operator/(Number a, Number b) { return a && b && *b > 0 ? Number(*a / *b) : std::nullopt; }

class Targets {
 public:
  explicit Targets(const std::vector<MeasuredRow>& rows) : rows_(rows) {}

  void add_gru() {
    const std::string item = kRecurrenceItem;
    lines_.push_back(line(item + ": forward / backward", "at most 9 / 15 us",
                          {at_most(ours(item + ", forward", kExact), 9),
                           at_most(ours(item + ", backward", kExact), 15)},
                          1, "us"));
    for (const char* mode : {kExact, kFast}) {
      const std::string forward = kGruItem + std::string(", forward");
      const std::string backward = kGruItem + std::string(", backward");
      const Number theirs = peer(forward, mode, "cuDNN") + peer(backward, mode, "cuDNN");
      const Number faster = theirs / (ours(forward, mode) + ours(backward, mode));
      lines_.push_back(line("whole GRU, forward + backward, against cuDNN, " + std::string(mode),
                            "at least 1.5 times faster", {at_least(faster, 1.5)}, 2, "times"));
    }
  }

  void add_capsules() {
    const std::string item = kCapsuleItem;
    const std::string forward = item + ", forward", backward = item + ", backward";
    const std::string both = item + ": forward / backward";
    lines_.push_back(line(both, "at most 50 / 60 us",
                          {at_most(ours(forward, kExact), 50), at_most(ours(backward, kExact), 60)},
                          1, "us"));
    const auto against = [&](const char* name, const char* form, double limit) {
      lines_.push_back(line(both + ", against " + name,
                            "at least " + with_decimals(limit, 0) + " times faster",
                            {at_least(faster(forward, kExact, form), limit),
                             at_least(faster(backward, kExact, form), limit)},
                            2, "times"));
    };
    against("PyTorch eager", "eager", 10);
    against("torch.compile", "compiled", 3);
  }

  void add_steps(const std::string& system) {
    const std::string single = step(system, "none");
    lines_.push_back(line(
        "training step, " + system + ", paper, batch 16, against PyTorch eager / torch.compile",
        "at least 3 / 1.5 times faster",
        {at_least(faster(single, kFast, "eager"), 3),
         at_least(faster(single, kFast, "compiled"), 1.5)},
        2, "times"));
    for (const char* mode : {"joint", "dropout"}) {
      const std::string item = step(system, mode);
      const std::string name = "supernet step, " + system + ", " + mode;
      lines_.push_back(line(name + ", against PyTorch naive eager / merged torch.compile",
                            "at least 8 / 1.5 times faster",
                            {at_least(faster(item, kFast, "eager, naive"), 8),
                             at_least(faster(item, kFast, "compiled, merged"), 1.5)},
                            2, "times"));
      lines_.push_back(line(name + " / single step, ours", "at most 1.4",
                            {at_most(ours(item, kFast) / ours(single, kFast), 1.4)}, 2, ""));
    }
  }

  void add(const NamedNumber& number) {
    lines_.push_back(
        line(number.item, number.target, {at_most(number.value, number.limit)}, 2, number.unit));
  }

  const std::vector<SummaryLine>& lines() const { return lines_; }

 private:
  // The item of items_steps.cpp.
  static std::string step(const std::string& system, const std::string& mode) {
    return system + ", " + mode + ", paper, batch 16";
  }

  Number ours(const std::string& item, const std::string& mode) const {
    for (const MeasuredRow& row : rows_) {
      if (row.item == item && row.mode == mode) return row.microseconds;
    }
    return std::nullopt;
  }

  // The fastest of the peers whose names contain `form`.
  Number peer(const std::string& item, const std::string& mode, const std::string& form) const {
    Number best;
    for (const MeasuredRow& row : rows_) {
      if (row.item != item || row.mode != mode || row.peer_microseconds <= 0) continue;
      if (row.peer.find(form) == std::string::npos) continue;
      best = std::min(best.value_or(row.peer_microseconds), row.peer_microseconds);
    }
    return best;
  }

  Number faster(const std::string& item, const std::string& mode, const std::string& form) const {
    return peer(item, mode, form) / ours(item, mode);
  }

  const std::vector<MeasuredRow>& rows_;
  std::vector<SummaryLine> lines_;
};

}  // namespace

std::vector<SummaryLine> summarize(const std::vector<MeasuredRow>& rows,
                                   const std::vector<NamedNumber>& numbers) {
  Targets targets(rows);
  targets.add_gru();
  targets.add_capsules();
  for (const char* system : {ser::kGruAtt, ser::kSeqCap}) targets.add_steps(system);
  for (const NamedNumber& number : numbers) targets.add(number);
  return targets.lines();
}

std::string to_table(const std::vector<SummaryLine>& lines) {
  std::string table = "| item | target | measured | met |\n|---|---|---|---|\n";
  for (const SummaryLine& line : lines) {
    const char* met = !line.met ? "" : *line.met ? "yes" : "no";
    table += "| " + line.item + " | " + line.target + " | " + line.measured + " | " + met + " |\n";
  }
  return table;
}

}  // namespace serenade::bench
