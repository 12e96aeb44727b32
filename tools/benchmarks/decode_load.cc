// What the benchmark `decode` times: small decodes one after the other, in one way of running them.
// Prints one JSON object: the seconds they took, of these those to the first bytes of output, and
// how many bytes each gave, always the same.
#include <cstdlib>
#include <fstream>
#include <functional>
#include <iostream>
#include <iterator>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "vxengine/decode_service.h"
#include "vxengine/testing/string_io.h"
#include "vxengine/vx.h"

namespace vx::benchmarks {
namespace {

[[noreturn]] void Die(const std::string& why) {
  std::cerr << "decode_load: " << why << "\n";
  std::exit(1);
}

template <typename T>
T OrDie(absl::StatusOr<T> result) {
  if (!result.ok()) Die(std::string(result.status().message()));
  return *std::move(result);
}

std::string ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::string bytes(std::istreambuf_iterator<char>(file), {});
  if (bytes.empty()) Die(path + " can't be read, or is empty");
  return bytes;
}

struct Work {
  std::string guest, input;
  std::vector<std::string> arguments;
};

void CheckEnd(const Outcome& outcome, const std::string& description) {
  if (outcome.end != Outcome::End::kExited || outcome.exit_status != 0) Die(description);
}

struct Decoded {
  std::string bytes;
  absl::Time first;  // when the first of them came, or, in this process, all had
};

class Strings final : public ByteSource, public ByteSink {
 public:
  explicit Strings(std::string_view input) : input_(input) {}
  absl::StatusOr<std::string_view> Next() override { return std::exchange(input_, {}); }
  absl::Status Append(std::string_view bytes) override {
    if (output.bytes.empty()) output.first = absl::Now();
    output.bytes.append(bytes);
    return absl::OkStatus();
  }
  Decoded output;

 private:
  std::string_view input_;
};

Decoded DecodeInWorker(DecodeService& service, DecodeSession* session, const Work& work) {
  Strings io(work.input);
  const DecodeResult result = OrDie(service.Decode(
      {.decoder = work.guest, .arguments = work.arguments, .session = session}, io, io));
  CheckEnd(result.outcome, result.description);
  return io.output;
}

Decoded DecodeHere(const std::shared_ptr<const Program>& program, const Work& work) {
  const std::unique_ptr<Sandbox> sandbox =
      OrDie(Sandbox::Create(program, {.arguments = work.arguments}));
  testing::StringIo io(work.input);
  const Outcome outcome = sandbox->Run(io);
  CheckEnd(outcome, Describe(outcome, *program));
  return {.bytes = io.output, .first = absl::Now()};
}

// Runs `decode` once, and then so many times that are timed.
void Time(int count, const std::function<Decoded()>& decode) {
  const std::string expected = decode().bytes;
  absl::Duration to_first;
  const absl::Time start = absl::Now();
  for (int n = 0; n < count; ++n) {
    const absl::Time begin = absl::Now();
    const Decoded decoded = decode();
    if (decoded.bytes != expected) Die("two decodes of the same bytes differ");
    to_first += decoded.first - begin;
  }
  std::cout << absl::StrFormat(R"({"seconds": %.6f, "to_first_byte": %.6f, "bytes": %d})"
                               "\n",
                               absl::ToDoubleSeconds(absl::Now() - start),
                               absl::ToDoubleSeconds(to_first), expected.size());
}

int Main(int argc, char** argv) {
  CLI::App app("Times small decodes.");
  std::string way, worker, guest, input;
  Work work;
  int count = 100;
  app.add_option("way", way)
      ->required()
      ->check(CLI::IsMember({"zygote", "worker", "session", "here"}));
  app.add_option("--worker", worker)->required();
  app.add_option("--guest", guest)->required();
  app.add_option("--input", input)->required();
  app.add_option("--argument", work.arguments);
  app.add_option("--count", count)->check(CLI::Range(1, 1'000'000));
  CLI11_PARSE(app, argc, argv);
  work.guest = ReadFile(guest);
  work.input = ReadFile(input);

  if (way == "here") {
    const std::shared_ptr<const Program> program = OrDie(Program::Load(work.guest));
    Time(count, [&] { return DecodeHere(program, work); });
    return 0;
  }
  const auto new_service = [&worker] { return OrDie(NewWorkerDecodeService(worker)); };
  if (way == "zygote") {
    Time(count, [&] { return DecodeInWorker(*new_service(), nullptr, work); });
    return 0;
  }
  const std::unique_ptr<WorkerDecodeService> service = new_service();
  const std::unique_ptr<DecodeSession> session = way == "session" ? service->NewSession() : nullptr;
  Time(count, [&] { return DecodeInWorker(*service, session.get(), work); });
  return 0;
}

}  // namespace
}  // namespace vx::benchmarks

int main(int argc, char** argv) { return vx::benchmarks::Main(argc, argv); }
