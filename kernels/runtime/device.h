#pragma once
// Where a buffer lives and where a kernel runs, and what the layers above may ask about it. They
// ask by meaning, not by name: which device a kernel runs on is decided in dispatch.h alone.

namespace serenade {

enum class Device { cpu, cuda };

/// "cpu" or "cuda".
inline const char* to_string(Device device) { return device == Device::cpu ? "cpu" : "cuda"; }

/// Whether the host may read and write the device's buffers through their pointers.
inline bool in_host_memory(Device device) { return device == Device::cpu; }

/// Whether a kernel call may return before its work is done, so that reading a result may have to
/// wait. Where this is false, every result is there as soon as the call returns.
inline bool runs_ahead(Device device) { return device != Device::cpu; }

}  // namespace serenade
