#pragma once
// Commands that answer for many files: what is wrong with one does not take the others' answers.

#include <exception>
#include <functional>
#include <string>
#include <vector>

#include "apps/ser/corpus/audio.h"

namespace serenade::ser {

/// Says on stderr what a user should know about a file though it could be read.
void print_remarks(const std::string& file, const AudioInfo& info);

class FileAnswers {
 public:
  /// Calls `answer`, and keeps what it throws. Too little memory becomes a MemoryError that says
  /// how long the sound in the file is.
  void add(const std::string& file, const std::function<void()>& answer);

  /// To be called when the answers have been printed: says on stderr what was wrong with each file
  /// but the worst, whose exception is thrown on, and ends the program.
  void finish() const;

 private:
  std::vector<std::exception_ptr> failures_;
};

}  // namespace serenade::ser
