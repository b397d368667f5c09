#include "apps/ser/training/fingerprint.h"

#include <map>

#include "apps/ser/common/compute_device.h"
#include "apps/ser/common/files.h"
#include "apps/ser/common/parallel.h"
#include "apps/ser/training/search.h"
#include "kernels/gemm/gemm.h"
#include "kernels/runtime/cpu/isa.h"
#include "tensor/fnv.h"

namespace serenade::ser {

namespace {

// Of the content of each file, which may hold several recordings.
std::map<std::string, std::string> file_hashes(const Corpus& corpus) {
  std::map<std::string, std::string> hashes;
  for (const Recording& recording : corpus.recordings) hashes[recording.path];
  std::vector<std::pair<const std::string, std::string>*> files;
  for (auto& file : hashes) files.push_back(&file);
  parallel_for(static_cast<std::int64_t>(files.size()), 0, [&](std::int64_t i) {
    auto& [path, hash] = *files[static_cast<std::size_t>(i)];
    Fnv content;
    content.add_text(read_text_file(path));
    hash = content.hex();
  });
  return hashes;
}

std::string corpus_text(const Corpus& corpus) {
  const std::map<std::string, std::string> hashes = file_hashes(corpus);
  Fnv all;
  for (const Recording& recording : corpus.recordings) {
    for (const std::string& text : {recording.id, recording.label_name, recording.speaker,
                                    std::to_string(recording.session), hashes.at(recording.path)}) {
      all.add_text(text);
    }
    all.add(&recording.range, sizeof recording.range);
  }
  return std::to_string(corpus.recordings.size()) + " recordings, " + all.hex();
}

}  // namespace

Fingerprint fingerprint_of(const Config& config, const LoadedCorpus& loaded) {
  return {{"corpus", corpus_text(loaded.corpus)},
          {"architecture", configured_genotype(config).summary()},
          {"device", compute_device_name()},
          {"instruction set (SERENADE_ISA)", cpu::to_string(cpu::active_isa())},
          {"OpenBLAS core (OPENBLAS_CORETYPE)", cpu::openblas_core()},
          {"version of serenade", SERENADE_VERSION}};
}

}  // namespace serenade::ser
