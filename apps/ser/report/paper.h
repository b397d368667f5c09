#pragma once
// What the paper reports, to print beside our figures.
// Source: X. Wu, S. Hu, Z. Wu, X. Liu, H. Meng, "Neural architecture search for speech emotion
// recognition", ICASSP 2022, Table 2 (IEMOCAP, improvised, four classes, five folds).

#include <string>
#include <vector>

namespace serenade::ser {

struct PaperResult {
  std::string system;  ///< "CNN_GRU_att" or "CNN_SeqCap"
  std::string mode;    ///< "none", "random", "joint", "sampling", "dropout"
  double wa = 0;       ///< fraction
  double ua = 0;       ///< fraction
  int thousand_parameters = 0;
};

/// The ten rows of Table 2, system by system in the paper's order.
const std::vector<PaperResult>& paper_table2();

/// The systems and the modes of the table, in its order.
std::vector<std::string> paper_systems();
std::vector<std::string> paper_modes();

/// The row of a system and mode; nullptr if the paper has none. Letter case and '_' against '-' do
/// not matter: "cnn_gru_att" finds "CNN_GRU_att".
const PaperResult* paper_result(const std::string& system, const std::string& mode);

}  // namespace serenade::ser
