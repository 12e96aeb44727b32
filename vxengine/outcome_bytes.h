// Outcomes as bytes, for processes that tell each other of runs, on whatever hosts: integers are
// little-endian; a string is a 32-bit length and its bytes. Standard C++ only.
#ifndef VXENGINE_OUTCOME_BYTES_H_
#define VXENGINE_OUTCOME_BYTES_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "vxengine/machine/outcome.h"

namespace vx {

// The longest text (message, description) in an outcome.
inline constexpr size_t kOutcomeTextMax = 0x400;

class ByteWriter {
 public:
  template <typename T>
  void Put(T value) {
    for (size_t i = 0; i < sizeof(T); ++i) {
      bytes_ += static_cast<char>(static_cast<uint64_t>(value) >> (8 * i));
    }
  }

  // Field is called by functions that name the fields of a struct, for ByteWriter and ByteReader
  // alike.
  template <typename T>
  void Field(const T& value) {
    Put(value);
  }
  void Field(const std::string& value, size_t max) {
    const size_t size = std::min(value.size(), max);
    Put(static_cast<uint32_t>(size));
    bytes_.append(value, 0, size);
  }
  template <typename Enum>
  void EnumField(const Enum& value, Enum /*first*/, Enum /*last*/) {
    Put(static_cast<uint8_t>(value));
  }

  std::string Take() { return std::move(bytes_); }

 private:
  std::string bytes_;
};

// Once a field isn't there whole or isn't valid, all later ones are zero and ok() is false.
class ByteReader {
 public:
  explicit ByteReader(std::string_view bytes) : rest_(bytes) {}

  template <typename T>
  void Field(T& value) {
    value = 0;
    if (!Has(sizeof(T))) return;
    uint64_t bits = 0;
    for (size_t i = sizeof(T); i-- > 0;) bits = bits << 8 | static_cast<unsigned char>(rest_[i]);
    value = static_cast<T>(bits);
    rest_.remove_prefix(sizeof(T));
  }
  void Field(std::string& value, size_t max) {
    uint32_t size;
    Field(size);
    if (size > max || !Has(size)) {
      ok_ = false;
      return;
    }
    value = rest_.substr(0, size);
    rest_.remove_prefix(size);
  }
  template <typename Enum>
  void EnumField(Enum& value, Enum first, Enum last) {
    uint8_t number;
    Field(number);
    ok_ = ok_ && number >= static_cast<uint8_t>(first) && number <= static_cast<uint8_t>(last);
    value = ok_ ? static_cast<Enum>(number) : first;
  }

  bool ok() const { return ok_; }
  bool ok_and_at_end() const { return ok_ && rest_.empty(); }

 private:
  bool Has(size_t size) {
    ok_ = ok_ && rest_.size() >= size;
    return ok_;
  }

  std::string_view rest_;
  bool ok_ = true;
};

// The order of the fields, told once: structs are const for a ByteWriter.
template <typename Stream, typename State>
void RegisterFields(Stream& stream, State& registers) {
  for (auto& gpr : registers.gpr) stream.Field(gpr);
  stream.Field(registers.eip);
  stream.Field(registers.eflags);
  for (auto& reg : registers.x87.reg) {
    stream.Field(reg.significand);
    stream.Field(reg.sign_exponent);
  }
  stream.Field(registers.x87.control);
  stream.Field(registers.x87.status);
  stream.Field(registers.x87.tag);
  for (auto& xmm : registers.xmm) {
    stream.Field(xmm.lane[0]);
    stream.Field(xmm.lane[1]);
  }
  stream.Field(registers.mxcsr);
}

template <typename Stream, typename Result>
void OutcomeFields(Stream& stream, Result& outcome) {
  stream.EnumField(outcome.end, Outcome::End::kExited, Outcome::End::kEngineFailed);
  stream.Field(outcome.exit_status);
  stream.EnumField(outcome.trap.cause, TrapCause::kPageFault, TrapCause::kBoundRange);
  stream.EnumField(outcome.trap.access, Access::kRead, Access::kFetch);
  stream.Field(outcome.trap.address);
  stream.EnumField(outcome.limit, Limit::kInstructions, Limit::kCpuTime);
  stream.Field(outcome.host_error, kOutcomeTextMax);
  RegisterFields(stream, outcome.registers);
  stream.Field(outcome.valid_flags);
  stream.Field(outcome.counters.instructions);
  stream.Field(outcome.counters.bytes_in);
  stream.Field(outcome.counters.bytes_out);
  stream.Field(outcome.counters.peak_memory);
}

}  // namespace vx

#endif  // VXENGINE_OUTCOME_BYTES_H_
