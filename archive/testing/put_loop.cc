// put_loop DIRECTORY PREFIX: puts objects into an archive from several threads until it is killed,
// and writes each name to stdout, one per line, once its put is acknowledged. An object's bytes
// follow from its name (ContentOf).
#include <unistd.h>

#include <cstdio>
#include <iostream>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "archive/testing/archive_fixture.h"

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  using namespace vxa;
  absl::StatusOr<std::unique_ptr<Archive>> archive = Archive::Open(
      {.directory = argv[1], .decoder = &vxa::testing::Workers(), .pack_size = uint64_t{16} << 20});
  if (!archive.ok()) {
    std::cerr << archive.status() << "\n";
    return 1;
  }
  std::vector<std::thread> threads;
  for (int t = 0; t < 3; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0;; ++i) {
        const std::string name = absl::StrCat(argv[2], "/", t, "/", i);
        absl::StatusOr<PutResult> put =
            vxa::testing::Put(**archive, name, vxa::testing::ContentOf(name));
        if (!put.ok()) {
          std::cerr << put.status() << "\n";
          _exit(1);
        }
        const std::string line = name + "\n";
        if (write(STDOUT_FILENO, line.data(), line.size()) < 0) _exit(1);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}
