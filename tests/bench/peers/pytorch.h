#pragma once
// PyTorch as a peer: one child process (pytorch_peer.py) that is asked over pipes for one timed
// round at a time, so that its rounds alternate with ours.

#include <map>
#include <memory>
#include <optional>
#include <string>

#include "tests/bench/peers/contest.h"

namespace serenade::bench {

class PyTorch {
 public:
  /// An item that the child has ready.
  struct Prepared {
    int number = 0;
    std::map<std::string, std::string> forms;  ///< of each pass, the fastest of those tried
    std::map<std::string, double> facts;
  };

  /// Starts `python` (a program name or path) with the script of this folder; null if there is no
  /// such program or no PyTorch in it. cache: folder for what torch.compile makes.
  static std::unique_ptr<PyTorch> start(const std::string& python, int threads,
                                        const std::string& cache);
  ~PyTorch();
  PyTorch(const PyTorch&) = delete;
  PyTorch& operator=(const PyTorch&) = delete;

  const std::string& version() const { return version_; }
  const std::string& settings() const { return settings_; }

  /// Builds an item; arguments: a JSON object. Empty, with a line on stderr, where it cannot.
  std::optional<Prepared> prepare(const std::string& item, const std::string& arguments);
  /// One pass of a prepared item as a contender.
  Contender contender(const Prepared& item, const std::string& pass, const std::string& note = "");
  /// Processor time the child has used so far.
  double processor_seconds() const;
  /// Forgets all prepared items, and their memory.
  void drop();

 private:
  PyTorch(int child, int to, int from) : child_(child), to_(to), from_(from) {}
  std::string ask(const std::string& request);

  int child_, to_, from_;
  std::string unread_, version_, settings_;
};

/// Milliseconds that a program runs, from start to end, its output thrown away. Throws
/// std::runtime_error if it cannot be started or fails.
double run_program(const std::vector<std::string>& command);
/// The number that a program prints.
double number_of_program(const std::vector<std::string>& command);

/// The script of the peer, in the source tree.
std::string pytorch_script();

}  // namespace serenade::bench
