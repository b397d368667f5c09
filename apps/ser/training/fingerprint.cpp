#include "apps/ser/training/fingerprint.h"

#include "apps/ser/common/compute_device.h"
#include "apps/ser/training/model_origin.h"
#include "apps/ser/training/search.h"
#include "kernels/gemm/gemm.h"
#include "kernels/runtime/cpu/isa.h"

namespace serenade::ser {

Fingerprint fingerprint_of(const Config& config, const LoadedCorpus& loaded) {
  return {{"corpus", corpus_fingerprint(loaded.corpus)},
          {"architecture", configured_genotype(config).summary()},
          {"device", compute_device_name()},
          {"instruction set (SERENADE_ISA)", cpu::to_string(cpu::active_isa())},
          {"OpenBLAS core (OPENBLAS_CORETYPE)", cpu::openblas_core()},
          {"version of serenade", SERENADE_VERSION}};
}

}  // namespace serenade::ser
