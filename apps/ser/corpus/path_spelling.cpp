#include "apps/ser/corpus/path_spelling.h"

#include <algorithm>
#include <filesystem>
#include <unordered_map>

#include "apps/ser/common/utf8.h"

namespace serenade::ser {

namespace {

namespace fs = std::filesystem;

struct Mark {
  std::uint32_t mark;
  std::string_view pairs;  // letter, letter with the mark, ..
};

// From the decompositions of two characters in UnicodeData.txt, version 14.
// clang-format off
constexpr Mark kMarks[] = {
    {0x0300,
     "AÀEÈIÌOÒUÙaàeèiìoòuùÜǛüǜNǸnǹĒḔēḕŌṐōṑWẀwẁ"
     "ÂẦâầĂẰăằÊỀêềÔỒôồƠỜơờƯỪưừYỲyỳ"},
    {0x0301,
     "AÁEÉIÍOÓUÚYÝaáeéiíoóuúyýCĆcćLĹlĺNŃnńRŔrŕSŚsśZŹzź"
     "ÜǗüǘGǴgǵÅǺåǻÆǼæǽØǾøǿÇḈçḉĒḖēḗÏḮïḯKḰ"
     "kḱMḾmḿÕṌõṍŌṒōṓPṔpṕŨṸũṹWẂwẃÂẤâấ"
     "ĂẮăắÊẾêếÔỐôốƠỚơớƯỨưứ"},
    {0x0302,
     "AÂEÊIÎOÔUÛaâeêiîoôuûCĈcĉGĜgĝHĤhĥJĴjĵSŜsŝWŴwŵYŶyŷ"
     "ZẐzẑẠẬạậẸỆẹệỌỘọộ"},
    {0x0303,
     "AÃNÑOÕaãnñoõIĨiĩUŨuũVṼvṽÂẪâẫĂẴăẵEẼeẽÊỄ"
     "êễÔỖôỗƠỠơỡƯỮưữYỸyỹ"},
    {0x0304,
     "AĀaāEĒeēIĪiīOŌoōUŪuūÜǕüǖÄǞäǟȦǠȧǡÆǢæǣǪǬǫǭ"
     "ÖȪöȫÕȬõȭȮȰȯȱYȲyȳGḠgḡḶḸḷḹṚṜṛṝ"},
    {0x0306,
     "AĂaăEĔeĕGĞgğIĬiĭOŎoŏUŬuŭȨḜȩḝẠẶạặ"},
    {0x0307,
     "CĊcċEĖeėGĠgġIİZŻzżAȦaȧOȮoȯBḂbḃDḊdḋFḞfḟHḢhḣ"
     "MṀmṁNṄnṅPṖpṗRṘrṙSṠsṡŚṤśṥŠṦšṧṢṨṣṩ"
     "TṪtṫWẆwẇXẊxẋYẎyẏſẛ"},
    {0x0308,
     "AÄEËIÏOÖUÜaäeëiïoöuüyÿYŸHḦhḧÕṎõṏŪṺūṻWẄwẅ"
     "XẌxẍtẗ"},
    {0x0309,
     "AẢaảÂẨâẩĂẲăẳEẺeẻÊỂêểIỈiỉOỎoỏÔỔôổ"
     "ƠỞơởUỦuủƯỬưửYỶyỷ"},
    {0x030a,
     "AÅaåUŮuůwẘyẙ"},
    {0x030b,
     "OŐoőUŰuű"},
    {0x030c,
     "CČcčDĎdďEĚeěLĽlľNŇnňRŘrřSŠsšTŤtťZŽzžAǍaǎIǏiǐOǑoǒ"
     "UǓuǔÜǙüǚGǦgǧKǨkǩƷǮʒǯjǰHȞhȟ"},
    {0x031b,
     "OƠoơUƯuư"},
    {0x0323,
     "BḄbḅDḌdḍHḤhḥKḲkḳLḶlḷMṂmṃNṆnṇRṚrṛSṢsṣ"
     "TṬtṭVṾvṿWẈwẉZẒzẓAẠaạEẸeẹIỊiịOỌoọƠỢ"
     "ơợUỤuụƯỰưựYỴyỵ"},
    {0x0326,
     "SȘsșTȚtț"},
    {0x0327,
     "CÇcçGĢgģKĶkķLĻlļNŅnņRŖrŗSŞsşTŢtţEȨeȩDḐdḑHḨhḩ"},
    {0x0328,
     "AĄaąEĘeęIĮiįUŲuųOǪoǫ"},
    {0x3099,
     "かがきぎくぐけげこごさざしじすずせぜそぞただちぢ"
     "つづてでとどはばひびふぶへべほぼうゔゝゞカガキギ"
     "クグケゲコゴサザシジスズセゼソゾタダチヂツヅテデ"
     "トドハバヒビフブヘベホボウヴワヷヰヸヱヹヲヺヽヾ"},
    {0x309a,
     "はぱひぴふぷへぺほぽハパヒピフプヘペホポ"},
};
// clang-format on

struct Parts {
  std::uint32_t letter = 0;
  std::uint32_t mark = 0;
};

const std::unordered_map<std::uint32_t, Parts>& parts_table() {
  static const std::unordered_map<std::uint32_t, Parts> table = [] {
    std::unordered_map<std::uint32_t, Parts> all;
    for (const Mark& mark : kMarks) {
      std::string_view pairs = mark.pairs;
      while (!pairs.empty()) {
        const CodePoint letter = first_code_point(pairs);
        pairs.remove_prefix(letter.bytes);
        const CodePoint marked = first_code_point(pairs);
        pairs.remove_prefix(marked.bytes);
        all[marked.value] = {letter.value, mark.mark};
      }
    }
    return all;
  }();
  return table;
}

// Syllables of Korean are numbered by their two or three letters (The Unicode Standard, 3.12).
bool append_korean(std::string& out, std::uint32_t value) {
  constexpr std::uint32_t kFirst = 0xac00, kCount = 11172, kVowels = 21, kTails = 28;
  if (value < kFirst || value >= kFirst + kCount) return false;
  const std::uint32_t index = value - kFirst, tail = index % kTails;
  append_utf8(out, 0x1100 + index / (kVowels * kTails));
  append_utf8(out, 0x1161 + index / kTails % kVowels);
  if (tail > 0) append_utf8(out, 0x11a7 + tail);
  return true;
}

void append_decomposed(std::string& out, std::uint32_t value) {
  std::string marks;
  while (true) {
    const auto found = parts_table().find(value);
    if (found == parts_table().end()) break;
    std::string mark;
    append_utf8(mark, found->second.mark);
    marks = mark + marks;
    value = found->second.letter;
  }
  if (!append_korean(out, value)) append_utf8(out, value);
  out += marks;
}

bool is_there(const fs::path& path) {
  std::error_code ignored;
  return fs::symlink_status(path, ignored).type() != fs::file_type::not_found;
}

}  // namespace

std::string decomposed(std::string_view text) {
  if (!is_utf8(text)) return std::string(text);
  std::string out;
  while (!text.empty()) {
    const CodePoint point = first_code_point(text);
    append_decomposed(out, point.value);
    text.remove_prefix(point.bytes);
  }
  return out;
}

const std::string& SpellingFinder::name_in(const std::string& folder, const std::string& name) {
  const auto [found, fresh] = listed_.try_emplace(folder);
  std::map<std::string, std::string>& names = found->second;
  if (fresh) {
    std::error_code error;
    for (auto it = fs::directory_iterator(folder.empty() ? "." : folder, error);
         it != fs::directory_iterator(); it.increment(error)) {
      const std::string other = it->path().filename().string();
      std::string& nearest = names[decomposed(other)];
      if (nearest.empty() || other < nearest) nearest = other;
    }
  }
  return names[decomposed(name)];
}

std::string SpellingFinder::find_below(const std::string& path) {
  fs::path found;
  for (const fs::path& name : fs::path(path)) {
    fs::path next = found / name;
    if (!is_there(next)) {
      const std::string& other = name_in(found.string(), name.string());
      if (other.empty()) return "";
      next = found / other;
    }
    found = std::move(next);
  }
  return found.string();
}

std::string SpellingFinder::find(const std::string& path) {
  if (is_there(path)) return path;
  std::string found = find_below(path);
  if (found.empty() && path.find('\\') != std::string::npos) {
    std::string slashes = path;
    std::replace(slashes.begin(), slashes.end(), '\\', '/');
    found = find_below(slashes);
  }
  return found.empty() ? path : found;
}

}  // namespace serenade::ser
