// Model files that are damaged in one place each: refused in one line that names the file and what
// is wrong, before a network answers with them.

#include "apps/ser/training/model_file.h"

#include <doctest/doctest.h>

#include <functional>
#include <limits>

#include "apps/ser/common/error.h"
#include "tensor/safetensors.h"
#include "tests/apps/ser/common/files.h"

using namespace serenade;
using namespace serenade::ser;

namespace {

/// A model of the small preset that was never trained.
std::string write_untrained(const TemporaryFolder& folder) {
  Config config;
  set_value(config, "preset", "mel");
  config.normalisation = NormalisationKind::per_bin;
  config.resolve();
  const Genotype genotype = baseline_genotype(config.options);
  const auto rows = static_cast<std::size_t>(config.features.rows());
  const std::string path = folder / "model.safetensors";
  write_model(path, config, genotype,
              {.kind = config.normalisation,
               .mean = std::vector<float>(rows, 0.5f),
               .stddev = std::vector<float>(rows, 2.0f)},
              *make_recognizer(config.options, genotype));
  return path;
}

/// What read_model says of the file after `damage`.
std::string refusal(const TemporaryFolder& folder,
                    const std::function<void(SafetensorsFile&)>& damage) {
  const std::string path = write_untrained(folder);
  SafetensorsFile file = read_safetensors(path);
  damage(file);
  write_safetensors(path, file);
  try {
    read_model(path);
  } catch (const InputError& error) {
    const std::string what = error.what();
    CHECK(what.starts_with(path + ": "));
    CHECK(what.find("::at") == std::string::npos);
    CHECK(what.find('\n') == std::string::npos);
    return what.substr(path.size() + 2);
  }
  return "accepted";
}

void check_refused(const TemporaryFolder& folder, const std::string& expected,
                   const std::function<void(SafetensorsFile&)>& damage) {
  const std::string said = refusal(folder, damage);
  CAPTURE(said);
  CHECK(said.find(expected) != std::string::npos);
}

}  // namespace

TEST_CASE("model file: NaN or infinity in any tensor is refused by its name") {
  const TemporaryFolder folder;
  CHECK(refusal(folder, [](SafetensorsFile&) {}) == "accepted");
  const SafetensorsFile whole = read_safetensors(write_untrained(folder));
  for (const real bad :
       {std::numeric_limits<real>::quiet_NaN(), std::numeric_limits<real>::infinity(),
        -std::numeric_limits<real>::infinity()}) {
    for (const auto& [name, tensor] : whole.tensors) {
      CAPTURE(name);
      const std::int64_t last = tensor.numel() - 1;
      check_refused(
          folder,
          "damaged: element " + std::to_string(last) + " of '" + name + "' is not a finite number",
          [&, name = name](SafetensorsFile& file) { file.tensors.at(name).data()[last] = bad; });
    }
  }
}

TEST_CASE("model file: what its metadata lack, or hold too much of, is said") {
  const TemporaryFolder folder;
  check_refused(folder, "not a model of this program", [](auto& file) { file.metadata.clear(); });
  for (const char* key : {"config", "genotype"}) {
    check_refused(folder, std::string("its metadata lack '") + key + "'",
                  [&](SafetensorsFile& file) { file.metadata.erase(key); });
    check_refused(folder, "more than 64 deep",
                  [&](SafetensorsFile& file) { file.metadata[key] = std::string(2'000'000, '['); });
    check_refused(folder, "not valid JSON", [&](SafetensorsFile& file) {
      file.metadata[key].resize(file.metadata[key].size() / 2);
    });
  }
}

TEST_CASE("model file: tensors that are missing, of another shape, or no deviation are refused") {
  const TemporaryFolder folder;
  check_refused(folder, "normalisation.mean",
                [](SafetensorsFile& file) { file.tensors.erase("normalisation.mean"); });
  check_refused(folder, "one value per frequency row", [](SafetensorsFile& file) {
    file.tensors["normalisation.deviation"] = Tensor::ones({3});
  });
  check_refused(folder, "a deviation that is not positive", [](SafetensorsFile& file) {
    file.tensors["normalisation.deviation"].data()[1] = 0;
  });
  check_refused(folder, "load_state_dict", [](SafetensorsFile& file) {
    file.tensors.begin()->second = Tensor::ones({1, 2, 3});
  });
  check_refused(folder, "load_state_dict",
                [](SafetensorsFile& file) { file.tensors["more"] = Tensor::ones({1}); });
}
