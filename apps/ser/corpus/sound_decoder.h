#pragma once
// Sound files through libsndfile, checked to their end.

#include <sndfile.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "apps/ser/corpus/audio.h"
#include "apps/ser/corpus/sound_layout.h"

namespace serenade::ser {

/// The layout of a file as libsndfile wants to see one.
struct LaidOutFile {
  const SoundBytes* bytes;
  const SoundLayout* layout;
  bool to_the_end = false;  ///< hides where the end is, so that nobody guesses from it
  bool failed = false;      ///< the system could not read
  std::int64_t at = 0;

  std::int64_t size() const;
  std::int64_t read(char* to, std::int64_t count);
  std::int64_t seek(std::int64_t offset, int whence);
};

/// A sound file that is being decoded. What is thrown begins with its path: see read_audio.
class SoundDecoder {
 public:
  using Take = std::function<void(const float* mono, std::int64_t count)>;

  SoundDecoder(const std::string& path, SoundSource source);
  SoundDecoder(const SoundDecoder&) = delete;
  SoundDecoder& operator=(const SoundDecoder&) = delete;

  /// Throws InputError with the path before the problem.
  [[noreturn]] void refuse(const std::string& problem) const;

  int rate() const { return info_.samplerate; }
  bool length_known() const { return info_.frames < SF_COUNT_MAX; }
  std::int64_t frames() const { return info_.frames; }  ///< promised by the header
  /// What the file is, with the remarks that what was decoded so far gives rise to.
  AudioInfo info(std::int64_t frames) const;
  /// What was decoded, at another rate and clipped to [-1, 1].
  std::vector<float> at_rate(const std::vector<float>& mono, int sample_rate) const;
  /// The most that a file of this size can hold in earnest; decode() refuses more.
  std::int64_t most_frames() const;

  /// Gives frames [first, last) of the file, its channels averaged, to `take` in blocks. Returns
  /// how many there were: fewer only where the length is not known. Throws InputError where the
  /// sound is damaged, not finite, or beyond every scale.
  std::int64_t decode(std::int64_t first, std::int64_t last, const Take& take);

 private:
  struct Close {
    void operator()(SNDFILE* file) const { sf_close(file); }
  };

  void open();
  void check_size(std::int64_t frames) const;
  void check_system() const;
  void check_log() const;
  void check_end(std::int64_t at, std::int64_t last) const;
  void average(const std::vector<float>& block, std::int64_t frames, std::vector<float>& mono);
  [[noreturn]] void refuse_damaged(std::int64_t found) const;
  std::string log() const;

  std::string path_;
  SoundBytes bytes_;
  SoundLayout layout_;
  LaidOutFile laid_out_{.bytes = &bytes_, .layout = &layout_};
  SF_INFO info_{};
  std::unique_ptr<SNDFILE, Close> sound_;  // reads from what stands above
  bool mp3_ = false;
  int fault_ = 0;      // of libsndfile's, while it decoded
  float loudest_ = 0;  // of what was decoded
};

}  // namespace serenade::ser
