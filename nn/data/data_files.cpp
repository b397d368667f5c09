#include "nn/data/data_files.h"

#include <filesystem>
#include <stdexcept>
#include <system_error>

namespace serenade {

namespace fs = std::filesystem;

std::string find_optional_data_file(const std::string& folder, const std::string& name) {
  for (const char* ending : {"", ".gz"}) {
    const fs::path path = fs::path(folder) / (name + ending);
    std::error_code error;
    if (fs::exists(path, error)) return path.string();
  }
  return "";
}

std::string find_data_file(const std::string& folder, const std::string& name) {
  std::string path = find_optional_data_file(folder, name);
  if (!path.empty()) return path;
  throw std::runtime_error((fs::path(folder) / name).string() + ": is not there, nor is " + name +
                           ".gz beside it");
}

void check_label(const std::string& path, std::size_t i, std::int64_t label, std::int64_t classes) {
  if (label >= 0 && label < classes) return;
  throw std::runtime_error(path + ": label " + std::to_string(i) + " is " + std::to_string(label) +
                           "; it must be in 0 .. " + std::to_string(classes - 1));
}

}  // namespace serenade
