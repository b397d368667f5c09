// What bears the lock's name and is none. Two writers: result_folder.cpp.

#include "apps/ser/report/folder_lock.h"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include "apps/ser/common/error.h"
#include "tests/apps/ser/common/files.h"

namespace serenade::ser {

TEST_CASE("a pipe named like the lock is nobody's, and is not waited for") {
  const TemporaryFolder folder;
  const std::string pipe = folder / kLockFile;
  REQUIRE(mkfifo(pipe.c_str(), 0644) == 0);
  CHECK_NOTHROW(check_not_locked(folder.path()));
  CHECK_THROWS_WITH_AS(
      FolderLock(folder.path()),
      (pipe + ": cannot be written: Invalid argument; check the free space and the permissions")
          .c_str(),
      IoError);
}

}  // namespace serenade::ser
