#include "nn/data/npy_header.h"

#include <charconv>
#include <string>
#include <utility>

#include "kernels/runtime/memory.h"
#include "tensor/json.h"

namespace serenade {

namespace {

class HeaderText {
 public:
  HeaderText(std::string_view text, const ByteSource& source) : text_(text), source_(source) {}

  NpyHeader parse() {
    NpyHeader header;
    bool has_type = false, has_order = false, has_shape = false;
    expect('{');
    while (!accept('}')) {
      const std::string key = word();
      expect(':');
      bool& seen = key == "descr" ? has_type : key == "shape" ? has_shape : has_order;
      if (key == "descr") {
        parse_type(header);
      } else if (key == "fortran_order") {
        header.fortran_order = truth();
      } else if (key == "shape") {
        header.shape = shape();
      } else {
        fail("has the unknown key " + json_quoted(key));
      }
      if (std::exchange(seen, true)) fail("has the key '" + key + "' twice");
      if (!accept(',')) {
        expect('}');
        break;
      }
    }
    skip_blanks();
    if (at_ != text_.size()) fail("goes on behind its closing brace");
    if (!has_type || !has_order || !has_shape) {
      fail("lacks one of 'descr', 'fortran_order' and 'shape'");
    }
    return header;
  }

 private:
  [[noreturn]] void fail(const std::string& what) const { source_.fail("its header " + what); }

  void skip_blanks() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n')) ++at_;
  }

  bool accept(char c) {
    skip_blanks();
    if (at_ == text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }

  void expect(char c) {
    if (!accept(c)) fail("lacks a '" + std::string(1, c) + "' at byte " + std::to_string(at_));
  }

  // Text in quotes of either kind, without any escapes: no known word has one.
  std::string word() {
    const char quote = accept('"') ? '"' : '\'';
    if (quote == '\'') expect(quote);
    const std::size_t end = text_.find(quote, at_);
    if (end == std::string_view::npos) fail("has a text without an end");
    const std::string_view found = text_.substr(at_, end - at_);
    at_ = end + 1;
    return std::string(found);
  }

  bool truth() {
    skip_blanks();
    for (const auto& [name, value] : {std::pair{"True", true}, std::pair{"False", false}}) {
      if (!text_.substr(at_).starts_with(name)) continue;
      at_ += std::string_view(name).size();
      return value;
    }
    fail("says neither True nor False of 'fortran_order'");
  }

  Shape shape() {
    Shape sizes;
    expect('(');
    while (!accept(')')) {
      skip_blanks();
      std::int64_t size = 0;
      const char* begin = text_.data() + at_;
      const auto [end, error] = std::from_chars(begin, text_.data() + text_.size(), size);
      if (error != std::errc() || size < 0) fail("has a size that is no whole number from 0 on");
      if (sizes.size() == kMaxDims) {
        fail("has more than the " + std::to_string(kMaxDims) + " axes that are supported");
      }
      at_ += static_cast<std::size_t>(end - begin);
      sizes.push_back(size);
      if (accept(',')) continue;
      // A tuple of one has a comma, "(3,)": without, the brackets hold a mere number.
      if (sizes.size() == 1) fail("has a number in place of the tuple 'shape'");
      expect(')');
      break;
    }
    return sizes;
  }

  void parse_type(NpyHeader& header) {
    if (accept('[')) {
      fail("describes a structure of several fields; only plain numbers are supported");
    }
    const std::string descr = word();
    if (descr.find('O') != std::string::npos) {
      fail("says that it holds Python objects, a pickle, which could run any program");
    }
    const std::string order = descr.substr(0, 1), kind = descr.empty() ? "" : descr.substr(1);
    for (const auto& [name, type] :
         {std::pair{"b1", NumberType::boolean}, std::pair{"u1", NumberType::u8},
          std::pair{"i1", NumberType::i8}, std::pair{"u2", NumberType::u16},
          std::pair{"i2", NumberType::i16}, std::pair{"u4", NumberType::u32},
          std::pair{"i4", NumberType::i32}, std::pair{"i8", NumberType::i64},
          std::pair{"f2", NumberType::f16}, std::pair{"f4", NumberType::f32},
          std::pair{"f8", NumberType::f64}}) {
      const bool ordered = order == "<" || order == ">" || (order == "|" && bytes_of(type) == 1);
      if (kind != name || !ordered) continue;
      header.type = type;
      header.big_endian = order == ">";
      return;
    }
    fail("says the type " + json_quoted(descr) +
         "; supported are b1, u1, u2, u4, i1, i2, i4, i8, f2, f4 and f8");
  }

  std::string_view text_;
  const ByteSource& source_;
  std::size_t at_ = 0;
};

}  // namespace

NpyHeader parse_npy_header(std::string_view text, const ByteSource& source) {
  return HeaderText(text, source).parse();
}

}  // namespace serenade
