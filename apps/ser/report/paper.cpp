#include "apps/ser/report/paper.h"

#include <cctype>

namespace serenade::ser {

namespace {

std::string plain_name(const std::string& name) {
  std::string out;
  for (const char c : name) {
    if (c != '_' && c != '-') {
      out += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    }
  }
  return out;
}

}  // namespace

const std::vector<PaperResult>& paper_table2() {
  static const std::vector<PaperResult> rows = {
      {"CNN_GRU_att", "none", 0.6820, 0.5489, 833},
      {"CNN_GRU_att", "random", 0.6842, 0.5481, 833},
      {"CNN_GRU_att", "joint", 0.6861, 0.5559, 833},
      {"CNN_GRU_att", "sampling", 0.6910, 0.5423, 835},
      {"CNN_GRU_att", "dropout", 0.6887, 0.5628, 832},
      {"CNN_SeqCap", "none", 0.6986, 0.5671, 704},
      {"CNN_SeqCap", "random", 0.6877, 0.5475, 700},
      {"CNN_SeqCap", "joint", 0.6880, 0.5444, 704},
      {"CNN_SeqCap", "sampling", 0.7018, 0.5672, 704},
      {"CNN_SeqCap", "dropout", 0.7054, 0.5694, 700},
  };
  return rows;
}

std::vector<std::string> paper_systems() {
  std::vector<std::string> systems;
  for (const PaperResult& row : paper_table2()) {
    if (systems.empty() || systems.back() != row.system) systems.push_back(row.system);
  }
  return systems;
}

std::vector<std::string> paper_modes() {
  std::vector<std::string> modes;
  for (const PaperResult& row : paper_table2()) {
    if (row.system == paper_table2().front().system) modes.push_back(row.mode);
  }
  return modes;
}

const PaperResult* paper_result(const std::string& system, const std::string& mode) {
  for (const PaperResult& row : paper_table2()) {
    if (plain_name(row.system) == plain_name(system) && plain_name(row.mode) == plain_name(mode)) {
      return &row;
    }
  }
  return nullptr;
}

}  // namespace serenade::ser
