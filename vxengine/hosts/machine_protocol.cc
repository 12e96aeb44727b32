#include "vxengine/hosts/machine_protocol.h"

#include "vxengine/outcome_bytes.h"

namespace vx {
namespace {

template <typename Stream, typename Request>
void RequestFields(Stream& stream, Request& request) {
  stream.EnumField(request.profile, Profile::kVx2026, Profile::kVx2026Int);
  stream.Field(request.memory);
  stream.Field(request.stack);
  stream.Field(request.instructions);
  stream.Field(request.output);
  stream.Field(request.elf, UINT32_MAX);
  stream.Field(request.input, UINT32_MAX);
}

template <typename Stream, typename Reply>
void ReplyFields(Stream& stream, Reply& reply) {
  stream.Field(reply.error, kOutcomeTextMax);
  OutcomeFields(stream, reply.outcome);
  stream.Field(reply.output, UINT32_MAX);
  stream.Field(reply.diagnostics, UINT32_MAX);
}

}  // namespace

std::string EncodeMachineRequest(const MachineRequest& request) {
  ByteWriter writer;
  RequestFields(writer, request);
  writer.Put(static_cast<uint32_t>(request.arguments.size()));
  for (const std::string& argument : request.arguments) writer.Field(argument, UINT32_MAX);
  return writer.Take();
}

bool DecodeMachineRequest(std::string_view bytes, MachineRequest* request) {
  ByteReader reader(bytes);
  RequestFields(reader, *request);
  uint32_t count;
  reader.Field(count);
  for (; reader.ok() && count > 0; --count) {
    reader.Field(request->arguments.emplace_back(), UINT32_MAX);
  }
  return reader.ok_and_at_end();
}

std::string EncodeMachineReply(const MachineReply& reply) {
  ByteWriter writer;
  ReplyFields(writer, reply);
  return writer.Take();
}

bool DecodeMachineReply(std::string_view bytes, MachineReply* reply) {
  ByteReader reader(bytes);
  ReplyFields(reader, *reply);
  return reader.ok_and_at_end();
}

std::string EncodeFrameLength(uint64_t length) {
  ByteWriter writer;
  writer.Put(length);
  return writer.Take();
}

uint64_t DecodeFrameLength(std::string_view bytes) {
  ByteReader reader(bytes);
  uint64_t length;
  reader.Field(length);
  return length;
}

}  // namespace vx
