#include "apps/ser/report/run_results.h"

#include <algorithm>
#include <ctime>
#include <nlohmann/json.hpp>
#include <sstream>

#include "apps/ser/common/text_table.h"
#include "apps/ser/report/search_course.h"
#include "apps/ser/training/search.h"
#include "nas/draw.h"
#include "nn/training/progress.h"
#include "tensor/fnv.h"

namespace serenade::ser {

namespace {

using Json = nlohmann::ordered_json;

std::string interval_text(const Interval& interval) {
  return percent(interval.low, 1) + " .. " + percent(interval.high, 1);
}

std::string spread_text(const std::vector<double>& values) {
  std::string text = percent(mean(values), 1);
  if (values.size() > 1) text += " +- " + percent(standard_deviation(values), 1);
  return text;
}

ConfusionMatrix fold_confusion(const RunResults& results, const FoldRun& run) {
  return confusion(run.predictions, results.confusion.classes());
}

double total_seconds(const RunResults& results) {
  double seconds = 0;
  for (const FoldRun& run : results.folds) seconds += run.search_seconds + run.train_seconds;
  if (results.final_run) seconds += results.final_run->train_seconds;
  return seconds;
}

// A resumed run may have gone on elsewhere.
std::string device_of(const RunResults& results) {
  std::string device;
  for (const FoldRun& run : results.folds) {
    if (device.find(run.device) == std::string::npos) {
      device += (device.empty() ? "" : " and ") + run.device;
    }
  }
  return device;
}

// Which one model.safetensors is.
std::string model_text(const RunResults& results) {
  if (results.final_run) {
    const int epochs = results.final_run->best_epoch;
    return "trained on all speakers for " + std::to_string(epochs) +
           (epochs == 1 ? " epoch" : " epochs") +
           ", the median of those that the folds kept; the accuracies are those of the "
           "folds, since nobody is left to test it on";
  }
  return "of the fold " + results.folds[best_fold(results)].fold +
         ", which has the best validation WA; --final trains one on all speakers";
}

// One word for the weights of all folds.
std::string weights_hash(const RunResults& results) {
  Fnv hash;
  for (const FoldRun& run : results.folds) hash.add_text(run.weights_hash);
  return hash.hex();
}

TrainingCurve curve_of(const std::string& name, const std::vector<EpochRecord>& epochs,
                       const std::string& stage, int kept) {
  TrainingCurve curve{.name = name, .epochs = {}, .kept_epoch = kept};
  for (const EpochRecord& e : epochs) {
    if (e.stage != stage) continue;
    TrainingCurve::Epoch point;
    point.loss = e.train_loss;
    point.learning_rate = e.learning_rate;
    if (stage == "search") {
      if (e.architecture_loss > 0) point.validation_loss = e.architecture_loss;
    } else {
      point.validation_loss = e.validation_loss;
      point.validation_wa = e.validation_wa;
      point.validation_ua = e.validation_ua;
    }
    curve.epochs.push_back(point);
  }
  return curve;
}

// chosen: the answer, which need not be what the last epoch would choose.
std::vector<LayerSearch> layers_of(const std::vector<SearchRecord>& history,
                                   const std::vector<std::int64_t>& chosen) {
  std::vector<LayerSearch> layers;
  if (history.empty()) return layers;
  for (std::size_t l = 0; l < history.front().choices.size(); ++l) {
    const ChoiceRecord& last = history.back().choices[l];
    LayerSearch layer{.layer = last.name,
                      .candidates = last.candidates,
                      .probabilities = {},
                      .entropy = {},
                      .updates = last.updates,
                      .chosen = static_cast<int>(chosen[l])};
    for (const SearchRecord& record : history) {
      layer.alphas.push_back(record.choices[l].alphas);
      layer.probabilities.push_back(record.choices[l].probabilities);
      layer.entropy.push_back(record.choices[l].entropy);
    }
    layers.push_back(std::move(layer));
  }
  return layers;
}

// A loss of the search, epoch by epoch, as the mean over the folds that have one; empty where there
// is none, and of runs of before that do not know it.
std::vector<double> mean_losses(const std::vector<FoldRun>& folds, double EpochRecord::*loss) {
  std::vector<double> sums;
  double count = 0;
  for (const FoldRun& run : folds) {
    std::size_t epoch = 0;
    for (const EpochRecord& e : run.epochs) {
      // The second stage of two_stage trains no weights, so it has no training loss.
      if (e.stage != "search" || e.train_loss == 0) continue;
      if (epoch == sums.size()) sums.push_back(0);
      sums[epoch++] += e.*loss;
    }
    if (epoch > 0) ++count;
  }
  for (double& sum : sums) sum /= count;
  const bool known = std::any_of(sums.begin(), sums.end(), [](double sum) { return sum != 0; });
  return known ? sums : std::vector<double>();
}

// Whether there was a weight step in which not all candidates took part.
bool leaves_candidates_out(const std::vector<FoldRun>& folds) {
  for (const FoldRun& run : folds) {
    if (run.history.empty()) continue;
    const SearchRecord& last = run.history.back();
    for (const ChoiceRecord& choice : last.choices) {
      for (const std::int64_t updates : choice.updates) {
        if (updates < last.weight_steps) return true;
      }
    }
  }
  return false;
}

// All stages of a fold in order of appearance; the random mode has one per architecture.
std::vector<std::string> stages_of(const FoldRun& run) {
  std::vector<std::string> stages;
  for (const EpochRecord& e : run.epochs) {
    if (std::find(stages.begin(), stages.end(), e.stage) == stages.end()) {
      stages.push_back(e.stage);
    }
  }
  return stages;
}

void add_curves(RunReport& report, const FoldRun& run) {
  for (const std::string& stage : stages_of(run)) {
    const bool search = stage == "search";
    // Of a random search's trainings only the kept one's best epoch is known to the run.
    const int kept = stage == "train" ? run.best_epoch : 0;
    const std::string name = run.fold + (stage == "train" || search ? "" : " " + stage);
    (search ? report.searches : report.trainings)
        .push_back(curve_of(name, run.epochs, stage, kept));
  }
}

}  // namespace

std::string repeat_command(const Config& config, const std::string& folder) {
  const std::string name = config.strategy == kNoSearch ? "train" : "search";
  return "serenade " + name + " --config " + folder + "/config.json --out ANOTHER_FOLDER";
}

std::string local_time() {
  const std::time_t now = std::time(nullptr);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%d %H:%M", std::localtime(&now));
  return text;
}

RunResults summarize(const Config& config, const Corpus& corpus, std::vector<FoldRun> folds) {
  RunResults results{.config = config,
                     .corpus = corpus.name,
                     .synthetic = corpus.synthetic,
                     .corpus_warnings = corpus.warnings(),
                     .folds = std::move(folds),
                     .final_run = {},
                     .predictions = {},
                     .confusion = ConfusionMatrix(corpus.classes),
                     .intervals = {},
                     .fold_wa = {},
                     .fold_ua = {}};
  for (const FoldRun& run : results.folds) {
    results.predictions.insert(results.predictions.end(), run.predictions.begin(),
                               run.predictions.end());
    const ConfusionMatrix matrix = confusion(run.predictions, corpus.classes);
    results.confusion.add(matrix);
    results.fold_wa.push_back(matrix.wa());
    results.fold_ua.push_back(matrix.ua());
  }
  results.intervals =
      bootstrap_intervals(results.predictions, results.confusion.size(), {.seed = config.seed});
  return results;
}

std::size_t best_fold(const RunResults& results) {
  const auto best = std::max_element(results.folds.begin(), results.folds.end(),
                                     [](const FoldRun& a, const FoldRun& b) {
                                       return a.best_validation_wa < b.best_validation_wa;
                                     });
  return static_cast<std::size_t>(best - results.folds.begin());
}

const FoldRun& published_run(const RunResults& results) {
  return results.final_run ? *results.final_run : results.folds[best_fold(results)];
}

std::string to_text(const RunResults& results) {
  TextTable table({{"fold", Align::left},
                   {"recordings"},
                   {"epoch kept"},
                   {"WA %"},
                   {"UA %"},
                   {"majority %"},
                   {"architecture", Align::left}});
  for (std::size_t i = 0; i < results.folds.size(); ++i) {
    const FoldRun& run = results.folds[i];
    table.add_row({run.fold, std::to_string(run.predictions.size()), std::to_string(run.best_epoch),
                   percent(results.fold_wa[i], 1), percent(results.fold_ua[i], 1),
                   percent(fold_confusion(results, run).majority_baseline(), 1),
                   run.genotype.summary()});
  }
  std::ostringstream text;
  text << results.config.system << ", strategy " << results.config.strategy << ", preset "
       << results.config.preset << ", corpus " << results.corpus << ", device "
       << device_of(results)
       << (results.synthetic ? " (SYNTHETIC speech: says nothing about people)" : "") << "\n\n"
       << table.to_text() << "\n";
  const AccuracyIntervals& intervals = results.intervals;
  text << "WA:       " << percent(intervals.wa.estimate, 1) << " %  (95% interval "
       << interval_text(intervals.wa) << "; per fold " << spread_text(results.fold_wa) << ")\n"
       << "UA:       " << percent(intervals.ua.estimate, 1) << " %  (95% interval "
       << interval_text(intervals.ua) << "; per fold " << spread_text(results.fold_ua) << ")\n"
       << "majority: WA " << percent(results.confusion.majority_baseline(), 1) << " %, UA "
       << percent(results.confusion.majority_baseline_ua(), 1) << " %\n"
       << "note:     " << interval_note(intervals) << "\n"
       << "genotype: " << published_run(results).genotype.summary() << "\n"
       << "model:    " << model_text(results) << "\n"
       << "weights:  " << weights_hash(results) << "  (the same numbers again give the same word)\n"
       << "time:     " << format_duration(total_seconds(results)) << "\n";
  return text.str();
}

std::string to_json(const RunResults& results) {
  const auto interval = [](const Interval& i) {
    return Json{{"estimate", i.estimate}, {"low", i.low}, {"high", i.high}};
  };
  Json document = {{"system", results.config.system},
                   {"mode", results.config.strategy},
                   {"preset", results.config.preset},
                   {"device", device_of(results)},
                   {"corpus", results.corpus},
                   {"synthetic", results.synthetic},
                   {"corpus_warnings", results.corpus_warnings},
                   {"seed", results.config.seed},
                   {"wa", interval(results.intervals.wa)},
                   {"ua", interval(results.intervals.ua)},
                   {"majority_wa", results.confusion.majority_baseline()},
                   {"majority_ua", results.confusion.majority_baseline_ua()},
                   {"weights_hash", weights_hash(results)},
                   {"seconds", total_seconds(results)},
                   {"model",
                    {{"fold", published_run(results).fold},
                     {"epochs", published_run(results).best_epoch},
                     {"weights_hash", published_run(results).weights_hash}}}};
  document["folds"] = Json::array();
  for (std::size_t i = 0; i < results.folds.size(); ++i) {
    const FoldRun& run = results.folds[i];
    document["folds"].push_back({{"name", run.fold},
                                 {"recordings", run.predictions.size()},
                                 {"wa", results.fold_wa[i]},
                                 {"ua", results.fold_ua[i]},
                                 {"best_epoch", run.best_epoch},
                                 {"best_validation_wa", run.best_validation_wa},
                                 {"parameters", run.parameters},
                                 {"weights_hash", run.weights_hash},
                                 {"genotype", run.genotype.summary()}});
  }
  document["confusion"] = Json::array();
  for (int row = 0; row < results.confusion.size(); ++row) {
    Json counts = Json::array();
    for (int column = 0; column < results.confusion.size(); ++column) {
      counts.push_back(results.confusion.count(row, column));
    }
    document["confusion"].push_back(counts);
  }
  document["classes"] = results.confusion.classes();
  return document.dump(2) + "\n";
}

Figure3 figure3_of(const std::vector<FoldRun>& folds, const std::string& system,
                   const std::string& mode) {
  Figure3 figure;
  figure.system = system;
  const auto add = [&](std::vector<Figure3::Curve>& curves, double EpochRecord::*loss) {
    const std::vector<double> mean = mean_losses(folds, loss);
    if (!mean.empty()) curves.push_back({mode, mean});
  };
  add(figure.supernet, &EpochRecord::train_loss);
  add(figure.child, &EpochRecord::child_loss);
  add(figure.matched_child, &EpochRecord::matched_child_loss);
  if (leaves_candidates_out(folds)) add(figure.mixture, &EpochRecord::mixture_loss);
  return figure;
}

RunReport run_report(const RunResults& results, const std::string& command) {
  const Config& config = results.config;
  const FoldRun& shown = results.folds[best_fold(results)];
  const SearchSpace space = search_space(config.options);
  RunReport report;
  report.title = config.system + ", " + config.strategy + ", " + results.corpus;
  report.system = config.system;
  report.mode = config.strategy;
  report.corpus = results.corpus;
  report.synthetic = results.synthetic;
  report.preset = config.preset;
  report.device = device_of(results);
  report.command = command;
  report.date = local_time();
  report.seed = config.seed;
  report.model = model_text(results);
  for (const Setting& setting : config_settings()) {
    report.settings.push_back({setting.key, setting.get(config)});
  }
  for (const PartCount& part : part_counts(*make_recognizer(config.options, shown.genotype))) {
    report.parameters.push_back({part.name, part.parameters});
  }
  for (const FoldRun& run : results.folds) add_curves(report, run);
  report.searched_fold = shown.fold;
  const Genotype baseline = baseline_genotype(config.options);
  const auto strategy = make_strategy(config, baseline);
  report.search_facts = search_facts(shown, space, strategy->planned_steps());
  report.trials = trial_points(shown.trials);
  report.scored = scored_points(shown);
  report.measured = measured_values(shown.history);
  report.layers = layers_of(shown.history, choice_indices(shown.genotype, space));
  report.genotype = shown.genotype.summary();
  report.child_svg = draw_child_svg(space, shown.genotype);
  if (!report.layers.empty()) {
    std::vector<std::vector<double>> probabilities;
    for (const LayerSearch& layer : report.layers) {
      probabilities.push_back(layer.probabilities.back());
    }
    report.supernet_svg =
        draw_supernet_svg(space, probabilities, choice_indices(shown.genotype, space));
  }
  report.confusion = results.confusion;
  report.intervals = results.intervals;
  report.has_intervals = true;
  report.warnings = results.corpus_warnings;
  for (const std::string& remark : strategy->remarks()) report.warnings.push_back(remark);
  for (std::size_t i = 0; i < results.folds.size(); ++i) {
    const FoldRun& run = results.folds[i];
    report.folds.push_back({.name = run.fold,
                            .recordings = static_cast<std::int64_t>(run.predictions.size()),
                            .wa = results.fold_wa[i],
                            .ua = results.fold_ua[i],
                            .majority = fold_confusion(results, run).majority_baseline(),
                            .genotype = run.genotype.summary()});
    for (const std::string& warning : run.warnings) {
      report.warnings.push_back(run.fold + ": " + warning);
    }
  }
  report.figure3 = figure3_of(results.folds, config.system, report.mode);
  return report;
}

}  // namespace serenade::ser
