#include "autograd/gradcheck.h"

#include <doctest/doctest.h>

#include <cmath>

#include "autograd/engine.h"
#include "autograd/functions.h"
#include "tests/op_case.h"

using namespace serenade;

namespace {

// y = x * x with a backward that is wrong by a factor, or in one element only.
Variable wrong_square(const Variable& x, real factor, std::int64_t wrong_element) {
  const Tensor input = x.value();
  Tensor y = input.clone();
  for (std::int64_t i = 0; i < y.numel(); ++i) y.data()[i] *= y.data()[i];
  return make_result(
      "wrong_square", y, {x}, [input, factor, wrong_element](const Tensor& dy, Gradients& d) {
        for (std::int64_t i = 0; i < dy.numel(); ++i) {
          const bool wrong = wrong_element < 0 || wrong_element == i;
          d[0].data()[i] += 2 * input.data()[i] * dy.data()[i] * (wrong ? factor : real(1));
        }
      });
}

GradcheckResult check_square(real factor, std::int64_t wrong_element) {
  return gradcheck(
      [=](const std::vector<Variable>& in) { return wrong_square(in[0], factor, wrong_element); },
      {random_tensor({3, 2}, 5)});
}

}  // namespace

TEST_CASE("gradcheck accepts a right gradient") { CHECK(check_square(1, -1).ok); }

TEST_CASE("gradcheck finds a wrong factor, a sign, and one wrong element among many") {
  CHECK_FALSE(check_square(real(1.2), -1).ok);
  CHECK_FALSE(check_square(-1, -1).ok);
  const GradcheckResult result = check_square(0, 4);
  CHECK_FALSE(result.ok);
  CHECK(result.message.find("input 0, element 4") != std::string::npos);
}

TEST_CASE("gradcheck finds a gradient that is missing or not a number") {
  const auto missing = [](const std::vector<Variable>& in) {
    return make_result("missing", in[0].value().clone(), {in[0]}, [](const Tensor&, Gradients&) {});
  };
  CHECK_FALSE(gradcheck(missing, {random_tensor({2})}).ok);
  const auto nan = [](const std::vector<Variable>& in) {
    return make_result("nan", in[0].value().clone(), {in[0]},
                       [](const Tensor&, Gradients& d) { d[0].fill_(NAN); });
  };
  CHECK_FALSE(gradcheck(nan, {random_tensor({2})}).ok);
}

TEST_CASE("gradcheck works on a closure over leaves and leaves them as they were") {
  Variable w(random_tensor({4}, 2), true);
  const std::vector<real> before = w.value().to_vector();
  CHECK(gradcheck([&] { return mul(w, w); }, {w}).ok);
  CHECK(w.value().to_vector() == before);
  CHECK_FALSE(w.grad().defined());
}
