#include "apps/ser/report/report_curves.h"

#include <algorithm>
#include <cmath>

#include "apps/ser/report/chart.h"
#include "apps/ser/report/report_page.h"
#include "nas/epoch_slider.h"
#include "tensor/text.h"

namespace serenade::ser {

namespace {

using Epoch = TrainingCurve::Epoch;

// A picture with more curves than this cannot be read.
constexpr std::size_t kMaxCurves = 12;

std::vector<double> values_of(const TrainingCurve& curve, double Epoch::*quantity) {
  std::vector<double> values;
  for (const Epoch& epoch : curve.epochs) values.push_back(epoch.*quantity);
  return values;
}

// Whether there is anything to see: a curve that never changes, such as a constant learning rate,
// is none.
bool varies(const std::vector<double>& values) {
  double low = HUGE_VAL, high = -HUGE_VAL;
  for (const double v : values) {
    if (!std::isfinite(v)) continue;
    low = std::min(low, v);
    high = std::max(high, v);
  }
  return low < high;
}

// The curves worth drawing: with too many, those that ended in a network that was used come first.
std::vector<TrainingCurve> readable(const std::vector<TrainingCurve>& curves) {
  std::vector<TrainingCurve> chosen = curves;
  if (chosen.size() > kMaxCurves) {
    std::stable_partition(chosen.begin(), chosen.end(),
                          [](const TrainingCurve& curve) { return curve.kept_epoch > 0; });
    chosen.resize(kMaxCurves);
  }
  return chosen;
}

std::string one_quantity(const std::vector<TrainingCurve>& curves, const char* title,
                         double Epoch::*quantity) {
  LineChart chart;
  chart.title = title;
  chart.x_label = "epoch";
  chart.y_label = title;
  chart.width = 520;
  chart.percent = quantity == &Epoch::validation_wa || quantity == &Epoch::validation_ua;
  chart.log_y = quantity == &Epoch::learning_rate;
  for (const TrainingCurve& curve : curves) {
    const std::vector<double> values = values_of(curve, quantity);
    if (varies(values)) chart.series.push_back(epoch_series(curve.name, values));
  }
  if (chart.series.empty()) return "";
  if (curves.size() == 1 && curves[0].kept_epoch > 0) {
    chart.marked_x = curves[0].kept_epoch;
    chart.marked_label = "kept: epoch " + std::to_string(curves[0].kept_epoch);
  }
  return draw_with_legend(std::move(chart));
}

// Training against validation loss of one training, which shows whether it learns by heart.
std::string both_losses(const TrainingCurve& curve) {
  const std::vector<double> training = values_of(curve, &Epoch::loss);
  const std::vector<double> validation = values_of(curve, &Epoch::validation_loss);
  if (!varies(training) || !varies(validation)) return "";
  LineChart chart;
  chart.title = curve.name;
  chart.x_label = "epoch";
  chart.y_label = "loss";
  chart.width = 520;
  chart.height = 300;
  chart.series = {epoch_series("training loss", training),
                  epoch_series("validation loss", validation)};
  chart.series[1].dashed = true;
  if (curve.kept_epoch > 0) {
    chart.marked_x = curve.kept_epoch;
    chart.marked_label = "kept: epoch " + std::to_string(curve.kept_epoch);
  }
  return draw_with_legend(std::move(chart));
}

// The alphas of a layer after an epoch; empty where they are not known.
std::string alphas_of(const LayerSearch& layer, std::size_t epoch) {
  if (epoch >= std::min(layer.alphas.size(), layer.probabilities.size())) return "";
  const std::vector<double>& shares = layer.probabilities.at(epoch);
  const auto largest = std::max_element(shares.begin(), shares.end()) - shares.begin();
  // The whole width is the largest share of any epoch, so that epochs can be compared.
  double whole = 0;
  for (const std::vector<double>& other : layer.probabilities) {
    for (const double share : other) whole = std::max(whole, share);
  }
  std::string rows = "<table><caption>" + escape_xml(layer.layer) + "</caption>\n";
  for (std::size_t c = 0; c < std::min(layer.candidates.size(), shares.size()); ++c) {
    const bool is_largest = static_cast<std::ptrdiff_t>(c) == largest;
    rows += std::string("<tr") + (is_largest ? " class=\"largest\"" : "") + "><td>" +
            escape_xml(layer.candidates[c]) + "</td><td class=\"bar\"><i style=\"width:" +
            percent(whole > 0 ? shares[c] / whole : 0, 1) + "%\"></i></td><td class=\"right\">" +
            percent(shares[c], 1) + " %</td><td class=\"right\">" +
            fixed(layer.alphas[epoch].at(c), 3) + "</td></tr>\n";
  }
  return rows + "</table>\n";
}

}  // namespace

std::string trials_part(const std::vector<TrialPoint>& trials) {
  if (trials.empty()) return "";
  Series scores{.name = "score of a trial", .x = {}, .y = {}, .scattered = true};
  Series best{.name = "best so far", .x = {}, .y = {}, .stepped = true};
  std::vector<std::vector<std::string>> rows;
  for (const TrialPoint& trial : trials) {
    scores.x.push_back(trial.cost);
    scores.y.push_back(trial.score);
    best.x.push_back(trial.cost);
    best.y.push_back(trial.best_score);
    rows.push_back({std::to_string(rows.size() + 1), trial.architecture,
                    std::to_string(trial.epochs), compact(trial.cost, 3), percent(trial.score, 1),
                    trial.is_best ? "best so far" : ""});
  }
  LineChart chart;
  chart.title = "Trials";
  chart.x_label = "cost so far, in whole trainings";
  chart.y_label = "validation WA";
  chart.percent = true;
  chart.series = {best, scores};
  return gallery({draw_with_legend(std::move(chart))}) +
         folded("Every trial", html_table({{"trial"},
                                           {"architecture", Align::left},
                                           {"epochs"},
                                           {"cost so far"},
                                           {"validation WA %"},
                                           {"", Align::left}},
                                          rows));
}

std::string scored_part(const std::vector<ScoredPoint>& scored) {
  std::vector<std::vector<std::string>> rows;
  for (const ScoredPoint& one : scored) {
    rows.push_back({std::to_string(rows.size() + 1), one.architecture, compact(one.score, 4),
                    one.trial > 0 ? std::to_string(one.trial) : ""});
  }
  if (rows.empty()) return "";
  return folded("Every score without a training",
                html_table({{"rank"}, {"architecture", Align::left}, {"score"}, {"trial"}}, rows));
}

std::string measured_part(const std::vector<MeasuredValue>& measured) {
  std::vector<std::string> pictures;
  std::vector<std::vector<std::string>> rows;
  for (const MeasuredValue& one : measured) {
    const auto times = std::count_if(one.values.begin(), one.values.end(),
                                     [](double value) { return std::isfinite(value); });
    if (times > 1) {
      LineChart chart;
      chart.title = one.name;
      chart.x_label = "search epoch";
      chart.y_label = one.name;
      chart.width = 520;
      chart.height = 280;
      chart.series = {epoch_series(one.name, one.values)};
      pictures.push_back(draw(chart));
      continue;
    }
    for (std::size_t epoch = 0; epoch < one.values.size(); ++epoch) {
      if (!std::isfinite(one.values[epoch])) continue;
      rows.push_back({std::to_string(epoch + 1), one.name, compact(one.values[epoch], 6)});
    }
  }
  // By epoch, and within one as they came: by name.
  std::stable_sort(rows.begin(), rows.end(), [](const auto& a, const auto& b) {
    return std::stoll(a.front()) < std::stoll(b.front());
  });
  return gallery(pictures) +
         html_table({{"after epoch"}, {"measured", Align::left}, {"value"}}, rows);
}

std::string alphas_part(const std::vector<LayerSearch>& layers) {
  std::size_t count = 0;
  for (const LayerSearch& layer : layers) count = std::max(count, layer.alphas.size());
  std::vector<std::string> epochs;
  for (std::size_t epoch = 0; epoch < count; ++epoch) {
    std::string tables;
    for (const LayerSearch& layer : layers) tables += alphas_of(layer, epoch);
    epochs.push_back("<div class=\"alphas\">\n" + tables + "</div>\n");
  }
  if (epochs.empty()) return "";
  return "<h3>The alphas, epoch by epoch</h3>\n" +
         paragraph(
             "Of each candidate its share, softmax(alpha), and alpha itself; the largest share of "
             "a "
             "layer is set bold. The longest bar is the largest share that the layer has had.") +
         epoch_slider(epochs);
}

std::string probabilities_part(const std::vector<LayerSearch>& layers) {
  std::vector<std::string> pictures;
  for (const LayerSearch& layer : layers) {
    if (layer.probabilities.empty()) continue;
    LineChart chart;
    chart.title = layer.layer;
    chart.x_label = "search epoch";
    chart.y_label = "softmax(alpha)";
    chart.percent = true;
    chart.y_min = 0;
    chart.width = 520;
    chart.height = 280;
    for (std::size_t c = 0; c < layer.candidates.size(); ++c) {
      std::vector<double> values;
      for (const std::vector<double>& epoch : layer.probabilities) {
        values.push_back(c < epoch.size() ? epoch[c] : kNotMeasured);
      }
      const bool chosen = static_cast<int>(c) == layer.chosen;
      chart.series.push_back(
          epoch_series(layer.candidates[c] + (chosen ? " (chosen)" : ""), values));
    }
    pictures.push_back(draw_with_legend(std::move(chart)));
  }
  return gallery(pictures);
}

std::string entropy_part(const std::vector<LayerSearch>& layers) {
  LineChart chart;
  chart.title = "Entropy of each layer's choice";
  chart.x_label = "search epoch";
  chart.y_label = "entropy (nats)";
  chart.y_min = 0;
  for (const LayerSearch& layer : layers) {
    if (!layer.entropy.empty()) chart.series.push_back(epoch_series(layer.layer, layer.entropy));
  }
  return chart.series.empty() ? "" : gallery({draw_with_legend(std::move(chart))});
}

std::string updates_part(const std::vector<LayerSearch>& layers) {
  BarChart chart;
  chart.title = "Weight updates of each candidate";
  chart.x_label = "updates";
  chart.value_name = "updates";
  for (const LayerSearch& layer : layers) {
    if (layer.updates.empty()) continue;
    BarChart::Group group{.name = layer.layer, .bars = {}};
    for (std::size_t c = 0; c < std::min(layer.updates.size(), layer.candidates.size()); ++c) {
      BarChart::Bar bar;
      bar.label = layer.candidates[c];
      if (static_cast<int>(c) == layer.chosen) bar.label += " (chosen)";
      bar.value = static_cast<double>(layer.updates[c]);
      group.bars.push_back(bar);
    }
    chart.groups.push_back(std::move(group));
  }
  return chart.groups.empty() ? "" : gallery({draw(chart)});
}

std::string curves_part(const std::vector<TrainingCurve>& all) {
  const std::vector<TrainingCurve> curves = readable(all);
  std::string markup = gallery({one_quantity(curves, "training loss", &Epoch::loss),
                                one_quantity(curves, "validation loss", &Epoch::validation_loss),
                                one_quantity(curves, "validation WA", &Epoch::validation_wa),
                                one_quantity(curves, "validation UA", &Epoch::validation_ua),
                                one_quantity(curves, "learning rate", &Epoch::learning_rate)});
  std::vector<std::string> pairs;
  for (const TrainingCurve& curve : curves) pairs.push_back(both_losses(curve));
  markup += folded("Training and validation loss of each", gallery(pairs));
  if (!markup.empty() && curves.size() < all.size()) {
    markup += paragraph(std::to_string(curves.size()) + " of " + std::to_string(all.size()) +
                        " are drawn.");
  }
  return markup;
}

}  // namespace serenade::ser
