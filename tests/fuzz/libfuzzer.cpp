// libFuzzer's door to the targets:  serenade_fuzz --target=NAME [--write-seeds=FOLDER] ..
//
// Options with two dashes are ours; libFuzzer leaves them alone. --write-seeds writes the seeds and
// the dictionary (words) into the folder and ends. The rest is libFuzzer's (README.md).

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <iostream>

#include "tensor/files.h"
#include "tests/fuzz/target.h"

namespace {

using serenade::fuzz::Target;

const Target* chosen = nullptr;

// A line of libFuzzer's dictionary.
std::string dictionary_line(const std::string& word) {
  static const char* digits = "0123456789abcdef";
  std::string line = "\"";
  for (const char c : word) {
    const auto byte = static_cast<unsigned char>(c);
    line += std::string("\\x") + digits[byte >> 4] + digits[byte & 15];
  }
  return line + "\"\n";
}

[[noreturn]] void write_seeds(const std::string& folder) {
  int number = 0;
  for (const std::string& seed : chosen->seeds()) {
    serenade::write_file(folder + "/seed-" + std::to_string(number++), seed);
  }
  std::string words;
  for (const std::string& word : chosen->words) words += dictionary_line(word);
  serenade::write_file(folder + ".words", words);
  std::exit(0);
}

std::string option(int argc, char** argv, const std::string& name) {
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    if (word.starts_with(name + "=")) return word.substr(name.size() + 1);
  }
  return "";
}

}  // namespace

extern "C" int LLVMFuzzerInitialize(int* argc, char*** argv) {
  const std::string name = option(*argc, *argv, "--target");
  std::string names;
  for (const Target& target : serenade::fuzz::targets()) {
    if (target.name == name) chosen = &target;
    names += " " + target.name;
  }
  if (!chosen) {
    std::cerr << "serenade_fuzz: --target=NAME must be one of:" << names << std::endl;
    std::exit(2);
  }
  const std::string folder = option(*argc, *argv, "--write-seeds");
  if (!folder.empty()) write_seeds(folder);
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  chosen->run(std::string(reinterpret_cast<const char*>(data), size));
  return 0;
}
