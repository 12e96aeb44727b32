// Messages that nobody vouches for, to the service on an archive in memory, through gRPC within the
// process. Every call ends, with an answer or with an error that is the request's; afterwards the
// archive serves on.
//
// The input is messages, one behind the other:
//   0    bits 0-3: method; bit 4: one more message of the call before, if that is a WriteObject;
//        bit 5: what a WriteObject must say of its bytes (offset, CRC, size, digest) is put right
//   1 2  length
//   3..  the message
#include <google/protobuf/stubs/logging.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>

#include <chrono>
#include <iterator>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "archive/crc32c.h"
#include "archive/log.h"
#include "server/archive_service.h"
#include "tests/fuzz/archive_in_memory.h"
#include "tests/fuzz/check.h"
#include "tests/fuzz/input.h"
#include "vxa/v1/vxa.pb.h"

namespace vxa::fuzz {
namespace {

using testing::FaultEnv;

constexpr const char* kMethods[] = {"WriteObject", "ReadObject",   "GetObject",
                                    "ListObjects", "DeleteObject", "VerifyObjects",
                                    "GetDecoder",  "ListDecoders", "RegisterDecoder"};
constexpr size_t kMostCalls = 32;
constexpr std::chrono::seconds kPatience(15);

// What the service sees: every input has an archive of its own, but a server takes its time to
// start.
class CurrentArchive : public Archive {
 public:
  std::unique_ptr<Archive> now;

  absl::StatusOr<std::unique_ptr<Upload>> Put(PutSpec spec, CallContext context) override {
    return now->Put(std::move(spec), std::move(context));
  }
  absl::StatusOr<ReadResult> Read(const ReadSpec& spec, ReadSink& sink,
                                  const CallContext& context) override {
    return now->Read(spec, sink, context);
  }
  absl::StatusOr<ObjectInfo> Stat(const std::string& ns, const std::string& name,
                                  uint64_t version) override {
    return now->Stat(ns, name, version);
  }
  absl::StatusOr<ListResult> List(const ListSpec& spec) override { return now->List(spec); }
  absl::StatusOr<uint64_t> Delete(const DeleteSpec& spec) override { return now->Delete(spec); }
  absl::StatusOr<VerifySummary> Verify(const VerifySpec& spec, VerifySink& sink,
                                       const CallContext& context) override {
    return now->Verify(spec, sink, context);
  }
  absl::StatusOr<DecoderInfo> RegisterDecoder(const RegisterSpec& spec,
                                              const CallContext& context) override {
    return now->RegisterDecoder(spec, context);
  }
  absl::StatusOr<DecoderInfo> StatDecoder(const std::string& ns, const Digest& id) override {
    return now->StatDecoder(ns, id);
  }
  absl::StatusOr<std::string> ReadDecoder(const std::string& ns, const Digest& id) override {
    return now->ReadDecoder(ns, id);
  }
  absl::StatusOr<DecoderList> ListDecoders(const std::string& ns, uint32_t page_size,
                                           const std::string& page_token) override {
    return now->ListDecoders(ns, page_size, page_token);
  }
  DecodeLoad Load() override { return now->Load(); }
  absl::Status Rule(const DecoderRuling& ruling, const CallContext& context) override {
    return now->Rule(ruling, context);
  }
};

struct Call {
  std::string method;
  std::vector<std::string> messages;
};

// A WriteObject's messages as a good client would make them, of the same data.
class Corrections {
 public:
  std::string Correct(const std::string& bytes) {
    v1::WriteObjectRequest message;
    if (!message.ParseFromString(bytes)) return bytes;
    if (message.has_spec()) sent_.clear();
    if (message.has_data()) {
      message.mutable_data()->set_write_offset(sent_.size());
      message.mutable_data()->set_crc32c(Crc32c(message.data().data()));
      sent_ += message.data().data();
    }
    if (message.has_finish()) {
      message.mutable_finish()->set_size(sent_.size());
      v1::Digest* const digest = message.mutable_finish()->mutable_digest();
      digest->set_algorithm(static_cast<decltype(digest->algorithm())>(1));
      digest->set_value(std::string(Digest::Of(sent_).raw()));
    }
    return message.SerializeAsString();
  }

