// What the benchmark `store` times that Python would slow down: puts and gets of one object or many
// through the API, and what they are compared with. Each prints one JSON object: the seconds it
// took, and the SHA-256 of the SHA-256s of all objects in their order.
#include <fcntl.h>
#include <grpcpp/grpcpp.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <cstdint>
#include <functional>
#include <iostream>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "client/checksum.h"
#include "client/client.h"
#include "client/status.h"

namespace vxa::benchmarks {
namespace {

constexpr size_t kPiece = 1 << 20;  // of a message
constexpr size_t kChunk = 4 << 20;  // what the archive encodes at once
constexpr int kDeflateLevel = 6;    // the archive's
constexpr int kMaxAnswerBytes = 8 << 20;

[[noreturn]] void Die(const std::string& why) {
  std::cerr << "store_load: " << why << "\n";
  std::exit(1);
}

[[noreturn]] void DieOfErrno(const std::string& what) { Die(what + ": " + strerror(errno)); }

// The benchmark's data: a file in memory, cut into objects.
class Objects {
 public:
  // Objects of `size` bytes, the last perhaps shorter; 0: all is one.
  Objects(const std::string& path, size_t size) {
    const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
    struct stat status {};
    if (fd < 0 || fstat(fd, &status) != 0) DieOfErrno(path);
    const auto length = static_cast<size_t>(status.st_size);
    if (length == 0) Die(path + " is empty");
    void* mapped = mmap(nullptr, length, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0);
    if (mapped == MAP_FAILED) DieOfErrno(path);
    close(fd);
    bytes_ = {static_cast<const char*>(mapped), length};
    size_ = size == 0 ? length : size;
  }

  std::string_view bytes() const { return bytes_; }
  size_t count() const { return (bytes_.size() + size_ - 1) / size_; }
  std::string_view operator[](size_t i) const { return bytes_.substr(i * size_, size_); }

