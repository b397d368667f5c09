// Training steps of networks beside the two systems: those of apps/capsnet and apps/darts, a
// residual network for small images, and a layer of a transformer. Ours and PyTorch's start from
// the same weights and batch, and must agree on the number of parameters and on the loss, before a
// step and after it.

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "apps/capsnet/network.h"
#include "apps/darts/experiment.h"
#include "autograd/engine.h"
#include "nas/cell_candidates.h"
#include "nas/supernet_search.h"
#include "nn/normalisation.h"
#include "nn/transformer.h"
#include "tensor/random.h"
#include "tests/bench/peers/items.h"

namespace serenade::bench {

namespace {

// A network, the batch that it sees again and again, and its step. pytorch_models.py has the same
// under the same name.
struct Task {
  std::string title;
  std::shared_ptr<Module> net = {};
  Batch batch = {};
  std::function<Variable()> loss = {};
  std::function<void()> step = {};

  double loss_value() const {
    const NoGrad no_graph;
    return loss().item();
  }

  void write(const std::string& path) const {
    SafetensorsFile file;
    for (const auto& [name, parameter] : net->named_parameters()) {
      file.tensors[name] = parameter.value();
    }
    file.tensors["input"] = batch.input;
    if (batch.target.defined()) file.tensors["target"] = batch.target;
    const std::vector<real> labels(batch.labels.begin(), batch.labels.end());
    if (!labels.empty()) file.tensors["labels"] = Tensor::from(labels, {batch.size()});
    write_safetensors(path, file);
  }
};

Batch pictures(const Shape& shape) {
  Batch batch{.input = Tensor::empty(shape)};
  fill_uniform_(batch.input, 0, 1, {7, Purpose::test, 1});
  for (std::int64_t i = 0; i < batch.size(); ++i) batch.labels.push_back(i % 10);
  return batch;
}

// Gradients dropped, loss, backward, update.
std::function<void()> plain_step(const std::function<Variable()>& loss,
                                 std::shared_ptr<Optimizer> optimizer) {
  return [loss, optimizer = std::move(optimizer)] {
    optimizer->zero_grad();
    backward(loss());
    optimizer->step();
  };
}

Task capsnet_task() {
  Task task{.title = "CapsNet, batch 100", .batch = pictures({100, 1, 28, 28})};
  const auto net = std::make_shared<capsnet::CapsNet>(capsnet::CapsNet::Options{});
  task.net = net;
  task.loss = [net, batch = task.batch] { return net->loss(batch); };
  task.step = plain_step(
      task.loss, std::make_shared<Adam>(net->named_parameters(), Adam::Options{.lr = 1e-3}));
  return task;
}

// Residual networks for small images (He et al., CVPR 2016, section 4.2) --------------------------

std::unique_ptr<Layer> conv(std::int64_t in, std::int64_t out, std::int64_t kernel,
                            std::int64_t stride) {
  const std::int64_t border = kernel / 2;
  return std::make_unique<Conv2d>(
      Conv2d::Options{.in_channels = in,
                      .out_channels = out,
                      .kernel_size = {kernel, kernel},
                      .stride = {stride, stride},
                      .padding = Padding{border, border, border, border},
                      .bias = false});
}

std::unique_ptr<Layer> norm(std::int64_t channels) {
  return std::make_unique<BatchNorm2d>(BatchNorm2d::Options{.num_features = channels});
}

// relu(way(x) + shortcut(x)).
class ResidualBlock : public Layer {
 public:
  ResidualBlock(std::int64_t in, std::int64_t out) {
    const std::int64_t stride = in == out ? 1 : 2;
    way_.add(conv(in, out, 3, stride)), way_.add(norm(out)), way_.add(std::make_unique<ReLU>());
    way_.add(conv(out, out, 3, 1)), way_.add(norm(out));
    if (in != out) shortcut_.add(conv(in, out, 1, stride)), shortcut_.add(norm(out));
    register_module("way", way_), register_module("shortcut", shortcut_);
  }

  Variable forward(const Variable& x) override {
    return relu(way_.forward(x) + (shortcut_.size() > 0 ? shortcut_.forward(x) : x));
  }

 private:
  Sequential way_, shortcut_;
};

// 20 layers of weights on the longest way, without the shortcuts.
class ResidualNetwork : public Sequential {
 public:
  ResidualNetwork() {
    add(conv(3, 16, 3, 1)), add(norm(16)), add(std::make_unique<ReLU>());
    std::int64_t channels = 16;
    for (const std::int64_t out : {16, 16, 16, 32, 32, 32, 64, 64, 64}) {
      add(std::make_unique<ResidualBlock>(channels, out));
      channels = out;
    }
    register_module("out", out_);
  }

  Variable forward(const Variable& x) override {
    return out_.forward(mean(Sequential::forward(x), {2, 3}));
  }

