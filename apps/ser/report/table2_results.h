#pragma once
// From the runs of a table to what is published: Table 2 beside the paper's, paired comparisons of
// the search modes, and Figure 3 of each system.

#include <string>
#include <vector>

#include "apps/ser/report/report.h"
#include "apps/ser/report/table2.h"
#include "apps/ser/report/table2_view.h"

namespace serenade::ser {

/// The rows that have at least one finished run, with intervals, comparisons (each mode against
/// none; those that the paper has not against random; dropout against joint and sampling; on the
/// runs that both have) and notes. Throws InputError if no run is finished.
Table2 make_table2(const TableRuns& runs, const std::string& command);

/// Loss curves of the searches, mean over the runs that all searching modes have finished; without
/// curves where no mode searches.
Figure3 table_figure3(const TableRuns& runs, const std::string& system);

/// In words: which mode has the lowest loss in the last epoch, for the supernet and for the child,
/// with the losses, and whether dropout's child is the lowest. Empty unless dropout and another
/// mode have curves.
std::string figure3_finding(const Figure3& figure);

/// The command line that repeats a table.
std::string table_command(const TablePlan& plan, const std::string& folder);

/// Writes table2.json, table2.md, the figures and report.html into `folder`; returns the table.
Table2 write_table2(const TableRuns& runs, const std::string& folder);

}  // namespace serenade::ser