 private:
  std::string_view bytes_;  // mapped until the process ends
  size_t size_;
};

std::string NameOf(size_t object) { return absl::StrFormat("bench/%07d", object); }

v1::Digest DigestOf(std::string_view bytes) {
  client::Sha256 hash;
  hash.Update(bytes);
  return hash.Finish();
}

// What a run prints.
void Report(absl::Duration time, const std::vector<v1::Digest>& digests) {
  client::Sha256 all;
  for (const v1::Digest& digest : digests) all.Update(digest.value());
  std::cout << absl::StrFormat(R"({"seconds": %.6f, "sha256": "%s"})"
                               "\n",
                               absl::ToDoubleSeconds(time),
                               absl::BytesToHexString(all.Finish().value()));
}

// The time that `work(number)` takes on as many threads as that.
absl::Duration TimeThreads(int threads, const std::function<void(int)>& work) {
  const absl::Time start = absl::Now();
  std::vector<std::thread> running;
  for (int i = 0; i < threads; ++i) running.emplace_back(work, i);
  for (std::thread& thread : running) thread.join();
  return absl::Now() - start;
}

using WriteStream = grpc::ClientReaderWriter<v1::WriteObjectRequest, v1::WriteObjectResponse>;

void SendObject(WriteStream& stream, const std::string& name, const std::string& codec,
                std::string_view bytes) {
  v1::WriteObjectRequest request;
  v1::WriteObjectSpec* spec = request.mutable_spec();
  spec->set_namespace_("default");
  spec->set_name(name);
  spec->set_codec(codec);
  bool open = stream.Write(request);
  client::Sha256 hash;
  for (size_t at = 0; open && at < bytes.size(); at += kPiece) {
    const std::string_view piece = bytes.substr(at, kPiece);
    v1::WriteObjectData* data = request.mutable_data();
    data->set_write_offset(at);
    data->mutable_data()->assign(piece);
    data->set_crc32c(client::Crc32c(piece));
    hash.Update(piece);
    open = stream.Write(request);
  }
  v1::WriteObjectFinish* finish = request.mutable_finish();
  finish->set_size(bytes.size());
  *finish->mutable_digest() = hash.Finish();
  if (!open || !stream.Write(request)) Die("the server broke off at " + name);
}

// Puts every `step`th object from `first` on, over one stream, without waiting for answers.
void PutSome(const std::string& server, const Objects& objects, const std::string& codec,
             size_t first, size_t step, std::vector<v1::Digest>& digests) {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(kMaxAnswerBytes);
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);  // a connection of its own
  auto stub = v1::Archive::NewStub(
      grpc::CreateCustomChannel(server, grpc::InsecureChannelCredentials(), arguments));
  grpc::ClientContext context;
  std::unique_ptr<WriteStream> stream = stub->WriteObject(&context);
  std::thread sender([&] {
    for (size_t i = first; i < objects.count(); i += step) {
      SendObject(*stream, NameOf(i), codec, objects[i]);
    }
    stream->WritesDone();
  });
  size_t next = first;
  for (v1::WriteObjectResponse answer; stream->Read(&answer);) {
    if (answer.has_error()) Die(absl::StrCat(NameOf(next), ": ", answer.error().message()));
    if (!answer.has_result()) continue;
    digests.at(next) = answer.result().object().digest();
    next += step;
  }
  sender.join();
  const grpc::Status status = stream->Finish();
  if (!status.ok()) Die(status.error_message());
  if (next < objects.count()) Die("no answer for " + NameOf(next));
}

class NullWriter : public client::Writer {
 public:
  absl::Status Begin(const v1::ReadObjectMetadata&) override { return absl::OkStatus(); }
  absl::Status Append(std::string_view) override { return absl::OkStatus(); }
};

// Gets every `step`th object; the client library checks its SHA-256.
void GetSome(const std::string& server, size_t count, size_t first, size_t step,
             std::vector<v1::Digest>& digests) {
  client::Client client({.server = server});
  for (size_t i = first; i < count; i += step) {
    v1::ReadObjectRequest request;
    request.set_namespace_("default");
    request.set_name(NameOf(i));
    NullWriter writer;
    absl::StatusOr<client::GetResult> got = client.Get(request, writer);
    if (!got.ok()) Die(absl::StrCat(NameOf(i), ": ", got.status().ToString()));
    if (!got->verified) Die(NameOf(i) + " is not verified");
    digests.at(i) = got->end.digest();
  }
}

// Writes each object to a file of its own, with fsync.
void WriteFiles(const Objects& objects, const std::string& directory) {
  for (size_t i = 0; i < objects.count(); ++i) {
    const std::string path = absl::StrCat(directory, "/", i);
    const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (fd < 0) DieOfErrno(path);
    const std::string_view bytes = objects[i];
    if (write(fd, bytes.data(), bytes.size()) != static_cast<ssize_t>(bytes.size()) ||
        fsync(fd) != 0 || close(fd) != 0) {
      DieOfErrno(path);
    }
  }
}

// Deflates each object as the archive's codec does: chunk by chunk.
void Deflate(const Objects& objects) {
  std::string encoded(compressBound(kChunk), '\0');
  for (size_t i = 0; i < objects.count(); ++i) {
    for (size_t at = 0; at < objects[i].size(); at += kChunk) {
      const std::string_view chunk = objects[i].substr(at, kChunk);
      uLongf size = encoded.size();
      if (compress2(reinterpret_cast<Bytef*>(encoded.data()), &size,
                    reinterpret_cast<const Bytef*>(chunk.data()), chunk.size(),
                    kDeflateLevel) != Z_OK) {
        Die("zlib failed");
      }
    }
  }
}

int Main(int argc, char** argv) {
  CLI::App app("times puts and gets for the benchmark `store`", "store_load");
  std::string what, server, file, codec = "auto", directory;
  size_t object_size = 0;
  int streams = 1;
  app.add_option("WHAT", what, "put, get, files or deflate")
      ->required()
      ->check(CLI::IsMember({"put", "get", "files", "deflate"}));
  app.add_option("FILE", file, "the objects' bytes, one behind the other")->required();
  app.add_option("--object-size", object_size, "bytes of an object; 0: FILE is one");
  app.add_option("--server", server, "for put and get");
  app.add_option("--codec", codec, "for put");
  app.add_option("--streams", streams, "for put and get: how many at once")
      ->check(CLI::Range(1, 32));
  app.add_option("--directory", directory, "for files: an empty one");
  CLI11_PARSE(app, argc, argv);

  const Objects objects(file, object_size);
  std::vector<v1::Digest> digests(objects.count());
  const auto step = static_cast<size_t>(streams);
  absl::Duration time;
  if (what == "put") {
    time = TimeThreads(streams, [&](int i) {
      PutSome(server, objects, codec, static_cast<size_t>(i), step, digests);
    });
  } else if (what == "get") {
    time = TimeThreads(streams, [&](int i) {
      GetSome(server, objects.count(), static_cast<size_t>(i), step, digests);
    });
  } else {
    time = TimeThreads(
        1, [&](int) { what == "files" ? WriteFiles(objects, directory) : Deflate(objects); });
    for (size_t i = 0; i < objects.count(); ++i) digests[i] = DigestOf(objects[i]);
  }
  Report(time, digests);
  return 0;
}

}  // namespace
}  // namespace vxa::benchmarks

int main(int argc, char** argv) { return vxa::benchmarks::Main(argc, argv); }
