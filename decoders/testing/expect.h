// What the tests of decoders have in common.
#ifndef DECODERS_TESTING_EXPECT_H_
#define DECODERS_TESTING_EXPECT_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace vxa::decoders {

// Words and numbers of every length between runs of noise: matches near and far, literals, what
// does not compress. The same for the same length.
std::string Sample(size_t length);

// Bytes that don't compress. The same for the same length.
std::string Noise(size_t length);

// The lowest `bytes` bytes of `value`.
std::string LittleEndian(uint64_t value, int bytes = 4);

// `bytes` with bit `bit` % 8 of byte `bit` / 8 another one.
std::string FlipBit(std::string bytes, size_t bit);

// Expects `guest` (as RunGuest takes it) to give `data` and exit with status 0, without a word.
void ExpectDecodes(const std::string& guest, const std::string& encoded,
                   const std::vector<std::string>& arguments, std::string_view data);

// Expects `guest` to exit with status 1 and exactly these diagnostics.
void ExpectRefused(const std::string& guest, const std::string& encoded,
                   const std::vector<std::string>& arguments, const std::string& diagnostics);

// Expects every beginning of `encoded`, in steps of `step` bytes and without the empty one, to be
// refused after a beginning of `data`.
void ExpectCutOffIsRefused(const std::string& guest, const std::string& encoded,
                           std::string_view data, size_t step = 1);

// Expects `encoded` with any one bit flipped to be refused or to give `data`.
void ExpectFlippedBitsAreNoticed(const std::string& guest, const std::string& encoded,
                                 std::string_view data);

// Expects `encoded`, which has no check value, with any one bit flipped to be refused or to give
// whatever it may.
void ExpectFlippedBitsDoNoHarm(const std::string& guest, const std::string& encoded);

}  // namespace vxa::decoders

#endif  // DECODERS_TESTING_EXPECT_H_
