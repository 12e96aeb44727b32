#include "vxengine/machine/system_calls.h"

#include <algorithm>

namespace vx {
namespace {

// Rough costs for effort(): of a call at all, of mapping or unmapping a page; and bytes moved in
// the time of an instruction.
constexpr uint64_t kCallEffort = 64, kPageEffort = 8, kBytesPerEffort = 8;

constexpr uint32_t kPageMask = Memory::kPageSize - 1;

}  // namespace

SystemCalls::SystemCalls(Memory* memory, Registers* registers, SystemCallHost* host,
                         const Layout& layout, uint64_t output_limit)
    : memory_(memory),
      registers_(registers),
      host_(host),
      layout_(layout),
      output_limit_(output_limit),
      piece_(std::make_unique_for_overwrite<std::array<uint8_t, kPiece>>()),
      break_(layout.initial_break) {}

SystemCalls::Result SystemCalls::Call() {
  effort_ += kCallEffort;
  switch (registers_->gpr[kEax]) {
    case VX_CALL_EXIT:
      return Result::kExit;
    case VX_CALL_BRK:
      return Break();
    case VX_CALL_READ:
      return Read();
    case VX_CALL_WRITE:
      return Write();
    default:
      return Return(-uint32_t{VX_ENOSYS});
  }
}

SystemCalls::Result SystemCalls::Return(uint32_t value) {
  registers_->gpr[kEax] = value;
  return Result::kContinue;
}

SystemCalls::Result SystemCalls::Break() {
  const uint32_t wanted = registers_->gpr[kEdx];
  if (wanted > layout_.break_ceiling) return Return(-uint32_t{VX_ENOMEM});
  if (wanted < layout_.initial_break) return Return(0);
  // The ceiling is a multiple of the page size: this can't wrap.
  const uint32_t end = (wanted + kPageMask) & ~kPageMask;
  const uint32_t first = std::min(end, break_) / Memory::kPageSize;
  const uint32_t count = std::max(end, break_) / Memory::kPageSize - first;
  if (end > break_) {
    memory_->Map(first, count, Memory::kRead | Memory::kWrite);
  } else if (end < break_) {
    memory_->Unmap(first, count);
  }
  effort_ += count * kPageEffort;
  break_ = end;
  return Return(0);
}

// The checks that read and write share. True if there are bytes to move; else `result` is what to
// return.
bool SystemCalls::CheckTransfer(bool fd_valid, uint8_t permissions, Result* result) {
  const uint32_t buffer = registers_->gpr[kEcx];
  const uint32_t length = registers_->gpr[kEbx];
  uint32_t fault = 0;
  effort_ += length / Memory::kPageSize;  // pages that Check may have to look at
  if (!fd_valid) {
    *result = Return(-uint32_t{VX_EBADF});
  } else if (length > VX_MAX_TRANSFER) {
    *result = Return(-uint32_t{VX_EINVAL});
  } else if (length == 0) {
    *result = Return(0);
  } else if (!memory_->Check(buffer, length, permissions, &fault)) {
    *result = Return(-uint32_t{VX_EFAULT});
  } else {
    return true;
  }
  return false;
}

SystemCalls::Result SystemCalls::Read() {
  Result result;
  if (!CheckTransfer(registers_->gpr[kEdx] == VX_FD_INPUT, Memory::kWrite, &result)) return result;
  const uint32_t buffer = registers_->gpr[kEcx];
  const uint32_t length = registers_->gpr[kEbx];
  uint32_t moved = 0;
  while (moved < length && !input_ended_) {
    const std::span<uint8_t> piece(piece_->data(), std::min<size_t>(length - moved, kPiece));
    size_t count = 0;
    if (!host_->Read(piece, &count)) return Result::kHostFailed;
    if (count == 0) input_ended_ = true;
    uint32_t fault = 0;
    memory_->Write(buffer + moved, piece.first(count), &fault);
    moved += static_cast<uint32_t>(count);
    bytes_in_ += count;
    effort_ += kCallEffort + count / kBytesPerEffort;
  }
  return Return(moved);
}

SystemCalls::Result SystemCalls::Write() {
  const uint32_t fd = registers_->gpr[kEdx];
  Result result;
  if (!CheckTransfer(fd == VX_FD_OUTPUT || fd == VX_FD_DIAGNOSTICS, Memory::kRead, &result)) {
    return result;
  }
  const uint32_t buffer = registers_->gpr[kEcx];
  const uint32_t length = registers_->gpr[kEbx];
  uint32_t to_host = length;
  if (fd == VX_FD_OUTPUT) {
    if (length > output_limit_ - bytes_out_) return Result::kOutputLimit;
  } else {
    to_host =
        static_cast<uint32_t>(std::min<uint64_t>(length, VX_DIAGNOSTICS_KEPT - diagnostics_kept_));
    diagnostics_kept_ += to_host;
  }
  for (uint32_t moved = 0; moved < to_host;) {
    const std::span<uint8_t> piece(piece_->data(), std::min<size_t>(to_host - moved, kPiece));
    uint32_t fault = 0;
    memory_->Read(buffer + moved, piece, &fault);
    if (!host_->Write(static_cast<int>(fd), piece)) return Result::kHostFailed;
    moved += static_cast<uint32_t>(piece.size());
    if (fd == VX_FD_OUTPUT) bytes_out_ += piece.size();
    effort_ += kCallEffort + piece.size() / kBytesPerEffort;
  }
  return Return(length);
}

}  // namespace vx
