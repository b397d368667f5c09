#pragma once
// What load_corpus finds out by decoding every file, and by comparing what the readers have found.

#include "apps/ser/corpus/corpus.h"

namespace serenade::ser {

/// Decodes the files of all recordings, on several threads, and fills their seconds; what cannot be
/// used moves to `skipped`, with the reason. Fills `duplicates`, and adds notes on files that are
/// odd but can be used.
void survey_recordings(Corpus& corpus);

/// Refuses speakers and groups that can be no names; skips recordings whose path can be none; shows
/// what stands in `skipped`, `found_labels` and `left_out` without harm.
void check_names(Corpus& corpus);

/// Adds notes on classes without a recording and on speakers that differ in spelling only.
void note_oddities(Corpus& corpus);

}  // namespace serenade::ser
