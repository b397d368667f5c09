// The lstm and the plain recurrent layer: one node each, whose value holds the output of all steps
// and the last states one after the other. What the caller gets are parts of it.

#include "autograd/functions/lstm.h"

#include "autograd/engine.h"
#include "autograd/functions/optional.h"
#include "autograd/functions/sequences.h"
#include "kernels/lstm/lstm.h"
#include "kernels/runtime/memory.h"
#include "tensor/check.h"

namespace serenade {

namespace {

/// Everything that lstm and rnn are called with; `start.c` is undefined for rnn.
struct Call {
  const char* op;
  RecurrentCell cell;
  const Variable& x;
  const std::vector<RecurrentWeights>& directions;
  const LstmState& start;
  const Indices& lengths;
};

void check_if_given(const char* op, const char* what, const Variable& v, const Shape& shape) {
  if (v.defined()) check_shape(op, what, v, shape);
}

LstmSizes checked_sizes(const Call& call) {
  const char* op = call.op;
  const Variable& x = call.x;
  check(x.defined() && x.dim() == 3, op, "x must be [N, T, D]; got ",
        x.defined() ? x.shape() : Shape{});
  check(x.numel() > 0, op, "x must not be empty; got ", x.shape());
  check(call.directions.size() == 1 || call.directions.size() == 2, op,
        "there must be one or two directions; got ", call.directions.size());
  const Variable& recurrent = call.directions[0].weight_hh;
  check(recurrent.defined() && recurrent.dim() == 2 && recurrent.size(1) >= 1, op,
        "weight_hh must be ", call.cell == RecurrentCell::lstm ? "[4 H, H]" : "[H, H]", "; got ",
        recurrent.defined() ? recurrent.shape() : Shape{});
  LstmSizes sizes{.batch = x.size(0),
                  .steps = x.size(1),
                  .inputs = x.size(2),
                  .hidden = recurrent.size(1),
                  .directions = static_cast<std::int64_t>(call.directions.size()),
                  .cell = call.cell};
  const std::int64_t H = sizes.hidden, rows = sizes.gates() * H;
  for (const RecurrentWeights& w : call.directions) {
    check_shape(op, "weight_ih", w.weight_ih, {rows, sizes.inputs});
    check_shape(op, "weight_hh", w.weight_hh, {rows, H});
    check_if_given(op, "bias_ih", w.bias_ih, {rows});
    check_if_given(op, "bias_hh", w.bias_hh, {rows});
    check_same_device(op, x, call.start.h, call.start.c, w.weight_ih, w.weight_hh, w.bias_ih,
                      w.bias_hh);
  }
  const Shape states = {sizes.directions, sizes.batch, H};
  check_if_given(op, "h0", call.start.h, states);
  check_if_given(op, "c0", call.start.c, states);
  check_lengths(op, call.lengths, sizes.batch, sizes.steps);
  element_count({sizes.directions, sizes.batch, sizes.steps + 2, sizes.saved_rows(), H}, op);
  return sizes;
}

/// Values of the inputs in the order of the node: x, h0, c0, then four weights per direction.
constexpr std::size_t kX = 0, kH0 = 1, kC0 = 2, kWeights = 3, kPerDirection = 4;

std::vector<LstmParameters> parameter_pointers(const std::vector<Tensor>& inputs) {
  std::vector<LstmParameters> parameters;
  for (std::size_t i = kWeights; i < inputs.size(); i += kPerDirection) {
    parameters.push_back({.weight_ih = inputs[i].data(),
                          .weight_hh = inputs[i + 1].data(),
                          .bias_ih = pointer_or_null(inputs[i + 2]),
                          .bias_hh = pointer_or_null(inputs[i + 3])});
  }
  return parameters;
}

StatePointers<const real*> start_pointers(const std::vector<Tensor>& inputs) {
  return {pointer_or_null(inputs[kH0]), pointer_or_null(inputs[kC0])};
}

/// Where the parts of the node's value begin, in elements: the output at 0, then h, then c.
struct Parts {
  std::int64_t h, c, end;

