#include "archive/testing/workload.h"

#include <utility>

#include "archive/archive_impl.h"
#include "archive/testing/archive_fixture.h"
#include "archive/testing/in_process_decoder.h"

namespace vxa::testing {

absl::StatusOr<std::unique_ptr<Archive>> OpenIn(FaultEnv& env, uint64_t pack_size) {
  static vx::DecodeService* const decoder = NewInProcessDecodeService().release();
  return OpenArchive(env, {.directory = kDirectory, .decoder = decoder, .pack_size = pack_size});
}

std::vector<Operation> Workload(bool large) {
  std::vector<Operation> operations = {
      PutCall{{.name = "a", .codec = "store"}, Noise(3000, 1)},
      PutCall{{.name = "a"}, Text(3000, 2)},  // deflated
      PutCall{{.name = "b/notes.gz"}, Gzip(Text(500, 3))},
      PutCall{{.name = "c", .if_absent = true}, ""},
      PutCall{{.name = "c", .if_absent = true}, "not absent"},
      PutCall{{.name = "a", .if_version = 2}, Text(100, 4)},
      PutCall{{.name = "a", .if_version = 2}, "it is 3"},
      PutCall{{.name = "r", .request_id = "r1"}, Noise(100, 5)},
      PutCall{{.name = "r", .request_id = "r1"}, Noise(100, 5)},
      DeleteSpec{.name = "b/notes.gz"},
      DeleteSpec{.name = "a", .version = 2},
      PutCall{{.name = "full"}, Noise(40'000, 6)},
      PutCall{{.name = "d"}, Text(4000, 7)},
      DeleteSpec{.name = "d", .request_id = "q1"},
      DeleteSpec{.name = "d", .request_id = "q1"},
      PutCall{{.name = "d"}, "again"},
      PutCall{{.name = "e"}, Noise(30'000, 8)},
  };
  if (large) {
    operations.push_back(PutCall{{.name = "large", .codec = "store"}, Noise((4 << 20) + 1000, 9)});
  }
  operations.insert(operations.end(), {
                                          PutCall{{.name = "d"}, "again"},
                                          DeleteSpec{.name = "e", .version = 1},
                                          PutCall{{.name = "e"}, "2"},
                                          DeleteSpec{.name = "a", .version = 3},
                                      });
  return operations;
}

}  // namespace vxa::testing
