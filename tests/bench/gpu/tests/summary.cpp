// The table at the end of `make bench-gpu`, from made-up rows.

#include <doctest/doctest.h>

#include <algorithm>

#include "tests/bench/gpu/summary.h"

using namespace serenade::bench;

namespace {

const SummaryLine& line_of(const std::vector<SummaryLine>& lines, const std::string& item) {
  const auto found = std::find_if(lines.begin(), lines.end(), [&](const SummaryLine& line) {
    return line.item.find(item) != std::string::npos;
  });
  REQUIRE(found != lines.end());
  return *found;
}

// The same item in both modes, so that a line that took the wrong one would show.
void add(std::vector<MeasuredRow>& rows, const std::string& item, const std::string& mode,
         double ours, const std::string& peer = "", double theirs = 0) {
  rows.push_back({item, mode, ours, peer, theirs});
  rows.push_back({item, "another mode", 1e6, peer, 1e-3});
}

}  // namespace

TEST_CASE("a summary without rows says that nothing was measured") {
  const auto lines = summarize({}, {{"one search", "under 1 min", 60, "s", {}}});
  CHECK(lines.size() == 17);
  for (const SummaryLine& line : lines) {
    CHECK(line.measured == "not measured");
    CHECK(!line.met);
  }
  CHECK(lines.back().item == "one search");
  CHECK(to_table(lines).find("| one search | under 1 min | not measured |  |\n") !=
        std::string::npos);
}

TEST_CASE("a summary compares the times of the recurrence and of capsules with their limits") {
  std::vector<MeasuredRow> rows;
  const std::string recurrence = kRecurrenceItem, capsules = kCapsuleItem;
  add(rows, recurrence + ", forward", "float32", 8.25);
  add(rows, recurrence + ", backward", "float32", 15.5);
  add(rows, capsules + ", forward", "float32", 50, "PyTorch 2 eager, einsum", 700);
  add(rows, capsules + ", forward", "float32", 50, "PyTorch 2 eager, batched products", 500);
  add(rows, capsules + ", forward", "float32", 50, "PyTorch 2 compiled, einsum", 200);
  add(rows, capsules + ", backward", "float32", 60, "PyTorch 2 eager, einsum", 1200);

  const auto lines = summarize(rows, {});
  const SummaryLine& first = lines.front();
  CHECK(first.measured == "8.2 / 15.5 us");
  CHECK(first.met == false);
  CHECK(line_of(lines, capsules + ": forward / backward").measured == "50.0 / 60.0 us");
  CHECK(line_of(lines, capsules + ": forward / backward").met == true);
  CHECK(line_of(lines, "against PyTorch eager").measured == "10.00 / 20.00 times");
  CHECK(line_of(lines, "against PyTorch eager").met == true);
  // Half of it is missing: nothing can be said of the whole.
  CHECK(line_of(lines, "against torch.compile").measured == "4.00 / not measured times");
  CHECK(!line_of(lines, "against torch.compile").met);
}

TEST_CASE("a summary divides sums of forward and backward, mode by mode") {
  std::vector<MeasuredRow> rows;
  const std::string gru = kGruItem;
  add(rows, gru + ", forward", "float32", 10, "cuDNN float32", 30);
  add(rows, gru + ", backward", "float32", 30, "cuDNN float32", 40);
  add(rows, gru + ", forward", "tf32", 10, "cuDNN tf32", 10);
  add(rows, gru + ", backward", "tf32", 10, "cuDNN tf32", 10);
  const auto lines = summarize(rows, {});
  CHECK(line_of(lines, "against cuDNN, float32").measured == "1.75 times");
  CHECK(line_of(lines, "against cuDNN, float32").met == true);
  CHECK(line_of(lines, "against cuDNN, tf32").measured == "1.00 times");
  CHECK(line_of(lines, "against cuDNN, tf32").met == false);
}

TEST_CASE("a summary compares steps with PyTorch's forms and with each other") {
  std::vector<MeasuredRow> rows;
  const std::string single = "CNN_SeqCap, none, paper, batch 16";
  add(rows, single, "tf32", 100, "PyTorch 2 eager", 310);
  add(rows, single, "tf32", 100, "PyTorch 2 compiled", 160);
  const std::string joint = "CNN_SeqCap, joint, paper, batch 16";
  add(rows, joint, "tf32", 150, "PyTorch 2 eager, naive", 1500);
  add(rows, joint, "tf32", 150, "PyTorch 2 compiled, merged", 150);
  const auto lines = summarize(rows, {{"Table 2", "under 1 h", 1, "h", 0.5}});
  CHECK(line_of(lines, "training step, CNN_SeqCap").measured == "3.10 / 1.60 times");
  CHECK(line_of(lines, "training step, CNN_SeqCap").met == true);
  CHECK(!line_of(lines, "training step, CNN_GRU_att").met);
  CHECK(line_of(lines, "CNN_SeqCap, joint, against").measured == "10.00 / 1.00 times");
  CHECK(line_of(lines, "CNN_SeqCap, joint, against").met == false);
  CHECK(line_of(lines, "CNN_SeqCap, joint / single").measured == "1.50");
  CHECK(line_of(lines, "CNN_SeqCap, joint / single").met == false);
  CHECK(!line_of(lines, "CNN_SeqCap, dropout / single").met);
  CHECK(lines.back().measured == "0.50 h");
  CHECK(lines.back().met == true);
}
