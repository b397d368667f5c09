#pragma once
// How many threads the CPU kernels use. Results do not depend on it: work is cut into pieces by its
// size alone, and pieces are added up in a fixed order.

namespace serenade::cpu {

/// At least 1; 0 means one per processor. Takes effect for the kernels that start afterwards.
void set_threads(int count);

/// The number in use.
int thread_count();

}  // namespace serenade::cpu
