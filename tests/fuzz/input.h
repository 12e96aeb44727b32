// A fuzzer's input, taken apart from front to back. Where there is no more, all is zero.
#ifndef TESTS_FUZZ_INPUT_H_
#define TESTS_FUZZ_INPUT_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace vxa::fuzz {

class Input {
 public:
  Input(const uint8_t* data, size_t size) : left_(data, size) {}

  bool empty() const { return left_.empty(); }

  std::span<const uint8_t> Bytes(size_t most) {
    const std::span<const uint8_t> taken = left_.first(std::min(most, left_.size()));
    left_ = left_.subspan(taken.size());
    return taken;
  }
  std::span<const uint8_t> Rest() { return Bytes(left_.size()); }

  // Little-endian.
  template <typename T>
  T Integer() {
    T value = 0;
    int shift = 0;
    for (uint8_t byte : Bytes(sizeof(T))) {
      value = static_cast<T>(value | T{byte} << shift);
      shift += 8;
    }
    return value;
  }
  uint8_t Byte() { return Integer<uint8_t>(); }

 private:
  std::span<const uint8_t> left_;
};

inline std::string_view AsText(std::span<const uint8_t> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace vxa::fuzz

#endif  // TESTS_FUZZ_INPUT_H_
