#include "tests/golden.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <ostream>

#include "autograd/engine.h"

namespace serenade {

namespace {

namespace fs = std::filesystem;

fs::path golden_folder() {
  if (const char* named = std::getenv("SERENADE_GOLDEN")) return named;
  const fs::path source = SERENADE_SOURCE_DIR;
  const fs::path full = source.parent_path() / "shared" / "golden";
  return fs::exists(full / "index.json") ? full : source / "tests" / "golden";
}

fs::path small_golden_path(const std::string& name) {
  return fs::path(SERENADE_SOURCE_DIR) / "tests" / "golden" / (name + ".safetensors");
}

// Of the full set where it has the file, else of the small one, which alone has newer functions.
fs::path golden_path(const std::string& name) {
  const fs::path found = golden_folder() / (name + ".safetensors");
  if (fs::exists(found)) return found;
  return small_golden_path(name);
}

std::map<std::string, std::set<std::string>>& noted_functions() {
  static std::map<std::string, std::set<std::string>> functions;
  return functions;
}

std::set<std::string>& used_files() {
  static std::set<std::string> used;
  return used;
}

bool begins_with_any(const std::string& name, const std::vector<std::string>& prefixes) {
  return std::any_of(prefixes.begin(), prefixes.end(),
                     [&](const std::string& prefix) { return name.rfind(prefix, 0) == 0; });
}

// Each test program is responsible for its own families of files: SERENADE_GOLDEN_OWNER is "apps"
// (the front end), "systems" (whole networks), "layers" (all others) or "cuda" (none: those
// programs compare with the CPU).
bool belongs_to_this_program(const std::string& name) {
  const bool app = begins_with_any(name, {"spectrogram"});
  const bool system = begins_with_any(name, {"model_", "train_", "supernet_", "bilevel_"});
  const std::string owner = SERENADE_GOLDEN_OWNER;
  if (owner == "cuda") return false;
  return owner == "apps" ? app : owner == "systems" ? system : !app && !system;
}

}  // namespace

bool has_golden(const std::string& name) { return fs::exists(golden_path(name)); }

Golden golden(const std::string& name) {
  used_files().insert(name);
  return read_safetensors(golden_path(name).string());
}

std::string golden_attribute(const Golden& file, const std::string& key) {
  const auto attributes = nlohmann::json::parse(file.metadata.at("attributes"));
  if (!attributes.contains(key)) return "";
  return attributes[key].is_string() ? attributes[key].get<std::string>() : attributes[key].dump();
}

std::vector<std::string> golden_names(const std::string& prefix) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(golden_folder())) {
    const std::string name = entry.path().stem().string();
    if (entry.path().extension() == ".safetensors" && name.rfind(prefix, 0) == 0) {
      names.push_back(name);
    }
  }
  std::sort(names.begin(), names.end());
  return names;
}

void check_close(const Tensor& actual, const Tensor& expected, const std::string& what,
                 double tolerance) {
  INFO(what);
  REQUIRE(to_string(actual.shape()) == to_string(expected.shape()));
  const std::vector<real> got = actual.to_vector(), wanted = expected.to_vector();
  double scale = 0, worst = 0;
  std::size_t at = 0;
  for (std::size_t i = 0; i < got.size(); ++i) {
    scale = std::max(scale, std::abs(static_cast<double>(wanted[i])));
    const double error = std::abs(static_cast<double>(got[i]) - static_cast<double>(wanted[i]));
    if (!(error <= worst)) {
      worst = std::isnan(error) ? INFINITY : error;
      at = i;
    }
  }
  INFO("worst element ", at, ": got ", got.empty() ? 0 : got[at], ", expected ",
       wanted.empty() ? 0 : wanted[at], ", tolerance ", tolerance, " of ", scale);
  CHECK(worst <= tolerance * std::max(scale, 1e-30) + (scale == 0 ? tolerance : 0));
}

void note_golden(const std::string& function, const std::string& file) {
  // The full set has more files: what is noted does not depend on which set is in use.
  if (fs::exists(small_golden_path(file))) noted_functions()[function].insert(file);
}

const std::map<std::string, std::set<std::string>>& functions_with_golden() {
  return noted_functions();
}

void check_golden_op(const std::string& function, const std::string& name,
                     const std::vector<std::string>& inputs,
                     const std::function<Variable(const std::vector<Variable>&)>& f,
                     const std::string& which) {
  INFO("golden file ", name, ", case ", which);
  note_golden(function, name);
  const Golden file = golden(name);
  const std::string prefix = which.empty() ? "" : which + ".";
  std::vector<Variable> variables;
  for (const std::string& input : inputs) variables.emplace_back(file.tensor(prefix + input), true);
  const Variable y = f(variables);
  check_close(y.value(), file.tensor(prefix + "y"), name + ": y");
  if (!file.has(prefix + "dy")) return;
  const Variable dy(file.tensor(prefix + "dy"));
  const std::vector<Variable> gradients = grad(sum(mul(y, dy)), variables);
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    if (!file.has(prefix + "d_" + inputs[i])) continue;
    const Tensor expected = file.tensor(prefix + "d_" + inputs[i]);
    const Tensor actual = gradients[i].defined() ? gradients[i].value() : Tensor(expected.shape());
    check_close(actual, expected, name + ": d_" + inputs[i]);
  }
}

int report_unused_golden_files(std::ostream& out) {
  int unused = 0;
  for (const std::string& name : golden_names("")) {
    if (belongs_to_this_program(name) && !used_files().count(name)) {
      out << "golden file never used by a test: " << name << "\n";
      unused = 1;
    }
  }
  return unused;
}

}  // namespace serenade
