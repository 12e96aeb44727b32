#include "archive/read_only_env.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "archive/call_context.h"
#include "archive/text.h"

namespace vxa {
namespace {

absl::Status Refused(std::string_view call, const std::string& path) {
  return absl::PermissionDeniedError(
      absl::StrCat(Absl(call), " ", path, ": what is checked is not changed"));
}

class ReadOnlyFile : public File {
 public:
  ReadOnlyFile(std::unique_ptr<File> file, const CallContext& context, std::string path)
      : file_(std::move(file)), context_(context), path_(std::move(path)) {}

  absl::StatusOr<uint64_t> Size() const override { return file_->Size(); }
  absl::Status Read(uint64_t offset, std::span<char> buffer) const override {
    if (absl::Status status = CheckContext(context_); !status.ok()) return status;
    return file_->Read(offset, buffer);
  }
  absl::Status Write(uint64_t offset, std::span<const std::string_view> pieces) override {
    for (std::string_view piece : pieces) {
      std::string there(piece.size(), '\0');
      if (!Read(offset, there).ok() || there != piece) return Refused("write", path_);
      offset += piece.size();
    }
    return absl::OkStatus();
  }
  absl::Status Sync() override { return absl::OkStatus(); }

 private:
  const std::unique_ptr<File> file_;
  const CallContext& context_;
  const std::string path_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<File>> ReadOnlyEnv::OpenForReading(const std::string& path) {
  absl::StatusOr<std::unique_ptr<File>> file = env_.OpenForReading(path);
  if (!file.ok()) return file;
  return std::make_unique<ReadOnlyFile>(*std::move(file), context_, path);
}

absl::StatusOr<std::unique_ptr<File>> ReadOnlyEnv::OpenForWriting(const std::string& path) {
  return OpenForReading(path);
}

absl::StatusOr<std::vector<std::string>> ReadOnlyEnv::List(const std::string& directory) {
  return env_.List(directory);
}

absl::StatusOr<uint64_t> ReadOnlyEnv::FreeSpace(const std::string& path) {
  return env_.FreeSpace(path);
}

absl::StatusOr<std::unique_ptr<File>> ReadOnlyEnv::Create(const std::string& path) {
  return Refused("create", path);
}

absl::Status ReadOnlyEnv::MakeDirectory(const std::string& path) { return Refused("mkdir", path); }

absl::Status ReadOnlyEnv::Rename(const std::string& from, const std::string&) {
  return Refused("rename", from);
}

absl::Status ReadOnlyEnv::Remove(const std::string& path) { return Refused("remove", path); }

absl::Status ReadOnlyEnv::SyncDirectory(const std::string& path) { return Refused("sync", path); }

absl::StatusOr<std::unique_ptr<Held>> ReadOnlyEnv::Lock(const std::string& path) {
  return Refused("lock", path);
}

}  // namespace vxa
