#include "decoders/testing/expect.h"

#include <gtest/gtest.h>

#include <cstdint>

#include "decoders/testing/run_guest.h"

namespace vxa::decoders {

std::string Sample(size_t length) {
  std::string sample;
  uint32_t state = 12345;
  auto next = [&state] { return (state = state * 1664525u + 1013904223u) >> 8; };
  while (sample.size() < length) {
    switch (next() % 4) {
      case 0:
        sample += "packs, manifests and the index ";
        break;
      case 1:
        sample.append(next() % 300, static_cast<char>('a' + next() % 26));
        break;
      case 2:
        for (int i = 0; i < 20; ++i) sample += static_cast<char>(next());
        break;
      case 3:
        if (!sample.empty()) sample += sample.substr(next() % sample.size(), next() % 500);
        break;
    }
  }
  sample.resize(length);
  return sample;
}

std::string FlipBit(std::string bytes, size_t bit) {
  bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ 1 << bit % 8);
  return bytes;
}

void ExpectDecodes(const std::string& guest, const std::string& encoded,
                   const std::vector<std::string>& arguments, std::string_view data) {
  GuestRun run = RunGuest(guest, arguments, encoded);
  EXPECT_EQ(run.failure, "");
  EXPECT_EQ(run.exit_status, 0u);
  EXPECT_EQ(run.diagnostics, "");
  EXPECT_TRUE(run.output == data) << run.output.size() << " bytes came out of " << data.size();
}

void ExpectRefused(const std::string& guest, const std::string& encoded,
                   const std::vector<std::string>& arguments, const std::string& diagnostics) {
  GuestRun run = RunGuest(guest, arguments, encoded);
  EXPECT_EQ(run.failure, "");
  EXPECT_EQ(run.exit_status, 1u);
  EXPECT_EQ(run.diagnostics, diagnostics);
}

}  // namespace vxa::decoders