 private:
  std::string sent_;
};

std::vector<Call> CallsOf(Input& input) {
  std::vector<Call> calls;
  Corrections corrections;
  for (size_t n = 0; n < kMostCalls && !input.empty(); ++n) {
    const uint8_t flags = input.Byte();
    std::string message(AsText(input.Bytes(input.Integer<uint16_t>())));
    const char* const method = kMethods[(flags & 15) % std::size(kMethods)];
    const bool is_write = method == std::string("WriteObject");
    const bool goes_on = (flags & 16) != 0 && is_write && !calls.empty() &&
                         calls.back().method == std::string("/vxa.v1.Archive/") + method;
    if (flags & 32 && is_write) message = corrections.Correct(message);
    if (!goes_on) calls.push_back({std::string("/vxa.v1.Archive/") + method, {}});
    calls.back().messages.push_back(std::move(message));
  }
  return calls;
}

// Makes one call, whatever its kind: writes while it reads, to the end of both.
grpc::Status Make(grpc::GenericStub& stub, const Call& call) {
  enum Tag : intptr_t { kStarted = 1, kWritten, kRead, kFinished };
  const auto tag = [](Tag which) { return reinterpret_cast<void*>(which); };
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + kPatience);
  grpc::CompletionQueue queue;
  const auto stream = stub.PrepareCall(&context, call.method, &queue);
  stream->StartCall(tag(kStarted));
  grpc::Status status;
  grpc::ByteBuffer answer;
  size_t written = 0;
  bool writing = true, reading = true;
  const auto write = [&] {
    if (written == call.messages.size()) {
      stream->WritesDone(tag(kWritten));
    } else {
      const grpc::Slice slice(call.messages[written]);
      stream->Write(grpc::ByteBuffer(&slice, 1), tag(kWritten));
    }
    ++written;
  };
  void* event = nullptr;
  for (bool ok = false; queue.Next(&event, &ok);) {
    switch (static_cast<Tag>(reinterpret_cast<intptr_t>(event))) {
      case kStarted:
        write();
        stream->Read(&answer, tag(kRead));
        continue;
      case kWritten:
        writing = ok && written <= call.messages.size();
        if (writing) write();
        break;
      case kRead:
        reading = ok;
        if (reading) stream->Read(&answer, tag(kRead));
        break;
      case kFinished:
        queue.Shutdown();
        continue;
    }
    if (!writing && !reading) {
      stream->Finish(&status, tag(kFinished));
    }
  }
  return status;
}

struct Service {
  Service() {
    service = std::make_unique<ArchiveService>(&archive, CallLimits{}, v1::ServerStatus());
    grpc::ServerBuilder builder;
    builder.RegisterService(service.get());
    server = builder.BuildAndStart();
    Check(server != nullptr, "no server");
    stub = std::make_unique<grpc::GenericStub>(server->InProcessChannel({}));
  }

  CurrentArchive archive;
  std::unique_ptr<ArchiveService> service;
  std::unique_ptr<grpc::Server> server;
  std::unique_ptr<grpc::GenericStub> stub;
};

void CheckServes(Archive& archive) {
  const std::string bytes = "still there";
  const std::string name = "afterwards";
  absl::StatusOr<std::unique_ptr<Upload>> upload = archive.Put({.name = name}, {});
  Check(upload.ok() && (*upload)->Append(bytes).ok(), "it takes nothing more");
  const absl::StatusOr<PutResult> put = (*upload)->Finish(bytes.size(), Digest::Of(bytes));
  if (!put.ok()) Fail(absl::StrCat("it takes nothing more: ", put.status().ToString()));
  Collector collector;
  const absl::StatusOr<ReadResult> read = archive.Read({.name = name}, collector, {});
  Check(read.ok() && collector.bytes == bytes, "it doesn't give what was put");
}

}  // namespace
}  // namespace vxa::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace vxa::fuzz;
  google::protobuf::SetLogHandler(nullptr);
  const vxa::LogCapture quiet([](vxa::LogLevel, std::string_view) {});
  static auto* const service = new Service;
  Input input(data, size);
  const std::vector<Call> calls = CallsOf(input);
  vxa::testing::FaultEnv env;
  absl::StatusOr<std::unique_ptr<vxa::Archive>> archive = OpenIn(env);
  Check(archive.ok(), "no archive");
  service->archive.now = *std::move(archive);
  for (const Call& call : calls) {
    const grpc::Status status = Make(*service->stub, call);
    switch (status.error_code()) {
      case grpc::StatusCode::UNKNOWN:
      case grpc::StatusCode::INTERNAL:
      case grpc::StatusCode::UNAVAILABLE:
      case grpc::StatusCode::DEADLINE_EXCEEDED:
      case grpc::StatusCode::DATA_LOSS:
        Fail(absl::StrCat(call.method, ": ", status.error_code(), " ", status.error_message()));
      default:
        break;
    }
  }
  while (!service->service->Idle()) std::this_thread::yield();
  CheckServes(*service->archive.now);
  service->archive.now.reset();
  return 0;
}
