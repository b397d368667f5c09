// Gives every target its seeds and everything that once broke it (crashes/NAME/), with any
// compiler: a test of its own. Files that are named on the command line are tried instead:
//
//   serenade_fuzz_replay [TARGET FILE..]

#include <algorithm>
#include <filesystem>
#include <iostream>

#include "tensor/files.h"
#include "tests/fuzz/target.h"

namespace {

namespace fs = std::filesystem;
using serenade::fuzz::Target;

std::vector<std::string> files_of(const std::string& folder) {
  std::vector<std::string> files;
  if (!fs::is_directory(folder)) return files;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
    files.push_back(entry.path().string());
  }
  std::sort(files.begin(), files.end());
  return files;
}

void replay(const Target& target, const std::string& file) {
  std::cout << target.name << " " << fs::path(file).filename().string() << std::endl;
  target.run(serenade::read_file(file));
}

}  // namespace

int main(int argc, char** argv) {
  int inputs = 0;
  for (const Target& target : serenade::fuzz::targets()) {
    if (argc > 1 && target.name != argv[1]) continue;
    for (int i = 2; i < argc; ++i, ++inputs) replay(target, argv[i]);
    if (argc > 1) continue;
    for (const std::string& seed : target.seeds()) {
      target.run(seed);
      ++inputs;
    }
    for (const std::string& file : files_of(SERENADE_FUZZ_FOLDER "/crashes/" + target.name)) {
      replay(target, file);
      ++inputs;
    }
  }
  std::cout << inputs << " inputs tried" << std::endl;
  return inputs == 0 ? 1 : 0;
}
