#pragma once
// An open file of the system, for what streams cannot do: locks, maps, reading at a place.

#include <fcntl.h>
#include <unistd.h>

#include <string>
#include <utility>

namespace serenade {

/// Closed at the end of its life. Where opening failed it is not valid(), and errno says why.
class Descriptor {
 public:
  Descriptor() = default;
  /// flags, mode: of open(2).
  Descriptor(const std::string& path, int flags, mode_t mode = 0)
      : number_(open(path.c_str(), flags | O_CLOEXEC, mode)) {}
  ~Descriptor() {
    if (valid()) close(number_);
  }
  Descriptor(Descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(number_, other.number_);
    return *this;
  }

  bool valid() const { return number_ >= 0; }
  int number() const { return number_; }

 private:
  int number_ = -1;
};

}  // namespace serenade
