#include "tests/fuzz/target.h"

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <stdexcept>
#include <system_error>

namespace serenade::fuzz {

namespace {

namespace fs = std::filesystem;

struct Scratch {
  std::string path =
      (fs::temp_directory_path() / ("serenade-fuzz-" + std::to_string(getpid()))).string();
  Scratch() { fs::create_directories(path); }
  ~Scratch() {
    std::error_code ignored;
    fs::remove_all(path, ignored);
  }
};

std::string said(const std::exception& error) {
  const std::string message = error.what();
  if (message.empty()) fault("a refusal that says nothing");
  return message;
}

}  // namespace

void fault(const std::string& what) {
  std::cerr << "FAULT: " << what << std::endl;
  std::abort();
}

std::string refusal(const std::function<void()>& read) {
  try {
    read();
    return "";
  } catch (const std::system_error& error) {
    fault(std::string("the system's error went through: ") + error.what());
  } catch (const std::runtime_error& error) {
    return said(error);
  } catch (const std::invalid_argument& error) {
    return said(error);
  }
}

const std::string& scratch_folder() {
  static const Scratch scratch;
  return scratch.path;
}

std::string scratch_file(const std::string& name, const std::string& content) {
  const std::string path = scratch_folder() + "/" + name;
  std::ofstream out(path, std::ios::binary);
  out.write(content.data(), static_cast<std::streamsize>(content.size()));
  out.close();
  if (!out) throw std::runtime_error(path + ": cannot be written");
  return path;
}

}  // namespace serenade::fuzz
