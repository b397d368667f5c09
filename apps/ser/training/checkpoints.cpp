#include "apps/ser/training/checkpoints.h"

#include <filesystem>
#include <new>
#include <vector>

#include "apps/ser/common/error.h"
#include "apps/ser/common/names.h"

namespace serenade::ser {

namespace {

constexpr const char* kEnding = ".safetensors";

}  // namespace

std::string Checkpoints::path(const std::string& stage) const {
  return prefix_ + file_name_of(stage) + kEnding;
}

std::optional<SafetensorsFile> Checkpoints::load(const std::string& stage) {
  Checkpoint& checkpoint = stages_.try_emplace(stage, path(stage)).first->second;
  std::optional<SafetensorsFile> state;
  try {
    state = checkpoint.load();
  } catch (const std::runtime_error& error) {
    throw IoError(std::string(error.what()) + "; remove the file to run this part again");
  }
  if (tell_) {
    for (const std::string& damage : checkpoint.damages()) {
      tell_(damage + (state ? "; the one before it is taken" : "; this part is run again"));
    }
  }
  return state;
}

void Checkpoints::save(const std::string& stage, SafetensorsFile state) {
  const Stopwatch watch;
  try {
    stages_.try_emplace(stage, path(stage)).first->second.save(std::move(state));
  } catch (const std::runtime_error& error) {
    throw IoError(std::string(error.what()) + "; check the free space and the permissions");
  }
  pace_.kept(watch.seconds());
}

void Checkpoints::remove_all(const std::string& folder) {
  std::error_code error;
  std::vector<std::string> states;
  for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
    if (entry.path().string().ends_with(kEnding)) states.push_back(entry.path().string());
  }
  for (const std::string& state : states) Checkpoint(state).remove();
}

void Checkpoints::remove() {
  for (const auto& [stage, checkpoint] : stages_) checkpoint.remove();
}

void take_over(const std::string& stage, const std::function<void()>& load) {
  try {
    load();
  } catch (const std::bad_alloc&) {
    throw;
  } catch (const IoError&) {
    throw;
  } catch (const std::exception& error) {
    throw InputError(stage + ": what is kept of it cannot be continued (" + error.what() +
                     "); start over with --replace");
  }
}

}  // namespace serenade::ser
