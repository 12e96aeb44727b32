#include "decoders/testing/expect.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <optional>

#include "decoders/testing/run_guest.h"

namespace vxa::decoders {
namespace {

// `guest` has given up as drivers do.
void ExpectGaveUp(const std::string& guest, const GuestRun& run) {
  EXPECT_EQ(run.failure, "");
  EXPECT_EQ(run.exit_status, 1u);
  EXPECT_THAT(run.diagnostics, testing::MatchesRegex(guest.substr(guest.rfind('/') + 1) +
                                                     ": .*, at byte [0-9]+ of the input\n"));
}

// Runs that succeed must give `data`, if any.
void FlipEveryBit(const std::string& guest, const std::string& encoded,
                  std::optional<std::string_view> data) {
  for (size_t bit = 0; bit < encoded.size() * 8; ++bit) {
    SCOPED_TRACE(testing::Message() << "bit " << bit);
    GuestRun run = RunGuest(guest, {}, FlipBit(encoded, bit));
    if (run.exit_status != 0 || !run.failure.empty()) {
      ExpectGaveUp(guest, run);
    } else if (data.has_value()) {
      EXPECT_TRUE(run.output == *data);
    }
  }
}

}  // namespace

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

std::string Noise(size_t length) {
  std::string noise;
  for (uint32_t state = 1; noise.size() < length;) {
    state = state * 1664525u + 1013904223u;
    noise += static_cast<char>(state >> 24);
  }
  return noise;
}

std::string LittleEndian(uint64_t value, int bytes) {
  std::string result;
  for (int i = 0; i < bytes; ++i) result += static_cast<char>(value >> 8 * i);
  return result;
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

void ExpectCutOffIsRefused(const std::string& guest, const std::string& encoded,
                           std::string_view data, size_t step) {
  for (size_t length = 1; length < encoded.size(); length += step) {
    SCOPED_TRACE(testing::Message() << length << " of " << encoded.size() << " bytes");
    GuestRun run = RunGuest(guest, {}, encoded.substr(0, length));
    ExpectGaveUp(guest, run);
    EXPECT_TRUE(run.output == data.substr(0, run.output.size()));
  }
}

void ExpectFlippedBitsAreNoticed(const std::string& guest, const std::string& encoded,
                                 std::string_view data) {
  FlipEveryBit(guest, encoded, data);
}

void ExpectFlippedBitsDoNoHarm(const std::string& guest, const std::string& encoded) {
  FlipEveryBit(guest, encoded, std::nullopt);
}

}  // namespace vxa::decoders
