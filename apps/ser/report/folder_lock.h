#pragma once
// One writer per folder.

#include <string>

#include "tensor/descriptor.h"

namespace serenade::ser {

/// The file in a folder that its writer holds. It stays there; what counts is who holds it.
inline constexpr const char* kLockFile = "serenade.lock";

/// Holds a folder for as long as it lives. The system lets go when the process ends, however it
/// ends, so a lock is never left behind.
class FolderLock {
 public:
  /// Throws InputError naming the process and host that hold the folder, IoError where the lock
  /// cannot be made. A file system without locks is said on stderr.
  explicit FolderLock(const std::string& folder);

 private:
  Descriptor file_;
};

/// Throws InputError if somebody holds the folder; changes nothing.
void check_not_locked(const std::string& folder);

}  // namespace serenade::ser
