#include "kernels/runtime/threads.h"

#include <omp.h>

namespace serenade::cpu {

void set_threads(int count) { omp_set_num_threads(count > 0 ? count : omp_get_num_procs()); }

int thread_count() { return omp_get_max_threads(); }

}  // namespace serenade::cpu
