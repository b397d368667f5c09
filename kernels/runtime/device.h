#pragma once
// Where a buffer lives and where a kernel runs.

namespace serenade {

enum class Device { cpu, cuda };

/// "cpu" or "cuda".
inline const char* to_string(Device device) { return device == Device::cpu ? "cpu" : "cuda"; }

}  // namespace serenade
