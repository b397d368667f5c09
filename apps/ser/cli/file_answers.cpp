#include "apps/ser/cli/file_answers.h"

#include <algorithm>
#include <iostream>
#include <new>

#include "apps/ser/common/error.h"
#include "apps/ser/common/names.h"
#include "apps/ser/common/text_table.h"

namespace serenade::ser {

namespace {

constexpr const char* kAdvice = "cut it into shorter files, or use a model of a smaller preset";

std::string length_of(const std::string& file) {
  try {
    return ", which lasts " + fixed(survey_audio(file).info.seconds(), 1) + " s";
  } catch (const std::exception&) {
    return "";
  }
}

}  // namespace

void print_remarks(const std::string& file, const AudioInfo& info) {
  for (const std::string& remark : info.remarks) {
    std::cerr << "note: " << shown(file) << ": " << remark << ".\n";
  }
}

void FileAnswers::add(const std::string& file, const std::function<void()>& answer) {
  try {
    try {
      answer();
    } catch (const std::bad_alloc&) {
      throw MemoryError(file + ": out of memory for this file" + length_of(file) + "; " + kAdvice);
    }
  } catch (...) {
    failures_.push_back(std::current_exception());
  }
}

void FileAnswers::finish() const {
  const auto code = [](const std::exception_ptr& failure) {
    return failure_of(failure, kAdvice).code;
  };
  const auto worst = std::max_element(
      failures_.begin(), failures_.end(),
      [&](const std::exception_ptr& a, const std::exception_ptr& b) { return code(a) < code(b); });
  for (auto failure = failures_.begin(); failure != failures_.end(); ++failure) {
    if (failure != worst) {
      std::cerr << shown(failure_of(*failure, kAdvice).message) << "\n";
    }
  }
  if (worst != failures_.end()) std::rethrow_exception(*worst);
}

}  // namespace serenade::ser
