// Accuracies by hand, the paper's numbers, and tables of text.

#include "apps/ser/evaluation/metrics.h"

#include <doctest/doctest.h>

#include <cmath>
#include <stdexcept>

#include "apps/ser/common/text_table.h"
#include "apps/ser/report/paper.h"

using namespace serenade::ser;
using doctest::Approx;

namespace {

// rows true, columns predicted:   a  b  c
//                              a  6  2  0   recall 6/8
//                              b  1  3  0   recall 3/4
//                              c  4  0  0   recall 0
ConfusionMatrix small_matrix() {
  ConfusionMatrix matrix({"a", "b", "c"});
  matrix.add(0, 0, 6);
  matrix.add(0, 1, 2);
  matrix.add(1, 0);
  matrix.add(1, 1, 3);
  matrix.add(2, 0, 4);
  return matrix;
}

}  // namespace

TEST_CASE("accuracies of a small confusion matrix are those computed by hand") {
  const ConfusionMatrix m = small_matrix();
  CHECK(m.total() == 16);
  CHECK(m.count(0, 1) == 2);
  CHECK(m.row_total(0) == 8);
  CHECK(m.column_total(0) == 11);
  CHECK(m.wa() == Approx(9.0 / 16));
  CHECK(m.ua() == Approx((0.75 + 0.75 + 0) / 3));
  // F1 = 2 hits / (true + predicted): 12/19, 6/9 and 0.
  CHECK(m.macro_f1() == Approx((12.0 / 19 + 6.0 / 9 + 0) / 3));
  CHECK(m.recalls()[0] == Approx(0.75));
  CHECK(m.precisions()[0] == Approx(6.0 / 11));
  CHECK(std::isnan(m.precisions()[2]));  // c is never predicted
  CHECK(m.majority_class() == 0);
  CHECK(m.majority_baseline() == Approx(0.5));
  CHECK(m.majority_baseline_ua() == Approx(1.0 / 3));
}

TEST_CASE("a class that does not occur takes no part in UA and macro F1") {
  ConfusionMatrix m({"a", "b", "absent"});
  m.add(0, 0, 3);
  m.add(0, 2, 1);
  m.add(1, 1, 1);
  m.add(1, 0, 1);
  CHECK(m.ua() == Approx((0.75 + 0.5) / 2));
  CHECK(m.macro_f1() == Approx((6.0 / 8 + 2.0 / 3) / 2));
  CHECK(std::isnan(m.recalls()[2]));
  CHECK(m.majority_baseline_ua() == Approx(0.5));
}

TEST_CASE("an empty matrix has no accuracy rather than a wrong one") {
  const ConfusionMatrix m({"a", "b"});
  CHECK(std::isnan(m.wa()));
  CHECK(std::isnan(m.ua()));
  CHECK(std::isnan(m.macro_f1()));
  CHECK(m.majority_class() == -1);
  CHECK(std::isnan(m.majority_baseline()));
}

TEST_CASE("pooling adds counts, which is not the mean of the accuracies") {
  ConfusionMatrix large({"a", "b"}), tiny({"a", "b"});
  large.add(0, 0, 90);
  large.add(1, 0, 10);
  tiny.add(1, 1, 2);
  const ConfusionMatrix sum = pooled({large, tiny});
  CHECK(sum.total() == 102);
  CHECK(sum.wa() == Approx(92.0 / 102));
  CHECK(sum.ua() == Approx((1 + 2.0 / 12) / 2));
  CHECK(pooled({}).total() == 0);
  CHECK_THROWS_AS(large.add(ConfusionMatrix({"a", "c"})), std::invalid_argument);
}

TEST_CASE("predictions are counted, and class indices checked") {
  const std::vector<Prediction> predictions = {
      {.id = "1", .speaker = "s", .label = 0, .predicted = 1},
      {.id = "2", .speaker = "s", .label = 1, .predicted = 1}};
  const ConfusionMatrix m = confusion(predictions, {"a", "b"});
  CHECK(m.count(0, 1) == 1);
  CHECK(m.count(1, 1) == 1);
  CHECK(m.total() == 2);
  CHECK_THROWS_AS(confusion(predictions, {"a"}), std::invalid_argument);
  ConfusionMatrix other({"a", "b"});
  CHECK_THROWS_AS(other.add(-1, 0), std::invalid_argument);
  CHECK_THROWS_AS(other.add(0, 0, -1), std::invalid_argument);
}

TEST_CASE("the paper's Table 2 is found by system and mode in any spelling") {
  CHECK(paper_table2().size() == 10);
  const PaperResult* best = paper_result("CNN_SeqCap", "dropout");
  REQUIRE(best != nullptr);
  CHECK(best->wa == Approx(0.7054));
  CHECK(best->ua == Approx(0.5694));
  CHECK(best->thousand_parameters == 700);
  CHECK(paper_result("cnn-gru-att", "None") == &paper_table2().front());
  CHECK(paper_result("CNN_GRU_att", "gdas") == nullptr);
}

TEST_CASE("tables align on the terminal and escape in Markdown") {
  TextTable table({{"name", Align::left}, {"WA"}});
  table.add_row({"none", "68.2"});
  table.add_rule();
  table.add_row({"m\u00b1|x"});
  CHECK(table.to_text() ==
        "name    WA\n"
        "----------\n"
        "none  68.2\n"
        "----------\n"
        "m\u00b1|x\n");
  CHECK(table.to_markdown() ==
        "| name | WA |\n"
        "|---|---:|\n"
        "| none | 68.2 |\n"
        "| m\u00b1\\|x |  |\n");
  CHECK_THROWS_AS(table.add_row({"1", "2", "3"}), std::invalid_argument);
}

TEST_CASE("numbers are written for people") {
  CHECK(percent(0.7054) == "70.54");
  CHECK(percent(std::nan("")) == "-");
  CHECK(fixed(1.005, 1) == "1.0");
  CHECK(compact(0.0005) == "0.0005");
  CHECK(grouped(833076) == "833,076");
  CHECK(grouped(-1234567) == "-1,234,567");
  CHECK(grouped(999) == "999");
  CHECK(p_value(0.0341) == "0.034");
  CHECK(p_value(0.00001) == "< 0.001");
}
