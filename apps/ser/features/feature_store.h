#pragma once
// A folder of packs (feature_pack.h): which spectrograms it holds, and how new ones get there.
//
// A pack's name begins with the key of the settings, so that a folder may serve many of them. Only
// whole packs appear in it, under names that depend on what they hold: several processes may use a
// folder at once. What is found damaged is removed, and made again.

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "apps/ser/features/feature_cache.h"
#include "apps/ser/features/feature_pack.h"

namespace serenade::ser {

class FeatureStore {
 public:
  /// Opens a folder, which is made if needed, and removes what killed writers left in it. Throws
  /// IoError.
  FeatureStore(const std::string& folder, const FeatureSettings& settings);

  /// What lies under a key, mapped; nothing if there is none, or it is damaged or not finite. May
  /// be called by several threads, as may add().
  std::optional<Features> find(std::uint64_t key);

  /// Puts features under a key. They are written once enough has come together, and are then
  /// replaced by the mapped ones, so that what was computed leaves the memory: `features` must stay
  /// where it is until write(). Throws IoError.
  void add(std::uint64_t key, Features& features);

  /// Writes what has not been written yet. Throws IoError.
  void write();

 private:
  struct Place {
    FeaturePack* pack = nullptr;
    std::size_t entry = 0;
  };
  struct Pending {
    std::uint64_t key = 0;
    Features* features = nullptr;
  };
  void write(const std::vector<Pending>& list);

  std::string folder_, settings_key_;
  std::int64_t bins_;
  std::vector<std::unique_ptr<FeaturePack>> packs_;
  std::unordered_multimap<std::uint64_t, Place> places_;
  std::mutex mutex_;  // of what follows
  std::vector<Pending> pending_;
  std::uint64_t pending_bytes_ = 0;
};

}  // namespace serenade::ser
