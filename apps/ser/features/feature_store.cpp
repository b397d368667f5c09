// Finding packs, and gathering spectrograms for new ones.

#include "apps/ser/features/feature_store.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <filesystem>

#include "apps/ser/common/files.h"
#include "tensor/files.h"
#include "tensor/fnv.h"

namespace serenade::ser {

namespace {

namespace fs = std::filesystem;

constexpr const char* kSuffix = ".pack";

// A few seconds of work, which is what a killed process loses; the 41 GB of the paper's front end
// and IEMOCAP become 650 packs.
constexpr std::uint64_t kPackBytes = std::uint64_t{64} << 20;

// Nobody writes a pack for as long as this.
constexpr std::chrono::hours kPatience(1);

// Whether a file was left by a writer that is no more: its name ends .PID.NUMBER.partial
// (tensor/files.h). Where computers share the folder, that process may live on another one, which
// cannot be asked; so the file must be old as well.
bool is_abandoned(const fs::path& path) {
  const std::string name = path.filename().string();
  const std::size_t end = name.find(std::string(kSuffix) + ".");
  if (end == std::string::npos || !name.ends_with(kPartialSuffix)) return false;
  const int writer = std::atoi(name.c_str() + end + std::string(kSuffix).size() + 1);
  if (writer <= 0 || kill(writer, 0) == 0 || errno != ESRCH) return false;
  std::error_code error;
  const fs::file_time_type written = fs::last_write_time(path, error);
  return !error && fs::file_time_type::clock::now() - written > kPatience;
}

}  // namespace

FeatureStore::FeatureStore(const std::string& folder, const FeatureSettings& settings)
    : folder_(folder), settings_key_(settings_key(settings)), bins_(settings.rows()) {
  make_folder(folder);
  std::vector<std::string> names;
  std::error_code error, ignored;
  for (fs::directory_iterator file(folder, error), end; !error && file != end;
       file.increment(error)) {
    const std::string name = file->path().filename().string();
    if (is_abandoned(file->path())) fs::remove(file->path(), ignored);
    if (name.starts_with(settings_key_ + "-") && name.ends_with(kSuffix)) names.push_back(name);
  }
  std::sort(names.begin(), names.end());
  for (const std::string& name : names) {
    auto pack = std::make_unique<FeaturePack>((fs::path(folder) / name).string(), bins_);
    if (pack->damaged()) fs::remove(pack->path(), ignored);
    for (std::size_t i = 0; i < pack->entries().size(); ++i) {
      places_.emplace(pack->entries()[i].key, Place{pack.get(), i});
    }
    packs_.push_back(std::move(pack));
  }
}

std::optional<Features> FeatureStore::find(std::uint64_t key) {
  const auto [first, last] = places_.equal_range(key);
  for (auto place = first; place != last; ++place) {
    FeaturePack& pack = *place->second.pack;
    const FeaturePack::Entry& entry = pack.entries()[place->second.entry];
    const std::shared_ptr<const float> values = pack.values(entry);
    if (values && all_finite(values.get(), bins_ * entry.frames)) {
      return Features{bins_, entry.frames, values.get(), values};
    }
    if (!values && !pack.damaged()) continue;  // another process has removed or replaced it
    std::error_code ignored;
    fs::remove(pack.path(), ignored);  // what is whole in it stays mapped
  }
  return std::nullopt;
}

void FeatureStore::add(std::uint64_t key, Features& features) {
  std::vector<Pending> full;
  {
    const std::lock_guard lock(mutex_);
    pending_.push_back({key, &features});
    pending_bytes_ += static_cast<std::uint64_t>(features.bins * features.frames) * sizeof(float);
    if (pending_bytes_ < kPackBytes) return;
    pending_bytes_ = 0;
    full.swap(pending_);
  }
  write(full);
}

void FeatureStore::write() {
  std::vector<Pending> rest;
  {
    const std::lock_guard lock(mutex_);
    pending_bytes_ = 0;
    rest.swap(pending_);
  }
  if (!rest.empty()) write(rest);
}

void FeatureStore::write(const std::vector<Pending>& list) {
  Fnv name;
  std::vector<PackedSpectrogram> spectrograms;
  for (const Pending& item : list) {
    name.add(&item.key, sizeof item.key);
    spectrograms.push_back({item.key, item.features->frames, item.features->values});
  }
  const std::string path =
      (fs::path(folder_) / (settings_key_ + "-" + name.hex() + kSuffix)).string();
  write_pack(path, bins_, spectrograms);
  FeaturePack pack(path, bins_);
  for (std::size_t i = 0; i < pack.entries().size() && i < list.size(); ++i) {
    const std::shared_ptr<const float> values = pack.values(pack.entries()[i]);
    if (!values || pack.entries()[i].key != list[i].key) continue;
    list[i].features->values = values.get();
    list[i].features->owner = values;
  }
}

}  // namespace serenade::ser
