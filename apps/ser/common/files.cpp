#include "apps/ser/common/files.h"

#include <filesystem>

#include "apps/ser/common/error.h"
#include "tensor/files.h"

namespace serenade::ser {

std::string read_text_file(const std::string& path) {
  try {
    return read_file(path);
  } catch (const std::runtime_error& error) {
    std::error_code unknown;
    const bool is_there = std::filesystem::exists(path, unknown) || unknown;
    throw IoError(std::string(error.what()) +
                  (is_there ? "; check its permissions" : "; check its name"));
  }
}

void write_text_file(const std::string& path, const std::string& text) {
  try {
    write_file(path, text);
  } catch (const std::runtime_error& error) {
    throw IoError(std::string(error.what()) + "; check the free space and the permissions");
  }
}

void synchronise_text_file(const std::string& path) {
  try {
    synchronise_file(path);
  } catch (const std::runtime_error& error) {
    throw IoError(std::string(error.what()) + "; check the free space and the permissions");
  }
}

std::string absolute_path(const std::string& path) {
  return std::filesystem::absolute(path).lexically_normal().string();
}

void make_folder(const std::string& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error) {
    throw IoError(path + ": cannot be made: " + error.message() + "; choose another folder");
  }
}

}  // namespace serenade::ser
