#include "apps/ser/common/names.h"

#include <cstdint>

#include "apps/ser/common/error.h"
#include "apps/ser/common/utf8.h"

namespace serenade::ser {

namespace {

// "session12-test-" and a direction beside a speaker's file name.
constexpr std::size_t kFoldPrefix = 40;

unsigned char byte_of(char c) { return static_cast<unsigned char>(c); }

// C0, DEL, and C1, which some terminals obey as well.
bool is_control(std::uint32_t value) { return value < 0x20 || (value >= 0x7f && value <= 0x9f); }

void append_hex(std::string& out, const char* prefix, char c) {
  constexpr const char* kDigits = "0123456789ABCDEF";
  out += prefix;
  out += kDigits[byte_of(c) >> 4];
  out += kDigits[byte_of(c) & 15];
}

bool stays(char c, bool first) {
  const bool letter = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
  return letter || c == '_' || c == '-' || (c == '.' && !first);
}

std::string encoded(std::string_view id) {
  if (id.empty()) return "%";
  std::string name;
  for (const char c : id) {
    if (stays(c, name.empty())) {
      name += c;
    } else {
      append_hex(name, "%", c);
    }
  }
  return name;
}

}  // namespace

std::string without_path(const std::string& message, const std::string& path) {
  return message.starts_with(path + ": ") ? message.substr(path.size() + 2) : message;
}

std::string shown(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const CodePoint point = first_code_point(text);
    const std::size_t bytes = point.bytes == 0 ? 1 : point.bytes;
    if (point.bytes == 0 || is_control(point.value)) {
      for (const char c : text.substr(0, bytes)) append_hex(out, "\\x", c);
    } else {
      out += text.substr(0, bytes);
    }
    text.remove_prefix(bytes);
  }
  return out;
}

std::string without_function(const std::string& message) {
  const std::size_t end = message.find_first_not_of("abcdefghijklmnopqrstuvwxyz_0123456789");
  return end != std::string::npos && message.compare(end, 2, ": ") == 0 ? message.substr(end + 2)
                                                                        : message;
}

std::string name_fault(std::string_view name, std::size_t longest) {
  if (name.empty()) return "is empty";
  if (name.size() > longest) {
    return "has " + std::to_string(name.size()) + " bytes, more than " + std::to_string(longest);
  }
  while (!name.empty()) {
    const CodePoint point = first_code_point(name);
    if (point.bytes == 0) return "is not UTF-8";
    if (is_control(point.value)) return "holds a control character";
    name.remove_prefix(point.bytes);
  }
  return "";
}

std::string speaker_fault(std::string_view speaker) {
  std::string fault = name_fault(speaker);
  const std::size_t room = kLongestFileName - kFoldPrefix;
  if (!fault.empty() || encoded(speaker).size() <= room) return fault;
  return "is too long for the name of a folder (" + std::to_string(encoded(speaker).size()) +
         " bytes where signs take three, more than " + std::to_string(room) + ")";
}

std::string file_name_of(std::string_view id) {
  std::string name = encoded(id);
  if (name.size() > kLongestFileName) {
    throw InputError("'" + shown(id.substr(0, 40)) + "..': is too long for the name of a file (" +
                     std::to_string(name.size()) + " bytes where signs take three, more than " +
                     std::to_string(kLongestFileName) + "); give it a shorter name");
  }
  return name;
}

}  // namespace serenade::ser
