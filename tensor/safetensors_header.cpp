#include "tensor/safetensors_header.h"

#include <algorithm>
#include <istream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <set>
#include <stdexcept>
#include <tuple>

#include "kernels/runtime/memory.h"
#include "tensor/json.h"

namespace serenade {

namespace {

constexpr const char* kMetadata = "__metadata__";
constexpr std::uint64_t kLengthBytes = 8;  // of the header's length, which stands before it

std::uint64_t bytes_of(const std::string& dtype) { return dtype.ends_with("64") ? 8 : 4; }

/// The bytes of a header, taken from a stream as they are asked for.
struct HeaderBytes {
  using iterator_category = std::input_iterator_tag;
  using value_type = char;
  using difference_type = std::ptrdiff_t;
  using pointer = const char*;
  using reference = char;

  std::streambuf* in = nullptr;
  std::uint64_t left = 0;

  char operator*() const { return static_cast<char>(in->sgetc()); }
  HeaderBytes& operator++() {
    in->sbumpc();
    --left;
    return *this;
  }
  bool operator==(const HeaderBytes& other) const { return left == other.left; }
};

/// Follows the parser's events. Where the next value belongs is known from the keys met so far:
/// name -> {"dtype": text, "shape": list, "data_offsets": list}, or metadata: name -> text.
class HeaderReader : public nlohmann::json_sax<nlohmann::json> {
 public:
  HeaderReader(SafetensorsHeader& header, const std::string& path) : header_(header), path_(path) {}

  bool start_object(std::size_t) override {
    if (place_ == Place::outside) return go_to(Place::top);
    if (place_ != Place::name) fail("an object where none belongs");
    if (name_ == kMetadata) return go_to(Place::metadata);
    entry_ = {};
    entry_.name = name_;
    offsets_.clear();
    has_dtype_ = has_shape_ = has_offsets_ = false;
    return go_to(Place::entry);
  }

  bool end_object() override {
    if (place_ == Place::top) return go_to(Place::outside);
    if (place_ == Place::entry) finish_entry();
    return go_to(Place::top);
  }

  bool key(string_t& key) override {
    if (key.size() > kLongestSafetensorsName) {
      fail_safetensors(path_, "the name " + json_quoted(key) + " is longer than 64 kB");
    }
    if (place_ == Place::top) {
      if (!names_.insert(key).second) fail_at_key(key, "stands twice");
      if (names_.size() > kMostSafetensorsNames) fail_count();
      name_ = key;
      return go_to(Place::name);
    }
    if (place_ == Place::metadata) {
      if (header_.metadata.contains(key)) fail_at_key(key, "stands twice in the metadata");
      if (header_.metadata.size() >= kMostSafetensorsNames) fail_count();
      name_ = key;
      return go_to(Place::text);
    }
    bool& seen = key == "dtype" ? has_dtype_ : key == "shape" ? has_shape_ : has_offsets_;
    if (key != "dtype" && key != "shape" && key != "data_offsets") {
      fail("has the unknown key " + json_quoted(key));
    }
    if (seen) fail("has the key " + json_quoted(key) + " twice");
    seen = true;
    return go_to(key == "dtype" ? Place::dtype : key == "shape" ? Place::shape : Place::offsets);
  }

  bool string(string_t& text) override {
    if (place_ == Place::text) {
      header_.metadata[name_] = std::move(text);
      return go_to(Place::metadata);
    }
    if (place_ != Place::dtype) fail("a text where none belongs");
    if (text != "F32" && text != "F64" && text != "I32" && text != "I64") {
      fail("dtype " + json_quoted(text) + " is not supported (F32, F64, I32, I64 are)");
    }
    entry_.dtype = std::move(text);
    return go_to(Place::entry);
  }

  bool start_array(std::size_t) override {
    if (place_ == Place::shape && !in_list_) return in_list_ = true;
    if (place_ == Place::offsets && !in_list_) return in_list_ = true;
    fail("a list where none belongs");
  }

  bool end_array() override {
    in_list_ = false;
    return go_to(Place::entry);
  }

  bool number_unsigned(number_unsigned_t value) override {
    if (!in_list_) fail("a number where none belongs");
    if (place_ == Place::shape) {
      if (entry_.shape.size() >= kMaxDims) {
        fail("has more than " + std::to_string(kMaxDims) + " axes");
      }
      if (value > static_cast<std::uint64_t>(kMaxElements)) fail("is larger than the file");
      entry_.shape.push_back(static_cast<std::int64_t>(value));
    } else {
      if (offsets_.size() >= 2) fail("must have two data_offsets");
      offsets_.push_back(value);
    }
    return true;
  }

