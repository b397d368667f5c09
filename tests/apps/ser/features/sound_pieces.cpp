// Long sounds in pieces.

#include "apps/ser/features/sound_pieces.h"

#include <doctest/doctest.h>

#include "apps/ser/common/error.h"
#include "tests/apps/ser/common/files.h"

namespace serenade::ser {

TEST_CASE("sound pieces: minutes, rounded") {
  CHECK(piece_count(0) == 1);
  CHECK(piece_count(89.9) == 1);
  CHECK(piece_count(90) == 2);
  CHECK(piece_count(3600) == 60);
  CHECK(piece_count(1e300) == 1'000'000'000);
}

TEST_CASE("sound pieces: all of a sound, once, and none longer than 90 seconds") {
  const TemporaryFolder folder;
  for (const auto& [rate, seconds] : {std::pair(16000, 0.1), std::pair(16000, 89.0),
                                      std::pair(16000, 200.0), std::pair(8000, 100.0)}) {
    CAPTURE(rate);
    CAPTURE(seconds);
    const std::string path = folder / "a.wav";
    write_wav(path, noise(static_cast<std::int64_t>(seconds * rate)), rate);
    const std::vector<float> whole = read_audio(path).samples;
    std::vector<float> together;
    int pieces = 0;
    for_each_piece(path, [&](const Audio& audio) {
      CHECK(audio.seconds() <= 90);
      together.insert(together.end(), audio.samples.begin(), audio.samples.end());
      ++pieces;
    });
    CHECK(pieces == piece_count(seconds));
    REQUIRE(together.size() == whole.size());
    if (rate == kSampleRate) CHECK(together == whole);
  }
  CHECK_THROWS_AS(for_each_piece(folder / "absent.wav", [](const Audio&) {}), InputError);
}

}  // namespace serenade::ser
