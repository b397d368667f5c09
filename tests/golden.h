#pragma once
// Golden values: inputs, outputs and gradients from an independent implementation in float64.
//
// A small set lies in tests/golden (its README says how it was made). Where the full set is present
// beside the project (../shared/golden, or the folder that SERENADE_GOLDEN names), it is used
// instead, file by file, and a test program fails if a file of the families it is responsible for
// was never opened.

#include <functional>
#include <iosfwd>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "autograd/functions.h"
#include "tensor/safetensors.h"

namespace serenade {

using Golden = SafetensorsFile;

/// True if the file exists in the set in use. Tests of large files skip themselves otherwise.
bool has_golden(const std::string& name);

/// Reads <name>.safetensors and notes that it was used; throws if missing.
Golden golden(const std::string& name);

/// A value of the file's "attributes" object as text ("3", "true", "[5, 5]"); "" if absent.
std::string golden_attribute(const Golden& file, const std::string& key);

/// Names of all files whose name begins with `prefix`, sorted.
std::vector<std::string> golden_names(const std::string& prefix);

/// Fails the running test unless shapes are equal and the largest difference is at most the
/// tolerance times the largest |expected|: 1e-10 in double, 1e-5 in float.
void check_close(const Tensor& actual, const Tensor& expected, const std::string& what,
                 double tolerance = sizeof(real) == 8 ? 1e-10 : 1e-5);

/// Runs f on the named inputs of a file, feeds it the file's dy, and compares y and every d_<name>;
/// y alone where there is no dy. In a file of several cases, those of case `which`: <which>.y and
/// so on. Notes that `function` has golden values.
void check_golden_op(const std::string& function, const std::string& file,
                     const std::vector<std::string>& inputs,
                     const std::function<Variable(const std::vector<Variable>&)>& f,
                     const std::string& which = "");

/// Notes that a function of autograd/functions.h is checked by the file.
void note_golden(const std::string& function, const std::string& file);

/// The functions noted so far, with the files of tests/golden that check them.
const std::map<std::string, std::set<std::string>>& functions_with_golden();

/// Prints the files never opened and returns 1 if there are any, else 0.
int report_unused_golden_files(std::ostream& out);

}  // namespace serenade
