// Losses. Those of numbers are formulas; those of classes are composed of other functions, but for
// cross_entropy of a matrix of which every row counts, which is what training a classifier needs.

#include "kernels/elementwise/loss.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "autograd/engine.h"
#include "autograd/functions.h"
#include "autograd/functions/pointwise.h"
#include "tensor/check.h"

namespace serenade {

namespace {

Variable reduced(const Variable& losses, Reduction reduction) {
  if (reduction == Reduction::none) return losses;
  return reduction == Reduction::sum ? sum(losses) : mean(losses);
}

// Losses of numbers -------------------------------------------------------------------------------

// No broadcasting: a column beside a row would give the losses of all pairs.
void check_pair(const char* op, const Variable& x, const Variable& target) {
  check_defined(op, x, target);
  check_same_device(op, x, target);
  check(x.shape() == target.shape(), op, "input and target must have one shape; got ", x.shape(),
        " and ", target.shape());
  check(x.numel() >= 1, op, "there must be an element; got ", x.shape());
}

void check_width(const char* op, const char* name, real width) {
  check(width > 0 && std::isfinite(width), op, name, " must be positive; got ", width);
}

Variable huber(const char* op, const Variable& x, const Variable& target,
               const formulas::HuberDifference& formula) {
  const auto by_x = [formula](const Variable& dy, const Variable& x, const Variable& t) {
    return dy * (formula.scale * clamp(x - t, -formula.width, formula.width));
  };
  return binary(op, x, target, formula, by_x, swapped(by_x));
}

Variable divergence(const Variable& log_q, const Variable& target) {
  return binary(
      "kl_div", log_q, target, formulas::Divergence{},
      [](const Variable& dy, const Variable&, const Variable& t) { return -dy * t; },
      [](const Variable& dy, const Variable& x, const Variable& t) {
        return dy * (log(t) + 1 - x);
      });
}

Variable log_divergence(const Variable& log_q, const Variable& target) {
  return binary(
      "kl_div", log_q, target, formulas::LogDivergence{},
      [](const Variable& dy, const Variable&, const Variable& t) { return -dy * exp(t); },
      [](const Variable& dy, const Variable& x, const Variable& t) {
        return dy * (exp(t) * (t - x + 1));
      });
}

// Losses of labels --------------------------------------------------------------------------------

std::int64_t class_count(const Variable& scores) { return scores.size(1); }

void check_labels(const char* op, const Variable& scores, const Indices& labels,
                  std::optional<std::int64_t> ignore_index = {}) {
  for (std::size_t n = 0; n < labels.size(); ++n) {
    check((labels[n] >= 0 && labels[n] < class_count(scores)) || labels[n] == ignore_index, op,
          "labels must be 0 .. ", class_count(scores) - 1, "; got ", labels[n], " for sample ", n);
  }
}

void check_matrix(const char* op, const Variable& scores, const Indices& labels) {
  check_defined(op, scores);
  check(scores.dim() == 2 && scores.size(0) >= 1 && scores.size(1) >= 1 &&
            scores.size(0) == static_cast<std::int64_t>(labels.size()),
        op, "one label for each of N >= 1 rows of [N, classes]; got ", labels.size(),
        " labels for ", scores.shape());
  check_labels(op, scores, labels);
}

void check_class_weights(const char* op, const Variable& scores, const std::vector<real>& weights) {
  check(weights.empty() || static_cast<std::int64_t>(weights.size()) == class_count(scores), op,
        "one weight per class; got ", weights.size(), " weights for ", scores.shape());
  for (const real weight : weights) {
    check(weight >= 0 && std::isfinite(weight), op, "class weights must not be negative; got ",
          weight);
  }
}

void check_scores(const char* op, const Variable& scores) {
  check_defined(op, scores);
  check(scores.dim() >= 2 && scores.numel() >= 1, op,
        "must be [N, classes, ..] and hold an element; got ", scores.shape());
}

void check_labelled(const char* op, const Variable& scores, const Indices& labels,
                    const std::vector<real>& class_weights, std::int64_t ignore_index) {
  check_scores(op, scores);
  check(scores.numel() / class_count(scores) == static_cast<std::int64_t>(labels.size()), op,
        "one label for each place of [N, classes, ..]; got ", labels.size(), " labels for ",
        scores.shape());
  check_labels(op, scores, labels, ignore_index);
  check_class_weights(op, scores, class_weights);
}

// How much each label counts: 0 for one that is ignored.
std::vector<real> label_weights(const Indices& labels, const std::vector<real>& class_weights,
                                std::optional<std::int64_t> ignore_index) {
  std::vector<real> weights(labels.size(), 1);
  for (std::size_t n = 0; n < labels.size(); ++n) {
    if (labels[n] == ignore_index) {
      weights[n] = 0;
    } else if (!class_weights.empty()) {
      weights[n] = class_weights[static_cast<std::size_t>(labels[n])];
    }
  }
  return weights;
}

// What a weighted mean is divided by.
real total_weight(const char* op, const std::vector<real>& weights) {
  double total = 0;
  for (const real weight : weights) total += static_cast<double>(weight);
  check(total > 0, op, "some label must have a positive weight and not be ignored; got ", total);
  return static_cast<real>(total);
}

// A factor for each place of [N, classes, ..], whatever the class: [N, 1, ..].
Variable one_per_place(const std::vector<real>& values, const Variable& scores) {
  Shape shape = scores.shape();
  shape[1] = 1;
  return Tensor::from(values, shape).to(scores.device());
}

// Losses [N, 1, ..] to what the caller asked for; the mean is the weighted one.
Variable reduced_places(const char* op, const Variable& losses, const std::vector<real>& weights,
                        Reduction reduction) {
  if (reduction == Reduction::mean) return sum(losses) / total_weight(op, weights);
  if (reduction == Reduction::sum) return sum(losses);
  Shape shape = losses.shape();
  shape.erase(shape.begin() + 1);
  return reshape(losses, shape);
}

// -weight log p of the labels, [N, 1, ..]; 0 where the weight is, whatever p.
Variable label_losses(const Variable& log_p, const Indices& labels,
                      const std::vector<real>& weights) {
  Indices chosen = labels;
  std::vector<real> counts_not(weights.size());
  for (std::size_t n = 0; n < chosen.size(); ++n) {
    if (weights[n] != 0) continue;
    chosen[n] = 0;  // it may be no class at all
    counts_not[n] = 1;
  }
  const Variable factors = one_per_place(weights, log_p);
  const Variable picked = gather(log_p, 1, chosen, factors.shape());
  return masked_fill(picked, one_per_place(counts_not, log_p).value(), 0) * -factors;
}

Variable one_per_class(const std::vector<real>& weights, const Variable& scores) {
  Shape shape(scores.shape().size(), 1);
  shape[1] = class_count(scores);
  return Tensor::from(weights, shape).to(scores.device());
}

// -sum_k weight_k t_k log p_k, [N, 1, ..]; without shares t, all are 1.
Variable shared_losses(const Variable& log_p, const Variable& shares,
                       const std::vector<real>& class_weights) {
  const Variable weighted =
      class_weights.empty() ? log_p : log_p * one_per_class(class_weights, log_p);
  return -sum(shares.defined() ? weighted * shares : weighted, 1, true);
}

real checked_smoothing(const char* op, const CrossEntropyOptions& options) {
  const real smoothing = options.label_smoothing;
  check(smoothing >= 0 && smoothing <= 1, op, "label_smoothing must be in 0 .. 1; got ", smoothing);
  return smoothing;
}

Variable mean_of_matrix(const Variable& logits, const Indices& labels,
                        const std::vector<real>& class_weights) {
  const std::int64_t N = logits.size(0), classes = class_count(logits);
  const Tensor input = logits.value().contiguous();
  Tensor loss = Tensor::empty({}, logits.device());
  Tensor probabilities = Tensor::empty(logits.shape(), logits.device());
  const real* weights = class_weights.empty() ? nullptr : class_weights.data();
  KERNEL(loss.device(), cross_entropy_forward, loss.data(), probabilities.data(), input.data(),
         labels.data(), weights, N, classes);
  return make_result(
      "cross_entropy", loss, {logits},
      [probabilities, labels, class_weights, N, classes](const Tensor& d_loss, Gradients& d) {
        if (!d.wants(0)) return;
        if (d.create_graph()) {
          // The softmax of ln p is p, and its gradients are those by the logits.
          const Variable p = softmax(d.input(0, log(probabilities).value()), 1);
          const std::vector<real> weights = label_weights(labels, class_weights, {});
          const Variable shares =
              one_per_place(weights, p) / total_weight("cross_entropy", weights);
          const Variable target = one_hot(labels, classes).to(p.device());
          return d.add(0, d.dy() * shares * (p - target));
        }
        KERNEL(d_loss.device(), cross_entropy_backward, d[0].data(), d_loss.data(),
               probabilities.data(), labels.data(),
               class_weights.empty() ? nullptr : class_weights.data(), N, classes);
      });
}

}  // namespace

Variable mse_loss(const Variable& x, const Variable& target, Reduction reduction) {
  check_pair("mse_loss", x, target);
  const auto by_x = [](const Variable& dy, const Variable& x, const Variable& t) {
    return dy * (2 * (x - t));
  };
  return reduced(binary("mse_loss", x, target, formulas::SquaredDifference{}, by_x, swapped(by_x)),
                 reduction);
}

Variable l1_loss(const Variable& x, const Variable& target, Reduction reduction) {
  check_pair("l1_loss", x, target);
  const auto by_x = [](const Variable& dy, const Variable& x, const Variable& t) {
    return kept(dy, x > t) - kept(dy, x < t);
  };
  return reduced(binary("l1_loss", x, target, formulas::AbsoluteDifference{}, by_x, swapped(by_x)),
                 reduction);
}

Variable smooth_l1_loss(const Variable& x, const Variable& target, real beta, Reduction reduction) {
  check_pair("smooth_l1_loss", x, target);
  check_width("smooth_l1_loss", "beta", beta);
  return reduced(huber("smooth_l1_loss", x, target, {beta, 1 / beta}), reduction);
}

Variable huber_loss(const Variable& x, const Variable& target, real delta, Reduction reduction) {
  check_pair("huber_loss", x, target);
  check_width("huber_loss", "delta", delta);
  return reduced(huber("huber_loss", x, target, {delta, 1}), reduction);
}

Variable binary_cross_entropy_with_logits(const Variable& logits, const Variable& target,
                                          const BinaryCrossEntropyOptions& options) {
  const char* op = "binary_cross_entropy_with_logits";
  check_pair(op, logits, target);
  Variable losses = binary(
      op, logits, target, formulas::BinaryCrossEntropy{},
      [](const Variable& dy, const Variable& x, const Variable& t) {
        return dy * (sigmoid(x) - t);
      },
      [](const Variable& dy, const Variable& x, const Variable&) { return -dy * x; });
  if (options.pos_weight.defined()) {  // -(weight - 1) t ln p more; -ln p = softplus(-x)
    constexpr real kExact = 40;        // from there e^-x is lost beside 1, in double too
    const Variable more = Variable(options.pos_weight) - 1;
    losses = losses + more * target * softplus(-logits, 1, kExact);
  }
  if (options.weight.defined()) losses = losses * options.weight;
  check(losses.shape() == logits.shape(), op,
        "weight and pos_weight must broadcast to the input; got ", logits.shape(), " and losses ",
        losses.shape());
  return reduced(losses, options.reduction);
}

Variable kl_div(const Variable& log_q, const Variable& target, const KlDivOptions& options) {
  check_pair("kl_div", log_q, target);
  return reduced(options.log_target ? log_divergence(log_q, target) : divergence(log_q, target),
                 options.reduction);
}

Variable nll_loss(const Variable& log_probabilities, const Indices& labels,
                  const NllOptions& options) {
  check_labelled("nll_loss", log_probabilities, labels, options.class_weights,
                 options.ignore_index);
  const std::vector<real> weights =
      label_weights(labels, options.class_weights, options.ignore_index);
  return reduced_places("nll_loss", label_losses(log_probabilities, labels, weights), weights,
                        options.reduction);
}

Variable cross_entropy(const Variable& logits, const Indices& labels,
                       const CrossEntropyOptions& options) {
  const char* op = "cross_entropy";
  check_labelled(op, logits, labels, options.class_weights, options.ignore_index);
  const real smoothing = checked_smoothing(op, options);
  const std::vector<real> weights =
      label_weights(labels, options.class_weights, options.ignore_index);
  const bool all_count =
      std::find(labels.begin(), labels.end(), options.ignore_index) == labels.end();
  if (logits.dim() == 2 && all_count && smoothing == 0 && options.reduction == Reduction::mean) {
    total_weight(op, weights);
    return mean_of_matrix(logits, labels, options.class_weights);
  }
  const Variable log_p = log_softmax(logits, 1);
  Variable losses = label_losses(log_p, labels, weights);
  if (smoothing > 0) {
    const real share = smoothing / static_cast<real>(class_count(logits));
    const Variable counts = one_per_place(label_weights(labels, {}, options.ignore_index), logits);
    losses =
        (1 - smoothing) * losses + share * shared_losses(log_p, {}, options.class_weights) * counts;
  }
  return reduced_places(op, losses, weights, options.reduction);
}

Variable cross_entropy(const Variable& logits, const Variable& target,
                       const CrossEntropyOptions& options) {
  const char* op = "cross_entropy";
  check_scores(op, logits);
  check_pair(op, logits, target);
  check_class_weights(op, logits, options.class_weights);
  const real smoothing = checked_smoothing(op, options);
  const Variable shares = smoothing == 0 ? target
                                         : (1 - smoothing) * target +
                                               smoothing / static_cast<real>(class_count(logits));
  const Variable losses = shared_losses(log_softmax(logits, 1), shares, options.class_weights);
  const std::vector<real> equal(static_cast<std::size_t>(losses.numel()), real(1));
  return reduced_places(op, losses, equal, options.reduction);
}

Variable margin_loss(const Variable& norms, const Indices& labels, MarginLossOptions options) {
  check_matrix("margin_loss", norms, labels);
  const std::int64_t N = norms.size(0), classes = norms.size(1);
  const Tensor input = norms.value().contiguous();
  Tensor loss = Tensor::empty({}, norms.device());
  KERNEL(loss.device(), margin_loss_forward, loss.data(), input.data(), labels.data(),
         options.m_plus, options.m_minus, options.lambda, N, classes);
  return make_result("margin_loss", loss, {norms},
                     [input, labels, options, N, classes](const Tensor& d_loss, Gradients& d) {
                       if (!d.wants(0)) return;
                       KERNEL(d_loss.device(), margin_loss_backward, d[0].data(), d_loss.data(),
                              input.data(), labels.data(), options.m_plus, options.m_minus,
                              options.lambda, N, classes);
                     });
}

}  // namespace serenade
