#pragma once
// Models and states of training in safetensors files, which Python and other programs read as well.
//
// A model's parameters alone: save_model(), load_model(). A training that can be stopped at any
// moment and goes on with the same bits:
//
//   Checkpoint checkpoint("run/state.safetensors");
//   if (const auto state = checkpoint.load()) {
//     net.load_state_dict(part_of(*state, "net."));
//     load_optimizer(*state, "adam.", adam);
//     epoch = std::stoi(state->metadata.at("epoch"));
//   }
//   for (; epoch < epochs; ++epoch) {
//     ...
//     SafetensorsFile state;
//     add_part(state, "net.", net.state_dict());
//     add_optimizer(state, "adam.", adam);
//     state.metadata["epoch"] = std::to_string(epoch + 1);
//     checkpoint.save(std::move(state));
//   }

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "nn/module.h"
#include "nn/optim.h"
#include "tensor/safetensors.h"

namespace serenade {

using Metadata = std::map<std::string, std::string>;

/// Writes all parameters and buffers under their dotted names, and the metadata. The file appears
/// whole or not at all. Throws std::runtime_error naming the path if it cannot be written.
void save_model(const std::string& path, const Module& module, const Metadata& metadata = {});

/// Reads the parameters and buffers of `module` from a file and returns its metadata. Throws
/// std::runtime_error naming the path if it cannot be read, and std::invalid_argument naming the
/// path and the first parameter at fault if it holds another model, or a number that is not finite;
/// then the module is unchanged.
Metadata load_model(const std::string& path, Module& module);

// Parts of a state --------------------------------------------------------------------------------

/// Adds tensors under names that begin with `prefix`; and all tensors with such names, without it.
void add_part(SafetensorsFile& file, const std::string& prefix, const StateDict& tensors);
StateDict part_of(const SafetensorsFile& file, const std::string& prefix);

/// The same for all that an optimiser remembers. load_optimizer throws std::invalid_argument for
/// what add_optimizer has not written, or for other parameters; then nothing has changed.
void add_optimizer(SafetensorsFile& file, const std::string& prefix, const Optimizer& optimizer);
void load_optimizer(const SafetensorsFile& file, const std::string& prefix, Optimizer& optimizer);

/// Sixteen hexadecimal digits that change with any bit of the tensors, integers or metadata.
std::string content_hash(const SafetensorsFile& file);
/// The same of the parameters and buffers of a model: its weights in one word.
std::string content_hash(const StateDict& state);

// Checkpoints -------------------------------------------------------------------------------------

/// One state that outlives whatever stops the program or the machine. The last two are kept, each
/// with its content_hash, so that there is a whole one at any moment.
class Checkpoint {
 public:
  /// Nothing is read or written yet. "<path>.previous" is kept beside it.
  explicit Checkpoint(std::string path) : path_(std::move(path)) {}

  /// The newest state that is whole, or nothing. A damaged file is set aside as "<path>.damaged"
  /// and the one before it taken. Throws std::runtime_error for a file of a later version of
  /// this program, or one that the system refuses to read.
  std::optional<SafetensorsFile> load();
  /// One line for each file that load() found damaged: what, where, and what was done about it.
  const std::vector<std::string>& damages() const { return damages_; }

  /// Throws std::runtime_error where it cannot be written; the state before is then still there.
  void save(SafetensorsFile state) const;
  /// Removes the state, and the one before it.
  void remove() const;

 private:
  std::optional<SafetensorsFile> load_whole(const std::string& path);

  std::string path_;
  std::vector<std::string> damages_;
};

}  // namespace serenade
