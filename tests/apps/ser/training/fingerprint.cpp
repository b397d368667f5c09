// What a resumed run must have in common with the run that was stopped.

#include "apps/ser/training/fingerprint.h"

#include <doctest/doctest.h>

#include "kernels/runtime/cpu/isa.h"
#include "tensor/files.h"
#include "tests/apps/ser/training/tones.h"

namespace serenade::ser {

namespace {

std::string entry(const Fingerprint& fingerprint, const std::string& what) {
  for (const auto& [name, value] : fingerprint) {
    if (name.starts_with(what)) return value;
  }
  return "absent";
}

}  // namespace

TEST_CASE("fingerprint: one sample, label, speaker or recording more or less is seen") {
  const TemporaryFolder folder;
  const Config config = small_config(make_tone_corpus(folder), kGruAtt, "none");
  const auto corpus_now = [&] {
    return entry(fingerprint_of(config, prepare_corpus(config)), "corpus");
  };
  const std::string before = corpus_now();
  CHECK(before == corpus_now());
  CHECK(before.starts_with("32 recordings, "));

  const std::string sound = folder / "tone0.wav", whole = read_file(sound);
  std::string changed = whole;
  changed[changed.size() / 2] = static_cast<char>(changed[changed.size() / 2] ^ 1);
  write_file(sound, changed);
  CHECK(corpus_now() != before);
  write_file(sound, whole);
  CHECK(corpus_now() == before);

  const std::string manifest = folder / "manifest.csv", rows = read_file(manifest);
  for (const auto& [from, to] : {std::pair("neutral,A", "angry,A"), std::pair(",B,", ",E,"),
                                 std::pair("tone1.wav,neutral,A,one\n", "")}) {
    std::string other = rows;
    other.replace(other.find(from), std::string(from).size(), to);
    write_file(manifest, other);
    CHECK(corpus_now() != before);
  }
}

TEST_CASE("fingerprint: the instruction set and the architecture that is trained are in it") {
  const TemporaryFolder folder;
  Config config = small_config(make_tone_corpus(folder), kGruAtt, "none");
  const LoadedCorpus loaded = prepare_corpus(config);
  const Fingerprint before = fingerprint_of(config, loaded);
  const cpu::Isa isa = cpu::active_isa();
  cpu::set_active_isa(cpu::Isa::baseline);
  CHECK(entry(fingerprint_of(config, loaded), "instruction set") == "baseline");
  cpu::set_active_isa(isa);
  config.genotype = folder / "genotype.json";
  write_genotype(config.genotype, genotype_at(search_space(config.options), 7));
  CHECK(entry(fingerprint_of(config, loaded), "architecture") != entry(before, "architecture"));
  for (const char* what : {"device", "OpenBLAS", "version"}) CHECK(entry(before, what) != "absent");
}

}  // namespace serenade::ser
