// Printing in NumPy's manner: nested brackets, long axes shortened to their ends.

#include <iomanip>
#include <ostream>
#include <sstream>

#include "tensor/tensor.h"

namespace serenade {

namespace {

constexpr std::int64_t kLongAxis = 10;  // longer axes print kEdge elements from either end
constexpr std::int64_t kEdge = 3;

void print_axis(std::ostream& out, const Tensor& tensor, std::int64_t axis, const real* data) {
  if (axis == tensor.dim()) {
    out << std::setprecision(4) << *data;
    return;
  }
  const auto a = static_cast<std::size_t>(axis);
  const std::int64_t size = tensor.shape()[a], stride = tensor.strides()[a];
  const bool innermost = axis + 1 == tensor.dim();
  const std::string separator =
      innermost ? ", " : ",\n" + std::string(static_cast<std::size_t>(axis) + 1, ' ');
  out << "[";
  for (std::int64_t i = 0; i < size; ++i) {
    if (i > 0) out << separator;
    if (size > kLongAxis && i == kEdge) {
      out << "...";
      i = size - kEdge - 1;
      continue;
    }
    print_axis(out, tensor, axis + 1, data + i * stride);
  }
  out << "]";
}

}  // namespace

std::ostream& operator<<(std::ostream& out, const Tensor& tensor) {
  if (!tensor.defined()) return out << "undefined tensor";
  const Tensor host = tensor.to(Device::cpu);
  std::ostringstream text;  // so that our precision does not stick to the caller's stream
  if (host.numel() > 0) print_axis(text, host, 0, host.data());
  return out << text.str() << (host.dim() > 0 ? " " + to_string(host.shape()) : "");
}

std::string to_string(const Tensor& tensor) {
  std::ostringstream text;
  text << tensor;
  return text.str();
}

}  // namespace serenade