  bool number_integer(number_integer_t) override { fail("has a negative size or offset"); }
  bool number_float(number_float_t, const string_t&) override {
    fail("has a number that is not a whole one below 2^63");
  }
  bool null() override { fail("null where it does not belong"); }
  bool boolean(bool) override { fail("true or false where it does not belong"); }
  bool binary(binary_t&) override { fail("binary data where it does not belong"); }

  bool parse_error(std::size_t position, const std::string&,
                   const nlohmann::detail::exception&) override {
    fail_safetensors(path_, "bad header: byte " + std::to_string(kLengthBytes + position) +
                                " of the file: not valid JSON");
  }

 private:
  enum class Place { outside, top, name, metadata, text, entry, dtype, shape, offsets };

  bool go_to(Place place) {
    place_ = place;
    return true;
  }

  void finish_entry() {
    if (!has_dtype_ || !has_shape_ || !has_offsets_) fail("lacks a dtype, shape or data_offsets");
    if (offsets_.size() != 2) fail("must have two data_offsets");
    std::tie(entry_.begin, entry_.end) = std::tie(offsets_[0], offsets_[1]);
    header_.entries.push_back(std::move(entry_));
  }

  [[noreturn]] void fail(const std::string& what) const {
    const std::string kind = place_ == Place::text ? "metadata " : "tensor ";
    fail_safetensors(path_, kind + json_quoted(name_) + ": " + what);
  }
  [[noreturn]] void fail_at_key(const std::string& key, const std::string& what) const {
    fail_safetensors(path_, "the name " + json_quoted(key) + " " + what);
  }
  [[noreturn]] void fail_count() const {
    fail_safetensors(path_, "more than " + std::to_string(kMostSafetensorsNames) + " names");
  }

  SafetensorsHeader& header_;
  const std::string& path_;
  Place place_ = Place::outside;
  bool in_list_ = false;
  std::set<std::string> names_;
  std::string name_;  // the latest, of a tensor or in the metadata
  SafetensorsEntry entry_;
  std::vector<std::uint64_t> offsets_;
  bool has_dtype_ = false, has_shape_ = false, has_offsets_ = false;
};

/// The ranges against the shapes and against each other.
void check_ranges(const SafetensorsHeader& header, std::uint64_t body_bytes,
                  const std::string& path) {
  std::uint64_t covered = 0;
  for (const SafetensorsEntry& entry : header.entries) {
    const std::string tensor = "tensor " + json_quoted(entry.name);
    std::uint64_t count = 0;
    try {
      count = entry.count();
    } catch (const std::invalid_argument&) {
      fail_safetensors(path, tensor + " is larger than the file");
    }
    if (count > body_bytes) fail_safetensors(path, tensor + " is larger than the file");
    if (entry.begin > entry.end || entry.end > body_bytes ||
        entry.end - entry.begin != count * bytes_of(entry.dtype)) {
      fail_safetensors(path, tensor + " has a byte range that does not fit its shape or the file");
    }
    if (entry.begin != covered) {
      fail_safetensors(path, tensor + " begins at byte " + std::to_string(entry.begin) +
                                 " of the data, where " + std::to_string(covered) +
                                 (entry.begin < covered ? " are taken" : " have an owner"));
    }
    covered = entry.end;
  }
  if (covered != body_bytes) {
    fail_safetensors(
        path, std::to_string(body_bytes - covered) + " bytes at its end belong to no tensor");
  }
}

}  // namespace

std::uint64_t SafetensorsEntry::count() const {
  return static_cast<std::uint64_t>(element_count(shape));
}

void fail_safetensors(const std::string& path, const std::string& what) {
  throw std::runtime_error(path + ": not a valid safetensors file: " + what);
}

SafetensorsHeader parse_safetensors_header(std::istream& in, std::uint64_t header_bytes,
                                           std::uint64_t body_bytes, const std::string& path) {
  if (header_bytes == 0 || in.peek() != '{') {
    fail_safetensors(path, "bad header: it must begin with {");
  }
  SafetensorsHeader header;
  HeaderReader reader(header, path);
  nlohmann::json::sax_parse(HeaderBytes{in.rdbuf(), header_bytes}, HeaderBytes{}, &reader);
  // Empty tensors take no room, so one may begin where another does.
  std::sort(header.entries.begin(), header.entries.end(),
            [](const SafetensorsEntry& a, const SafetensorsEntry& b) {
              return std::tie(a.begin, a.end) < std::tie(b.begin, b.end);
            });
  check_ranges(header, body_bytes, path);
  return header;
}

}  // namespace serenade