 private:
  Linear out_{{.in_features = 64, .out_features = 10}};
};

Task resnet_task() {
  Task task{.title = "ResNet-20, batch 128", .batch = pictures({128, 3, 32, 32})};
  const auto net = std::make_shared<ResidualNetwork>();
  task.net = net;
  task.loss = [net, batch = task.batch] {
    return cross_entropy(net->forward(batch.input), batch.labels);
  };
  const SGD::Options options = {.lr = 0.1, .momentum = 0.9, .weight_decay = 1e-4};
  task.step = plain_step(task.loss, std::make_shared<SGD>(net->named_parameters(), options));
  return task;
}

// An update of the alphas and one of the weights, on the same batch.
Task darts_task() {
  Task task{.title = "DARTS supernet, 8 channels, 5 cells, batch 64",
            .batch = pictures({64, 3, 32, 32})};
  const std::shared_ptr<OneShot> method = darts::first_order({});
  const CandidateTable candidates = cell_candidates(/*searching=*/true);
  Builder builder(*method, candidates);
  const darts::CellNetwork::Options options = {.channels = 8, .cells = 5, .affine = false};
  const auto net = std::make_shared<darts::CellNetwork>(builder, options);
  const auto search = std::make_shared<SupernetSearch>(*net, *method);
  task.net = net;
  task.loss = [net, batch = task.batch] {
    return cross_entropy(net->forward(batch.input).classes, batch.labels);
  };
  task.step = [method, search, loss = task.loss] {
    search->architecture_step(loss);
    search->weight_step(loss);
  };
  return task;
}

// Without dropout, whose masks would differ.
Task transformer_task() {
  const Shape shape = {16, 128, 512};
  Task task{.title = "transformer encoder layer, 8 heads, d 512, 128 steps, batch 16"};
  task.batch = {.input = Tensor::empty(shape), .target = Tensor::empty(shape)};
  fill_normal_(task.batch.input, 0, 1, {7, Purpose::test, 1});
  fill_normal_(task.batch.target, 0, 1, {7, Purpose::test, 2});
  const TransformerEncoderLayer::Options options = {.d_model = 512, .nhead = 8, .dropout = 0};
  const auto net = std::make_shared<TransformerEncoderLayer>(options);
  task.net = net;
  task.loss = [net, batch = task.batch] {
    return mse_loss(net->forward(batch.input), batch.target);
  };
  task.step = plain_step(
      task.loss, std::make_shared<Adam>(net->named_parameters(), Adam::Options{.lr = 1e-4}));
  return task;
}

Task make_task(const std::string& name) {
  manual_seed(7);
  if (name == "capsnet") return capsnet_task();
  if (name == "resnet") return resnet_task();
  if (name == "darts") return darts_task();
  if (name == "transformer") return transformer_task();
  throw std::invalid_argument("no network " + name);
}

// Does one step of the task.
std::optional<Contender> pytorch_step(const Setting& setting, const std::string& name,
                                      const Task& task) {
  if (setting.pytorch == nullptr) return std::nullopt;
  const std::string weights = setting.folder + "/network.safetensors";
  task.write(weights);
  const auto item = setting.pytorch->prepare(
      "network", nlohmann::json({{"name", name}, {"weights", weights}}).dump());
  std::remove(weights.c_str());
  if (!item) return std::nullopt;
  const auto parameters = static_cast<std::int64_t>(item->facts.at("parameters"));
  const double first = task.loss_value();
  task.step();
  const double second = task.loss_value();
  const double before = std::abs(item->facts.at("loss") - first) / std::max(1.0, std::abs(first));
  const double after =
      std::abs(item->facts.at("loss after a step") - second) / std::abs(second - first);
  const bool same = parameters == task.net->parameter_count() && before < 1e-5 && after < 1e-2;
  char note[120];
  std::snprintf(note, sizeof note,
                "%ld parameters, loss %s by %.0e, after a step by %.0e of its change",
                long(parameters), same ? "agrees" : "DIFFERS", before, after);
  return asking(setting.pytorch->contender(*item, "step", note), 1.5);
}

}  // namespace

void network_items(const Setting& setting, const std::string& name) {
  const Task task = make_task(name);
  setting.report.heading("Training step, " + task.title);
  setting.report.contest(task.title, ours(task.step), {pytorch_step(setting, name, task)});
  if (setting.pytorch != nullptr) setting.pytorch->drop();
}

// PyTorch's peak is the smaller one of its two layouts.
void network_memory_items(const Setting& setting) {
  setting.report.heading("Peak memory of training steps (fresh processes)");
  if (setting.pytorch == nullptr) {
    return setting.report.line("PyTorch is not there to compare with.");
  }
  const Contender peer{
      .name = "PyTorch", .version = setting.pytorch->version(), .note = "", .round = nullptr};
  const double idle = our_peak(setting, "nothing");
  const double idle_peer = pytorch_peak(setting, "nothing", "{}");
  for (const char* name : {"capsnet", "resnet", "darts", "transformer"}) {
    const double used = our_peak(setting, std::string("network ") + name);
    const auto used_with = [&](const char* layout) {
      return pytorch_peak(setting, "network",
                          nlohmann::json({{"name", name}, {"layout", layout}}).dump());
    };
    const double plain = used_with("NCHW"), last = used_with("channels_last");
    const double used_peer = std::min(plain, last);
    const Task task = make_task(name);
    const std::string layout = task.batch.input.dim() != 4 ? ""
                               : plain < last              ? "NCHW, "
                                                           : "channels_last, ";
    setting.report.row(task.title + ", whole process", used, peer, used_peer, "MiB",
                       layout + "peak resident memory, default heap");
    setting.report.row(task.title + ", above an idle process", used - idle, asking(peer, 1),
                       used_peer - idle_peer, "MiB", "without what the program itself takes");
  }
}

void run_network_steps(const std::string& name) {
  const Task task = make_task(name);
  for (int i = 0; i < 3; ++i) task.step();
}

}  // namespace serenade::bench
