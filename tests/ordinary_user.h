#pragma once
// For tests of what the system forbids: root may do everything.

#include <fcntl.h>
#include <unistd.h>

#include <string>

namespace serenade {

/// Makes a test that root runs an ordinary user's for its scope.
class OrdinaryUser {
 public:
  /// `folder` is what the test must see; nothing changes where that user could not.
  explicit OrdinaryUser(const std::string& folder) : root_(geteuid() == 0) {
    constexpr uid_t kNobody = 65534;
    const bool ordinary = !root_ || setresuid(kNobody, kNobody, 0) == 0;
    valid_ = ordinary && faccessat(AT_FDCWD, folder.c_str(), R_OK | X_OK, AT_EACCESS) == 0;
    if (!valid_) restore();
  }
  ~OrdinaryUser() { restore(); }
  OrdinaryUser(const OrdinaryUser&) = delete;
  OrdinaryUser& operator=(const OrdinaryUser&) = delete;

  bool valid() const { return valid_; }

 private:
  void restore() const { [[maybe_unused]] const int back = root_ ? setresuid(0, 0, 0) : 0; }

  bool root_, valid_;
};

}  // namespace serenade
