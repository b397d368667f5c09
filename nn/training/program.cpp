#include "nn/training/program.h"

#include <algorithm>
#include <csignal>
#include <iostream>
#include <new>

#include "nn/optim.h"
#include "nn/training/interrupt.h"

namespace serenade {

namespace {

int fail(const std::string& name, int code, std::string message) {
  std::replace(message.begin(), message.end(), '\n', ' ');
  std::cerr << name << ": " << message << std::endl;
  return code;
}

}  // namespace

std::string fault_of_seed(const std::string& word) {
  const bool digits = !word.empty() && word.find_first_not_of("0123456789") == std::string::npos;
  const bool fits = word.size() <= 18 && (word.size() == 1 || word[0] != '0');
  return digits && fits ? "" : "must be a whole number of 0 to 10^18 - 1, in digits";
}

int run_program(const std::string& name, const std::function<void()>& work) {
  const auto fails = [&](ExitCode code, const std::string& message) {
    return fail(name, static_cast<int>(code), message);
  };
  std::signal(SIGPIPE, SIG_IGN);  // a reader that goes away must not end a run of hours
  try {
    const StopOnSignals stop;
    work();
    std::cout.flush();
    if (!std::cout) return fails(ExitCode::io, "standard output could not be written");
    return static_cast<int>(ExitCode::ok);
  } catch (const Interrupted& stopped) {
    return fail(name, 128 + stopped.signal(),
                std::string(stopped.what()) + "; the same command goes on from here");
  } catch (const InputError& error) {
    return fails(ExitCode::bad_input, error.what());
  } catch (const std::bad_alloc&) {
    return fails(ExitCode::out_of_memory,
                 "out of memory; try smaller batches or a smaller network");
  } catch (const std::length_error&) {  // larger than any memory
    return fails(ExitCode::out_of_memory,
                 "out of memory; try smaller batches or a smaller network");
  } catch (const NonFiniteLoss& error) {
    return fails(ExitCode::non_finite, std::string(error.what()) + "; try a lower learning rate");
  } catch (const NonFiniteGradient& error) {
    return fails(ExitCode::non_finite, std::string(error.what()) + "; try a lower learning rate");
  } catch (const std::runtime_error& error) {
    return fails(ExitCode::io, error.what());
  } catch (const std::exception& error) {
    return fails(ExitCode::internal, std::string("internal error: ") + error.what());
  } catch (...) {
    return fails(ExitCode::internal, "internal error: something that is no exception was thrown");
  }
}

}  // namespace serenade
