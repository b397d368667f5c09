#pragma once
// Ours against its peers, side by side: contenders alternate, round by round, and the medians of
// the rounds are compared, so that a change of the clock or a busy neighbour hits them alike.
//
// The ratio of a row is peer time / our time: above 1, ours is faster.

#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace serenade::bench {

/// For a machine that does other work: from now on contests count the processor time of the calling
/// thread, and compare the smallest of the rounds. All sides must then work on one thread.
void count_processor_time();
/// Whether they do.
bool counts_processor_time();

/// A participant of a contest.
struct Contender {
  std::string name;     ///< "oneDNN"
  std::string version;  ///< "2.6.3"
  std::string note;     ///< layout, form: whatever one must know to read the time
  /// One round: milliseconds of one call.
  std::function<double()> round;
  /// The ratio that is asked of us against this peer; 0: none.
  double asked = 0;
};

/// A contender of this process. Each of its rounds lets the threads of others go to sleep first,
/// makes one call that does not count (threads awake, caches as in a loop), and takes the mean of
/// as many calls as fill some milliseconds.
Contender local(std::string name, std::string version, std::string note,
                std::function<void()> work);

/// The same contender with a ratio that is asked for.
Contender asking(Contender contender, double ratio);

/// Waits until threads that spin after their last work have gone to sleep.
void let_threads_sleep();

/// Rows of one run: printed as they come, written as JSON at the end.
class Report {
 public:
  /// Prints a heading and the head of a table.
  void heading(const std::string& title);
  /// One line of text between tables.
  void line(const std::string& text);

  /// Times ours against the peers and adds a row for each. Empty peers are skipped.
  void contest(const std::string& item, const Contender& ours,
               const std::vector<std::optional<Contender>>& peers);

  /// A row of given values (memory, for one): what ours and the peer need, in the unit.
  void row(const std::string& item, double ours, const Contender& peer, double theirs,
           const std::string& unit, const std::string& note);

  /// Notes with the rows since the last call how many processors others used meanwhile.
  void others_used(double processors);

  /// Appends the rows to the JSON list in the file. Throws std::runtime_error if it cannot.
  void write_json(const std::string& path) const;

  /// How many rows fell short of what was asked, and how many asked.
  int short_rows() const { return short_rows_; }
  int asking_rows() const { return asking_rows_; }

 private:
  struct Row {
    std::string item, peer, version, unit, note;
    double ours, theirs, asked, others;
  };
  std::vector<Row> rows_;
  std::size_t watched_rows_ = 0;
  int short_rows_ = 0, asking_rows_ = 0;
};

}  // namespace serenade::bench
