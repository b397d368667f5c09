// Tutorial 7: an LSTM over sequences of different lengths.
//
// Brackets are balanced if every ( finds its ) and none closes too early. To tell, one has to
// remember how many are open, over any distance: what an LSTM's cell is made for. Strings of
// different lengths go through together, padded to the longest. The program fails if fewer than
// 95 % of new strings, some longer than all it has seen, are told right, or if padding matters.

#include <algorithm>
#include <cstdio>
#include <string>
#include <vector>

#include "autograd/engine.h"
#include "autograd/functions.h"
#include "nn/embedding.h"
#include "nn/linear.h"
#include "nn/lstm.h"
#include "nn/optim.h"
#include "tensor/random.h"

using namespace serenade;

// Every other string is balanced. The rest miss it narrowly: one bracket is turned round.
std::vector<std::string> bracket_strings(int count, int longest, std::uint64_t step) {
  const RandomKey key = {.seed = 1, .purpose = Purpose::data, .step = step};
  std::uint64_t drawn = 0;
  std::vector<std::string> strings;
  for (int n = 0; n < count; ++n) {
    const std::int64_t length = 2 + 2 * random_integer(key, drawn++, longest / 2);
    std::string s;
    for (std::int64_t rest = length, open = 0; rest > 0; --rest) {
      const bool opens = open == 0 || (open < rest && uniform(key, drawn++) < 0.5);
      s += opens ? '(' : ')';
      open += opens ? 1 : -1;
    }
    char& turned = s[static_cast<std::size_t>(random_integer(key, drawn++, length))];
    if (n % 2 == 1) turned = turned == '(' ? ')' : '(';
    strings.push_back(s);
  }
  return strings;
}

// Row n of tokens [N, T] holds the brackets of string n as numbers; 2 stands for no bracket.
struct Padded {
  Indices tokens, lengths, labels;
  Shape shape;
};

Padded pad(const std::vector<std::string>& strings) {
  Padded batch;
  std::size_t T = 0;
  for (const std::string& s : strings) T = std::max(T, s.size());
  for (const std::string& s : strings) {
    for (std::size_t t = 0; t < T; ++t) batch.tokens.push_back(t >= s.size() ? 2 : s[t] == ')');
    batch.labels.push_back(batch.lengths.size() % 2 == 0);  // 1: balanced
    batch.lengths.push_back(std::ssize(s));
  }
  batch.shape = {std::ssize(strings), static_cast<std::int64_t>(T)};
  return batch;
}

struct BracketNet : Module {
  Embedding embedding{{.num_embeddings = 3, .embedding_dim = 4, .padding_index = 2}};
  LSTM lstm{{.input_size = 4, .hidden_size = 16, .forget_bias = 1}};
  Linear out{{.in_features = 16, .out_features = 2}};

  BracketNet() {
    register_module("embedding", embedding), register_module("lstm", lstm);
    register_module("out", out);
  }
  // The state after each string's own last bracket says it all. Result [N, 2].
  Variable forward(const Padded& batch) {
    const Variable x = embedding.forward(batch.tokens, batch.shape);
    const LstmResult result = lstm.forward(x, {}, batch.lengths);
    return out.forward(reshape(result.last.h, {batch.shape[0], 16}));
  }
};

double accuracy(BracketNet& net, const Padded& batch) {
  const NoGrad no_grad;
  const Indices guesses = argmax(net.forward(batch), 1);
  double right = 0;
  for (std::size_t n = 0; n < guesses.size(); ++n) right += guesses[n] == batch.labels[n] ? 1 : 0;
  return right / double(guesses.size());
}

int main() {
  manual_seed(1);
  const std::vector<std::string> strings = bracket_strings(200, 24, 1000);
  const Padded test = pad(strings);
  BracketNet net;
  AdamW optimizer(net.named_parameters(), {.lr = 1e-2});
  for (int step = 0; step <= 400; ++step) {
    const Padded batch = pad(bracket_strings(64, 16, static_cast<std::uint64_t>(step)));
    optimizer.zero_grad();
    const Variable loss = cross_entropy(net.forward(batch), batch.labels);
    backward(loss);
    clip_grad_norm(net.named_parameters(), 1);
    optimizer.step();
    if (step % 100 == 0) {
      std::printf("step %3d   loss %.4f   new strings told right: %.1f %%\n", step,
                  double(loss.item()), 100 * accuracy(net, test));
    }
  }

  // The shortest string by itself, without a single padded step.
  const NoGrad no_grad;
  const auto shorter = [](const std::string& a, const std::string& b) {
    return a.size() < b.size();
  };
  const auto shortest = std::min_element(strings.begin(), strings.end(), shorter);
  const Variable alone = net.forward(pad({*shortest}));
  const Variable padded = slice(net.forward(test), 0, shortest - strings.begin(), 1);
  const double difference = double(max(serenade::abs(alone - padded), {0, 1}).item());
  std::printf("'%s' alone and padded: scores differ by %.1e\n", shortest->c_str(), difference);
  return accuracy(net, test) >= 0.95 && difference < 1e-4 ? 0 : 1;
}
