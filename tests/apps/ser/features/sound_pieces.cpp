// Long sounds in pieces.

#include "apps/ser/features/sound_pieces.h"

#include <doctest/doctest.h>

#include <tuple>

#include "apps/ser/common/error.h"
#include "tests/apps/ser/common/files.h"

namespace serenade::ser {

TEST_CASE("sound pieces: all of it, or a piece, and the last one is not short") {
  CHECK(next_piece(1, 60) == 1);
  CHECK(next_piece(89, 60) == 89);
  CHECK(next_piece(90, 60) == 60);
  CHECK(next_piece(3600, 60) == 60);
}

TEST_CASE("sound pieces: all of a sound, once, and none longer than 90 seconds") {
  const TemporaryFolder folder;
  for (const auto& [rate, seconds, count] :
       {std::tuple(16000, 0.1, 1), std::tuple(16000, 89.0, 1), std::tuple(16000, 200.0, 3),
        std::tuple(8000, 100.0, 2)}) {
    CAPTURE(rate);
    CAPTURE(seconds);
    const std::string path = folder / "a.wav";
    write_wav(path, noise(static_cast<std::int64_t>(seconds * rate)), rate);
    const std::vector<float> whole = read_audio(path).samples;
    std::vector<float> together;
    int pieces = 0;
    const AudioInfo info = for_each_piece(path, [&](const std::vector<float>& piece) {
      CHECK(piece.size() <= 90 * kSampleRate);
      together.insert(together.end(), piece.begin(), piece.end());
      ++pieces;
    });
    CHECK(info.seconds() == doctest::Approx(seconds));
    CHECK(pieces == count);
    REQUIRE(together.size() == whole.size());
    if (rate == kSampleRate || count == 1) CHECK(together == whole);
  }
  CHECK_THROWS_AS(for_each_piece(folder / "absent.wav", [](const auto&) {}), InputError);
}

}  // namespace serenade::ser
