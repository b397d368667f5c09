#include "apps/ser/common/utf8.h"

namespace serenade::ser {

namespace {

unsigned char byte_of(char c) { return static_cast<unsigned char>(c); }

}  // namespace

CodePoint first_code_point(std::string_view text) {
  const unsigned char lead = byte_of(text.front());
  if (lead < 0x80) return {lead, 1};
  const std::size_t bytes = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  if (lead < 0xc2 || lead > 0xf4 || text.size() < bytes) return {};
  std::uint32_t value = lead & (0xffU >> (bytes + 1));
  for (std::size_t i = 1; i < bytes; ++i) {
    if ((byte_of(text[i]) & 0xc0) != 0x80) return {};
    value = value << 6 | (byte_of(text[i]) & 0x3fU);
  }
  const bool overlong = (bytes == 3 && value < 0x800) || (bytes == 4 && value < 0x10000);
  const bool surrogate = value >= 0xd800 && value <= 0xdfff;
  if (overlong || surrogate || value > 0x10ffff) return {};
  return {value, bytes};
}

bool is_utf8(std::string_view text) {
  while (!text.empty()) {
    const CodePoint point = first_code_point(text);
    if (point.bytes == 0) return false;
    text.remove_prefix(point.bytes);
  }
  return true;
}

void append_utf8(std::string& text, std::uint32_t code_point) {
  if (code_point < 0x80) {
    text += static_cast<char>(code_point);
    return;
  }
  const int following = code_point < 0x800 ? 1 : code_point < 0x10000 ? 2 : 3;
  constexpr unsigned kLeads[] = {0, 0xc0, 0xe0, 0xf0};
  text += static_cast<char>(kLeads[following] | code_point >> 6 * following);
  for (int i = following - 1; i >= 0; --i) {
    text += static_cast<char>(0x80 | (code_point >> 6 * i & 0x3f));
  }
}

}  // namespace serenade::ser
