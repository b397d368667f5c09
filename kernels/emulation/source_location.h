#pragma once
// Where in a source something stands: std::source_location, and the same for compilers that lack it
// (clang 14 with GCC 12's library).

#include <source_location>

namespace serenade::emulation {

#ifdef __cpp_lib_source_location
using SourceLocation = std::source_location;
#else
class SourceLocation {
 public:
  static constexpr SourceLocation current(const char* file = __builtin_FILE(),
                                          unsigned line = __builtin_LINE(),
                                          unsigned column = __builtin_COLUMN()) {
    SourceLocation here;
    here.file_ = file;
    here.line_ = line;
    here.column_ = column;
    return here;
  }
  const char* file_name() const { return file_; }
  unsigned line() const { return line_; }
  unsigned column() const { return column_; }

 private:
  const char* file_ = "";
  unsigned line_ = 0, column_ = 0;
};
#endif

}  // namespace serenade::emulation
