#include "apps/ser/training/fingerprint.h"

#include "apps/ser/common/compute_device.h"
#include "apps/ser/training/search.h"
#include "kernels/gemm/gemm.h"
#include "kernels/runtime/cpu/isa.h"
#include "tensor/fnv.h"

namespace serenade::ser {

namespace {

std::string corpus_text(const Corpus& corpus) {
  Fnv all;
  for (const Recording& recording : corpus.recordings) {
    for (const std::string& text : {recording.id, recording.label_name, recording.speaker}) {
      all.add_text(text);
    }
    for (const double number : {recording.range.start, recording.range.end}) {
      all.add(&number, sizeof number);
    }
    all.add(&recording.session, sizeof recording.session);
    all.add(&recording.content, sizeof recording.content);
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
