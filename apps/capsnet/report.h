#pragma once
// How well a network tells digits, and a page that shows it.

#include "apps/capsnet/network.h"
#include "nn/data/data_loader.h"
#include "nn/training/trainer.h"

namespace serenade::capsnet {

/// Per cent of the pictures of which not all digits are told right. look: is shown each picture [1,
/// 1, H, W], its label and its digits' capsules.
using Look = std::function<void(const Tensor&, std::int64_t, const Variable&)>;
double test_error(CapsNet& net, const DataLoader& test, const Look& look = {});

/// The page of a run, made of report.html, which has a place for data. settings: JSON.
extern const char* const kReportPage;
std::string report(CapsNet& net, const DataLoader& test, const std::string& settings,
                   const std::vector<EpochMetrics>& history);

}  // namespace serenade::capsnet
