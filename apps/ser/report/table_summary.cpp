#include "apps/ser/report/table_summary.h"

#include <cmath>
#include <stdexcept>
#include <vector>

#include "apps/ser/common/names.h"
#include "apps/ser/common/text_table.h"
#include "nas/table_statistics.h"
#include "tensor/check.h"

namespace serenade::ser {

namespace {

constexpr double kSeen = 0.05;  // p values below are called a difference that is seen

// Of fewer, not even two rankings that agree in every pair are told from chance: they are the same
// or opposite in 2 of n! cases, which is more than kSeen.
constexpr std::size_t kFewestRanked = 5;

// Epochs that are told beside the last, as far as the table holds them.
std::vector<TableScores> earlier_epochs(const ResultTable& table, const TableScores& last,
                                        std::vector<std::int64_t>& epochs) {
  std::vector<TableScores> found;
  for (const std::int64_t epoch : {1, 2, 5, 10}) {
    if (epoch >= table.last_epoch()) break;
    TableScores scores = table_scores(table, epoch, table.parts());
    if (scores.architectures != last.architectures) continue;
    epochs.push_back(epoch);
    found.push_back(std::move(scores));
  }
  return found;
}

std::string told_p(double p) {
  const std::string value = p_value(p);
  return value.starts_with("<") ? "p " + value : "p = " + value;
}

std::string noise_ceiling(const ResultTable& table, const TableScores& last) {
  const double ceiling = tau_between_seeds(last, last);
  const double chance = kendall_by_chance(last.architectures.size());
  std::vector<std::int64_t> epochs;
  const std::vector<TableScores> early = earlier_epochs(table, last, epochs);
  const std::string end = "epoch " + std::to_string(table.last_epoch());
  TextTable rows({{"Kendall's tau", Align::left}, {"same seed"}, {"another seed"}});
  for (std::size_t i = 0; i < early.size(); ++i) {
    rows.add_row({"epoch " + std::to_string(epochs[i]) + " and " + end,
                  fixed(tau_within_seeds(early[i], last), 3),
                  fixed(tau_between_seeds(early[i], last), 3)});
  }
  rows.add_row({end + " and itself", "1", fixed(ceiling, 3)});
  std::string text = rows.to_text();
  text += "Unrelated rankings stay within " + fixed(chance, 3) + " of 0 in 95 cases of 100.\n";
  if (last.seeds.size() < 2) {
    return text + "There is one seed: how well a training can be told at all is not known.\n";
  }
  text +=
      "The noise ceiling: of two architectures, the one that did better in one training does "
      "better in another in " +
      percent((1 + ceiling) / 2, 0) + " % of all cases (50 % is a coin).\n";
  if (!early.empty()) {
    text +=
        "The other rows say how well the ranking by a short training tells that by its own end, "
        "and by the end of another training.\n";
  }
  return text;
}

std::string choices(const ResultTable& table, const TableScores& last) {
  try {
    const ChoiceAnova anova =
        choice_anova(table.space(), last.architectures, last.mean_scores(last.all_parts()));
    TextTable rows(
        {{"choice", Align::left}, {"share %"}, {"beyond chance %"}, {"F"}, {"degrees"}, {"p"}});
    const auto degrees = [&](std::int64_t of_choice) {
      return std::to_string(of_choice) + ", " + std::to_string(anova.residual_degrees);
    };
    for (const ChoiceVariance& one : anova.choices) {
      rows.add_row({one.choice, percent(one.share, 1), percent(one.beyond_chance, 1),
                    fixed(one.f, 2), degrees(one.degrees), p_value(one.p_value)});
    }
    rows.add_rule();
    rows.add_row({"all", percent(anova.share, 1), percent(anova.beyond_chance, 1),
                  fixed(anova.f, 2), degrees(anova.degrees), p_value(anova.p_value)});
    const double by_noise = static_cast<double>(anova.degrees) /
                            static_cast<double>(std::ssize(last.architectures) - 1);
    return rows.to_text() + "The choices, each by itself, explain " + percent(anova.share, 1) +
           " % of how architectures differ (mean of the seeds); of pure noise they would explain " +
           percent(by_noise, 1) +
           " %.\nThe rest is noise and what choices do together. Beyond chance: what is left of a "
           "share when the part that noise alone would take is gone, which is less than nothing "
           "by bad luck (omega squared; of all, adjusted R squared). The shares of single choices "
           "add up to that of all only where every candidate met every other equally often.\n";
  } catch (const std::invalid_argument& error) {
    return "What the choices explain is not known: " + without_function(error.what()) + ".\n";
  }
}

std::string noise(const SeedNoise& noise) {
  const std::string deviations =
      "Standard deviations of WA: " + percent(noise.architecture_deviation) +
      " % between "
      "architectures, " +
      percent(noise.noise_deviation) + " % between trainings of one.\n";
  // An estimate below 0 is none.
  const auto share = [](double correlation) {
    return correlation > 0 ? percent(correlation, 0) + " %" : std::string("nothing that is seen");
  };
  return deviations + "Of the variance of a single training's score " + share(noise.one_training) +
         " is its architecture's (intra-class correlation; F = " + fixed(noise.f, 2) + ", " +
         std::to_string(noise.degrees) + " and " + std::to_string(noise.residual_degrees) +
         " degrees of freedom, " + told_p(noise.p_value) + "), of the mean of the seeds " +
         share(noise.mean_of_seeds) + ".\n";
}

std::string best(const BestGain& best) {
  return "The best architecture by one seed is better than the median by " +
         percent(best.gain.estimate) + " % WA (95 %: " + percent(best.gain.low) + " .. " +
         percent(best.gain.high) +
         ", speakers drawn anew), measured by another seed.\nMeasured by the seed that chose it, "
         "it would seem to be " +
         percent(best.same_seed) + " %: the difference is luck.\n";
}

std::string verdict(const SeedNoise& noise, const BestGain& best) {
  const bool differ = noise.p_value < kSeen;
  const bool gains = best.gain.low > 0;
  if (differ && gains) {
    return "Architectures differ, and choosing gains something: strategies can be compared here.\n";
  }
  if (differ) {
    return "Architectures differ, but what choosing gains is not told from 0: strategies can be "
           "compared here, with care.\n";
  }
  return "No difference between architectures is seen beyond that between trainings of one (" +
         told_p(noise.p_value) + "): this table shows how strategies work, and ranks none.\n";
}

}  // namespace

std::string noise_warning(const ResultTable& table) {
  const TableScores last = table_scores(table, table.last_epoch(), table.parts());
  if (last.architectures.size() < 2 || last.seeds.size() < 2) return "";
  try {
    const SeedNoise noise = seed_noise(last);
    if (noise.p_value < kSeen) return "";
    return "No difference between architectures is seen beyond that between trainings of one (" +
           told_p(noise.p_value) + ", see `serenade statistics`): nothing here ranks strategies.";
  } catch (const std::invalid_argument&) {
    return "All scores of the table are the same: nothing here ranks strategies.";
  }
}

std::string table_summary(const ResultTable& table) {
  const TableScores last = table_scores(table, table.last_epoch(), table.parts());
  check(!last.architectures.empty(), "table", "there is no whole training");
  const auto count = [](std::size_t number, const std::string& what) {
    return grouped(static_cast<long long>(number)) + " " + what + (number == 1 ? "" : "s");
  };
  std::string text = count(last.architectures.size(), "architecture") + " of " +
                     grouped(table.space().size()) + ", " + count(last.seeds.size(), "seed") +
                     ", " + count(static_cast<std::size_t>(table.last_epoch()), "epoch") + ", " +
                     count(last.parts.size(), "speaker") + "\n";
  const std::size_t left_out = table.genotypes().size() - last.architectures.size();
  if (left_out > 0) text += count(left_out, "architecture") + " without all trainings: left out\n";
  if (last.architectures.size() < 2) return text + "One architecture has nothing to be ranked.\n";
  if (last.architectures.size() < kFewestRanked) {
    return text + count(last.architectures.size(), "architecture") +
           " are too few: rankings of them agree in every pair by chance, and so would anything "
           "that is said of them. There must be " +
           std::to_string(kFewestRanked) + " or more; `serenade tabulate` adds to the table.\n";
  }
  text += "\n" + noise_ceiling(table, last) + "\n" + choices(table, last);
  if (last.seeds.size() < 2) return text;
  try {
    const SeedNoise seeds = seed_noise(last);
    const BestGain gain = best_over_median(last);
    return text + "\n" + noise(seeds) + "\n" + best(gain) + "\n" + verdict(seeds, gain);
  } catch (const std::invalid_argument& error) {
    return text + "\nNoise and gains are not known: " + without_function(error.what()) + ".\n";
  }
}

}  // namespace serenade::ser
