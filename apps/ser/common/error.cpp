#include "apps/ser/common/error.h"

#include <new>
#include <nlohmann/json.hpp>
#include <system_error>

namespace serenade::ser {

Failure failure_of(const std::exception_ptr& exception, const std::string& advice) {
  try {
    std::rethrow_exception(exception);
  } catch (const InputError& error) {
    return {ExitCode::bad_input, error.what()};
  } catch (const MemoryError& error) {
    return {ExitCode::out_of_memory, error.what()};
  } catch (const NonFiniteError& error) {
    return {ExitCode::non_finite, error.what()};
  } catch (const IoError& error) {
    return {ExitCode::io, error.what()};
  } catch (const std::bad_alloc&) {
    return {ExitCode::out_of_memory, "out of memory; " + advice};
  } catch (const std::length_error& error) {  // larger than any memory
    return {ExitCode::out_of_memory, std::string("out of memory: ") + error.what() + "; " + advice};
  } catch (const std::system_error& error) {  // of files, too
    const bool short_of_memory = error.code() == std::errc::not_enough_memory ||
                                 error.code() == std::errc::resource_unavailable_try_again;
    if (short_of_memory) {
      return {ExitCode::out_of_memory, std::string("the system gives no more memory or threads: ") +
                                           error.what() + "; " + advice + ", or fewer --threads"};
    }
    return {ExitCode::io, error.what()};
  } catch (const nlohmann::json::exception& error) {
    return {ExitCode::bad_input,
            std::string("a JSON document does not hold what it must: ") + error.what()};
  } catch (const std::exception& error) {
    return {ExitCode::internal, std::string("internal error: ") + error.what()};
  } catch (...) {
    return {ExitCode::internal, "internal error: something that is no exception was thrown"};
  }
}

}  // namespace serenade::ser
