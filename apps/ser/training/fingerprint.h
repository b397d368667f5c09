#pragma once
// What a run must not change in its course without anybody noticing.

#include <string>
#include <utility>
#include <vector>

#include "apps/ser/training/config.h"
#include "apps/ser/training/loaded_corpus.h"

namespace serenade::ser {

/// What the bits of a run depend on beside its configuration, each under the words for a message:
/// the recordings with their labels and samples, the architecture that is trained, the device and
/// its kernels, this program's version.
using Fingerprint = std::vector<std::pair<std::string, std::string>>;

Fingerprint fingerprint_of(const Config& config, const LoadedCorpus& loaded);

}  // namespace serenade::ser