  explicit Parts(const LstmSizes& s)
      : h(s.batch * s.steps * s.directions * s.hidden),
        c(h + s.directions * s.batch * s.hidden),
        end(s.has_cell_state() ? c + (c - h) : c) {}

  template <class Pointer>
  StatePointers<Pointer> states(Pointer value) const {
    return {value + h, end > c ? value + c : nullptr};
  }
};

/// A part of the node's value, without a copy: it keeps the whole alive, nearly all of which is
/// the output.
Variable part(const char* op, const Variable& whole, std::int64_t begin, const Shape& shape) {
  const std::int64_t count = element_count(shape, op);
  const Tensor value = whole.value().slice(0, begin, count).reshape(shape);
  return make_result(
      op, value, {whole},
      [begin, count](const Tensor& dy, Gradients& d) {
        if (d.wants(0)) KERNEL(dy.device(), accumulate, d[0].data() + begin, dy.data(), count);
      },
      Saves::nothing);
}

LstmResult run(const Call& call) {
  const LstmSizes sizes = checked_sizes(call);
  std::vector<Variable> inputs = {call.x, call.start.h, call.start.c};
  for (const RecurrentWeights& w : call.directions) {
    inputs.insert(inputs.end(), {w.weight_ih, w.weight_hh, w.bias_ih, w.bias_hh});
  }
  std::vector<Tensor> values;
  for (const Variable& input : inputs) values.push_back(contiguous_or_none(input));
  const std::int64_t N = sizes.batch, T = sizes.steps, K = sizes.directions, H = sizes.hidden;
  const Device device = call.x.device();
  const Parts parts(sizes);
  Tensor saved = Tensor::empty({K, N, T, sizes.saved_rows(), H}, device);
  Tensor y = Tensor::empty({parts.end}, device);
  KERNEL(device, lstm_forward, y.data(), parts.states(y.data()), saved.data(), values[kX].data(),
         start_pointers(values), parameter_pointers(values).data(), lengths_or_null(call.lengths),
         sizes);
  const Variable whole = make_result(
      call.op, y, inputs,
      [values, y, saved, lengths = call.lengths, sizes, parts](const Tensor& dy, Gradients& d) {
        std::vector<LstmParameterGradients> gradients;
        for (std::size_t i = kWeights; i < values.size(); i += kPerDirection) {
          gradients.push_back({.weight_ih = wanted(d, i),
                               .weight_hh = wanted(d, i + 1),
                               .bias_ih = wanted(d, i + 2),
                               .bias_hh = wanted(d, i + 3)});
        }
        const StatePointers<real*> d_start = {wanted(d, kH0), wanted(d, kC0)};
        KERNEL(dy.device(), lstm_backward, wanted(d, kX), d_start, gradients.data(), dy.data(),
               parts.states(dy.data()), y.data(), saved.data(), values[kX].data(),
               start_pointers(values), parameter_pointers(values).data(), lengths_or_null(lengths),
               sizes);
      });
  LstmResult result;
  result.output = part(call.op, whole, 0, {N, T, K * H});
  result.last.h = part(call.op, whole, parts.h, {K, N, H});
  if (sizes.has_cell_state()) result.last.c = part(call.op, whole, parts.c, {K, N, H});
  return result;
}

}  // namespace

LstmResult lstm(const Variable& x, const std::vector<RecurrentWeights>& directions,
                const LstmState& start, const LstmOptions& options) {
  return run({"lstm", RecurrentCell::lstm, x, directions, start, options.lengths});
}

RnnResult rnn(const Variable& x, const std::vector<RecurrentWeights>& directions,
              const Variable& h0, const RnnOptions& options) {
  const bool tanh = options.nonlinearity == RnnNonlinearity::tanh;
  const LstmResult result = run({"rnn",
                                 tanh ? RecurrentCell::tanh : RecurrentCell::relu,
                                 x,
                                 directions,
                                 {h0, {}},
                                 options.lengths});
  return {result.output, result.last.h};
}

}  // namespace serenade
