#pragma once
// A trained recogniser in one file: weights, normalisation, architecture, names of the classes and
// configuration, so that `predict` and `evaluate` need nothing else.

#include <memory>
#include <optional>
#include <string>

#include "apps/ser/data/dataset.h"
#include "apps/ser/models/recognizer.h"
#include "apps/ser/training/config.h"
#include "apps/ser/training/model_origin.h"
#include "nas/genotype.h"

namespace serenade::ser {

struct ModelFile {
  Config config;  ///< of the run that made it, resolved
  Genotype genotype;
  Normalisation normalisation;
  std::optional<ModelOrigin> origin;       ///< nothing: of before, when models did not say
  std::unique_ptr<Recognizer> recognizer;  ///< in evaluation mode
};

/// Writes a safetensors file: parameters under their names, normalisation as "normalisation.mean"
/// and "normalisation.deviation", the rest as metadata, without the paths that the configuration
/// has. Whole or not at all; throws IoError naming the path.
void write_model(const std::string& path, const Config& config, const Genotype& genotype,
                 const Normalisation& normalisation, const Recognizer& recognizer,
                 const std::optional<ModelOrigin>& origin = std::nullopt);

/// Reads what write_model wrote; throws InputError, one line naming the file and what is wrong with
/// it (missing, damaged, not a recogniser, weights that do not fit).
ModelFile read_model(const std::string& path);

}  // namespace serenade::ser
