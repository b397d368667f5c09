// Whole files: what is written is read back, and a failure leaves no part and changes nothing.

#include "tensor/files.h"

#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <ostream>
#include <stdexcept>
#include <string>
#include <vector>

#include "tests/temporary_folder.h"

using namespace serenade;
namespace fs = std::filesystem;

namespace {

auto count(const TemporaryFolder& folder) {
  return std::distance(fs::directory_iterator(folder.path()), {});
}

}  // namespace

TEST_CASE("files: every byte is read back, and an empty file is empty") {
  const TemporaryFolder folder;
  const std::string bytes("a\0b\r\n\xff", 6);
  write_file(folder / "bytes", bytes);
  CHECK(read_file(folder / "bytes") == bytes);
  write_file(folder / "bytes", "");
  CHECK(read_file(folder / "bytes") == "");
  write_file(folder / "pieces", [](std::ostream& out) { out << "one " << 2; });
  CHECK(read_file(folder / "pieces") == "one 2");
  CHECK(count(folder) == 2);
  const fs::path before = fs::current_path();
  fs::current_path(folder.path());
  CHECK_NOTHROW(write_file("bytes", "by a mere name"));
  fs::current_path(before);
  CHECK(read_file(folder / "bytes") == "by a mere name");
  CHECK(count(folder) == 2);
}

TEST_CASE("files: a failure names the file and the reason, and changes nothing") {
  const TemporaryFolder folder;
  write_file(folder / "kept", "old");
  CHECK_THROWS_WITH_AS(read_file("/nowhere/x"),
                       "/nowhere/x: cannot be read: No such file or directory", std::runtime_error);
  CHECK_THROWS_WITH_AS(read_file("/"), "/: cannot be read: it is a folder", std::runtime_error);
  // A file that opens, of which the first byte is already an error: no memory lies at address 0.
  CHECK_THROWS_WITH_AS(read_file("/proc/self/mem"),
                       "/proc/self/mem: cannot be read to its end: Input/output error",
                       std::runtime_error);
  CHECK_THROWS_WITH_AS(write_file("/nowhere/x", "new"),
                       "/nowhere/x: cannot be written: No such file or directory",
                       std::runtime_error);
  CHECK_THROWS_AS(write_file(folder / "kept",
                             [](std::ostream& out) {
                               out << "half";
                               throw std::runtime_error("broken off");
                             }),
                  std::runtime_error);
  CHECK_THROWS_AS(write_file(folder / "kept",
                             [](std::ostream& out) {
                               out << "half";
                               out.setstate(std::ios::badbit);  // as a full disk does
                             }),
                  std::runtime_error);
  fs::create_directories(folder / "taken/inside");
  CHECK_THROWS_AS(write_file(folder / "taken", "new"), std::runtime_error);
  CHECK(read_file(folder / "kept") == "old");
  CHECK(count(folder) == 2);
}

TEST_CASE("files: a link stays a link, and what it points to is written anew") {
  const TemporaryFolder folder;
  write_file(folder / "kept", "old");
  fs::create_symlink("kept", folder / "link");
  write_file(folder / "link", "new");
  CHECK(fs::is_symlink(folder / "link"));
  CHECK(read_file(folder / "kept") == "new");
  CHECK(count(folder) == 2);
  // One that leads back to itself stands for no file, and gives way to one.
  fs::create_symlink("loop", folder / "loop");
  write_file(folder / "loop", "whole");
  CHECK(read_file(folder / "loop") == "whole");
  CHECK(count(folder) == 3);
}

TEST_CASE("files: a device stays a device") {
  const auto is_device = [] { return fs::is_character_file("/dev/null"); };
  REQUIRE(is_device());
  write_file("/dev/null", "gone");
  CHECK(is_device());
  CHECK_THROWS_WITH_AS(write_file("/dev/full", "gone"), doctest::Contains("No space left"),
                       std::runtime_error);
  const TemporaryFolder folder;
  const std::string socket = folder / "socket";
  REQUIRE(mknod(socket.c_str(), S_IFSOCK | 0600, 0) == 0);
  CHECK_THROWS_WITH_AS(write_file(socket, "gone"),
                       (socket + ": cannot be written: No such device or address").c_str(),
                       std::runtime_error);
  CHECK(fs::is_socket(socket));
}

TEST_CASE("files: a pipe that nobody writes to is empty, and does not hang") {
  const TemporaryFolder folder;
  REQUIRE(mkfifo((folder / "pipe").c_str(), 0600) == 0);
  CHECK(read_file(folder / "pipe") == "");
}

TEST_CASE("files: what has no end is not read for ever") {
  CHECK_THROWS_WITH_AS(read_file("/dev/zero"), doctest::Contains("there is no end"),
                       std::runtime_error);
}

TEST_CASE("files: what cannot be brought to the disk is named") {
  const TemporaryFolder folder;
  write_file(folder / "log", "line\n");
  synchronise_file(folder / "log");
  CHECK_THROWS_WITH_AS(synchronise_file(folder / "absent"),
                       doctest::Contains((folder / "absent: cannot be written").c_str()),
                       std::runtime_error);
}

TEST_CASE("files: what a killed program left unfinished is removed, and nothing else") {
  const TemporaryFolder folder;
  write_file(folder / "kept", "old");
  for (const char* name : {"kept.12.0.partial", "other.3.1.partial"}) {
    std::ofstream(folder / name) << "half";
  }
  const std::vector<std::string> others = {
      "mine.partial",  "mine.12.partial",    "mine.12..partial", "12.0.partial",
      ".12.0.partial", "mine.12.0.partial2", "mine.12-0.partial"};
  for (const std::string& name : others) std::ofstream(folder / name) << "mine";
  remove_partial_files(folder.path());
  CHECK(count(folder) == 1 + std::ssize(others));
  for (const std::string& name : others) CHECK(read_file(folder / name) == "mine");
  CHECK(read_file(folder / "kept") == "old");
  remove_partial_files("/nowhere");
}
