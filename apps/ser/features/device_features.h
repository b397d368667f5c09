#pragma once
// The spectrograms of a whole corpus made on a device and kept there.
//
// Sound is decoded by the host's threads; all else is launched recording by recording: spectrogram,
// for kind mel its bands, and the moments of the rows. Spectrograms are stored in half precision,
// which rounds a value to 11 bits; only the kind `power`, whose values exceed half's range, in
// float32. The kind `pcen`, each of whose values needs the one before it, is the host's alone.

#include "apps/ser/features/feature_cache.h"

namespace serenade::ser {

/// Whether extract_features_on() can make the kind.
bool can_be_made_on_devices(const FeatureSettings& settings);

SpectrogramFormat device_format(const FeatureSettings& settings);

/// Bytes of all spectrograms and of the statistics of their rows, from the lengths of the
/// recordings.
double device_bytes(const Corpus& corpus, const FeatureSettings& settings);

/// The features of every recording of the corpus, in its order, with their moments. `options`: as
/// of extract_features(), which throws the same, but without a cache folder. Throws
/// std::invalid_argument for a kind that cannot be made.
std::vector<Features> extract_features_on(Device device, const Corpus& corpus,
                                          const FeatureSettings& settings,
                                          const ExtractOptions& options = {});

}  // namespace serenade::ser
