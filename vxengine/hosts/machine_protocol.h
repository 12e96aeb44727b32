// What tests say to a vxmachine and what it answers, as bytes in pipes: frames, each a 64-bit
// length and as many bytes (outcome_bytes.h). One request, one reply, any number of times.
#ifndef VXENGINE_HOSTS_MACHINE_PROTOCOL_H_
#define VXENGINE_HOSTS_MACHINE_PROTOCOL_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "vxengine/machine/outcome.h"

namespace vx {

// A guest to run, with all that its run is a function of.
struct MachineRequest {
  Profile profile = Profile::kVx2026;
  uint64_t memory = 0;  // limits, as vx::Limits has them
  uint32_t stack = 0;
  uint64_t instructions = 0;
  uint64_t output = 0;
  std::vector<std::string> arguments;
  std::string elf;
  std::string input;
};

struct MachineReply {
  std::string error;  // why the guest could not be started; empty if it was
  Outcome outcome;
  std::string output;       // to descriptor 1
  std::string diagnostics;  // to descriptor 2
};

std::string EncodeMachineRequest(const MachineRequest& request);
std::string EncodeMachineReply(const MachineReply& reply);

// False for bytes that aren't what the other one encodes.
bool DecodeMachineRequest(std::string_view bytes, MachineRequest* request);
bool DecodeMachineReply(std::string_view bytes, MachineReply* reply);

// The length before a frame's bytes.
inline constexpr size_t kFrameLengthSize = 8;
std::string EncodeFrameLength(uint64_t length);
uint64_t DecodeFrameLength(std::string_view bytes);

}  // namespace vx

#endif  // VXENGINE_HOSTS_MACHINE_PROTOCOL_H_
